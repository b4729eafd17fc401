//! Repairs that change something in Stripe.
//!
//! 1. Whatever is to be repaired is looked at anew: what was seen of it may be long over.
//! 2. The repair is kept as begun, under its key, which must not be void.
//! 3. Stripe is told.
//! 4. What came of it is looked at, and recorded with the key.
//!
//! Whoever is killed between the second and the fourth leaves one that was begun. Asked again under the key, asked for what
//! became of the key, and after a while by itself, it is looked at: what is gone from Stripe was done, and is recorded with who
//! did it; what is still there was not, and its key is void.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use paywall_contract::{
    Adjustment, IDEMPOTENCY_KEY, ProblemCode, RepairOutcome, Snapshot, StripeParameter, StripeWrite,
};
use paywall_domain::billing::{Drift, Repair, StripeStep, next_second};
use paywall_domain::{Change, TenantId, Timestamp};
use paywall_stripe::parameters::{Cancellation, EndpointChange};
use paywall_stripe::{Error, ErrorKind, IdempotencyKey};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::adjustments::{Draft, hashed, record};
use super::auth::Actor;
use super::problem::Fault;
use super::repair::{LOOK, TURN, away, nothing, nothing_yet, undone};
use crate::billing::outbox::{change_of, write_of};
use crate::billing::reading::{error_code, is_missing};
use crate::billing::repairs::Begun;
use crate::billing::worker::look_now;
use crate::billing::{Billing, account, drifts, inbox, poll, repairs};
use crate::server::State;
use crate::store::time::{rolled, up_to};
use crate::store::{KeyRecord, keys, plans, tenants};

/// How long whoever began a repair may still be at it: longer than any request may take.
const UNDER_WAY_MS: i64 = 90_000;

/// How often it is looked for repairs that nobody is at any more, and how many are finished at a time.
const EVERY: Duration = Duration::from_secs(1);
const AT_ONCE: i64 = 8;

/// A repair as it was asked for: all that recording its end needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Intent {
    pub(super) drift: Drift,
    pub(super) actor: Actor,
    pub(super) reason: String,
    pub(super) ticket: Option<String>,
    pub(super) request_id: String,
    /// The tenant before.
    before: Option<Snapshot>,
    /// What is sent, and by which clock.
    stripe_writes: Vec<StripeWrite>,
    at: Timestamp,
}

/// Who asks for a repair, and why.
pub(super) struct Asked<'a> {
    pub(super) actor: Actor,
    pub(super) reason: &'a str,
    pub(super) ticket: Option<&'a str>,
    pub(super) request_id: &'a str,
    pub(super) hash: &'a [u8],
}

/// Makes a repair whose drift was seen so.
pub(super) async fn make(
    state: &State,
    billing: &Billing,
    seen: &Drift,
    asked: &Asked<'_>,
    key: &str,
) -> Result<RepairOutcome, Fault> {
    let Some(drift) = as_it_is(state, billing, seen).await? else { return Ok(nothing(state.clock.now())) };
    if drift.repair != seen.repair {
        return Err(Fault::new(ProblemCode::ChangeRefused, "it is another by now; look at it again"));
    }
    let at = state.clock.now();
    let intent = Intent {
        before: snapshot(state, drift.tenant.as_ref()).await?,
        stripe_writes: writes(billing, &drift.repair, at).await?,
        drift,
        actor: asked.actor.clone(),
        reason: asked.reason.to_owned(),
        ticket: asked.ticket.map(str::to_owned),
        request_id: asked.request_id.to_owned(),
        at,
    };
    let begun = begin(state, key, asked.hash, &intent).await?;
    go_on(state, billing, &begun).await
}

/// Goes on with one that was begun under a key.
pub(super) async fn resume(state: &State, billing: &Billing, begun: &Begun) -> Result<RepairOutcome, Fault> {
    let intent: Intent = serde_json::from_str(&begun.body)?;
    if stands(state, billing, &intent).await? {
        return go_on(state, billing, begun).await;
    }
    end(state, billing, begun, &intent).await
}

/// What became of one that was begun under a key; `None` = it was not made, and will not be, or it is no tenant's.
pub(super) async fn settle(state: &State, billing: &Billing, begun: &Begun) -> Result<Option<Adjustment>, Fault> {
    if state.clock.now().ms_since(begun.since) < UNDER_WAY_MS {
        let detail = "this repair is being made just now, and Stripe has not answered yet; ask again in a minute";
        return Err(Fault::new(ProblemCode::StripeUnavailable, detail));
    }
    let intent: Intent = serde_json::from_str(&begun.body)?;
    if !stands(state, billing, &intent).await? {
        return Ok(end(state, billing, begun, &intent).await?.adjustment);
    }
    abandon(state, &begun.key, true).await?;
    tracing::warn!(
        kind = intent.drift.kind().as_str(),
        by = intent.actor.name,
        request_id = intent.request_id,
        "a repair that was begun did not reach Stripe; it is not made"
    );
    Ok(None)
}

/// Finishes what nobody is at any more, until `stop` is cancelled.
pub(crate) async fn run(state: Arc<State>, stop: CancellationToken) {
    let Some(billing) = &state.billing else { return };
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let left =
            state.store.repairs_left(state.clock.now().plus_ms(-UNDER_WAY_MS), AT_ONCE).await.unwrap_or_default();
        for begun in left {
            let Some(done) = stop.run_until_cancelled(Box::pin(settle(&state, billing, &begun))).await else { return };
            if let Err(fault) = done {
                // Why Stripe or the database cannot be asked is logged by whoever asks them first.
                tracing::debug!(detail = fault.0.detail, "a repair that was begun is looked at later");
            }
        }
    }
}

/// Looks at what a drift is about, whatever was heard of it.
async fn look(state: &State, billing: &Billing, drift: &Drift) -> Result<(), Fault> {
    let Some(customer) = &drift.customer else {
        return account::look(state, billing).await.map(drop).map_err(undone);
    };
    if look_now(state, billing, customer).await.map_err(undone)? {
        return Ok(());
    }
    let detail = "Stripe cannot be asked about this customer now; nothing was changed, try again";
    Err(Fault::new(ProblemCode::StripeUnavailable, detail))
}

/// A drift as it is now; `None` = it is gone.
async fn as_it_is(state: &State, billing: &Billing, seen: &Drift) -> Result<Option<Drift>, Fault> {
    // That changes nothing in Stripe, and takes whatever there is.
    if seen.repair != Repair::ProcessEvents {
        look(state, billing, seen).await?;
    }
    let mut read = state.store.read().await?;
    Ok(drifts::get(&mut read, &drifts::id_of(seen)).await?.map(|it| it.drift))
}

/// Whether what is to be repaired is still there as it was.
async fn stands(state: &State, billing: &Billing, intent: &Intent) -> Result<bool, Fault> {
    let found = as_it_is(state, billing, &intent.drift).await?;
    Ok(found.is_some_and(|it| it.repair == intent.drift.repair))
}

/// Keeps a repair as begun. Where somebody was faster under the same key it is that one.
async fn begin(state: &State, key: &str, hash: &[u8], intent: &Intent) -> Result<Begun, Fault> {
    let mut write = state.store.write().await?;
    match keys::get(&mut write, key).await? {
        None if repairs::get(&mut write, key).await?.is_none() => {}
        Some(KeyRecord::Begun { request_hash }) if request_hash == hash => {
            if let Some(begun) = repairs::begun(&mut write, key).await? {
                return Ok(begun);
            }
        }
        _ => return Err(Fault::new(ProblemCode::IdempotencyKeyVoid, "the key was used or settled meanwhile")),
    }
    let now = state.clock.now();
    let begun = Begun { key: key.to_owned(), hash: hash.to_vec(), since: now, body: serde_json::to_string(intent)? };
    keys::put(&mut write, key, &KeyRecord::Begun { request_hash: hash.to_vec() }, now).await?;
    repairs::begin(&mut write, &begun).await?;
    write.commit().await?;
    Ok(begun)
}

/// Tells Stripe, and records what came of it. What is not known to be refused stays begun.
async fn go_on(state: &State, billing: &Billing, begun: &Begun) -> Result<RepairOutcome, Fault> {
    let intent: Intent = serde_json::from_str(&begun.body)?;
    match send(state, billing, &intent, &begun.key).await {
        Ok(()) => end(state, billing, begun, &intent).await,
        Err(Unsent::Refused(fault)) => {
            abandon(state, &begun.key, false).await?;
            Err(fault)
        }
        Err(Unsent::Unknown(fault)) => Err(fault),
    }
}

/// Records what was done.
async fn end(state: &State, billing: &Billing, begun: &Begun, intent: &Intent) -> Result<RepairOutcome, Fault> {
    let drift = &intent.drift;
    // What was sent holds, whether or not it can be looked at now: then the next look tells.
    if let Err(fault) = look(state, billing, drift).await {
        tracing::warn!(detail = fault.0.detail, "what a repair did in Stripe is looked at later");
    }
    let now = state.clock.now();
    let after = snapshot(state, drift.tenant.as_ref()).await?;
    let mut outcome = RepairOutcome {
        before: intent.before.clone(),
        after,
        stripe_writes: intent.stripe_writes.clone(),
        ..nothing_yet(now)
    };
    let mut write = state.store.write().await?;
    let known = keys::get(&mut write, &begun.key).await?;
    if let Some(KeyRecord::Made { answer, .. }) = &known {
        return Ok(serde_json::from_str(answer)?);
    }
    if let Some((_, answer)) = repairs::get(&mut write, &begun.key).await? {
        return Ok(serde_json::from_str(&answer)?);
    }
    if let (Some(tenant), Some(before)) = (&drift.tenant, intent.before.clone()) {
        let plans = plans::all(&mut write).await?;
        let row = tenants::get(&mut write, tenant).await?.ok_or_else(|| Fault::not_found("tenant"))?;
        let row = up_to(&mut write, row, now).await?;
        let facts = row.facts.clone();
        let draft = Draft {
            change: Change::RepairBilling { drift: drift.kind(), repair: drift.repair.clone() },
            reason: &intent.reason,
            ticket: intent.ticket.as_deref(),
            undoes: None,
            request_id: &intent.request_id,
        };
        let made = record(state, &mut write, &intent.actor, &row, facts, draft, &plans, now).await?;
        outcome.adjustment = Some(Adjustment { before, ..made.adjustment.clone() });
        let remembered = KeyRecord::Made {
            request_hash: begun.hash.clone(),
            adjustment_id: made.adjustment.id,
            answer: serde_json::to_string(&outcome)?,
            version: made.version,
        };
        keys::replace(&mut write, &begun.key, Some(&remembered), now).await?;
    } else {
        let made = repairs::Made {
            key: &begun.key,
            hash: &begun.hash,
            drift: &drifts::id_of(drift),
            actor: &intent.actor.name,
            reason: &intent.reason,
            answer: &serde_json::to_string(&outcome)?,
        };
        repairs::put(&mut write, &made, now).await?;
        keys::replace(&mut write, &begun.key, None, now).await?;
    }
    repairs::forget(&mut write, &begun.key).await?;
    write.commit().await?;
    tracing::info!(
        kind = drift.kind().as_str(),
        by = intent.actor.name,
        request_id = intent.request_id,
        "a drift was repaired in Stripe"
    );
    Ok(outcome)
}

/// Ends one that was not made. `void`: nothing will be made under its key either.
async fn abandon(state: &State, key: &str, void: bool) -> Result<(), Fault> {
    let mut write = state.store.write().await?;
    if matches!(keys::get(&mut write, key).await?, Some(KeyRecord::Begun { .. })) {
        keys::replace(&mut write, key, void.then_some(&KeyRecord::Void), state.clock.now()).await?;
        repairs::forget(&mut write, key).await?;
    }
    write.commit().await?;
    Ok(())
}

async fn snapshot(state: &State, tenant: Option<&TenantId>) -> Result<Option<Snapshot>, Fault> {
    let Some(tenant) = tenant else { return Ok(None) };
    let now = state.clock.now();
    let mut read = state.store.read().await?;
    let plans = plans::all(&mut read).await?;
    let Some(row) = tenants::get(&mut read, tenant).await? else { return Ok(None) };
    let row = rolled(&mut read, row, now).await?;
    Ok(Some(row.snapshot(&row.facts, &plans, now)))
}

/// Why a repair was not sent, for all that is known.
enum Unsent {
    /// Stripe did not do it.
    Refused(Fault),
    /// It may have been done: nobody knows what Stripe answered.
    Unknown(Fault),
}

impl From<Error> for Unsent {
    fn from(error: Error) -> Self {
        match error.kind {
            ErrorKind::Refused { .. }
            | ErrorKind::NotFound { .. }
            | ErrorKind::NotOffered { .. }
            | ErrorKind::PermissionMissing { .. }
            | ErrorKind::Unauthorized { .. }
            | ErrorKind::RateLimited
            | ErrorKind::Address(_) => return Self::Refused(away(&error)),
            ErrorKind::Transport(_) | ErrorKind::Server(_) | ErrorKind::Unreadable { .. } => {}
        }
        let code = error_code(&error);
        let detail = format!("Stripe did not answer ({code}): it may have been done. Ask again under the same key");
        Self::Unknown(Fault::new(ProblemCode::StripeUnavailable, detail).because(error.to_string()))
    }
}

/// Sends what a repair changes in Stripe. Sent again under the same key, it changes nothing more.
async fn send(state: &State, billing: &Billing, intent: &Intent, key: &str) -> Result<(), Unsent> {
    let refused = |error: String| Unsent::Refused(Fault::field(IDEMPOTENCY_KEY, error));
    let client = &billing.client;
    // Of what is sent, too: under one key Stripe takes the same only.
    let sent = serde_json::to_string(&intent.stripe_writes).map_err(|error| refused(error.to_string()))?;
    let digest = hex::encode(hashed(&["repair", state.store.instance(), key, &sent]));
    let key = IdempotencyKey::new(format!("paywall-repair-{digest}")).map_err(|error| refused(error.to_string()))?;
    match &intent.drift.repair {
        Repair::SetTrialEndInStripe { subscription, .. } | Repair::SetCollectionInStripe { subscription, .. } => {
            if let Some(step) = step_of(&intent.drift.repair, intent.at) {
                client.update_subscription(subscription, &change_of(step), &key).await?;
            }
        }
        Repair::CancelSubscription { subscription } => {
            let how = Cancellation { comment: Some("ended from the paywall".to_owned()) };
            match client.cancel_subscription(subscription, &how).await {
                // It has ended already, be it by this request when it was sent before.
                Err(error) if is_missing(&error) => {}
                done => drop(done?),
            }
        }
        Repair::EnableEndpoint { endpoint } => {
            let change = EndpointChange { enabled: Some(true), ..EndpointChange::default() };
            client.update_webhook_endpoint(endpoint, &change, &key).await?;
        }
        Repair::AddEvents { endpoint, .. } => {
            let events = intent.stripe_writes.iter().flat_map(|it| &it.parameters).map(|it| it.value.clone()).collect();
            let change = EndpointChange { enabled_events: Some(events), ..EndpointChange::default() };
            client.update_webhook_endpoint(endpoint, &change, &key).await?;
        }
        Repair::ProcessEvents => {
            poll::undelivered(state, billing).await.map_err(|error| Unsent::Refused(undone(error)))?;
            drained(state).await.map_err(Unsent::Refused)?;
        }
        Repair::ApplyStripe | Repair::None { .. } => {}
    }
    Ok(())
}

/// Waits until what was taken is processed, as long as a caller may wait.
async fn drained(state: &State) -> Result<(), Fault> {
    let begun = Instant::now();
    while begun.elapsed() < TURN {
        let mut read = state.store.read().await?;
        let due = inbox::any_due(&mut read, state.clock.now()).await?;
        drop(read);
        if !due {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// What a repair changes of a subscription.
fn step_of(repair: &Repair, now: Timestamp) -> Option<StripeStep> {
    match repair {
        // Stripe takes none that has passed.
        Repair::SetTrialEndInStripe { trial_end, .. } if *trial_end <= now => Some(StripeStep::TrialEndsNow),
        Repair::SetTrialEndInStripe { trial_end, .. } => Some(StripeStep::TrialEnds { at: next_second(*trial_end) }),
        Repair::SetCollectionInStripe { paused: true, resumes_at, .. } => {
            Some(StripeStep::CollectionPauses { resumes_at: *resumes_at })
        }
        Repair::SetCollectionInStripe { paused: false, .. } => Some(StripeStep::CollectionResumes),
        _ => None,
    }
}

/// What a repair sends to Stripe.
pub(super) async fn writes(billing: &Billing, repair: &Repair, now: Timestamp) -> Result<Vec<StripeWrite>, Fault> {
    let write = |operation: &str, object: &str, parameters: Vec<(&str, String)>| StripeWrite {
        operation: operation.to_owned(),
        object: object.to_owned(),
        parameters: parameters
            .into_iter()
            .map(|(name, value)| StripeParameter { name: name.to_owned(), value })
            .collect(),
    };
    Ok(match repair {
        Repair::SetTrialEndInStripe { subscription, .. } | Repair::SetCollectionInStripe { subscription, .. } => {
            step_of(repair, now).map(|step| write_of(subscription, step)).into_iter().collect()
        }
        Repair::CancelSubscription { subscription } => vec![write("cancel_subscription", subscription, Vec::new())],
        Repair::EnableEndpoint { endpoint } => {
            vec![write("update_webhook_endpoint", endpoint, vec![("disabled", "false".to_owned())])]
        }
        Repair::AddEvents { endpoint, events } => {
            let all = all_events(billing, endpoint, events).await?;
            let parameters = all.into_iter().map(|it| ("enabled_events[]", it)).collect();
            vec![write("update_webhook_endpoint", endpoint, parameters)]
        }
        Repair::ApplyStripe | Repair::ProcessEvents | Repair::None { .. } => Vec::new(),
    })
}

/// Every event that an endpoint is to hear of: those that it hears of now, and the missing ones.
async fn all_events(billing: &Billing, endpoint: &str, missing: &[String]) -> Result<Vec<String>, Fault> {
    let listed = billing.client.list_webhook_endpoints().await.map_err(|error| away(&error))?.items;
    let present = listed.into_iter().find(|it| it.id == endpoint).and_then(|it| it.enabled_events).unwrap_or_default();
    let all: BTreeSet<String> = present.into_iter().chain(missing.iter().cloned()).collect();
    Ok(all.into_iter().collect())
}
