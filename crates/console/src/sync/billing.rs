//! How billing is, and what of it needs somebody. Beside the server's feed: nothing that is read from that
//! depends on this.

use std::sync::atomic::Ordering;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use paywall_contract::{BillingHealth, ConversionsQuery, DriftsQuery, InboxQuery, InboxState, Page, StripeConnection};
use paywall_domain::Timestamp;

use super::Shared;
use crate::admin_client::{AdminClient, AdminError};
use crate::cache::{BILLING, BillingKept, BillingLists, CacheError};
use crate::ipc::{Failure, FailureCode, Source};

/// Rows per page.
const PAGE: u32 = 500;
/// Rows of one list that are read at most: nobody looks through more, and the health counts them all.
const MOST_ROWS: usize = 10_000;
/// How old the lists may become while the health counts the same in them.
const LISTS_AGE_MS: i64 = 60_000;

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
    let lists = match &health {
        // Nothing is listed where nobody bills.
        None | Some(BillingHealth { stripe: StripeConnection::NotConfigured, .. }) => Some(BillingLists::default()),
        Some(health) if asked || due(before.as_ref(), health) => Some(lists(client, health).await?),
        Some(_) => None,
    };
    let lists_at = match (&lists, &before) {
        (None, Some(before)) => before.lists_at,
        _ => as_of,
    };
    let kept = BillingKept { health, as_of, lists_at };
    let rows_changed = shared.cache.apply_billing(&kept, lists.as_ref()).await?;
    let news = before.is_none_or(|before| lasting(&before) != lasting(&kept));
    Ok(rows_changed || news || failed)
}

/// Whether the lists have to be read again.
fn due(before: Option<&BillingKept>, health: &BillingHealth) -> bool {
    let Some(before) = before else { return true };
    let Some(known) = &before.health else { return true };
    let counts = |it: &BillingHealth| {
        let drifts: Vec<_> = it.drifts.iter().map(|it| (it.kind, it.count, it.oldest_since)).collect();
        (drifts, it.inbox.parked, it.inbox.failed, it.stuck.clone())
    };
    let any = !health.drifts.is_empty()
        || health.inbox.parked + health.inbox.failed > 0
        || health.stuck.checkout_open + health.stuck.paid_not_unblocked > 0;
    counts(known) != counts(health) || (any && health.as_of.ms_since(before.lists_at) >= LISTS_AGE_MS)
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
        lists.drifts = whole(&page).await?;
    }
    for (state, count) in [(InboxState::Parked, health.inbox.parked), (InboxState::Failed, health.inbox.failed)] {
        if count > 0 {
            let page = |cursor| {
                let query = InboxQuery { state: Some(state), cursor, limit };
                async move { client.billing_events(&query).await }.boxed()
            };
            lists.events.extend(whole(&page).await?);
        }
    }
    if health.stuck.checkout_open + health.stuck.paid_not_unblocked > 0 {
        let page = |cursor| async move { client.conversions(&ConversionsQuery { cursor, limit }).await }.boxed();
        lists.conversions = whole(&page).await?;
    }
    Ok(lists)
}

/// A page of a list that begins at a place.
type NextPage<'a, T> = dyn Fn(Option<String>) -> BoxFuture<'a, Result<Page<T>, AdminError>> + Sync + 'a;

/// Every row of a list, page by page, up to the most that are kept.
async fn whole<T>(page: &NextPage<'_, T>) -> Result<Vec<T>, AdminError> {
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
        cursor = found.next;
        if cursor.is_none() || rows.len() >= MOST_ROWS {
            rows.truncate(MOST_ROWS);
            return Ok(rows);
        }
    }
}
