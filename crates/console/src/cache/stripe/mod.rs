//! What Stripe says: objects by list, with the columns that screens need and the raw JSON, packed, beside them.

mod left_out;
pub(in crate::cache) mod packing;
mod revenue_facts;
mod rows;
mod versions;
mod windows;

use std::collections::{BTreeMap, HashMap, HashSet};

use paywall_domain::Timestamp;
use paywall_stripe::Stream;
use serde_json::Value;
use sqlx::SqliteConnection;

use super::revenue::{keep_invoices, pending, put_snapshots};
use super::streams::{self, StreamProgress};
use super::{Cache, Result};
use crate::ipc::Source;
use packing::Packing;
pub(in crate::cache) use packing::Unpacking;
use revenue_facts::Counted;
use rows::Batch;
pub use windows::{ReadingEnd, Window};

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

// Objects of a list by their ids (`?1`, a JSON array), with the sample that they were packed against.
macro_rules! packed {
    ($list:literal) => {
        concat!(
            "SELECT sample, packed FROM stripe_",
            $list,
            ", stripe_samples WHERE stream = '",
            $list,
            "' AND id IN (SELECT value FROM json_each(?1)) ORDER BY id"
        )
    };
}

impl Cache {
    /// Writes a page of a list together with how far the list is with it. An object that is there already
    /// is replaced; feeding a page twice changes nothing.
    pub async fn apply_stripe_page(&self, stream: Stream, rows: &[StripeRow], progress: &StreamProgress) -> Result<()> {
        let mut tx = self.begin().await?;
        put_rows(&mut tx, stream, rows, progress.at, &BTreeMap::new()).await?;
        let read: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        streams::advance(&mut tx, Source::Stripe, stream.name(), progress, &read).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Writes objects that were fetched one by one, whatever list they are of, without moving a cursor. `at`
    /// is when they were fetched; where it is known since when an object is as it was read, `changed` says so by
    /// its id, and its revenue moves then.
    pub async fn apply_stripe_rows(
        &self,
        stream: Stream,
        rows: &[StripeRow],
        at: Timestamp,
        changed: &BTreeMap<String, Timestamp>,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        put_rows(&mut tx, stream, rows, at, changed).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Takes out an object that Stripe says is gone. A customer stays, marked as deleted, since its
    /// invoices still name it.
    pub async fn delete_stripe(&self, stream: Stream, id: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        left_out::gone(&mut tx, stream, id).await?;
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
            "DELETE FROM stripe_invoice_payments",
            "DELETE FROM stripe_credit_notes",
            "DELETE FROM stripe_windows",
            "DELETE FROM stripe_test_customers",
            "DELETE FROM stripe_versions",
            "DELETE FROM stripe_samples",
            "DELETE FROM streams WHERE source = 'stripe'",
        ] {
            sqlx::query(statement).execute(&mut *tx).await?;
        }
        super::revenue::forget_all(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The raw objects of those ids in a list, for what is not in a column. Of an event nothing is kept but
    /// that it was seen: see [`Cache::events_seen`].
    pub async fn stripe_raw(&self, stream: Stream, ids: &[String]) -> Result<Vec<Value>> {
        let statement = match stream {
            Stream::Customers => packed!("customers"),
            Stream::Products => packed!("products"),
            Stream::Prices => packed!("prices"),
            Stream::Subscriptions => packed!("subscriptions"),
            Stream::Invoices => packed!("invoices"),
            Stream::InvoicePayments => packed!("invoice_payments"),
            Stream::Charges => packed!("charges"),
            Stream::Refunds => packed!("refunds"),
            Stream::CreditNotes => packed!("credit_notes"),
            Stream::Disputes => packed!("disputes"),
            Stream::Events => return Ok(Vec::new()),
        };
        let rows: Vec<(String, Vec<u8>)> =
            sqlx::query_as(statement).bind(serde_json::to_string(ids)?).fetch_all(self.readers()).await?;
        let Some(unpacking) = rows.first().map(|(sample, _)| Unpacking::by(sample)) else { return Ok(Vec::new()) };
        rows.iter().map(|(_, packed)| unpacking.unpack(packed)).collect()
    }

    /// Which of these events are in the copy, that is, were acted on.
    pub async fn events_seen(&self, ids: &[String]) -> Result<HashSet<String>> {
        let rows: Vec<(String,)> =
            sqlx::query_as("SELECT id FROM stripe_events WHERE id IN (SELECT value FROM json_each(?1))")
                .bind(serde_json::to_string(ids)?)
                .fetch_all(self.readers())
                .await?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }
}

async fn put_rows(
    tx: &mut SqliteConnection,
    stream: Stream,
    rows: &[StripeRow],
    at: Timestamp,
    changed: &BTreeMap<String, Timestamp>,
) -> Result<()> {
    let rows = left_out::kept(tx, stream, rows).await?;
    let was_discounted = if stream == Stream::Customers { discounted_customers(tx, &rows).await? } else { Vec::new() };
    let mut sorted = rows.clone();
    // Lists come newest first, and ids grow with time: in the order of the key a page fills neighbouring
    // leaves of the tree instead of scattered ones.
    sorted.sort_by(|a, b| a.id.cmp(&b.id));
    // Of one that a page has twice, the later is how it is.
    sorted.reverse();
    sorted.dedup_by(|a, b| a.id == b.id);
    sorted.reverse();
    let counted = if stream == Stream::Subscriptions { counted(tx, &sorted, at).await? } else { HashMap::new() };
    // Of an event nothing is kept but that it was seen.
    let mut packing = if stream == Stream::Events { None } else { Packing::of(tx, stream, &sorted).await? };
    let mut batch = Batch::of(stream);
    for row in sorted {
        let packed = packing.as_mut().map(|it| it.pack(&row.raw)).transpose()?.unwrap_or_default();
        batch.add(&row.id, row.created, &row.raw, &packed, counted.get(&row.id).map(|it| &it.revenue));
    }
    let reading = streams::reading(tx, stream.name()).await?;
    let was_faulty = if stream == Stream::Subscriptions { payers_of_faulty(tx, &rows).await? } else { Vec::new() };
    batch.put(tx, reading).await?;
    match stream {
        Stream::Subscriptions => {
            let seen = counted
                .iter()
                .filter_map(|(id, it)| it.seen(changed.get(id).copied().filter(|changed| *changed < at).unwrap_or(at)));
            put_snapshots(tx, &seen.collect::<Vec<_>>()).await?;
            let faulty = counted.values().filter_map(Counted::faulty);
            pending(tx, &faulty.chain(was_faulty.iter().map(String::as_str)).collect::<Vec<_>>()).await
        }
        Stream::Invoices => {
            let owned = rows.iter().map(|row| &row.raw).filter(|raw| rows::reference(raw, "/customer").is_some());
            keep_invoices(tx, &owned.collect::<Vec<_>>()).await
        }
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

/// What the subscriptions of a page bring in, by their ids.
async fn counted(tx: &mut SqliteConnection, rows: &[&StripeRow], at: Timestamp) -> Result<HashMap<String, Counted>> {
    let owners: Vec<&str> = rows.iter().filter_map(|row| rows::reference(&row.raw, "/customer")).collect();
    let customers = revenue_facts::discounted(tx, &owners).await?;
    let mut counted = HashMap::with_capacity(rows.len());
    for row in rows {
        let customer = rows::reference(&row.raw, "/customer").and_then(|id| customers.get(id));
        counted.insert(row.id.clone(), revenue_facts::counted(tx, &row.raw, customer, at).await?);
    }
    Ok(counted)
}

/// Whose of these subscriptions could not be told in the copy, before the rows are written.
async fn payers_of_faulty(tx: &mut SqliteConnection, rows: &[&StripeRow]) -> Result<Vec<String>> {
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let found: Vec<(String,)> = sqlx::query_as(
        "SELECT customer FROM stripe_subscriptions
         WHERE id IN (SELECT value FROM json_each(?1)) AND mrr_fault IS NOT NULL AND customer IS NOT NULL",
    )
    .bind(serde_json::to_string(&ids)?)
    .fetch_all(tx)
    .await?;
    Ok(found.into_iter().map(|(customer,)| customer).collect())
}

/// Which of these customers have a discount of their own in the copy, before the rows are written.
async fn discounted_customers(tx: &mut SqliteConnection, rows: &[&StripeRow]) -> Result<Vec<String>> {
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let found: Vec<(String,)> = sqlx::query_as(
        "SELECT id FROM stripe_customers
         WHERE id IN (SELECT value FROM json_each(?1)) AND discounted = 1",
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
    let stored: Vec<(String, Vec<u8>, String)> = match which {
        Dependents::Faulty => {
            sqlx::query_as(
                "SELECT sample, packed, id FROM stripe_subscriptions, stripe_samples
                 WHERE mrr_fault IS NOT NULL AND stream = 'subscriptions'",
            )
            .fetch_all(&mut *tx)
            .await?
        }
        Dependents::Customers(ids) => {
            sqlx::query_as(
                "SELECT sample, packed, id FROM stripe_subscriptions, stripe_samples
                 WHERE customer IN (SELECT value FROM json_each(?1)) AND stream = 'subscriptions'",
            )
            .bind(serde_json::to_string(ids)?)
            .fetch_all(&mut *tx)
            .await?
        }
    };
    let Some(unpacking) = stored.first().map(|(sample, ..)| Unpacking::by(sample)) else { return Ok(()) };
    for (_, packed, id) in stored {
        let raw = unpacking.unpack(&packed)?;
        let owner: Vec<&str> = rows::reference(&raw, "/customer").into_iter().collect();
        let customers = revenue_facts::discounted(tx, &owner).await?;
        let counted = revenue_facts::counted(tx, &raw, customers.values().next(), at).await?;
        rows::put_revenue(tx, &id, &counted.revenue).await?;
        // It may have become one that can be told, or one that cannot.
        pending(tx, &owner).await?;
        put_snapshots(tx, &counted.seen(at).into_iter().collect::<Vec<_>>()).await?;
    }
    Ok(())
}
