//! What Stripe says: objects by list, with the columns that screens need and the raw JSON beside them.

use paywall_domain::Timestamp;
use paywall_stripe::Stream;
use serde_json::Value;
use sqlx::SqliteConnection;

use super::revenue_facts;
use super::streams::{self, StreamProgress};
use super::{Cache, Result};
use crate::ipc::Source;

/// One object of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct StripeRow {
    /// Its id.
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// As Stripe sent it.
    pub raw: Value,
}

/// From which age on an event is forgotten: Stripe itself keeps it for 30 days.
const EVENTS_FORGOTTEN_S: i64 = 31 * 24 * 60 * 60;

/// The fact that says through which address and key Stripe's part came.
const STRIPE_SOURCE: &str = "stripe_source";

impl Cache {
    /// Writes a page of a list together with how far the list is with it. An object that is there already
    /// is replaced; feeding a page twice changes nothing.
    pub async fn apply_stripe_page(&self, stream: Stream, rows: &[StripeRow], progress: &StreamProgress) -> Result<()> {
        let mut tx = self.begin().await?;
        put_rows(&mut tx, stream, rows, progress.at).await?;
        streams::advance(&mut tx, Source::Stripe, stream.name(), progress).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Writes objects that were fetched one by one, whatever list they are of, without moving a cursor. `at`
    /// is when they were fetched.
    pub async fn apply_stripe_rows(&self, stream: Stream, rows: &[StripeRow], at: Timestamp) -> Result<()> {
        let mut tx = self.begin().await?;
        put_rows(&mut tx, stream, rows, at).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Takes out an object that Stripe says is gone. A customer stays, marked as deleted, since its
    /// invoices still name it.
    pub async fn delete_stripe(&self, stream: Stream, id: &str) -> Result<()> {
        let statement = match stream {
            Stream::Customers => "UPDATE stripe_customers SET deleted = 1 WHERE id = ?1",
            Stream::Products => "DELETE FROM stripe_products WHERE id = ?1",
            Stream::Prices => "DELETE FROM stripe_prices WHERE id = ?1",
            Stream::Subscriptions => "DELETE FROM stripe_subscriptions WHERE id = ?1",
            Stream::Invoices => "DELETE FROM stripe_invoices WHERE id = ?1",
            Stream::Charges => "DELETE FROM stripe_charges WHERE id = ?1",
            Stream::Refunds => "DELETE FROM stripe_refunds WHERE id = ?1",
            Stream::Disputes => "DELETE FROM stripe_disputes WHERE id = ?1",
            Stream::Events => "DELETE FROM stripe_events WHERE id = ?1",
        };
        let mut tx = self.begin().await?;
        sqlx::query(statement).bind(id).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Makes sure that what is here came from the account behind `source`, a mark of Stripe's address and key.
    /// What came by another one is forgotten: two accounts must not mix, and a key does not tell its account.
    pub async fn keep_stripe_of(&self, source: &str) -> Result<()> {
        match self.fact(STRIPE_SOURCE).await? {
            Some(known) if known == source => return Ok(()),
            Some(_) => self.reset_stripe_data().await?,
            None => {}
        }
        self.set_fact(STRIPE_SOURCE, source).await
    }

    /// Forgets everything that came from Stripe, with its cursors: for another account's key.
    pub async fn reset_stripe_data(&self) -> Result<()> {
        let mut tx = self.begin().await?;
        for statement in [
            "DELETE FROM stripe_customers",
            "DELETE FROM stripe_products",
            "DELETE FROM stripe_prices",
            "DELETE FROM stripe_subscriptions",
            "DELETE FROM stripe_invoices",
            "DELETE FROM stripe_charges",
            "DELETE FROM stripe_refunds",
            "DELETE FROM stripe_disputes",
            "DELETE FROM stripe_events",
            "DELETE FROM streams WHERE source = 'stripe'",
        ] {
            sqlx::query(statement).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// The raw objects of those ids in a list, for what is not in a column.
    pub async fn stripe_raw(&self, stream: Stream, ids: &[String]) -> Result<Vec<Value>> {
        let statement = match stream {
            Stream::Customers => {
                "SELECT raw FROM stripe_customers WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id"
            }
            Stream::Products => {
                "SELECT raw FROM stripe_products WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id"
            }
            Stream::Prices => "SELECT raw FROM stripe_prices WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id",
            Stream::Subscriptions => {
                "SELECT raw FROM stripe_subscriptions WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id"
            }
            Stream::Invoices => {
                "SELECT raw FROM stripe_invoices WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id"
            }
            Stream::Charges => {
                "SELECT raw FROM stripe_charges WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id"
            }
            Stream::Refunds => {
                "SELECT raw FROM stripe_refunds WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id"
            }
            Stream::Disputes => {
                "SELECT raw FROM stripe_disputes WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id"
            }
            Stream::Events => "SELECT raw FROM stripe_events WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id",
        };
        let rows: Vec<(String,)> =
            sqlx::query_as(statement).bind(serde_json::to_string(ids)?).fetch_all(self.readers()).await?;
        rows.into_iter().map(|(text,)| Ok(serde_json::from_str(&text)?)).collect()
    }
}

async fn put_rows(tx: &mut SqliteConnection, stream: Stream, rows: &[StripeRow], at: Timestamp) -> Result<()> {
    // Lists come newest first, and ids grow with time: in the order of the key a page fills neighbouring
    // leaves of the tree instead of scattered ones.
    let was_discounted = if stream == Stream::Customers { discounted_customers(tx, rows).await? } else { Vec::new() };
    let mut sorted: Vec<&StripeRow> = rows.iter().collect();
    sorted.sort_by(|a, b| a.id.cmp(&b.id));
    for row in sorted {
        match stream {
            Stream::Customers => put_customer(tx, row).await?,
            Stream::Products => put_product(tx, row).await?,
            Stream::Prices => put_price(tx, row).await?,
            Stream::Subscriptions => put_subscription(tx, row, at).await?,
            Stream::Invoices => put_invoice(tx, row).await?,
            Stream::Charges => put_charge(tx, row).await?,
            Stream::Refunds => put_refund(tx, row).await?,
            Stream::Disputes => put_dispute(tx, row).await?,
            Stream::Events => put_event(tx, row).await?,
        }
    }
    match stream {
        Stream::Prices => recompute(tx, Dependents::Faulty, at).await,
        Stream::Customers => {
            let discounted = rows.iter().filter(|row| row.raw.get("discount").is_some_and(Value::is_object));
            let ids: Vec<&str> =
                discounted.map(|row| row.id.as_str()).chain(was_discounted.iter().map(String::as_str)).collect();
            if ids.is_empty() { Ok(()) } else { recompute(tx, Dependents::Customers(&ids), at).await }
        }
        Stream::Events => prune_events(tx, at).await,
        _ => Ok(()),
    }
}

/// Which of these customers have a discount of their own in the copy, before the rows are written.
async fn discounted_customers(tx: &mut SqliteConnection, rows: &[StripeRow]) -> Result<Vec<String>> {
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let found: Vec<(String,)> = sqlx::query_as(
        "SELECT id FROM stripe_customers
         WHERE id IN (SELECT value FROM json_each(?1)) AND json_extract(raw, '$.discount') IS NOT NULL",
    )
    .bind(serde_json::to_string(&ids)?)
    .fetch_all(tx)
    .await?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}

/// Forgets events that Stripe itself no longer has: they only tell which ones were acted on.
async fn prune_events(tx: &mut SqliteConnection, at: Timestamp) -> Result<()> {
    sqlx::query("DELETE FROM stripe_events WHERE created < ?1")
        .bind(at.0 / 1000 - EVENTS_FORGOTTEN_S)
        .execute(tx)
        .await?;
    Ok(())
}

/// Subscriptions whose revenue rests on objects that came after them: the lists are read side by side.
enum Dependents<'a> {
    /// Those whose revenue could not be told, perhaps for want of a price.
    Faulty,
    /// Those of customers with a discount of their own.
    Customers(&'a [&'a str]),
}

async fn recompute(tx: &mut SqliteConnection, which: Dependents<'_>, at: Timestamp) -> Result<()> {
    let stored: Vec<(String, i64, String)> = match which {
        Dependents::Faulty => {
            sqlx::query_as("SELECT id, created, raw FROM stripe_subscriptions WHERE mrr_fault IS NOT NULL")
                .fetch_all(&mut *tx)
                .await?
        }
        Dependents::Customers(ids) => {
            sqlx::query_as(
                "SELECT id, created, raw FROM stripe_subscriptions
                 WHERE customer IN (SELECT value FROM json_each(?1))",
            )
            .bind(serde_json::to_string(ids)?)
            .fetch_all(&mut *tx)
            .await?
        }
    };
    for (id, created, raw) in stored {
        put_subscription(tx, &StripeRow { id, created, raw: serde_json::from_str(&raw)? }, at).await?;
    }
    Ok(())
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

async fn put_customer(tx: &mut SqliteConnection, row: &StripeRow) -> Result<()> {
    let raw = &row.raw;
    if flag(raw, "/deleted") == Some(true) {
        // Stripe says only the id of a deleted one; what was known of it stays.
        sqlx::query(
            "INSERT INTO stripe_customers (id, created, payment_method, livemode, deleted, raw)
             VALUES (?1, ?2, 0, ?3, 1, ?4) ON CONFLICT (id) DO UPDATE SET deleted = 1",
        )
        .bind(&row.id)
        .bind(row.created)
        .bind(flag(raw, "/livemode").unwrap_or(true))
        .bind(raw.to_string())
        .execute(tx)
        .await?;
        return Ok(());
    }
    let pays = reference(raw, "/invoice_settings/default_payment_method").is_some()
        || reference(raw, "/default_source").is_some();
    sqlx::query(
        "INSERT INTO stripe_customers (id, created, email, payment_method, livemode, deleted, raw)
         VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6)
         ON CONFLICT (id) DO UPDATE SET
             created = excluded.created, email = excluded.email, payment_method = excluded.payment_method,
             livemode = excluded.livemode, deleted = 0, raw = excluded.raw",
    )
    .bind(&row.id)
    .bind(row.created)
    .bind(text(raw, "/email"))
    .bind(pays)
    .bind(flag(raw, "/livemode").unwrap_or(true))
    .bind(raw.to_string())
    .execute(tx)
    .await?;
    Ok(())
}

async fn put_product(tx: &mut SqliteConnection, row: &StripeRow) -> Result<()> {
    sqlx::query(
        "INSERT INTO stripe_products (id, created, name, active, raw) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO UPDATE SET
             created = excluded.created, name = excluded.name, active = excluded.active, raw = excluded.raw",
    )
    .bind(&row.id)
    .bind(row.created)
    .bind(text(&row.raw, "/name"))
    .bind(flag(&row.raw, "/active"))
    .bind(row.raw.to_string())
    .execute(tx)
    .await?;
    Ok(())
}

async fn put_price(tx: &mut SqliteConnection, row: &StripeRow) -> Result<()> {
    sqlx::query(
        "INSERT INTO stripe_prices (id, created, product, currency, unit_amount, active, raw)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (id) DO UPDATE SET
             created = excluded.created, product = excluded.product, currency = excluded.currency,
             unit_amount = excluded.unit_amount, active = excluded.active, raw = excluded.raw",
    )
    .bind(&row.id)
    .bind(row.created)
    .bind(reference(&row.raw, "/product"))
    .bind(text(&row.raw, "/currency"))
    .bind(number(&row.raw, "/unit_amount"))
    .bind(flag(&row.raw, "/active"))
    .bind(row.raw.to_string())
    .execute(tx)
    .await?;
    Ok(())
}

/// When the running period ends: at the items since API version basil, before that at the subscription.
fn period_end(raw: &Value) -> Option<i64> {
    let items = raw.pointer("/items/data").and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| number(item, "/current_period_end")).max().or_else(|| number(raw, "/current_period_end"))
}

async fn put_subscription(tx: &mut SqliteConnection, row: &StripeRow, at: Timestamp) -> Result<()> {
    let raw = &row.raw;
    let revenue = revenue_facts::revenue(&mut *tx, raw, at).await?;
    let pays = reference(raw, "/default_payment_method").is_some() || reference(raw, "/default_source").is_some();
    sqlx::query(
        "INSERT INTO stripe_subscriptions (
             id, created, customer, status, currency, started_at, ended_at, current_period_end,
             cancel_at_period_end, payment_method, counted, mrr, mrr_lost, including_tax, mrr_fault,
             raw
         ) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
         ON CONFLICT (id) DO UPDATE SET
             created = excluded.created, customer = excluded.customer, status = excluded.status,
             currency = excluded.currency, started_at = excluded.started_at, ended_at = excluded.ended_at,
             current_period_end = excluded.current_period_end,
             cancel_at_period_end = excluded.cancel_at_period_end, payment_method = excluded.payment_method,
             counted = excluded.counted, mrr = excluded.mrr, mrr_lost = excluded.mrr_lost,
             including_tax = excluded.including_tax, mrr_fault = excluded.mrr_fault, raw = excluded.raw",
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
    .bind(raw.to_string())
    .execute(tx)
    .await?;
    Ok(())
}

/// Stripe's seconds as the milliseconds that everything here counts in.
fn seconds(value: Option<i64>) -> Option<i64> {
    value.map(|it| it.saturating_mul(1000))
}

async fn put_invoice(tx: &mut SqliteConnection, row: &StripeRow) -> Result<()> {
    let raw = &row.raw;
    let number_text = text(raw, "/number");
    let amount = |pointer: &str| number(raw, pointer).unwrap_or(0);
    sqlx::query(
        "INSERT INTO stripe_invoices (
             id, created, customer, subscription, number, number_key, status, currency, total, amount_due,
             amount_paid, amount_remaining, attempt_count, paid_at, raw
         ) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
         ON CONFLICT (id) DO UPDATE SET
             created = excluded.created, customer = excluded.customer, subscription = excluded.subscription,
             number = excluded.number, number_key = excluded.number_key, status = excluded.status,
             currency = excluded.currency, total = excluded.total, amount_due = excluded.amount_due,
             amount_paid = excluded.amount_paid, amount_remaining = excluded.amount_remaining,
             attempt_count = excluded.attempt_count, paid_at = excluded.paid_at, raw = excluded.raw",
    )
    .bind(&row.id)
    .bind(row.created)
    .bind(reference(raw, "/customer"))
    .bind(reference(raw, "/parent/subscription_details/subscription").or_else(|| reference(raw, "/subscription")))
    .bind(number_text)
    .bind(number_text.map(super::fold))
    .bind(text(raw, "/status").unwrap_or("draft"))
    .bind(text(raw, "/currency").unwrap_or_default().to_ascii_lowercase())
    .bind(amount("/total"))
    .bind(amount("/amount_due"))
    .bind(amount("/amount_paid"))
    .bind(amount("/amount_remaining"))
    .bind(amount("/attempt_count"))
    .bind(seconds(number(raw, "/status_transitions/paid_at")))
    .bind(raw.to_string())
    .execute(tx)
    .await?;
    Ok(())
}

async fn put_charge(tx: &mut SqliteConnection, row: &StripeRow) -> Result<()> {
    let raw = &row.raw;
    sqlx::query(
        "INSERT INTO stripe_charges (id, created, customer, status, currency, amount, amount_refunded, paid, raw)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (id) DO UPDATE SET
             created = excluded.created, customer = excluded.customer, status = excluded.status,
             currency = excluded.currency, amount = excluded.amount, amount_refunded = excluded.amount_refunded,
             paid = excluded.paid, raw = excluded.raw",
    )
    .bind(&row.id)
    .bind(row.created)
    .bind(reference(raw, "/customer"))
    .bind(text(raw, "/status"))
    .bind(text(raw, "/currency"))
    .bind(number(raw, "/amount"))
    .bind(number(raw, "/amount_refunded"))
    .bind(flag(raw, "/paid"))
    .bind(raw.to_string())
    .execute(tx)
    .await?;
    Ok(())
}

async fn put_refund(tx: &mut SqliteConnection, row: &StripeRow) -> Result<()> {
    let raw = &row.raw;
    sqlx::query(
        "INSERT INTO stripe_refunds (id, created, charge, status, currency, amount, raw)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (id) DO UPDATE SET
             created = excluded.created, charge = excluded.charge, status = excluded.status,
             currency = excluded.currency, amount = excluded.amount, raw = excluded.raw",
    )
    .bind(&row.id)
    .bind(row.created)
    .bind(reference(raw, "/charge"))
    .bind(text(raw, "/status"))
    .bind(text(raw, "/currency"))
    .bind(number(raw, "/amount"))
    .bind(raw.to_string())
    .execute(tx)
    .await?;
    Ok(())
}

async fn put_dispute(tx: &mut SqliteConnection, row: &StripeRow) -> Result<()> {
    let raw = &row.raw;
    sqlx::query(
        "INSERT INTO stripe_disputes (id, created, charge, status, reason, currency, amount, raw)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (id) DO UPDATE SET
             created = excluded.created, charge = excluded.charge, status = excluded.status,
             reason = excluded.reason, currency = excluded.currency, amount = excluded.amount, raw = excluded.raw",
    )
    .bind(&row.id)
    .bind(row.created)
    .bind(reference(raw, "/charge"))
    .bind(text(raw, "/status"))
    .bind(text(raw, "/reason"))
    .bind(text(raw, "/currency"))
    .bind(number(raw, "/amount"))
    .bind(raw.to_string())
    .execute(tx)
    .await?;
    Ok(())
}

async fn put_event(tx: &mut SqliteConnection, row: &StripeRow) -> Result<()> {
    sqlx::query(
        "INSERT INTO stripe_events (id, created, type, object, raw) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(&row.id)
    .bind(row.created)
    .bind(text(&row.raw, "/type"))
    .bind(text(&row.raw, "/data/object/id"))
    .bind(row.raw.to_string())
    .execute(tx)
    .await?;
    Ok(())
}
