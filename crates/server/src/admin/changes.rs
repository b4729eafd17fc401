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
use crate::store::{Place, changes};

/// A cursor also says of which database it is: another one has other numbers.
#[derive(Serialize, Deserialize)]
struct Cursor {
    instance: String,
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
    let from = match query.after.as_deref().map(place::<Cursor>).transpose()? {
        None => Place::default(),
        Some(cursor) if cursor.instance == instance => cursor.place,
        Some(_) => return Err(bad_cursor()),
    };
    let now = state.clock.now();
    state.store.pass_time(now).await?;
    let mut read = state.store.read().await?;
    let stretch = changes::after(&mut read, from, limit, now).await?;
    Ok(Json(ChangesPage {
        changes: stretch.changes,
        cursor: cursor(&Cursor { instance: instance.to_owned(), place: stretch.end })?,
        has_more: stretch.remaining > 0,
        remaining: stretch.remaining,
        now,
        instance: instance.to_owned(),
    }))
}
