//! The one task of a replica that talks with the store: it writes events and claims in batches, a batch at a
//! time, so that no crowd of callers becomes a crowd of transactions, also not when the store comes back.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use super::super::allotment::{Due, Verdict};
use super::shared::{Answered, Caller, Part, Parts, Pending, Shared};
use super::{AllotmentKey, Counter, Dry, LeaseStore, Reservation};
use crate::quota::{Batch, Claim, Grant, HolderId, LeaseStoreError};

/// How often a holder says that it is alive when it has nothing else to say.
const HEARTBEAT: Duration = Duration::from_secs(3);
/// How often leases of holders that are gone for good are looked for.
const WRITE_OFF: Duration = Duration::from_secs(60);
/// How often tenants without anything held are forgotten.
const SWEEP: Duration = Duration::from_secs(10);
/// The first pause after a failure; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn run<S: LeaseStore>(shared: Arc<Shared>, store: S) {
    Task {
        shared,
        store,
        holder: HolderId::generate(),
        timers: BinaryHeap::new(),
        unwritten: Vec::new(),
        revision: 0,
        failures: 0,
        last_commit: Duration::ZERO,
        last_poll: Duration::ZERO,
        last_sweep: Duration::ZERO,
        last_write_off: Duration::ZERO,
        holding: false,
    }
    .run()
    .await;
}

struct Task<S> {
    shared: Arc<Shared>,
    store: S,
    holder: HolderId,
    timers: BinaryHeap<Reverse<(Duration, AllotmentKey)>>,
    /// Events of the last batch, while it is unknown whether they were written.
    unwritten: Vec<Pending>,
    /// Of the last claim, whatever it was about.
    revision: i64,
    failures: u32,
    last_commit: Duration,
    last_poll: Duration,
    last_sweep: Duration,
    last_write_off: Duration,
    holding: bool,
}

impl<S: LeaseStore> Task<S> {
    async fn run(mut self) {
        loop {
            self.rest().await;
            let mut due = self.housekeeping().await;
            let now = self.shared.now();
            let (events, queued) =
                self.shared.take(if self.unwritten.is_empty() { self.shared.settings.batch } else { 0 });
            self.unwritten.extend(events);
            due.extend(queued);
            if self.shared.closing() {
                due.extend(self.shared.held());
            }
            let batch = self.compose(due, now);
            let beats = self.failures > 0 || (self.holding && now >= self.last_commit + HEARTBEAT);
            if batch.claims.is_empty() && batch.events.is_empty() && !beats {
                if self.shared.closing() && self.shared.spooled() == 0 {
                    return;
                }
                continue;
            }
            let timeout = self.shared.settings.commit_timeout;
            let outcome = tokio::time::timeout(timeout, self.store.commit(&self.holder, &batch)).await;
            match outcome.unwrap_or(Err(LeaseStoreError::TimedOut)) {
                Ok(grants) => self.written(&batch, &grants),
                Err(error) => self.not_written(&batch, &error).await,
            }
        }
    }

    /// Waits until there is something to do.
    async fn rest(&mut self) {
        if self.failures > 0 {
            return;
        }
        let now = self.shared.now();
        let pause = self.timers.peek().map_or(self.shared.settings.poll, |Reverse((at, _))| at.saturating_sub(now));
        let woken = self.shared.wake.notified();
        let _ = tokio::time::timeout(pause.min(self.shared.settings.poll), woken).await;
        let alone = super::shared::lock(&self.shared.queue).due.is_empty();
        if alone && self.shared.spooled() > 0 && !self.shared.closing() {
            tokio::time::sleep(self.shared.settings.linger).await;
        }
    }

    /// What is to be done from time to time; answers whose units others want back, and whose time has come.
    async fn housekeeping(&mut self) -> Vec<AllotmentKey> {
        let mut due = Vec::new();
        let now = self.shared.now();
        while let Some(Reverse((at, _))) = self.timers.peek()
            && *at <= now
        {
            due.extend(self.timers.pop().map(|Reverse((_, key))| key));
        }
        if now >= self.last_sweep + SWEEP {
            self.last_sweep = now;
            self.holding = self.shared.sweep();
        }
        if self.failures > 0 {
            return due;
        }
        if self.holding && now >= self.last_poll + self.shared.settings.poll {
            self.last_poll = now;
            // That it failed shows at the next commit, which somebody waits for.
            let asked = tokio::time::timeout(self.shared.settings.commit_timeout, self.store.wanted(&self.holder));
            for key in asked.await.ok().and_then(Result::ok).unwrap_or_default() {
                self.shared.with_slot(&key.tenant, key.period, |slot| {
                    if let Some(allotment) = slot.get(key.counter) {
                        allotment.recall(now);
                    }
                });
                due.push(key);
            }
        }
        if now >= self.last_write_off + WRITE_OFF {
            self.last_write_off = now;
            let written = tokio::time::timeout(self.shared.settings.commit_timeout, self.store.write_off());
            if let Ok(Ok(count)) = written.await
                && count > 0
            {
                tracing::warn!(count, "leases of replicas that are gone were counted as used");
            }
        }
        due
    }

    /// The claims of all that is due or settled, with the events.
    fn compose(&mut self, due: Vec<AllotmentKey>, now: Duration) -> Batch {
        let mut keys: BTreeMap<AllotmentKey, Vec<Part>> = due.into_iter().map(|key| (key, Vec::new())).collect();
        for pending in &self.unwritten {
            for (counter, part) in parts(&pending.parts) {
                let event = &pending.event;
                let key = AllotmentKey { tenant: event.tenant.clone(), counter, period: event.period };
                keys.entry(key).or_default().push(part);
            }
        }
        let mut claims: Vec<(AllotmentKey, Claim)> = Vec::with_capacity(keys.len());
        let closing = self.shared.closing();
        for (key, settled) in keys {
            self.shared.with_slot(&key.tenant, key.period, |slot| {
                slot.unqueue(key.counter);
                let Some(allotment) = slot.get(key.counter) else { return };
                if closing {
                    allotment.recall(now);
                }
                let epoch = allotment.epoch();
                let units = settled.iter().filter(|part| part.epoch == epoch).map(|part| part.units).sum();
                let due = allotment.due(now);
                if units > 0 || due == Due::Now {
                    self.revision += 1;
                    claims.push((key.clone(), allotment.claim(self.revision, units, now)));
                } else if let Due::At(at) = due {
                    self.timers.push(Reverse((at, key.clone())));
                }
            });
        }
        Batch { events: self.unwritten.iter().map(|it| it.event.clone()).collect(), claims }
    }

    fn written(&mut self, batch: &Batch, grants: &[Grant]) {
        if self.failures > 0 {
            tracing::info!(failures = self.failures, "the store answers again");
        }
        self.failures = 0;
        self.shared.set_down(false);
        self.shared.answered();
        let now = self.shared.now();
        self.last_commit = now;
        self.holding |= !batch.claims.is_empty();
        if let Some(last) = self.unwritten.last() {
            self.shared.committed.send_replace(last.place);
        }
        self.unwritten.clear();
        for ((key, claim), grant) in batch.claims.iter().zip(grants) {
            let (verdicts, epoch) = self.shared.with_slot(&key.tenant, key.period, |slot| {
                let withheld = Dry { used: grant.used, limit: claim.limit, held: grant.held };
                slot.set_withheld(key.counter, (grant.held > 0).then_some(withheld));
                let Some(allotment) = slot.get(key.counter) else { return (Vec::new(), 0) };
                let verdicts = allotment.confirm(grant, now);
                let epoch = allotment.epoch();
                if let Due::At(at) = allotment.due(now) {
                    self.timers.push(Reverse((at, key.clone())));
                }
                slot.queue_due(&self.shared, &key.tenant, now);
                (verdicts, epoch)
            });
            // Outside the lock: a caller that is gone gives back at once.
            for (caller, verdict) in verdicts {
                self.tell(key, epoch, caller, verdict);
            }
        }
    }

    fn tell(&self, key: &AllotmentKey, epoch: u64, caller: Caller, verdict: Verdict) {
        let answer = match verdict {
            Verdict::Passed(units) => {
                let mut passed = Reservation::new(&self.shared, &key.tenant, key.period);
                passed.add(key.counter, Part { epoch, units });
                Answered::Passed(passed)
            }
            Verdict::Refused(dry) => Answered::Refused(dry),
        };
        drop(caller.send(answer));
    }

    async fn not_written(&mut self, batch: &Batch, error: &LeaseStoreError) {
        if self.failures == 0 {
            tracing::error!(%error, "usage cannot be written; it is kept in memory and tried again");
        }
        self.shared.set_down(true);
        let overdue = self.shared.now().saturating_sub(self.shared.settings.patience);
        for (key, _) in &batch.claims {
            let gone = self.shared.with_slot(&key.tenant, key.period, |slot| {
                let Some(allotment) = slot.get(key.counter) else { return Vec::new() };
                allotment.fail();
                slot.queue_due(&self.shared, &key.tenant, self.shared.now());
                slot.get(key.counter).map(|it| it.overdue(overdue)).unwrap_or_default()
            });
            drop(gone);
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(self.shared.settings.longest_pause);
        self.failures += 1;
        // Replicas that lost the store together do not come back together.
        tokio::time::sleep(pause.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
    }
}

fn parts(parts: &Parts) -> impl Iterator<Item = (Counter, Part)> {
    Counter::ALL.into_iter().zip(parts).filter_map(|(counter, part)| part.map(|part| (counter, part)))
}
