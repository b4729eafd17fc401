//! What each source is doing and how old its data is, and who is told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paywall_contract::{Caller, ServerHealth};
use paywall_domain::Timestamp;
use tokio::sync::Notify;

use super::{Shared, health, now};
use crate::admin_client::error::not_reached;
use crate::cache::{Cache, CacheError, FEED, StreamState};
use crate::ipc::{
    Failure, FailureCode, Freshness, MissingStream, OtherVersion, Progress, Source, SourceFreshness, SourceState,
};
use crate::observer::Observer;

/// Our requests must have failed for so long before we say that we are offline.
const OFFLINE_AFTER_MS: i64 = 5_000;
/// Observers are told at most once in this time.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// How many unreadable objects are named.
const UNREADABLE_SHOWN: usize = 20;

/// The fact that remembers how much this machine's clock was ahead of the server's, in milliseconds.
pub(super) const SKEW: &str = "clock_skew_ms";
/// From which change on it is written down anew.
const SKEW_WORTH_MS: i64 = 2_000;

pub(super) struct Status {
    inner: Mutex<Inner>,
    changed: Notify,
    interval: Duration,
}

struct Inner {
    server: One,
    stripe: One,
    caller: Option<(Caller, Timestamp)>,
    clock_skew_ms: Option<i64>,
    health: Option<ServerHealth>,
    data_changed: bool,
}

#[derive(Default)]
struct One {
    configured: bool,
    as_of: Option<Timestamp>,
    failing_since: Option<Timestamp>,
    /// Since when the source has not been reached, as opposed to having said no.
    unreached_since: Option<Timestamp>,
    failure: Option<Failure>,
    next_try_at: Option<Timestamp>,
    progress: Option<Progress>,
    missing: Vec<MissingStream>,
    unreadable: Vec<String>,
    unreadable_total: i64,
    versions: Vec<OtherVersion>,
}

impl Status {
    /// What the copy knows of its own age.
    pub(super) async fn load(
        cache: &Cache,
        server: bool,
        stripe: bool,
        interval: Duration,
    ) -> Result<Self, CacheError> {
        let feed = cache.stream_state(Source::Server, FEED).await?;
        let server = One { configured: server, as_of: feed.complete_at, ..One::default() };
        let mut stripe = One { configured: stripe, ..One::default() };
        let states = cache.stream_states(Source::Stripe).await?;
        stripe.take_states(&states);
        stripe.versions = cache.stripe_versions().await?;
        stripe.as_of = super::stripe::complete_as_of(&states);
        let remembered = cache.fact(SKEW).await?.and_then(|text| text.parse::<i64>().ok());
        // Where the copy would then come from the future, the clock has been set right since.
        let plausible = |skew: &i64| {
            let corrected = now().plus_ms(-skew);
            server.as_of.is_none_or(|at| corrected.ms_since(at) >= 0)
        };
        let clock_skew_ms = remembered.filter(plausible);
        let health = health::remembered(cache).await?;
        let inner = Inner { server, stripe, caller: None, clock_skew_ms, health, data_changed: false };
        Ok(Self { inner: Mutex::new(inner), changed: Notify::new(), interval })
    }

    /// The server's clock, as far as it is known; else this machine's. Everything that is dated or compared
    /// goes by it, so that a laptop whose clock is off shows neither a wrong age nor a trial that ended already.
    pub(super) fn now(&self) -> Timestamp {
        self.lock().now()
    }

    /// There is no token, so that the server cannot be asked: what is here of it only gets older.
    pub(super) fn without_token(&self) {
        self.change(|inner| {
            inner.server.configured = true;
            inner.server.failure = Some(Failure::of(FailureCode::TokenMissing, "no token is stored for this profile"));
            inner.server.failing_since = Some(inner.now());
        });
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, apply: impl FnOnce(&mut Inner)) {
        apply(&mut self.lock());
        self.changed.notify_one();
    }

    /// Something that screens show has been written.
    pub(super) fn data_changed(&self) {
        self.change(|inner| inner.data_changed = true);
    }

    /// The source gave an answer that could be used.
    pub(super) fn reached(&self, source: Source) {
        self.change(|inner| inner.of(source).unreached_since = None);
    }

    pub(super) fn progress(&self, source: Source, stream: &str, done: i64, total: Option<i64>) {
        let progress = Progress { stream: stream.to_owned(), done, total };
        self.change(|inner| inner.of(source).progress = Some(progress));
    }

    /// The source's data is complete for this instant.
    pub(super) fn complete(&self, source: Source, as_of: Timestamp) {
        self.change(|inner| inner.of(source).as_of = Some(as_of));
    }

    /// The source's data has to be fetched anew.
    pub(super) fn forget(&self, source: Source) {
        self.change(|inner| inner.of(source).as_of = None);
    }

    /// A pass ended; the next one comes after `pause`.
    pub(super) fn ended(&self, source: Source, failure: Option<Failure>, pause: Duration) {
        self.change(|inner| {
            let at = inner.now();
            let one = inner.of(source);
            one.progress = None;
            one.next_try_at = Some(at.plus_ms(pause.as_millis() as i64));
            match failure {
                None => {
                    one.failing_since = None;
                    one.unreached_since = None;
                    one.failure = None;
                }
                // A cancelled pass says nothing about the source's health.
                Some(failure) if failure.code == FailureCode::Cancelled => {}
                Some(failure) => {
                    one.failing_since.get_or_insert(at);
                    if not_reached(&failure.code) {
                        one.unreached_since.get_or_insert(at);
                    } else {
                        one.unreached_since = None;
                    }
                    one.failure = Some(failure);
                }
            }
        });
    }

    /// What the copy says of Stripe's lists.
    pub(super) fn take_states(&self, states: &[(String, StreamState)]) {
        self.change(|inner| inner.stripe.take_states(states));
    }

    /// Which other versions of Stripe's API something came in.
    pub(super) fn take_versions(&self, versions: Vec<OtherVersion>) {
        self.change(|inner| inner.stripe.versions = versions);
    }

    pub(super) fn took_caller(&self, caller: Caller) {
        self.change(|inner| inner.caller = Some((caller, inner.now())));
    }

    /// How the server is, as it has just said; `None` = it is too old to say.
    pub(super) fn took_health(&self, health: Option<ServerHealth>) {
        self.change(|inner| inner.health = health);
    }

    /// This machine's clock minus the server's, as just measured. Whether it is worth remembering.
    pub(super) fn clock(&self, skew_ms: Option<i64>) -> bool {
        let known = self.lock().clock_skew_ms;
        self.change(|inner| inner.clock_skew_ms = skew_ms.or(inner.clock_skew_ms));
        skew_ms.is_some_and(|skew| known.is_none_or(|known| (known - skew).abs() > SKEW_WORTH_MS))
    }

    pub(super) fn caller(&self) -> Option<(Caller, Timestamp)> {
        self.lock().caller.clone()
    }

    pub(super) fn freshness(&self) -> Freshness {
        let inner = self.lock();
        let now = inner.now();
        let ages: Vec<Option<Timestamp>> =
            [&inner.server, &inner.stripe].into_iter().filter(|one| one.configured).map(|one| one.as_of).collect();
        Freshness {
            sources: vec![inner.server.view(Source::Server), inner.stripe.view(Source::Stripe)],
            as_of: ages.into_iter().collect::<Option<Vec<_>>>().and_then(|ages| ages.into_iter().min()),
            offline: inner.server.unreached_since.is_some_and(|since| now.ms_since(since) >= OFFLINE_AFTER_MS),
            interval_ms: self.interval.as_millis() as i64,
            clock_skew_ms: inner.clock_skew_ms,
            health: inner.health.clone(),
            now,
        }
    }
}

impl Inner {
    fn now(&self) -> Timestamp {
        now().plus_ms(-self.clock_skew_ms.unwrap_or(0))
    }

    fn of(&mut self, source: Source) -> &mut One {
        match source {
            Source::Server => &mut self.server,
            Source::Stripe => &mut self.stripe,
        }
    }
}

impl One {
    fn take_states(&mut self, states: &[(String, StreamState)]) {
        self.missing = states
            .iter()
            .filter_map(|(stream, state)| {
                Some(MissingStream { stream: stream.clone(), failure: state.missing.clone()? })
            })
            .collect();
        self.unreadable_total = states.iter().map(|(_, state)| state.unreadable.len() as i64).sum();
        self.unreadable =
            states.iter().flat_map(|(_, state)| &state.unreadable).take(UNREADABLE_SHOWN).cloned().collect();
    }

    fn view(&self, source: Source) -> SourceFreshness {
        let state = match (self.configured, &self.failure, self.as_of) {
            (false, ..) => SourceState::NotConfigured,
            (true, Some(_), _) => SourceState::Failing,
            (true, None, None) => SourceState::Never,
            (true, None, Some(_)) => SourceState::Current,
        };
        SourceFreshness {
            source,
            state,
            as_of: self.as_of,
            failing_since: self.failing_since,
            failure: self.failure.clone(),
            next_try_at: self.next_try_at,
            progress: self.progress.clone(),
            missing: self.missing.clone(),
            unreadable: self.unreadable.clone(),
            unreadable_total: self.unreadable_total,
            versions: self.versions.clone(),
        }
    }
}

/// Tells the observer what changed, not more than four times a second, until the engine stops.
pub(super) async fn announce(shared: Arc<Shared>, observer: Arc<dyn Observer>) {
    let status = &shared.status;
    let mut told_offline = false;
    loop {
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            () = status.changed.notified() => {}
            // Being offline comes by time alone.
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                if status.freshness().offline == told_offline {
                    continue;
                }
            }
        }
        if std::mem::take(&mut status.lock().data_changed) {
            observer.data_changed();
        }
        let freshness = status.freshness();
        told_offline = freshness.offline;
        observer.freshness(&freshness);
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(TELL_EVERY) => {}
        }
    }
}
