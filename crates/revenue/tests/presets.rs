//! Each preset's rules: one row for each rule that can change a figure, and what each preset makes of it.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use paywall_revenue::{
    Fact, Figures, InvoiceFacts, Ledger, Lens, MetricPolicy, MovementKind, NoCatalog, Preset, Rate, ReportingZone,
    Snapshot, SubscriptionFacts, Window, mrr,
};
use serde_json::{Value, json};

const START: i64 = 1_735_689_600;
const DAY: i64 = 86_400;

/// $10 a month since the start, with `changes`.
fn subscription(changes: &Value) -> Value {
    let mut value = json!({"id": "sub_1", "customer": "cus_1", "currency": "usd", "status": "active", "created": START,
        "discounts": [], "items": {"has_more": false, "data": [{"id": "si_1", "quantity": 1, "price": {"id": "price_1",
            "currency": "usd", "unit_amount_decimal": "1000", "recurring": {"interval": "month", "interval_count": 1}}}]}});
    for (key, change) in changes.as_object().unwrap() {
        value[key] = change.clone();
    }
    value
}

fn coupon(duration: &str) -> Value {
    json!({"discounts": [{"start": START, "source": {"coupon":
        {"id": "co", "percent_off": 50, "duration": duration, "duration_in_months": 3}}}]})
}

#[test]
fn each_rule_of_each_preset_decides_what_counts() {
    // Cents a month on day 10, in the order of `Preset::ALL`: Paywall, Stripe, ChartMogul, Baremetrics, ProfitWell.
    let mut inclusive = subscription(&json!({"default_tax_rates": [{"inclusive": true, "percentage": 25}]}));
    inclusive["items"]["data"][0]["price"]["tax_behavior"] = json!("inclusive");
    let mut metered = subscription(&json!({}));
    metered["items"]["data"][0]["price"]["recurring"]["usage_type"] = json!("metered");
    let trial = json!({"status": "trialing", "trial_start": START, "trial_end": START + 14 * DAY});
    let leaving = json!({"cancel_at_period_end": true, "canceled_at": START + 5 * DAY, "cancel_at": START + 31 * DAY});
    let rows = [
        ("active", subscription(&json!({})), [1000; 5]),
        ("past due", subscription(&json!({"status": "past_due"})), [1000; 5]),
        ("unpaid", subscription(&json!({"status": "unpaid"})), [0; 5]),
        ("paused", subscription(&json!({"status": "paused"})), [0; 5]),
        ("on trial", subscription(&trial), [0; 5]),
        (
            "collection paused",
            subscription(&json!({"pause_collection": {"behavior": "void"}})),
            [1000, 1000, 1000, 1000, 0],
        ),
        ("told to cancel", subscription(&leaving), [1000, 0, 1000, 1000, 1000]),
        ("half off once", subscription(&coupon("once")), [1000, 1000, 500, 1000, 500]),
        ("half off for months", subscription(&coupon("repeating")), [500, 1000, 500, 500, 500]),
        ("half off forever", subscription(&coupon("forever")), [500; 5]),
        ("with tax inside", inclusive, [800; 5]),
        ("metered, nothing invoiced", metered, [0; 5]),
    ];
    for (rule, subscription, expected) in rows {
        let facts = SubscriptionFacts::from_stripe(&subscription, &NoCatalog).unwrap();
        let figure = |preset: Preset| mrr(&facts, &preset.policy(), (START + 10 * DAY) * 1000).unwrap().amount_10k;
        assert_eq!(Preset::ALL.map(figure), expected.map(|cents| cents * 10_000), "{rule}");
    }
}

/// What a preset makes of a customer's facts up to the end of a day: the movements' kinds, and the figures.
fn history(preset: Preset, facts: &[Fact], last_day: i64) -> (Vec<MovementKind>, Option<Figures>) {
    let mut ledger = Ledger::new();
    ledger.extend(facts.iter().cloned());
    let until = (START + (last_day + 1) * DAY) * 1000 - 1;
    let zone = ReportingZone::UTC;
    ledger.refresh(&Lens { policy: preset.policy(), zone, until });
    let window = Window { from: zone.day_of((START + 31 * DAY) * 1000), to: zone.day_of(until + 1) };
    let kinds = ledger.movements().map(|it| it.kind).collect();
    (kinds, ledger.figures(window).unwrap().into_iter().next())
}

fn seen(customer: &str, day: i64, value: &Value) -> Fact {
    let facts = SubscriptionFacts::from_stripe(value, &NoCatalog).unwrap();
    Fact::Subscription {
        customer: customer.into(),
        snapshot: Snapshot { seen_at: (START + day * DAY) * 1000, facts: Arc::new(facts) },
    }
}

/// What happened, its facts, and its movements by each preset.
type HistoryRow<'a> = (&'a str, &'a [Fact], [&'a [MovementKind]; 5]);

#[test]
fn each_rule_of_each_preset_decides_what_a_history_is() {
    use MovementKind::{Churn, Contraction, Expansion, New, Reactivation};
    let over =
        |day: i64| json!({"status": "canceled", "ended_at": START + day * DAY, "canceled_at": START + day * DAY});
    let paying = subscription(&json!({}));
    let free = subscription(&json!({"discounts": [{"start": START + 10 * DAY, "end": START + 20 * DAY,
        "source": {"coupon": {"id": "co", "percent_off": 100, "duration": "forever"}}}]}));
    let again = subscription(&json!({"id": "sub_2", "created": START + 40 * DAY}));
    let mut usage = subscription(&json!({}));
    let mut metered = usage["items"]["data"][0].clone();
    metered["price"]["id"] = json!("price_usage");
    metered["price"]["recurring"]["usage_type"] = json!("metered");
    usage["items"]["data"].as_array_mut().unwrap().push(metered);
    let used = json!({"id": "in_1", "customer": "cus_1", "currency": "usd", "status": "paid", "created": START + 31 * DAY,
        "total": 300, "amount_paid": 300, "parent": {"subscription_details": {"subscription": "sub_1"}},
        "lines": {"data": [{"amount": 300, "period": {"start": START, "end": START + 31 * DAY},
            "parent": {"subscription_item_details": {}}, "pricing": {"price_details": {"price": "price_usage"}}}]}});
    let used = Fact::Invoice { seen_at: (START + 31 * DAY) * 1000, invoice: InvoiceFacts::from_stripe(&used).unwrap() };
    let brief = [seen("cus_1", 0, &paying), seen("cus_1", 20, &subscription(&over(20)))];
    let returning = [seen("cus_1", 0, &paying), seen("cus_1", 35, &subscription(&over(35))), seen("cus_1", 40, &again)];
    let rows: [HistoryRow; 4] = [
        (
            "free for ten days",
            &[seen("cus_1", 0, &free)],
            [
                &[New, Churn, Reactivation],
                &[New, Churn, Reactivation],
                &[New, Contraction, Expansion],
                &[New, Churn, Reactivation],
                &[New],
            ],
        ),
        ("new and lost within a month", &brief, [&[New, Churn], &[New, Churn], &[New, Churn], &[New, Churn], &[]]),
        ("back after five days", &returning, [&[New, Churn, Reactivation]; 5]),
        (
            "usage of January invoiced on 1 February",
            &[seen("cus_1", 0, &usage), used],
            [&[New], &[New], &[New, Expansion], &[New], &[New, Expansion]],
        ),
    ];
    for (rule, facts, expected) in rows {
        assert_eq!(Preset::ALL.map(|preset| history(preset, facts, 45).0), expected.map(<[_]>::to_vec), "{rule}");
    }
    // Of ten who paid at the start of February and ten who began in it, one of each was lost in March's first days.
    let book: Vec<Fact> = (0..20)
        .flat_map(|n| {
            let begun = if n < 10 { 0 } else { 32 };
            let changes = json!({"id": format!("sub_{n}"), "created": START + begun * DAY});
            let value = subscription(&changes);
            let mut ended = value.clone();
            for (key, change) in over(60).as_object().unwrap() {
                ended[key] = change.clone();
            }
            let customer = format!("cus_{n}");
            let last = if n % 10 == 0 { seen(&customer, 60, &ended) } else { seen(&customer, 60, &value) };
            [seen(&customer, begun, &value), last]
        })
        .collect();
    let of = |of| Rate::Value { numerator: 2, denominator: of };
    let churn = Preset::ALL.map(|preset| history(preset, &book, 61).1.unwrap().customer_churn);
    assert_eq!(churn, [of(10), of(20), of(10), of(20), of(10)]);
}

#[test]
fn rules_that_no_preset_has_can_be_chosen() {
    let trial = subscription(&json!({"status": "trialing", "trial_start": START, "trial_end": START + 14 * DAY}));
    let facts = SubscriptionFacts::from_stripe(&trial, &NoCatalog).unwrap();
    let policy = MetricPolicy { trials_count: true, ..MetricPolicy::default() };
    assert_eq!(mrr(&facts, &policy, START * 1000).unwrap().amount_10k, 10_000_000);
}

#[test]
fn a_preset_is_known_by_its_name_and_a_policy_stored_before_a_rule_was_added_still_reads() {
    for preset in Preset::ALL {
        assert_eq!(Preset::parse(preset.as_str()), Some(preset));
        assert_eq!(serde_json::to_value(preset).unwrap(), json!(preset.as_str()));
    }
    assert_eq!((Preset::parse("Stripe"), Preset::default()), (None, Preset::Paywall));
    let stored: MetricPolicy = serde_json::from_value(json!({"past_due_days": 7, "discounts": "all"})).unwrap();
    let expected = MetricPolicy {
        past_due_days: Some(7),
        discounts: paywall_revenue::DiscountRule::All,
        ..MetricPolicy::default()
    };
    assert_eq!(stored, expected);
}
