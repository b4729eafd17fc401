//! Invoices as the facts that revenue derives from.

use std::sync::Arc;

use paywall_revenue::{Fact, InvoiceFacts, Ledger};
use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::pending;
use crate::cache::Result;
use crate::cache::stripe::Unpacking;

/// Keeps what changed of these invoices, and has their customers counted again.
pub(in crate::cache) async fn keep_invoices(tx: &mut SqliteConnection, raws: &[&Value]) -> Result<()> {
    let (mut read, mut unread) = (Vec::new(), Vec::new());
    for raw in raws {
        match InvoiceFacts::from_stripe(raw) {
            Ok(facts) => read.push(json!([&*facts.customer, &*facts.id, facts.to_kept()?])),
            Err(error) => {
                tracing::warn!(%error, "an invoice is left out of revenue");
                unread.push(json!(raw.get("id")));
            }
        }
    }
    let mut changed: Vec<(String,)> = sqlx::query_as(
        "INSERT INTO revenue_invoices (customer, id, facts)
         SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1) WHERE true
         ON CONFLICT (customer, id) DO UPDATE SET facts = excluded.facts WHERE facts <> excluded.facts
         RETURNING customer",
    )
    .bind(Value::Array(read).to_string())
    .fetch_all(&mut *tx)
    .await?;
    if !unread.is_empty() {
        let lost: Vec<(String,)> = sqlx::query_as(
            "DELETE FROM revenue_invoices WHERE (customer, id) IN (
                 SELECT i.customer, i.id FROM json_each(?1) AS who CROSS JOIN stripe_invoices AS i ON i.id = who.value
             )
             RETURNING customer",
        )
        .bind(Value::Array(unread).to_string())
        .fetch_all(&mut *tx)
        .await?;
        changed.extend(lost);
    }
    pending(tx, &changed.iter().map(|(customer,)| customer.as_str()).collect::<Vec<_>>()).await
}

/// Reads these customers' invoices, and gives who paid when.
pub(super) async fn put_invoices(
    tx: &mut SqliteConnection,
    ledger: &mut Ledger,
    ids: &str,
) -> Result<Vec<(Arc<str>, i64)>> {
    let mut paid = Vec::new();
    let mut put = |invoice: InvoiceFacts| {
        paid.extend(invoice.money_at().map(|at| (invoice.customer.clone(), at)));
        ledger.put(Fact::Invoice { seen_at: 0, invoice });
    };
    // One row for each customer: to hand a row over costs more than to cut it. Neither ids nor facts have a line's end.
    let kept: Vec<(String, String)> = sqlx::query_as(
        "SELECT customer, group_concat(id || ' ' || facts, char(10)) FROM revenue_invoices
         WHERE customer IN (SELECT value FROM json_each(?1)) GROUP BY customer",
    )
    .bind(ids)
    .fetch_all(&mut *tx)
    .await?;
    for (customer, lines) in kept {
        for (id, facts) in lines.lines().filter_map(|line| line.split_once(' ')) {
            // One that cannot be read must not keep everybody from being counted.
            match InvoiceFacts::from_kept(id, &customer, facts) {
                Ok(invoice) => put(invoice),
                Err(error) => tracing::warn!(%error, id, "an invoice is left out of revenue"),
            }
        }
    }
    let others: Vec<(String, Vec<u8>)> = sqlx::query_as(
        "SELECT sample, packed
         FROM json_each(?1) AS who
         CROSS JOIN stripe_invoices AS i INDEXED BY stripe_invoices_not_kept ON i.customer = who.value
         CROSS JOIN stripe_samples WHERE kept = 0 AND stream = 'invoices'",
    )
    .bind(ids)
    .fetch_all(tx)
    .await?;
    let Some(unpacking) = others.first().map(|(sample, _)| Unpacking::by(sample)) else { return Ok(paid) };
    for (_, packed) in others {
        let raw = match unpacking.unpack(&packed) {
            Ok(raw) => raw,
            Err(error) => {
                tracing::warn!(%error, "an invoice is left out of revenue");
                continue;
            }
        };
        match InvoiceFacts::from_stripe(&raw) {
            Ok(invoice) => put(invoice),
            Err(error) => tracing::warn!(%error, "an invoice is left out of revenue"),
        }
    }
    Ok(paid)
}
