//! Staying current: events say what to fetch again.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures::{FutureExt, StreamExt};
use paywall_domain::Timestamp;
use paywall_stripe::{API_VERSION, ErrorKind, ListParams, Object, Stream};
use serde_json::Value;

use super::place::{Events, Place};
use super::reading::brings_new;
use super::{EVENTS_KEPT_S, Mirror, Outcome, apart, failure, id_of, not_given, row, warn_of};
use crate::cache::{StreamProgress, StripeRow};
use crate::ipc::{Failure, FailureCode, OtherVersion, Source, VersionSeenIn};
use crate::sync::PassError;

/// How far before the latest event the next pass begins: Stripe shows events of one second in no
/// certain order, and some late.
const OVERLAP_S: i64 = 300;
/// How many objects are fetched again at the same time.
const FETCHES: usize = 8;

impl Mirror {
    /// Where to follow events from. Fixes the place where there is none yet.
    pub(super) async fn events_place(&self, try_missing: bool) -> Result<Events, PassError> {
        let state = self.shared.cache.stream_state(Source::Stripe, Stream::Events.name()).await?;
        if let Some(failure) = state.missing.clone().filter(|_| !try_missing) {
            return Ok(Events::NotGiven(failure));
        }
        if state.missing.is_some() {
            // What happened while they could not be read is found by reading the lists again. The place is
            // kept last: a pass that is killed in between begins with this again.
            return match self.latest_event().await? {
                Ok(newest) => {
                    self.read_again().await?;
                    self.keep_events_place(newest).await
                }
                Err(failure) => Ok(Events::NotGiven(failure)),
            };
        }
        match Place::of(&state) {
            Place::Current { newest } if state.cursor.is_some() => {
                let old = self.shared.status.now().0 / 1000 - newest > EVENTS_KEPT_S;
                // Nothing may have happened for long; only a copy that was not synced for long is too old.
                let synced = state.last_success_at.map_or(0, |at| at.0 / 1000);
                let lapsed = self.shared.status.now().0 / 1000 - synced > EVENTS_KEPT_S;
                Ok(if old && lapsed { Events::TooOld } else { Events::Since(newest) })
            }
            _ => self.first_events_place().await,
        }
    }

    /// Asks for the latest event and keeps its place.
    pub(super) async fn first_events_place(&self) -> Result<Events, PassError> {
        match self.latest_event().await? {
            Ok(newest) => self.keep_events_place(newest).await,
            Err(failure) => Ok(Events::NotGiven(failure)),
        }
    }

    /// When the latest event was made, in Unix seconds, 0 where there is none; or why events are not given.
    async fn latest_event(&self) -> Result<Result<i64, Failure>, PassError> {
        let params = ListParams { limit: Some(1), ..ListParams::default() };
        let page = match self.client.list(Stream::Events, &params).await {
            Ok(page) => page,
            Err(error) => {
                return match apart(Stream::Events, &error)? {
                    Outcome::Apart(failure) if not_given(&failure) => Ok(Err(failure)),
                    _ => Err(failure(Stream::Events, &error).into()),
                };
            }
        };
        self.shared.status.reached(Source::Stripe);
        Ok(Ok(page.objects.first().map_or(0, |event| event.created)))
    }

    async fn keep_events_place(&self, newest: i64) -> Result<Events, PassError> {
        let progress = StreamProgress {
            cursor: Some(Place::Current { newest }.to_value()),
            complete_at: None,
            at: self.shared.status.now(),
            unreadable: Vec::new(),
        };
        self.shared.cache.set_stream_progress(Source::Stripe, Stream::Events.name(), &progress).await?;
        Ok(Events::Since(newest))
    }

    /// Fetches again whatever events since `since` are about. An event is kept once its objects are, and
    /// a kept one is not acted on again: that makes the overlap cheap and a killed pass go on.
    pub(super) async fn follow_events(&self, since: i64) -> Result<Outcome, PassError> {
        let mut newest = since;
        let mut after: Option<String> = None;
        let mut seen: HashSet<String> = HashSet::new();
        let mut fetched: BTreeSet<(Stream, String)> = BTreeSet::new();
        loop {
            let params = ListParams {
                starting_after: after.clone(),
                created_gte: Some((since - OVERLAP_S).max(0)),
                ..ListParams::default()
            };
            let page = match self.client.list(Stream::Events, &params).await {
                Ok(page) => page,
                Err(error) => return apart(Stream::Events, &error),
            };
            self.shared.status.reached(Source::Stripe);
            if page.has_more && !brings_new(&page, &mut seen) {
                let detail = "events: the same page came again and again";
                return Ok(Outcome::Apart(Failure::of(FailureCode::StripeFault, detail)));
            }
            newest = page.objects.iter().map(|event| event.created).fold(newest, i64::max);
            let ids: Vec<String> = page.objects.iter().map(|event| event.id.clone()).collect();
            let seen_before = self.shared.cache.events_seen(&ids).await?;
            let fresh: Vec<Object> = page.objects.into_iter().filter(|it| !seen_before.contains(&it.id)).collect();
            self.note_versions(&fresh).await?;
            let mut found: BTreeMap<(Stream, String), i64> = BTreeMap::new();
            for event in &fresh {
                for object in touched(&event.raw).into_iter().filter(|it| !fetched.contains(it)) {
                    let latest = found.entry(object).or_insert(event.created);
                    *latest = event.created.max(*latest);
                }
            }
            if let Outcome::Apart(failure) = self.fetch_again(&found).await? {
                return Ok(Outcome::Apart(failure));
            }
            fetched.extend(found.into_keys());
            after = page.last_id.clone();
            // The place moves only when the last page is done: the pages come newest first.
            let place = Place::Current { newest: if page.has_more { since } else { newest } };
            self.write(Stream::Events, fresh, &page.unreadable, &place, None).await?;
            if !page.has_more {
                return Ok(Outcome::Complete);
            }
        }
    }

    /// Notes in which other versions events came, with the latest example of each.
    async fn note_versions(&self, events: &[Object]) -> Result<(), PassError> {
        let mut noted: BTreeSet<&str> = BTreeSet::new();
        for event in events {
            let version = event.raw["api_version"].as_str().filter(|it| *it != API_VERSION);
            if let Some(version) = version.filter(|it| noted.insert(it)) {
                let seen = OtherVersion {
                    version: version.to_owned(),
                    seen_in: VersionSeenIn::Events,
                    example: event.id.clone(),
                    at: self.shared.status.now(),
                };
                self.shared.cache.note_stripe_version(&seen).await?;
            }
        }
        Ok(())
    }

    /// Tries again to read what could not be: the object, or this program, may have changed. Gives the failure
    /// where a list is broken.
    pub(super) async fn retry_unreadable(&self) -> Result<Option<Failure>, PassError> {
        let mut lost: BTreeMap<(Stream, String), i64> = BTreeMap::new();
        let now = self.shared.status.now().0 / 1000;
        for stream in Stream::OBJECTS {
            let state = self.shared.cache.stream_state(Source::Stripe, stream.name()).await?;
            lost.extend(state.unreadable.into_iter().map(|id| ((stream, id), now)));
        }
        Ok(match self.fetch_again(&lost).await? {
            Outcome::Complete => None,
            Outcome::Apart(failure) => Some(failure),
        })
    }

    /// Fetches objects in their present state, as far as their lists are given; with each comes the second in
    /// which it last changed.
    async fn fetch_again(&self, touched: &BTreeMap<(Stream, String), i64>) -> Result<Outcome, PassError> {
        let cache = &self.shared.cache;
        for stream in Stream::OBJECTS {
            let of_stream = touched.iter().filter(|((of, _), _)| *of == stream);
            let changed: BTreeMap<String, Timestamp> =
                of_stream.map(|((_, id), at)| (id.clone(), Timestamp(at.saturating_mul(1000)))).collect();
            let ids: Vec<&String> = changed.keys().collect();
            if ids.is_empty() {
                continue;
            }
            let state = cache.stream_state(Source::Stripe, stream.name()).await?;
            if state.missing.is_some() || !matches!(Place::of(&state), Place::Current { .. }) {
                // It is read in full later anyway.
                continue;
            }
            let fetches: Vec<_> =
                ids.into_iter().map(|id| async move { (id, self.client.get(stream, id).await) }.boxed()).collect();
            let mut answers = futures::stream::iter(fetches).buffer_unordered(FETCHES);
            let (mut rows, mut payments) = (Vec::new(), Vec::new());
            while let Some((id, answer)) = answers.next().await {
                match answer {
                    Ok(mut object) => {
                        payments.extend(payments_within(&mut object.raw));
                        rows.push(row(object));
                    }
                    Err(error) if matches!(error.kind, ErrorKind::NotFound { .. }) => {
                        cache.delete_stripe(stream, id).await?;
                        cache.clear_unreadable(Source::Stripe, stream.name(), std::slice::from_ref(id)).await?;
                    }
                    Err(error) if matches!(error.kind, ErrorKind::Unreadable { .. }) => {
                        tracing::warn!(%stream, id, %error, "an object cannot be read");
                        let unreadable = vec![id.clone()];
                        let progress = StreamProgress {
                            cursor: state.cursor.clone(),
                            complete_at: None,
                            at: self.shared.status.now(),
                            unreadable,
                        };
                        cache.set_stream_progress(Source::Stripe, stream.name(), &progress).await?;
                    }
                    Err(error) => {
                        let outcome = apart(stream, &error)?;
                        if let Outcome::Apart(failure) = &outcome
                            && not_given(failure)
                        {
                            // The key may list but not read single ones, or lost a permission.
                            cache.set_stream_missing(Source::Stripe, stream.name(), Some(failure)).await?;
                            break;
                        }
                        return Ok(outcome);
                    }
                }
            }
            let read: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
            cache.apply_stripe_rows(stream, &rows, self.shared.status.now(), &changed).await?;
            if read.iter().any(|id| state.unreadable.contains(id)) {
                cache.clear_unreadable(Source::Stripe, stream.name(), &read).await?;
            }
            let theirs = cache.stream_state(Source::Stripe, Stream::InvoicePayments.name()).await?;
            if !payments.is_empty() && matches!(Place::of(&theirs), Place::Current { .. }) {
                let now = self.shared.status.now();
                cache.apply_stripe_rows(Stream::InvoicePayments, &payments, now, &BTreeMap::new()).await?;
            }
            self.shared.status.data_changed();
        }
        Ok(Outcome::Complete)
    }

    /// Lists what was made since the latest object that is known.
    pub(super) async fn list_new(&self, stream: Stream, since: i64) -> Result<Outcome, PassError> {
        let mut newest = since;
        let mut after: Option<String> = None;
        let mut seen: HashSet<String> = HashSet::new();
        loop {
            let params = ListParams {
                starting_after: after.clone(),
                // The second itself again: more may have been made in it.
                created_gte: Some(since),
                ..ListParams::default()
            };
            let page = match self.client.list(stream, &params).await {
                Ok(page) => page,
                // What answers there cannot narrow a list by time. Its events, or else reading it in full,
                // bring what is new.
                Err(error) if matches!(error.kind, ErrorKind::Refused { .. }) => return Ok(Outcome::Complete),
                Err(error) => return apart(stream, &error),
            };
            self.shared.status.reached(Source::Stripe);
            if page.has_more && !brings_new(&page, &mut seen) {
                let detail = format!("{stream}: the same page came again and again");
                return Ok(Outcome::Apart(Failure::of(FailureCode::StripeFault, detail)));
            }
            newest = page.objects.iter().map(|object| object.created).fold(newest, i64::max);
            after = page.last_id.clone();
            let place = Place::Current { newest: if page.has_more { since } else { newest } };
            self.write(stream, page.objects, &page.unreadable, &place, None).await?;
            if !page.has_more {
                return Ok(Outcome::Complete);
            }
        }
    }
}

/// Takes an invoice's payments out of it: they are a list of their own here.
fn payments_within(raw: &mut Value) -> Vec<StripeRow> {
    let payments = raw.as_object_mut().and_then(|raw| raw.remove("payments"));
    let Some(Value::Array(payments)) = payments.and_then(|mut list| Some(list.get_mut("data")?.take())) else {
        return Vec::new();
    };
    let read = payments.into_iter().map(|payment| Object::read(Stream::InvoicePayments, payment));
    read.filter_map(|payment| match payment {
        Ok(payment) => Some(row(payment)),
        Err(lost) => {
            warn_of(Stream::InvoicePayments, &[lost]);
            None
        }
    })
    .collect()
}

/// The objects of ours that an event may have changed.
fn touched(event: &Value) -> Vec<(Stream, String)> {
    let Some(object) = event.pointer("/data/object") else { return Vec::new() };
    let kind = object.get("object").and_then(Value::as_str).unwrap_or_default();
    let mut found = Vec::new();
    let mut add = |stream: Stream, value: Option<&Value>| {
        if let Some(id) = value.and_then(id_of) {
            found.push((stream, id));
        }
    };
    match Stream::of_object(kind) {
        Some(stream) if stream != Stream::Events => {
            add(stream, object.get("id"));
            if matches!(stream, Stream::Refunds | Stream::Disputes) {
                add(Stream::Charges, object.get("charge"));
            }
            if matches!(stream, Stream::CreditNotes) {
                add(Stream::Invoices, object.get("invoice"));
            }
        }
        // A discount, a payment method, a payment of an invoice: what it belongs to has changed.
        _ => {
            for (field, stream) in [
                ("customer", Stream::Customers),
                ("subscription", Stream::Subscriptions),
                ("invoice", Stream::Invoices),
                ("charge", Stream::Charges),
            ] {
                add(stream, object.get(field));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_about_something_else_touches_what_it_belongs_to() {
        let event = |object: Value| json!({"data": {"object": object}});
        assert_eq!(
            touched(&event(json!({"object": "invoice", "id": "in_1", "customer": "cus_1"}))),
            [(Stream::Invoices, "in_1".to_owned())]
        );
        assert_eq!(
            touched(&event(json!({"object": "refund", "id": "re_1", "charge": {"id": "ch_1"}}))),
            [(Stream::Refunds, "re_1".to_owned()), (Stream::Charges, "ch_1".to_owned())]
        );
        assert_eq!(
            touched(&event(json!({"object": "discount", "id": "di_1", "customer": "cus_1", "subscription": "sub_1"}))),
            [(Stream::Customers, "cus_1".to_owned()), (Stream::Subscriptions, "sub_1".to_owned())]
        );
        assert_eq!(touched(&event(json!({"object": "payout", "id": "po_1"}))), []);
    }
}
