//! Asks Stripe for events that no webhook brought.

use std::collections::BTreeSet;
use std::time::Duration;

use paywall_domain::Timestamp;
use paywall_domain::billing::WEBHOOK_EVENTS;
use paywall_stripe::parameters::EventsQuery;
use paywall_stripe::shapes::Event;
use tokio::time::Instant;

use super::Billing;
use super::inbox::{self, Source};
use super::webhook::told;
use super::worker::WorkError;
use crate::server::State;
use crate::store::StoreError;

/// How many types Stripe lets ask for at once.
const TYPES_MOST: usize = 20;

/// How far a look goes back before where the last one ended: an event may show up late.
const OVERLAP_S: i64 = 3_600;

/// How far the first look goes back.
const FIRST_S: i64 = 86_400;

/// How long Stripe keeps events, less a margin.
const KEPT_S: i64 = 29 * 86_400;

/// How long it is waited for the turns of what could not be delivered, and the time between two looks.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Takes the events since the last look. Answers where the next one begins.
pub(crate) async fn new_events(state: &State, billing: &Billing, cursor: Option<&str>) -> Result<String, WorkError> {
    let now = state.clock.now().0.div_euclid(1000);
    let last = cursor.and_then(|it| it.parse::<i64>().ok());
    let from = last.map_or(now - FIRST_S, |it| it - OVERLAP_S).max(now - KEPT_S);
    let mut newest = last.unwrap_or(from);
    let mut pages = Pages::of(&EventsQuery { created_gte: Some(from), ..EventsQuery::default() });
    while let Some(events) = pages.next(billing).await? {
        newest = events.iter().filter_map(|it| it.created).fold(newest, i64::max);
        take(state, billing, &events, Source::Poll).await?;
    }
    Ok(newest.to_string())
}

/// Takes the events that Stripe could not deliver, and gives each a turn. Answers how many are not processed
/// then.
pub(crate) async fn undelivered(state: &State, billing: &Billing) -> Result<u64, WorkError> {
    let now = state.clock.now().0.div_euclid(1000);
    let mut pages = Pages::of(&EventsQuery {
        created_gte: Some(now - KEPT_S),
        delivery_success: Some(false),
        ..EventsQuery::default()
    });
    let mut ids = BTreeSet::new();
    while let Some(events) = pages.next(billing).await? {
        take(state, billing, &events, Source::Undelivered).await?;
        ids.extend(events.into_iter().map(|it| it.id));
    }
    let mut write = state.store.write_beside().await?;
    inbox::delivered_but(&mut write, &ids).await?;
    write.commit().await.map_err(StoreError::from)?;
    let begun = Instant::now();
    loop {
        let mut read = state.store.read().await?;
        let (count, due) = inbox::undelivered(&mut read, state.clock.now()).await?;
        drop(read);
        if due == 0 || begun.elapsed() > PATIENCE {
            return Ok(u64::try_from(count).unwrap_or_default());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn take(state: &State, billing: &Billing, events: &[Event], source: Source) -> Result<(), WorkError> {
    let now: Timestamp = state.clock.now();
    let mut write = state.store.write_beside().await?;
    for event in events {
        inbox::take(&mut write, &told(event, billing.settings.mode, source, now), now).await?;
    }
    write.commit().await.map_err(StoreError::from)?;
    billing.wake();
    Ok(())
}

/// Every page of the events that matter here.
struct Pages {
    /// What is still to be asked for, the next last.
    queries: Vec<EventsQuery>,
}

impl Pages {
    fn of(query: &EventsQuery) -> Self {
        let of =
            |types: &[&str]| EventsQuery { types: types.iter().map(ToString::to_string).collect(), ..query.clone() };
        Self { queries: WEBHOOK_EVENTS.chunks(TYPES_MOST).map(of).collect() }
    }

    async fn next(&mut self, billing: &Billing) -> Result<Option<Vec<Event>>, WorkError> {
        let Some(query) = self.queries.pop() else { return Ok(None) };
        let page = billing.client.list_events(&query).await?;
        billing.answered();
        for it in &page.unreadable {
            tracing::warn!(event = it.id, path = it.path, error = it.error, "an event of Stripe cannot be read");
        }
        if page.has_more && page.last_id != query.starting_after {
            self.queries.push(EventsQuery { starting_after: page.last_id, ..query });
        }
        Ok(Some(page.items))
    }
}
