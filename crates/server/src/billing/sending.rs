//! Sends to Stripe what changes by staff change there.
//!
//! What is sent follows from both sides as they are at that moment, so that neither a change made in Stripe meanwhile
//! nor one made here since is lost, and what was sent before a kill is not sent again.

use std::sync::Arc;
use std::time::Duration;

use paywall_domain::billing::{StripeStep, stripe_step};
use paywall_domain::{DAY_MS, Timestamp};
use paywall_stripe::{Error, ErrorKind};
use tokio_util::sync::CancellationToken;

use super::checkout::{BuyError, under_key};
use super::inbox;
use super::outbox::{Due, Sent, change_of, write_of};
use super::reading::{self, error_code, is_missing};
use super::worker::WorkError;
use super::{Billing, closing, nightly, subscriptions};
use crate::server::State;
use crate::store::tenants;

/// How often it is looked for what is due, whatever is heard.
const EVERY: Duration = Duration::from_secs(1);

/// Sends what is due, until `stop` is cancelled.
pub(crate) async fn run(state: Arc<State>, stop: CancellationToken) {
    let Some(billing) = &state.billing else { return };
    loop {
        let woken = billing.woken();
        // One that was begun is ended: a kill is made good, but need not be provoked.
        let done = step(&state, billing).await;
        let closed = closing::step(&state, billing).await;
        let more = matches!(done, Ok(true)) || matches!(closed, Ok(true));
        billing.noted("what staff changed could not be sent to Stripe", done.and(closed).map(drop));
        if stop.is_cancelled() {
            return;
        }
        if !more {
            tokio::select! {
                () = stop.cancelled() => return,
                () = woken => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }
}

/// Sends what is due next. Answers whether there was something.
async fn step(state: &State, billing: &Billing) -> Result<bool, WorkError> {
    let Some(due) = state.store.claim_outbox(state.clock.now()).await? else { return Ok(false) };
    let now = state.clock.now();
    let sent = match send(state, billing, &due).await {
        Ok(sent) => {
            billing.answered();
            sent
        }
        Err(BuyError::Stripe(error)) => later(billing, &due, &error, now),
        Err(BuyError::Store(error)) => return Err(error.into()),
        Err(error) => Sent::Failed(error.to_string()),
    };
    if let Sent::Failed(error) = &sent {
        tracing::error!(
            error,
            adjustment = due.id,
            tenant = due.tenant.as_str(),
            subscription = due.subscription,
            "Stripe did not take what staff changed; the two sides differ until that is put right"
        );
    }
    state.store.end_outbox(&due.id, &sent, now).await?;
    Ok(true)
}

/// Brings Stripe's side to the paywall's, where that one holds.
async fn send(state: &State, billing: &Billing, due: &Due) -> Result<Sent, BuyError> {
    let object = match billing.client.retrieve_subscription(&due.subscription).await {
        Ok(object) => object,
        // It is over, and nothing is left to be changed of it.
        Err(error) if is_missing(&error) => return Ok(Sent::Done(None)),
        Err(error) => return Err(error.into()),
    };
    let subscription = reading::base(&object).map_err(BuyError::Unreadable)?;
    let mut read = state.store.read().await?;
    let row = tenants::get(&mut read, &due.tenant).await?.ok_or(BuyError::NoTenant)?;
    let paywall = subscriptions::side(&mut read, &row).await?;
    drop(read);
    let now = state.clock.now();
    let step = stripe_step(&paywall, &subscription, due.part, now);
    let written = step.map(|step| write_of(&due.subscription, step));
    if let (Some(step), Some(written)) = (step, &written) {
        // Of the row and of what is sent: another value, since things changed meanwhile, is another change.
        let value = serde_json::to_string(written).map_err(crate::store::StoreError::from)?;
        let parts = ["outbox", state.store.instance(), &due.id, &value];
        let change = &change_of(step);
        let update = |key| async move { billing.client.update_subscription(&due.subscription, change, &key).await };
        match under_key(&parts, update).await {
            Ok(_) => {}
            // By Stripe's clock it has passed already.
            Err(BuyError::Stripe(error)) if matches!(error.kind, ErrorKind::Refused { .. }) && is_soon(step, now) => {
                let at = now.plus_ms(inbox::pause_ms(due.attempts, inbox::LATER_MOST_MS));
                return Ok(Sent::Later { error: error_code(&error), at });
            }
            Err(error) => return Err(error),
        }
        tracing::info!(
            adjustment = due.id,
            tenant = due.tenant.as_str(),
            subscription = due.subscription,
            part = due.part.as_str(),
            "Stripe follows what staff changed"
        );
    }
    // What came of it, or what was changed there meanwhile, is taken over.
    nightly::look_at(state, billing, &subscription.customer).await?;
    Ok(Sent::Done(written))
}

fn later(billing: &Billing, due: &Due, error: &Error, now: Timestamp) -> Sent {
    let refused = matches!(error.kind, ErrorKind::Refused { .. } | ErrorKind::NotFound { .. });
    if refused {
        return Sent::Failed(format!("{} {error}", error_code(error)));
    }
    billing.failed(error, now);
    Sent::Later { error: error_code(error), at: now.plus_ms(inbox::pause_ms(due.attempts, inbox::LATER_MOST_MS)) }
}

/// Whether a trial's end is so near that clocks may differ about it.
fn is_soon(step: StripeStep, now: Timestamp) -> bool {
    matches!(step, StripeStep::TrialEnds { at } if at.ms_since(now) < DAY_MS / 24)
}
