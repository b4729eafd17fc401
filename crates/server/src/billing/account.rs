//! The account as a whole: whether Stripe delivers here, what it could not deliver, and who pays for nothing.

use paywall_domain::DAY_MS;
use paywall_domain::billing::{
    AccountSide, BillingPolicy, ByHand, Drift, DriftBody, DriftKind, PriceBook, Repair, StripeMode, WebhookEndpoint,
    account_drifts,
};
use paywall_stripe::ErrorKind;
use serde::{Deserialize, Serialize};

use super::duties::{self, Duty};
use super::webhook::MODE_MIXED;
use super::worker::WorkError;
use super::{Billing, drifts, inbox, poll, subscriptions};
use crate::server::State;
use crate::store::{Read, StoreError, plans};

/// Subscriptions of nobody that are looked at in one go.
const ORPHANS_AT_A_TIME: i64 = 1_000;

/// For how long an event of the other mode is told of.
const MIXED_MS: i64 = 7 * DAY_MS;

/// How the account was when it was last looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AccountSeen {
    /// `None` = the key may not list them.
    pub(crate) endpoints: Option<Vec<WebhookEndpoint>>,
    pub(crate) undelivered: Option<u64>,
}

/// Where Stripe's webhooks should arrive, where that is known.
pub(crate) fn webhook_url(state: &State) -> Option<String> {
    state.config.public_url.as_ref().map(|url| format!("{}/stripe/webhook", url.trim_end_matches('/')))
}

/// Looks at the account, and writes what is wrong with it. Answers what was seen.
pub(crate) async fn look(state: &State, billing: &Billing) -> Result<String, WorkError> {
    let undelivered = poll::undelivered(state, billing).await?;
    let endpoints = endpoints(billing).await?;
    let seen = AccountSeen { endpoints, undelivered: Some(undelivered) };
    let body = serde_json::to_string(&seen).map_err(StoreError::from)?;
    record(state, billing, &seen, &body).await?;
    Ok(body)
}

/// The account's endpoints; `None` where the key may not list them.
async fn endpoints(billing: &Billing) -> Result<Option<Vec<WebhookEndpoint>>, WorkError> {
    let listed = match billing.client.list_webhook_endpoints().await {
        Ok(page) => page.items,
        Err(error) if matches!(error.kind, ErrorKind::PermissionMissing { .. } | ErrorKind::NotOffered { .. }) => {
            tracing::info!(%error, "the webhook endpoints cannot be listed");
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let endpoint = |it: paywall_stripe::shapes::WebhookEndpoint| WebhookEndpoint {
        id: it.id,
        url: it.url.unwrap_or_default(),
        enabled: it.status.as_deref() == Some("enabled"),
        livemode: it.livemode.unwrap_or(billing.settings.mode == StripeMode::Live),
        events: it.enabled_events.unwrap_or_default(),
    };
    Ok(Some(listed.into_iter().map(endpoint).collect()))
}

/// Writes what was seen, and the account's drifts as they are by it: what the health says and what differs are of one
/// look, whoever looked.
async fn record(state: &State, billing: &Billing, seen: &AccountSeen, body: &str) -> Result<(), StoreError> {
    let now = state.clock.now();
    let mut read = state.store.read().await?;
    let prices = PriceBook::of(&plans::all(&mut read).await?.into_list());
    let policy = BillingPolicy { prices, ..billing.policy() };
    let orphans = orphans(&mut read, &policy).await?;
    let mixed = inbox::any_failed(&mut read, MODE_MIXED, now.plus_ms(-MIXED_MS)).await?;
    drop(read);
    let url = webhook_url(state);
    let side = AccountSide {
        webhook_url: url.as_deref(),
        endpoints: seen.endpoints.as_deref(),
        undelivered: seen.undelivered,
        orphans: &[],
    };
    let mut found = account_drifts(&side, &policy);
    found.extend(orphans);
    if mixed {
        found.push(mode_mixed(policy.mode));
    }
    let mut looked = vec![DriftKind::ModeMixed, DriftKind::UndeliveredEvents, DriftKind::UnknownCustomer];
    if seen.endpoints.is_some() && url.is_some() {
        looked.extend([
            DriftKind::WebhookEndpointMissing,
            DriftKind::WebhookEndpointDisabled,
            DriftKind::WebhookEventsMissing,
        ]);
    }
    let mut write = state.store.write_beside().await?;
    drifts::record(&mut write, drifts::Scope::Account(&looked), &found, now).await?;
    duties::put_body(&mut write, Duty::Poll, body).await?;
    Ok(write.commit().await?)
}

/// Who pays for a plan and is no tenant here. The account may sell many other things to many others.
async fn orphans(read: &mut Read, policy: &BillingPolicy) -> Result<Vec<Drift>, StoreError> {
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let orphans = subscriptions::orphans(read, &after, ORPHANS_AT_A_TIME).await?;
        let Some(last) = orphans.last() else { return Ok(found) };
        last.id.clone_into(&mut after);
        found.extend(account_drifts(&AccountSide { orphans: &orphans, ..AccountSide::default() }, policy));
    }
}

/// Writes who pays for a plan and is no tenant here.
pub(crate) async fn record_orphans(state: &State, billing: &Billing) -> Result<(), StoreError> {
    let now = state.clock.now();
    let mut read = state.store.read().await?;
    let prices = PriceBook::of(&plans::all(&mut read).await?.into_list());
    let policy = BillingPolicy { prices, ..billing.policy() };
    let found = orphans(&mut read, &policy).await?;
    drop(read);
    let mut write = state.store.write_beside().await?;
    drifts::record(&mut write, drifts::Scope::Account(&[DriftKind::UnknownCustomer]), &found, now).await?;
    Ok(write.commit().await?)
}

/// Events of the other half of the account arrive.
fn mode_mixed(mode: StripeMode) -> Drift {
    Drift {
        tenant: None,
        customer: None,
        subscription: None,
        endpoint: None,
        body: DriftBody::ModeMixed { paywall: mode, stripe: StripeMode::of(mode == StripeMode::Test) },
        at_stake: None,
        repair: Repair::None { by_hand: ByHand::CheckMode },
    }
}
