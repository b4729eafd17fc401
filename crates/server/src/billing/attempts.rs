//! Attempts at Checkout: of each tenant one after the other, at most one open at a time.

use paywall_domain::billing::CheckoutTrial;
use paywall_domain::{PlanId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::Row;

use crate::config::CheckoutSettings;
use crate::store::{Connection, Store, StoreError, storable};
use paywall_stripe::facts::at;

/// What a session is asked for with. Under its key the same has to be sent each time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    /// The attempt at these terms, as the rules name it.
    pub(crate) key: String,
    pub(crate) customer: String,
    pub(crate) plan: PlanId,
    pub(crate) price: String,
    /// `None` for a metered price, which takes none.
    pub(crate) quantity: Option<u32>,
    pub(crate) trial: CheckoutTrial,
    pub(crate) success_url: String,
    pub(crate) cancel_url: String,
    pub(crate) locale: Option<String>,
    pub(crate) settings: CheckoutSettings,
}

impl Request {
    /// Whether a session that was opened for one serves the other. Its language may be another.
    pub(crate) fn same_terms(&self, other: &Self) -> bool {
        Self { locale: None, ..self.clone() } == Self { locale: None, ..other.clone() }
    }
}

/// An attempt as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) number: i64,
    /// `None` until Stripe has answered.
    pub(crate) session: Option<String>,
    pub(crate) open: bool,
    pub(crate) opened_at: Timestamp,
    /// `None` where it was kept without.
    pub(crate) request: Option<Request>,
}

/// The newest of a tenant.
pub(crate) async fn newest(connection: &mut Connection, tenant: &TenantId) -> Result<Option<Attempt>, StoreError> {
    let row = sqlx::query(
        "SELECT attempt, session, state, opened_at, request FROM checkout_sessions
         WHERE tenant_id = $1 ORDER BY attempt DESC LIMIT 1",
    )
    .bind(tenant.as_str())
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let request: Option<&str> = row.try_get("request")?;
    Ok(Some(Attempt {
        number: row.try_get("attempt")?,
        session: row.try_get("session")?,
        open: row.try_get::<&str, _>("state")? == "open",
        opened_at: Timestamp(row.try_get("opened_at")?),
        request: request.map(serde_json::from_str).transpose()?,
    }))
}

/// Whose a session is, and whether it was completed and what it began is not over.
pub(crate) async fn of_session(
    connection: &mut Connection,
    session: &str,
) -> Result<Option<(TenantId, bool)>, StoreError> {
    let row: Option<(String, String)> = sqlx::query_as(
        "SELECT tenant_id, CASE WHEN ended_at IS NULL THEN state ELSE 'ended' END FROM checkout_sessions
             WHERE session = $1",
    )
    .bind(storable(session))
    .fetch_optional(connection)
    .await?;
    Ok(row.and_then(|(tenant, state)| TenantId::parse(&tenant).ok().map(|it| (it, state == "complete"))))
}

impl Store {
    /// Begins an attempt, unless somebody has begun one of that number. It is kept before Stripe is asked.
    pub(crate) async fn begin_attempt(
        &self,
        tenant: &TenantId,
        number: i64,
        request: &Request,
        now: Timestamp,
    ) -> Result<Option<Attempt>, StoreError> {
        let mut write = self.write_beside().await?;
        let begun = sqlx::query(
            "INSERT INTO checkout_sessions (tenant_id, attempt, plan, price, state, opened_at, request)
             VALUES ($1, $2, $3, $4, 'open', $5, $6) ON CONFLICT (tenant_id, attempt) DO NOTHING",
        )
        .bind(tenant.as_str())
        .bind(number)
        .bind(request.plan.as_str())
        .bind(storable(&request.price))
        .bind(now.0)
        .bind(storable(&serde_json::to_string(request)?))
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        let attempt = Attempt { number, session: None, open: true, opened_at: now, request: Some(request.clone()) };
        Ok((begun.rows_affected() > 0).then_some(attempt))
    }

    /// Keeps what Stripe answered.
    pub(crate) async fn attempt_opened(
        &self,
        tenant: &TenantId,
        number: i64,
        session: &paywall_stripe::shapes::CheckoutSession,
    ) -> Result<(), StoreError> {
        let mut write = self.write_beside().await?;
        sqlx::query(
            "UPDATE checkout_sessions SET session = $3, url = $4, expires_at = $5
             WHERE tenant_id = $1 AND attempt = $2 AND session IS NULL",
        )
        .bind(tenant.as_str())
        .bind(number)
        .bind(storable(&session.id))
        .bind(session.url.as_deref().map(storable))
        .bind(at(session.expires_at).map(|it| it.0))
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(())
    }

    /// Keeps that an attempt is over that another one took the place of.
    pub(crate) async fn attempt_over(&self, tenant: &TenantId, number: i64) -> Result<(), StoreError> {
        let mut write = self.write_beside().await?;
        sqlx::query(
            "UPDATE checkout_sessions SET state = 'expired' WHERE tenant_id = $1 AND attempt = $2 AND state = 'open'",
        )
        .bind(tenant.as_str())
        .bind(number)
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(())
    }

    /// Keeps that an attempt came to nothing: Stripe refused it.
    pub(crate) async fn attempt_refused(&self, tenant: &TenantId, number: i64) -> Result<(), StoreError> {
        let mut write = self.write_beside().await?;
        sqlx::query(
            "UPDATE checkout_sessions SET state = 'refused'
             WHERE tenant_id = $1 AND attempt = $2 AND session IS NULL",
        )
        .bind(tenant.as_str())
        .bind(number)
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(())
    }
}
