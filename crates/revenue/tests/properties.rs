//! What holds for every subscription, not just for the cases that somebody thought of.
#![allow(clippy::unwrap_used)]

use paywall_revenue::{
    CancellationRule, Coupon, CouponDuration, CouponValue, Discount, DiscountRule, Interval, Item, MetricPolicy, Mrr,
    Price, Recurring, Rounding, SubscriptionFacts, SubscriptionStatus, TaxBehavior, Tier, TiersMode, TransformQuantity,
    UsageType, mrr, totals,
};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use rust_decimal::Decimal;

const NOW: i64 = 1_735_689_600_000;

fn instants() -> impl Strategy<Value = i64> {
    (-90_i64..90).prop_map(|days| NOW + days * 86_400_000)
}

fn discounts() -> impl Strategy<Value = Discount> {
    let value = prop_oneof![
        (0_i64..=1_000).prop_map(|tenths| CouponValue::Percent(Decimal::new(tenths, 1))),
        (0_i64..20_000, select(vec!["usd", "eur"]))
            .prop_map(|(off, currency)| CouponValue::Amount { off: Decimal::from(off), currency: currency.into() }),
    ];
    let duration = select(vec![CouponDuration::Once, CouponDuration::Repeating, CouponDuration::Forever]);
    let products = of(select(vec![vec!["a".to_owned()], vec!["a".to_owned(), "b".to_owned()]]));
    (value, duration, of(1_u32..12), products, of(instants()), of(instants())).prop_map(
        |(value, duration, duration_in_months, applies_to, start, end)| Discount {
            coupon: Coupon { id: "co".into(), value, duration, duration_in_months, applies_to },
            start,
            end,
        },
    )
}

fn amounts() -> impl Strategy<Value = Decimal> {
    (0_i64..100_000_000, 0_u32..=6).prop_map(|(digits, places)| Decimal::new(digits, places))
}

fn items() -> impl Strategy<Value = Item> {
    let recurring = of((
        select(vec![Interval::Day, Interval::Week, Interval::Month, Interval::Year]),
        1_u32..=12,
        select(vec![UsageType::Licensed, UsageType::Licensed, UsageType::Metered]),
    )
        .prop_map(|(interval, interval_count, usage_type)| Recurring { interval, interval_count, usage_type }));
    let tiers = of((select(vec![TiersMode::Graduated, TiersMode::Volume]), amounts(), amounts(), of(amounts())));
    let transform = of((1_i64..50, select(vec![Rounding::Up, Rounding::Down])));
    let tax = (select(vec![TaxBehavior::Inclusive, TaxBehavior::Exclusive]), of(0_i64..30));
    let parts = (select(vec!["a", "b"]), amounts(), recurring, tiers, transform, tax);
    (parts, 0_i64..1_000, proptest::collection::vec(discounts(), 0..3)).prop_map(
        |((product, amount, recurring, tiers, transform, tax), quantity, discounts)| Item {
            price: Price {
                id: "price".into(),
                product: Some(product.into()),
                currency: "usd".into(),
                unit_amount_decimal: Some(amount),
                recurring,
                tiers_mode: tiers.map(|it| it.0),
                tiers: tiers.map(|(_, low, high, flat)| {
                    vec![
                        Tier { up_to: Some(10), unit_amount: Some(high), flat_amount: flat },
                        Tier { up_to: None, unit_amount: Some(low), flat_amount: None },
                    ]
                }),
                transform_quantity: transform.map(|(divide_by, round)| TransformQuantity { divide_by, round }),
                tax_behavior: tax.0,
            },
            quantity: Some(quantity),
            discounts,
            inclusive_tax_percent: tax.1.map(Decimal::from),
        },
    )
}

fn subscriptions() -> impl Strategy<Value = SubscriptionFacts> {
    let status = select(vec![
        SubscriptionStatus::Active,
        SubscriptionStatus::Active,
        SubscriptionStatus::PastDue,
        SubscriptionStatus::Trialing,
        SubscriptionStatus::Canceled,
    ]);
    let times = (instants(), of(instants()), of(instants()), of(instants()), of(instants()));
    let lines = proptest::collection::vec(items(), 0..5);
    let shared = (proptest::collection::vec(discounts(), 0..3), of(discounts()));
    (status, times, lines, shared).prop_map(|(status, times, items, (discounts, customer_discount))| {
        SubscriptionFacts {
            id: "sub".into(),
            currency: "usd".into(),
            status,
            started_at: times.0,
            trial_start: times.1,
            trial_end: times.2,
            canceled_at: times.3,
            cancel_at: None,
            cancel_at_period_end: false,
            ended_at: times.4,
            overdue_since: None,
            pause_collection: None,
            has_payment_method: false,
            items,
            discounts,
            customer_discount,
        }
    })
}

fn policies() -> impl Strategy<Value = MetricPolicy> {
    let rules = vec![DiscountRule::None, DiscountRule::Forever, DiscountRule::Recurring, DiscountRule::All];
    let cancellation = select(vec![CancellationRule::AtPeriodEnd, CancellationRule::AtCall]);
    (of(0_u32..30), any::<bool>(), cancellation, select(rules)).prop_map(
        |(past_due_days, paused_collection_counts, cancellation, discounts)| MetricPolicy {
            past_due_days,
            paused_collection_counts,
            cancellation,
            discounts,
            ..MetricPolicy::default()
        },
    )
}

proptest! {
    #[test]
    fn revenue_is_never_negative_and_discounts_never_raise_it(facts in subscriptions(), policy in policies()) {
        let figure = mrr(&facts, &policy, NOW).unwrap();
        let list = mrr(&facts, &MetricPolicy { discounts: DiscountRule::None, ..policy }, NOW).unwrap();
        prop_assert!((0..=list.amount_10k).contains(&figure.amount_10k));
    }

    #[test]
    fn the_order_of_the_items_changes_nothing(facts in subscriptions(), policy in policies(), by in 0_usize..5) {
        let mut turned = facts.clone();
        if !turned.items.is_empty() {
            let by = by % turned.items.len();
            turned.items.rotate_left(by);
        }
        prop_assert_eq!(mrr(&facts, &policy, NOW).unwrap(), mrr(&turned, &policy, NOW).unwrap());
    }

    #[test]
    fn the_rows_add_up_to_the_headline(all in proptest::collection::vec(subscriptions(), 0..12), policy in policies()) {
        let rows: Vec<Mrr> = all.iter().map(|facts| mrr(facts, &policy, NOW).unwrap()).collect();
        let sum: i64 = rows.iter().map(|row| row.amount_10k).sum();
        prop_assert_eq!(totals(&rows).unwrap().get("usd").map_or(0, |total| total.amount_10k), sum);
    }
}
