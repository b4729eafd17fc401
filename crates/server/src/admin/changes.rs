//! The feed to mirror from.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State as Extract;
use paywall_contract::{ChangesPage, ChangesQuery};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::auth::Caller;
use super::document::ReadProblems;
use super::problem::Fault;
use super::read::{Params, bad_cursor, cursor, page_size, place};
use crate::server::State;
use crate::store::{Place, changes, runs};

/// A cursor also says of which database it is, and of which run: another database has other numbers, and
/// one that was put back from a backup gives them out again.
#[derive(Serialize, Deserialize)]
struct Cursor {
    instance: String,
    run: String,
    place: Place,
}

/// The longest that a question waits for a change, in seconds. Fronts give up on a silent answer after 60 or 30.
const LONGEST_WAIT: u32 = 25;

/// What changed since a cursor, or everything without one. With `wait` the answer comes as soon as there is a
/// change, whichever server makes it.
#[utoipa::path(get, path = "/admin/v1/changes", tag = "changes", security(("token" = [])), params(ChangesQuery),
    responses((status = 200, body = ChangesPage), ReadProblems))]
pub(crate) async fn list(
    Extract(state): Extract<Arc<State>>,
    _: Caller,
    Params(query): Params<ChangesQuery>,
) -> Result<Json<ChangesPage>, Fault> {
    let limit = page_size(query.limit, 500, 1_000)?;
    let wait = query.wait.unwrap_or(0);
    if wait > LONGEST_WAIT {
        return Err(Fault::field("wait", format!("between 0 and {LONGEST_WAIT}")));
    }
    let after = query.after.as_deref().map(place::<Cursor>).transpose()?;
    let until = Instant::now() + Duration::from_secs(wait.into());
    let mut news = state.store.changes_watch();
    loop {
        // Before it is looked: what comes meanwhile is news.
        news.borrow_and_update();
        let page = page(&state, after.as_ref(), limit).await?;
        if !page.changes.is_empty() || Instant::now() >= until || state.readiness.is_stopping() {
            return Ok(Json(page));
        }
        tokio::select! {
            _ = timeout_at(until, news.changed()) => {}
            () = state.readiness.stopping() => {}
        }
    }
}

async fn page(state: &State, after: Option<&Cursor>, limit: usize) -> Result<ChangesPage, Fault> {
    let instance = state.store.instance();
    let now = state.catch_up().await;
    let mut read = state.store.read().await?;
    let from = match after {
        None => Place::default(),
        Some(Cursor { instance: of, run, place })
            if of == instance && runs::passed_through(&mut read, run, place.seq()).await? =>
        {
            *place
        }
        Some(_) => return Err(bad_cursor()),
    };
    let stretch = changes::after(&mut read, from, limit, now).await?;
    let run = runs::of(&mut read, stretch.end.seq()).await?;
    Ok(ChangesPage {
        changes: stretch.changes,
        cursor: cursor(&Cursor { instance: instance.to_owned(), run, place: stretch.end })?,
        has_more: stretch.remaining > 0,
        remaining: stretch.remaining,
        now,
        instance: instance.to_owned(),
    })
}
