//! Lists that are read in windows of time side by side, each with a cursor of its own.

use std::collections::BTreeMap;

use paywall_domain::Timestamp;
use paywall_stripe::Stream;
use serde_json::Value;
use sqlx::{Row, SqliteConnection};

use super::{StripeRow, put_rows};
use crate::cache::streams::{self, StreamProgress};
use crate::cache::{Cache, Result};
use crate::ipc::Source;

/// A part of a list, by `created` in seconds since 1970, that is read by itself from its newest object on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Window {
    /// Which one of its list.
    pub num: i64,
    /// Made at or after; `None` = from the first.
    pub lower: Option<i64>,
    /// Made before; `None` = to the latest.
    pub upper: Option<i64>,
    /// The last object read; `None` = nothing yet.
    pub after: Option<String>,
    /// When that one was made.
    pub reached: Option<i64>,
    /// The latest `created` seen in it; 0 of nothing.
    pub newest: i64,
    /// Objects read in it.
    pub done: i64,
    /// Whether it has been read to its end.
    pub closed: bool,
}

impl Cache {
    /// Begins to read a list anew, in one window. What is there stays until the reading's end, and is gone then
    /// where the reading did not give it.
    pub async fn begin_stripe_reading(&self, stream: Stream, cursor: &Value, at: Timestamp) -> Result<Window> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO streams (source, stream, cursor, last_success_at, reading) VALUES ('stripe', ?1, ?2, ?3, 1)
             ON CONFLICT (source, stream) DO UPDATE SET
                 cursor = excluded.cursor, unreadable = '[]', reading = reading + 1",
        )
        .bind(stream.name())
        .bind(cursor.to_string())
        .bind(at.0)
        .execute(&mut *tx)
        .await?;
        sqlx::query("DELETE FROM stripe_windows WHERE stream = ?1").bind(stream.name()).execute(&mut *tx).await?;
        let first = Window::default();
        put_window(&mut tx, stream, &first).await?;
        tx.commit().await?;
        Ok(first)
    }

    /// The windows of a list that is being read, in their order; none of one that is not.
    pub async fn stripe_windows(&self, stream: Stream) -> Result<Vec<Window>> {
        let rows = sqlx::query(
            "SELECT num, lower, upper, after, reached, newest, done, closed FROM stripe_windows
             WHERE stream = ?1 ORDER BY num",
        )
        .bind(stream.name())
        .fetch_all(self.readers())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Window {
                    num: row.try_get("num")?,
                    lower: row.try_get("lower")?,
                    upper: row.try_get("upper")?,
                    after: row.try_get("after")?,
                    reached: row.try_get("reached")?,
                    newest: row.try_get("newest")?,
                    done: row.try_get("done")?,
                    closed: row.try_get("closed")?,
                })
            })
            .collect()
    }

    /// Writes a page of one window together with the windows that it moves or makes, all or nothing.
    pub async fn apply_stripe_window(
        &self,
        stream: Stream,
        rows: &[StripeRow],
        progress: &StreamProgress,
        windows: &[Window],
        end: ReadingEnd,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        put_rows(&mut tx, stream, rows, progress.at, &BTreeMap::new()).await?;
        for window in windows {
            put_window(&mut tx, stream, window).await?;
        }
        if end != ReadingEnd::NotYet {
            sqlx::query("DELETE FROM stripe_windows WHERE stream = ?1").bind(stream.name()).execute(&mut *tx).await?;
        }
        let read: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        streams::advance(&mut tx, Source::Stripe, stream.name(), progress, &read).await?;
        if end == ReadingEnd::Sweep {
            sweep(&mut tx, stream).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Whether the copy has anything of a list.
    pub async fn has_stripe(&self, stream: Stream) -> Result<bool> {
        let statement = match stream {
            Stream::Customers => "SELECT EXISTS (SELECT 1 FROM stripe_customers)",
            Stream::Products => "SELECT EXISTS (SELECT 1 FROM stripe_products)",
            Stream::Prices => "SELECT EXISTS (SELECT 1 FROM stripe_prices)",
            Stream::Subscriptions => "SELECT EXISTS (SELECT 1 FROM stripe_subscriptions)",
            Stream::Invoices => "SELECT EXISTS (SELECT 1 FROM stripe_invoices)",
            Stream::InvoicePayments => "SELECT EXISTS (SELECT 1 FROM stripe_invoice_payments)",
            Stream::Charges => "SELECT EXISTS (SELECT 1 FROM stripe_charges)",
            Stream::Refunds => "SELECT EXISTS (SELECT 1 FROM stripe_refunds)",
            Stream::CreditNotes => "SELECT EXISTS (SELECT 1 FROM stripe_credit_notes)",
            Stream::Disputes => "SELECT EXISTS (SELECT 1 FROM stripe_disputes)",
            Stream::Events => "SELECT EXISTS (SELECT 1 FROM stripe_events)",
        };
        let (has,): (bool,) = sqlx::query_as(statement).fetch_one(self.readers()).await?;
        Ok(has)
    }
}

/// What a page means for the reading of its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadingEnd {
    /// There is more to read.
    NotYet,
    /// It was the last page; there was nothing of the list before.
    Done,
    /// It was the last page, and what the reading did not give is gone.
    Sweep,
}

async fn put_window(tx: &mut SqliteConnection, stream: Stream, window: &Window) -> Result<()> {
    sqlx::query(
        "INSERT INTO stripe_windows (stream, num, lower, upper, after, reached, newest, done, closed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (stream, num) DO UPDATE SET
             lower = excluded.lower, upper = excluded.upper, after = excluded.after, reached = excluded.reached,
             newest = excluded.newest, done = excluded.done, closed = excluded.closed",
    )
    .bind(stream.name())
    .bind(window.num)
    .bind(window.lower)
    .bind(window.upper)
    .bind(&window.after)
    .bind(window.reached)
    .bind(window.newest)
    .bind(window.done)
    .bind(window.closed)
    .execute(tx)
    .await?;
    Ok(())
}

/// Takes out what the reading that ends did not give. A customer stays, marked as deleted: its invoices still
/// name it, and Stripe's list leaves deleted ones out. What the reading gave and could not be read stays as it was.
async fn sweep(tx: &mut SqliteConnection, stream: Stream) -> Result<()> {
    let statement = match stream {
        Stream::Customers => {
            "UPDATE stripe_customers SET deleted = 1 WHERE deleted = 0 AND reading < ?1 AND id NOT IN (SELECT value FROM json_each(?2))"
        }
        Stream::Products => {
            "DELETE FROM stripe_products WHERE reading < ?1 AND id NOT IN (SELECT value FROM json_each(?2))"
        }
        Stream::Prices => {
            "DELETE FROM stripe_prices WHERE reading < ?1 AND id NOT IN (SELECT value FROM json_each(?2))"
        }
        Stream::Subscriptions => {
            "DELETE FROM stripe_subscriptions WHERE reading < ?1 AND id NOT IN (SELECT value FROM json_each(?2))"
        }
        Stream::Invoices => {
            "DELETE FROM stripe_invoices WHERE reading < ?1 AND id NOT IN (SELECT value FROM json_each(?2))"
        }
        Stream::InvoicePayments => {
            "DELETE FROM stripe_invoice_payments WHERE reading < ?1 AND id NOT IN (SELECT value FROM json_each(?2))"
        }
        Stream::Charges => {
            "DELETE FROM stripe_charges WHERE reading < ?1 AND id NOT IN (SELECT value FROM json_each(?2))"
        }
        Stream::Refunds => {
            "DELETE FROM stripe_refunds WHERE reading < ?1 AND id NOT IN (SELECT value FROM json_each(?2))"
        }
        Stream::CreditNotes => {
            "DELETE FROM stripe_credit_notes WHERE reading < ?1 AND id NOT IN (SELECT value FROM json_each(?2))"
        }
        Stream::Disputes => {
            "DELETE FROM stripe_disputes WHERE reading < ?1 AND id NOT IN (SELECT value FROM json_each(?2))"
        }
        Stream::Events => return Ok(()),
    };
    let reading = streams::reading(tx, stream.name()).await?;
    let Some(unreadable) = streams::unreadable(tx, stream.name()).await? else {
        tracing::warn!(%stream, "more objects than are noted could not be read, so that nothing is taken out");
        return Ok(());
    };
    let gone = sqlx::query(statement).bind(reading).bind(unreadable).execute(tx).await?.rows_affected();
    if gone > 0 {
        tracing::info!(%stream, gone, "what Stripe no longer lists is taken out");
    }
    Ok(())
}
