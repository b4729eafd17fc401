//! Usage that is corrected or taken out: what an import says of days, and events that are old.

use paywall_domain::Timestamp;

use super::{Connection, Dialect, Store, StoreError};

/// A day's counters as an import tells them: tenant, day, messages, tokens, API requests.
pub(super) type Day<'a> = (&'a str, i64, i64, i64, i64);

/// Events removed in one transaction: few, so that whoever counts hardly waits.
pub(crate) const PRUNED_AT_ONCE: i64 = 500;

/// Has whoever counts wait until this transaction ends: they add to sums and days, and begin sums from days, and
/// nothing of that may fall in between. To be taken before any tenant is written, since they wait for those too.
pub(super) async fn hold_totals(connection: &mut Connection) -> Result<(), StoreError> {
    // SQLite has one writer anyway.
    if Dialect::of(connection) == Dialect::Postgres {
        sqlx::query("LOCK TABLE usage_totals IN EXCLUSIVE MODE").execute(connection).await?;
    }
    Ok(())
}

/// Moves the sums of events by as much as days are about to change, in whichever period they lie: the sum of a
/// period stays that of its days. Under [`hold_totals`].
pub(super) async fn correct_totals(connection: &mut Connection, days: &[Day<'_>]) -> Result<(), StoreError> {
    if days.is_empty() {
        return Ok(());
    }
    let statement = Dialect::of(connection).pick(
        "UPDATE usage_totals SET counted = max(0, counted + moved.by), unpublished = 1
         FROM (SELECT total.tenant_id, total.meter, total.period_start,
                      sum(CASE total.meter WHEN 'messages' THEN (value ->> 2) - coalesce(before.messages, 0)
                                           WHEN 'tokens' THEN (value ->> 3) - coalesce(before.tokens, 0)
                                           ELSE (value ->> 4) - coalesce(before.api_requests, 0) END) AS by
               FROM json_each($1) AS given
               JOIN usage_totals AS total ON total.tenant_id = value ->> 0
                    AND value ->> 1 >= total.period_start AND value ->> 1 < total.period_end
               LEFT JOIN usage_days AS before ON before.tenant_id = value ->> 0 AND before.day = value ->> 1
               GROUP BY total.tenant_id, total.meter, total.period_start) AS moved
         WHERE usage_totals.tenant_id = moved.tenant_id AND usage_totals.meter = moved.meter
           AND usage_totals.period_start = moved.period_start",
        "UPDATE usage_totals SET counted = greatest(0, counted + moved.by), unpublished = 1
         FROM (SELECT total.tenant_id, total.meter, total.period_start,
                      CAST(sum(CASE total.meter
                               WHEN 'messages' THEN CAST(value ->> 2 AS BIGINT) - coalesce(before.messages, 0)
                               WHEN 'tokens' THEN CAST(value ->> 3 AS BIGINT) - coalesce(before.tokens, 0)
                               ELSE CAST(value ->> 4 AS BIGINT) - coalesce(before.api_requests, 0) END) AS BIGINT) AS by
               FROM json_array_elements(CAST($1 AS json)) AS given (value)
               JOIN usage_totals AS total ON total.tenant_id = value ->> 0
                    AND CAST(value ->> 1 AS BIGINT) >= total.period_start
                    AND CAST(value ->> 1 AS BIGINT) < total.period_end
               LEFT JOIN usage_days AS before
                    ON before.tenant_id = value ->> 0 AND before.day = CAST(value ->> 1 AS BIGINT)
               GROUP BY total.tenant_id, total.meter, total.period_start) AS moved
         WHERE usage_totals.tenant_id = moved.tenant_id AND usage_totals.meter = moved.meter
           AND usage_totals.period_start = moved.period_start",
    );
    sqlx::query(statement).bind(serde_json::to_string(days)?).execute(connection).await?;
    Ok(())
}

impl Store {
    /// Takes out events from before `before`, at most [`PRUNED_AT_ONCE`]; answers how many. What they add up to
    /// stays. Those of periods that run at `now`, and of such as are not in the feed yet, stay too.
    pub(crate) async fn prune_events(&self, before: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        // Mostly there are none, and finding that out must not wait for the writer.
        let old: Option<(i64,)> = sqlx::query_as("SELECT at FROM usage_events WHERE at < $1 LIMIT 1")
            .bind(before.0)
            .fetch_optional(&self.readers)
            .await?;
        if old.is_none() {
            return Ok(0);
        }
        let mut write = self.write_beside().await?;
        // Of two servers that do so at once, each takes its own.
        let statement = self.dialect.pick(
            "DELETE FROM usage_events WHERE (source, id) IN (
                 SELECT source, id FROM usage_events AS event WHERE at < $1
                   AND NOT EXISTS (SELECT 1 FROM usage_totals AS total WHERE total.tenant_id = event.tenant_id
                                     AND total.period_start = event.period_start
                                     AND (total.period_end > $2 OR total.unpublished = 1))
                 ORDER BY at LIMIT $3)",
            "DELETE FROM usage_events WHERE (source, id) IN (
                 SELECT source, id FROM usage_events AS event WHERE at < $1
                   AND NOT EXISTS (SELECT 1 FROM usage_totals AS total WHERE total.tenant_id = event.tenant_id
                                     AND total.period_start = event.period_start
                                     AND (total.period_end > $2 OR total.unpublished = 1))
                 ORDER BY at LIMIT $3 FOR UPDATE OF event SKIP LOCKED)",
        );
        let done = sqlx::query(statement).bind(before.0).bind(now.0).bind(PRUNED_AT_ONCE).execute(&mut *write).await?;
        write.commit().await?;
        Ok(done.rows_affected())
    }
}
