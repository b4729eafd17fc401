//! Closes Checkout sessions of tenants that may not buy any more: suspended, deleted, or subscribed by another way. An
//! open one could still be paid, by whoever has its address.
//!
//! What has to be closed follows from the tenant as it is, so that it does not matter by what it became so, and nothing is
//! forgotten by a server that is killed.

use paywall_domain::billing::may_still_buy;
use paywall_domain::{TenantId, Timestamp};

use super::attempts::{self, Attempt};
use super::checkout::{BuyError, finish, key, note};
use super::checkouts::Seen;
use super::reading::is_missing;
use super::worker::WorkError;
use super::{Billing, inbox, subscriptions};
use crate::server::State;
use crate::store::{Store, StoreError, tenants};

/// How long a session is left to whoever closes it.
const LEASE_MS: i64 = 30_000;

/// How long an answer of Stripe is waited for by whoever has asked for a session.
const ASKED_MS: i64 = 60_000;

/// An open session whose tenant changed since it was last looked at.
const DUE: &str = "SELECT tenant_id, attempt, close_attempts, close_at FROM checkout_sessions
         JOIN tenants ON tenants.id = tenant_id
     WHERE state = 'open' AND tenants.seq <> looked_at_seq AND close_at <= $1
       AND (session IS NOT NULL OR (request IS NOT NULL AND opened_at <= $2))
     ORDER BY close_at, tenant_id LIMIT 1";

const CLAIM: &str = "UPDATE checkout_sessions SET close_attempts = close_attempts + 1, close_at = $4
     WHERE tenant_id = $1 AND attempt = $2 AND close_at = $3 AND state = 'open'";

/// A session that may have to be closed.
struct Due {
    tenant: TenantId,
    number: i64,
    attempts: i64,
}

impl Store {
    async fn claim_open(&self, now: Timestamp) -> Result<Option<Due>, StoreError> {
        let due: Option<(String, i64, i64, i64)> =
            sqlx::query_as(DUE).bind(now.0).bind(now.0 - ASKED_MS).fetch_optional(self.readers()).await?;
        let Some((tenant, number, attempts, close_at)) = due else { return Ok(None) };
        let mut write = self.write_beside().await?;
        let claimed = sqlx::query(CLAIM)
            .bind(&tenant)
            .bind(number)
            .bind(close_at)
            .bind(now.0 + LEASE_MS)
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        let Ok(tenant) = TenantId::parse(&tenant) else { return Ok(None) };
        Ok((claimed.rows_affected() > 0).then_some(Due { tenant, number, attempts: attempts + 1 }))
    }

    /// Keeps when it is next looked at: once the tenant changed, or at an instant.
    async fn open_later(&self, due: &Due, seq: Option<i64>, at: Timestamp) -> Result<(), StoreError> {
        let mut write = self.write_beside().await?;
        sqlx::query(
            "UPDATE checkout_sessions SET close_at = $3, looked_at_seq = coalesce($4, looked_at_seq),
                    close_attempts = CASE WHEN $4 IS NULL THEN close_attempts ELSE 0 END
             WHERE tenant_id = $1 AND attempt = $2",
        )
        .bind(due.tenant.as_str())
        .bind(due.number)
        .bind(at.0)
        .bind(seq)
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(())
    }
}

/// Looks at the next open session. Answers whether there was one.
pub(super) async fn step(state: &State, billing: &Billing) -> Result<bool, WorkError> {
    let Some(due) = state.store.claim_open(state.clock.now()).await? else { return Ok(false) };
    let mut read = state.store.read().await?;
    let row = tenants::get(&mut read, &due.tenant).await?;
    let newest = attempts::newest(&mut read, &due.tenant).await?.filter(|it| it.number == due.number);
    let seq = row.as_ref().map(|it| it.seq);
    let stays = match &row {
        Some(row) => may_still_buy(&subscriptions::side(&mut read, row).await?),
        None => false,
    };
    drop(read);
    if stays {
        state.store.open_later(&due, seq, Timestamp(0)).await?;
        return Ok(true);
    }
    match close(state, billing, &due, newest.as_ref()).await {
        Ok(()) => {
            tracing::info!(tenant = due.tenant.as_str(), "a Checkout that was open is closed: it may not buy now");
        }
        Err(BuyError::Store(error)) => return Err(error.into()),
        Err(error) => {
            let now = state.clock.now();
            if let BuyError::Stripe(error) = &error
                && error.passing()
            {
                billing.failed(error, now);
            }
            tracing::warn!(%error, tenant = due.tenant.as_str(), "a Checkout that is open could not be closed yet");
            let at = now.plus_ms(inbox::pause_ms(due.attempts, inbox::LATER_MOST_MS));
            state.store.open_later(&due, None, at).await?;
        }
    }
    Ok(true)
}

/// Closes a session, or finds out what it came to.
async fn close(state: &State, billing: &Billing, due: &Due, newest: Option<&Attempt>) -> Result<(), BuyError> {
    let session = match newest.map(|it| (it, &it.session, &it.request)) {
        Some((_, Some(session), _)) => session.clone(),
        // Nobody knows what Stripe answered: it answers the same again.
        Some((attempt, None, Some(request))) => match finish(state, billing, &due.tenant, attempt, request).await {
            Ok(session) => session.id,
            // It was refused, and is kept as such.
            Err(BuyError::Stripe(error)) if !error.passing() => return Ok(()),
            Err(error) => return Err(error),
        },
        // Another attempt took its place, so it was closed then.
        _ => return Ok(state.store.attempt_over(&due.tenant, due.number).await?),
    };
    let found = match billing.client.retrieve_checkout_session(&session).await {
        Ok(found) => found,
        Err(error) if is_missing(&error) => return Ok(note(state, &Seen::expired(&session)).await?),
        Err(error) => return Err(error.into()),
    };
    if found.status.as_deref() != Some("open") {
        return Ok(note(state, &Seen::of(&found)).await?);
    }
    // Of the attempt, too: Stripe keeps its failures under a key as well.
    let key = key(&["close", &session, &due.attempts.to_string()])?;
    let closed = billing.client.expire_checkout_session(&session, &key).await?;
    Ok(note(state, &Seen::of(&closed)).await?)
}
