//! Each preset's rules: one row for each rule that can change a figure, and what each preset makes of it.
#![allow(clippy::unwrap_used)]

use paywall_revenue::{MetricPolicy, NoCatalog, Preset, SubscriptionFacts, mrr};
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
