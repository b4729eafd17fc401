//! Stripe's lists: read once from one end to the other, in windows of time side by side, then kept current by
//! its events.
//!
//! Only Stripe's own clock decides where to read on: cursors hold `created` of what was seen. The
//! place in the events is fixed before the first list is read, so whatever changes meanwhile is
//! fetched again afterwards.

mod backfill;
mod current;
mod place;
mod reading;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::{FutureExt, StreamExt};
use paywall_domain::Timestamp;
use paywall_stripe::{Client, Error, ErrorKind, Object, Stream, Unreadable, transport::Fault};
use serde_json::Value;
use tokio::time::Instant;

use super::{Pace, PassError, Shared, cancellable};
use crate::cache::{StreamProgress, StreamState, StripeRow};
use crate::ipc::{Failure, FailureCode, OtherVersion, Source, VersionSeenIn};
use place::{Events, Place};

/// Stripe keeps events for 30 days; a copy that is nearly as old reads the lists again.
const EVENTS_KEPT_S: i64 = 29 * 24 * 60 * 60;

/// The instant for which every list that Stripe gives is complete; `None` = one is not yet.
pub(super) fn complete_as_of(states: &[(String, StreamState)]) -> Option<Timestamp> {
    let mut ages = Vec::new();
    for stream in Stream::OBJECTS {
        match states.iter().find(|(name, _)| name == stream.name()) {
            Some((_, state)) if state.missing.is_some() => {}
            Some((_, state)) => ages.push(state.complete_at?),
            None => return None,
        }
    }
    ages.into_iter().min()
}

/// Keeps Stripe's part current until the engine stops.
pub(super) async fn run(shared: Arc<Shared>, client: Client) {
    let mut pace = Pace::new(Source::Stripe);
    let mut mirror = Mirror { shared: shared.clone(), client, missing_tried: None };
    loop {
        let token = shared.stripe.begin_pass(&shared.stop);
        let result = cancellable(&token, mirror.pass()).await;
        if let Err(error) = &result {
            tracing::info!(error = %error.failure.detail, "Stripe could not be read");
        }
        if pace.rest(&shared, &shared.stripe, result, shared.stripe.news.notified()).await.is_none() {
            return;
        }
    }
}

/// Stripe's part of the copy.
struct Mirror {
    shared: Arc<Shared>,
    client: Client,
    /// When lists that are not given were last asked for.
    missing_tried: Option<Instant>,
}

/// What reading one list came to, where it did not fail as a whole.
enum Outcome {
    /// It is complete.
    Complete,
    /// It is not given, or broken; others go on.
    Apart(Failure),
}

impl Mirror {
    async fn pass(&mut self) -> Result<(), PassError> {
        let shared = self.shared.clone();
        let asked = shared.stripe.asked.swap(false, Ordering::SeqCst);
        let due = |at: Option<Instant>| at.is_none_or(|at| at.elapsed() >= shared.options.full_interval);
        let try_missing = asked || due(self.missing_tried);
        if try_missing {
            self.missing_tried = Some(Instant::now());
        }
        let began = Instant::now();
        let mut failed: Option<Failure> = None;
        let mut events = self.events_place(try_missing).await?;
        if let Events::TooOld = events {
            tracing::warn!("the copy is older than Stripe's events reach back: its lists are read again");
            self.drop_half_read().await?;
            self.read_again().await?;
            events = self.first_events_place().await?;
        }
        let mut followed = !matches!(events, Events::NotGiven(_));
        if !followed {
            // Nothing tells what changed, so only reading everything anew does.
            self.read_lapsed_again(asked).await?;
        }

        // 1. What is not complete is read to its end, several lists side by side.
        let mut open = Vec::new();
        let mut current = Vec::new();
        for stream in Stream::OBJECTS {
            let state = shared.cache.stream_state(Source::Stripe, stream.name()).await?;
            if state.missing.is_some() && !try_missing {
                continue;
            }
            match Place::of(&state) {
                Place::Current { newest } => current.push((stream, newest)),
                place @ Place::Backfill { .. } => open.push((stream, place)),
            }
        }
        let was_open: Vec<Stream> = open.iter().map(|(stream, _)| *stream).collect();
        let mirror = &*self;
        // A list's end is noted within its own reading: one that waits for the copy's single writer while
        // another holds it must not keep that one from going on.
        let readings: Vec<_> = open
            .into_iter()
            .map(|(stream, place)| {
                async move { mirror.note(stream, mirror.backfill(stream, place).await).await }.boxed()
            })
            .collect();
        let mut readings = futures::stream::iter(readings).buffer_unordered(shared.options.side_by_side.max(1));
        while let Some(noted) = readings.next().await {
            failed = failed.or(noted?);
        }
        drop(readings);

        // 2. What changed since is fetched again, and what is new is listed.
        match events {
            Events::Since(place) => {
                let result = self.follow_events(place).await;
                followed = matches!(result, Ok(Outcome::Complete));
                let noted = self.note(Stream::Events, result).await?;
                failed = failed.or(noted);
            }
            Events::NotGiven(failure) => {
                shared.cache.set_stream_missing(Source::Stripe, Stream::Events.name(), Some(&failure)).await?;
            }
            Events::TooOld => {}
        }
        if try_missing {
            let noted = self.retry_unreadable().await?;
            failed = failed.or(noted);
        }
        // A list whose events were followed still misses what events never said, such as what came
        // into being while the key could not read them.
        for (stream, newest) in current {
            let result = self.list_new(stream, newest).await;
            let noted = self.note(stream, result).await?;
            failed = failed.or(noted);
        }
        self.settle(began, failed, &was_open, followed).await
    }

    /// Marks every list whose changes the events told as complete as of the pass's start, and reports the rest.
    /// Without events a list is complete as of its own reading, and no later: what changed since nobody said.
    async fn settle(
        &self,
        began: Instant,
        failed: Option<Failure>,
        was_open: &[Stream],
        followed: bool,
    ) -> Result<(), PassError> {
        let cache = &self.shared.cache;
        // By the clock as it is known now: the first answers may have taught how far this machine's is off.
        let started = self.shared.status.now().plus_ms(-(began.elapsed().as_millis() as i64));
        if followed {
            for stream in Stream::OBJECTS {
                let state = cache.stream_state(Source::Stripe, stream.name()).await?;
                let whole = state.missing.is_none() && state.last_failure.is_none();
                if whole && matches!(Place::of(&state), Place::Current { .. }) {
                    let progress = StreamProgress {
                        cursor: state.cursor,
                        complete_at: Some(started),
                        at: started,
                        unreadable: Vec::new(),
                    };
                    cache.set_stream_progress(Source::Stripe, stream.name(), &progress).await?;
                }
            }
        }
        if let Some((version, example)) = self.client.other_version() {
            let seen_in = VersionSeenIn::Answers;
            cache.note_stripe_version(&OtherVersion { version, seen_in, example, at: started }).await?;
        }
        self.shared.status.take_versions(cache.stripe_versions().await?);
        let states = cache.stream_states(Source::Stripe).await?;
        self.shared.status.take_states(&states);
        if !was_open.is_empty() {
            self.shared.status.data_changed();
        }
        if let Some(failure) = failed {
            return Err(failure.into());
        }
        let Some(as_of) = complete_as_of(&states) else {
            // Not one list is given: that is no state of freshness but a wrong key or address.
            let missing = states.into_iter().find_map(|(_, state)| state.missing);
            return Err(missing
                .unwrap_or_else(|| Failure::of(FailureCode::StripeFault, "no list came to its end"))
                .into());
        };
        self.shared.status.complete(Source::Stripe, as_of);
        Ok(())
    }

    /// Keeps how reading a list went, and gives the failure where it is broken. Fails where the failure is
    /// the whole source's.
    async fn note(&self, stream: Stream, result: Result<Outcome, PassError>) -> Result<Option<Failure>, PassError> {
        let cache = &self.shared.cache;
        let mut broken = None;
        match result? {
            Outcome::Complete => {
                let state = cache.stream_state(Source::Stripe, stream.name()).await?;
                if state.missing.is_some() || state.last_failure.is_some() {
                    cache.set_stream_missing(Source::Stripe, stream.name(), None).await?;
                }
            }
            Outcome::Apart(failure) if not_given(&failure) => {
                cache.set_stream_missing(Source::Stripe, stream.name(), Some(&failure)).await?;
            }
            Outcome::Apart(failure) => {
                cache.set_stream_failure(Source::Stripe, stream.name(), &failure).await?;
                broken = Some(failure);
            }
        }
        let states = cache.stream_states(Source::Stripe).await?;
        self.shared.status.take_states(&states);
        Ok(broken)
    }

    /// Begins those lists anew whose last full reading is too long ago, or all that are complete.
    async fn read_lapsed_again(&self, all: bool) -> Result<(), PassError> {
        let (cache, now) = (&self.shared.cache, self.shared.status.now());
        for stream in Stream::OBJECTS {
            let state = cache.stream_state(Source::Stripe, stream.name()).await?;
            let lapsed = state.complete_at.is_none_or(|at| {
                let age = now.ms_since(at);
                // One from the future was dated by a clock that has been set right since.
                age < 0 || age >= self.shared.options.full_interval.as_millis() as i64
            });
            if (all || lapsed) && matches!(Place::of(&state), Place::Current { .. }) {
                self.begin_again(stream).await?;
            }
        }
        Ok(())
    }

    /// Gives up the readings that are not at their end: what they read long ago nobody tells the changes of.
    async fn drop_half_read(&self) -> Result<(), PassError> {
        for stream in Stream::OBJECTS {
            let state = self.shared.cache.stream_state(Source::Stripe, stream.name()).await?;
            if matches!(Place::of(&state), Place::Backfill { began: Some(_), .. }) {
                self.begin_again(stream).await?;
            }
        }
        Ok(())
    }

    /// Begins every complete list anew; what is there stays readable until it is replaced.
    async fn read_again(&self) -> Result<(), PassError> {
        for stream in Stream::OBJECTS {
            let state = self.shared.cache.stream_state(Source::Stripe, stream.name()).await?;
            if matches!(Place::of(&state), Place::Current { .. }) {
                self.begin_again(stream).await?;
            }
        }
        Ok(())
    }

    async fn begin_again(&self, stream: Stream) -> Result<(), PassError> {
        let at = self.shared.status.now();
        let progress = StreamProgress { cursor: None, complete_at: None, at, unreadable: Vec::new() };
        Ok(self.shared.cache.set_stream_progress(Source::Stripe, stream.name(), &progress).await?)
    }

    /// Writes a page of a list with the place after it, and as of when the list is complete with it.
    async fn write(
        &self,
        stream: Stream,
        objects: Vec<Object>,
        unreadable: &[Unreadable],
        place: &Place,
        complete_at: Option<Timestamp>,
    ) -> Result<(), PassError> {
        let changed = !objects.is_empty();
        warn_of(stream, unreadable);
        let rows: Vec<StripeRow> = objects.into_iter().map(row).collect();
        let progress = StreamProgress {
            cursor: Some(place.to_value()),
            complete_at,
            at: self.shared.status.now(),
            unreadable: unreadable.iter().map(|lost| lost.id.clone()).collect(),
        };
        self.shared.cache.apply_stripe_page(stream, &rows, &progress).await?;
        if changed && stream != Stream::Events {
            self.shared.status.data_changed();
        }
        Ok(())
    }
}

fn warn_of(stream: Stream, unreadable: &[Unreadable]) {
    for lost in unreadable {
        tracing::warn!(%stream, id = lost.id, path = lost.path, error = lost.error, "an object cannot be read");
    }
}

fn row(object: Object) -> StripeRow {
    StripeRow { id: object.id, created: object.created, raw: object.raw }
}

fn not_given(failure: &Failure) -> bool {
    matches!(failure.code, FailureCode::StripePermission { .. } | FailureCode::StripeMissing { .. })
}

/// A failure as the window sees it.
pub(crate) fn failure(stream: Stream, error: &Error) -> Failure {
    let source = Source::Stripe;
    let code = match &error.kind {
        ErrorKind::Address(_) => FailureCode::AddressInvalid,
        ErrorKind::Unauthorized { .. } => FailureCode::StripeKeyRefused,
        ErrorKind::PermissionMissing { permission, .. } => {
            FailureCode::StripePermission { permission: permission.clone(), stream: stream.name().to_owned() }
        }
        // A list that is refused however it is asked for is not offered in a way that we can read.
        ErrorKind::NotOffered { .. } | ErrorKind::Refused { .. } => {
            FailureCode::StripeMissing { stream: stream.name().to_owned() }
        }
        ErrorKind::RateLimited => FailureCode::StripeRateLimited,
        ErrorKind::Transport(Fault::UnknownHost { host }) => FailureCode::AddressUnknown { host: host.clone() },
        ErrorKind::Transport(Fault::Unreachable(_)) => FailureCode::Unreachable { source },
        ErrorKind::Transport(Fault::TimedOut) => FailureCode::TimedOut { source },
        ErrorKind::Transport(Fault::Tls) => FailureCode::TlsFailed,
        ErrorKind::NotFound { .. } | ErrorKind::Server(_) | ErrorKind::Unreadable { .. } => FailureCode::StripeFault,
    };
    let mut failure = Failure::of(code, format!("{stream}: {error}"));
    failure.request_id.clone_from(&error.request_id);
    failure
}

/// Whether an error is the whole source's, or one list's.
fn apart(stream: Stream, error: &Error) -> Result<Outcome, PassError> {
    let failure = failure(stream, error);
    match error.kind {
        ErrorKind::Unauthorized { .. } | ErrorKind::RateLimited | ErrorKind::Transport(_) | ErrorKind::Address(_) => {
            Err(PassError { failure, retry_after: error.retry_after })
        }
        _ => Ok(Outcome::Apart(failure)),
    }
}

/// The ids that a value names: an id, or an object with one.
fn id_of(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value.get("id")?.as_str()).filter(|id| !id.is_empty()).map(str::to_owned)
}
