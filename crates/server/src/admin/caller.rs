//! Who am I?

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use paywall_contract::{API_VERSION, Caller as Answer, PRODUCT};

use super::auth::Caller;
use super::document::ReadProblems;
use crate::server::State;

/// What the server knows of the caller, and of itself.
#[utoipa::path(get, path = "/admin/v1/me", tag = "caller", security(("token" = [])),
    responses((status = 200, body = Answer), ReadProblems))]
pub(crate) async fn me(Extract(state): Extract<Arc<State>>, Caller(token): Caller) -> Json<Answer> {
    Json(Answer {
        product: PRODUCT.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api_version: API_VERSION.to_owned(),
        instance: state.store.instance().to_owned(),
        now: state.clock.now(),
        token_id: token.id,
        name: token.name,
        role: token.role,
        expires_at: token.expires_at,
    })
}
