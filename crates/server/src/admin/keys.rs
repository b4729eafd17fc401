//! Changes whose answer was lost.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State as Extract};
use paywall_contract::{ProblemCode, SettleQuery, Settlement};
use paywall_domain::Role;

use super::auth::Caller;
use super::document::ChangeProblems;
use super::problem::Fault;
use super::read::Params;
use crate::server::State;
use crate::store::{KeyRecord, entries, keys};

/// Settles what became of the change under a key, whoever sent it. Where none was made, none will be.
#[utoipa::path(post, path = "/admin/v1/keys/{key}/settle", tag = "adjustments", security(("token" = [])),
    params(("key" = String, Path, description = "The Idempotency-Key of the change"), SettleQuery),
    responses((status = 200, body = Settlement), ChangeProblems))]
pub(crate) async fn settle(
    Extract(state): Extract<Arc<State>>,
    caller: Caller,
    Path(key): Path<String>,
    Params(query): Params<SettleQuery>,
) -> Result<Json<Settlement>, Fault> {
    caller.needs(Role::Support)?;
    super::adjustments::check_key(&key)?;
    if query.instance.is_some_and(|instance| instance != state.store.instance()) {
        return Err(Fault::new(
            ProblemCode::OtherInstance,
            "the change was sent to another database; this one cannot tell what became of it",
        ));
    }
    let mut write = state.store.write().await?;
    let adjustment = match keys::get(&mut write, &key).await? {
        Some(KeyRecord::Made { adjustment_id, .. }) => entries::adjustment(&mut write, &adjustment_id).await?,
        Some(KeyRecord::Void) => None,
        None => {
            keys::put(&mut write, &key, &KeyRecord::Void, state.clock.now()).await?;
            None
        }
    };
    write.commit().await?;
    Ok(Json(Settlement { adjustment }))
}
