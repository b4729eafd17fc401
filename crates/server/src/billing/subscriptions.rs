//! What is kept of Stripe: subscriptions as they were last read, and what of them was taken over.

use std::collections::BTreeSet;

use paywall_domain::billing::{BilledSubscription, PaywallSide, StripeSubscription};
use paywall_domain::{TenantId, Timestamp};

use crate::store::{Connection, StoreError, TenantRow, intake, storable, take_seq};

macro_rules! keep {
    ($fetched_at:literal) => {
        concat!(
            "INSERT INTO stripe_subscriptions (id, customer, tenant_id, fetched_at, body) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (id) DO UPDATE SET customer = excluded.customer, tenant_id = excluded.tenant_id,
                 body = excluded.body, fetched_at = ",
            $fetched_at
        )
    };
}

/// What was read in a customer's turn is the newest, whatever another server's clock said when it read before.
const KEEP: &str = keep!(
    "CASE WHEN stripe_subscriptions.fetched_at > excluded.fetched_at THEN stripe_subscriptions.fetched_at
          ELSE excluded.fetched_at END"
);

/// What was read without a turn, by the clocks: where it seems to be older, a later look finds what differs.
const KEEP_LISTED: &str = keep!("excluded.fetched_at WHERE stripe_subscriptions.fetched_at <= excluded.fetched_at");

/// Those of a tenant: sold to it, or of its customer and of nobody else. What was sold to nobody by a customer of several
/// tenants is none's.
const OF_TENANT: &str = "SELECT id, body, fetched_at FROM stripe_subscriptions WHERE tenant_id = $1
     UNION SELECT id, body, fetched_at FROM stripe_subscriptions WHERE customer = $2 AND tenant_id IS NULL
         AND NOT EXISTS (SELECT 1 FROM tenants WHERE stripe_customer = $2 AND tenants.id <> $1) ORDER BY id";

/// Keeps a subscription as it was read in its customer's turn.
pub(crate) async fn keep(
    connection: &mut Connection,
    subscription: &StripeSubscription,
    tenant: Option<&TenantId>,
    fetched_at: Timestamp,
) -> Result<(), StoreError> {
    put(connection, KEEP, subscription, tenant, fetched_at).await
}

/// Keeps a subscription as it was listed; what was read later stays.
pub(crate) async fn keep_listed(
    connection: &mut Connection,
    subscription: &StripeSubscription,
    tenant: Option<&TenantId>,
    asked_at: Timestamp,
) -> Result<(), StoreError> {
    put(connection, KEEP_LISTED, subscription, tenant, asked_at).await
}

async fn put(
    connection: &mut Connection,
    statement: &'static str,
    subscription: &StripeSubscription,
    tenant: Option<&TenantId>,
    fetched_at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(statement)
        .bind(storable(&subscription.id))
        .bind(storable(&subscription.customer))
        .bind(tenant.map(TenantId::as_str))
        .bind(fetched_at.0)
        .bind(storable(&serde_json::to_string(subscription)?))
        .execute(connection)
        .await?;
    Ok(())
}

/// Forgets a subscription that Stripe does not have any more.
pub(crate) async fn forget(connection: &mut Connection, subscription: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM stripe_subscriptions WHERE id = $1").bind(subscription).execute(connection).await?;
    Ok(())
}

/// The subscriptions of a customer that are kept.
pub(crate) async fn of_customer(
    connection: &mut Connection,
    customer: &str,
) -> Result<Vec<StripeSubscription>, StoreError> {
    let rows: Vec<(String,)> = sqlx::query_as("SELECT body FROM stripe_subscriptions WHERE customer = $1 ORDER BY id")
        .bind(customer)
        .fetch_all(connection)
        .await?;
    rows.iter().map(|(body,)| Ok(serde_json::from_str(body)?)).collect()
}

/// Subscriptions that are kept, by their ids, up to `most`.
pub(crate) async fn page(
    connection: &mut Connection,
    after: &str,
    most: i64,
) -> Result<Vec<StripeSubscription>, StoreError> {
    let rows: Vec<(String,)> =
        sqlx::query_as("SELECT body FROM stripe_subscriptions WHERE id > $1 ORDER BY id LIMIT $2")
            .bind(after)
            .bind(most)
            .fetch_all(connection)
            .await?;
    rows.iter().map(|(body,)| Ok(serde_json::from_str(body)?)).collect()
}

/// The ids of a customer's subscriptions that are kept.
pub(crate) async fn ids_of_customer(connection: &mut Connection, customer: &str) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String,)> = sqlx::query_as("SELECT id FROM stripe_subscriptions WHERE customer = $1 ORDER BY id")
        .bind(customer)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Every subscription of a tenant.
pub(crate) async fn of_tenant(
    connection: &mut Connection,
    tenant: &TenantId,
    customer: Option<&str>,
) -> Result<Vec<StripeSubscription>, StoreError> {
    let kept = kept_of_tenant(connection, tenant, customer).await?;
    Ok(kept.into_iter().map(|(subscription, _)| subscription).collect())
}

/// Every subscription of a tenant, and when each was read.
pub(crate) async fn kept_of_tenant(
    connection: &mut Connection,
    tenant: &TenantId,
    customer: Option<&str>,
) -> Result<Vec<(StripeSubscription, Timestamp)>, StoreError> {
    let rows: Vec<(String, String, i64)> =
        sqlx::query_as(OF_TENANT).bind(tenant.as_str()).bind(customer).fetch_all(connection).await?;
    rows.iter().map(|(_, body, at)| Ok((serde_json::from_str(body)?, Timestamp(*at)))).collect()
}

/// Subscriptions that are nobody's, by their ids, up to `most`.
pub(crate) async fn orphans(
    connection: &mut Connection,
    after: &str,
    most: i64,
) -> Result<Vec<StripeSubscription>, StoreError> {
    let rows: Vec<(String,)> = sqlx::query_as(
        "SELECT body FROM stripe_subscriptions WHERE tenant_id IS NULL AND id > $1
           AND (SELECT count(*) FROM tenants WHERE tenants.stripe_customer = customer) <> 1 ORDER BY id LIMIT $2",
    )
    .bind(after)
    .bind(most)
    .fetch_all(connection)
    .await?;
    rows.iter().map(|(body,)| Ok(serde_json::from_str(body)?)).collect()
}

/// The tenants whose customer it is.
pub(crate) async fn tenants_of_customer(
    connection: &mut Connection,
    customer: &str,
) -> Result<BTreeSet<TenantId>, StoreError> {
    let rows: Vec<(String,)> = sqlx::query_as(
        "SELECT id FROM tenants WHERE stripe_customer = $1
         UNION SELECT tenant_id FROM stripe_subscriptions WHERE customer = $1 AND tenant_id IS NOT NULL",
    )
    .bind(customer)
    .fetch_all(connection)
    .await?;
    Ok(rows.iter().filter_map(|(id,)| TenantId::parse(id).ok()).collect())
}

/// Whose a subscription is, of the tenants of its customer: the one that it says it was sold to, else the only one.
pub(crate) fn owner_of<'a>(subscription: &StripeSubscription, tenants: &'a BTreeSet<TenantId>) -> Option<&'a TenantId> {
    match &subscription.tenant {
        Some(sold) => tenants.get(sold),
        None => tenants.first().filter(|_| tenants.len() == 1),
    }
}

/// What was last taken over for a tenant.
pub(crate) async fn billed(
    connection: &mut Connection,
    tenant: &TenantId,
) -> Result<Option<BilledSubscription>, StoreError> {
    let row: Option<(String,)> = sqlx::query_as("SELECT body FROM billed_subscriptions WHERE tenant_id = $1")
        .bind(tenant.as_str())
        .fetch_optional(connection)
        .await?;
    row.map(|(body,)| Ok(serde_json::from_str(&body)?)).transpose()
}

/// Notes what was taken over for a tenant.
pub(crate) async fn put_billed(
    connection: &mut Connection,
    tenant: &TenantId,
    billed: Option<&BilledSubscription>,
) -> Result<(), StoreError> {
    match billed {
        Some(billed) => {
            sqlx::query(
                "INSERT INTO billed_subscriptions (tenant_id, body) VALUES ($1, $2)
                 ON CONFLICT (tenant_id) DO UPDATE SET body = excluded.body",
            )
            .bind(tenant.as_str())
            .bind(storable(&serde_json::to_string(billed)?))
            .execute(connection)
            .await?;
        }
        None => {
            sqlx::query("DELETE FROM billed_subscriptions WHERE tenant_id = $1")
                .bind(tenant.as_str())
                .execute(connection)
                .await?;
        }
    }
    Ok(())
}

/// The paywall's side of a tenant.
pub(crate) async fn side(connection: &mut Connection, row: &TenantRow) -> Result<PaywallSide, StoreError> {
    Ok(PaywallSide {
        tenant: row.id.clone(),
        deleted_at: row.deleted_at,
        customer: row.stripe_customer.clone(),
        facts: row.facts.clone(),
        billed: billed(connection, &row.id).await?,
    })
}

/// Gives a tenant its customer. It comes again in the feed: answers the place.
pub(crate) async fn set_customer(connection: &mut Connection, row: &TenantRow) -> Result<i64, StoreError> {
    let seq = take_seq(connection, 1).await? + 1;
    sqlx::query("UPDATE tenants SET seq = $2, stripe_customer = $3, search = $4 WHERE id = $1")
        .bind(row.id.as_str())
        .bind(seq)
        .bind(row.stripe_customer.as_deref().map(storable))
        .bind(intake::search_text(row))
        .execute(connection)
        .await?;
    Ok(seq)
}

/// Lets a tenant be found by its subscription.
pub(crate) async fn put_search(connection: &mut Connection, row: &TenantRow) -> Result<(), StoreError> {
    sqlx::query("UPDATE tenants SET search = $2 WHERE id = $1")
        .bind(row.id.as_str())
        .bind(intake::search_text(row))
        .execute(connection)
        .await?;
    Ok(())
}

/// A subscription as it was last read.
pub(crate) async fn get(connection: &mut Connection, id: &str) -> Result<Option<StripeSubscription>, StoreError> {
    let row: Option<(String,)> = sqlx::query_as("SELECT body FROM stripe_subscriptions WHERE id = $1")
        .bind(id)
        .fetch_optional(connection)
        .await?;
    row.map(|(body,)| Ok(serde_json::from_str(&body)?)).transpose()
}

/// The customers of subscriptions that were last read before an instant.
pub(crate) async fn not_read_since(connection: &mut Connection, since: Timestamp) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String,)> =
        sqlx::query_as("SELECT DISTINCT customer FROM stripe_subscriptions WHERE fetched_at < $1 ORDER BY customer")
            .bind(since.0)
            .fetch_all(connection)
            .await?;
    Ok(rows.into_iter().map(|(customer,)| customer).collect())
}

/// A page of the tenants that Stripe may have a say in, by their ids.
pub(crate) async fn billed_tenants(
    connection: &mut Connection,
    after: &str,
    limit: i64,
) -> Result<Vec<TenantId>, StoreError> {
    let rows: Vec<(String,)> = sqlx::query_as(
        "SELECT id FROM tenants WHERE id > $1
           AND (stripe_customer IS NOT NULL OR status IN ('active', 'past_due')
                OR EXISTS (SELECT 1 FROM stripe_subscriptions WHERE tenant_id = tenants.id))
         ORDER BY id LIMIT $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(connection)
    .await?;
    Ok(rows.iter().filter_map(|(id,)| TenantId::parse(id).ok()).collect())
}
