//! The server's feed.

use std::sync::Arc;

use paywall_contract::{ChangesPage, ChangesQuery, ProblemCode};
use serde_json::Value;

use super::status::SKEW;
use super::{Pace, PassError, Shared, billing, cancellable, health, now};
use crate::admin_client::{AdminClient, AdminError};
use crate::cache::{CacheError, FEED};
use crate::ipc::{Failure, FailureCode, Source};

impl From<AdminError> for PassError {
    fn from(error: AdminError) -> Self {
        Self { retry_after: error.retry_after, failure: error.failure }
    }
}

/// Reads the feed, pass after pass, until the engine stops.
pub(super) async fn run(shared: Arc<Shared>, client: AdminClient) {
    let mut pace = Pace::new(Source::Server);
    // After a failure somebody else may answer at the address, so who it is is asked again.
    let mut introduced = false;
    loop {
        let token = shared.server.begin_pass(&shared.stop);
        let result = cancellable(&token, pass(&shared, &client, &mut introduced)).await;
        if let Err(error) = &result {
            introduced = false;
            tracing::info!(error = %error.failure.detail, "the server's feed could not be read");
        }
        if pace.rest(&shared, &shared.server, result).await.is_none() {
            return;
        }
    }
}

async fn pass(shared: &Shared, client: &AdminClient, introduced: &mut bool) -> Result<(), PassError> {
    introduce(shared, client, introduced).await?;
    // Side by side: how the server and billing are must not wait for a long first copy, nor the copy for them.
    let billing = Box::pin(billing::ask(shared, client));
    let (read, told, billing) = tokio::join!(feed(shared, client), health::ask(shared, client), billing);
    read?;
    told?;
    Ok(billing?)
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

async fn feed(shared: &Shared, client: &AdminClient) -> Result<(), PassError> {
    let state = shared.cache.stream_state(Source::Server, FEED).await?;
    let mut after = state.cursor.as_ref().and_then(Value::as_str).map(str::to_owned);
    let mut done = 0;
    loop {
        let asked = now();
        let query = ChangesQuery { after: after.clone(), limit: Some(shared.options.feed_page) };
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
            other => {
                other?;
            }
        }
        done += page.changes.len() as i64;
        tell(shared, &page, done);
        if !page.has_more {
            shared.status.complete(Source::Server, asked_at);
            return Ok(());
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
