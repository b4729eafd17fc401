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
use paywall_contract::{IDEMPOTENT_REPLAYED, ProblemCode, RepairOutcome, RepairRequest};
use paywall_domain::billing::{BillingPolicy, ByHand, Drift, PriceBook, Repair, StripeSubscription, compare, settle};
use paywall_domain::{Change, Role, TenantId, Timestamp};
use paywall_stripe::Error;
use tokio::time::Instant;

use super::RequestId;
use super::adjustments::{
    Draft, DryRun, checked_reason, checked_ticket, hashed, record, replayed, required_key, reused,
};
use super::auth::Caller;
use super::billing::not_configured;
use super::document::ChangeProblems;
use super::problem::Fault;
use super::read::{BodyOrDefault, Params};
use super::repair_in_stripe::{self, Asked, writes};
use crate::billing::inbox::{Claim, Fate};
use crate::billing::reading::{Reading, error_code};
use crate::billing::repairs::Begun;
use crate::billing::worker::{self, WorkError, renewed};
use crate::billing::{Billing, checkouts, drifts, inbox, repairs, subscriptions, taking_over};
use crate::server::State;
use crate::store::time::{rolled, up_to};
use crate::store::{Connection, KeyRecord, Plans, TenantRow, keys, plans, tenants};

/// How long a repair waits for somebody who reads the same customer.
pub(super) const TURN: Duration = Duration::from_secs(8);

/// How often it looks whether that is over.
pub(super) const LOOK: Duration = Duration::from_millis(100);

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
    if let Some(key) = &key {
        match answered(&state, key, &hash).await? {
            Before::Answered(answer) => return Ok(answer),
            Before::Begun(begun) => {
                let outcome = Box::pin(repair_in_stripe::resume(&state, billing, &begun)).await?;
                return Ok(Json(outcome).into_response());
            }
            Before::Nothing => {}
        }
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
        (Some(key), ..) => {
            let asked = by.asked();
            Box::pin(repair_in_stripe::make(&state, billing, &drift, &asked, key)).await?
        }
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
pub(super) fn nothing(now: Timestamp) -> RepairOutcome {
    RepairOutcome { gone: true, ..nothing_yet(now) }
}

pub(super) fn nothing_yet(now: Timestamp) -> RepairOutcome {
    RepairOutcome { before: None, after: None, stripe_writes: Vec::new(), adjustment: None, gone: false, now }
}

/// What a key was used for before.
enum Before {
    Nothing,
    /// This was answered.
    Answered(Response),
    /// This was begun in Stripe, and its end is not recorded.
    Begun(Begun),
}

async fn answered(state: &State, key: &str, hash: &[u8]) -> Result<Before, Fault> {
    let mut read = state.store.read().await?;
    if let Some(begun) = repairs::begun(&mut read, key).await?.filter(|it| it.hash == hash) {
        return Ok(Before::Begun(begun));
    }
    if let Some(answer) = replayed(&mut read, key, hash).await? {
        return Ok(Before::Answered(answer));
    }
    match repairs::get(&mut read, key).await? {
        Some((made, _)) if made != hash => Err(reused()),
        Some((_, answer)) => {
            let headers = [(header::CONTENT_TYPE.as_str(), "application/json"), (IDEMPOTENT_REPLAYED, "true")];
            Ok(Before::Answered((StatusCode::OK, headers, answer).into_response()))
        }
        None => Ok(Before::Nothing),
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
    fn asked(&self) -> Asked<'_> {
        Asked {
            actor: self.caller.actor(),
            reason: self.reason,
            ticket: self.ticket,
            request_id: self.request_id,
            hash: &self.hash,
        }
    }

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
        let kept = subscriptions::of_tenant(&mut read, tenant, row.stripe_customer.as_deref()).await?;
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
        let kept = subscriptions::of_tenant(&mut read, tenant, row.stripe_customer.as_deref()).await?;
        let stripe = with(kept, &readings, tenant);
        let before = subscriptions::side(&mut read, &row).await?;
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
        let detail = "this customer is being read from Stripe just now; nothing was changed, try again";
        Err(Fault::new(ProblemCode::StripeUnavailable, detail))
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
        let mut shared = BTreeSet::new();
        for (claim, reading) in read {
            if !inbox::is_latest(&mut write, claim).await? {
                let detail = "the customer was read from Stripe anew meanwhile; nothing was changed, try again";
                return Err(Fault::new(ProblemCode::StripeUnavailable, detail));
            }
            let mut owners = subscriptions::tenants_of_customer(&mut write, &claim.subject).await?;
            for sold in reading.subscriptions.iter().filter_map(|it| it.tenant.clone()).chain([tenant.clone()]) {
                if tenants::get(&mut write, &sold).await?.is_some() {
                    owners.insert(sold);
                }
            }
            taking_over::keep(&mut write, claim, reading, &owners).await?;
            if owners.len() > 1 {
                shared.insert(claim.subject.as_str());
            }
        }
        let (policy, plans) = self.policy(&mut write).await?;
        let row = tenants::get(&mut write, tenant).await?.ok_or_else(|| Fault::not_found("tenant"))?;
        let mut row: TenantRow = up_to(&mut write, row, now).await?;
        let before = subscriptions::side(&mut write, &row).await?;
        let stripe = subscriptions::of_tenant(&mut write, tenant, row.stripe_customer.as_deref()).await?;
        let after = settle(&before, &stripe, &policy);
        let mut outcome = nothing(now);
        if after != before {
            taking_over::put_beside(&mut write, &mut row, &before, &after).await?;
            let draft = self.draft(drift);
            let made =
                record(self.state, &mut write, &self.caller.actor(), &row, after.facts.clone(), draft, &plans, now)
                    .await?;
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
        if after.facts.subscription.as_ref().is_some_and(|it| it.gives_access(now)) {
            checkouts::unblocked(&mut write, tenant, now).await?;
        }
        let left = compare(&after, &stripe, &policy, now);
        drifts::record(&mut write, drifts::Scope::Tenant(tenant), &left, now).await?;
        for (claim, _) in read {
            // Of a customer of several tenants it is for a turn of its own to take over for the others, too.
            let others = shared.contains(claim.subject.as_str());
            for event in claim.events.iter().filter(|_| !others) {
                inbox::decide(&mut write, &event.id, &Fate::Done, now).await?;
            }
            inbox::release(&mut write, claim, true).await?;
        }
        write.commit().await?;
        Ok(outcome)
    }
}

/// The kept subscriptions of a tenant with what was just read in their place.
fn with(kept: Vec<StripeSubscription>, readings: &[(String, Reading)], tenant: &TenantId) -> Vec<StripeSubscription> {
    let read = |it: &StripeSubscription| readings.iter().find(|(customer, _)| *customer == it.customer);
    let stays = kept.into_iter().filter(|it| read(it).is_none_or(|(_, read)| read.unreadable.contains_key(&it.id)));
    let fresh = readings.iter().flat_map(|(_, read)| read.subscriptions.iter().cloned());
    stays.chain(fresh.filter(|it| it.tenant.as_ref().is_none_or(|it| it == tenant))).collect()
}

/// Stripe cannot be asked, or refuses.
pub(super) fn away(error: &Error) -> Fault {
    let code = error_code(error);
    let fault = if error.passing() {
        let detail = format!("Stripe cannot be asked now ({code}); nothing was changed, try again");
        Fault::new(ProblemCode::StripeUnavailable, detail)
    } else {
        Fault::new(ProblemCode::ChangeRefused, format!("Stripe did not do it ({code}): {error}"))
    };
    fault.because(error.to_string())
}

pub(super) fn undone(error: WorkError) -> Fault {
    match error {
        WorkError::Store(error) => error.into(),
        WorkError::Stripe(error) => away(&error),
        WorkError::Another(_) => Fault::new(ProblemCode::Unavailable, error.to_string()),
    }
}
