//! What tenants used by day. After the server's feed: nothing that is read from that depends on this.

use std::sync::atomic::Ordering;

use paywall_contract::{ProblemCode, UsageDaysQuery};
use paywall_domain::{DAY_MS, Timestamp};
use serde::{Deserialize, Serialize};

use super::Shared;
use crate::admin_client::{AdminClient, AdminError};
use crate::cache::{CacheError, USAGE};
use crate::ipc::{Failure, FailureCode, Source};

/// Days per page.
const PAGE: u32 = 5_000;
/// Pages read in one pass: the first reading of a large server goes on in the next.
const PAGES: usize = 20;
/// How old what was read may become.
const AGE_MS: i64 = 5 * 60_000;
/// For how long a server that is too old for it is not asked again.
const TOO_OLD_MS: i64 = 3_600_000;
/// How far back the first reading goes.
const FIRST_DAYS: i64 = 400;
/// How far back a tenant's days are read again once its usage changed: a billing period and a little more, in which
/// they may be corrected.
const AGAIN_DAYS: i64 = 35;

/// Where to read on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    after: Option<String>,
    /// Days before it are not asked for.
    from: Timestamp,
    /// Whether the reading that it belongs to has not come to its end.
    unfinished: bool,
}

impl Place {
    fn first(now: Timestamp) -> Self {
        Self { after: None, from: day_back(now, FIRST_DAYS), unfinished: true }
    }
}

fn day_back(now: Timestamp, days: i64) -> Timestamp {
    Timestamp((now.0.div_euclid(DAY_MS) - days) * DAY_MS)
}

/// Asks the server, and keeps what it says. One that does not answer that is no failure of the server.
pub(super) async fn ask(shared: &Shared, client: &AdminClient) -> Result<(), CacheError> {
    let state = shared.cache.stream_state(Source::Server, USAGE).await?;
    let now = shared.status.now();
    let mut place =
        state.cursor.and_then(|it| serde_json::from_value::<Place>(it).ok()).unwrap_or_else(|| Place::first(now));
    let asked = shared.usage_asked.swap(false, Ordering::SeqCst);
    let old = state.complete_at.is_none_or(|at| now.ms_since(at) >= AGE_MS);
    // One that is too old for it is seldom another one a moment later.
    let too_old = state.missing.as_ref().is_some_and(|it| now.ms_since(it.at) < TOO_OLD_MS);
    if !(asked || old || place.unfinished) || (too_old && !asked) {
        return Ok(());
    }
    let mut any = false;
    for _ in 0..PAGES {
        let query = UsageDaysQuery { after: place.after.clone(), from: Some(place.from), limit: Some(PAGE) };
        let page = match client.usage_days(&query).await {
            Ok(Some(page)) => page,
            Ok(None) => {
                let older = Failure::of(FailureCode::NotFound, "the server is too old to list usage by day");
                shared.cache.set_stream_missing(Source::Server, USAGE, Some(&older)).await?;
                break;
            }
            // Its history is not the one that was read: days of it that never happened go with all others.
            Err(error) if place.after.is_some() && cursor_refused(&error) => {
                shared.cache.forget_usage().await?;
                place = Place::first(now);
                continue;
            }
            Err(error) => {
                // A server that is not reached is told of by its feed.
                if !error.not_reached() {
                    tracing::debug!(error = %error.failure.detail, "the server did not list usage by day");
                    shared.cache.set_stream_failure(Source::Server, USAGE, &error.failure).await?;
                }
                break;
            }
        };
        if page.has_more && (page.days.is_empty() || place.after.as_ref() == Some(&page.cursor)) {
            let stuck = Failure::of(FailureCode::ServerFault, "the list of usage by day does not move on");
            shared.cache.set_stream_failure(Source::Server, USAGE, &stuck).await?;
            break;
        }
        place.after = Some(page.cursor.clone());
        place.unfinished = page.has_more;
        if !page.has_more {
            place.from = day_back(page.now, AGAIN_DAYS);
        }
        match shared.cache.apply_usage_page(&page, serde_json::to_value(&place)?, page.now).await {
            // The feed finds that out too, and has the copy start over.
            Err(CacheError::OtherInstance { .. }) => break,
            other => other?,
        }
        any |= !page.days.is_empty();
        if !page.has_more {
            break;
        }
    }
    if any {
        shared.status.data_changed();
    }
    Ok(())
}

fn cursor_refused(error: &AdminError) -> bool {
    error.problem().is_some_and(|problem| problem.code == ProblemCode::InvalidCursor)
}
