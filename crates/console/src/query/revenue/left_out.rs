//! Subscriptions that are in no figure, and why.

use super::{ROWS, payer};
use crate::cache::{Cache, CacheError, Result};
use crate::ipc::{LeftOutPage, LeftOutQuery, LeftOutRow};

impl Cache {
    /// A page of the subscriptions of a currency whose revenue cannot be told, by customer.
    pub async fn left_out(&self, query: &LeftOutQuery) -> Result<LeftOutPage> {
        let limit = i64::from(query.limit.clamp(1, ROWS));
        let (customer, id) = match &query.cursor {
            Some(cursor) => cursor.split_once(' ').ok_or(CacheError::InvalidCursor)?,
            None => ("", ""),
        };
        let (total,): (i64,) = sqlx::query_as(
            "SELECT count(*) FROM stripe_subscriptions INDEXED BY stripe_subscriptions_untold
             WHERE mrr_fault IS NOT NULL AND customer IS NOT NULL AND currency = ?1",
        )
        .bind(&query.currency)
        .fetch_one(self.readers())
        .await?;
        let rows: Vec<(String, String, String)> = sqlx::query_as(
            "SELECT customer, id, mrr_fault FROM stripe_subscriptions INDEXED BY stripe_subscriptions_untold
             WHERE mrr_fault IS NOT NULL AND currency = ?1 AND (customer, id) > (?2, ?3)
             ORDER BY customer, id LIMIT ?4",
        )
        .bind(&query.currency)
        .bind(customer)
        .bind(id)
        .bind(limit)
        .fetch_all(self.readers())
        .await?;
        let next = rows.last().filter(|_| rows.len() as i64 == limit).map(|it| format!("{} {}", it.0, it.1));
        let customers: Vec<&str> = rows.iter().map(|it| it.0.as_str()).collect();
        let payers = self.payers(&customers).await?;
        let row = |(customer, subscription, reason): (String, _, _)| LeftOutRow {
            subscription,
            payer: payer(&payers, &customer),
            reason,
        };
        Ok(LeftOutPage { rows: rows.into_iter().map(row).collect(), next, total })
    }
}
