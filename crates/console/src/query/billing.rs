//! Billing health: the server's word on it, and the lists behind it, a page at a time.

use paywall_contract::{InboxState, KnownDrift, StripeConnection};
use paywall_domain::TenantId;
use serde::de::DeserializeOwned;
use sqlx::Row;

use crate::admin_client::error::not_reached;
use crate::cache::{BILLING, BillingKept, Cache, CacheError, Result};
use crate::ipc::{
    BillingCopy, BillingView, ConversionPage, DriftPage, DriftQuery, EventPage, EventQuery, Source, TenantBillingView,
};

/// Rows per page at most.
const PAGE_MAX: u32 = 500;

// Parameters of the lists: the place after which the page begins, how many rows, and what else is asked.
const DRIFTS: &str = "SELECT body, gravity, since, id FROM billing_drifts INDEXED BY billing_drifts_by_gravity
    WHERE (gravity, since, id) > (?1, ?2, ?3) AND (?5 IS NULL OR kind = ?5) ORDER BY gravity, since, id LIMIT ?4";
const EVENTS: &str = "SELECT body, at, id FROM billing_events INDEXED BY billing_events_by_time
    WHERE (at, id) < (?1, ?2) AND ?4 IS NULL ORDER BY at DESC, id DESC LIMIT ?3";
const EVENTS_IN_STATE: &str = "SELECT body, at, id FROM billing_events INDEXED BY billing_events_by_state
    WHERE state = ?4 AND (at, id) < (?1, ?2) ORDER BY at DESC, id DESC LIMIT ?3";
const CONVERSIONS: &str = "SELECT body, since, session FROM billing_conversions INDEXED BY billing_conversions_by_age
    WHERE (since, session) > (?1, ?2) ORDER BY since, session LIMIT ?3";

fn copy_of(kept: Option<&BillingKept>) -> BillingCopy {
    match kept.map(|it| &it.health) {
        None => BillingCopy::Never,
        Some(None) => BillingCopy::NotOffered,
        Some(Some(health)) if health.stripe == StripeConnection::NotConfigured => BillingCopy::NotConfigured,
        Some(Some(_)) => BillingCopy::Known,
    }
}

/// A row as it was written; `None` = by a version that knew other words: it comes anew with its list.
fn read<T: DeserializeOwned>(body: &str) -> Option<T> {
    serde_json::from_str(body).ok()
}

/// A page's rows, but for those that cannot be read, and the place where the next one begins.
fn cut<T>(mut rows: Vec<(Option<T>, String)>, limit: usize) -> (Vec<T>, Option<String>) {
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|(_, place)| place.clone());
    (rows.into_iter().filter_map(|(row, _)| row).collect(), next)
}

fn shown<T: DeserializeOwned>(bodies: &[(String,)]) -> Vec<T> {
    bodies.iter().filter_map(|(body,)| read(body)).collect()
}

fn limit_of(asked: u32) -> usize {
    asked.clamp(1, PAGE_MAX) as usize
}

/// The parts of a cursor: its numbers, and the id that may hold dots itself.
fn place<const N: usize>(cursor: Option<&str>, start: [i64; N]) -> Result<([i64; N], String)> {
    let Some(text) = cursor else { return Ok((start, String::new())) };
    let mut parts = text.splitn(N + 1, '.');
    let mut numbers = start;
    for number in &mut numbers {
        *number = parts.next().and_then(|it| it.parse().ok()).ok_or(CacheError::InvalidCursor)?;
    }
    Ok((numbers, parts.next().ok_or(CacheError::InvalidCursor)?.to_owned()))
}

impl Cache {
    /// How billing is.
    pub async fn billing_view(&self) -> Result<BillingView> {
        let kept = self.billing_kept().await?;
        let failure = self.stream_state(Source::Server, BILLING).await?.last_failure;
        let (drifts, waiting, parked, failed, conversions, paid_unnoticed): (i64, i64, i64, i64, i64, i64) =
            sqlx::query_as(
                "SELECT (SELECT count(*) FROM billing_drifts),
                 (SELECT count(*) FROM billing_events INDEXED BY billing_events_by_state WHERE state = 'pending'),
                 (SELECT count(*) FROM billing_events INDEXED BY billing_events_by_state WHERE state = 'parked'),
                 (SELECT count(*) FROM billing_events INDEXED BY billing_events_by_state WHERE state = 'failed'),
                 (SELECT count(*) FROM billing_conversions),
                 (SELECT count(*) FROM billing_conversions WHERE unnoticed = 1)",
            )
            .fetch_one(self.readers())
            .await?;
        let copy = copy_of(kept.as_ref());
        Ok(BillingView {
            copy,
            as_of: kept.as_ref().map(|it| it.as_of),
            unknown: kept.as_ref().map_or(0, |it| it.unknown),
            health: kept.and_then(|it| it.health).filter(|_| copy == BillingCopy::Known),
            failure: failure.filter(|it| !not_reached(&it.code)),
            drifts,
            waiting,
            parked,
            failed,
            conversions,
            paid_unnoticed,
            unsettled: self.unsettled_repairs().await?,
        })
    }

    /// A page of drifts, the gravest kind first, then the oldest.
    pub async fn drifts_page(&self, query: &DriftQuery) -> Result<DriftPage> {
        let limit = limit_of(query.limit);
        let kind = query.kind.map(paywall_domain::billing::DriftKind::as_str);
        let ([gravity, since], id) = place(query.cursor.as_deref(), [i64::MIN, i64::MIN])?;
        let rows = sqlx::query(DRIFTS)
            .bind(gravity)
            .bind(since)
            .bind(id)
            .bind(limit as i64 + 1)
            .bind(kind)
            .fetch_all(self.readers())
            .await?;
        let rows = rows
            .iter()
            .map(|row| {
                let (gravity, since): (i64, i64) = (row.try_get("gravity")?, row.try_get("since")?);
                let id: String = row.try_get("id")?;
                Ok((read(row.try_get("body")?), format!("{gravity}.{since}.{id}")))
            })
            .collect::<Result<Vec<_>>>()?;
        let (rows, next) = cut(rows, limit);
        let total = if query.cursor.is_none() {
            let (count,): (i64,) = sqlx::query_as("SELECT count(*) FROM billing_drifts WHERE ?1 IS NULL OR kind = ?1")
                .bind(kind)
                .fetch_one(self.readers())
                .await?;
            Some(count)
        } else {
            None
        };
        Ok(DriftPage { rows, next, total })
    }

    /// A page of events that are parked or failed, or wait for too long, the newest first.
    pub async fn billing_events_page(&self, query: &EventQuery) -> Result<EventPage> {
        let limit = limit_of(query.limit);
        let state = match query.state {
            None => None,
            Some(InboxState::Parked) => Some("parked"),
            Some(InboxState::Failed) => Some("failed"),
            Some(InboxState::Pending) => Some("pending"),
            // The copy has none of these: they need nobody.
            Some(InboxState::Done) => {
                return Ok(EventPage { rows: Vec::new(), next: None, total: Some(0) });
            }
        };
        let ([at], id) = place(query.cursor.as_deref(), [i64::MAX])?;
        let rows = sqlx::query(if state.is_some() { EVENTS_IN_STATE } else { EVENTS })
            .bind(at)
            .bind(id)
            .bind(limit as i64 + 1)
            .bind(state)
            .fetch_all(self.readers())
            .await?;
        let rows = rows
            .iter()
            .map(|row| {
                let (at, id): (i64, String) = (row.try_get("at")?, row.try_get("id")?);
                Ok((read(row.try_get("body")?), format!("{at}.{id}")))
            })
            .collect::<Result<Vec<_>>>()?;
        let (rows, next) = cut(rows, limit);
        let total = if query.cursor.is_none() {
            let (count,): (i64,) = sqlx::query_as("SELECT count(*) FROM billing_events WHERE ?1 IS NULL OR state = ?1")
                .bind(state)
                .fetch_one(self.readers())
                .await?;
            Some(count)
        } else {
            None
        };
        Ok(EventPage { rows, next, total })
    }

    /// A page of who is stuck on the way to paid, the longest stuck first.
    pub async fn conversions_page(&self, cursor: Option<&str>, limit: u32) -> Result<ConversionPage> {
        let limit = limit_of(limit);
        let ([since], session) = place(cursor, [i64::MIN])?;
        let rows =
            sqlx::query(CONVERSIONS).bind(since).bind(session).bind(limit as i64 + 1).fetch_all(self.readers()).await?;
        let rows = rows
            .iter()
            .map(|row| {
                let (since, session): (i64, String) = (row.try_get("since")?, row.try_get("session")?);
                Ok((read(row.try_get("body")?), format!("{since}.{session}")))
            })
            .collect::<Result<Vec<_>>>()?;
        let (rows, next) = cut(rows, limit);
        let total = if cursor.is_none() {
            let (count,): (i64,) =
                sqlx::query_as("SELECT count(*) FROM billing_conversions").fetch_one(self.readers()).await?;
            Some(count)
        } else {
            None
        };
        Ok(ConversionPage { rows, next, total })
    }

    /// What the server knows of a tenant's billing, as the copy has it.
    pub async fn tenant_billing_view(&self, id: &TenantId) -> Result<TenantBillingView> {
        let kept = self.billing_kept().await?;
        let told: Option<(String,)> = sqlx::query_as("SELECT body FROM billing_tenants WHERE tenant_id = ?1")
            .bind(id.as_str())
            .fetch_optional(self.readers())
            .await?;
        let drifts: Vec<(String,)> = sqlx::query_as(
            "SELECT body FROM billing_drifts INDEXED BY billing_drifts_by_tenant
             WHERE tenant_id = ?1 ORDER BY gravity, since, id",
        )
        .bind(id.as_str())
        .fetch_all(self.readers())
        .await?;
        let conversions: Vec<(String,)> =
            sqlx::query_as("SELECT body FROM billing_conversions WHERE tenant_id = ?1 ORDER BY since, session")
                .bind(id.as_str())
                .fetch_all(self.readers())
                .await?;
        let copy = copy_of(kept.as_ref());
        if copy != BillingCopy::Known {
            return Ok(TenantBillingView { copy, told: None, drifts: Vec::new(), conversions: Vec::new() });
        }
        Ok(TenantBillingView {
            copy,
            // One that this version cannot read is as good as none: it is asked for again.
            told: told.and_then(|(body,)| serde_json::from_str(&body).ok()),
            drifts: shown(&drifts),
            conversions: shown(&conversions),
        })
    }

    /// A drift of the copy.
    pub async fn drift(&self, id: &str) -> Result<Option<KnownDrift>> {
        let found: Option<(String,)> = sqlx::query_as("SELECT body FROM billing_drifts WHERE id = ?1")
            .bind(id)
            .fetch_optional(self.readers())
            .await?;
        Ok(found.and_then(|(body,)| read(&body)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::cache::CacheKey;

    #[tokio::test]
    async fn lists_go_by_index_without_sorting() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&folder.path().join("copy.db"), &CacheKey::from([1; 32])).await.unwrap();
        for statement in [DRIFTS, EVENTS, EVENTS_IN_STATE, CONVERSIONS] {
            let steps: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")))
                    .fetch_all(cache.readers())
                    .await
                    .unwrap();
            assert!(steps.iter().all(|it| it.3.contains("INDEX") && !it.3.contains("TEMP B-TREE")), "{steps:?}");
        }
        cache.close().await;
    }

    #[test]
    fn a_place_is_read_as_it_was_written_and_no_other() {
        assert_eq!(place(None, [i64::MAX]).unwrap(), ([i64::MAX], String::new()));
        assert_eq!(place(Some("3.-5.a.b"), [0, 0]).unwrap(), ([3, -5], "a.b".to_owned()));
        assert!(place(Some("3.x"), [0, 0]).is_err());
        assert!(place::<2>(Some("3.4"), [0, 0]).is_err());
    }
}
