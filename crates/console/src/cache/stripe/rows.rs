//! From Stripe's objects to rows: the columns that screens and sums read.

use paywall_domain::Timestamp;
use paywall_stripe::Stream;
use serde_json::Value;
use sqlx::SqliteConnection;

use super::StripeRow;
use super::revenue_facts::{self, Revenue};
use crate::cache::{Result, fold};

/// Writes an object with its packed form. One that is there already is replaced.
pub(super) async fn put(
    tx: &mut SqliteConnection,
    stream: Stream,
    row: &StripeRow,
    packed: &[u8],
    at: Timestamp,
) -> Result<()> {
    match stream {
        Stream::Customers => put_customer(tx, row, packed).await,
        Stream::Products => put_product(tx, row, packed).await,
        Stream::Prices => put_price(tx, row, packed).await,
        Stream::Subscriptions => put_subscription(tx, row, packed, at).await,
        Stream::Invoices => put_invoice(tx, row, packed).await,
        Stream::Charges => put_charge(tx, row, packed).await,
        Stream::Refunds => put_refund(tx, row, packed).await,
        Stream::Disputes => put_dispute(tx, row, packed).await,
        Stream::Events => put_event(tx, row).await,
    }
}

fn text<'a>(raw: &'a Value, pointer: &str) -> Option<&'a str> {
    raw.pointer(pointer).and_then(Value::as_str)
}

fn number(raw: &Value, pointer: &str) -> Option<i64> {
    raw.pointer(pointer).and_then(Value::as_i64)
}

fn flag(raw: &Value, pointer: &str) -> Option<bool> {
    raw.pointer(pointer).and_then(Value::as_bool)
}

/// The id of something that Stripe names by its id or, where it was asked to expand it, in full.
fn reference<'a>(raw: &'a Value, pointer: &str) -> Option<&'a str> {
    match raw.pointer(pointer)? {
        Value::String(id) => Some(id),
        object => object.get("id")?.as_str(),
    }
}

async fn put_customer(tx: &mut SqliteConnection, row: &StripeRow, packed: &[u8]) -> Result<()> {
    let raw = &row.raw;
    if flag(raw, "/deleted") == Some(true) {
        // Stripe says only the id of a deleted one; what was known of it stays.
        sqlx::query(
            "INSERT INTO stripe_customers (id, created, payment_method, livemode, deleted, packed)
             VALUES (?1, ?2, 0, ?3, 1, ?4) ON CONFLICT (id) DO UPDATE SET deleted = 1",
        )
        .bind(&row.id)
        .bind(row.created)
        .bind(flag(raw, "/livemode").unwrap_or(true))
        .bind(packed)
        .execute(tx)
        .await?;
        return Ok(());
    }
    let pays = reference(raw, "/invoice_settings/default_payment_method").is_some()
        || reference(raw, "/default_source").is_some();
    sqlx::query(
        "INSERT INTO stripe_customers (id, created, email, payment_method, livemode, deleted, discounted, packed)
         VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7)
         ON CONFLICT (id) DO UPDATE SET
             created = excluded.created, email = excluded.email, payment_method = excluded.payment_method,
             livemode = excluded.livemode, deleted = 0, discounted = excluded.discounted, packed = excluded.packed",
    )
    .bind(&row.id)
    .bind(row.created)
    .bind(text(raw, "/email"))
    .bind(pays)
    .bind(flag(raw, "/livemode").unwrap_or(true))
    .bind(raw.get("discount").is_some_and(|it| !it.is_null()))
    .bind(packed)
    .execute(tx)
    .await?;
    Ok(())
}

async fn put_product(tx: &mut SqliteConnection, row: &StripeRow, packed: &[u8]) -> Result<()> {
    sqlx::query(
        "INSERT INTO stripe_products (id, created, name, active, packed) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO UPDATE SET
             created = excluded.created, name = excluded.name, active = excluded.active, packed = excluded.packed",
    )
    .bind(&row.id)
    .bind(row.created)
    .bind(text(&row.raw, "/name"))
    .bind(flag(&row.raw, "/active"))
    .bind(packed)
    .execute(tx)
    .await?;
    Ok(())
}

async fn put_price(tx: &mut SqliteConnection, row: &StripeRow, packed: &[u8]) -> Result<()> {
    sqlx::query(
        "INSERT INTO stripe_prices (id, created, product, currency, unit_amount, active, packed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (id) DO UPDATE SET
             created = excluded.created, product = excluded.product, currency = excluded.currency,
             unit_amount = excluded.unit_amount, active = excluded.active, packed = excluded.packed",
    )
    .bind(&row.id)
    .bind(row.created)
    .bind(reference(&row.raw, "/product"))
    .bind(text(&row.raw, "/currency"))
    .bind(number(&row.raw, "/unit_amount"))
    .bind(flag(&row.raw, "/active"))
    .bind(packed)
    .execute(tx)
    .await?;
    Ok(())
}

/// When the running period ends: at the items since API version basil, before that at the subscription.
fn period_end(raw: &Value) -> Option<i64> {
    let items = raw.pointer("/items/data").and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| number(item, "/current_period_end")).max().or_else(|| number(raw, "/current_period_end"))
}

async fn put_subscription(tx: &mut SqliteConnection, row: &StripeRow, packed: &[u8], at: Timestamp) -> Result<()> {
    let raw = &row.raw;
    let revenue = revenue_facts::revenue(&mut *tx, raw, at).await?;
    let pays = reference(raw, "/default_payment_method").is_some() || reference(raw, "/default_source").is_some();
    sqlx::query(
        "INSERT INTO stripe_subscriptions (
             id, created, customer, status, currency, started_at, ended_at, current_period_end,
             cancel_at_period_end, payment_method, counted, mrr, mrr_lost, including_tax, mrr_fault,
             packed
         ) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
         ON CONFLICT (id) DO UPDATE SET
             created = excluded.created, customer = excluded.customer, status = excluded.status,
             currency = excluded.currency, started_at = excluded.started_at, ended_at = excluded.ended_at,
             current_period_end = excluded.current_period_end,
             cancel_at_period_end = excluded.cancel_at_period_end, payment_method = excluded.payment_method,
             counted = excluded.counted, mrr = excluded.mrr, mrr_lost = excluded.mrr_lost,
             including_tax = excluded.including_tax, mrr_fault = excluded.mrr_fault, packed = excluded.packed",
    )
    .bind(&row.id)
    .bind(row.created)
    .bind(reference(raw, "/customer"))
    .bind(text(raw, "/status").unwrap_or("unknown"))
    .bind(text(raw, "/currency").unwrap_or_default().to_ascii_lowercase())
    .bind(seconds(number(raw, "/start_date").or(Some(row.created))))
    .bind(seconds(number(raw, "/ended_at")))
    .bind(seconds(period_end(raw)))
    .bind(flag(raw, "/cancel_at_period_end").unwrap_or(false))
    .bind(pays)
    .bind(revenue.counted)
    .bind(revenue.mrr)
    .bind(revenue.lost)
    .bind(revenue.including_tax)
    .bind(revenue.fault)
    .bind(packed)
    .execute(tx)
    .await?;
    Ok(())
}

/// Stripe's seconds as the milliseconds that everything here counts in.
fn seconds(value: Option<i64>) -> Option<i64> {
    value.map(|it| it.saturating_mul(1000))
}

async fn put_invoice(tx: &mut SqliteConnection, row: &StripeRow, packed: &[u8]) -> Result<()> {
    let raw = &row.raw;
    let number_text = text(raw, "/number");
    let amount = |pointer: &str| number(raw, pointer).unwrap_or(0);
    sqlx::query(
        "INSERT INTO stripe_invoices (
             id, created, customer, subscription, number, number_key, status, currency, total, amount_due,
             amount_paid, amount_remaining, attempt_count, paid_at, packed
         ) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
         ON CONFLICT (id) DO UPDATE SET
             created = excluded.created, customer = excluded.customer, subscription = excluded.subscription,
             number = excluded.number, number_key = excluded.number_key, status = excluded.status,
             currency = excluded.currency, total = excluded.total, amount_due = excluded.amount_due,
             amount_paid = excluded.amount_paid, amount_remaining = excluded.amount_remaining,
             attempt_count = excluded.attempt_count, paid_at = excluded.paid_at, packed = excluded.packed",
    )
    .bind(&row.id)
    .bind(row.created)
    .bind(reference(raw, "/customer"))
    .bind(reference(raw, "/parent/subscription_details/subscription").or_else(|| reference(raw, "/subscription")))
    .bind(number_text)
    .bind(number_text.map(fold))
    .bind(text(raw, "/status").unwrap_or("draft"))
    .bind(text(raw, "/currency").unwrap_or_default().to_ascii_lowercase())
    .bind(amount("/total"))
    .bind(amount("/amount_due"))
    .bind(amount("/amount_paid"))
    .bind(amount("/amount_remaining"))
    .bind(amount("/attempt_count"))
    .bind(seconds(number(raw, "/status_transitions/paid_at")))
    .bind(packed)
    .execute(tx)
    .await?;
    Ok(())
}

async fn put_charge(tx: &mut SqliteConnection, row: &StripeRow, packed: &[u8]) -> Result<()> {
    let raw = &row.raw;
    sqlx::query(
        "INSERT INTO stripe_charges (id, created, customer, status, currency, amount, amount_refunded, paid, packed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (id) DO UPDATE SET
             created = excluded.created, customer = excluded.customer, status = excluded.status,
             currency = excluded.currency, amount = excluded.amount, amount_refunded = excluded.amount_refunded,
             paid = excluded.paid, packed = excluded.packed",
    )
    .bind(&row.id)
    .bind(row.created)
    .bind(reference(raw, "/customer"))
    .bind(text(raw, "/status"))
    .bind(text(raw, "/currency"))
    .bind(number(raw, "/amount"))
    .bind(number(raw, "/amount_refunded"))
    .bind(flag(raw, "/paid"))
    .bind(packed)
    .execute(tx)
    .await?;
    Ok(())
}

async fn put_refund(tx: &mut SqliteConnection, row: &StripeRow, packed: &[u8]) -> Result<()> {
    let raw = &row.raw;
    sqlx::query(
        "INSERT INTO stripe_refunds (id, created, charge, status, currency, amount, packed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (id) DO UPDATE SET
             created = excluded.created, charge = excluded.charge, status = excluded.status,
             currency = excluded.currency, amount = excluded.amount, packed = excluded.packed",
    )
    .bind(&row.id)
    .bind(row.created)
    .bind(reference(raw, "/charge"))
    .bind(text(raw, "/status"))
    .bind(text(raw, "/currency"))
    .bind(number(raw, "/amount"))
    .bind(packed)
    .execute(tx)
    .await?;
    Ok(())
}

async fn put_dispute(tx: &mut SqliteConnection, row: &StripeRow, packed: &[u8]) -> Result<()> {
    let raw = &row.raw;
    sqlx::query(
        "INSERT INTO stripe_disputes (id, created, charge, status, reason, currency, amount, packed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (id) DO UPDATE SET
             created = excluded.created, charge = excluded.charge, status = excluded.status,
             reason = excluded.reason, currency = excluded.currency, amount = excluded.amount, packed = excluded.packed",
    )
    .bind(&row.id)
    .bind(row.created)
    .bind(reference(raw, "/charge"))
    .bind(text(raw, "/status"))
    .bind(text(raw, "/reason"))
    .bind(text(raw, "/currency"))
    .bind(number(raw, "/amount"))
    .bind(packed)
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes that an event was seen: which object it is about is read from the event when it comes.
async fn put_event(tx: &mut SqliteConnection, row: &StripeRow) -> Result<()> {
    sqlx::query(
        "INSERT INTO stripe_events (id, created, type, object) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO NOTHING",
    )
    .bind(&row.id)
    .bind(row.created)
    .bind(text(&row.raw, "/type"))
    .bind(text(&row.raw, "/data/object/id"))
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes what a subscription's revenue has become, the object itself being the same.
pub(super) async fn put_revenue(tx: &mut SqliteConnection, id: &str, revenue: &Revenue) -> Result<()> {
    sqlx::query(
        "UPDATE stripe_subscriptions
         SET counted = ?2, mrr = ?3, mrr_lost = ?4, including_tax = ?5, mrr_fault = ?6 WHERE id = ?1",
    )
    .bind(id)
    .bind(revenue.counted)
    .bind(revenue.mrr)
    .bind(revenue.lost)
    .bind(revenue.including_tax)
    .bind(revenue.fault.as_deref())
    .execute(tx)
    .await?;
    Ok(())
}
