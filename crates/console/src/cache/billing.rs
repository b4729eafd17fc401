//! How billing is, as the server last said: its health, and the lists behind it.

use paywall_contract::{BillingHealth, InboxEvent, InboxState, KnownDrift, StuckAt, StuckConversion, TenantBilling};
use paywall_domain::Timestamp;
use paywall_domain::billing::DriftKind;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::SqliteConnection;

use super::streams::{self, StreamProgress};
use super::{Cache, Result};
use crate::ipc::{Source, UnsettledRepair};

/// Billing's name among the server's lists.
pub(crate) const BILLING: &str = "billing";

/// The fact that remembers how billing is.
const HEALTH: &str = "billing_health";

/// How billing was when it was last read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillingKept {
    /// As the server said; `None` = it is too old to say.
    pub health: Option<BillingHealth>,
    /// For when that holds, by the server's clock.
    pub as_of: Timestamp,
    /// When the lists were last read whole; 0 = they have to be.
    pub lists_at: Timestamp,
    /// Rows of the lists in words that this version does not know.
    #[serde(default)]
    pub unknown: i64,
}

/// What the server lists of billing, whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BillingLists {
    /// Every drift.
    pub drifts: Vec<KnownDrift>,
    /// Every event that is parked or failed, and, where they do not get on, that waits.
    pub events: Vec<InboxEvent>,
    /// Everybody who is stuck on the way to paid.
    pub conversions: Vec<StuckConversion>,
    /// Rows of these in words that this version does not know.
    pub unknown: i64,
}

impl Cache {
    /// How billing was when it was last read; `None` = it never was. What this version cannot read is as good
    /// as none.
    pub async fn billing_kept(&self) -> Result<Option<BillingKept>> {
        Ok(self.fact(HEALTH).await?.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Writes how billing is, and, where they were read, its lists in the place of those that are here: all in
    /// one transaction. Whether any row of a list came, went or changed.
    pub async fn apply_billing(&self, kept: &BillingKept, lists: Option<&BillingLists>) -> Result<bool> {
        let mut tx = self.begin().await?;
        let mut changed = false;
        if let Some(lists) = lists {
            changed |= put_drifts(&mut tx, &lists.drifts).await?;
            changed |= put_events(&mut tx, &lists.events).await?;
            changed |= put_conversions(&mut tx, &lists.conversions).await?;
        }
        sqlx::query(
            "INSERT INTO facts (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .bind(HEALTH)
        .bind(serde_json::to_string(kept)?)
        .execute(&mut *tx)
        .await?;
        let progress =
            StreamProgress { cursor: None, complete_at: Some(kept.as_of), at: kept.as_of, unreadable: Vec::new() };
        streams::advance(&mut tx, Source::Server, BILLING, &progress, &[]).await?;
        tx.commit().await?;
        Ok(changed)
    }

    /// Writes a tenant's billing as the server has just said it. Its drifts take the place of those that are here.
    pub async fn apply_tenant_billing(&self, told: &TenantBilling) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO billing_tenants (tenant_id, body) VALUES (?1, ?2)
             ON CONFLICT (tenant_id) DO UPDATE SET body = excluded.body",
        )
        .bind(told.tenant_id.as_str())
        .bind(serde_json::to_string(told)?)
        .execute(&mut *tx)
        .await?;
        let ids: Vec<&str> = told.drifts.iter().map(|it| it.id.as_str()).collect();
        sqlx::query("DELETE FROM billing_drifts WHERE tenant_id = ?1 AND id NOT IN (SELECT value FROM json_each(?2))")
            .bind(told.tenant_id.as_str())
            .bind(serde_json::to_string(&ids)?)
            .execute(&mut *tx)
            .await?;
        for drift in &told.drifts {
            put_drift(&mut tx, drift).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Takes out a drift that is gone, and who was stuck by it.
    pub async fn remove_drift(&self, id: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM billing_drifts WHERE id = ?1").bind(id).execute(&mut *tx).await?;
        sqlx::query("DELETE FROM billing_conversions WHERE body ->> '$.drift' = ?1").bind(id).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Writes where an event stands: it leaves the list once it is neither parked nor failed.
    pub async fn apply_billing_event(&self, event: &InboxEvent) -> Result<()> {
        let mut tx = self.begin().await?;
        if listed(event) {
            put_event(&mut tx, event).await?;
        } else {
            sqlx::query("DELETE FROM billing_events WHERE id = ?1").bind(&event.id).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Notes a repair before it is sent, so that a crash does not forget it. Noting it again changes nothing.
    pub async fn insert_unsettled_repair(&self, repair: &UnsettledRepair) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO unsettled_repairs (key, sent_at, body) VALUES (?1, ?2, ?3) ON CONFLICT (key) DO NOTHING",
        )
        .bind(&repair.key)
        .bind(repair.sent_at.0)
        .bind(serde_json::to_string(repair)?)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Forgets a repair once its answer is known.
    pub async fn remove_unsettled_repair(&self, key: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM unsettled_repairs WHERE key = ?1").bind(key).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Every repair whose answer is not known, latest first.
    pub async fn unsettled_repairs(&self) -> Result<Vec<UnsettledRepair>> {
        let rows: Vec<(String,)> = sqlx::query_as("SELECT body FROM unsettled_repairs ORDER BY sent_at DESC, key DESC")
            .fetch_all(self.readers())
            .await?;
        rows.into_iter().map(|(body,)| Ok(serde_json::from_str(&body)?)).collect()
    }
}

/// Forgets what the server said of billing, within the transaction that forgets all that it said.
pub(super) async fn reset(tx: &mut SqliteConnection) -> Result<()> {
    for statement in [
        "DELETE FROM billing_drifts",
        "DELETE FROM billing_events",
        "DELETE FROM billing_conversions",
        "DELETE FROM billing_tenants",
        "DELETE FROM facts WHERE name = 'billing_health'",
    ] {
        sqlx::query(statement).execute(&mut *tx).await?;
    }
    Ok(())
}

fn listed(event: &InboxEvent) -> bool {
    matches!(event.state, InboxState::Parked | InboxState::Failed)
}

fn gravity(kind: DriftKind) -> i64 {
    DriftKind::ALL.iter().position(|it| *it == kind).map_or(i64::MAX, |at| at as i64)
}

/// Only rows that changed are written: most lists come as they were.
async fn put_drift(tx: &mut SqliteConnection, drift: &KnownDrift) -> Result<bool> {
    let done = sqlx::query(
        "INSERT INTO billing_drifts (id, kind, gravity, tenant_id, since, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET
             kind = excluded.kind, gravity = excluded.gravity, tenant_id = excluded.tenant_id,
             since = excluded.since, body = excluded.body
         WHERE body <> excluded.body",
    )
    .bind(&drift.id)
    .bind(drift.drift.kind().as_str())
    .bind(gravity(drift.drift.kind()))
    .bind(drift.drift.tenant.as_ref().map(paywall_domain::TenantId::as_str))
    .bind(drift.first_seen_at.0)
    .bind(serde_json::to_string(drift)?)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

async fn put_drifts(tx: &mut SqliteConnection, drifts: &[KnownDrift]) -> Result<bool> {
    let ids: Vec<&str> = drifts.iter().map(|it| it.id.as_str()).collect();
    let gone = sqlx::query("DELETE FROM billing_drifts WHERE id NOT IN (SELECT value FROM json_each(?1))")
        .bind(serde_json::to_string(&ids)?)
        .execute(&mut *tx)
        .await?;
    let mut changed = gone.rows_affected() > 0;
    for drift in drifts {
        changed |= put_drift(tx, drift).await?;
    }
    Ok(changed)
}

fn event_state(event: &InboxEvent) -> Result<String> {
    match serde_json::to_value(event.state)? {
        Value::String(word) => Ok(word),
        other => Ok(other.to_string()),
    }
}

async fn put_event(tx: &mut SqliteConnection, event: &InboxEvent) -> Result<bool> {
    let done = sqlx::query(
        "INSERT INTO billing_events (id, state, at, body) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, at = excluded.at, body = excluded.body
         WHERE body <> excluded.body",
    )
    .bind(&event.id)
    .bind(event_state(event)?)
    .bind(event.received_at.0)
    .bind(serde_json::to_string(event)?)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

async fn put_events(tx: &mut SqliteConnection, events: &[InboxEvent]) -> Result<bool> {
    let ids: Vec<&str> = events.iter().map(|it| it.id.as_str()).collect();
    let gone = sqlx::query("DELETE FROM billing_events WHERE id NOT IN (SELECT value FROM json_each(?1))")
        .bind(serde_json::to_string(&ids)?)
        .execute(&mut *tx)
        .await?;
    let mut changed = gone.rows_affected() > 0;
    for event in events {
        changed |= put_event(tx, event).await?;
    }
    Ok(changed)
}

async fn put_conversions(tx: &mut SqliteConnection, rows: &[StuckConversion]) -> Result<bool> {
    let ids: Vec<&str> = rows.iter().map(|it| it.session.as_str()).collect();
    let gone = sqlx::query("DELETE FROM billing_conversions WHERE session NOT IN (SELECT value FROM json_each(?1))")
        .bind(serde_json::to_string(&ids)?)
        .execute(&mut *tx)
        .await?;
    let mut changed = gone.rows_affected() > 0;
    for row in rows {
        let done = sqlx::query(
            "INSERT INTO billing_conversions (session, tenant_id, unnoticed, since, body)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (session) DO UPDATE SET
                 tenant_id = excluded.tenant_id, unnoticed = excluded.unnoticed, since = excluded.since,
                 body = excluded.body
             WHERE body <> excluded.body",
        )
        .bind(&row.session)
        .bind(row.tenant_id.as_str())
        .bind(row.at == StuckAt::PaidNotUnblocked && row.drift.is_none())
        .bind(row.since.0)
        .bind(serde_json::to_string(row)?)
        .execute(&mut *tx)
        .await?;
        changed |= done.rows_affected() > 0;
    }
    Ok(changed)
}
