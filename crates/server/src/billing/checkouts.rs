//! Checkouts that were opened, and how far each has come.

use paywall_domain::{TenantId, Timestamp};
use paywall_stripe::shapes::CheckoutSession;

use crate::store::{Connection, StoreError, storable};

/// A Checkout session as Stripe has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) id: String,
    /// `open`, `complete` or `expired`.
    pub(crate) status: String,
    /// Whether nothing is left to be paid: a debit comes days after a session is complete, or does not.
    pub(crate) paid: bool,
    /// The subscription that it began.
    pub(crate) subscription: Option<String>,
}

impl Seen {
    /// As Stripe tells it.
    pub(crate) fn of(session: &CheckoutSession) -> Self {
        let paid = matches!(session.payment_status.as_deref(), Some("paid" | "no_payment_required"));
        Self {
            id: session.id.clone(),
            status: session.status.clone().unwrap_or_default(),
            paid: paid && session.status.as_deref() == Some("complete"),
            subscription: session.subscription.as_ref().map(|it| it.id().to_owned()),
        }
    }

    /// One that Stripe has closed, or does not have.
    pub(crate) fn expired(id: &str) -> Self {
        Self { id: id.to_owned(), status: "expired".to_owned(), paid: false, subscription: None }
    }
}

/// Notes how far a session has come; one that was not opened here is nothing to note.
pub(crate) async fn note(connection: &mut Connection, session: &Seen, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE checkout_sessions SET state = $2, subscription = coalesce($5, subscription),
                completed_at = CASE WHEN $4 = 1 THEN coalesce(completed_at, $3) ELSE completed_at END
         WHERE session = $1",
    )
    .bind(storable(&session.id))
    .bind(storable(&session.status))
    .bind(now.0)
    .bind(i64::from(session.paid))
    .bind(session.subscription.as_deref().map(storable))
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that a subscription is over: whoever bought it and could not work by it does not wait any more.
pub(crate) async fn ended(connection: &mut Connection, subscription: &str, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE checkout_sessions SET ended_at = $2
         WHERE subscription = $1 AND unblocked_at IS NULL AND ended_at IS NULL",
    )
    .bind(storable(subscription))
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that whoever has paid can work.
pub(crate) async fn unblocked(
    connection: &mut Connection,
    tenant: &TenantId,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE checkout_sessions SET unblocked_at = $2
         WHERE tenant_id = $1 AND completed_at IS NOT NULL AND unblocked_at IS NULL AND ended_at IS NULL",
    )
    .bind(tenant.as_str())
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// A Checkout that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckoutRow {
    pub(crate) tenant: String,
    pub(crate) tenant_name: String,
    pub(crate) attempt: i64,
    pub(crate) session: String,
    pub(crate) subscription: Option<String>,
    pub(crate) plan: String,
    pub(crate) price: String,
    pub(crate) state: String,
    pub(crate) opened_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) completed_at: Option<Timestamp>,
    pub(crate) unblocked_at: Option<Timestamp>,
    /// Since when it is as it is: opened, or completed.
    pub(crate) since: Timestamp,
}

macro_rules! sessions {
    ($condition:literal) => {
        concat!(
            "SELECT * FROM (
                 SELECT tenant_id, name, attempt, session, subscription, ended_at, checkout_sessions.plan AS plan, price, state, opened_at,
                        expires_at, completed_at, unblocked_at, coalesce(completed_at, opened_at) AS since
                 FROM checkout_sessions JOIN tenants ON tenants.id = tenant_id WHERE session IS NOT NULL) AS opened
             WHERE ",
            $condition
        )
    };
}

const STUCK: &str = sessions!(
    "unblocked_at IS NULL AND ended_at IS NULL
       AND ((completed_at IS NULL AND state = 'open' AND opened_at <= $1) OR completed_at <= $2)
       AND (since, tenant_id, attempt) > ($3, $4, $5)
     ORDER BY since, tenant_id, attempt LIMIT $6"
);

const OF_TENANT: &str = sessions!("tenant_id = $1 ORDER BY attempt DESC LIMIT 20");

/// Where a page of stuck conversions ended.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct StuckKey {
    pub(crate) since: i64,
    pub(crate) tenant: String,
    pub(crate) attempt: i64,
}

/// Those that do not get on, the longest stuck first.
pub(crate) async fn stuck(
    connection: &mut Connection,
    opened_before: Timestamp,
    paid_before: Timestamp,
    after: Option<&StuckKey>,
    limit: usize,
) -> Result<Vec<CheckoutRow>, StoreError> {
    sqlx::query(STUCK)
        .bind(opened_before.0)
        .bind(paid_before.0)
        .bind(after.map_or(i64::MIN, |it| it.since))
        .bind(after.map(|it| storable(&it.tenant)).unwrap_or_default())
        .bind(after.map_or(i64::MIN, |it| it.attempt))
        .bind(limit as i64)
        .fetch_all(connection)
        .await?
        .iter()
        .map(read_row)
        .collect()
}

/// How many do not get on: open, and paid.
pub(crate) async fn stuck_counts(
    connection: &mut Connection,
    opened_before: Timestamp,
    paid_before: Timestamp,
) -> Result<(i64, i64), StoreError> {
    let counts = sqlx::query_as(
        "SELECT CAST(coalesce(sum(CASE WHEN completed_at IS NULL AND state = 'open' AND opened_at <= $1
                                       THEN 1 ELSE 0 END), 0) AS BIGINT),
                CAST(coalesce(sum(CASE WHEN completed_at <= $2 THEN 1 ELSE 0 END), 0) AS BIGINT)
         FROM checkout_sessions WHERE session IS NOT NULL AND unblocked_at IS NULL AND ended_at IS NULL",
    )
    .bind(opened_before.0)
    .bind(paid_before.0)
    .fetch_one(connection)
    .await?;
    Ok(counts)
}

/// The newest of a tenant.
pub(crate) async fn of_tenant(connection: &mut Connection, tenant: &TenantId) -> Result<Vec<CheckoutRow>, StoreError> {
    sqlx::query(OF_TENANT).bind(tenant.as_str()).fetch_all(connection).await?.iter().map(read_row).collect()
}

fn read_row(row: &sqlx::any::AnyRow) -> Result<CheckoutRow, StoreError> {
    use sqlx::Row;
    let instant = |column: &str| row.try_get::<Option<i64>, _>(column).map(|it| it.map(Timestamp));
    Ok(CheckoutRow {
        tenant: row.try_get("tenant_id")?,
        tenant_name: row.try_get("name")?,
        attempt: row.try_get("attempt")?,
        session: row.try_get("session")?,
        subscription: row.try_get("subscription")?,
        plan: row.try_get("plan")?,
        price: row.try_get("price")?,
        state: row.try_get("state")?,
        opened_at: Timestamp(row.try_get("opened_at")?),
        expires_at: instant("expires_at")?,
        completed_at: instant("completed_at")?,
        unblocked_at: instant("unblocked_at")?,
        since: Timestamp(row.try_get("since")?),
    })
}
