//! Whether the server lives, and whether it can answer.

use std::sync::Arc;

use axum::extract::State as Extract;

use super::problem::Fault;
use crate::server::State;

/// The process runs.
pub(crate) async fn alive() -> &'static str {
    "ok"
}

/// The database answers too.
pub(crate) async fn ready(Extract(state): Extract<Arc<State>>) -> Result<&'static str, Fault> {
    state.store.ping().await?;
    Ok("ready")
}
