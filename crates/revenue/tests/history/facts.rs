//! Stripe's objects, small.

use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime};
use paywall_revenue::{
    Fact, InvoiceFacts, Ledger, Lens, MetricPolicy, NoCatalog, ReportingZone, Snapshot, SubscriptionFacts, Window,
};
use serde_json::{Value, json};

/// Unix seconds of a day's beginning in UTC.
pub(crate) fn day(date: &str) -> i64 {
    NaiveDateTime::from(date.parse::<NaiveDate>().unwrap()).and_utc().timestamp()
}

/// The same in milliseconds.
pub(crate) fn ms(date: &str) -> i64 {
    day(date) * 1000
}

/// So many whole units of a currency with two decimals, per month.
pub(crate) fn units(n: i64) -> i64 {
    n * 1_000_000
}

/// A subscription of one price, begun on `start`.
pub(crate) fn subscription(id: &str, start: &str, minor: i64, interval: &str) -> Value {
    json!({"object": "subscription", "id": id, "customer": "cus_1", "currency": "usd", "status": "active",
        "created": day(start), "start_date": day(start), "discounts": [], "cancel_at_period_end": false,
        "items": {"has_more": false, "data": [{"id": "si_1", "quantity": 1, "price": {"id": format!("price_{minor}_{interval}"),
            "currency": "usd", "unit_amount_decimal": minor.to_string(), "recurring": {"interval": interval, "interval_count": 1}}}]}})
}

/// `value` with `changes` to its fields.
pub(crate) fn with(mut value: Value, changes: &Value) -> Value {
    for (key, change) in changes.as_object().unwrap() {
        value[key] = change.clone();
    }
    value
}

/// One that ended.
pub(crate) fn ended(value: Value, at: &str) -> Value {
    with(value, &json!({"status": "canceled", "ended_at": day(at), "canceled_at": day(at)}))
}

pub(crate) fn seen(at: &str, value: &Value) -> Snapshot {
    Snapshot { seen_at: ms(at), facts: Arc::new(SubscriptionFacts::from_stripe(value, &NoCatalog).unwrap()) }
}

/// A paid invoice of `sub_1` with one line.
pub(crate) fn invoice(id: &str, from: &str, to: &str, minor: i64) -> Value {
    json!({"object": "invoice", "id": id, "customer": "cus_1", "currency": "usd", "status": "paid", "created": day(from),
        "status_transitions": {"finalized_at": day(from), "paid_at": day(from)}, "total": minor, "amount_paid": minor,
        "attempt_count": 1, "discounts": [], "parent": {"subscription_details": {"subscription": "sub_1"}},
        "lines": {"has_more": false, "data": [{"amount": minor, "quantity": 1, "period": {"start": day(from), "end": day(to)},
            "parent": {"type": "subscription_item_details", "subscription_item_details": {"proration": false, "subscription": "sub_1"}},
            "pricing": {"price_details": {"price": "price_unknown"}}, "discount_amounts": [], "taxes": []}]}})
}

pub(crate) fn billed(value: &Value) -> InvoiceFacts {
    InvoiceFacts::from_stripe(value).unwrap()
}

/// A ledger with these subscriptions, each of a customer and as it was read on a day.
pub(crate) fn ledger(subscriptions: &[(&str, &str, &Value)]) -> Ledger {
    let mut ledger = Ledger::new();
    for (customer, at, value) in subscriptions {
        ledger.put(Fact::Subscription { customer: (*customer).into(), snapshot: seen(at, value) });
    }
    ledger
}

/// The lens of a policy that ends with a day in UTC.
pub(crate) fn lens(policy: MetricPolicy, last: &str) -> Lens {
    Lens { policy, zone: ReportingZone::UTC, until: ms(last) + 86_400_000 - 1 }
}

pub(crate) fn window(from: &str, to: &str) -> Window {
    Window { from: from.parse().unwrap(), to: to.parse().unwrap() }
}
