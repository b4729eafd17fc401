//! Tenants in memory, as fresh as the store: what a decision is made from without asking the store.
//!
//! A tenant is read when it is first asked for, and forgotten as soon as the feed tells of a change of it
//! ([`Store::changes_watch`](crate::store::Store::changes_watch)): at once where this server made it, within a
//! second where another did. While the store is away, what is known stays.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use paywall_domain::{Plan, TenantId, Timestamp};
use tokio_util::sync::CancellationToken;

use super::Untellable;
use crate::server::State;
use crate::store::{Plans, StoreError, TenantRow};

/// Tenants that are kept; some kilobytes each.
const MANY: u64 = 100_000;

/// How long a note of a change is kept for a reading that began before it. A reading does not take so long.
const NOTED: Duration = Duration::from_secs(120);

/// How long it takes to look again after the store did not answer.
const PAUSE: Duration = Duration::from_millis(500);

/// Changes read at a time.
const PAGE: i64 = 1_000;

/// A tenant with its plans.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) row: TenantRow,
    plans: Plans,
    /// How far the history was when this was read.
    read_at: i64,
}

impl Standing {
    /// The plan in force at `now`.
    pub(crate) fn plan(&self, now: Timestamp) -> Plan {
        self.plans.in_force(&self.row.facts, now)
    }

    /// Every plan, in the order in which people read them.
    pub(crate) fn plans(&self) -> Vec<Plan> {
        self.plans.clone().into_list()
    }
}

/// Tenants by id.
pub(crate) struct Standings {
    state: Arc<State>,
    known: Cache<TenantId, Option<Arc<Standing>>>,
    /// Up to which place a tenant was changed lately.
    changed: Cache<TenantId, i64>,
}

impl Standings {
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self {
            state,
            known: Cache::builder().max_capacity(MANY).build(),
            changed: Cache::builder().max_capacity(MANY).time_to_live(NOTED).build(),
        }
    }

    /// A tenant; `None` where there is none such.
    pub(crate) async fn get(&self, tenant: &TenantId) -> Result<Option<Arc<Standing>>, Untellable> {
        for _ in 0..3 {
            let read = self.known.try_get_with(tenant.clone(), self.read(tenant)).await.map_err(|_| Untellable)?;
            let Some(standing) = read else {
                // Whoever is not known yet may come at any moment.
                self.known.invalidate(tenant).await;
                return Ok(None);
            };
            match self.changed.get(tenant).await {
                // It changed while it was read.
                Some(at) if standing.read_at < at => self.known.invalidate(tenant).await,
                _ => return Ok(Some(standing)),
            }
        }
        Err(Untellable)
    }

    /// Has a tenant read again.
    pub(crate) async fn forget(&self, tenant: &TenantId) {
        self.known.invalidate(tenant).await;
    }

    async fn read(&self, tenant: &TenantId) -> Result<Option<Arc<Standing>>, StoreError> {
        let store = &self.state.store;
        let mut read = store.read().await?;
        let read_at = crate::store::changes::last(&mut read).await?;
        let Some(row) = crate::store::tenants::get(&mut read, tenant).await? else { return Ok(None) };
        if row.deleted_at.is_some() {
            return Ok(None);
        }
        let plans = crate::store::plans::all(&mut read).await?;
        Ok(Some(Arc::new(Standing { row, plans, read_at })))
    }

    /// Forgets what changes, until `stop` is cancelled.
    pub(crate) async fn follow(&self, stop: CancellationToken) {
        let mut news = self.state.store.changes_watch();
        let mut place: Option<i64> = None;
        loop {
            let last = *news.borrow_and_update();
            match self.forget_after(place, last).await {
                Ok(()) => place = Some(last),
                Err(_) => {
                    // Nothing was missed: the place stays.
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(PAUSE) => continue,
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                changed = news.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn forget_after(&self, place: Option<i64>, last: i64) -> Result<(), StoreError> {
        let Some(mut place) = place.filter(|it| *it <= last) else {
            // The beginning, or a database that was put back from a backup.
            self.known.invalidate_all();
            return Ok(());
        };
        while place < last {
            let mut read = self.state.store.read().await?;
            if crate::store::changes::plans_after(&mut read, place).await? {
                self.known.invalidate_all();
                return Ok(());
            }
            let page = crate::store::changes::tenants_after(&mut read, place, PAGE).await?;
            let full = page.len() as i64 == PAGE;
            for (id, seq) in page {
                self.changed.insert(id.clone(), seq).await;
                self.known.invalidate(&id).await;
                place = seq;
            }
            if !full {
                return Ok(());
            }
        }
        Ok(())
    }
}
