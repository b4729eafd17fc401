//! Reading a list from one end to the other, in windows of time side by side.

use paywall_domain::Timestamp;
use paywall_stripe::{Error, ListPage, Stream};
use tokio::task::JoinSet;

use super::place::Place;
use super::reading::{Reading, Request, Taken};
use super::{Mirror, Outcome, apart, row, warn_of};
use crate::cache::{ReadingEnd, StreamProgress};
use crate::ipc::{Failure, FailureCode, Source};
use crate::sync::PassError;

/// A reading, as far as it is the same for every window.
struct Begun {
    began: Timestamp,
    whole: bool,
    sweep: bool,
    reading: Reading,
}

impl Begun {
    fn place(&self) -> Place {
        if self.reading.ended() {
            Place::Current { newest: self.reading.newest() }
        } else {
            Place::Backfill { began: Some(self.began), whole: self.whole, sweep: self.sweep }
        }
    }

    fn end(&self) -> ReadingEnd {
        match (self.reading.ended(), self.sweep) {
            (false, _) => ReadingEnd::NotYet,
            (true, false) => ReadingEnd::Done,
            (true, true) => ReadingEnd::Sweep,
        }
    }
}

impl Mirror {
    /// Reads on from `place` to the end of the list. Whatever order the list is in, it arrives whole, and is then
    /// complete as of when its first page was asked for; events that are followed make it newer than that.
    pub(super) async fn backfill(&self, stream: Stream, place: Place) -> Result<Outcome, PassError> {
        let mut begun = match self.resume(stream, &place).await? {
            Some(begun) => begun,
            None => self.begin(stream, false).await?,
        };
        loop {
            if let Some(outcome) = self.read_windows(stream, &mut begun).await? {
                return Ok(outcome);
            }
            tracing::info!(%stream, "the list cannot be narrowed by time: it is read in one piece");
            begun = self.begin(stream, true).await?;
        }
    }

    async fn resume(&self, stream: Stream, place: &Place) -> Result<Option<Begun>, PassError> {
        let Place::Backfill { began: Some(began), whole, sweep } = *place else { return Ok(None) };
        let windows = self.shared.cache.stripe_windows(stream).await?;
        // One of an earlier version had no windows.
        if windows.is_empty() {
            return Ok(None);
        }
        let reading = Reading::of(windows, whole, self.shared.options.stripe_page);
        Ok(Some(Begun { began, whole, sweep, reading }))
    }

    async fn begin(&self, stream: Stream, whole: bool) -> Result<Begun, PassError> {
        let cache = &self.shared.cache;
        let began = self.shared.status.now();
        let sweep = cache.has_stripe(stream).await?;
        let place = Place::Backfill { began: Some(began), whole, sweep };
        let first = cache.begin_stripe_reading(stream, &place.to_value(), began).await?;
        let reading = Reading::of(vec![first], whole, self.shared.options.stripe_page);
        Ok(Begun { began, whole, sweep, reading })
    }

    /// Reads every window to its end. `None` = the list cannot be narrowed by time.
    async fn read_windows(&self, stream: Stream, begun: &mut Begun) -> Result<Option<Outcome>, PassError> {
        // Dropped with this future, it ends the requests that are under way.
        let mut requests: JoinSet<(Request, Result<ListPage, Error>)> = JoinSet::new();
        while !begun.reading.ended() {
            self.send(stream, &mut begun.reading, &mut requests);
            let Some(answered) = requests.join_next().await else {
                return Err(Failure::of(FailureCode::Internal, format!("{stream}: nothing is left to ask for")).into());
            };
            let (request, answer) = answered.map_err(|error| Failure::of(FailureCode::Internal, error.to_string()))?;
            let page = match begun.reading.take(&request, answer) {
                Taken::Page(page) => page,
                Taken::Again => continue,
                Taken::NotNarrowed => return Ok(None),
                Taken::Stuck => {
                    let detail = format!("{stream}: the same page came again and again");
                    return Ok(Some(Outcome::Apart(Failure::of(FailureCode::StripeFault, detail))));
                }
                Taken::Failed(error) => return apart(stream, &error).map(Some),
            };
            self.shared.status.reached(Source::Stripe);
            // What comes next is under way while this is written.
            self.send(stream, &mut begun.reading, &mut requests);
            self.write_window(stream, begun, page).await?;
        }
        Ok(Some(Outcome::Complete))
    }

    /// Sends requests as long as some may be.
    fn send(&self, stream: Stream, reading: &mut Reading, requests: &mut JoinSet<(Request, Result<ListPage, Error>)>) {
        while requests.len() < self.shared.options.windows.max(1) {
            let Some(request) = reading.next() else { return };
            let client = self.client.clone();
            requests.spawn(async move {
                let answer = client.list(stream, &request.params).await;
                (request, answer)
            });
        }
    }

    /// Writes a page together with the windows that it moved.
    async fn write_window(&self, stream: Stream, begun: &mut Begun, page: ListPage) -> Result<(), PassError> {
        let changed = !page.objects.is_empty();
        warn_of(stream, &page.unreadable);
        let windows = begun.reading.moved();
        let end = begun.end();
        let progress = StreamProgress {
            cursor: Some(begun.place().to_value()),
            complete_at: (end != ReadingEnd::NotYet).then_some(begun.began),
            at: self.shared.status.now(),
            unreadable: page.unreadable.into_iter().map(|lost| lost.id).collect(),
        };
        let rows: Vec<_> = page.objects.into_iter().map(row).collect();
        self.shared.cache.apply_stripe_window(stream, &rows, &progress, &windows, end).await?;
        if changed {
            self.shared.status.data_changed();
        }
        self.shared.status.progress(Source::Stripe, stream.name(), begun.reading.done(), None);
        Ok(())
    }
}
