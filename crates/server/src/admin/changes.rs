//! The feed to mirror from.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use paywall_contract::{ChangesPage, ChangesQuery};
use serde::{Deserialize, Serialize};

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

/// What changed since a cursor, or everything without one.
#[utoipa::path(get, path = "/admin/v1/changes", tag = "changes", security(("token" = [])), params(ChangesQuery),
    responses((status = 200, body = ChangesPage), ReadProblems))]
pub(crate) async fn list(
    Extract(state): Extract<Arc<State>>,
    _: Caller,
    Params(query): Params<ChangesQuery>,
) -> Result<Json<ChangesPage>, Fault> {
    let limit = page_size(query.limit, 500, 1_000)?;
    let instance = state.store.instance();
    let after = query.after.as_deref().map(place::<Cursor>).transpose()?;
    let now = state.catch_up().await;
    let mut read = state.store.read().await?;
    let from = match after {
        None => Place::default(),
        Some(Cursor { instance: of, run, place })
            if of == instance && runs::passed_through(&mut read, &run, place.seq()).await? =>
        {
            place
        }
        Some(_) => return Err(bad_cursor()),
    };
    let stretch = changes::after(&mut read, from, limit, now).await?;
    let run = runs::of(&mut read, stretch.end.seq()).await?;
    Ok(Json(ChangesPage {
        changes: stretch.changes,
        cursor: cursor(&Cursor { instance: instance.to_owned(), run, place: stretch.end })?,
        has_more: stretch.remaining > 0,
        remaining: stretch.remaining,
        now,
        instance: instance.to_owned(),
    }))
}
