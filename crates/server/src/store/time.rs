//! Brings stored statuses and counters up to an instant.

use paywall_domain::Timestamp;

use super::tenants::{self, TenantRow, columns};
use super::{NewEntry, Store, StoreError, entries};
use crate::transition::passed;

/// Tenants brought up to date in one transaction.
const BATCH: usize = 500;

impl Store {
    /// Writes what time alone changed up to `now`: statuses, entries of timelines, counters that
    /// start again. Answers how many tenants changed. Done twice, it changes nothing the second time.
    pub(crate) async fn pass_time(&self, now: Timestamp) -> Result<usize, StoreError> {
        let mut all = 0;
        loop {
            let due: Option<(i64,)> = sqlx::query_as("SELECT 1 FROM tenants WHERE next_transition_at <= ?1 LIMIT 1")
                .bind(now.0)
                .fetch_optional(&self.readers)
                .await?;
            if due.is_none() {
                return Ok(all);
            }
            all += self.pass_time_once(now).await?;
        }
    }

    async fn pass_time_once(&self, now: Timestamp) -> Result<usize, StoreError> {
        let mut write = self.write().await?;
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM tenants WHERE next_transition_at <= ?1 ORDER BY next_transition_at LIMIT ?2"
        ))
        .bind(now.0)
        .bind(BATCH as i64)
        .fetch_all(&mut *write)
        .await?;
        for row in &rows {
            let mut row = TenantRow::read(row)?;
            for (at, kind, body) in passed(&row.facts, row.derived_at, now) {
                let id = format!("{}.{kind}.{}", row.id, at.0);
                entries::put(&mut write, &NewEntry { id, tenant_id: &row.id, at, aspect: None, body: &body }).await?;
            }
            if let Some(period) = row.period.filter(|period| period.end <= now) {
                let next = period.at(now);
                row.period = Some(next);
                if row.counters.is_some() {
                    row.counters = Some(tenants::counted(&mut write, &row.id, next).await?);
                }
            }
            tenants::put(&mut write, &row, now).await?;
        }
        write.commit().await?;
        Ok(rows.len())
    }
}
