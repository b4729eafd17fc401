//! How billing is, what waits, what does not get on, and a tenant's own.

// The macro that describes the routes names its parameters by paths.
#![allow(unused_qualifications)]

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State as Extract};
use paywall_contract::{
    BillingHealth, CheckoutSession, CheckoutState, ConversionsQuery, DeliveryDay, DriftCount, DriftsQuery,
    EndpointHealth, EndpointStatus, InboxEvent, InboxHealth, InboxQuery, InboxSource, InboxState, KnownDrift, Page,
    ProblemCode, StripeConnection, StripeFailure, StripeKeyKind, StuckAt, StuckConversion, StuckCounts, TenantBilling,
    TenantSubscription, WebhookHealth,
};
use paywall_domain::billing::{
    AccountSide, BillingPolicy, CheckoutOffer, CheckoutRefusal, DriftBody, DriftKind, Money, PriceBook, StripeMode,
    StripeSubscription, account_drifts, checkout_terms, choose, standing, upcoming,
};
use paywall_domain::{DAY_MS, Role, TenantId, Timestamp};
use paywall_stripe::KeyKind;

use super::auth::Caller;
use super::document::{ChangeProblems, ReadProblems};
use super::problem::Fault;
use super::read::{Params, cursor, page_size, place, tenant_id};
use crate::billing::account::{AccountSeen, webhook_url};
use crate::billing::drifts::{DriftKey, DriftRow};
use crate::billing::duties::Duty;
use crate::billing::health::{BLOCKED_MS, DAYS, KnownEvent, OPEN_MS};
use crate::billing::{Billing, checkouts, drifts, duties, health, inbox, subscriptions};
use crate::server::State;
use crate::store::time::rolled;
use crate::store::{Read, plans, tenants};

/// How billing is.
#[utoipa::path(get, path = "/admin/v1/billing", tag = "billing", security(("token" = [])),
    responses((status = 200, body = BillingHealth), ReadProblems))]
pub(crate) async fn get(Extract(state): Extract<Arc<State>>, _: Caller) -> Result<Json<BillingHealth>, Fault> {
    let now = state.clock.now();
    let mut read = state.store.read().await?;
    let polled = duties::get(&mut read, Duty::Poll).await?;
    let reconciled = duties::get(&mut read, Duty::Reconcile).await?;
    let seen: AccountSeen = polled.body.as_deref().map(serde_json::from_str).transpose()?.unwrap_or_default();
    let waiting = health::waiting(&mut read).await?;
    let (checkout_open, paid_not_unblocked) =
        checkouts::stuck_counts(&mut read, now.plus_ms(-OPEN_MS), now.plus_ms(-BLOCKED_MS)).await?;
    Ok(Json(BillingHealth {
        stripe: state.billing.as_ref().map_or(StripeConnection::NotConfigured, |it| connection(it, polled.done_at)),
        webhook: webhook_health(&state, &mut read, &seen, now).await?,
        deliveries: deliveries(&mut read, now).await?,
        inbox: InboxHealth {
            pending: waiting.pending,
            parked: waiting.parked,
            failed: waiting.failed,
            oldest_pending_at: waiting.oldest,
        },
        undelivered: match seen.undelivered {
            Some(_) => Some(inbox::undelivered(&mut read, now).await?.0),
            None => None,
        },
        drifts: counts(&mut read).await?,
        stuck: StuckCounts { checkout_open, paid_not_unblocked },
        polled_at: polled.done_at,
        poll_every_ms: state.billing.as_ref().and_then(|it| i64::try_from(it.settings.poll_every.as_millis()).ok()),
        reconciled_at: reconciled.done_at,
        as_of: now,
    }))
}

fn connection(billing: &Billing, asked_at: Option<Timestamp>) -> StripeConnection {
    let failure = billing.failure();
    StripeConnection::Configured {
        mode: billing.settings.mode,
        key_kind: match billing.settings.key.kind() {
            KeyKind::Restricted => StripeKeyKind::Restricted,
            KeyKind::Secret | KeyKind::Publishable | KeyKind::Unknown => StripeKeyKind::Secret,
        },
        reachable: failure.as_ref().map(|_| false).or(asked_at.map(|_| true)),
        error: failure.map(|it| StripeFailure {
            code: it.code.split(' ').next().unwrap_or_default().to_owned(),
            since: it.since,
            missing_permission: it.missing_permission,
            request_id: it.request_id,
        }),
    }
}

async fn webhook_health(
    state: &State,
    read: &mut Read,
    seen: &AccountSeen,
    now: Timestamp,
) -> Result<WebhookHealth, Fault> {
    let newest = health::newest(read).await?;
    let refused = health::refused(read, now).await?;
    let billing = state.billing.as_ref();
    Ok(WebhookHealth {
        secret_configured: billing.is_some_and(|it| !it.settings.webhook_secrets.is_empty()),
        endpoint: billing.and_then(|it| endpoint(state, it, seen)),
        last_received_at: newest.map(|(received, _)| received),
        last_event_created_at: newest.map(|(_, created)| created),
        lag_ms: newest.map(|(received, created)| received.ms_since(created).max(0)),
        refused_signatures: refused + billing.map_or(0, Billing::refused_unwritten),
    })
}

/// The endpoint that leads here, by the same rules that tell what is wrong with it.
fn endpoint(state: &State, billing: &Billing, seen: &AccountSeen) -> Option<EndpointHealth> {
    let (url, endpoints) = (webhook_url(state)?, seen.endpoints.as_deref()?);
    let side = AccountSide { webhook_url: Some(&url), endpoints: Some(endpoints), ..AccountSide::default() };
    let wrong = account_drifts(&side, &billing.policy()).into_iter().next();
    let (id, missing_events) = match wrong {
        None => (None, Vec::new()),
        Some(drift) => match drift.body {
            DriftBody::WebhookEventsMissing { events } => (drift.endpoint, events),
            DriftBody::WebhookEndpointDisabled { .. } => (drift.endpoint, Vec::new()),
            _ => return None,
        },
    };
    let found = match id {
        Some(id) => endpoints.iter().find(|it| it.id == id)?,
        // Nothing is wrong, so there is one that is as it should be.
        None => endpoints.iter().find(|it| {
            let only = AccountSide { endpoints: Some(std::slice::from_ref(*it)), ..side.clone() };
            account_drifts(&only, &billing.policy()).is_empty()
        })?,
    };
    Some(EndpointHealth {
        id: found.id.clone(),
        url: found.url.clone(),
        status: if found.enabled { EndpointStatus::Enabled } else { EndpointStatus::Disabled },
        missing_events,
    })
}

async fn deliveries(read: &mut Read, now: Timestamp) -> Result<Vec<DeliveryDay>, Fault> {
    let found: BTreeMap<i64, health::Day> =
        health::days(read, now).await?.into_iter().map(|day| (day.number, day)).collect();
    let today = now.0.div_euclid(DAY_MS);
    let day = |number: i64| {
        let day = found.get(&number).copied().unwrap_or_default();
        DeliveryDay {
            day: Timestamp(number * DAY_MS),
            received: day.received,
            repeated: day.repeated,
            processed: day.processed,
            parked: day.parked,
            failed: day.failed,
        }
    };
    Ok((today - DAYS + 1..=today).map(day).collect())
}

async fn counts(read: &mut Read) -> Result<Vec<DriftCount>, Fault> {
    let mut counts: BTreeMap<DriftKind, DriftCount> = BTreeMap::new();
    for sum in drifts::sums(read).await? {
        let Some(kind) = DriftKind::parse(&sum.kind) else { continue };
        let count = counts.entry(kind).or_insert_with(|| DriftCount {
            kind,
            count: 0,
            oldest_since: sum.oldest,
            at_stake: Vec::new(),
        });
        count.count += sum.count;
        count.oldest_since = count.oldest_since.min(sum.oldest);
        count.at_stake.extend(sum.currency.map(|currency| Money::new(sum.at_stake, &currency)));
    }
    Ok(counts.into_values().collect())
}

/// A page of drifts, the gravest kind first, then the oldest.
#[utoipa::path(get, path = "/admin/v1/billing/drifts", tag = "billing", security(("token" = [])),
    params(DriftsQuery), responses((status = 200, body = Page<KnownDrift>), ReadProblems))]
pub(crate) async fn list_drifts(
    Extract(state): Extract<Arc<State>>,
    _: Caller,
    Params(query): Params<DriftsQuery>,
) -> Result<Json<Page<KnownDrift>>, Fault> {
    let limit = page_size(query.limit, 50, 500)?;
    let after = query.cursor.as_deref().map(place::<DriftKey>).transpose()?;
    let mut read = state.store.read().await?;
    let mut rows = drifts::page(&mut read, query.kind, after.as_ref(), limit + 1).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let key = |it: &DriftRow| {
        let kind = it.drift.kind().as_str().to_owned();
        cursor(&DriftKey { kind, first_seen_at: it.first_seen_at.0, id: it.id.clone() })
    };
    let next = rows.last().filter(|_| more).map(key).transpose()?;
    Ok(Json(Page { items: rows.into_iter().map(|it| known(&state, it)).collect(), next }))
}

/// A page of events, the newest first.
#[utoipa::path(get, path = "/admin/v1/billing/events", tag = "billing", security(("token" = [])),
    params(InboxQuery), responses((status = 200, body = Page<InboxEvent>), ReadProblems))]
pub(crate) async fn list_events(
    Extract(state): Extract<Arc<State>>,
    _: Caller,
    Params(query): Params<InboxQuery>,
) -> Result<Json<Page<InboxEvent>>, Fault> {
    let limit = page_size(query.limit, 50, 500)?;
    let after = query.cursor.as_deref().map(place::<(i64, String)>).transpose()?;
    let only = query.state.map(|it| match it {
        InboxState::Pending => inbox::InboxState::Pending,
        InboxState::Parked => inbox::InboxState::Parked,
        InboxState::Done => inbox::InboxState::Done,
        InboxState::Failed => inbox::InboxState::Failed,
    });
    let mut read = state.store.read().await?;
    let mut rows = health::events(&mut read, only, query.undelivered == Some(true), after, limit + 1).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let key = |it: &KnownEvent| cursor(&(it.row.received_at.0, it.row.id.clone()));
    let next = rows.last().filter(|_| more).map(key).transpose()?;
    Ok(Json(Page { items: rows.into_iter().map(event).collect(), next }))
}

/// Lets an event be processed again at once: one that failed, waits or is parked.
#[utoipa::path(post, path = "/admin/v1/billing/events/{id}/retry", tag = "billing", security(("token" = [])),
    params(("id" = String, Path, description = "The event's id")),
    responses((status = 200, body = InboxEvent), ChangeProblems))]
pub(crate) async fn retry_event(
    Extract(state): Extract<Arc<State>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<InboxEvent>, Fault> {
    caller.needs(Role::Support)?;
    let now = state.clock.now();
    let hastened = state.store.retry_event(&id, now).await?;
    if let Some(billing) = state.billing.as_ref().filter(|_| hastened) {
        tracing::info!(event = id, by = caller.0.name, "an event of Stripe is processed again");
        billing.wake();
    }
    let mut read = state.store.read().await?;
    let found = health::event(&mut read, &id).await?.ok_or_else(|| Fault::not_found("event"))?;
    // One that is done stays so: done again, it would change nothing.
    Ok(Json(event(found)))
}

fn event(it: KnownEvent) -> InboxEvent {
    let row = it.row;
    let customer = Some(row.subject).filter(|it| row.of_customer || it.starts_with("cus_"));
    let waits = matches!(row.state, inbox::InboxState::Pending | inbox::InboxState::Parked);
    let named = row.tenant.as_deref().and_then(|it| TenantId::parse(it).ok());
    let (tenant_id, tenant_name) = match it.tenant {
        Some((id, name)) => (TenantId::parse(&id).ok(), Some(name)),
        None => (named, None),
    };
    InboxEvent {
        id: row.id,
        r#type: row.kind,
        object_id: Some(row.object).filter(|it| !it.is_empty()),
        customer,
        tenant_id,
        tenant_name,
        created_at: row.created,
        received_at: row.received_at,
        source: match row.source.as_str() {
            "webhook" => InboxSource::Webhook,
            "poll" => InboxSource::Poll,
            _ => InboxSource::Reconcile,
        },
        state: match row.state {
            inbox::InboxState::Pending => InboxState::Pending,
            inbox::InboxState::Parked => InboxState::Parked,
            inbox::InboxState::Done => InboxState::Done,
            inbox::InboxState::Failed => InboxState::Failed,
        },
        attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
        next_attempt_at: Some(row.next_attempt_at).filter(|_| waits),
        error: row.error,
        done_at: row.done_at,
        undelivered: row.undelivered,
    }
}

/// A page of tenants that do not get on from trial to paid, the longest stuck first.
#[utoipa::path(get, path = "/admin/v1/billing/conversions", tag = "billing", security(("token" = [])),
    params(ConversionsQuery), responses((status = 200, body = Page<StuckConversion>), ReadProblems))]
pub(crate) async fn conversions(
    Extract(state): Extract<Arc<State>>,
    _: Caller,
    Params(query): Params<ConversionsQuery>,
) -> Result<Json<Page<StuckConversion>>, Fault> {
    let limit = page_size(query.limit, 50, 500)?;
    let after = query.cursor.as_deref().map(place::<checkouts::StuckKey>).transpose()?;
    let now = state.clock.now();
    let mut read = state.store.read().await?;
    let (opened, paid) = (now.plus_ms(-OPEN_MS), now.plus_ms(-BLOCKED_MS));
    let mut rows = checkouts::stuck(&mut read, opened, paid, after.as_ref(), limit + 1).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let key = |it: &checkouts::CheckoutRow| {
        cursor(&checkouts::StuckKey { since: it.since.0, tenant: it.tenant.clone(), attempt: it.attempt })
    };
    let next = rows.last().filter(|_| more).map(key).transpose()?;
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        let Ok(tenant) = TenantId::parse(&row.tenant) else { continue };
        // Another difference is not why it does not get on.
        let drift = if row.completed_at.is_some() {
            let known = drifts::of_tenant(&mut read, &tenant).await?;
            known.into_iter().find(|it| it.drift.kind() == DriftKind::PaidButBlocked)
        } else {
            None
        };
        items.push(StuckConversion {
            tenant_id: tenant,
            tenant_name: row.tenant_name,
            at: if row.completed_at.is_some() { StuckAt::PaidNotUnblocked } else { StuckAt::CheckoutOpen },
            since: row.since,
            session: row.session,
            subscription: row.subscription.or_else(|| drift.as_ref().and_then(|it| it.drift.subscription.clone())),
            plan: row.plan.as_str().into(),
            price: row.price,
            drift: drift.map(|it| it.id),
        });
    }
    Ok(Json(Page { items, next }))
}

/// What is known of a tenant's billing.
#[utoipa::path(get, path = "/admin/v1/tenants/{id}/billing", tag = "billing", security(("token" = [])),
    params(("id" = String, Path, description = "The tenant's id")),
    responses((status = 200, body = TenantBilling), ReadProblems))]
pub(crate) async fn of_tenant(
    Extract(state): Extract<Arc<State>>,
    _: Caller,
    Path(id): Path<String>,
) -> Result<Json<TenantBilling>, Fault> {
    let id = tenant_id(&id)?;
    let now = state.catch_up_with(&id).await;
    let mut read = state.store.read().await?;
    let row = tenants::get(&mut read, &id).await?.ok_or_else(|| Fault::not_found("tenant"))?;
    let row = rolled(&mut read, row, now).await?;
    let all = plans::all(&mut read).await?;
    let plan = all.get(&row.facts.plan).cloned();
    let policy = policy(&state, PriceBook::of(&all.into_list()));
    let side = subscriptions::side(&mut read, &row).await?;
    let kept = subscriptions::kept_of_tenant(&mut read, &id, row.stripe_customer.as_deref()).await?;
    let stripe: Vec<StripeSubscription> = kept.iter().map(|(it, _)| it.clone()).collect();
    let chosen = choose(&side, &stripe, &policy);
    let order: Vec<&str> = chosen
        .iter()
        .flat_map(|it| std::iter::once(it.subscription).chain(it.beside.iter().copied()))
        .map(|it| it.id.as_str())
        .collect();
    let mut subscriptions: Vec<TenantSubscription> = kept
        .iter()
        .map(|(subscription, fetched_at)| {
            let stands = standing(subscription, policy.grace, now);
            TenantSubscription {
                subscription: subscription.clone(),
                fetched_at: *fetched_at,
                standing: stands,
                access: stands.access(),
                remedy: stands.remedy(),
                monthly: subscription.monthly(),
                dashboard_url: dashboard(policy.mode, "subscriptions", &subscription.id),
            }
        })
        .collect();
    subscriptions.sort_by_key(|it| order.iter().position(|id| *id == it.subscription.id).unwrap_or(usize::MAX));
    let sessions = checkouts::of_tenant(&mut read, &id).await?;
    let attempt = u32::try_from(sessions.len()).unwrap_or(u32::MAX);
    let refusal = plan.as_ref().and_then(|plan| {
        let offer = CheckoutOffer { paywall: &side, stripe: &stripe, plan, price: None, attempt };
        // It may buy another plan than its own.
        let of_plan = |it: &CheckoutRefusal| matches!(it, CheckoutRefusal::NoPrice | CheckoutRefusal::PriceOfOtherPlan);
        checkout_terms(&offer, &policy, now).err().filter(|it| !of_plan(it))
    });
    let known_drifts = drifts::of_tenant(&mut read, &id).await?;
    Ok(Json(TenantBilling {
        tenant_id: id,
        customer_url: row.stripe_customer.as_deref().map(|it| dashboard(policy.mode, "customers", it)),
        customer: row.stripe_customer,
        standing: chosen.as_ref().map(|it| standing(it.subscription, policy.grace, now)),
        upcoming: chosen.as_ref().map(|it| upcoming(it.subscription, policy.grace, now)).unwrap_or_default(),
        subscriptions,
        sessions: sessions.into_iter().map(session).collect(),
        drifts: known_drifts.into_iter().map(|it| known(&state, it)).collect(),
        checkout_refusal: refusal,
        as_of: now,
    }))
}

fn session(it: checkouts::CheckoutRow) -> CheckoutSession {
    CheckoutSession {
        id: it.session,
        plan: it.plan.as_str().into(),
        price: it.price,
        state: match it.state.as_str() {
            "open" => CheckoutState::Open,
            "complete" => CheckoutState::Complete,
            _ => CheckoutState::Expired,
        },
        opened_at: it.opened_at,
        expires_at: it.expires_at.unwrap_or_else(|| it.opened_at.plus_days(1)),
        completed_at: it.completed_at,
        unblocked_at: it.unblocked_at,
    }
}

/// What this installation decides. Without billing nothing is asked by it but the standing of what was read.
fn policy(state: &State, prices: PriceBook) -> BillingPolicy {
    match &state.billing {
        Some(billing) => BillingPolicy { prices, ..billing.policy() },
        None => BillingPolicy { mode: StripeMode::Test, grace: paywall_domain::billing::Grace::default(), prices },
    }
}

/// Where Stripe shows an object to a person.
fn dashboard(mode: StripeMode, kind: &str, id: &str) -> String {
    let half = if mode == StripeMode::Test { "test/" } else { "" };
    format!("https://dashboard.stripe.com/{half}{kind}/{id}")
}

/// A drift on the wire.
pub(crate) fn known(state: &State, it: DriftRow) -> KnownDrift {
    let mode = state.billing.as_ref().map_or(StripeMode::Test, |it| it.settings.mode);
    let drift = &it.drift;
    let object = [
        ("subscriptions", drift.subscription.as_ref()),
        ("webhooks", drift.endpoint.as_ref()),
        ("customers", drift.customer.as_ref()),
    ];
    let dashboard_url = object.into_iter().find_map(|(kind, id)| id.map(|id| dashboard(mode, kind, id)));
    KnownDrift {
        id: it.id,
        tenant_name: it.tenant_name,
        dashboard_url,
        drift: it.drift,
        first_seen_at: it.first_seen_at,
        last_seen_at: it.last_seen_at,
    }
}

/// Why something of billing cannot be done here.
pub(crate) fn not_configured() -> Fault {
    Fault::new(ProblemCode::NotFound, "this server does not bill: set stripe_key (PAYWALL_STRIPE_KEY)")
}
