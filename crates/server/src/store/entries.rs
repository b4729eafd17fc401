//! Timelines, and the adjustments in them.

use paywall_contract::{Adjustment, TimelineBody, TimelineEntry};
use paywall_domain::{Aspect, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::any::AnyRow;

use super::{Connection, StoreError, storable, take_seq};

/// Where a page of entries ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct EntryKey {
    pub(crate) at: i64,
    pub(crate) id: String,
}

/// An entry to be written.
pub(crate) struct NewEntry<'a> {
    pub(crate) id: String,
    pub(crate) tenant_id: &'a TenantId,
    pub(crate) at: Timestamp,
    pub(crate) aspect: Option<Aspect>,
    pub(crate) body: &'a TimelineBody,
}

/// The word under which an aspect is kept.
pub(crate) fn aspect_word(aspect: Aspect) -> &'static str {
    use paywall_domain::Meter;
    match aspect {
        Aspect::Trial => "trial",
        Aspect::Override(Meter::Messages) => "override.messages",
        Aspect::Override(Meter::Tokens) => "override.tokens",
        Aspect::Override(Meter::ApiRequests) => "override.api_requests",
        Aspect::Override(Meter::Documents) => "override.documents",
        Aspect::Override(Meter::StorageBytes) => "override.storage_bytes",
        Aspect::Override(Meter::Datasets) => "override.datasets",
        Aspect::Override(Meter::Seats) => "override.seats",
        Aspect::Comp => "comp",
        Aspect::Suspension => "suspension",
        Aspect::Plan => "plan",
        Aspect::Billing => "billing",
        Aspect::Nothing => "nothing",
    }
}

/// The word for the kind of an entry.
pub(crate) fn kind_word(body: &TimelineBody) -> &'static str {
    match body {
        TimelineBody::Adjustment { .. } => "adjustment",
        TimelineBody::TrialStarted { .. } => "trial_started",
        TimelineBody::TrialEnded => "trial_ended",
        TimelineBody::CompEnded { .. } => "comp_ended",
        TimelineBody::GraceEnded => "grace_ended",
        TimelineBody::SubscriptionStarted { .. } => "subscription_started",
        TimelineBody::SubscriptionEnded { .. } => "subscription_ended",
        TimelineBody::PaymentFailed { .. } => "payment_failed",
        TimelineBody::Blocked { .. } => "blocked",
    }
}

/// Writes an entry once: the same id again changes nothing.
pub(crate) async fn put(connection: &mut Connection, entry: &NewEntry<'_>) -> Result<(), StoreError> {
    let seq = take_seq(connection, 1).await? + 1;
    sqlx::query(
        "INSERT INTO entries (id, tenant_id, at, kind, aspect, body, seq, place) VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(&entry.id)
    .bind(entry.tenant_id.as_str())
    .bind(entry.at.0)
    .bind(kind_word(entry.body))
    .bind(entry.aspect.map(aspect_word))
    .bind(serde_json::to_string(entry.body)?)
    .bind(seq)
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes an adjustment anew, marked as undone. It comes again in the feed.
pub(crate) async fn rewrite(connection: &mut Connection, adjustment: &Adjustment) -> Result<(), StoreError> {
    let seq = take_seq(connection, 1).await? + 1;
    let body = TimelineBody::Adjustment { adjustment: Box::new(adjustment.clone()) };
    sqlx::query("UPDATE entries SET body = $2, seq = $3 WHERE id = $1")
        .bind(&adjustment.id)
        .bind(serde_json::to_string(&body)?)
        .bind(seq)
        .execute(connection)
        .await?;
    Ok(())
}

/// One adjustment.
pub(crate) async fn adjustment(connection: &mut Connection, id: &str) -> Result<Option<Adjustment>, StoreError> {
    let row: Option<(String,)> = sqlx::query_as("SELECT body FROM entries WHERE id = $1 AND kind = 'adjustment'")
        .bind(storable(id))
        .fetch_optional(connection)
        .await?;
    row.map_or(Ok(None), |(body,)| as_adjustment(&body))
}

/// The latest adjustment that stands on this one: of the same part, made after it, and neither undone
/// nor itself an undo.
pub(crate) async fn standing_on(
    connection: &mut Connection,
    adjustment: &Adjustment,
) -> Result<Option<Adjustment>, StoreError> {
    let aspect = adjustment.change.aspect();
    if aspect == Aspect::Nothing {
        return Ok(None);
    }
    // Few were made of one part of one tenant since.
    let rows: Vec<(String,)> = sqlx::query_as(
        "SELECT body FROM entries
         WHERE tenant_id = $1 AND kind = 'adjustment' AND aspect = $2
               AND place > (SELECT place FROM entries WHERE id = $3)
         ORDER BY place DESC",
    )
    .bind(adjustment.tenant_id.as_str())
    .bind(aspect_word(aspect))
    .bind(&adjustment.id)
    .fetch_all(connection)
    .await?;
    for (body,) in rows {
        if let Some(later) = as_adjustment(&body)?.filter(|it| it.undoes.is_none() && it.undone_by.is_none()) {
            return Ok(Some(later));
        }
    }
    Ok(None)
}

/// A page of one tenant's timeline, newest first.
pub(crate) async fn timeline(
    connection: &mut Connection,
    tenant: &TenantId,
    after: Option<&EntryKey>,
    limit: usize,
) -> Result<Vec<TimelineEntry>, StoreError> {
    sqlx::query(
        "SELECT entries.id, tenant_id, tenants.name AS tenant_name, at, body
         FROM entries JOIN tenants ON tenants.id = tenant_id
         WHERE tenant_id = $1 AND (at, entries.id) < ($2, $3)
         ORDER BY at DESC, entries.id DESC LIMIT $4",
    )
    .bind(tenant.as_str())
    .bind(after.map_or(i64::MAX, |key| key.at))
    .bind(after.map(|key| storable(&key.id)).unwrap_or_default())
    .bind(limit as i64)
    .fetch_all(connection)
    .await?
    .iter()
    .map(read_entry)
    .collect()
}

/// A page of the adjustments of all tenants, newest first.
pub(crate) async fn adjustments(
    connection: &mut Connection,
    after: Option<&EntryKey>,
    limit: usize,
) -> Result<Vec<Adjustment>, StoreError> {
    let rows: Vec<(String,)> = sqlx::query_as(
        "SELECT body FROM entries WHERE kind = 'adjustment' AND (at, id) < ($1, $2)
         ORDER BY at DESC, id DESC LIMIT $3",
    )
    .bind(after.map_or(i64::MAX, |key| key.at))
    .bind(after.map(|key| storable(&key.id)).unwrap_or_default())
    .bind(limit as i64)
    .fetch_all(connection)
    .await?;
    rows.iter().filter_map(|(body,)| as_adjustment(body).transpose()).collect()
}

pub(crate) fn read_entry(row: &AnyRow) -> Result<TimelineEntry, StoreError> {
    let tenant: &str = row.try_get("tenant_id")?;
    Ok(TimelineEntry {
        id: row.try_get("id")?,
        tenant_id: TenantId::parse(tenant).map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        tenant_name: row.try_get("tenant_name")?,
        at: Timestamp(row.try_get("at")?),
        body: serde_json::from_str(row.try_get("body")?)?,
    })
}

fn as_adjustment(body: &str) -> Result<Option<Adjustment>, StoreError> {
    Ok(match serde_json::from_str(body)? {
        TimelineBody::Adjustment { adjustment } => Some(*adjustment),
        _ => None,
    })
}
