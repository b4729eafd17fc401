//! The page's routes, below `/paywall`.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Query, Request, State};
use axum::http::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Redirect, Response};
use axum::{Router, routing};
use paywall_domain::DenyCode;
use serde::Deserialize;
use serde_json::json;

use super::{Customer, SCRIPT, STYLE, Visit, html, status_body};
use crate::enforcement::Enforcement;
use crate::gate::Language;
use crate::request_id;
use crate::server;

/// Nothing but the page's own style and script, and nowhere but in a window of its own.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// What the routes need.
#[derive(Clone)]
struct Portal {
    state: Arc<server::State>,
    enforcement: Arc<Enforcement>,
}

/// The page's routes.
pub(crate) fn router(state: Arc<server::State>, enforcement: Arc<Enforcement>) -> Router {
    Router::new()
        .route("/paywall", routing::get(|| async { Redirect::permanent("/paywall/") }))
        .route("/paywall/", routing::get(page))
        .route("/paywall/status", routing::get(standing))
        .route("/paywall/page.css", routing::get(|| async { asset("text/css; charset=utf-8", STYLE) }))
        .route("/paywall/page.js", routing::get(|| async { asset("text/javascript; charset=utf-8", SCRIPT) }))
        .with_state(Portal { state, enforcement })
        .layer(middleware::from_fn(line))
}

/// Writes a line of each request, as the admin API does.
async fn line(request: Request, next: Next) -> Response {
    let (started, id, method) = (Instant::now(), request_id::fresh(), request.method().clone());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("(unknown)", MatchedPath::as_str);
    request_id::line(&id, &method, route, response.status(), started);
    response
}

#[derive(Deserialize)]
struct Wish {
    lang: Option<String>,
}

impl Wish {
    /// The language that was chosen, else the one that the browser wants.
    fn language(&self, headers: &HeaderMap) -> Language {
        let accepted = || headers.get(ACCEPT_LANGUAGE).and_then(|it| it.to_str().ok());
        self.lang.as_deref().or_else(accepted).map(Language::of).unwrap_or_default()
    }
}

async fn page(State(portal): State<Portal>, Query(wish): Query<Wish>, headers: HeaderMap) -> Response {
    let language = wish.language(&headers);
    let (visit, plans) = portal.visit(&headers).await;
    let (status, contact) = (code(&visit), portal.state.config.support_contact.as_deref());
    match html(&visit, &plans, contact, language, portal.state.clock.now()) {
        Ok(text) => (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], kept_safe(), text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the customer's page could not be drawn");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn standing(State(portal): State<Portal>, Query(wish): Query<Wish>, headers: HeaderMap) -> Response {
    let (visit, _) = portal.visit(&headers).await;
    let status = code(&visit);
    let body = match &visit {
        Visit::Customer(customer) => {
            let (url, now) = (portal.state.config.page_url(), portal.state.clock.now());
            json!(status_body(customer, &url, wish.language(&headers), now))
        }
        Visit::Unknown => json!({"code": DenyCode::UnknownTenant.as_str()}),
        Visit::Unavailable => json!({"code": DenyCode::PaywallUnavailable.as_str()}),
    };
    // A page without an answer for a program says so in its status; one for a person shows its text.
    let status = if matches!(visit, Visit::Unknown) { StatusCode::UNAUTHORIZED } else { status };
    (status, kept_safe(), Json(body)).into_response()
}

fn code(visit: &Visit) -> StatusCode {
    match visit {
        Visit::Customer(_) | Visit::Unknown => StatusCode::OK,
        Visit::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn kept_safe() -> [(HeaderName, HeaderValue); 5] {
    [
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (VARY, HeaderValue::from_static("Accept-Language, Authorization, Cookie")),
    ]
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, text).into_response()
}

impl Portal {
    async fn visit(&self, headers: &HeaderMap) -> (Visit, Vec<paywall_domain::Plan>) {
        match self.enforcement.standing_of(headers).await {
            Ok(Some(found)) => {
                let now = self.state.clock.now();
                let customer =
                    Customer { name: found.row.name.clone(), plan: found.plan(now), snapshot: found.snapshot(now) };
                (Visit::Customer(Box::new(customer)), found.plans())
            }
            Ok(None) => (Visit::Unknown, Vec::new()),
            Err(_) => (Visit::Unavailable, Vec::new()),
        }
    }
}
