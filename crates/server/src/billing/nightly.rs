//! Every subscription compared with what the paywall has of it.

use std::collections::BTreeSet;

use paywall_domain::billing::{BillingPolicy, Drift, DriftKind, PriceBook, StripeSubscription, compare};
use paywall_domain::{SubscriptionStatus, TenantId, Timestamp};
use paywall_stripe::parameters::SubscriptionsQuery;
use paywall_stripe::shapes;

use super::duties::Outcome;
use super::inbox::{self, Source, Told, Work};
use super::worker::{self, WorkError, look_now, same_account};
use super::{Billing, account, drifts, reading, subscriptions};
use crate::server::State;
use crate::store::time::rolled;
use crate::store::{Connection, StoreError, plans, tenants};

/// Tenants that are compared at a time.
const PAGE: i64 = 500;

/// Lists every subscription, compares every tenant, and writes what differs. Who pays and is blocked is looked
/// at at once; all else is for staff to see, and to repair.
pub(crate) async fn compare_all(state: &State, billing: &Billing) -> Result<Outcome, WorkError> {
    let begun = state.clock.now();
    // What another account does not have is not gone.
    same_account(state, billing).await?;
    list(state, billing).await?;
    vanished(state, billing, begun).await?;
    compare_tenants(state, billing).await?;
    account::record_orphans(state, billing).await?;
    state.store.prune_drifts(state.clock.now()).await?;
    while state.store.prune_inbox(state.clock.now()).await? > 0 {}
    Ok(Outcome::default())
}

/// Keeps every subscription as it is listed.
async fn list(state: &State, billing: &Billing) -> Result<(), WorkError> {
    let mut query = SubscriptionsQuery::default();
    loop {
        let asked_at = state.clock.now();
        let page = billing.client.list_subscriptions(&query).await?;
        billing.answered();
        for it in &page.unreadable {
            tracing::warn!(subscription = it.id, path = it.path, error = it.error, "a subscription cannot be read");
        }
        let mut listed = Vec::with_capacity(page.items.len());
        for it in &page.items {
            match reading::base(it) {
                Ok(base) => listed.push(whole(state, billing, it, base).await?),
                Err(error) => tracing::warn!(subscription = it.id, error, "a subscription cannot be read"),
            }
        }
        let mut write = state.store.write_beside().await?;
        for (subscription, whole) in &listed {
            keep(&mut write, subscription, *whole, asked_at).await?;
        }
        write.commit().await.map_err(StoreError::from)?;
        let stuck = page.last_id == query.starting_after;
        query.starting_after = page.last_id;
        if !page.has_more || stuck {
            return Ok(());
        }
    }
}

/// With what a list does not say, where access depends on it; and whether that was read.
async fn whole(
    state: &State,
    billing: &Billing,
    it: &shapes::Subscription,
    mut base: StripeSubscription,
) -> Result<(StripeSubscription, bool), WorkError> {
    let owing = matches!(base.status.known(), Some(SubscriptionStatus::PastDue | SubscriptionStatus::Unpaid));
    if owing {
        let mut read = state.store.read().await?;
        let before = subscriptions::get(&mut read, &base.id).await?;
        drop(read);
        if let Some(error) = reading::complete(&billing.client, it, &mut base, before.as_ref()).await? {
            worker::lacking(billing, &error, &base.customer, state.clock.now());
        }
    }
    Ok((base, owing))
}

/// Keeps a subscription that was listed. What the list does not say of it stays as it was read before.
async fn keep(
    write: &mut Connection,
    listed: &StripeSubscription,
    whole: bool,
    asked_at: Timestamp,
) -> Result<(), StoreError> {
    let mut subscription = listed.clone();
    let before = subscriptions::get(write, &listed.id).await?;
    if let Some(before) = before.filter(|_| !whole) {
        reading::keep_reversals(&mut subscription, Some(&before));
        let same = |it: &paywall_domain::billing::Invoice| {
            listed.latest_invoice.as_ref().is_some_and(|listed| listed.id == it.id)
        };
        if before.latest_invoice.as_ref().is_some_and(same) {
            subscription.latest_invoice = before.latest_invoice;
        }
    }
    let mut owners = subscriptions::tenants_of_customer(write, &listed.customer).await?;
    if let Some(sold) = &listed.tenant
        && tenants::get(write, sold).await?.is_some()
    {
        owners.insert(sold.clone());
    }
    subscriptions::keep_listed(write, &subscription, subscriptions::owner_of(listed, &owners), asked_at).await
}

/// Subscriptions that are kept and were not listed: their customers are looked at before anything is compared.
async fn vanished(state: &State, billing: &Billing, begun: Timestamp) -> Result<(), WorkError> {
    let mut read = state.store.read().await?;
    let customers = subscriptions::not_read_since(&mut read, begun).await?;
    drop(read);
    for customer in customers {
        Box::pin(look_now(state, billing, &customer)).await?;
    }
    Ok(())
}

/// Lets a customer be looked at, without an event.
pub(crate) async fn look_at(state: &State, billing: &Billing, customer: &str) -> Result<String, StoreError> {
    let now = state.clock.now();
    let id = format!("look_{}", state.store.next_id(now));
    let told = Told {
        id: id.clone(),
        kind: "look".to_owned(),
        object: customer.to_owned(),
        subject: customer.to_owned(),
        of_customer: true,
        created: now,
        api_version: None,
        livemode: billing.settings.mode == paywall_domain::billing::StripeMode::Live,
        source: Source::Look,
        work: Work::Due,
    };
    state.store.take_event(&told, now).await?;
    billing.wake();
    Ok(id)
}

/// Compares every tenant that Stripe may have a say in.
async fn compare_tenants(state: &State, billing: &Billing) -> Result<(), WorkError> {
    let mut after = String::new();
    loop {
        let now = state.clock.now();
        let mut read = state.store.read().await?;
        let prices = PriceBook::of(&plans::all(&mut read).await?.into_list());
        let policy = BillingPolicy { prices, ..billing.policy() };
        let ids = subscriptions::billed_tenants(&mut read, &after, PAGE).await?;
        let Some(last) = ids.last() else { return Ok(()) };
        last.as_str().clone_into(&mut after);
        let mut found = Vec::new();
        for id in &ids {
            let seen = compare_one(&mut read, id, &policy, now).await?;
            if !seen.is_empty() || drifts::any_of(&mut read, id).await? {
                found.push((id, seen));
            }
        }
        drop(read);
        if found.is_empty() {
            continue;
        }
        let mut write = state.store.write_beside().await?;
        for (id, seen) in &found {
            drifts::record(&mut write, drifts::Scope::Tenant(id), seen, now).await?;
        }
        write.commit().await.map_err(StoreError::from)?;
        let blocked = found.iter().flat_map(|(_, seen)| seen).filter(|it| it.kind() == DriftKind::PaidButBlocked);
        let customers: BTreeSet<String> = blocked.filter_map(|it| it.customer.clone()).collect();
        for customer in customers {
            look_at(state, billing, &customer).await?;
        }
    }
}

/// What differs of one tenant, by what is kept of both sides.
pub(crate) async fn compare_one(
    connection: &mut Connection,
    tenant: &TenantId,
    policy: &BillingPolicy,
    now: Timestamp,
) -> Result<Vec<Drift>, StoreError> {
    let Some(row) = tenants::get(connection, tenant).await? else { return Ok(Vec::new()) };
    let row = rolled(connection, row, now).await?;
    let stripe = subscriptions::of_tenant(connection, &row.id, row.stripe_customer.as_deref()).await?;
    let side = subscriptions::side(connection, &row).await?;
    Ok(compare(&side, &stripe, policy, now))
}

/// Whether what was asked for is still to come.
pub(crate) async fn is_due(state: &State, id: &str) -> Result<bool, StoreError> {
    let mut read = state.store.read().await?;
    inbox::is_due(&mut read, id, state.clock.now()).await
}
