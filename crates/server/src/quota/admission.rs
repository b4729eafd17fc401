//! Admission on one replica: callers reserve and settle, one task talks with the store.

mod shared;
mod task;

use std::sync::Arc;
use std::time::Duration;

use paywall_domain::{Limit, Meter, TenantId, Timestamp};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use self::shared::{Answered, Part, Parts, Shared};
use super::allotment::{Demand, Pass, Verdict};
use super::{AllotmentKey, Counter, CountingPeriod, Dry, LeaseStore};
use crate::metering::UsageEvent;
use crate::patience::Patience;

/// How admission and the writing of events behave.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How long a caller waits for the store while it answers nobody.
    pub patience: Duration,
    /// How long events wait for others to be written with them, while nobody waits for an answer.
    pub linger: Duration,
    /// Events in one transaction.
    pub batch: usize,
    /// Events kept in memory while the store is away. Beyond it nothing is admitted.
    pub spool: usize,
    /// How long the store may take for one transaction.
    pub commit_timeout: Duration,
    /// The longest pause between attempts to reach the store.
    pub longest_pause: Duration,
    /// How often to look whether others want back what is not used here.
    pub poll: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(1),
            linger: Duration::from_millis(4),
            batch: 2_000,
            spool: 100_000,
            commit_timeout: Duration::from_secs(5),
            longest_pause: Duration::from_secs(2),
            poll: Duration::from_millis(100),
        }
    }
}

/// Units of one counter that a request asks for, under the limit in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// Of what.
    pub counter: Counter,
    /// How many.
    pub demand: Demand,
    /// The limit; without one nothing is reserved, and what is used is counted all the same.
    pub limit: Limit,
}

/// Nothing is left of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted {
    /// Of which.
    pub meter: Meter,
    /// How much is used.
    pub used: i64,
    /// The limit.
    pub limit: i64,
    /// When it starts from zero; `None` for a level.
    pub resets_at: Option<Timestamp>,
    /// How much of `used` another replica holds without using it, and did not return in time. Zero means that
    /// the answer is final; otherwise the same question may be answered otherwise soon.
    pub held: i64,
}

/// Why nobody can say whether something is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The store is away, or too slow.
    #[error("the store does not answer")]
    Store,
    /// So many events wait for the store that no more work is taken on.
    #[error("too many usage events wait for the store")]
    SpoolFull,
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

/// The answer to "may this tenant use so much?".
#[derive(Debug)]
pub enum Admission {
    /// It may; the units are set aside.
    Reserved(Reservation),
    /// It may not: at least these are exhausted.
    Exhausted(Vec<Exhausted>),
    /// Nobody can say: the gate's policy decides.
    Unavailable(Unavailable),
}

/// Admits from leases, and writes down what was used. Clones are the same.
#[derive(Debug, Clone)]
pub struct Quota {
    shared: Arc<Shared>,
}

impl Quota {
    /// Starts admitting over a store. The task ends after [`Quota::close`].
    pub fn start<S: LeaseStore>(store: S, settings: Settings) -> (Self, JoinHandle<()>) {
        let shared = Arc::new(Shared::new(settings));
        let task = tokio::spawn(task::run(Arc::clone(&shared), store));
        (Self { shared }, task)
    }

    /// Sets units aside, of all counters or of none. As a rule this answers at once from what this replica
    /// holds; else it waits for the store, at most [`Settings::patience`] while that answers nobody. Dropped
    /// before it answers, it leaves nothing behind.
    pub async fn reserve(&self, tenant: &TenantId, period: CountingPeriod, asks: &[Ask]) -> Admission {
        let shared = &self.shared;
        if let Some(reason) = shared.blocked() {
            return Admission::Unavailable(reason);
        }
        let (down, now) = (shared.down(), shared.now());
        let mut reservation = Reservation::new(shared, tenant, period);
        let mut refused = Vec::new();
        let mut slow = Vec::new();
        let mut waits = Vec::new();
        shared.with_slot(tenant, period, |slot| {
            for ask in asks {
                let Limit::AtMost(limit) = ask.limit else { continue };
                let allotment = slot.allotment(ask.counter, limit, now);
                match allotment.reserve(ask.demand, limit, now) {
                    Pass::Now(Verdict::Passed(units)) => {
                        reservation.add(ask.counter, Part { epoch: allotment.epoch(), units });
                    }
                    Pass::Now(Verdict::Refused(dry)) => refused.push(refusal(ask.counter, period, dry)),
                    Pass::Waits => slow.push((ask, limit)),
                }
            }
            // Who is refused already has nothing to wait for, nor has anybody while the store is away.
            if refused.is_empty() && !down {
                for (ask, limit) in &slow {
                    let (sender, receiver) = oneshot::channel();
                    slot.allotment(ask.counter, *limit, now).wait(ask.demand, sender, now);
                    waits.push((ask.counter, *limit, receiver));
                }
            }
            slot.queue_due(shared, tenant, now);
        });
        if !refused.is_empty() {
            return Admission::Exhausted(refused);
        }
        if waits.len() < slow.len() {
            return Admission::Unavailable(Unavailable::Store);
        }
        if !waits.is_empty() {
            shared.count_wait();
        }
        let (mut patience, mut answers) = (Patience::of(shared.settings.patience), shared.answers());
        for (counter, limit, mut receiver) in waits {
            let answer = loop {
                if let Some(answer) = patience.wait(&mut receiver).await {
                    break Some(answer);
                }
                // The store does answer, and others come first: it is not away.
                let now = shared.answers();
                if now == answers || shared.with_slot(tenant, period, |slot| slot.withheld(counter, limit)).is_some() {
                    break None;
                }
                (patience, answers) = (Patience::of(shared.settings.patience), now);
            };
            match answer {
                Some(Ok(Answered::Passed(part))) => reservation.absorb(part),
                Some(Ok(Answered::Refused(dry))) => refused.push(refusal(counter, period, dry)),
                Some(Err(_)) => return Admission::Unavailable(Unavailable::Store),
                None => match shared.with_slot(tenant, period, |slot| slot.withheld(counter, limit)) {
                    // The store did answer: what is left of the limit lies with others, who do not.
                    Some(dry) => refused.push(refusal(counter, period, dry)),
                    None => return Admission::Unavailable(Unavailable::Store),
                },
            }
        }
        if refused.is_empty() { Admission::Reserved(reservation) } else { Admission::Exhausted(refused) }
    }

    /// Counts what was used without a reservation: under no limit, or where the gate let a request through
    /// although nobody could say. Refused only where the spool is full, which is the caller's to decide on:
    /// to refuse the work, or to let it go uncounted.
    pub fn count(&self, event: UsageEvent) -> Result<Receipt, Unavailable> {
        match self.shared.blocked() {
            Some(reason) => Err(reason),
            None => Ok(self.shared.record(event, Parts::default())),
        }
    }

    /// Events that wait to be written.
    pub fn spooled(&self) -> usize {
        self.shared.spooled()
    }

    /// Requests that had to wait for the store so far: nothing, or not enough, was held here.
    pub fn waits(&self) -> u64 {
        self.shared.waits()
    }

    /// Whether the last attempt to reach the store failed.
    pub fn store_is_away(&self) -> bool {
        self.shared.down()
    }

    /// Admits nothing more, writes down what is settled, returns what is not used, and then lets the task
    /// end. While the store is away it goes on trying: a caller that cannot wait ends the task, and loses
    /// events whose receipts did not resolve.
    pub fn close(&self) {
        self.shared.close();
    }
}

fn refusal(counter: Counter, period: CountingPeriod, dry: Dry) -> Exhausted {
    let Dry { used, limit, held } = dry;
    Exhausted { meter: counter.meter(), used, limit, resets_at: Some(period.end), held }
}

/// Units set aside for one request. Dropped, they are given back.
#[derive(Debug)]
#[must_use = "dropped, the units are given back"]
pub struct Reservation {
    shared: Arc<Shared>,
    tenant: TenantId,
    period: CountingPeriod,
    parts: Parts,
}

impl Reservation {
    fn new(shared: &Arc<Shared>, tenant: &TenantId, period: CountingPeriod) -> Self {
        Self { shared: Arc::clone(shared), tenant: tenant.clone(), period, parts: Parts::default() }
    }

    fn add(&mut self, counter: Counter, part: Part) {
        self.parts[counter.index()] = Some(part);
    }

    fn absorb(&mut self, mut other: Self) {
        for (own, part) in self.parts.iter_mut().zip(std::mem::take(&mut other.parts)) {
            *own = own.take().or(part);
        }
    }

    /// Units set aside of one counter: of an estimate maybe fewer than asked for.
    pub fn units(&self, counter: Counter) -> i64 {
        self.parts[counter.index()].map_or(0, |part| part.units)
    }

    /// Whose they are.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The period that they count in.
    pub fn period(&self) -> CountingPeriod {
        self.period
    }

    /// Counts what was really used in place of what was set aside, be it more or less; the difference is
    /// given back, or goes beyond the limit where an answer grew longer than was left. Tenant and period are
    /// the reservation's. Does not wait; the receipt does.
    pub fn settle(mut self, mut event: UsageEvent) -> Receipt {
        let parts = std::mem::take(&mut self.parts);
        (event.tenant, event.period) = (self.tenant.clone(), self.period);
        self.shared.record(event, parts)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.parts.iter().any(Option::is_some) {
            self.shared.give_back(&self.tenant, self.period, &self.parts);
        }
    }
}

/// Resolves once an event is durable. Dropping it changes nothing.
#[derive(Debug)]
pub struct Receipt {
    place: u64,
    committed: watch::Receiver<u64>,
}

impl Receipt {
    /// Waits until the event is counted for good. `false` where the task ended before.
    pub async fn durable(mut self) -> bool {
        self.committed.wait_for(|committed| *committed >= self.place).await.is_ok()
    }
}
