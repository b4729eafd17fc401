//! Changes whose answer was lost.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State as Extract};
use paywall_contract::{ProblemCode, SettleQuery, Settlement};
use paywall_domain::Role;

use super::auth::Caller;
use super::billing::not_configured;
use super::document::ChangeProblems;
use super::problem::Fault;
use super::read::Params;
use super::repair_in_stripe;
use crate::billing::repairs;
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
    if let Some(begun) = repairs::begun(&mut write, &key).await? {
        // What was begun in Stripe may have been done: Stripe is asked before anything is said of it.
        drop(write);
        let billing = state.billing.as_ref().ok_or_else(not_configured)?;
        let adjustment = Box::pin(repair_in_stripe::settle(&state, billing, &begun)).await?;
        return Ok(Json(Settlement { adjustment }));
    }
    let adjustment = match keys::get(&mut write, &key).await? {
        Some(KeyRecord::Made { adjustment_id, .. }) => entries::adjustment(&mut write, &adjustment_id).await?,
        Some(KeyRecord::Void | KeyRecord::Begun { .. }) => None,
        // A repair of the account, which is no adjustment.
        None if repairs::get(&mut write, &key).await?.is_some() => None,
        None => {
            keys::put(&mut write, &key, &KeyRecord::Void, state.clock.now()).await?;
            None
        }
    };
    write.commit().await?;
    Ok(Json(Settlement { adjustment }))
}
