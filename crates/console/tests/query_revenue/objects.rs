//! Stripe's objects as far as revenue reads them, and how they come into a copy.

use std::collections::BTreeMap;
use std::sync::Arc;

use paywall_console::cache::{Cache, Counting, StripeRow};
use paywall_console::ipc::{Period, Preset, Reporting, RevenueQuery, RevenueView};
use paywall_console::query::ReportedBy;
use paywall_domain::Timestamp;
use paywall_revenue::{ExchangeRates, parse_rates};
use paywall_stripe::Stream;
use serde_json::{Value, json};

use crate::cache_fixtures::done;

pub(crate) fn s(at: Timestamp) -> i64 {
    at.0 / 1000
}

/// A subscription of one item that bills so many minor units a month.
pub(crate) fn subscription(name: &str, customer: &str, currency: &str, amount: i64, began: Timestamp) -> Value {
    json!({
        "id": format!("sub_{name}"), "object": "subscription", "customer": customer, "status": "active",
        "currency": currency, "created": s(began), "start_date": s(began), "ended_at": null, "canceled_at": null,
        "cancel_at": null, "cancel_at_period_end": false, "trial_start": null, "trial_end": null, "discounts": [],
        "pause_collection": null,
        "items": {"object": "list", "has_more": false, "data": [{
            "id": format!("si_{name}"), "quantity": 1, "discounts": [],
            "price": {"id": format!("price_{currency}_{amount}"), "currency": currency, "unit_amount": amount,
                "unit_amount_decimal": amount.to_string(), "billing_scheme": "per_unit", "tax_behavior": "exclusive",
                "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"}},
        }]},
    })
}

/// Its first item's price.
pub(crate) fn price(subscription: &mut Value) -> &mut Value {
    &mut subscription["items"]["data"][0]["price"]
}

/// So many percent off, for so many months or for good.
pub(crate) fn discount(name: &str, percent: i64, months: Option<i64>, start: Timestamp) -> Value {
    json!({"id": format!("di_{name}"), "start": s(start), "end": null, "source": {"type": "coupon", "coupon": {
        "id": format!("co_{name}"), "percent_off": percent, "duration_in_months": months,
        "duration": if months.is_some() { "repeating" } else { "forever" }}}})
}

/// An invoice without a recurring line.
pub(crate) fn invoice(name: &str, customer: &str, currency: &str, total: i64, billed: Timestamp) -> Value {
    json!({
        "id": format!("in_{name}"), "object": "invoice", "customer": customer, "number": format!("N-{name}"),
        "status": "paid", "currency": currency, "created": s(billed) - 3600, "total": total, "amount_due": total,
        "amount_paid": total, "amount_remaining": 0, "attempt_count": 1,
        "status_transitions": {"finalized_at": s(billed), "paid_at": s(billed)},
        "lines": {"object": "list", "has_more": false, "data": []},
    })
}

/// The same in another status, after so many attempts.
pub(crate) fn unpaid(mut invoice: Value, status: &str, attempts: i64) -> Value {
    invoice["status"] = json!(status);
    invoice["attempt_count"] = json!(attempts);
    invoice["amount_paid"] = json!(0);
    invoice["amount_remaining"] = invoice["total"].clone();
    invoice["status_transitions"]["paid_at"] = Value::Null;
    if status == "draft" {
        invoice["status_transitions"]["finalized_at"] = Value::Null;
        invoice["number"] = Value::Null;
    }
    invoice
}

pub(crate) fn row(raw: &Value) -> StripeRow {
    StripeRow {
        id: raw["id"].as_str().unwrap().into(),
        created: raw["created"].as_i64().unwrap_or(1),
        raw: raw.clone(),
    }
}

/// Writes a page of a list that was read at `at`.
pub(crate) async fn read(cache: &Cache, stream: Stream, objects: &[Value], at: Timestamp) {
    let rows: Vec<StripeRow> = objects.iter().map(row).collect();
    cache.apply_stripe_page(stream, &rows, &done(at)).await.unwrap();
}

/// Writes an object that was fetched at `at` since it had changed at `changed`.
pub(crate) async fn fetched(cache: &Cache, stream: Stream, object: &Value, at: Timestamp, changed: Timestamp) {
    let rows = [row(object)];
    let changed = BTreeMap::from([(rows[0].id.clone(), changed)]);
    cache.apply_stripe_rows(stream, &rows, at, &changed).await.unwrap();
}

/// Counts everybody by all rules that are kept.
pub(crate) async fn count(cache: &Cache, now: Timestamp) {
    for lens in cache.revenue_lenses().await.unwrap() {
        for _ in 0..10_000 {
            let lens = cache.revenue_lenses().await.unwrap().into_iter().find(|it| it.num == lens.num).unwrap();
            if cache.count_revenue(lens, now).await.unwrap() == Counting::Nothing {
                break;
            }
        }
        let pending = cache.revenue_lenses().await.unwrap().into_iter().find(|it| it.num == lens.num).unwrap();
        assert_eq!(cache.count_revenue(pending, now).await.unwrap(), Counting::Nothing, "it never ends");
    }
}

/// Reported in no currency.
pub(crate) fn plain() -> ReportedBy {
    ReportedBy { reporting: Reporting::default(), rates: Arc::new(ExchangeRates::new([], 7)) }
}

/// Reported in a currency by rates of `date,from,to,rate`.
pub(crate) fn reported_in(currency: &str, rates: &str) -> ReportedBy {
    let reporting = Reporting { currency: Some(currency.into()), rate_days: 4000, ..Reporting::default() };
    ReportedBy { reporting, rates: Arc::new(ExchangeRates::new(parse_rates(rates).unwrap(), 4000)) }
}

pub(crate) async fn view(
    cache: &Cache,
    preset: Preset,
    period: Period,
    by: &ReportedBy,
    now: Timestamp,
) -> RevenueView {
    cache.revenue(RevenueQuery { preset, months: 12, period }, by, now).await.unwrap()
}
