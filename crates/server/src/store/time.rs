//! Brings stored statuses and counters up to an instant.

use paywall_domain::{TenantId, Timestamp};

use super::tenants::{self, TenantRow, columns};
use super::{Connection, NewEntry, Store, StoreError, entries};
use crate::clock::Clock;
use crate::transition::passed;

/// Whether any tenant is due: time passed it, or the clock was put back to before it was derived.
const ANY_DUE: &str = "SELECT 1 FROM tenants WHERE next_transition_at <= $1
     UNION ALL SELECT 1 FROM tenants WHERE derived_at > $1 LIMIT 1";

/// The tenants that are due, the longest due first among those that time passed.
const DUE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM tenants WHERE id IN (
        SELECT id FROM (SELECT id FROM tenants WHERE next_transition_at <= $1 ORDER BY next_transition_at LIMIT $2) AS passed
        UNION SELECT id FROM (SELECT id FROM tenants WHERE derived_at > $1 LIMIT $2) AS ahead) LIMIT $2"
);

/// The row at `now`, in memory only: a counting period that is over gives way to the running one.
pub(crate) async fn rolled(
    connection: &mut Connection,
    mut row: TenantRow,
    now: Timestamp,
) -> Result<TenantRow, StoreError> {
    if let Some(period) = row.period.filter(|period| period.end <= now) {
        let next = period.at(now);
        row.period = Some(next);
        if row.counters.is_some() {
            row.counters = Some(tenants::counted(connection, &row.id, next).await?);
        }
    }
    Ok(row)
}

/// The row at `now`, and written so where it was due: with the entries of what happened by itself
/// meanwhile. A change is applied to this, or it would cover up what time did before it.
pub(crate) async fn up_to(
    connection: &mut Connection,
    row: TenantRow,
    now: Timestamp,
) -> Result<TenantRow, StoreError> {
    if !row.due(now) {
        return Ok(row);
    }
    for (at, kind, body) in passed(&row.facts, row.derived_at, now) {
        let id = format!("{}.{kind}.{}", row.id, at.0);
        entries::put(connection, &NewEntry { id, tenant_id: &row.id, at, aspect: None, body: &body }).await?;
    }
    let mut row = rolled(connection, row, now).await?;
    row.seq = tenants::put(connection, &row, now).await?;
    row.derived_at = now;
    Ok(row)
}

impl Store {
    /// Writes what time alone changed: statuses, entries of timelines, counters that start again. At
    /// most `most` tenants; answers how many. Done again, it changes nothing.
    pub(crate) async fn pass_time(&self, clock: &dyn Clock, most: usize) -> Result<usize, StoreError> {
        // Most of the time nothing is due, and finding that out must not wait for the writer.
        let due: Option<(i64,)> = sqlx::query_as(ANY_DUE).bind(clock.now().0).fetch_optional(&self.readers).await?;
        if due.is_none() {
            return Ok(0);
        }
        let mut write = self.write().await?;
        // Read only now: whoever wrote before read the clock before, so nothing looks as if from later.
        let now = clock.now();
        let rows = sqlx::query(DUE).bind(now.0).bind(most as i64).fetch_all(&mut *write).await?;
        for row in &rows {
            up_to(&mut write, TenantRow::read(row)?, now).await?;
        }
        write.commit().await?;
        Ok(rows.len())
    }

    /// Like [`Store::pass_time`], for one tenant; answers whether it was due.
    pub(crate) async fn pass_time_of(&self, clock: &dyn Clock, id: &TenantId) -> Result<bool, StoreError> {
        let mut read = self.read().await?;
        let due = tenants::get(&mut read, id).await?.is_some_and(|row| row.due(clock.now()));
        drop(read);
        if due {
            let mut write = self.write().await?;
            if let Some(row) = tenants::get(&mut write, id).await? {
                up_to(&mut write, row, clock.now()).await?;
            }
            write.commit().await?;
        }
        Ok(due)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::store::Bound;

    #[tokio::test]
    async fn what_is_due_is_found_without_looking_at_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite://{}", folder.path().join("server.db").display())).await.unwrap();
        for statement in [ANY_DUE, DUE] {
            let plan = store.plan(statement).await;
            assert!(plan.contains("INDEX tenants_by_transition (next_transition_at<?)"), "{plan}");
            assert!(plan.contains("INDEX tenants_by_derived_at (derived_at>?)"), "{plan}");
            assert!(!plan.contains("SCAN tenants"), "{plan}");
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn so_it_is_on_postgres() {
        let server = paywall_databases::Postgres::shared().unwrap();
        let store = Store::open(&server.database().unwrap()).await.unwrap();
        for (statement, numbers) in [(ANY_DUE, 1), (DUE, 2)] {
            let plan = store.plan_without("", statement, (0..numbers).map(Bound::Number).collect()).await;
            for index in ["tenants_by_transition", "tenants_by_derived_at"] {
                assert!(plan.contains(index), "{plan}");
            }
        }
    }
}
