//! Figures that others published, and our own rules on cases where a mistake would show.
#![allow(clippy::unwrap_used)]

use paywall_revenue::{
    CancellationRule, Catalog, DiscountRule, MetricPolicy, NoCatalog, RevenueError, SubscriptionFacts, display_minor,
    mrr, totals,
};
use serde_json::{Value, json};

const START: i64 = 1_735_689_600;
const DAY: i64 = 86_400;

fn price(amount: &str, currency: &str, interval: &str, count: u32) -> Value {
    json!({"id": "price_1", "product": "prod_1", "currency": currency, "unit_amount_decimal": amount,
        "billing_scheme": "per_unit",
        "recurring": {"interval": interval, "interval_count": count, "usage_type": "licensed"}})
}

fn subscription(items: &[(Value, i64)]) -> Value {
    let data: Vec<Value> = items
        .iter()
        .map(|(price, quantity)| json!({"id": "si_1", "price": price, "quantity": quantity, "discounts": []}))
        .collect();
    json!({"id": "sub_1", "object": "subscription", "currency": items[0].0["currency"], "status": "active",
        "created": START, "start_date": START, "discounts": [], "cancel_at_period_end": false,
        "canceled_at": null, "ended_at": null, "items": {"data": data, "has_more": false}, "a_new_field": 1})
}

fn one(amount: &str, interval: &str) -> Value {
    subscription(&[(price(amount, "usd", interval, 1), 1)])
}

fn discounted(mut subscription: Value, coupon: &Value) -> Value {
    subscription["discounts"] = json!([{"id": "di_1", "start": START, "end": null,
        "source": {"type": "coupon", "coupon": coupon}}]);
    subscription
}

fn percent(percent: f64, duration: &str) -> Value {
    json!({"id": "co_1", "percent_off": percent, "amount_off": null, "duration": duration})
}

fn amount_off(amount: i64, duration: &str) -> Value {
    json!({"id": "co_1", "percent_off": null, "amount_off": amount, "currency": "usd", "duration": duration})
}

fn at(subscription: &Value, policy: &MetricPolicy, seconds: i64) -> i64 {
    let facts = SubscriptionFacts::from_stripe(subscription, &NoCatalog).unwrap();
    mrr(&facts, policy, seconds * 1000).unwrap().amount_10k
}

fn now(subscription: &Value) -> i64 {
    at(subscription, &MetricPolicy::default(), START + DAY)
}

fn cents(minor: i64) -> i64 {
    minor * 10_000
}

#[test]
fn stripes_glossary_a_hundred_monthly_and_fifty_yearly() {
    let row = |value: Value| {
        mrr(&SubscriptionFacts::from_stripe(&value, &NoCatalog).unwrap(), &MetricPolicy::default(), START * 1000)
            .unwrap()
    };
    let mut rows = vec![row(one("10000", "month")); 100];
    rows.extend(vec![row(one("60000", "year")); 50]);
    assert_eq!(totals(&rows).unwrap()["usd"].amount_10k, cents(1_250_000));
}

#[test]
fn baremetrics_ten_customers_a_year_and_half_price_for_life() {
    assert_eq!(now(&one("1000", "month")) * 10, cents(10_000));
    assert_eq!(now(&one("12000", "year")), cents(1000));
    assert_eq!(now(&discounted(one("1000", "month"), &percent(50.0, "forever"))), cents(500));
}

#[test]
fn ghost_discounts_without_end() {
    assert_eq!(now(&discounted(one("500", "month"), &percent(50.0, "forever"))), cents(250));
    assert_eq!(now(&discounted(one("1200", "year"), &percent(50.0, "forever"))), cents(50));
    assert_eq!(now(&discounted(one("500", "month"), &amount_off(1, "forever"))), cents(499));
    assert_eq!(now(&discounted(one("1200", "year"), &amount_off(60, "forever"))), cents(95));
    let later = discounted(one("500", "month"), &percent(20.0, "forever"));
    assert_eq!(now(&later), cents(400));
}

#[test]
fn polar_a_discount_on_the_first_invoice_counts_only_where_the_policy_says_all() {
    let value = discounted(one("1500", "month"), &amount_off(1400, "once"));
    let all = MetricPolicy { discounts: DiscountRule::All, ..MetricPolicy::default() };
    assert_eq!(now(&value) * 77, cents(115_500));
    assert_eq!(at(&value, &all, START + 30 * DAY) * 77, cents(7_700));
    assert_eq!(at(&value, &all, START + 31 * DAY), cents(1500), "spent after its month");
}

#[test]
fn a_week_is_twelve_fifty_seconds_of_a_month_and_a_day_twelve_of_365() {
    assert_eq!(now(&one("1000", "week")), 43_333_333);
    assert_eq!(display_minor(now(&one("1000", "week"))), 4333);
    assert_eq!(now(&one("12", "day")), cents(365));
    assert_eq!(now(&subscription(&[(price("3000", "usd", "month", 3), 1)])), cents(1000));
    assert_eq!(now(&one("0.5", "month")), 5000, "half a cent is kept");
}

#[test]
fn currencies_without_or_with_three_decimals_are_counted_in_their_own_minor_unit() {
    let value = |currency| subscription(&[(price("1000", currency, "month", 1), 3)]);
    for currency in ["jpy", "kwd"] {
        let facts = SubscriptionFacts::from_stripe(&value(currency), &NoCatalog).unwrap();
        let figure = mrr(&facts, &MetricPolicy::default(), START * 1000).unwrap();
        assert_eq!((figure.currency.as_str(), figure.amount_10k), (currency, cents(3000)));
    }
    let mixed = subscription(&[(price("1", "usd", "month", 1), 1), (price("1", "eur", "month", 1), 1)]);
    let facts = SubscriptionFacts::from_stripe(&mixed, &NoCatalog).unwrap();
    assert!(matches!(mrr(&facts, &MetricPolicy::default(), START * 1000), Err(RevenueError::MixedCurrencies { .. })));
}

fn tiered(mode: &str, quantity: i64) -> Value {
    let mut price = price("0", "usd", "month", 1);
    price["billing_scheme"] = json!("tiered");
    price["tiers_mode"] = json!(mode);
    price["unit_amount_decimal"] = Value::Null;
    price["tiers"] = json!([
        {"up_to": 5, "unit_amount": 700, "unit_amount_decimal": "700", "flat_amount": 100, "flat_amount_decimal": "100"},
        {"up_to": 10, "unit_amount": 650, "flat_amount": null},
        {"up_to": null, "unit_amount_decimal": "600", "flat_amount": 50}]);
    subscription(&[(price, quantity)])
}

#[test]
fn tiers_price_all_units_by_volume_or_each_unit_in_its_own() {
    let expected = [(0, 100, 100), (5, 3600, 3600), (6, 3900, 4250), (10, 6500, 6850), (11, 6650, 7500)];
    for (quantity, volume, graduated) in expected {
        assert_eq!(now(&tiered("volume", quantity)), cents(volume), "volume {quantity}");
        assert_eq!(now(&tiered("graduated", quantity)), cents(graduated), "graduated {quantity}");
    }
}

struct Known(Value);
impl Catalog for Known {
    fn price(&self, id: &str) -> Option<Value> {
        (self.0["id"] == id).then(|| self.0.clone())
    }
    fn coupon(&self, id: &str) -> Option<Value> {
        (self.0["id"] == id).then(|| self.0.clone())
    }
}

#[test]
fn tiers_that_the_subscription_does_not_carry_come_from_the_catalog_or_the_figure_is_unknown() {
    let mut value = tiered("volume", 6);
    let full = value["items"]["data"][0]["price"].clone();
    value["items"]["data"][0]["price"].as_object_mut().unwrap().remove("tiers");
    let facts = SubscriptionFacts::from_stripe(&value, &NoCatalog).unwrap();
    let missing = Err(RevenueError::TiersMissing { price: "price_1".into() });
    assert_eq!(mrr(&facts, &MetricPolicy::default(), START * 1000), missing);
    let facts = SubscriptionFacts::from_stripe(&value, &Known(full)).unwrap();
    assert_eq!(mrr(&facts, &MetricPolicy::default(), START * 1000).unwrap().amount_10k, cents(3900));
}

#[test]
fn a_quantity_is_turned_into_packages_first() {
    for (round, expected) in [("up", 3), ("down", 2)] {
        let mut price = price("1000", "usd", "month", 1);
        price["transform_quantity"] = json!({"divide_by": 10, "round": round});
        assert_eq!(now(&subscription(&[(price, 21)])), cents(1000 * expected), "{round}");
    }
}

#[test]
fn usage_one_time_and_free_prices_are_no_recurring_revenue() {
    let mut metered = price("1000", "usd", "month", 1);
    metered["recurring"]["usage_type"] = json!("metered");
    let mut once = price("1000", "usd", "month", 1);
    once["recurring"] = Value::Null;
    assert_eq!(now(&subscription(&[(metered, 5), (once, 1), (price("0", "usd", "month", 1), 9)])), 0);
}

#[test]
fn only_active_and_past_due_count() {
    for status in ["trialing", "incomplete", "incomplete_expired", "unpaid", "canceled", "paused", "new_word"] {
        let mut value = one("1000", "month");
        value["status"] = json!(status);
        assert_eq!(now(&value), 0, "{status}");
    }
    let mut value = one("1000", "month");
    value["status"] = json!("past_due");
    let mut facts = SubscriptionFacts::from_stripe(&value, &NoCatalog).unwrap();
    let week = MetricPolicy { past_due_days: Some(7), ..MetricPolicy::default() };
    let figure =
        |facts: &SubscriptionFacts, day: i64| mrr(facts, &week, (START + day * DAY) * 1000).unwrap().amount_10k;
    assert_eq!(figure(&facts, 30), cents(1000), "since when it is overdue is unknown");
    facts.overdue_since = Some(START * 1000);
    assert_eq!((figure(&facts, 6), figure(&facts, 7)), (cents(1000), 0));
}

#[test]
fn a_cancellation_counts_at_the_periods_end_or_at_the_call_as_the_policy_says() {
    let mut value = one("1000", "month");
    value["cancel_at_period_end"] = json!(true);
    value["canceled_at"] = json!(START + 10 * DAY);
    value["cancel_at"] = json!(START + 31 * DAY);
    let call = MetricPolicy { cancellation: CancellationRule::AtCall, ..MetricPolicy::default() };
    let default = MetricPolicy::default();
    for (policy, day, expected) in [(&default, 20, 1000), (&default, 31, 0), (&call, 9, 1000), (&call, 10, 0)] {
        assert_eq!(at(&value, policy, START + day * DAY), cents(expected), "day {day}");
    }
    value["status"] = json!("canceled");
    value["ended_at"] = json!(START + 31 * DAY);
    assert_eq!(at(&value, &default, START + 20 * DAY), cents(1000), "before it ended it counted");
    assert_eq!(at(&value, &default, START + 31 * DAY), 0);
    assert_eq!(at(&value, &default, START - 1), 0, "before it began it did not");
}

#[test]
fn a_pause_of_collection_is_the_policys_matter() {
    let mut value = one("1000", "month");
    value["pause_collection"] = json!({"behavior": "void", "resumes_at": START + 5 * DAY});
    let out = MetricPolicy { paused_collection_counts: false, ..MetricPolicy::default() };
    assert_eq!(now(&value), cents(1000));
    assert_eq!((at(&value, &out, START), at(&value, &out, START + 5 * DAY)), (0, cents(1000)));
}

#[test]
fn discounts_come_off_item_first_then_subscription_and_the_customers_only_where_that_has_none() {
    let mut value = subscription(&[(price("1000", "usd", "month", 1), 1), (price("3000", "usd", "month", 1), 1)]);
    value["items"]["data"][0]["discounts"] = json!([{"start": START, "source": {"coupon": percent(50.0, "forever")}}]);
    let customer = json!({"id": "cus_1", "discount": {"start": START, "coupon": percent(10.0, "forever")}});
    let figure = |value: &Value| {
        let facts = SubscriptionFacts::from_stripe(value, &NoCatalog).unwrap();
        let facts = facts.with_customer(&customer, &NoCatalog).unwrap();
        mrr(&facts, &MetricPolicy::default(), START * 1000).unwrap().amount_10k
    };
    assert_eq!(figure(&value), cents(3150));
    value["discounts"] = json!([
        {"start": START, "source": {"coupon": amount_off(350, "forever")}},
        {"start": START, "end": START + DAY, "source": {"coupon": percent(10.0, "repeating")}}]);
    assert_eq!(figure(&value), cents(2800), "percent before amount, and not the customer's");
    assert_eq!(figure(&discounted(value, &amount_off(999_999, "forever"))), 0, "never below zero");
}

#[test]
fn a_coupon_limited_to_a_product_leaves_the_others_alone() {
    let mut other = price("3000", "usd", "month", 1);
    other["product"] = json!("prod_2");
    let mut coupon = percent(100.0, "forever");
    coupon["applies_to"] = json!({"products": ["prod_1"]});
    let value = subscription(&[(price("1000", "usd", "month", 1), 1), (other, 1)]);
    assert_eq!(now(&discounted(value, &coupon)), cents(3000));
}

#[test]
fn a_repeating_discount_ends_and_the_rule_none_keeps_list_prices() {
    let mut coupon = percent(25.5, "repeating");
    coupon["duration_in_months"] = json!(1);
    let value = discounted(one("1000", "month"), &coupon);
    let rule = |discounts| MetricPolicy { discounts, ..MetricPolicy::default() };
    assert_eq!(at(&value, &rule(DiscountRule::Recurring), START + 30 * DAY), cents(745));
    assert_eq!(at(&value, &rule(DiscountRule::Recurring), START + 31 * DAY), cents(1000));
    assert_eq!(at(&value, &rule(DiscountRule::Forever), START), cents(1000));
    assert_eq!(at(&value, &rule(DiscountRule::None), START), cents(1000));
}

#[test]
fn inclusive_tax_is_taken_out_where_its_rate_is_known_and_else_said() {
    let mut inclusive = price("1190", "eur", "month", 1);
    inclusive["tax_behavior"] = json!("inclusive");
    let mut value = subscription(&[(inclusive, 1)]);
    let figure = |value: &Value| {
        let facts = SubscriptionFacts::from_stripe(value, &NoCatalog).unwrap();
        let figure = mrr(&facts, &MetricPolicy::default(), START * 1000).unwrap();
        (figure.amount_10k, figure.including_tax)
    };
    assert_eq!(figure(&value), (cents(1190), true));
    value["default_tax_rates"] = json!([{"inclusive": true, "percentage": 19.0}]);
    assert_eq!(figure(&value), (cents(1000), false));
}

#[test]
fn what_cannot_be_read_is_named_by_its_path() {
    let error = |value: &Value| SubscriptionFacts::from_stripe(value, &NoCatalog).unwrap_err().to_string();
    let mut value = one("1000", "month");
    value["items"]["data"][0]["price"].as_object_mut().unwrap().remove("currency");
    assert_eq!(error(&value), "items.data[0].price.currency is missing");
    let mut value = one("1000", "month");
    value["items"]["data"][0]["price"]["unit_amount_decimal"] = json!("ten");
    assert!(error(&value).starts_with("items.data[0].price.unit_amount_decimal cannot be read"), "{}", error(&value));
    let mut value = one("1000", "month");
    value["discounts"] = json!(["di_1"]);
    assert_eq!(error(&value), "discounts[0] is the id di_1, not the object: expand it");
    let mut value = discounted(one("1000", "month"), &json!("HALF"));
    assert_eq!(error(&value), "discounts[0].source.coupon is the id HALF, not the object: expand it");
    let known = Known(json!({"id": "HALF", "percent_off": "50", "duration": "forever"}));
    let facts = SubscriptionFacts::from_stripe(&value, &known).unwrap();
    assert_eq!(mrr(&facts, &MetricPolicy::default(), START * 1000).unwrap().amount_10k, cents(500));
    value["items"]["has_more"] = json!(true);
    assert_eq!(SubscriptionFacts::from_stripe(&value, &known), Err(RevenueError::ItemsIncomplete));
}

#[test]
fn a_once_discount_given_with_a_trial_is_spent_on_the_first_paid_month() {
    let mut value = discounted(one("1000", "month"), &amount_off(400, "once"));
    value["trial_start"] = json!(START);
    value["trial_end"] = json!(START + 14 * DAY);
    let all = MetricPolicy { discounts: DiscountRule::All, ..MetricPolicy::default() };
    let days = [(13, 0), (14, 600), (44, 600), (45, 1000)];
    for (day, expected) in days {
        assert_eq!(at(&value, &all, START + day * DAY), cents(expected), "day {day}");
    }
}

#[test]
fn a_fixed_amount_comes_off_every_invoice_of_the_shortest_interval() {
    let lines = [(price("1000", "usd", "month", 1), 1), (price("12000", "usd", "year", 1), 1)];
    assert_eq!(now(&discounted(subscription(&lines), &amount_off(600, "forever"))), cents(1400));
}
