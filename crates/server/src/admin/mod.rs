//! The admin API under `/admin/v1`, for the console.

mod adjustments;
mod auth;
mod billing;
mod buying;
mod caller;
mod changes;
mod document;
mod expected;
mod health;
mod keys;
mod plans;
mod problem;
mod read;
mod repair;
pub(crate) mod repair_in_stripe;
mod server;
mod tenants;
mod usage;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State as Extract};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::{Router, routing};
use paywall_contract::{ProblemCode, REQUEST_ID};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use self::problem::Fault;
use crate::billing::webhook;
use crate::proxy::is_own;
use crate::request_id;
use crate::server::State;

/// The largest body that a request may have, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

/// The longest that a request may take.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Names a request in the log.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

fn api() -> OpenApiRouter<Arc<State>> {
    OpenApiRouter::with_openapi(document::frame())
        .routes(routes!(caller::me))
        .routes(routes!(server::get))
        .routes(routes!(plans::list))
        .routes(routes!(tenants::list))
        .routes(routes!(tenants::get))
        .routes(routes!(tenants::timeline))
        .routes(routes!(tenants::usage))
        .routes(routes!(usage::days))
        .routes(routes!(adjustments::create))
        .routes(routes!(adjustments::list))
        .routes(routes!(adjustments::undo))
        .routes(routes!(keys::settle))
        .routes(routes!(changes::list))
        .routes(routes!(billing::get))
        .routes(routes!(billing::list_drifts))
        .routes(routes!(repair::repair))
        .routes(routes!(billing::list_events))
        .routes(routes!(billing::retry_event))
        .routes(routes!(billing::conversions))
        .routes(routes!(billing::of_tenant))
        .routes(routes!(buying::checkout))
        .routes(routes!(buying::portal))
        .routes(routes!(document::get))
}

/// The API's document.
pub(crate) fn openapi() -> OpenApi {
    api().into_openapi()
}

/// Every route, with what every answer carries.
pub(crate) fn router(state: Arc<State>) -> Router {
    let (router, _) = api().split_for_parts();
    router
        .route("/healthz", routing::get(health::alive))
        .route("/readyz", routing::get(health::ready))
        .route("/stripe/webhook", webhook::route())
        .fallback(nothing)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(CompressionLayer::new())
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, TIME_LIMIT))
        .layer(CatchPanicLayer::new())
        .layer(middleware::from_fn_with_state(Arc::clone(&state), identify))
        .with_state(state)
}

/// What is `RAGFlow`'s gets here only where nobody said where that is.
async fn nothing(uri: Uri) -> Fault {
    if is_own(uri.path()) {
        return Fault::of_status(StatusCode::NOT_FOUND);
    }
    Fault::new(
        ProblemCode::NotFound,
        "there is nothing at this path; if it is RAGFlow's, set ragflow_url (PAYWALL_RAGFLOW_URL) to where RAGFlow is",
    )
}

/// Gives the request its id, and every error its document.
async fn identify(Extract(state): Extract<Arc<State>>, mut request: Request, next: Next) -> Response {
    let id = request_id::fresh();
    let method = request.method().clone();
    // Not the path as it came: it may hold anything, and pattern and id are enough to find a request by.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let is_api = request.uri().path().starts_with("/admin/v1");
    request.extensions_mut().insert(RequestId(id.clone()));
    let started = std::time::Instant::now();
    let mut response = next.run(request).await;
    if response.status().is_client_error() || response.status().is_server_error() {
        let fault = response.extensions_mut().remove::<Fault>().unwrap_or_else(|| Fault::of_status(response.status()));
        let allow = response.headers().get(axum::http::header::ALLOW).cloned();
        response = problem::render(fault, &id);
        if let Some(allow) = allow {
            response.headers_mut().insert(axum::http::header::ALLOW, allow);
        }
    }
    if is_api {
        state.metrics.admin(&method, response.status());
    }
    let route = route.as_ref().map_or("(unknown)", MatchedPath::as_str);
    request_id::line(&id, &method, route, response.status(), started);
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}
