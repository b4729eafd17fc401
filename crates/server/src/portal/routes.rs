//! The page's routes, below `/paywall`.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{DefaultBodyLimit, MatchedPath, Query, Request, State};
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

use super::looks::{Buys, Looks};
use super::{Customer, Purchase, SCRIPT, STYLE, Visit, buying, html, offers, status_body};
use crate::enforcement::{Enforcement, Standing};
use crate::gate::Language;
use crate::request_id;
use crate::server;

/// Nothing but the page's own style and script, and nowhere but in a window of its own.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";

/// The largest form, in bytes.
const FORM_LIMIT: usize = 16 * 1024;

/// What the routes need.
#[derive(Clone)]
pub(super) struct Portal {
    pub(super) state: Arc<server::State>,
    pub(super) enforcement: Arc<Enforcement>,
    pub(super) looks: Looks,
    pub(super) buys: Buys,
}

/// The page's routes.
pub(crate) fn router(state: Arc<server::State>, enforcement: Arc<Enforcement>) -> Router {
    Router::new()
        .route("/paywall", routing::get(|| async { Redirect::permanent("/paywall/") }))
        .route("/paywall/", routing::get(page))
        .route("/paywall/status", routing::get(status))
        .route("/paywall/checkout", routing::post(buying::checkout))
        .route("/paywall/portal", routing::post(buying::portal))
        .route("/paywall/return", routing::get(buying::back))
        .route("/paywall/page.css", routing::get(|| async { asset("text/css; charset=utf-8", STYLE) }))
        .route("/paywall/page.js", routing::get(|| async { asset("text/javascript; charset=utf-8", SCRIPT) }))
        .with_state(Portal { state, enforcement, looks: Looks::new(), buys: Buys::new() })
        .layer(DefaultBodyLimit::max(FORM_LIMIT))
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
pub(super) struct Wish {
    pub(super) lang: Option<String>,
}

impl Wish {
    /// The language that was chosen, else the one that the browser wants.
    pub(super) fn language(&self, headers: &HeaderMap) -> Language {
        let accepted = || headers.get(ACCEPT_LANGUAGE).and_then(|it| it.to_str().ok());
        self.lang.as_deref().or_else(accepted).map(Language::of).unwrap_or_default()
    }
}

async fn page(State(portal): State<Portal>, Query(wish): Query<Wish>, headers: HeaderMap) -> Response {
    let language = wish.language(&headers);
    let (visit, plans) = portal.visit(&headers).await;
    let (status, contact) = (code(&visit), portal.state.config.support_contact.as_deref());
    page_of(status, html(&visit, &plans, contact, language, portal.state.clock.now()))
}

/// A page as it is sent.
pub(super) fn page_of(status: StatusCode, drawn: Result<String, askama::Error>) -> Response {
    match drawn {
        Ok(text) => (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], kept_safe(), text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the customer's page could not be drawn");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn status(State(portal): State<Portal>, Query(wish): Query<Wish>, headers: HeaderMap) -> Response {
    let (visit, _) = portal.visit(&headers).await;
    let found = code(&visit);
    let body = match &visit {
        Visit::Customer(customer) => {
            let (url, now) = (portal.state.config.page_url(), portal.state.clock.now());
            json!(status_body(customer, &url, wish.language(&headers), now))
        }
        Visit::Unknown => json!({"code": DenyCode::UnknownTenant.as_str()}),
        Visit::Unavailable => json!({"code": DenyCode::PaywallUnavailable.as_str()}),
    };
    // A page without an answer for a program says so in its status; one for a person shows its text.
    let status = if matches!(visit, Visit::Unknown) { StatusCode::UNAUTHORIZED } else { found };
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
        // Not none at all: then browsers do not say of the page's own forms whence they come.
        (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
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
    /// What the customer can do about its payments. The page is drawn without, where that cannot be told.
    async fn purchase(&self, standing: &Standing) -> Option<Purchase> {
        let billing = self.state.billing.as_ref()?;
        offers::of(&self.state, billing, standing, self.state.clock.now()).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the page is shown without what can be bought");
            None
        })
    }

    async fn visit(&self, headers: &HeaderMap) -> (Visit, Vec<paywall_domain::Plan>) {
        match self.enforcement.visitor(headers).await {
            Ok(Some(visitor)) => {
                let (found, now) = (&visitor.standing, self.state.clock.now());
                let customer = Customer {
                    name: found.row.name.clone(),
                    plan: found.plan(now),
                    snapshot: found.snapshot(now),
                    purchase: if visitor.in_person { self.purchase(found).await } else { None },
                };
                (Visit::Customer(Box::new(customer)), found.plans())
            }
            Ok(None) => (Visit::Unknown, Vec::new()),
            Err(_) => (Visit::Unavailable, Vec::new()),
        }
    }
}
