//! How billing is, and what of it needs somebody. Beside the server's feed: nothing that is read from that
//! depends on this.

use std::sync::atomic::Ordering;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use paywall_contract::{BillingHealth, ConversionsQuery, DriftsQuery, InboxQuery, InboxState, StripeConnection};
use paywall_domain::Timestamp;

use super::Shared;
use crate::admin_client::{AdminClient, AdminError, KnownRows};
use crate::cache::{BILLING, BillingKept, BillingLists, CacheError};
use crate::ipc::{Failure, FailureCode, Source};

/// Rows per page.
const PAGE: u32 = 500;
/// Rows of one list that are read at most: nobody looks through more, and the health counts them all.
const MOST_ROWS: usize = 10_000;
/// How old the lists may become while the health counts the same in them.
const LISTS_AGE_MS: i64 = 60_000;

/// How long an event may wait for its turn before somebody should look.
const STALLED_MS: i64 = 10 * 60_000;
/// When lists were last read of which there was no whole reading since the health counts what it does.
const NEVER: Timestamp = Timestamp(0);

/// Asks the server, and keeps what it says. One that does not answer that is no failure of the server: what it
/// said before keeps its age, and the screen says why it was not read.
pub(super) async fn ask(shared: &Shared, client: &AdminClient) -> Result<(), CacheError> {
    match read(shared, client).await {
        Ok(changed) => {
            if changed {
                shared.status.data_changed();
            }
            Ok(())
        }
        Err(Trouble::Cache(error)) => Err(error),
        // A server that is not reached is told of by its feed.
        Err(Trouble::Server(error)) if error.not_reached() => Ok(()),
        Err(Trouble::Server(error)) => {
            tracing::debug!(error = %error.failure.detail, "the server did not say how billing is");
            let known = shared.cache.stream_state(Source::Server, BILLING).await?.last_failure;
            shared.cache.set_stream_failure(Source::Server, BILLING, &error.failure).await?;
            if known.is_none_or(|known| known.code != error.failure.code) {
                shared.status.data_changed();
            }
            Ok(())
        }
    }
}

/// Why a reading ended early.
enum Trouble {
    Server(AdminError),
    Cache(CacheError),
}

impl From<AdminError> for Trouble {
    fn from(error: AdminError) -> Self {
        Self::Server(error)
    }
}

impl From<CacheError> for Trouble {
    fn from(error: CacheError) -> Self {
        Self::Cache(error)
    }
}

/// Whether anything that screens show changed, but for instants that go on by themselves.
async fn read(shared: &Shared, client: &AdminClient) -> Result<bool, Trouble> {
    let asked = shared.billing_asked.swap(false, Ordering::SeqCst);
    let before = shared.cache.billing_kept().await?;
    let failed = shared.cache.stream_state(Source::Server, BILLING).await?.last_failure.is_some();
    let health = client.billing().await?;
    let as_of = health.as_ref().map_or_else(|| shared.status.now(), |it| it.as_of);
    let mut kept = BillingKept {
        lists_at: before.as_ref().map_or(NEVER, |it| it.lists_at),
        unknown: before.as_ref().map_or(0, |it| it.unknown),
        health,
        as_of,
    };
    let lists = match &kept.health {
        // Nothing is listed where nobody bills.
        Some(BillingHealth { stripe: StripeConnection::NotConfigured, .. }) => Some(BillingLists::default()),
        Some(health) if asked || due(before.as_ref(), health) => {
            match lists(client, health).await {
                Ok(lists) => Some(lists),
                Err(error) => {
                    // How billing is counts also where a list behind it cannot be read; that is then tried again.
                    shared.cache.apply_billing(&BillingKept { lists_at: NEVER, ..kept }, None).await?;
                    return Err(error.into());
                }
            }
        }
        // Where the server does not say how billing is, what was listed stays for when it does again; no screen shows
        // it until then.
        None | Some(_) => None,
    };
    if let Some(lists) = &lists {
        (kept.lists_at, kept.unknown) = (as_of, lists.unknown);
    }
    let rows_changed = shared.cache.apply_billing(&kept, lists.as_ref()).await?;
    let news = before.is_none_or(|before| lasting(&before) != lasting(&kept));
    Ok(rows_changed || news || failed)
}

/// Whether the lists have to be read again.
fn due(before: Option<&BillingKept>, health: &BillingHealth) -> bool {
    let Some(before) = before.filter(|it| it.lists_at != NEVER) else { return true };
    let Some(known) = &before.health else { return true };
    let counts = |it: &BillingHealth| {
        let drifts: Vec<_> = it.drifts.iter().map(|it| (it.kind, it.count, it.oldest_since)).collect();
        (drifts, it.inbox.parked, it.inbox.failed, it.stuck.clone(), stalled(it))
    };
    let any = !health.drifts.is_empty()
        || stalled(health)
        || health.inbox.parked + health.inbox.failed > 0
        || health.stuck.checkout_open + health.stuck.paid_not_unblocked > 0;
    counts(known) != counts(health) || (any && health.as_of.ms_since(before.lists_at) >= LISTS_AGE_MS)
}

/// Whether events wait for longer than their turn takes.
fn stalled(health: &BillingHealth) -> bool {
    health.inbox.oldest_pending_at.is_some_and(|at| health.as_of.ms_since(at) > STALLED_MS)
}

/// What is news, as opposed to instants that go on with every answer.
fn lasting(kept: &BillingKept) -> Option<BillingHealth> {
    let mut health = kept.health.clone()?;
    health.as_of = Timestamp(0);
    Some(health)
}

/// Every list, whole. Those that the health says are empty are not asked for.
async fn lists(client: &AdminClient, health: &BillingHealth) -> Result<BillingLists, AdminError> {
    let limit = Some(PAGE);
    let mut lists = BillingLists::default();
    if !health.drifts.is_empty() {
        let page = |cursor| async move { client.drifts(&DriftsQuery { cursor, limit, kind: None }).await }.boxed();
        lists.drifts = whole(&page, &mut lists.unknown).await?;
    }
    // Those that only wait for their turn need nobody, unless it does not come.
    let waiting = if stalled(health) { health.inbox.pending } else { 0 };
    for (state, count) in [
        (InboxState::Pending, waiting),
        (InboxState::Parked, health.inbox.parked),
        (InboxState::Failed, health.inbox.failed),
    ] {
        if count > 0 {
            let page = |cursor| {
                let query = InboxQuery { state: Some(state), cursor, limit, ..InboxQuery::default() };
                async move { client.billing_events(&query).await }.boxed()
            };
            let found = whole(&page, &mut lists.unknown).await?;
            lists.events.extend(found.into_iter().filter(|it| it.state == state));
        }
    }
    if health.stuck.checkout_open + health.stuck.paid_not_unblocked > 0 {
        let page = |cursor| async move { client.conversions(&ConversionsQuery { cursor, limit }).await }.boxed();
        lists.conversions = whole(&page, &mut lists.unknown).await?;
    }
    Ok(lists)
}

/// A page of a list that begins at a place.
type NextPage<'a, T> = dyn Fn(Option<String>) -> BoxFuture<'a, Result<KnownRows<T>, AdminError>> + Sync + 'a;

/// Every row of a list, page by page, up to the most that are kept. Those that this version does not know are
/// counted.
async fn whole<T>(page: &NextPage<'_, T>, unknown: &mut i64) -> Result<Vec<T>, AdminError> {
    let mut rows = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let found = page(cursor.clone()).await?;
        if found.next.is_some() && found.next == cursor {
            return Err(AdminError {
                failure: Failure::of(FailureCode::ServerFault, "a list of billing does not move on"),
                retry_after: None,
                may_have_been_made: false,
            });
        }
        rows.extend(found.items);
        *unknown += found.unknown as i64;
        cursor = found.next;
        if cursor.is_none() || rows.len() >= MOST_ROWS {
            rows.truncate(MOST_ROWS);
            return Ok(rows);
        }
    }
}
