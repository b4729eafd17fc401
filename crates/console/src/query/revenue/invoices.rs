//! Invoices, newest first.

use paywall_domain::Timestamp;

use super::drill::day;
use super::{ROWS, payer, payment_failed};
use crate::cache::{Cache, CacheError, Result};
use crate::ipc::{BilledInvoice, CurrencySum, InvoicePage, InvoiceQuery, InvoiceState, InvoiceSum, Recovery};

// `?1` status or NULL, `?2` recovery or NULL, `?3` currency or NULL, `?4` and `?5` billed from and before.
macro_rules! selected {
    ($failed:expr) => {
        concat!(
            "(?1 IS NULL OR status = ?1) AND (?3 IS NULL OR currency = ?3) AND billed_at >= ?4 AND billed_at < ?5
             AND (?2 IS NULL OR ?2 = CASE status WHEN 'paid' THEN 'recovered' WHEN 'open' THEN 'waiting' ELSE 'given_up' END)",
            $failed
        )
    };
}

macro_rules! page {
    ($index:literal, $failed:expr) => {
        concat!(
            "SELECT id, number, customer, status, currency, total, amount_paid, amount_remaining, attempt_count,
                 billed_at, paid_at
             FROM stripe_invoices INDEXED BY ",
            $index,
            " WHERE ",
            selected!($failed),
            " AND (billed_at, id) < (?6, ?7) ORDER BY billed_at DESC, id DESC LIMIT ?8"
        )
    };
}

macro_rules! totals {
    ($index:literal, $failed:expr) => {
        concat!(
            "SELECT currency, count(*), sum(total) FROM stripe_invoices INDEXED BY ",
            $index,
            " WHERE ",
            selected!($failed),
            " GROUP BY currency ORDER BY count(*) DESC, currency"
        )
    };
}

const BY_TIME: (&str, &str) = (page!("stripe_invoices_by_time", ""), totals!("stripe_invoices_by_time", ""));
const BY_STATUS: (&str, &str) =
    (page!("stripe_invoices_by_status", " AND status = ?1"), totals!("stripe_invoices_by_status", " AND status = ?1"));
const FAILED: (&str, &str) = (
    page!("stripe_invoices_failed", concat!(" AND ", payment_failed!())),
    totals!("stripe_invoices_failed", concat!(" AND ", payment_failed!())),
);

/// Every statement, for the test that prepares them all.
#[cfg(test)]
pub(in crate::query) const STATEMENTS: [(&str, &str); 3] = [BY_TIME, BY_STATUS, FAILED];

/// In the order of the statements' columns: id, number, customer, status, currency, total, paid, remaining,
/// attempts, billed, paid at.
type Stored = (String, Option<String>, Option<String>, String, String, i64, i64, i64, i64, i64, Option<i64>);

impl Cache {
    /// A page of invoices.
    pub async fn invoices_page(&self, query: &InvoiceQuery) -> Result<InvoicePage> {
        let zone = self.zone().await?;
        let failed = query.failed || query.recovery.is_some();
        let (page, totals) = match query.state {
            _ if failed => FAILED,
            Some(_) => BY_STATUS,
            None => BY_TIME,
        };
        let instant = |text: &Option<String>| -> Result<Option<i64>> {
            text.as_deref().map(|it| Ok(zone.start_of(day(it)?))).transpose()
        };
        let from: Option<i64> = instant(&query.from)?;
        let to: Option<i64> = instant(&query.to)?;
        let (from, to) = (from.unwrap_or(i64::MIN), to.unwrap_or(i64::MAX));
        let (status, recovery) =
            (query.state.map(|it| it.word().unwrap_or("other")), query.recovery.map(recovery_word));
        let (at, id) = match query.cursor.as_deref() {
            Some(cursor) => {
                let (at, id) = cursor.split_once(' ').ok_or(CacheError::InvalidCursor)?;
                (at.parse().map_err(|_| CacheError::InvalidCursor)?, id)
            }
            None => (i64::MAX, ""),
        };
        let limit = i64::from(query.limit.clamp(1, ROWS));
        let rows: Vec<Stored> = sqlx::query_as(page)
            .bind(status)
            .bind(recovery)
            .bind(&query.currency)
            .bind(from)
            .bind(to)
            .bind(at)
            .bind(id)
            .bind(limit)
            .fetch_all(self.readers())
            .await?;
        let totals = if query.cursor.is_none() {
            let sums: Vec<(String, i64, i64)> = sqlx::query_as(totals)
                .bind(status)
                .bind(recovery)
                .bind(&query.currency)
                .bind(from)
                .bind(to)
                .fetch_all(self.readers())
                .await?;
            let sum = |(currency, count, amount)| CurrencySum { currency, sum: InvoiceSum { count, amount } };
            Some(sums.into_iter().map(sum).collect())
        } else {
            None
        };
        let next = rows.last().filter(|_| rows.len() as i64 == limit).map(|it| format!("{} {}", it.9, it.0));
        let ids: Vec<&str> = rows.iter().filter_map(|it| it.2.as_deref()).collect();
        let payers = self.payers(&ids).await?;
        let row = |it: Stored| {
            let (id, number, customer, status, currency, total, amount_paid, amount_remaining, attempts, billed, paid) =
                it;
            BilledInvoice {
                payer: payer(&payers, customer.as_deref().unwrap_or_default()),
                id,
                number,
                state: InvoiceState::of_word(&status),
                currency,
                total,
                amount_paid,
                amount_remaining,
                attempts,
                billed_at: Timestamp(billed),
                paid_at: paid.map(Timestamp),
            }
        };
        Ok(InvoicePage { rows: rows.into_iter().map(row).collect(), next, totals })
    }
}

fn recovery_word(recovery: Recovery) -> &'static str {
    match recovery {
        Recovery::Recovered => "recovered",
        Recovery::Waiting => "waiting",
        Recovery::GivenUp => "given_up",
    }
}
