//! Random histories: a few customers over some months, seen now and then, with invoices.

use std::sync::Arc;

use paywall_revenue::{
    BriefRule, CancellationRule, ChurnBase, CollectionPause, Coupon, CouponDuration, CouponValue, Discount,
    DiscountRule, Fact, FreeRule, Interval, InvoiceFacts, InvoiceLine, InvoiceStatus, Item, LineDiscount, MeteredRule,
    MetricPolicy, Price, Recurring, ReportingZone, Snapshot, SubscriptionFacts, SubscriptionStatus, TaxBehavior,
    TaxRule, UsageType,
};
use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;
use rust_decimal::Decimal;

pub(crate) const BEGIN: i64 = 1_767_225_600_000;
pub(crate) const HOUR: i64 = 3_600_000;
pub(crate) const DAYS: i64 = 75;
pub(crate) const MONTHLY: Recurring =
    Recurring { interval: Interval::Month, interval_count: 1, usage_type: UsageType::Licensed };

/// So many cases, or `PAYWALL_SIZE` times a hundred; from `PAYWALL_SEED`, where it is set. A failing case is
/// printed whole, and made as small as it gets.
pub(crate) fn cases(default: u32) -> ProptestConfig {
    let given = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let size = given("PAYWALL_SIZE").and_then(|size| u32::try_from(size.saturating_mul(100)).ok());
    let mut config = ProptestConfig { cases: size.unwrap_or(default), ..ProptestConfig::default() };
    if let Some(seed) = given("PAYWALL_SEED") {
        config.rng_seed = RngSeed::Fixed(seed);
    }
    config
}

/// An instant on an hour, at times on a midnight.
pub(crate) fn instants() -> impl Strategy<Value = i64> {
    prop_oneof![(0..DAYS).prop_map(|day| day * 24), 0..DAYS * 24].prop_map(|hour| BEGIN + hour * HOUR)
}

fn discounts() -> impl Strategy<Value = Discount> {
    let duration = select(vec![CouponDuration::Once, CouponDuration::Repeating, CouponDuration::Forever]);
    (duration, select(vec![10, 50, 100]), instants()).prop_map(|(duration, percent, start)| Discount {
        coupon: Coupon {
            id: "co".into(),
            value: CouponValue::Percent(Decimal::from(percent)),
            duration,
            duration_in_months: Some(1),
            applies_to: None,
        },
        start: Some(start),
        end: None,
    })
}

/// A subscription as it might be read; `id` also says in which currency.
fn reads(id: String) -> impl Strategy<Value = SubscriptionFacts> {
    let status = select(vec![
        SubscriptionStatus::Active,
        SubscriptionStatus::Active,
        SubscriptionStatus::Active,
        SubscriptionStatus::PastDue,
        SubscriptionStatus::Trialing,
        SubscriptionStatus::Unpaid,
        SubscriptionStatus::Canceled,
    ]);
    let rare = || weighted(0.2, instants());
    let times = (instants(), weighted(0.3, (instants(), 1_i64..20)), rare(), rare(), rare(), rare());
    let price = (select(vec![0_i64, 500, 1000, 1999]), select(vec![Interval::Month, Interval::Year]), 0_i64..4);
    let rest = (weighted(0.3, discounts()), weighted(0.1, of(instants())), any::<bool>());
    (status, times, price, rest).prop_map(move |(status, times, (amount, interval, quantity), rest)| {
        let (started_at, trial, canceled_at, cancel_at, ended_at, overdue_since) = times;
        let currency = if id.ends_with('0') { "usd" } else { "jpy" };
        SubscriptionFacts {
            id: id.clone(),
            currency: currency.into(),
            status,
            started_at,
            trial_start: trial.map(|it| it.0),
            trial_end: trial.map(|(start, days)| start + days * 24 * HOUR),
            canceled_at,
            cancel_at,
            cancel_at_period_end: rest.2 && canceled_at.is_some(),
            ended_at: ended_at.filter(|_| status == SubscriptionStatus::Canceled),
            overdue_since,
            pause_collection: rest.1.map(|resumes_at| CollectionPause { resumes_at }),
            has_payment_method: rest.2,
            items: vec![Item {
                price: Price {
                    id: "price".into(),
                    product: None,
                    currency: currency.into(),
                    unit_amount_decimal: Some(Decimal::from(amount)),
                    recurring: Some(Recurring { interval, ..MONTHLY }),
                    tiers_mode: None,
                    tiers: None,
                    transform_quantity: None,
                    tax_behavior: TaxBehavior::Exclusive,
                },
                quantity: Some(quantity),
                discounts: Vec::new(),
                inclusive_tax_percent: None,
            }],
            discounts: rest.0.into_iter().collect(),
            customer_discount: None,
        }
    })
}

/// An invoice of one line that bills so many minor units a month.
fn invoices(customer: usize, subscription: String) -> impl Strategy<Value = InvoiceFacts> {
    let status = select(vec![
        InvoiceStatus::Paid,
        InvoiceStatus::Paid,
        InvoiceStatus::Open,
        InvoiceStatus::Void,
        InvoiceStatus::Draft,
    ]);
    let duration = of(select(vec![CouponDuration::Once, CouponDuration::Repeating, CouponDuration::Forever]));
    let off = weighted(0.3, (select(vec![100, 5000]), duration));
    let usage = prop::bool::weighted(0.3);
    let item = of(select(vec!["si_1", "si_2"]));
    (0_u8..6, status, instants(), 1_i64..40, 1_i64..3000, off, (usage, item)).prop_map(
        move |(number, status, start, days, amount, off, (usage, item))| {
            let usage_type = if usage { UsageType::Metered } else { UsageType::Licensed };
            let price = if usage { "usage" } else { "price" };
            InvoiceFacts {
                id: format!("in_{subscription}_{number}").into(),
                customer: format!("cus_{customer}").into(),
                subscription: Some(subscription.as_str().into()),
                currency: if subscription.ends_with('0') { "usd" } else { "jpy" }.into(),
                status,
                created_at: start,
                finalized_at: Some(start + HOUR),
                due_at: None,
                paid_at: (status == InvoiceStatus::Paid).then_some(start + days * HOUR),
                total: amount,
                amount_paid: if status == InvoiceStatus::Paid { amount } else { 0 },
                attempts: 1,
                lines: Box::new([InvoiceLine {
                    subscription: None,
                    item: item.map(Into::into),
                    price: Some(price.into()),
                    recurring: Some(Recurring { usage_type, ..MONTHLY }),
                    quantity: Some(1),
                    amount,
                    discounts: off.into_iter().map(|(off, duration)| LineDiscount { off, duration }).collect(),
                    inclusive_tax: 0,
                    start,
                    end: start + days * 24 * HOUR,
                }]),
            }
        },
    )
}

/// What is known of one customer, who has up to two subscriptions.
fn customers(n: usize) -> impl Strategy<Value = Vec<Fact>> {
    let of_subscription = move |m: usize| {
        let id = format!("sub_{n}_{m}");
        let snapshots = vec((instants(), reads(id.clone())), 1..4);
        (snapshots, vec((instants(), invoices(n, id)), 0..4))
    };
    let deleted = weighted(0.1, instants());
    (vec((0_usize..3).prop_flat_map(of_subscription), 1..3), deleted).prop_map(move |(subscriptions, deleted_at)| {
        let customer: Arc<str> = format!("cus_{n}").into();
        let mut facts = vec![Fact::Customer { id: customer.clone(), deleted_at }];
        for (snapshots, invoices) in subscriptions {
            facts.extend(snapshots.into_iter().map(|(seen_at, facts)| Fact::Subscription {
                customer: customer.clone(),
                snapshot: Snapshot { seen_at, facts: Arc::new(facts) },
            }));
            facts.extend(invoices.into_iter().map(|(seen_at, invoice)| Fact::Invoice { seen_at, invoice }));
        }
        facts
    })
}

/// The facts of so many customers.
pub(crate) fn books(most: usize) -> impl Strategy<Value = Vec<Fact>> {
    (1..=most)
        .prop_flat_map(|n| (0..n).map(customers).collect::<Vec<_>>())
        .prop_map(|all| all.into_iter().flatten().collect())
}

pub(crate) fn policies() -> impl Strategy<Value = MetricPolicy> {
    let rules = (
        of(1_u32..20),
        any::<bool>(),
        prop::bool::weighted(0.2),
        select(vec![CancellationRule::AtPeriodEnd, CancellationRule::AtCall]),
        select(vec![DiscountRule::None, DiscountRule::Forever, DiscountRule::Recurring, DiscountRule::All]),
    );
    let history = (
        select(vec![MeteredRule::Excluded, MeteredRule::LastInvoiced]),
        select(vec![FreeRule::Churn, FreeRule::Contraction]),
        select(vec![BriefRule::Counted, BriefRule::Ignored]),
        weighted(0.3, 1_u32..20),
        select(vec![ChurnBase::AtStart, ChurnBase::AtStartAndNew]),
    );
    (rules, history).prop_map(|(rules, history)| MetricPolicy {
        past_due_days: rules.0,
        paused_collection_counts: rules.1,
        trials_count: rules.2,
        cancellation: rules.3,
        discounts: rules.4,
        metered: history.0,
        tax: TaxRule::Excluded,
        free: history.1,
        brief: history.2,
        reactivation_days: history.3,
        churn_base: history.4,
    })
}

pub(crate) fn zones() -> impl Strategy<Value = ReportingZone> {
    select(vec!["UTC", "America/New_York", "Asia/Kolkata"]).prop_map(|name| ReportingZone::parse(name).unwrap())
}
