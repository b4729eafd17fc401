//! The changes feed, in the order of the sequence.

use paywall_contract::ChangeRecord;
use paywall_domain::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::Row;

use super::tenants::{TenantRow, columns};
use super::time::rolled;
use super::{Connection, Read, StoreError, entries, plans};

/// How far a mirror has read. Plans have a place of their own: they come before every tenant, also
/// when they changed after it, so that no mirror meets a plan that it does not know.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) plans: i64,
    pub(crate) rest: i64,
}

impl Place {
    /// The number up to which a mirror at this place knows this database's history.
    pub(crate) fn seq(self) -> i64 {
        self.plans.max(self.rest)
    }
}

/// What lies after a place.
pub(crate) struct Stretch {
    pub(crate) changes: Vec<ChangeRecord>,
    pub(crate) end: Place,
    pub(crate) remaining: i64,
}

/// The stretch of at most `limit` changes after `place`.
pub(crate) async fn after(read: &mut Read, place: Place, limit: usize, now: Timestamp) -> Result<Stretch, StoreError> {
    let connection: &mut Connection = read;
    let all_plans = plans::all(connection).await?;
    let plan_rows: Vec<(String, i64)> =
        sqlx::query_as("SELECT body, seq FROM plans WHERE seq > $1 ORDER BY seq LIMIT $2")
            .bind(place.plans)
            .bind(limit as i64)
            .fetch_all(&mut *connection)
            .await?;
    let mut end = place;
    let mut changes = Vec::with_capacity(limit);
    for (body, seq) in &plan_rows {
        changes.push(ChangeRecord::Plan(serde_json::from_str(body)?));
        end.plans = *seq;
    }
    let room = limit - plan_rows.len();
    if room > 0 {
        let (boundary,): (Option<i64>,) = sqlx::query_as(
            "SELECT max(seq) FROM (
               SELECT seq FROM (SELECT seq FROM tenants WHERE seq > $1 ORDER BY seq LIMIT $2) AS tenant
               UNION ALL SELECT seq FROM (SELECT seq FROM entries WHERE seq > $1 ORDER BY seq LIMIT $2) AS entry
               ORDER BY 1 LIMIT $2) AS next",
        )
        .bind(place.rest)
        .bind(room as i64)
        .fetch_one(&mut *connection)
        .await?;
        if let Some(boundary) = boundary {
            end.rest = boundary;
            let mut rest: Vec<(i64, ChangeRecord)> = Vec::with_capacity(room);
            let rows = sqlx::query(concat!("SELECT ", columns!(), " FROM tenants WHERE seq > $1 AND seq <= $2"))
                .bind(place.rest)
                .bind(boundary)
                .fetch_all(&mut *connection)
                .await?;
            for row in &rows {
                let row = rolled(&mut *connection, TenantRow::read(row)?, now).await?;
                rest.push((row.seq, ChangeRecord::Tenant(Box::new(row.into_tenant(&all_plans, now)))));
            }
            let rows = sqlx::query(
                "SELECT entries.id, tenant_id, tenants.name AS tenant_name, at, body, entries.seq AS seq
                 FROM entries JOIN tenants ON tenants.id = tenant_id
                 WHERE entries.seq > $1 AND entries.seq <= $2",
            )
            .bind(place.rest)
            .bind(boundary)
            .fetch_all(&mut *connection)
            .await?;
            for row in &rows {
                rest.push((row.try_get("seq")?, ChangeRecord::Entry(Box::new(entries::read_entry(row)?))));
            }
            rest.sort_by_key(|(seq, _)| *seq);
            changes.extend(rest.into_iter().map(|(_, record)| record));
        }
    }
    let (remaining,): (i64,) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM plans WHERE seq > $1) + (SELECT count(*) FROM tenants WHERE seq > $2)
                + (SELECT count(*) FROM entries WHERE seq > $2)",
    )
    .bind(end.plans)
    .bind(end.rest)
    .fetch_one(&mut *connection)
    .await?;
    Ok(Stretch { changes, end, remaining })
}

/// The number of the newest change in this view.
pub(crate) async fn last(read: &mut Read) -> Result<i64, StoreError> {
    let connection: &mut Connection = read;
    Ok(sqlx::query_scalar("SELECT last FROM sequence").fetch_one(connection).await?)
}

/// Whether a plan changed after a place.
pub(crate) async fn plans_after(read: &mut Read, place: i64) -> Result<bool, StoreError> {
    let connection: &mut Connection = read;
    let found: Option<i64> = sqlx::query_scalar("SELECT seq FROM plans WHERE seq > $1 LIMIT 1")
        .bind(place)
        .fetch_optional(connection)
        .await?;
    Ok(found.is_some())
}

/// The tenants that changed after a place, with the place of each, in order; at most `limit`.
pub(crate) async fn tenants_after(read: &mut Read, place: i64, limit: i64) -> Result<Vec<(TenantId, i64)>, StoreError> {
    let connection: &mut Connection = read;
    let rows: Vec<(String, i64)> = sqlx::query_as("SELECT id, seq FROM tenants WHERE seq > $1 ORDER BY seq LIMIT $2")
        .bind(place)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().filter_map(|(id, seq)| Some((TenantId::parse(&id).ok()?, seq))).collect())
}
