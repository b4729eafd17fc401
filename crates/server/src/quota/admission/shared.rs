//! What callers and the task share: allotments by tenant, and the queue of what is to be said to the store.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use paywall_domain::TenantId;
use tokio::sync::{Notify, oneshot, watch};

use super::super::allotment::{Allotment, Due};
use super::{AllotmentKey, Counter, CountingPeriod, Dry, Receipt, Reservation, Settings, Unavailable};
use crate::metering::UsageEvent;

/// So many locks share the tenants among them.
const SHARDS: usize = 64;

/// What a waiting caller is sent.
#[derive(Debug)]
pub(super) enum Answered {
    /// A guard, so that a caller that is gone gives the units back by not being there.
    Passed(Reservation),
    Refused(Dry),
}

pub(super) type Caller = oneshot::Sender<Answered>;

/// Units of one counter, and the lease that they belong to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) epoch: u64,
    pub(super) units: i64,
}

pub(super) type Parts = [Option<Part>; 3];

/// An event to be written, and the units that it settles.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) place: u64,
    pub(super) event: UsageEvent,
    pub(super) parts: Parts,
}

/// One tenant's allotments in one period.
#[derive(Debug)]
pub(super) struct Slot {
    serial: u64,
    period: CountingPeriod,
    allotments: [Option<Allotment<Caller>>; 3],
    queued: [bool; 3],
    withheld: [Option<Dry>; 3],
}

impl Slot {
    fn new(serial: u64, period: CountingPeriod) -> Self {
        Self { serial, period, allotments: [None, None, None], queued: [false; 3], withheld: [None; 3] }
    }

    pub(super) fn allotment(&mut self, counter: Counter, limit: i64, now: Duration) -> &mut Allotment<Caller> {
        self.allotments[counter.index()].get_or_insert_with(|| Allotment::new(self.serial, limit, now))
    }

    pub(super) fn get(&mut self, counter: Counter) -> Option<&mut Allotment<Caller>> {
        self.allotments[counter.index()].as_mut()
    }

    /// Notes what the store last said of units that others hold.
    pub(super) fn set_withheld(&mut self, counter: Counter, dry: Option<Dry>) {
        self.withheld[counter.index()] = dry;
    }

    pub(super) fn withheld(&self, counter: Counter, limit: i64) -> Option<Dry> {
        self.withheld[counter.index()].filter(|dry| dry.limit == limit)
    }

    /// The task took the allotment off the queue.
    pub(super) fn unqueue(&mut self, counter: Counter) {
        self.queued[counter.index()] = false;
    }

    /// Queues what has something to say to the store now, and wakes the task.
    pub(super) fn queue_due(&mut self, shared: &Shared, tenant: &TenantId, now: Duration) {
        for counter in Counter::ALL {
            let due = |it: &Allotment<Caller>| it.due(now) == Due::Now;
            if self.allotments[counter.index()].as_ref().is_some_and(due) {
                self.queue(shared, tenant, counter);
                shared.wake.notify_one();
            }
        }
    }

    fn queue(&mut self, shared: &Shared, tenant: &TenantId, counter: Counter) {
        let queued = &mut self.queued[counter.index()];
        if !std::mem::replace(queued, true) {
            let key = AllotmentKey { tenant: tenant.clone(), counter, period: self.period };
            lock(&shared.queue).due.push(key);
        }
    }

    fn empty(&self) -> bool {
        self.allotments.iter().flatten().all(Allotment::empty)
    }
}

/// What is to be said to the store.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) events: VecDeque<Pending>,
    pub(super) due: Vec<AllotmentKey>,
    last_place: u64,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    origin: Instant,
    hasher: RandomState,
    shards: Vec<Mutex<HashMap<TenantId, Vec<Slot>>>>,
    pub(super) queue: Mutex<Queue>,
    pub(super) wake: Notify,
    pub(super) committed: watch::Sender<u64>,
    serials: AtomicU64,
    answers: AtomicU64,
    down: AtomicBool,
    closing: AtomicBool,
    full: AtomicBool,
    /// Callers that had to wait for the store.
    waits: AtomicU64,
}

/// A panic elsewhere left the numbers as they are between two statements that cannot panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            origin: Instant::now(),
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            queue: Mutex::default(),
            wake: Notify::new(),
            committed: watch::Sender::new(0),
            serials: AtomicU64::new(0),
            answers: AtomicU64::new(0),
            down: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            full: AtomicBool::new(false),
            waits: AtomicU64::new(0),
        }
    }

    pub(super) fn count_wait(&self) {
        self.waits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn waits(&self) -> u64 {
        self.waits.load(Ordering::Relaxed)
    }

    /// Since this began, by a clock that never goes back.
    pub(super) fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Why nothing is admitted, if nothing is.
    pub(super) fn blocked(&self) -> Option<Unavailable> {
        if self.closing() {
            Some(Unavailable::Stopping)
        } else if self.full.load(Ordering::Relaxed) {
            Some(Unavailable::SpoolFull)
        } else {
            None
        }
    }

    pub(super) fn down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    pub(super) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::Relaxed);
    }

    /// How often the store has answered.
    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    pub(super) fn answered(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.wake.notify_one();
    }

    pub(super) fn spooled(&self) -> usize {
        lock(&self.queue).events.len()
    }

    fn shard(&self, tenant: &TenantId) -> &Mutex<HashMap<TenantId, Vec<Slot>>> {
        &self.shards[self.hasher.hash_one(tenant) as usize % SHARDS]
    }

    /// Works on a tenant's allotments in a period, which are made where they are not there yet.
    pub(super) fn with_slot<T>(
        &self,
        tenant: &TenantId,
        period: CountingPeriod,
        work: impl FnOnce(&mut Slot) -> T,
    ) -> T {
        let mut shard = lock(self.shard(tenant));
        if !shard.contains_key(tenant) {
            shard.insert(tenant.clone(), Vec::with_capacity(1));
        }
        let Some(slots) = shard.get_mut(tenant) else { unreachable!("it was put there just now") };
        let at = slots.iter().position(|slot| slot.period == period).unwrap_or_else(|| {
            slots.push(Slot::new(self.serials.fetch_add(1, Ordering::Relaxed), period));
            slots.len() - 1
        });
        work(&mut slots[at])
    }

    /// Takes an event to be written, and the units that it settles.
    pub(super) fn record(&self, event: UsageEvent, parts: Parts) -> Receipt {
        let committed = self.committed.subscribe();
        if event.amounts.is_none() {
            // Nothing was used, so there is nothing to count: what was set aside is given back at once.
            self.give_back(&event.tenant, event.period, &parts);
            return Receipt { place: 0, committed };
        }
        let mut queue = lock(&self.queue);
        queue.last_place += 1;
        let place = queue.last_place;
        queue.events.push_back(Pending { place, event, parts });
        self.full.store(queue.events.len() >= self.settings.spool, Ordering::Relaxed);
        drop(queue);
        self.wake.notify_one();
        Receipt { place, committed }
    }

    /// Takes up to `most` events off the queue, and all that is due.
    pub(super) fn take(&self, most: usize) -> (Vec<Pending>, Vec<AllotmentKey>) {
        let mut queue = lock(&self.queue);
        let count = queue.events.len().min(most);
        let events = queue.events.drain(..count).collect();
        self.full.store(queue.events.len() >= self.settings.spool, Ordering::Relaxed);
        (events, std::mem::take(&mut queue.due))
    }

    pub(super) fn give_back(&self, tenant: &TenantId, period: CountingPeriod, parts: &Parts) {
        if parts.iter().all(Option::is_none) {
            return;
        }
        self.with_slot(tenant, period, |slot| {
            for (counter, part) in Counter::ALL.into_iter().zip(parts) {
                let (Some(part), Some(allotment)) = (part, slot.get(counter)) else { continue };
                allotment.give_back(part.epoch, part.units);
                // Looked at soon: what is not asked for again has to be returned some time.
                slot.queue(self, tenant, counter);
            }
        });
    }

    /// Forgets tenants of whom nothing is held; answers whether any is left.
    pub(super) fn sweep(&self) -> bool {
        let mut any = false;
        for shard in &self.shards {
            let mut shard = lock(shard);
            shard.retain(|_, slots| {
                slots.retain(|slot| !slot.empty() || slot.queued.contains(&true));
                !slots.is_empty()
            });
            any |= !shard.is_empty();
        }
        any
    }

    /// Every allotment that is not empty.
    pub(super) fn held(&self) -> Vec<AllotmentKey> {
        let mut keys = Vec::new();
        for shard in &self.shards {
            for (tenant, slots) in &*lock(shard) {
                for slot in slots {
                    for counter in Counter::ALL {
                        if slot.allotments[counter.index()].as_ref().is_some_and(|it| !it.empty()) {
                            keys.push(AllotmentKey { tenant: tenant.clone(), counter, period: slot.period });
                        }
                    }
                }
            }
        }
        keys
    }
}
