//! The work that events ask for: whoever's turn it is reads the customer anew and takes over what Stripe says.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use paywall_domain::TenantId;
use paywall_domain::billing::BillingPolicy;
use paywall_stripe::Error;
use paywall_stripe::shapes::Reference;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::inbox::{self, Claim, Fate, LEASE_MS};
use super::reading::{self, Reading, error_code, is_missing};
use super::taking_over::Named;
use super::{Billing, checkouts, ledger, nightly};
use crate::server::State;
use crate::store::StoreError;

/// Customers that one server reads at a time.
const AT_ONCE: usize = 4;

/// How often it is looked for what is due, whatever is heard.
const EVERY: Duration = Duration::from_secs(1);

/// How long it is waited for a look, and the time between two tries.
const LOOK_PATIENCE: Duration = Duration::from_secs(8);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How often a reading that goes on says so.
const RENEW: Duration = Duration::from_millis(LEASE_MS as u64 / 3);

/// Work that could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("Stripe: {0}")]
    Stripe(#[from] Error),
}

impl WorkError {
    /// A stable word for it.
    pub(crate) fn code(&self) -> String {
        match self {
            Self::Store(_) => "store_away".to_owned(),
            Self::Stripe(error) => error_code(error),
        }
    }
}

/// Does what is due, until `stop` is cancelled.
pub(crate) async fn run(state: Arc<State>, stop: CancellationToken) {
    let Some(billing) = &state.billing else { return };
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        workers.spawn(work(Arc::clone(&state), stop.clone()));
    }
    let mut news = state.store.changes_watch();
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        // Whoever was waited for may be here now.
        let brought = state.store.unpark(state.clock.now()).await;
        if brought.as_ref().is_ok_and(|count| *count > 0) {
            billing.wake();
        }
        billing.noted("parked events could not be looked through", brought.map(drop).map_err(WorkError::from));
        let counted = billing.write_refused(&state).await;
        billing.noted("refused deliveries could not be counted", counted.map_err(WorkError::from));
        tokio::select! {
            () = stop.cancelled() => break,
            changed = news.changed() => if changed.is_err() { break },
            _ = ticks.tick() => {}
        }
        // Not for each of many changes.
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
    }
    while workers.join_next().await.is_some() {}
}

async fn work(state: Arc<State>, stop: CancellationToken) {
    let Some(billing) = &state.billing else { return };
    loop {
        let woken = billing.woken();
        let done = tokio::select! {
            () = stop.cancelled() => return,
            done = step(&state, billing) => done,
        };
        let more = matches!(done, Ok(true));
        billing.noted("billing could not go on", done.map(drop));
        if !more {
            tokio::select! {
                () = stop.cancelled() => return,
                () = woken => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }
}

/// Does one turn that is due. Answers whether there was one.
pub(crate) async fn step(state: &State, billing: &Billing) -> Result<bool, WorkError> {
    let Some(claim) = state.store.claim(state.clock.now()).await? else { return Ok(false) };
    turn(state, billing, claim).await?;
    Ok(true)
}

/// Looks at a customer at once, whether or not anything was heard of it: for who comes back from Checkout, and
/// after something was changed in Stripe. Done when it returns, by this server or by another.
pub(crate) async fn look_now(state: &State, billing: &Billing, customer: &str) -> Result<(), WorkError> {
    let asked = nightly::look_at(state, billing, customer).await?;
    let begun = Instant::now();
    while begun.elapsed() < LOOK_PATIENCE {
        if nightly::is_done(state, &asked).await? {
            return Ok(());
        }
        match state.store.claim_of(customer, state.clock.now()).await? {
            Some(claim) => turn(state, billing, claim).await?,
            None => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
    // It is in the inbox, and done when Stripe answers.
    Ok(())
}

/// Reads what a claim is about, with the claim renewed meanwhile.
pub(crate) async fn renewed<T>(
    state: &State,
    claim: &Claim,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    // Side by side: the work may itself hold what renewing waits for.
    tokio::select! {
        done = work => done,
        never = renewing(state, claim) => match never {},
    }
}

async fn renewing(state: &State, claim: &Claim) -> Infallible {
    let mut renewals = tokio::time::interval(RENEW);
    renewals.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        renewals.tick().await;
        // Where it fails, somebody else may take the turn, and what is read here is not kept.
        let _ = state.store.renew(claim, state.clock.now()).await;
    }
}

async fn turn(state: &State, billing: &Billing, claim: Claim) -> Result<(), WorkError> {
    match renewed(state, &claim, look(state, billing, &claim)).await {
        Ok(Looked::Customer { reading, named }) => {
            let policy = |prices| BillingPolicy { prices, ..billing.policy() };
            let ended = state.store.take_over(&claim, &reading, &named, policy, &*state.clock).await?;
            billing.answered();
            tracing::debug!(customer = claim.subject, events = claim.events.len(), ?ended, "billing was looked at");
        }
        Ok(Looked::Of(customer)) => put_off(state, &claim, |_| Fate::Of { customer: customer.clone() }).await?,
        Ok(Looked::Nothing) => put_off(state, &claim, |_| Fate::Done).await?,
        Err(error) => {
            let code = error_code(&error);
            billing.failed(&error, state.clock.now());
            tracing::warn!(%error, code, subject = claim.subject, "Stripe could not be asked about a customer");
            let now = state.clock.now();
            put_off(state, &claim, |attempts| Fate::Later {
                error: code.clone(),
                next_attempt_at: now.plus_ms(inbox::pause_ms(attempts, inbox::LATER_MOST_MS)),
            })
            .await?;
        }
    }
    Ok(())
}

/// What a look found.
enum Looked {
    Customer {
        reading: Reading,
        named: Named,
    },
    /// What the event is about is this customer's.
    Of(String),
    /// There is nothing that it could be about.
    Nothing,
}

/// Reads what a claim is about.
async fn look(state: &State, billing: &Billing, claim: &Claim) -> Result<Looked, Error> {
    let client = &billing.client;
    let mut named = Named::default();
    for session in sessions(claim) {
        match client.retrieve_checkout_session(session).await {
            Ok(session) => {
                if let Some(customer) = session.customer.as_ref().map(Reference::id).filter(|it| *it != claim.subject)
                    && !claim.subject.starts_with("cus_")
                {
                    return Ok(Looked::Of(customer.to_owned()));
                }
                let reference = session.client_reference_id.as_deref().and_then(|it| TenantId::parse(it).ok());
                named.tenants.extend(reference.or_else(|| reading::tenant(session.metadata.as_ref())));
                let status = session.status.unwrap_or_default();
                named.sessions.push(checkouts::Seen { id: session.id, status });
            }
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    let subject = claim.subject.as_str();
    if !subject.starts_with("cus_") {
        let customer = match customer_of(billing, subject).await {
            Ok(customer) => customer,
            Err(error) if is_missing(&error) => None,
            Err(error) => return Err(error),
        };
        return Ok(customer.map_or(Looked::Nothing, Looked::Of));
    }
    let known = known(state, subject).await;
    let reading = reading::customer(client, subject, &known).await?;
    if named.tenants.is_empty() && reading.subscriptions.iter().all(|it| it.tenant.is_none()) {
        match client.retrieve_customer(subject).await {
            Ok(customer) => named.tenants.extend(reading::tenant(customer.metadata.as_ref())),
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Looked::Customer { reading, named })
}

/// The Checkout sessions that a claim's events are about, each once.
fn sessions(claim: &Claim) -> std::collections::BTreeSet<&str> {
    claim.events.iter().map(|it| it.object.as_str()).filter(|it| it.starts_with("cs_")).collect()
}

/// Whose an object is.
async fn customer_of(billing: &Billing, id: &str) -> Result<Option<String>, Error> {
    let client = &billing.client;
    let charge = match id.split_once('_').map(|(prefix, _)| prefix) {
        Some("sub") => {
            let subscription = client.retrieve_subscription(id).await?;
            return Ok(subscription.customer.map(|it| it.id().to_owned()));
        }
        Some("in") => return Ok(client.retrieve_invoice(id).await?.customer.map(|it| it.id().to_owned())),
        Some("ch" | "py") => Some(id.to_owned()),
        Some("dp" | "du") => client.retrieve_dispute(id).await?.charge.map(|it| it.id().to_owned()),
        _ => None,
    };
    let Some(charge) = charge else { return Ok(None) };
    Ok(client.retrieve_charge(&charge).await?.customer.map(|it| it.id().to_owned()))
}

/// The subscriptions of a customer that were read before. Where the store is away nothing is known; the reading
/// is then not kept either.
pub(crate) async fn known(state: &State, customer: &str) -> Vec<String> {
    let ids = async {
        let mut read = state.store.read().await?;
        ledger::ids_of_customer(&mut read, customer).await
    };
    ids.await.unwrap_or_default()
}

/// Ends a turn without a reading.
async fn put_off(state: &State, claim: &Claim, fate: impl Fn(i64) -> Fate) -> Result<(), WorkError> {
    let mut write = state.store.write_beside().await?;
    let now = state.clock.now();
    if inbox::is_latest(&mut write, claim).await? {
        for event in &claim.events {
            inbox::decide(&mut write, &event.id, &fate(event.attempts), now).await?;
        }
        inbox::release(&mut write, claim, false).await?;
    }
    write.commit().await.map_err(StoreError::from)?;
    Ok(())
}
