//! The server's feed.

use std::sync::Arc;
use std::time::Duration;

use paywall_contract::{ChangesPage, ChangesQuery, ProblemCode};
use serde_json::Value;
use tokio::time::Instant;

use super::status::SKEW;
use super::{Due, Pace, PassError, Shared, billing, cancellable, health, now, usage};
use crate::admin_client::{AdminClient, AdminError};
use crate::cache::{CacheError, FEED};
use crate::ipc::{Failure, FailureCode, Source};

impl From<AdminError> for PassError {
    fn from(error: AdminError) -> Self {
        Self { retry_after: error.retry_after, failure: error.failure }
    }
}

/// The pause after a pass before the server is asked for news: a busy one makes no more passes than this allows.
const BREATH: Duration = Duration::from_millis(500);

/// The longest that the server is asked to hold back its answer, in seconds: less than a request may take.
const LONGEST_WAIT: u64 = 10;

/// Reads the feed, pass after pass, until the engine stops.
pub(super) async fn run(shared: Arc<Shared>, client: AdminClient) {
    let mut pace = Pace::new(Source::Server);
    // After a failure somebody else may answer at the address, so who it is is asked again.
    let mut introduced = false;
    let mut due = Due::Whole;
    let mut whole = Instant::now();
    loop {
        let token = shared.server.begin_pass(&shared.stop);
        // However much news there is, what is beside the feed is asked for as often as without any.
        if due == Due::News && whole.elapsed() >= shared.options.interval {
            due = Due::Whole;
        }
        if due == Due::Whole {
            whole = Instant::now();
        }
        let result = cancellable(&token, pass(&shared, &client, due, &mut introduced)).await;
        if let Err(error) = &result {
            introduced = false;
            tracing::info!(error = %error.failure.detail, "the server's feed could not be read");
        }
        match pace.rest(&shared, &shared.server, result, news(&shared, &client)).await {
            None => return,
            Some(next) => due = next,
        }
    }
}

/// Ends when the server has a change that the copy has not.
async fn news(shared: &Shared, client: &AdminClient) {
    tokio::time::sleep(BREATH).await;
    let known = shared.cache.stream_state(Source::Server, FEED).await.ok();
    let after = known.and_then(|it| it.cursor.as_ref().and_then(Value::as_str).map(str::to_owned));
    let wait = shared.options.interval.as_secs().clamp(1, LONGEST_WAIT) as u32;
    while let Some(after) = &after {
        let asked = Instant::now();
        let query = ChangesQuery { after: Some(after.clone()), limit: Some(1), wait: Some(wait) };
        match client.changes(&query).await {
            Ok(page) if !page.changes.is_empty() => return,
            // One that does not wait is older, or stops: what it has is found at the usual time, as what it fails at.
            Ok(_) if asked.elapsed() >= Duration::from_secs(wait.into()) => {}
            _ => break,
        }
    }
    std::future::pending::<()>().await;
}

async fn pass(shared: &Shared, client: &AdminClient, due: Due, introduced: &mut bool) -> Result<(), PassError> {
    introduce(shared, client, introduced).await?;
    if due == Due::News {
        let paid = feed(shared, client).await?;
        return if paid { Ok(billing::ask(shared, client).await?) } else { Ok(()) };
    }
    // Side by side: how the server and billing are must not wait for a long first copy, nor the copy for them.
    let billing = Box::pin(billing::ask(shared, client));
    let (read, told, billing) = tokio::join!(feed(shared, client), health::ask(shared, client), billing);
    read?;
    told?;
    billing?;
    // After the feed: whose days they are is known then.
    Ok(usage::ask(shared, client).await?)
}

async fn introduce(shared: &Shared, client: &AdminClient, introduced: &mut bool) -> Result<(), PassError> {
    if !*introduced || shared.server.asked.swap(false, std::sync::atomic::Ordering::SeqCst) {
        let caller = client.me().await?;
        shared.status.reached(Source::Server);
        shared.status.took_caller(caller);
        *introduced = true;
    }
    Ok(())
}

/// Reads the feed to its end. Answers whether it told of payments; Stripe is asked for those at once.
async fn feed(shared: &Shared, client: &AdminClient) -> Result<bool, PassError> {
    let mut paid = false;
    let state = shared.cache.stream_state(Source::Server, FEED).await?;
    let mut after = state.cursor.as_ref().and_then(Value::as_str).map(str::to_owned);
    let mut done = 0;
    loop {
        let asked = now();
        let query = ChangesQuery { after: after.clone(), limit: Some(shared.options.feed_page), wait: None };
        let page = match client.changes(&query).await {
            Err(error) if after.is_some() && cursor_refused(&error) => {
                // The server's history is not the one that the copy was read from: it may have been put back
                // to an earlier day, and what never happened there must not stay here.
                tracing::warn!("the server does not know the copy's place: its part of the copy starts over");
                start_over(shared).await?;
                after = None;
                continue;
            }
            other => other?,
        };
        shared.status.reached(Source::Server);
        if shared.status.clock(client.clock_skew_ms())
            && let Some(skew) = client.clock_skew_ms()
        {
            shared.cache.set_fact(SKEW, &skew.to_string()).await?;
        }
        let asked_at = asked.plus_ms(-client.clock_skew_ms().unwrap_or(0));
        if page.has_more && (page.changes.is_empty() || after.as_ref() == Some(&page.cursor)) {
            return Err(Failure::of(FailureCode::ServerFault, "the feed does not move on").into());
        }
        match shared.cache.apply_feed_page(&page, asked_at).await {
            Err(CacheError::OtherInstance { known, found }) => {
                tracing::warn!(known, found, "the server's database is another one: its part of the copy starts over");
                start_over(shared).await?;
                after = None;
                continue;
            }
            other => paid |= other?.paid,
        }
        done += page.changes.len() as i64;
        tell(shared, &page, done);
        if !page.has_more {
            shared.status.complete(Source::Server, asked_at);
            if paid {
                shared.stripe.news.notify_one();
            }
            return Ok(paid);
        }
        after = Some(page.cursor);
    }
}

async fn start_over(shared: &Shared) -> Result<(), PassError> {
    shared.cache.reset_server_data().await?;
    shared.status.forget(Source::Server);
    shared.status.data_changed();
    Ok(())
}

fn tell(shared: &Shared, page: &ChangesPage, done: i64) {
    if !page.changes.is_empty() {
        shared.status.data_changed();
    }
    if page.has_more || done > 0 {
        let total = Some(done + page.remaining.max(0));
        shared.status.progress(Source::Server, "tenants", done, total);
    }
}

fn cursor_refused(error: &AdminError) -> bool {
    error.problem().is_some_and(|problem| problem.code == ProblemCode::InvalidCursor)
}
