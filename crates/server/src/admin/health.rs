//! Whether the server lives, and whether it can answer.

use std::sync::Arc;

use axum::extract::State as Extract;
use paywall_contract::ProblemCode;

use super::problem::Fault;
use crate::server::State;

/// The process runs.
pub(crate) async fn alive() -> &'static str {
    "ok"
}

/// The server can answer: it is not stopping, its database is there, and `RAGFlow`'s was there once. What is not
/// so is told by its name alone, since anybody may ask; the log says more.
pub(crate) async fn ready(Extract(state): Extract<Arc<State>>) -> Result<&'static str, Fault> {
    if state.readiness.is_stopping() {
        return Err(Fault::new(ProblemCode::Unavailable, "not ready: the server is stopping"));
    }
    let (store, directory) = tokio::join!(state.store.ping(), state.readiness.directory());
    let mut missing = Vec::new();
    if store.is_err() {
        missing.push("store (the paywall's own database)".to_owned());
    }
    if let Err(error) = &directory {
        missing.push(format!("directory ({})", error.code()));
    }
    let causes = [store.err().map(|it| it.to_string()), directory.err().map(|it| it.to_string())];
    let cause = causes.into_iter().flatten().collect::<Vec<_>>().join("; ");
    if missing.is_empty() {
        Ok("ready")
    } else {
        let detail = format!("not ready: {}", missing.join(", "));
        Err(Fault::new(ProblemCode::Unavailable, detail).because(cause))
    }
}
