//! The work that events ask for: whoever's turn it is reads the customer anew and takes over what Stripe says.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use paywall_domain::Timestamp;
use paywall_domain::billing::{BillingPolicy, StripeSubscription};
use paywall_stripe::shapes::Reference;
use paywall_stripe::{Error, ErrorKind, facts};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::inbox::{self, Claim, Fate, LEASE_MS};
use super::reading::{self, Reading, error_code, is_missing};
use super::taking_over::{Ended, Named};
use super::{Billing, attempts, checkouts, disputes, nightly, subscriptions};
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
    /// Stripe has nothing of what is kept of it: the key is of another account, or of its other half.
    #[error("the key is not of the account whose subscriptions are kept here ({0})")]
    Another(&'static str),
}

impl WorkError {
    /// A stable word for it.
    pub(crate) fn code(&self) -> String {
        match self {
            Self::Store(_) => "store_away".to_owned(),
            Self::Stripe(error) => error_code(error),
            Self::Another(code) => (*code).to_owned(),
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
/// after something was changed in Stripe. Done when it returns, by this server or by another, unless Stripe could not
/// be asked: then it is in the inbox, and done when Stripe answers. Answers whether it is done.
pub(crate) async fn look_now(state: &State, billing: &Billing, customer: &str) -> Result<bool, WorkError> {
    let asked = nightly::look_at(state, billing, customer).await?;
    let begun = Instant::now();
    while begun.elapsed() < LOOK_PATIENCE {
        if !nightly::is_due(state, &asked).await? {
            break;
        }
        match state.store.claim_of(customer, state.clock.now()).await? {
            Some(claim) => match turn(state, billing, claim).await? {
                Ended::Overtaken => {}
                // What could not be done now has its pause like any other.
                Ended::Settled | Ended::Parked | Ended::Postponed => break,
            },
            None => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
    let mut read = state.store.read().await?;
    Ok(inbox::is_done(&mut read, &asked).await?)
}

/// Does a claim's work, with the claim renewed meanwhile.
pub(crate) async fn renewed<T>(state: &State, claim: &Claim, work: impl Future<Output = T>) -> T {
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

async fn turn(state: &State, billing: &Billing, claim: Claim) -> Result<Ended, WorkError> {
    let work = Box::pin(async {
        match look(state, billing, &claim).await? {
            Looked::Customer { reading, named } => {
                let policy = |prices| BillingPolicy { prices, ..billing.policy() };
                let ended = state.store.take_over(&claim, &reading, &named, policy, &*state.clock).await?;
                tracing::debug!(customer = claim.subject, events = claim.events.len(), ?ended, "billing was looked at");
                return Ok(ended);
            }
            Looked::Of(customer) => put_off(state, &claim, |_| Fate::Of { customer: customer.clone() }).await?,
            Looked::Nothing => put_off(state, &claim, |_| Fate::Done).await?,
        }
        Ok(Ended::Settled)
    });
    match renewed(state, &claim, work).await {
        Err(WorkError::Store(error)) => Err(error.into()),
        Err(error) => {
            let (code, now) = (error.code(), state.clock.now());
            billing.note(&error, now);
            tracing::warn!(%error, code, subject = claim.subject, "Stripe could not be asked about a customer");
            put_off(state, &claim, |attempts| Fate::Later {
                error: code.clone(),
                next_attempt_at: now.plus_ms(inbox::pause_ms(attempts, inbox::LATER_MOST_MS)),
            })
            .await?;
            Ok(Ended::Postponed)
        }
        ended => ended,
    }
}

/// Reads a customer anew.
pub(crate) async fn read(state: &State, billing: &Billing, customer: &str) -> Result<Reading, WorkError> {
    read_with(state, billing, customer, &[]).await
}

/// Reads a customer anew, and the disputes that were told of.
async fn read_with(state: &State, billing: &Billing, customer: &str, told: &[&str]) -> Result<Reading, WorkError> {
    let mut read = state.store.read().await?;
    let known = subscriptions::of_customer(&mut read, customer).await?;
    let disputed = disputes::of_customer(&mut read, customer).await?;
    drop(read);
    let mut reading = reading::customer(&billing.client, customer, &known).await?;
    disputes::read(&billing.client, &mut reading, disputed, told).await;
    if !reading.lost.is_empty() {
        has_others(state, billing, customer).await?;
    }
    billing.answered();
    if let Some(error) = &reading.lacking {
        lacking(billing, error, customer, state.clock.now());
    }
    Ok(reading)
}

/// Takes note of what could not be read beside what access follows from.
pub(crate) fn lacking(billing: &Billing, error: &Error, customer: &str, now: Timestamp) {
    if matches!(error.kind, ErrorKind::PermissionMissing { .. }) {
        billing.failed(error, now);
    } else {
        tracing::warn!(%error, customer, "what went back of a payment, or why one failed, could not be read");
    }
}

/// How many subscriptions are asked for before it is believed that an account has none of them.
const WITNESSES: usize = 5;

/// Whether Stripe has what is kept of it, before what it does not list is taken for gone: an account, or the half of
/// one, that has none of the subscriptions that took money is another one.
pub(super) async fn same_account(state: &State, billing: &Billing) -> Result<(), WorkError> {
    let kept = witnesses(state, StripeSubscription::live).await?;
    if kept.is_empty() { Ok(()) } else { any_there(billing, &kept).await }
}

/// The same for a customer whose subscriptions are not there: what else is kept proves the account.
async fn has_others(state: &State, billing: &Billing, customer: &str) -> Result<(), WorkError> {
    let kept = witnesses(state, |it| it.customer != customer && it.live()).await?;
    any_there(billing, &kept).await
}

/// Some of what is kept.
async fn witnesses(
    state: &State,
    which: impl Fn(&StripeSubscription) -> bool,
) -> Result<Vec<StripeSubscription>, WorkError> {
    let (mut found, mut after) = (Vec::new(), String::new());
    let mut read = state.store.read().await?;
    while found.len() < WITNESSES {
        let page = subscriptions::page(&mut read, &after, 200).await?;
        let Some(last) = page.last() else { break };
        last.id.clone_into(&mut after);
        found.extend(page.into_iter().filter(&which));
    }
    Ok(found)
}

async fn any_there(billing: &Billing, kept: &[StripeSubscription]) -> Result<(), WorkError> {
    for it in kept.iter().take(WITNESSES) {
        match billing.client.retrieve_subscription(&it.id).await {
            Ok(_) => return Ok(()),
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let other_half = !kept.is_empty() && kept.iter().all(|it| it.mode() != billing.settings.mode);
    Err(WorkError::Another(if other_half { "stripe_other_mode" } else { "stripe_other_account" }))
}

/// What a look found.
enum Looked {
    Customer {
        reading: Box<Reading>,
        named: Named,
    },
    /// What the event is about is this customer's.
    Of(String),
    /// There is nothing that it could be about.
    Nothing,
}

/// Reads what a claim is about.
async fn look(state: &State, billing: &Billing, claim: &Claim) -> Result<Looked, WorkError> {
    let client = &billing.client;
    let mut named = Named::default();
    for session in sessions(claim) {
        match client.retrieve_checkout_session(session).await {
            Ok(session) => {
                if let Some(customer) = session.customer.as_ref().map(Reference::id).filter(|it| *it != claim.subject)
                    && !claim.is_of_customer()
                {
                    return Ok(Looked::Of(customer.to_owned()));
                }
                // Whom a session names that was not opened here is believed of its metadata only: those were written by
                // the account's owner, but its reference by whoever followed a payment link.
                let mut read = state.store.read().await?;
                let opened = attempts::of_session(&mut read, &session.id).await?.map(|(tenant, _)| tenant);
                drop(read);
                named.tenants.extend(opened.or_else(|| facts::tenant(session.metadata.as_ref())));
                named.sessions.push(checkouts::Seen::of(&session));
            }
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let subject = claim.subject.as_str();
    if !claim.is_of_customer() {
        let customer = match customer_of(billing, subject).await {
            Ok(customer) => customer,
            Err(error) if is_missing(&error) => None,
            Err(error) => return Err(error.into()),
        };
        return Ok(customer.map_or(Looked::Nothing, Looked::Of));
    }
    let told = claim.events.iter().map(|it| it.object.as_str());
    let told: Vec<&str> = told.filter(|it| it.starts_with("dp_") || it.starts_with("du_")).collect();
    let reading = read_with(state, billing, subject, &told).await?;
    if named.tenants.is_empty() && reading.subscriptions.iter().all(|it| it.tenant.is_none()) {
        match client.retrieve_customer(subject).await {
            Ok(customer) => named.tenants.extend(facts::tenant(customer.metadata.as_ref())),
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Looked::Customer { reading: Box::new(reading), named })
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
