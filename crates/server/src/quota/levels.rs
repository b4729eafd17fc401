//! Meters that hold a level: what exists now, and what is on its way into being.
//!
//! The directory measures levels from time to time. In between, what this replica lets through is added: while
//! a request runs with what was reserved for it, and from its end with what it brought, until a measurement
//! that began later holds it. What other replicas let through in the meantime is not known here, so that two
//! of them together may pass a limit by what they let through between two measurements; the next measurement
//! shows it, and nothing more is let through then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paywall_domain::{Limit, Meter, TenantId, Timestamp};

use super::Exhausted;

/// Tenants' meters that are kept before those are looked for that can go.
const MANY: usize = 10_000;
/// How long what ended is kept for a measurement that does not come.
const KEPT_MS: i64 = 24 * 3_600_000;

/// A level as it was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// How much there was.
    pub value: i64,
    /// When the measurement began.
    pub measured_at: Timestamp,
}

#[derive(Debug, Default)]
struct Passing {
    running: i64,
    /// What ended and when, and is in no measurement yet.
    ended: Vec<(Timestamp, i64)>,
}

impl Passing {
    fn sum(&self) -> i64 {
        self.ended.iter().fold(self.running, |sum, (_, amount)| sum.saturating_add(*amount))
    }
}

type Kept = HashMap<(TenantId, Meter), Passing>;

/// What is on its way, by tenant and meter. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Levels {
    kept: Arc<Mutex<Kept>>,
}

impl Levels {
    /// Sets aside room for `amount` more. A level that is unknown blocks nothing, and neither does one without
    /// a limit; what comes is added to it all the same.
    pub fn reserve(
        &self,
        tenant: &TenantId,
        meter: Meter,
        amount: i64,
        limit: Limit,
        level: impl Into<Option<Level>>,
    ) -> Result<LevelReservation, Exhausted> {
        let level = level.into();
        let amount = amount.max(0);
        let mut kept = self.lock();
        if kept.len() >= MANY
            && let Some(level) = level
        {
            kept.retain(|_, it| {
                it.ended.retain(|(at, _)| level.measured_at.ms_since(*at) < KEPT_MS);
                it.running > 0 || !it.ended.is_empty()
            });
        }
        let passing = kept.entry((tenant.clone(), meter)).or_default();
        if let Some(level) = level {
            passing.ended.retain(|(at, _)| *at >= level.measured_at);
            let used = level.value.saturating_add(passing.sum());
            if let Limit::AtMost(limit) = limit
                && used.saturating_add(amount.max(1)) > limit
            {
                return Err(Exhausted { meter, used, limit, resets_at: None, held: 0 });
            }
        }
        passing.running = passing.running.saturating_add(amount);
        Ok(LevelReservation { levels: self.clone(), tenant: tenant.clone(), meter, amount, open: true })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, reservation: &LevelReservation, brought: Option<(Timestamp, i64)>) {
        let mut kept = self.lock();
        let key = (reservation.tenant.clone(), reservation.meter);
        let Some(passing) = kept.get_mut(&key) else { return };
        passing.running -= reservation.amount;
        passing.ended.extend(brought.filter(|(_, amount)| *amount != 0));
        if passing.running == 0 && passing.ended.is_empty() {
            kept.remove(&key);
        }
    }
}

/// Room set aside below a limit. Dropped, it is given back.
#[derive(Debug)]
#[must_use = "dropped, the room is given back"]
pub struct LevelReservation {
    levels: Levels,
    tenant: TenantId,
    meter: Meter,
    amount: i64,
    open: bool,
}

impl LevelReservation {
    /// Keeps what was set aside as what was brought.
    pub fn keep(self, now: Timestamp) {
        let amount = self.amount;
        self.settle(amount, now);
    }

    /// Puts what was really brought in place of what was set aside.
    pub fn settle(mut self, brought: i64, now: Timestamp) {
        self.levels.end(&self, Some((now, brought)));
        self.open = false;
    }
}

impl Drop for LevelReservation {
    fn drop(&mut self) {
        if self.open {
            self.levels.end(self, None);
        }
    }
}
