//! A replica's side of an allotment: a state machine without I/O and without a clock.
//!
//! It lets callers use units that the store covers for it, tells what to claim next, and takes the answers.
//! The one rule that keeps the limit: **what is in use never exceeds the lowest number that any claim, whose
//! outcome is not known yet, may have left covered** ([`Allotment::ceiling`]).

use std::collections::VecDeque;
use std::time::Duration;

use super::books::SPARE_SHARE;
use super::{Claim, Grant};

/// How long an answer that nothing is left is taken for true without asking again.
pub const DRY: Duration = Duration::from_millis(200);
/// How soon a claim is repeated while others are asked to return what they do not use.
pub const RETRY: Duration = Duration::from_millis(40);
/// How long nothing is taken ahead after others wanted some back.
pub const COOL: Duration = Duration::from_millis(500);
/// How long units ahead are kept while nobody asks for any.
pub const IDLE: Duration = Duration::from_secs(3);

/// How many units a caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// So many, where they are to be had.
    pub want: i64,
    /// The least that will do. Less than `want` for an estimate: an answer whose tokens may exceed what is
    /// left begins all the same, as long as one token is left.
    pub least: i64,
}

impl Demand {
    /// Just so many or none.
    pub fn exactly(units: i64) -> Self {
        let units = units.max(1);
        Self { want: units, least: units }
    }

    /// As many as are left, up to so many; at least one.
    pub fn up_to(units: i64) -> Self {
        Self { want: units.max(1), least: 1 }
    }
}

/// Nothing is left of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dry {
    /// Units used.
    pub used: i64,
    /// The limit.
    pub limit: i64,
    /// How many of those used are only held, by a replica that did not return them in time.
    pub held: i64,
}

/// What a waiting caller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may use so many units.
    Passed(i64),
    /// It may not.
    Refused(Dry),
}

/// What a caller is told at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Its verdict.
    Now(Verdict),
    /// The store has to be asked: [`Allotment::wait`].
    Waits,
}

/// When a claim is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Now.
    Now,
    /// Then, if nothing happens before.
    At(Duration),
    /// Not until something happens.
    Never,
}

#[derive(Debug)]
struct Waiting<W> {
    demand: Demand,
    since: Duration,
    who: W,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    settled: i64,
    limit: i64,
}

/// One allotment on one replica. `W` names a waiting caller. Instants are durations since any fixed moment,
/// by a clock that never goes back.
#[derive(Debug)]
pub struct Allotment<W> {
    epoch: u64,
    known: bool,
    /// Units covered by the last claim whose answer is known.
    confirmed: i64,
    /// The lowest ceiling that later claims, answered or not, may leave.
    pending: Option<i64>,
    sent: Option<Sent>,
    /// Units in use, and units settled whose settlement is not confirmed.
    passed: i64,
    waiting: VecDeque<Waiting<W>>,
    limit: i64,
    /// The limit under which `confirmed` was granted.
    granted_under: i64,
    left: i64,
    dry: Option<(Duration, Dry)>,
    retry_at: Option<Duration>,
    cool_until: Duration,
    recalled: bool,
    /// Units that passed since the last claim, and a fading memory of those before.
    recent: i64,
    pace: i64,
    last_demand: Duration,
}

impl<W> Allotment<W> {
    /// Nothing is held yet. `serial` tells it from others that were here for the same key before.
    pub fn new(serial: u64, limit: i64, now: Duration) -> Self {
        Self {
            epoch: serial << 16,
            known: false,
            confirmed: 0,
            pending: None,
            sent: None,
            passed: 0,
            waiting: VecDeque::new(),
            limit,
            granted_under: limit,
            left: 0,
            dry: None,
            retry_at: None,
            cool_until: Duration::ZERO,
            recalled: false,
            recent: 0,
            pace: 0,
            last_demand: now,
        }
    }

    /// Names the lease that units passed now belong to; changes when a lease is lost.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Units in use, and units settled whose settlement is not confirmed.
    pub fn passed(&self) -> i64 {
        self.passed
    }

    /// What may be in use, whatever became of the claims that were not answered.
    pub fn ceiling(&self) -> i64 {
        self.pending.map_or(self.confirmed, |pending| pending.min(self.confirmed))
    }

    /// Whether a claim is on its way.
    pub fn claiming(&self) -> bool {
        self.sent.is_some()
    }

    /// Whether callers wait.
    pub fn awaited(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether this can be forgotten: nothing is held, used, sent or waited for.
    pub fn empty(&self) -> bool {
        self.confirmed == 0
            && self.pending.is_none()
            && self.passed == 0
            && self.sent.is_none()
            && self.waiting.is_empty()
    }

    /// A caller asks for units under the limit that is in force now.
    pub fn reserve(&mut self, demand: Demand, limit: i64, now: Duration) -> Pass {
        if limit != self.limit {
            self.limit = limit;
            self.dry = None;
        }
        self.last_demand = now;
        if self.awaited() || self.limit < self.granted_under {
            return Pass::Waits;
        }
        let room = self.ceiling() - self.passed;
        if room >= demand.want {
            return Pass::Now(Verdict::Passed(self.take(demand.want)));
        }
        match self.dry {
            Some((until, dry)) if now < until => Pass::Now(if room >= demand.least {
                Verdict::Passed(self.take(room))
            } else {
                Verdict::Refused(Dry { used: dry.used - room.max(0), ..dry })
            }),
            _ => Pass::Waits,
        }
    }

    /// A caller that has to wait.
    pub fn wait(&mut self, demand: Demand, who: W, now: Duration) {
        self.waiting.push_back(Waiting { demand, since: now, who });
    }

    /// Units that passed in `epoch` were not used.
    pub fn give_back(&mut self, epoch: u64, units: i64) {
        if epoch == self.epoch {
            self.passed -= units;
        }
    }

    /// Others want back what is not used.
    pub fn recall(&mut self, now: Duration) {
        self.recalled = true;
        self.cool_until = now + COOL;
    }

    /// When the next claim is due.
    pub fn due(&self, now: Duration) -> Due {
        if self.claiming() {
            return Due::Never;
        }
        let ahead = self.confirmed - self.passed;
        if self.awaited() {
            return match self.retry_at {
                Some(at) if now < at => Due::At(at),
                _ => Due::Now,
            };
        }
        let returns = self.recalled || self.limit < self.granted_under || ahead > self.allowed();
        if self.pending.is_some() || (returns && ahead > 0) {
            return Due::Now;
        }
        if ahead < (self.target(now).min(self.allowed()) + 1) / 2 {
            return Due::Now;
        }
        match self.last_demand + IDLE {
            _ if ahead <= 0 => Due::Never,
            idle if idle <= now => Due::Now,
            idle => Due::At(idle),
        }
    }

    /// The next claim, in a batch that settles `settled` of the units in use. `revision` is greater than that
    /// of any claim of this holder before.
    pub fn claim(&mut self, revision: i64, settled: i64, now: Duration) -> Claim {
        self.pace = self.recent.max(self.pace / 2);
        self.recent = 0;
        let in_use = self.passed - settled;
        let need = self.waiting.iter().fold(in_use, |sum, it| sum.saturating_add(it.demand.want));
        let ahead = self.target(now);
        let kept = if self.limit < self.granted_under { 0 } else { ahead.min(self.allowed()) };
        let hold = (self.ceiling() - settled).min(in_use.saturating_add(kept));
        self.pending = Some(hold + settled);
        self.sent = Some(Sent { settled, limit: self.limit });
        Claim { revision, known: self.known, hold, need, wish: need.saturating_add(ahead), limit: self.limit }
    }

    /// The answer to the claim on its way, and with it the verdicts of those who waited.
    pub fn confirm(&mut self, grant: &Grant, now: Duration) -> Vec<(W, Verdict)> {
        let Some(sent) = self.sent.take() else { return Vec::new() };
        self.pending = None;
        self.known = !grant.lost;
        if grant.lost {
            // All that passed is counted as used; what becomes of it is no matter of this lease's.
            self.epoch += 1;
            (self.passed, self.confirmed, self.left) = (0, 0, grant.left);
            return Vec::new();
        }
        self.passed -= sent.settled;
        self.confirmed = grant.covered;
        self.granted_under = sent.limit;
        self.left = grant.left;
        self.recalled = false;
        self.retry_at = None;
        self.dry = None;
        if sent.limit != self.limit {
            return Vec::new();
        }
        if grant.left == 0 && grant.held == 0 {
            self.dry = Some((now + DRY, Dry { used: grant.used, limit: sent.limit, held: 0 }));
        } else if grant.left == 0 {
            self.retry_at = Some(now + RETRY);
        }
        self.serve()
    }

    /// The outcome of the claim on its way is unknown.
    pub fn fail(&mut self) {
        self.sent = None;
    }

    /// Takes out those who have waited since before `since`.
    pub fn overdue(&mut self, since: Duration) -> Vec<W> {
        let mut out = Vec::new();
        while let Some(front) = self.waiting.pop_front_if(|it| it.since < since) {
            out.push(front.who);
        }
        out
    }

    fn serve(&mut self) -> Vec<(W, Verdict)> {
        let mut out = Vec::new();
        while let Some(front) = self.waiting.front() {
            let (room, demand) = (self.ceiling() - self.passed, front.demand);
            let verdict = if room >= demand.want {
                Verdict::Passed(self.take(demand.want))
            } else if let Some((_, dry)) = self.dry {
                if room >= demand.least {
                    Verdict::Passed(self.take(room))
                } else {
                    Verdict::Refused(Dry { used: dry.used - room.max(0), ..dry })
                }
            } else {
                break;
            };
            out.extend(self.waiting.pop_front().map(|it| (it.who, verdict)));
        }
        out
    }

    fn take(&mut self, units: i64) -> i64 {
        self.passed += units;
        self.recent = self.recent.saturating_add(units);
        units
    }

    /// Units that the store lets this replica have ahead of need, as far as it is known here. More than that,
    /// which is what callers gave back, is returned at once: others may lack it, and a crash would burn it.
    fn allowed(&self) -> i64 {
        self.left.saturating_add((self.confirmed - self.passed).max(0)) / SPARE_SHARE
    }

    /// Units to have ahead of need: what two rounds of claims use up, so that nobody has to wait for one.
    fn target(&self, now: Duration) -> i64 {
        let idle = self.last_demand + IDLE <= now;
        if idle || self.recalled || now < self.cool_until {
            return 0;
        }
        self.recent.max(self.pace).max(1).saturating_mul(2)
    }
}
