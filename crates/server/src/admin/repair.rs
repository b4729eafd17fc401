//! Puts a difference between Stripe and the paywall right.

// The macro that describes the routes names its parameters by paths.
#![allow(unused_qualifications)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State as Extract};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use paywall_contract::{
    IDEMPOTENCY_KEY, IDEMPOTENT_REPLAYED, ProblemCode, RepairOutcome, RepairRequest, StripeParameter, StripeWrite,
};
use paywall_domain::billing::{
    BillingPolicy, ByHand, Drift, PriceBook, Repair, StripeStep, StripeSubscription, compare, settle,
};
use paywall_domain::{Change, Role, TenantId, Timestamp};
use paywall_stripe::parameters::{Cancellation, EndpointChange, SubscriptionChange, TrialEnd};
use paywall_stripe::{Error, IdempotencyKey};
use tokio::time::Instant;

use super::RequestId;
use super::adjustments::{Draft, DryRun, checked_reason, checked_ticket, hashed, record, replayed, required_key};
use super::auth::Caller;
use super::billing::not_configured;
use super::document::ChangeProblems;
use super::problem::Fault;
use super::read::{BodyOrDefault, Params};
use crate::billing::inbox::{Claim, Fate};
use crate::billing::outbox::{change_of, write_of};
use crate::billing::reading::{Reading, error_code, is_missing};
use crate::billing::worker::{self, WorkError, look_now, renewed};
use crate::billing::{Billing, account, drifts, inbox, ledger, poll, repairs, taking_over};
use crate::server::State;
use crate::store::time::{rolled, up_to};
use crate::store::{Connection, KeyRecord, Plans, TenantRow, keys, plans, tenants};

/// How long a repair waits for somebody who reads the same customer.
const TURN: Duration = Duration::from_secs(8);

/// How often it looks whether that is over.
const LOOK: Duration = Duration::from_millis(100);

/// Puts a drift right: here, or in Stripe.
#[utoipa::path(post, path = "/admin/v1/billing/drifts/{id}/repair", tag = "billing", security(("token" = [])),
    params(
        ("id" = String, Path, description = "The drift's id"), DryRun,
        ("Idempotency-Key" = Option<String>, Header, description = "Required unless it is a dry run"),
    ),
    request_body = Option<RepairRequest>,
    responses((status = 200, body = RepairOutcome), ChangeProblems))]
pub(crate) async fn repair(
    Extract(state): Extract<Arc<State>>,
    caller: Caller,
    Extension(request_id): Extension<RequestId>,
    Path(id): Path<String>,
    Params(mode): Params<DryRun>,
    headers: HeaderMap,
    BodyOrDefault(request): BodyOrDefault<RepairRequest>,
) -> Result<Response, Fault> {
    caller.needs(Role::Support)?;
    let billing = state.billing.as_ref().ok_or_else(not_configured)?;
    let reason = checked_reason(&request.reason, false)?;
    let ticket = request.ticket.as_deref().map(checked_ticket).transpose()?;
    let key = if mode.dry_run { None } else { Some(required_key(&headers)?) };
    let hash = hashed(&["repair", &id, &serde_json::to_string(&request)?]);
    if let Some(key) = &key
        && let Some(answer) = answered(&state, key, &hash).await?
    {
        return Ok(answer);
    }
    let mut read = state.store.read().await?;
    let Some(found) = drifts::get(&mut read, &id).await? else {
        let gone = drifts::was(&mut read, &id).await?;
        return if gone {
            Ok(Json(nothing(state.clock.now())).into_response())
        } else {
            Err(Fault::not_found("drift"))
        };
    };
    drop(read);
    let drift = found.drift;
    caller.needs(role(&drift.repair))?;
    let by = By { state: &state, billing, caller: &caller, reason, ticket, request_id: &request_id.0, hash };
    let outcome = match (&key, &drift.repair, &drift.tenant) {
        (_, Repair::None { by_hand }, _) => return Err(Fault::new(ProblemCode::ChangeRefused, advice(*by_hand))),
        (None, Repair::ApplyStripe, Some(tenant)) => by.preview(&drift, tenant).await?,
        (Some(key), Repair::ApplyStripe, Some(tenant)) => by.take_over(&drift, tenant, key).await?,
        (None, ..) => RepairOutcome {
            stripe_writes: writes(billing, &drift.repair, state.clock.now()).await?,
            ..nothing_yet(state.clock.now())
        },
        (Some(key), ..) => Box::pin(by.in_stripe(&drift, key)).await?,
    };
    Ok(Json(outcome).into_response())
}

/// The least role that may make a repair. To end what somebody pays for is the owner's.
fn role(repair: &Repair) -> Role {
    if matches!(repair, Repair::CancelSubscription { .. }) { Role::Owner } else { Role::Support }
}

fn advice(by_hand: ByHand) -> &'static str {
    match by_hand {
        ByHand::AddPriceToPlan => {
            "add the price to the plan that it sells (stripe_prices in the settings), or move the customer to a price that sells one"
        }
        ByHand::CheckMode => "give the server the key of the other mode, or end in Stripe what is in the wrong one",
        ByHand::CreateEndpoint => {
            "create a webhook endpoint in Stripe that leads to /stripe/webhook, and give the server its secret"
        }
        ByHand::AssignTenant => "write the tenant's id into the subscription's metadata as tenant_id, or cancel it",
        ByHand::UpdateServer => "update the server: Stripe uses a word that this version does not know",
    }
}

/// Nothing was there to repair.
fn nothing(now: Timestamp) -> RepairOutcome {
    RepairOutcome { gone: true, ..nothing_yet(now) }
}

fn nothing_yet(now: Timestamp) -> RepairOutcome {
    RepairOutcome { before: None, after: None, stripe_writes: Vec::new(), adjustment: None, gone: false, now }
}

/// The answer given before under this key, if one was.
async fn answered(state: &State, key: &str, hash: &[u8]) -> Result<Option<Response>, Fault> {
    let mut read = state.store.read().await?;
    if let Some(answer) = replayed(&mut read, key, hash).await? {
        return Ok(Some(answer));
    }
    match repairs::get(&mut read, key).await? {
        Some((made, _)) if made != hash => Err(Fault::new(
            ProblemCode::IdempotencyKeyReused,
            "another request was made under this key; take a new one",
        )),
        Some((_, answer)) => {
            let headers = [(header::CONTENT_TYPE.as_str(), "application/json"), (IDEMPOTENT_REPLAYED, "true")];
            Ok(Some((StatusCode::OK, headers, answer).into_response()))
        }
        None => Ok(None),
    }
}

/// Who repairs, and why.
struct By<'a> {
    state: &'a State,
    billing: &'a Billing,
    caller: &'a Caller,
    reason: &'a str,
    ticket: Option<&'a str>,
    request_id: &'a str,
    hash: Vec<u8>,
}

impl By<'_> {
    fn draft(&self, drift: &Drift) -> Draft<'_> {
        Draft {
            change: Change::RepairBilling { drift: drift.kind(), repair: drift.repair.clone() },
            reason: self.reason,
            ticket: self.ticket,
            undoes: None,
            request_id: self.request_id,
        }
    }

    async fn policy(&self, connection: &mut Connection) -> Result<(BillingPolicy, Plans), Fault> {
        let plans = plans::all(connection).await?;
        let prices = PriceBook::of(&plans.clone().into_list());
        Ok((BillingPolicy { prices, ..self.billing.policy() }, plans))
    }

    /// The customers that a tenant's subscriptions are or may be of.
    async fn customers(&self, drift: &Drift, tenant: &TenantId) -> Result<BTreeSet<String>, Fault> {
        let mut read = self.state.store.read().await?;
        let row = tenants::get(&mut read, tenant).await?.ok_or_else(|| Fault::not_found("tenant"))?;
        let kept = ledger::of_tenant(&mut read, tenant, row.stripe_customer.as_deref()).await?;
        let kept = kept.into_iter().map(|it| it.customer);
        Ok(drift.customer.iter().cloned().chain(row.stripe_customer).chain(kept).collect())
    }

    /// What taking over would do, by what Stripe says now.
    async fn preview(&self, drift: &Drift, tenant: &TenantId) -> Result<RepairOutcome, Fault> {
        let mut readings = Vec::new();
        for customer in self.customers(drift, tenant).await? {
            let read = worker::read(self.state, self.billing, &customer).await.map_err(undone)?;
            readings.push((customer, read));
        }
        let now = self.state.clock.now();
        let mut read = self.state.store.read().await?;
        let (policy, plans) = self.policy(&mut read).await?;
        let row = tenants::get(&mut read, tenant).await?.ok_or_else(|| Fault::not_found("tenant"))?;
        let row = rolled(&mut read, row, now).await?;
        let kept = ledger::of_tenant(&mut read, tenant, row.stripe_customer.as_deref()).await?;
        let stripe = with(kept, &readings, tenant);
        let before = ledger::side(&mut read, &row).await?;
        let after = settle(&before, &stripe, &policy);
        Ok(RepairOutcome {
            before: Some(row.snapshot(&before.facts, &plans, now)),
            after: Some(row.snapshot(&after.facts, &plans, now)),
            gone: after == before,
            ..nothing_yet(now)
        })
    }

    /// Takes over what Stripe says now, as an adjustment.
    async fn take_over(&self, drift: &Drift, tenant: &TenantId, key: &str) -> Result<RepairOutcome, Fault> {
        let mut read = Vec::new();
        for customer in self.customers(drift, tenant).await? {
            let claim = self.turn(&customer).await?;
            let reading = renewed(self.state, &claim, worker::read(self.state, self.billing, &customer)).await;
            match reading {
                Ok(reading) => read.push((claim, reading)),
                Err(error) => {
                    read.push((claim, Reading::default()));
                    self.give_back(&read).await;
                    return Err(undone(error));
                }
            }
        }
        let taken = self.write(drift, tenant, key, &read).await;
        if taken.is_err() {
            self.give_back(&read).await;
        }
        taken
    }

    /// Waits for the turn of a customer.
    async fn turn(&self, customer: &str) -> Result<Claim, Fault> {
        let begun = Instant::now();
        while begun.elapsed() < TURN {
            if let Some(claim) = self.state.store.claim_of(customer, self.state.clock.now()).await? {
                return Ok(claim);
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(Fault::new(ProblemCode::Unavailable, "this customer is being read just now; try again"))
    }

    /// Lets others have the turns, without anything being kept. Where that fails, the turns end by themselves.
    async fn give_back(&self, claims: &[(Claim, Reading)]) {
        let back = async {
            let mut write = self.state.store.write_beside().await?;
            for (claim, _) in claims {
                inbox::release(&mut write, claim, false).await?;
            }
            Ok::<_, crate::store::StoreError>(write.commit().await?)
        };
        let _ = back.await;
    }

    async fn write(
        &self,
        drift: &Drift,
        tenant: &TenantId,
        key: &str,
        read: &[(Claim, Reading)],
    ) -> Result<RepairOutcome, Fault> {
        let mut write = self.state.store.write().await?;
        let now = self.state.clock.now();
        if keys::get(&mut write, key).await?.is_some() {
            return Err(Fault::new(ProblemCode::IdempotencyKeyVoid, "the key was used or settled meanwhile"));
        }
        for (claim, reading) in read {
            if !inbox::is_latest(&mut write, claim).await? {
                return Err(Fault::new(ProblemCode::Unavailable, "the customer was read anew meanwhile; try again"));
            }
            taking_over::keep(&mut write, claim, reading, &BTreeSet::from([tenant.clone()])).await?;
        }
        let (policy, plans) = self.policy(&mut write).await?;
        let row = tenants::get(&mut write, tenant).await?.ok_or_else(|| Fault::not_found("tenant"))?;
        let mut row: TenantRow = up_to(&mut write, row, now).await?;
        let before = ledger::side(&mut write, &row).await?;
        let stripe = ledger::of_tenant(&mut write, tenant, row.stripe_customer.as_deref()).await?;
        let after = settle(&before, &stripe, &policy);
        let mut outcome = nothing(now);
        if after != before {
            taking_over::put_beside(&mut write, &mut row, &before, &after).await?;
            let draft = self.draft(drift);
            let made =
                record(self.state, &mut write, self.caller, &row, after.facts.clone(), draft, &plans, now).await?;
            outcome = RepairOutcome {
                before: Some(made.outcome.before.clone()),
                after: Some(made.outcome.after.clone()),
                adjustment: Some(made.adjustment.clone()),
                gone: false,
                ..outcome
            };
            let remembered = KeyRecord::Made {
                request_hash: self.hash.clone(),
                adjustment_id: made.adjustment.id.clone(),
                answer: serde_json::to_string(&outcome)?,
                version: made.version,
            };
            keys::put(&mut write, key, &remembered, now).await?;
        }
        let left = compare(&after, &stripe, &policy, now);
        drifts::record(&mut write, drifts::Scope::Tenant(tenant), &left, now).await?;
        for (claim, _) in read {
            for event in &claim.events {
                inbox::decide(&mut write, &event.id, &Fate::Done, now).await?;
            }
            inbox::release(&mut write, claim, true).await?;
        }
        write.commit().await?;
        Ok(outcome)
    }

    /// Changes something in Stripe, and looks at what came of it.
    async fn in_stripe(&self, drift: &Drift, key: &str) -> Result<RepairOutcome, Fault> {
        let Self { state, billing, .. } = self;
        let before = self.snapshot(drift.tenant.as_ref()).await?;
        let stripe_writes = writes(billing, &drift.repair, state.clock.now()).await?;
        self.send(&drift.repair, key).await?;
        tracing::info!(
            kind = drift.kind().as_str(),
            by = self.caller.0.name,
            request_id = self.request_id,
            "a drift was repaired in Stripe"
        );
        // What was sent holds, whether or not it can be looked at now: then the next look tells.
        let looked = match &drift.customer {
            Some(customer) => look_now(state, billing, customer).await,
            None => account::look(state, billing).await.map(drop),
        };
        if let Err(error) = looked {
            tracing::warn!(%error, "what a repair did in Stripe is looked at later");
        }
        let now = state.clock.now();
        let after = self.snapshot(drift.tenant.as_ref()).await?;
        let mut outcome = RepairOutcome { before: before.clone(), after, stripe_writes, ..nothing_yet(now) };
        let mut write = state.store.write().await?;
        if let (Some(tenant), Some(before)) = (&drift.tenant, before) {
            let plans = plans::all(&mut write).await?;
            let row = tenants::get(&mut write, tenant).await?.ok_or_else(|| Fault::not_found("tenant"))?;
            let row = up_to(&mut write, row, now).await?;
            let facts = row.facts.clone();
            let made = record(state, &mut write, self.caller, &row, facts, self.draft(drift), &plans, now).await?;
            outcome.adjustment = Some(paywall_contract::Adjustment { before, ..made.adjustment.clone() });
            let remembered = KeyRecord::Made {
                request_hash: self.hash.clone(),
                adjustment_id: made.adjustment.id,
                answer: serde_json::to_string(&outcome)?,
                version: made.version,
            };
            if keys::get(&mut write, key).await?.is_none() {
                keys::put(&mut write, key, &remembered, now).await?;
            }
        } else {
            let made = repairs::Made {
                key,
                hash: &self.hash,
                drift: &drifts::id_of(drift),
                actor: &self.caller.0.name,
                reason: self.reason,
                answer: &serde_json::to_string(&outcome)?,
            };
            repairs::put(&mut write, &made, now).await?;
        }
        write.commit().await?;
        Ok(outcome)
    }

    async fn snapshot(&self, tenant: Option<&TenantId>) -> Result<Option<paywall_contract::Snapshot>, Fault> {
        let Some(tenant) = tenant else { return Ok(None) };
        let now = self.state.clock.now();
        let mut read = self.state.store.read().await?;
        let plans = plans::all(&mut read).await?;
        let Some(row) = tenants::get(&mut read, tenant).await? else { return Ok(None) };
        let row = rolled(&mut read, row, now).await?;
        Ok(Some(row.snapshot(&row.facts, &plans, now)))
    }

    /// Sends what a repair changes in Stripe. Sent again under the same key, it changes nothing more.
    async fn send(&self, repair: &Repair, key: &str) -> Result<(), Fault> {
        let Self { state, billing, .. } = self;
        let client = &billing.client;
        let digest = hex::encode(hashed(&["repair", state.store.instance(), key]));
        let key = IdempotencyKey::new(format!("paywall-repair-{digest}"))
            .map_err(|error| Fault::field(IDEMPOTENCY_KEY, error.to_string()))?;
        let sent = match repair {
            Repair::SetTrialEndInStripe { subscription, trial_end } => {
                let change = SubscriptionChange {
                    trial_end: Some(new_trial_end(*trial_end, state.clock.now())),
                    ..SubscriptionChange::default()
                };
                client.update_subscription(subscription, &change, &key).await.map(drop)
            }
            Repair::SetCollectionInStripe { subscription, paused, resumes_at } => {
                let change = change_of(collection(*paused, *resumes_at));
                client.update_subscription(subscription, &change, &key).await.map(drop)
            }
            Repair::CancelSubscription { subscription } => {
                let how = Cancellation { comment: Some("ended from the paywall".to_owned()) };
                match client.cancel_subscription(subscription, &how).await {
                    // It has ended already, be it by this request when it was sent before.
                    Err(error) if is_missing(&error) => Ok(()),
                    done => done.map(drop),
                }
            }
            Repair::EnableEndpoint { endpoint } => {
                let change = EndpointChange { enabled: Some(true), ..EndpointChange::default() };
                client.update_webhook_endpoint(endpoint, &change, &key).await.map(drop)
            }
            Repair::AddEvents { endpoint, events } => {
                let events = all_events(billing, endpoint, events).await?;
                let change = EndpointChange { enabled_events: Some(events), ..EndpointChange::default() };
                client.update_webhook_endpoint(endpoint, &change, &key).await.map(drop)
            }
            Repair::ProcessEvents => {
                poll::undelivered(state, billing).await.map_err(undone)?;
                self.drained().await?;
                Ok(())
            }
            Repair::ApplyStripe | Repair::None { .. } => Ok(()),
        };
        sent.map_err(|error| away(&error))
    }

    /// Waits until what was taken is processed, as long as a caller may wait.
    async fn drained(&self) -> Result<(), Fault> {
        let begun = Instant::now();
        while begun.elapsed() < TURN {
            let mut read = self.state.store.read().await?;
            let due = inbox::any_due(&mut read, self.state.clock.now()).await?;
            drop(read);
            if !due {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}

/// The kept subscriptions of a tenant with what was just read in their place.
fn with(kept: Vec<StripeSubscription>, readings: &[(String, Reading)], tenant: &TenantId) -> Vec<StripeSubscription> {
    let read = |it: &StripeSubscription| readings.iter().find(|(customer, _)| *customer == it.customer);
    let stays = kept.into_iter().filter(|it| read(it).is_none_or(|(_, read)| read.unreadable.contains_key(&it.id)));
    let fresh = readings.iter().flat_map(|(_, read)| read.subscriptions.iter().cloned());
    stays.chain(fresh.filter(|it| it.tenant.as_ref().is_none_or(|it| it == tenant))).collect()
}

/// What a repair sends to Stripe.
async fn writes(billing: &Billing, repair: &Repair, now: Timestamp) -> Result<Vec<StripeWrite>, Fault> {
    let write = |operation: &str, object: &str, parameters: Vec<(&str, String)>| StripeWrite {
        operation: operation.to_owned(),
        object: object.to_owned(),
        parameters: parameters
            .into_iter()
            .map(|(name, value)| StripeParameter { name: name.to_owned(), value })
            .collect(),
    };
    Ok(match repair {
        Repair::SetTrialEndInStripe { subscription, trial_end } => {
            let value = match new_trial_end(*trial_end, now) {
                TrialEnd::Now => "now".to_owned(),
                TrialEnd::At(seconds) => seconds.to_string(),
            };
            vec![write("update_subscription", subscription, vec![("trial_end", value)])]
        }
        Repair::SetCollectionInStripe { subscription, paused, resumes_at } => {
            vec![write_of(subscription, collection(*paused, *resumes_at))]
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

fn collection(paused: bool, resumes_at: Option<Timestamp>) -> StripeStep {
    if paused { StripeStep::CollectionPauses { resumes_at } } else { StripeStep::CollectionResumes }
}

/// An end that has passed ends the trial now: Stripe takes none in the past.
fn new_trial_end(end: Timestamp, now: Timestamp) -> TrialEnd {
    if end <= now { TrialEnd::Now } else { TrialEnd::At(end.0.div_euclid(1000)) }
}

/// Stripe cannot be asked, or refuses.
pub(super) fn away(error: &Error) -> Fault {
    let code = error_code(error);
    let fault = if error.passing() {
        Fault::new(ProblemCode::Unavailable, format!("Stripe cannot be asked now ({code}); try again"))
    } else {
        Fault::new(ProblemCode::ChangeRefused, format!("Stripe did not do it ({code}): {error}"))
    };
    fault.because(error.to_string())
}

fn undone(error: WorkError) -> Fault {
    match error {
        WorkError::Store(error) => error.into(),
        WorkError::Stripe(error) => away(&error),
        WorkError::Another(_) => Fault::new(ProblemCode::Unavailable, error.to_string()),
    }
}
