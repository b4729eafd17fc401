//! Plans.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use paywall_domain::Plan;

use super::auth::Caller;
use super::document::ReadProblems;
use super::problem::Fault;
use crate::server::State;
use crate::store::plans;

/// Every plan, in the order in which people read them.
#[utoipa::path(get, path = "/admin/v1/plans", tag = "plans", security(("token" = [])),
    responses((status = 200, body = Vec<Plan>), ReadProblems))]
pub(crate) async fn list(Extract(state): Extract<Arc<State>>, _: Caller) -> Result<Json<Vec<Plan>>, Fault> {
    let mut read = state.store.read().await?;
    Ok(Json(plans::all(&mut read).await?.into_list()))
}
