//! Tenants in memory, as fresh as the store: what a decision is made from without asking the store.
//!
//! A tenant is read when it is first asked for, and forgotten as soon as the feed tells of a change of it
//! ([`Store::changes_watch`](crate::store::Store::changes_watch)): at once where this server made it, within a
//! second where another did. While the store is away, what was last known holds: whoever is active changes all
//! the time, and so was forgotten just now.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::future::Cache;
use paywall_contract::Snapshot;
use paywall_domain::{Plan, TenantId, Timestamp};
use tokio::sync::Semaphore;

use super::Untellable;
use super::follow::Forgets;
use crate::patience::within_turns;
use crate::server::State;
use crate::store::{Plans, StoreError, TenantRow};

/// Tenants that are kept; some kilobytes each.
const MANY: u64 = 100_000;

/// How long a note of a change is kept for a reading that began before it. A reading does not take so long.
const NOTED: Duration = Duration::from_secs(120);

/// How long it takes to look again after the store did not answer.
const PAUSE: Duration = Duration::from_millis(500);

/// How long what was read anew is as good as read again.
const FRESH: Duration = Duration::from_millis(50);

/// How long a request waits for the store, where something is known to go on with.
const KNOWN_PATIENCE: Duration = Duration::from_millis(200);

/// How long it waits where nothing is known, while the store answers nobody.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often it waits so long while the store answers others: at a cold start everybody asks at once.
const TURNS: u32 = 10;

/// How many tenants are read at a time. The others stand in a line here, and not at the store's connections, where
/// it would look as if that were away.
const AT_ONCE: usize = 4;

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

    /// Its facts, and what derives from them at `now`.
    pub(crate) fn snapshot(&self, now: Timestamp) -> Snapshot {
        self.row.snapshot(&self.row.facts, &self.plans, now)
    }

    /// The tenant's own plan, whichever is in force.
    pub(crate) fn own_plan(&self) -> Option<&Plan> {
        self.plans.get(&self.row.facts.plan)
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
    /// What was read anew just now: once, however many want it.
    fresh: Cache<TenantId, Option<Arc<Standing>>>,
    /// What was last read of a tenant, forgotten or not: for while the store is away.
    last: Cache<TenantId, Arc<Standing>>,
    /// Until when the store is not asked, since it did not answer.
    away: Mutex<Option<Instant>>,
    line: Semaphore,
    /// How often the store answered.
    answered: AtomicU64,
}

impl Standings {
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self {
            state,
            known: Cache::builder().max_capacity(MANY).build(),
            changed: Cache::builder().max_capacity(MANY).time_to_live(NOTED).build(),
            fresh: Cache::builder().max_capacity(MANY).time_to_live(FRESH).build(),
            last: Cache::builder().max_capacity(MANY).build(),
            away: Mutex::default(),
            line: Semaphore::new(AT_ONCE),
            answered: AtomicU64::new(0),
        }
    }

    /// Whether the store did not answer just now.
    pub(crate) fn is_away(&self) -> bool {
        self.away.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| Instant::now() < until)
    }

    /// A tenant; `None` where there is none such.
    pub(crate) async fn get(&self, tenant: &TenantId) -> Result<Option<Arc<Standing>>, Untellable> {
        if let Some(Some(known)) = self.known.get(tenant).await
            && self.is_current(tenant, &known).await
        {
            return Ok(Some(known));
        }
        let last = self.last.get(tenant).await;
        let (patience, turns) = if last.is_some() { (KNOWN_PATIENCE, 1) } else { (PATIENCE, TURNS) };
        match self.in_time(patience, turns, Box::pin(self.current(tenant))).await {
            Err(Untellable) if last.is_some() => Ok(last),
            read => read,
        }
    }

    /// A tenant as it is now, for callers that waited for the same thing to be written.
    pub(crate) async fn fresh(&self, tenant: &TenantId) -> Result<Option<Arc<Standing>>, Untellable> {
        let read = self.fresh.try_get_with(tenant.clone(), Box::pin(self.read(tenant)));
        let read = self.in_time(PATIENCE, TURNS, async { read.await.map_err(|_| Untellable) }).await?;
        match &read {
            Some(_) => self.known.insert(tenant.clone(), read.clone()).await,
            None => self.known.invalidate(tenant).await,
        }
        Ok(read)
    }

    /// What the store answers in time. Where it answers nobody, nobody asks it for a while.
    async fn in_time<T>(
        &self,
        patience: Duration,
        turns: u32,
        work: impl Future<Output = Result<T, Untellable>>,
    ) -> Result<T, Untellable> {
        let asked = !self.is_away();
        // What is in memory takes no time, whether the store is away or not.
        let patience = if asked { patience } else { Duration::ZERO };
        let answered = || self.answered.load(Ordering::Relaxed);
        let before = answered();
        let done = within_turns(patience, turns, answered, work).await.unwrap_or(Err(Untellable));
        if done.is_err() && asked && answered() == before {
            *self.away.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + PAUSE);
        }
        done
    }

    /// Whether it did not change while it was read, as far as that is known.
    async fn is_current(&self, tenant: &TenantId, standing: &Standing) -> bool {
        self.changed.get(tenant).await.is_none_or(|at| standing.read_at >= at)
    }

    async fn current(&self, tenant: &TenantId) -> Result<Option<Arc<Standing>>, Untellable> {
        let mut newest = None;
        for _ in 0..3 {
            let read = self.known.try_get_with(tenant.clone(), Box::pin(self.read(tenant))).await;
            let read = read.map_err(|_| Untellable)?;
            let Some(standing) = read else {
                // Whoever is not known yet may come at any moment.
                self.known.invalidate(tenant).await;
                return Ok(None);
            };
            if self.is_current(tenant, &standing).await {
                return Ok(Some(standing));
            }
            self.known.invalidate(tenant).await;
            newest = Some(standing);
        }
        // It changes faster than it can be read.
        Ok(newest)
    }

    async fn read(&self, tenant: &TenantId) -> Result<Option<Arc<Standing>>, StoreError> {
        // It is never closed.
        let _turn = self.line.acquire().await;
        let read = self.read_now(tenant).await;
        if read.is_ok() {
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
        read
    }

    async fn read_now(&self, tenant: &TenantId) -> Result<Option<Arc<Standing>>, StoreError> {
        let store = &self.state.store;
        let mut read = store.read().await?;
        let read_at = crate::store::changes::last(&mut read).await?;
        let row = crate::store::tenants::get(&mut read, tenant).await?.filter(|row| row.deleted_at.is_none());
        let Some(row) = row else {
            self.last.invalidate(tenant).await;
            return Ok(None);
        };
        let plans = crate::store::plans::all(&mut read).await?;
        let standing = Arc::new(Standing { row, plans, read_at });
        self.last.insert(tenant.clone(), Arc::clone(&standing)).await;
        Ok(Some(standing))
    }
}

impl Forgets for Standings {
    async fn forget_after(&self, place: Option<i64>, last: i64) -> Result<(), StoreError> {
        let Some(mut place) = place.filter(|it| *it <= last) else {
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
