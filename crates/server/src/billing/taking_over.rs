//! Takes over what Stripe says: facts, timeline, feed, differences that stay, and what becomes of the events, all
//! in one transaction.

use std::collections::BTreeSet;

use paywall_contract::TimelineBody;
use paywall_domain::billing::{
    BillingPolicy, PaywallSide, PriceBook, StripeSubscription, compare, ends_too_soon, settle,
};
use paywall_domain::{Subscription, SubscriptionStatus, TenantId, Timestamp};

use super::inbox::{self, Claim, Fate};
use super::reading::{Reading, error_code};
use super::{checkouts, disputes, drifts, outbox, subscriptions};
use crate::clock::Clock;
use crate::store::time::up_to;
use crate::store::{Connection, NewEntry, Store, StoreError, TenantRow, entries, plans, tenants};

/// Of whom Stripe says that a customer is, beside the subscriptions themselves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Named {
    /// By Checkout sessions and by the customer.
    pub(crate) tenants: BTreeSet<TenantId>,
    /// Checkout sessions as they are now.
    pub(crate) sessions: Vec<checkouts::Seen>,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// What was read is kept.
    Settled,
    /// Nobody here is it, though somebody should be.
    Parked,
    /// Somebody else reads it by now: what this one read may be older, and is not kept.
    Overtaken,
    /// Stripe could not be asked; it is asked again after a pause.
    Postponed,
}

impl Store {
    /// Keeps what was read of a customer, and does what follows from it.
    pub(crate) async fn take_over(
        &self,
        claim: &Claim,
        reading: &Reading,
        named: &Named,
        policy: impl Fn(PriceBook) -> BillingPolicy,
        clock: &dyn Clock,
    ) -> Result<Ended, StoreError> {
        let mut write = self.write().await?;
        let now = clock.now();
        if !inbox::is_latest(&mut write, claim).await? {
            return Ok(Ended::Overtaken);
        }
        let policy = policy(PriceBook::of(&plans::all(&mut write).await?.into_list()));
        let tenants = whose(&mut write, claim, reading, named).await?;
        keep(&mut write, claim, reading, &tenants).await?;
        for session in &named.sessions {
            checkouts::note(&mut write, session, now).await?;
        }
        for tenant in &tenants {
            if let Some(row) = tenants::get(&mut write, tenant).await? {
                settle_tenant(&mut write, row, &policy, now).await?;
            }
        }
        let wanted = wanted(reading, named);
        let parked = tenants.is_empty() && matters(reading, &wanted, &policy);
        for event in &claim.events {
            let fate = if parked {
                Fate::Parked {
                    error: "unknown_customer",
                    tenant: wanted.iter().next().cloned(),
                    next_attempt_at: now.plus_ms(inbox::pause_ms(event.attempts, inbox::PARKED_MOST_MS)),
                }
            } else if let Some(error) = reading.lacking.as_ref().filter(|it| it.passing()) {
                // What access follows from is in force; what was not told of beside that is asked for again.
                let next_attempt_at = now.plus_ms(inbox::pause_ms(event.attempts, inbox::LATER_MOST_MS));
                Fate::Later { error: error_code(error), next_attempt_at }
            } else if let Some(error) = reading.unreadable.values().next() {
                Fate::Failed { error: format!("stripe_unreadable {error}") }
            } else {
                Fate::Done
            };
            inbox::decide(&mut write, &event.id, &fate, now).await?;
        }
        inbox::release(&mut write, claim, true).await?;
        write.commit().await?;
        Ok(if parked { Ended::Parked } else { Ended::Settled })
    }
}

/// The tenants that are here and whose billing the customer's is.
async fn whose(
    connection: &mut Connection,
    claim: &Claim,
    reading: &Reading,
    named: &Named,
) -> Result<BTreeSet<TenantId>, StoreError> {
    let mut found = subscriptions::tenants_of_customer(connection, &claim.subject).await?;
    for tenant in wanted(reading, named) {
        if tenants::get(connection, &tenant).await?.is_some() {
            found.insert(tenant);
        }
    }
    Ok(found)
}

/// The tenants that Stripe names, here or not.
fn wanted(reading: &Reading, named: &Named) -> BTreeSet<TenantId> {
    let sold = reading.subscriptions.iter().filter_map(|it| it.tenant.clone());
    named.tenants.iter().cloned().chain(sold).collect()
}

/// Whether somebody has to be it: a tenant is named, or something of ours is paid for. The same account may
/// sell other things, whose buyers are nobody here.
fn matters(reading: &Reading, wanted: &BTreeSet<TenantId>, policy: &BillingPolicy) -> bool {
    !wanted.is_empty() || reading.subscriptions.iter().any(|it| policy.prices.plan_of(it).is_some())
}

/// Keeps the subscriptions that were read; those that Stripe has no more are forgotten.
pub(crate) async fn keep(
    write: &mut Connection,
    claim: &Claim,
    reading: &Reading,
    tenants: &BTreeSet<TenantId>,
) -> Result<(), StoreError> {
    let only = tenants.first().filter(|_| tenants.len() == 1);
    for subscription in &reading.subscriptions {
        subscriptions::keep(write, subscription, subscriptions::owner_of(subscription, tenants), claim.begun_at)
            .await?;
    }
    for id in subscriptions::ids_of_customer(write, &claim.subject).await? {
        let there = reading.subscriptions.iter().any(|it| it.id == id) || reading.unreadable.contains_key(&id);
        if !there {
            subscriptions::forget(write, &id).await?;
        }
    }
    disputes::put(write, &claim.subject, &reading.disputed).await?;
    sqlx::query("UPDATE stripe_subjects SET tenant_id = $2, deleted = $3 WHERE id = $1")
        .bind(&claim.subject)
        .bind(only.map(TenantId::as_str))
        .bind(i64::from(reading.gone))
        .execute(write)
        .await?;
    Ok(())
}

/// Takes over for one tenant what is kept of Stripe.
async fn settle_tenant(
    write: &mut Connection,
    row: TenantRow,
    policy: &BillingPolicy,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut row = up_to(write, row, now).await?;
    let mut stripe = subscriptions::of_tenant(write, &row.id, row.stripe_customer.as_deref()).await?;
    let before = subscriptions::side(write, &row).await?;
    let after = settle(&before, &stripe, policy);
    let counts = after.facts.subscription.as_ref().map(|it| it.id.as_str());
    if let Some(sold) = stripe.iter().find(|it| Some(it.id.as_str()) == counts && ends_too_soon(&before, it)) {
        outbox::put_first_trial_end(write, &row.id, &sold.id, now).await?;
    }
    if after != before {
        put(write, &mut row, &before, &after, &stripe, now).await?;
        if after.customer != before.customer {
            stripe = subscriptions::of_tenant(write, &row.id, row.stripe_customer.as_deref()).await?;
        }
    }
    for over in stripe.iter().filter(|it| !it.live() && it.status.known() != Some(SubscriptionStatus::Incomplete)) {
        checkouts::ended(write, &over.id, now).await?;
    }
    if row.facts.subscription.as_ref().is_some_and(|it| it.gives_access(now)) {
        checkouts::unblocked(write, &row.id, now).await?;
    }
    let left = compare(&after, &stripe, policy, now);
    drifts::record(write, drifts::Scope::Tenant(&row.id), &left, now).await
}

/// Writes a tenant's other side.
async fn put(
    write: &mut Connection,
    row: &mut TenantRow,
    before: &PaywallSide,
    after: &PaywallSide,
    stripe: &[StripeSubscription],
    now: Timestamp,
) -> Result<(), StoreError> {
    put_beside(write, row, before, after).await?;
    if after.facts != before.facts {
        row.facts = after.facts.clone();
        row.version += 1;
        row.seq = tenants::put(write, row, now).await?;
        subscriptions::put_search(write, row).await?;
    }
    for (id, at, body) in happened(before, after, stripe, now) {
        let entry = NewEntry { id, tenant_id: &row.id, at, aspect: None, body: &body };
        entries::put(write, &entry).await?;
    }
    Ok(())
}

/// Writes of a tenant's other side what is not among its facts.
pub(crate) async fn put_beside(
    write: &mut Connection,
    row: &mut TenantRow,
    before: &PaywallSide,
    after: &PaywallSide,
) -> Result<(), StoreError> {
    if after.customer != before.customer {
        row.stripe_customer.clone_from(&after.customer);
        row.seq = subscriptions::set_customer(write, row).await?;
    }
    if after.billed != before.billed {
        subscriptions::put_billed(write, &row.id, after.billed.as_ref()).await?;
    }
    Ok(())
}

/// What the timeline tells of it. Each is told once, however often it is taken over.
fn happened(
    before: &PaywallSide,
    after: &PaywallSide,
    stripe: &[StripeSubscription],
    now: Timestamp,
) -> Vec<(String, Timestamp, TimelineBody)> {
    let Some(is) = &after.facts.subscription else { return Vec::new() };
    let was = before.facts.subscription.as_ref().filter(|it| it.id == is.id);
    let tenant = after.tenant.as_str();
    let subscription = is.id.clone();
    let object = stripe.iter().find(|it| it.id == is.id);
    let mut told = Vec::new();
    if began(is.status) && !was.is_some_and(|it| began(it.status)) {
        let at = object.map_or(now, |it| it.created);
        let body = TimelineBody::SubscriptionStarted { plan: after.facts.plan.clone(), subscription };
        told.push((format!("{tenant}.subscription_started.{}", is.id), at, body));
    } else if stopped(is.status) && was.is_none_or(|it| !stopped(it.status)) {
        let at = is.ended_at.unwrap_or(now);
        let body = TimelineBody::SubscriptionEnded { subscription };
        told.push((format!("{tenant}.subscription_ended.{}.{}", is.id, at.0), at, body));
    }
    if let Some(since) =
        is.overdue_since.filter(|since| was.and_then(|it: &Subscription| it.overdue_since) != Some(*since))
        && let Some((invoice, object)) = object.and_then(|it| it.oldest_owed().map(|invoice| (invoice, it)))
    {
        let body = TimelineBody::PaymentFailed {
            invoice: invoice.id.clone(),
            amount: invoice.amount_remaining.unwrap_or(0),
            currency: object.currency.clone(),
            attempts: invoice.attempts,
        };
        told.push((format!("{tenant}.payment_failed.{}", invoice.id), since, body));
    }
    told
}

fn began(status: SubscriptionStatus) -> bool {
    matches!(status, SubscriptionStatus::Active | SubscriptionStatus::Trialing | SubscriptionStatus::PastDue)
}

fn stopped(status: SubscriptionStatus) -> bool {
    matches!(status, SubscriptionStatus::Canceled | SubscriptionStatus::Unpaid | SubscriptionStatus::Paused)
}
