//! Reading a list from one end to the other.

use std::collections::HashSet;

use paywall_stripe::{ErrorKind, ListPage, ListParams, Stream};

use super::place::Place;
use super::{Mirror, Outcome, apart};
use crate::ipc::{Failure, FailureCode, Source};
use crate::sync::PassError;

impl Mirror {
    /// Reads on from `place` to the end of the list. Whatever order the list is in, it arrives whole, and is then
    /// complete as of when its first page was asked for; events that are followed make it newer than that.
    pub(super) async fn backfill(&self, stream: Stream, place: Place) -> Result<Outcome, PassError> {
        let (mut after, mut newest, mut done, began) = match place {
            Place::Backfill { after, newest, done, began } => (after, newest, done, began),
            Place::Current { newest } => (None, newest, 0, None),
        };
        let mut began = began.unwrap_or_else(|| self.shared.status.now());
        let mut seen: HashSet<String> = HashSet::new();
        let mut restarted = false;
        loop {
            let params = ListParams {
                limit: Some(self.shared.options.stripe_page),
                starting_after: after.clone(),
                ..ListParams::default()
            };
            let page = match self.client.list(stream, &params).await {
                Ok(page) => page,
                // The object that stood as the cursor is gone.
                Err(error) if matches!(error.kind, ErrorKind::Refused { .. }) && after.is_some() && !restarted => {
                    restarted = true;
                    after = None;
                    done = 0;
                    began = self.shared.status.now();
                    seen.clear();
                    continue;
                }
                Err(error) => return apart(stream, &error),
            };
            self.shared.status.reached(Source::Stripe);
            if page.has_more && !brings_new(&page, &mut seen) {
                let detail = format!("{stream}: the same page came again and again");
                return Ok(Outcome::Apart(Failure::of(FailureCode::StripeFault, detail)));
            }
            newest = page.objects.iter().map(|object| object.created).fold(newest, i64::max);
            done += (page.objects.len() + page.unreadable.len()) as i64;
            after = page.last_id.clone().or(after);
            let place = if page.has_more {
                Place::Backfill { after: after.clone(), newest, done, began: Some(began) }
            } else {
                Place::Current { newest }
            };
            let complete_at = (!page.has_more).then_some(began);
            self.write(stream, page.objects, &page.unreadable, &place, complete_at).await?;
            self.shared.status.progress(Source::Stripe, stream.name(), done, None);
            if !page.has_more {
                return Ok(Outcome::Complete);
            }
        }
    }
}

/// Whether a page has anything that the pages before it had not.
pub(super) fn brings_new(page: &ListPage, seen: &mut HashSet<String>) -> bool {
    let mut new = false;
    for object in &page.objects {
        new |= seen.insert(object.id.clone());
    }
    for lost in &page.unreadable {
        new |= seen.insert(lost.id.clone());
    }
    new
}
