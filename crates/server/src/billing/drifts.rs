//! Differences between Stripe and here, as they are seen: since when, and until when.

use std::collections::BTreeSet;

use paywall_domain::billing::{Drift, DriftKind};
use paywall_domain::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::store::{Connection, Store, StoreError, storable};

/// How long one is remembered that is gone.
const KEPT_MS: i64 = 90 * paywall_domain::DAY_MS;

const SEE: &str =
    "INSERT INTO stripe_drifts (id, kind, tenant_id, first_seen_at, last_seen_at, gone_at, at_stake, currency, body)
     VALUES ($1, $2, $3, $4, $4, NULL, $5, $6, $7)
     ON CONFLICT (id) DO UPDATE SET last_seen_at = excluded.last_seen_at, gone_at = NULL,
         first_seen_at = CASE WHEN stripe_drifts.gone_at IS NULL THEN stripe_drifts.first_seen_at
                              ELSE excluded.first_seen_at END,
         at_stake = excluded.at_stake, currency = excluded.currency, body = excluded.body";

macro_rules! columns {
    () => {
        "stripe_drifts.id AS id, kind, tenant_id, (SELECT name FROM tenants WHERE tenants.id = tenant_id) AS tenant_name, \
         first_seen_at, last_seen_at, body"
    };
}

const ONE: &str = concat!("SELECT ", columns!(), " FROM stripe_drifts WHERE id = $1 AND gone_at IS NULL");

const OF_TENANT: &str =
    concat!("SELECT ", columns!(), " FROM stripe_drifts WHERE tenant_id = $1 AND gone_at IS NULL ORDER BY kind, id");

const OF_KIND: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM stripe_drifts WHERE gone_at IS NULL AND kind = $1 AND (first_seen_at, stripe_drifts.id) > ($2, $3)
      ORDER BY first_seen_at, stripe_drifts.id LIMIT $4"
);

/// What a look covered: what it did not see again there is gone.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope<'a> {
    /// One tenant.
    Tenant(&'a TenantId),
    /// The account: its endpoints, its events, and those who pay for nothing. `kinds`: what could be looked at.
    Account(&'a [DriftKind]),
}

/// A drift as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DriftRow {
    pub(crate) id: String,
    pub(crate) tenant_name: Option<String>,
    pub(crate) first_seen_at: Timestamp,
    pub(crate) last_seen_at: Timestamp,
    pub(crate) drift: Drift,
}

/// Where a page of drifts ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DriftKey {
    pub(crate) kind: String,
    pub(crate) first_seen_at: i64,
    pub(crate) id: String,
}

/// The same for as long as the drift is there.
pub(crate) fn id_of(drift: &Drift) -> String {
    let hash = Sha256::digest(drift.subject());
    format!("drf_{}", hex::encode(&hash[..12]))
}

/// Writes what a look saw. Seen the first time, it begins; not seen again, it is gone.
pub(crate) async fn record(
    connection: &mut Connection,
    scope: Scope<'_>,
    seen: &[Drift],
    now: Timestamp,
) -> Result<(), StoreError> {
    let known: Vec<(String, String)> = match scope {
        Scope::Tenant(tenant) => {
            sqlx::query_as("SELECT id, kind FROM stripe_drifts WHERE tenant_id = $1 AND gone_at IS NULL")
                .bind(tenant.as_str())
                .fetch_all(&mut *connection)
                .await?
        }
        Scope::Account(_) => {
            sqlx::query_as("SELECT id, kind FROM stripe_drifts WHERE tenant_id IS NULL AND gone_at IS NULL")
                .fetch_all(&mut *connection)
                .await?
        }
    };
    let mut ids = BTreeSet::new();
    for drift in seen {
        let id = id_of(drift);
        sqlx::query(SEE)
            .bind(&id)
            .bind(drift.kind().as_str())
            .bind(drift.tenant.as_ref().map(TenantId::as_str))
            .bind(now.0)
            .bind(drift.at_stake.as_ref().map(|it| it.minor))
            .bind(drift.at_stake.as_ref().map(|it| it.currency.as_str()))
            .bind(storable(&serde_json::to_string(drift)?))
            .execute(&mut *connection)
            .await?;
        ids.insert(id);
    }
    for (id, kind) in known {
        let looked = match scope {
            Scope::Tenant(_) => true,
            Scope::Account(kinds) => kinds.iter().any(|it| it.as_str() == kind),
        };
        if looked && !ids.contains(&id) {
            sqlx::query("UPDATE stripe_drifts SET gone_at = $2 WHERE id = $1")
                .bind(&id)
                .bind(now.0)
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(())
}

/// Whether a tenant has any.
pub(crate) async fn any_of(connection: &mut Connection, tenant: &TenantId) -> Result<bool, StoreError> {
    let found: Option<(i64,)> =
        sqlx::query_as("SELECT 1 FROM stripe_drifts WHERE tenant_id = $1 AND gone_at IS NULL LIMIT 1")
            .bind(tenant.as_str())
            .fetch_optional(connection)
            .await?;
    Ok(found.is_some())
}

/// One that is there.
pub(crate) async fn get(connection: &mut Connection, id: &str) -> Result<Option<DriftRow>, StoreError> {
    sqlx::query(ONE).bind(storable(id)).fetch_optional(connection).await?.as_ref().map(read_row).transpose()
}

/// Whether there was one that is gone.
pub(crate) async fn was(connection: &mut Connection, id: &str) -> Result<bool, StoreError> {
    let found: Option<(i64,)> = sqlx::query_as("SELECT 1 FROM stripe_drifts WHERE id = $1")
        .bind(storable(id))
        .fetch_optional(connection)
        .await?;
    Ok(found.is_some())
}

/// Those of a tenant.
pub(crate) async fn of_tenant(connection: &mut Connection, tenant: &TenantId) -> Result<Vec<DriftRow>, StoreError> {
    let mut rows: Vec<DriftRow> = sqlx::query(OF_TENANT)
        .bind(tenant.as_str())
        .fetch_all(connection)
        .await?
        .iter()
        .map(read_row)
        .collect::<Result<_, _>>()?;
    rows.sort_by_key(|it| it.drift.kind());
    Ok(rows)
}

/// A page of all, the gravest kind first, then the oldest.
pub(crate) async fn page(
    connection: &mut Connection,
    only: Option<DriftKind>,
    after: Option<&DriftKey>,
    limit: usize,
) -> Result<Vec<DriftRow>, StoreError> {
    let mut rows = Vec::new();
    let from = after.and_then(|it| DriftKind::parse(&it.kind));
    for kind in DriftKind::ALL.into_iter().filter(|kind| only.is_none_or(|it| it == *kind)) {
        if from.is_some_and(|it| kind < it) || rows.len() >= limit {
            continue;
        }
        let place = after.filter(|_| from == Some(kind));
        let found = sqlx::query(OF_KIND)
            .bind(kind.as_str())
            .bind(place.map_or(i64::MIN, |it| it.first_seen_at))
            .bind(place.map(|it| storable(&it.id)).unwrap_or_default())
            .bind((limit - rows.len()) as i64)
            .fetch_all(&mut *connection)
            .await?;
        for row in &found {
            rows.push(read_row(row)?);
        }
    }
    Ok(rows)
}

/// How many there are of a kind, since when, and what hangs on them in one currency.
pub(crate) struct DriftSum {
    pub(crate) kind: String,
    pub(crate) currency: Option<String>,
    pub(crate) count: i64,
    pub(crate) oldest: Timestamp,
    pub(crate) at_stake: i64,
}

/// Those that are there, by kind and currency.
pub(crate) async fn sums(connection: &mut Connection) -> Result<Vec<DriftSum>, StoreError> {
    let rows: Vec<(String, Option<String>, i64, i64, i64)> = sqlx::query_as(
        "SELECT kind, currency, count(*), min(first_seen_at), CAST(coalesce(sum(at_stake), 0) AS BIGINT)
         FROM stripe_drifts WHERE gone_at IS NULL GROUP BY kind, currency ORDER BY kind, currency",
    )
    .fetch_all(connection)
    .await?;
    let sum = |(kind, currency, count, oldest, at_stake)| DriftSum {
        kind,
        currency,
        count,
        oldest: Timestamp(oldest),
        at_stake,
    };
    Ok(rows.into_iter().map(sum).collect())
}

impl Store {
    /// Forgets drifts that are long gone.
    pub(crate) async fn prune_drifts(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut write = self.write_beside().await?;
        sqlx::query("DELETE FROM stripe_drifts WHERE gone_at < $1").bind(now.0 - KEPT_MS).execute(&mut *write).await?;
        write.commit().await?;
        Ok(())
    }
}

fn read_row(row: &AnyRow) -> Result<DriftRow, StoreError> {
    Ok(DriftRow {
        id: row.try_get("id")?,
        tenant_name: row.try_get("tenant_name")?,
        first_seen_at: Timestamp(row.try_get("first_seen_at")?),
        last_seen_at: Timestamp(row.try_get("last_seen_at")?),
        drift: serde_json::from_str(row.try_get("body")?)?,
    })
}
