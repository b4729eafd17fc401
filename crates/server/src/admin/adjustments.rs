//! Adjustments: made, shown before they are made, undone, listed.

// The macro that describes the routes names its parameters by paths.
#![allow(unused_qualifications)]

use std::sync::Arc;

use axum::extract::{Path, State as Extract};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use paywall_contract::{
    Adjustment, AdjustmentOutcome, AdjustmentRequest, IDEMPOTENCY_KEY, IDEMPOTENT_REPLAYED, Page, ProblemCode,
    TimelineBody, TimelineQuery, UndoRequest,
};
use paywall_domain::{
    Change, Role, TenantFacts, TenantId, Timestamp, UndoRefusal, apply, check_undo, undo as undo_facts,
};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;

use super::RequestId;
use super::auth::{Actor, Caller};
use super::document::{ChangeProblems, ReadProblems};
use super::problem::Fault;
use super::read::{Body, BodyOrDefault, Params, cursor, page_size, place, tenant_id};
use crate::billing::outbox::{self, Following};
use crate::server::State;
use crate::store::{Connection, EntryKey, KeyRecord, NewEntry, Plans, TenantRow, entries, keys, plans, tenants, time};

/// The longest reason, in characters.
const REASON_MAX: usize = 2_000;

/// The longest link to a ticket, in characters.
const TICKET_MAX: usize = 2_000;

/// Whether only to show what would be.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DryRun {
    /// `true` changes nothing and shows what would be.
    #[serde(default)]
    pub(super) dry_run: bool,
}

/// Makes one change of a tenant.
#[utoipa::path(post, path = "/admin/v1/tenants/{id}/adjustments", tag = "adjustments", security(("token" = [])),
    params(
        ("id" = String, Path, description = "The tenant's id"), DryRun,
        ("Idempotency-Key" = Option<String>, Header, description = "Required unless it is a dry run"),
        ("If-Match" = Option<String>, Header, description = "The tenant's ETag. Required unless it is a dry run"),
    ),
    request_body = AdjustmentRequest,
    responses((status = 200, body = AdjustmentOutcome, headers(("ETag" = String, description = "The tenant's"))),
        ChangeProblems))]
pub(crate) async fn create(
    Extract(state): Extract<Arc<State>>,
    caller: Caller,
    Extension(request_id): Extension<RequestId>,
    Path(id): Path<String>,
    Params(mode): Params<DryRun>,
    headers: HeaderMap,
    Body(request): Body<AdjustmentRequest>,
) -> Result<Response, Fault> {
    let id = tenant_id(&id)?;
    caller.needs(request.change.kind().role())?;
    let reason = checked_reason(&request.reason, !mode.dry_run)?;
    let ticket = request.ticket.as_deref().map(checked_ticket).transpose()?;
    if mode.dry_run {
        let now = state.clock.now();
        let mut read = state.store.read().await?;
        let plans = plans::all(&mut read).await?;
        let row = tenant(&mut read, &id).await?;
        let row = time::rolled(&mut read, row, now).await?;
        let after = applied(&row, &request.change, &caller, reason, now, &plans)?;
        let stripe = following(&state, &mut read, &row, &request.change, &after, now).await?;
        let outcome = AdjustmentOutcome { stripe_writes: stripe.writes, ..preview(&row, &after, &plans, now) };
        return Ok(answer(&outcome, row.version).into_response());
    }

    let key = required_key(&headers)?;
    let request_hash = hashed(&["adjust", id.as_str(), &serde_json::to_string(&request)?]);
    let mut write = state.store.write().await?;
    let now = state.clock.now();
    if let Some(response) = replayed(&mut write, &key, &request_hash).await? {
        return Ok(response);
    }
    let expected = required_version(&headers)?;
    let plans = plans::all(&mut write).await?;
    let row = tenant(&mut write, &id).await?;
    if expected != row.version {
        return Err(Fault::version_mismatch(row.version));
    }
    let row = time::up_to(&mut write, row, now).await?;
    let after = applied(&row, &request.change, &caller, reason, now, &plans)?;
    let stripe = following(&state, &mut write, &row, &request.change, &after, now).await?;
    let draft = Draft { change: request.change, reason, ticket, undoes: None, request_id: &request_id.0 };
    let mut made = record(&state, &mut write, &caller.actor(), &row, after, draft, &plans, now).await?;
    let follows = stripe.put(&mut write, &made.adjustment.id, &row.id, now).await?;
    made.outcome.stripe_writes = stripe.writes;
    remember(&mut write, &key, request_hash, &made, now).await?;
    write.commit().await?;
    wake(&state, follows);
    Ok(answer(&made.outcome, made.version).into_response())
}

/// Puts back what an adjustment changed, unless something later stands on it.
#[utoipa::path(post, path = "/admin/v1/adjustments/{id}/undo", tag = "adjustments", security(("token" = [])),
    params(
        ("id" = String, Path, description = "The adjustment's id"), DryRun,
        ("Idempotency-Key" = Option<String>, Header, description = "Required unless it is a dry run"),
        ("If-Match" = Option<String>, Header,
            description = "The tenant's ETag, to undo only on the tenant as it was read; optional"),
    ),
    request_body = Option<UndoRequest>,
    responses((status = 200, body = AdjustmentOutcome, headers(("ETag" = String, description = "The tenant's"))),
        ChangeProblems))]
pub(crate) async fn undo(
    Extract(state): Extract<Arc<State>>,
    caller: Caller,
    Extension(request_id): Extension<RequestId>,
    Path(id): Path<String>,
    Params(mode): Params<DryRun>,
    headers: HeaderMap,
    BodyOrDefault(request): BodyOrDefault<UndoRequest>,
) -> Result<Response, Fault> {
    caller.needs(Role::Support)?;
    let reason = checked_reason(&request.reason, false)?;
    if mode.dry_run {
        let now = state.clock.now();
        let mut read = state.store.read().await?;
        let plans = plans::all(&mut read).await?;
        let target = undoable(&mut read, &caller, &id).await?;
        let row = tenant(&mut read, &target.tenant_id).await?;
        let row = time::rolled(&mut read, row, now).await?;
        let after = without(&mut read, &target, &row).await?;
        let stripe = following(&state, &mut read, &row, &target.change, &after, now).await?;
        let outcome = AdjustmentOutcome { stripe_writes: stripe.writes, ..preview(&row, &after, &plans, now) };
        return Ok(answer(&outcome, row.version).into_response());
    }

    let key = required_key(&headers)?;
    let request_hash = hashed(&["undo", &id, &serde_json::to_string(&request)?]);
    let mut write = state.store.write().await?;
    let now = state.clock.now();
    let mut target = undoable(&mut write, &caller, &id).await?;
    if let Some(response) = replayed(&mut write, &key, &request_hash).await? {
        return Ok(response);
    }
    let expected = sent_version(&headers)?;
    let plans = plans::all(&mut write).await?;
    let row = tenant(&mut write, &target.tenant_id).await?;
    if expected.is_some_and(|expected| expected != row.version) {
        return Err(Fault::version_mismatch(row.version));
    }
    let row = time::up_to(&mut write, row, now).await?;
    let after = without(&mut write, &target, &row).await?;
    let stripe = following(&state, &mut write, &row, &target.change, &after, now).await?;
    let draft = Draft {
        change: target.change.clone(),
        reason,
        ticket: None,
        undoes: Some(target.id.clone()),
        request_id: &request_id.0,
    };
    let mut made = record(&state, &mut write, &caller.actor(), &row, after, draft, &plans, now).await?;
    let follows = stripe.put(&mut write, &made.adjustment.id, &row.id, now).await?;
    made.outcome.stripe_writes = stripe.writes;
    target.undone_by = Some(made.adjustment.id.clone());
    entries::rewrite(&mut write, &target).await?;
    remember(&mut write, &key, request_hash, &made, now).await?;
    write.commit().await?;
    wake(&state, follows);
    Ok(answer(&made.outcome, made.version).into_response())
}

/// A page of the adjustments of all tenants, newest first.
#[utoipa::path(get, path = "/admin/v1/adjustments", tag = "adjustments", security(("token" = [])),
    params(TimelineQuery), responses((status = 200, body = Page<Adjustment>), ReadProblems))]
pub(crate) async fn list(
    Extract(state): Extract<Arc<State>>,
    _: Caller,
    Params(query): Params<TimelineQuery>,
) -> Result<Json<Page<Adjustment>>, Fault> {
    let limit = page_size(query.limit, 50, 500)?;
    let after = query.cursor.as_deref().map(place::<EntryKey>).transpose()?;
    let mut read = state.store.read().await?;
    let mut items = entries::adjustments(&mut read, after.as_ref(), limit + 1).await?;
    let more = items.len() > limit;
    items.truncate(limit);
    let key = |it: &Adjustment| cursor(&EntryKey { at: it.at.0, id: it.id.clone() });
    let next = items.last().filter(|_| more).map(key).transpose()?;
    Ok(Json(Page { items, next }))
}

/// What an adjustment says beside its effect.
pub(super) struct Draft<'a> {
    pub(super) change: Change,
    pub(super) reason: &'a str,
    pub(super) ticket: Option<&'a str>,
    pub(super) undoes: Option<String>,
    pub(super) request_id: &'a str,
}

/// An adjustment as it was made.
pub(super) struct Made {
    pub(super) adjustment: Adjustment,
    pub(super) outcome: AdjustmentOutcome,
    pub(super) version: i64,
}

fn applied(
    row: &TenantRow,
    change: &Change,
    caller: &Caller,
    reason: &str,
    now: Timestamp,
    plans: &Plans,
) -> Result<TenantFacts, Fault> {
    apply(&row.facts, change, &caller.0.name, reason, now, |plan| plans.contains(plan)).map_err(Fault::refused)
}

/// What a change does in Stripe too. A server that does not bill has nobody there.
async fn following(
    state: &State,
    connection: &mut Connection,
    row: &TenantRow,
    change: &Change,
    after: &TenantFacts,
    now: Timestamp,
) -> Result<Following, Fault> {
    if state.billing.is_none() {
        return Ok(Following::default());
    }
    Ok(outbox::following(connection, row, change, after, now).await?)
}

/// Has what was written for Stripe be sent at once.
fn wake(state: &State, follows: bool) {
    if let Some(billing) = state.billing.as_ref().filter(|_| follows) {
        billing.wake();
    }
}

fn preview(row: &TenantRow, after: &TenantFacts, plans: &Plans, now: Timestamp) -> AdjustmentOutcome {
    AdjustmentOutcome {
        adjustment: None,
        before: row.snapshot(&row.facts, plans, now),
        after: row.snapshot(after, plans, now),
        stripe_writes: Vec::new(),
        version: row.version,
        seq: row.seq,
        now,
    }
}

async fn tenant(connection: &mut Connection, id: &TenantId) -> Result<TenantRow, Fault> {
    tenants::get(connection, id).await?.ok_or_else(|| Fault::not_found("tenant"))
}

/// An adjustment that the caller may undo.
async fn undoable(connection: &mut Connection, caller: &Caller, id: &str) -> Result<Adjustment, Fault> {
    let target = entries::adjustment(connection, id).await?.ok_or_else(|| Fault::not_found("adjustment"))?;
    caller.needs(target.change.kind().role())?;
    Ok(target)
}

/// The tenant's facts without an adjustment; or why it has to stay.
async fn without(connection: &mut Connection, target: &Adjustment, row: &TenantRow) -> Result<TenantFacts, Fault> {
    if target.undone_by.is_some() {
        return Err(Fault::undo_refused(UndoRefusal::AlreadyUndone));
    }
    if target.undoes.is_some() {
        return Err(Fault::undo_refused(UndoRefusal::IsUndo));
    }
    // Whoever was charged at the end of a trial is not paid back by another date.
    let charged = target.change == Change::EndTrial && outbox::was_begun(connection, &target.id).await?;
    if target.change.in_stripe() || charged {
        return Err(Fault::undo_refused(UndoRefusal::InStripe));
    }
    // Later changes may have led back to the same facts; they were still made on top of this one.
    if let Some(later) = entries::standing_on(connection, target).await? {
        return Err(Fault::undo_refused(UndoRefusal::ChangedSince {
            adjustment: Some(later.id),
            by: Some(later.actor),
            at: Some(later.at),
        }));
    }
    let aspect = target.change.aspect();
    if !check_undo(aspect, &row.facts, &target.after.facts) {
        return Err(Fault::undo_refused(UndoRefusal::ChangedSince { adjustment: None, by: None, at: None }));
    }
    Ok(undo_facts(aspect, &row.facts, &target.before.facts))
}

/// Writes an adjustment, and the tenant as it leaves it.
#[allow(clippy::too_many_arguments)]
pub(super) async fn record(
    state: &State,
    write: &mut Connection,
    actor: &Actor,
    row: &TenantRow,
    after: TenantFacts,
    draft: Draft<'_>,
    plans: &Plans,
    now: Timestamp,
) -> Result<Made, Fault> {
    let mut outcome = preview(row, &after, plans, now);
    let mut changed = row.clone();
    if after != row.facts {
        changed.version += 1;
        changed.facts = after;
        outcome.seq = tenants::put(write, &changed, now).await?;
    }
    let adjustment = Adjustment {
        id: format!("adj_{}", state.store.next_id(now)),
        tenant_id: row.id.clone(),
        at: now,
        actor: actor.name.clone(),
        actor_role: actor.role,
        change: draft.change,
        reason: draft.reason.to_owned(),
        ticket: draft.ticket.map(str::to_owned),
        before: outcome.before.clone(),
        after: outcome.after.clone(),
        undoes: draft.undoes,
        undone_by: None,
        request_id: draft.request_id.to_owned(),
    };
    let body = TimelineBody::Adjustment { adjustment: Box::new(adjustment.clone()) };
    let aspect = Some(adjustment.change.aspect());
    let entry = NewEntry { id: adjustment.id.clone(), tenant_id: &row.id, at: now, aspect, body: &body };
    entries::put(write, &entry).await?;
    outcome.adjustment = Some(adjustment.clone());
    Ok(Made { adjustment, outcome, version: changed.version })
}

/// The answer given before under this key, if one was.
pub(super) async fn replayed(
    write: &mut Connection,
    key: &str,
    request_hash: &[u8],
) -> Result<Option<Response>, Fault> {
    match keys::get(write, key).await? {
        None => Ok(None),
        Some(KeyRecord::Void) => Err(Fault::new(
            ProblemCode::IdempotencyKeyVoid,
            "the key was settled as unused; make the change again under a new one",
        )),
        Some(KeyRecord::Made { request_hash: made, .. }) if made != request_hash => Err(reused()),
        // A repair in Stripe; whoever asks for that again goes on with it, and does not come here.
        Some(KeyRecord::Begun { .. }) => Err(reused()),
        Some(KeyRecord::Made { answer, version, .. }) => {
            let headers = [
                (header::CONTENT_TYPE.as_str(), "application/json".to_owned()),
                (header::ETAG.as_str(), format!("\"{version}\"")),
                (IDEMPOTENT_REPLAYED, "true".to_owned()),
            ];
            Ok(Some((StatusCode::OK, headers, answer).into_response()))
        }
    }
}

pub(super) fn reused() -> Fault {
    Fault::new(ProblemCode::IdempotencyKeyReused, "another request was made under this key; take a new one")
}

async fn remember(
    write: &mut Connection,
    key: &str,
    request_hash: Vec<u8>,
    made: &Made,
    now: Timestamp,
) -> Result<(), Fault> {
    let record = KeyRecord::Made {
        request_hash,
        adjustment_id: made.adjustment.id.clone(),
        answer: serde_json::to_string(&made.outcome)?,
        version: made.version,
    };
    Ok(keys::put(write, key, &record, now).await?)
}

fn answer(outcome: &AdjustmentOutcome, version: i64) -> impl IntoResponse + use<> {
    ([(header::ETAG, format!("\"{version}\""))], Json(outcome.clone()))
}

pub(super) fn hashed(parts: &[&str]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().to_vec()
}

/// Refuses what cannot be an idempotency key.
pub(crate) fn check_key(key: &str) -> Result<(), Fault> {
    if (1..=255).contains(&key.len()) && key.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        Ok(())
    } else {
        Err(Fault::field(IDEMPOTENCY_KEY, "1 to 255 printable ASCII characters"))
    }
}

pub(super) fn required_key(headers: &HeaderMap) -> Result<String, Fault> {
    let header = headers.get(IDEMPOTENCY_KEY).ok_or_else(|| {
        Fault::new(
            ProblemCode::IdempotencyKeyRequired,
            "send an Idempotency-Key, a new one for each change, so that it is made once",
        )
    })?;
    let key = header.to_str().unwrap_or_default();
    check_key(key)?;
    Ok(key.to_owned())
}

fn required_version(headers: &HeaderMap) -> Result<i64, Fault> {
    sent_version(headers)?.ok_or_else(|| {
        Fault::new(ProblemCode::VersionRequired, "send If-Match with the ETag of the tenant as it was read")
    })
}

fn sent_version(headers: &HeaderMap) -> Result<Option<i64>, Fault> {
    let Some(header) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let version =
        header.to_str().ok().and_then(|value| value.trim().strip_prefix('"')?.strip_suffix('"')?.parse().ok());
    version.map(Some).ok_or_else(|| Fault::field("If-Match", "the ETag of the tenant, such as \"7\""))
}

pub(super) fn checked_reason(reason: &str, required: bool) -> Result<&str, Fault> {
    let reason = reason.trim();
    match reason.chars().count() {
        0 if required => Err(Fault::field("reason", "say why; the next person reads it")),
        count if count > REASON_MAX => Err(Fault::field("reason", format!("at most {REASON_MAX} characters"))),
        _ => Ok(reason),
    }
}

pub(super) fn checked_ticket(ticket: &str) -> Result<&str, Fault> {
    let ticket = ticket.trim();
    let rest = ticket.strip_prefix("https://").or_else(|| ticket.strip_prefix("http://"));
    let host_begins = rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_alphanumeric() || c == '['));
    if host_begins
        && ticket.chars().count() <= TICKET_MAX
        && !ticket.chars().any(|c| c.is_whitespace() || c.is_control())
    {
        Ok(ticket)
    } else {
        Err(Fault::field("ticket", format!("an http or https link of at most {TICKET_MAX} characters")))
    }
}
