//! What a connection is doing, as far as patience goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The lowest two bits of the state; above them, milliseconds since the connection's start.
const KIND: u64 = 3;
/// No byte of the next request has come.
const RESTING: u64 = 0;
/// Some of its head has.
const HEADING: u64 = 1;
/// A request is being answered.
const BUSY: u64 = 2;
/// No byte has come at all.
const FRESH: u64 = 3;

/// One connection's state. Kept in one number and looked at when a timer rings, so that a request costs
/// two stores and no timer.
pub(super) struct Activity {
    start: Instant,
    header_timeout: Duration,
    idle_timeout: Duration,
    state: AtomicU64,
}

impl Activity {
    pub(super) fn new(header_timeout: Duration, idle_timeout: Duration) -> Self {
        Self { start: Instant::now(), header_timeout, idle_timeout, state: AtomicU64::new(FRESH) }
    }

    fn set(&self, kind: u64) {
        let since = self.start.elapsed().as_millis() as u64;
        self.state.store(since << 2 | kind, Ordering::Relaxed);
    }

    /// Bytes came in.
    pub(super) fn received(&self) {
        match self.state.load(Ordering::Relaxed) & KIND {
            RESTING | FRESH => self.set(HEADING),
            _ => {}
        }
    }

    /// When the connection has to have done something else; `None` while a request runs, whose body, answer
    /// and upstream have bounds of their own.
    fn deadline(&self) -> Option<Instant> {
        let state = self.state.load(Ordering::Relaxed);
        let since = self.start + Duration::from_millis(state >> 2);
        match state & KIND {
            BUSY => None,
            RESTING => Some(since + self.idle_timeout),
            _ => Some(since + self.header_timeout),
        }
    }

    /// Whether the connection had all the time that it gets.
    pub(super) fn is_overdue(&self) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= Instant::now())
    }

    /// When to look again: a head may begin at any time, and is at most twice its time on its way.
    pub(super) fn next_look(&self) -> Instant {
        let soon = Instant::now() + self.header_timeout;
        self.deadline().map_or(soon, |deadline| deadline.min(soon))
    }
}

/// A request that is being answered.
pub(super) struct Busy(Arc<Activity>);

impl Busy {
    pub(super) fn begin(activity: &Arc<Activity>) -> Self {
        activity.set(BUSY);
        Self(Arc::clone(activity))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.set(RESTING);
    }
}
