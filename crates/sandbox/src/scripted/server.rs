//! Serves a scripted account: the API, the pages, and the script's own controls.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Extension, Path, Request, State as Shares};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{any, get, post};
use serde_json::{Value, json};

use super::cards::Card;
use super::checkout::Filled;
use super::pages::portal_act;
use super::requests::Asked;
use super::routes::operation;
use super::{Faults, Shared};
use crate::ids::Kind;
use crate::keys::Access;
use crate::wire::{Failure, RequestId, answer, around};

type Account = Arc<Shared>;

pub(crate) fn router(shared: Account) -> Router {
    let gate = shared.gate.clone();
    Router::new()
        .route("/checkout/{id}", get(checkout).post(pay))
        .route("/p/session/{secret}", get(portal).post(act))
        .route("/i/{id}", get(invoice).post(pay_invoice))
        .route("/_script/{act}", post(control))
        .route("/v1/{*path}", any(api))
        .fallback(api)
        .layer(middleware::from_fn_with_state(gate, around))
        .with_state(shared)
}

async fn api(
    Shares(shared): Shares<Account>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    Extension(RequestId(request)): Extension<RequestId>,
    body: Bytes,
) -> Response {
    let found = operation(&method, uri.path());
    let (endpoint, kind, access) =
        found.as_ref().map_or(("unknown", Kind::Product, Access::Read), |it| (it.endpoint, it.kind, it.access));
    if let Err(failure) = shared.gate.admit(&headers, endpoint, kind, access) {
        return failure.into_response();
    }
    let Some(operation) = found else {
        let message = format!("Unrecognized request URL ({method}: {}).", uri.path());
        return Failure::invalid(message, None, None).with(StatusCode::NOT_FOUND).into_response();
    };
    let query = uri.query().unwrap_or("");
    let asked = Asked { method: &method, path: uri.path(), query, headers: &headers, body: &body, request: &request };
    let response = shared.locked().answer(&operation, &asked);
    shared.news.notify_one();
    response
}

/// The fields of a posted form.
fn fields(body: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

fn field(fields: &[(String, String)], name: &str) -> Option<String> {
    fields.iter().find(|it| it.0 == name).map(|it| it.1.clone()).filter(|it| !it.is_empty())
}

fn shown(status: StatusCode, page: Option<String>) -> Response {
    match page {
        Some(page) => (status, Html(page)).into_response(),
        None => (StatusCode::NOT_FOUND, Html("<!doctype html><title>Not found</title><p>There is no such page."))
            .into_response(),
    }
}

async fn checkout(Shares(shared): Shares<Account>, Path(id): Path<String>) -> Response {
    shown(StatusCode::OK, shared.locked().checkout_page(&id, None))
}

async fn pay(Shares(shared): Shares<Account>, Path(id): Path<String>, body: Bytes) -> Response {
    let fields = fields(&body);
    let number = field(&fields, "number");
    let card = match (field(&fields, "do").as_deref(), &number) {
        (Some("decline"), _) => Some(Card::Declined),
        (_, Some(number)) => Card::of_number(number),
        (_, None) => None,
    };
    let mut state = shared.locked();
    let paid = if number.is_some() && card.is_none() {
        Err("Your card number is invalid.".to_owned())
    } else {
        let (code, country, email) = (field(&fields, "code"), field(&fields, "country"), field(&fields, "email"));
        state.pay_session(&id, &Filled { card, code, country, email })
    };
    let response = match paid {
        Ok(url) => Redirect::to(&url).into_response(),
        Err(notice) => shown(StatusCode::OK, state.checkout_page(&id, Some(&notice))),
    };
    drop(state);
    shared.news.notify_one();
    response
}

async fn portal(Shares(shared): Shares<Account>, Path(secret): Path<String>) -> Response {
    shown(StatusCode::OK, shared.locked().portal_page(&secret, None))
}

async fn act(Shares(shared): Shares<Account>, Path(secret): Path<String>, uri: Uri, body: Bytes) -> Response {
    let mut state = shared.locked();
    let Some(session) = state.portal(&secret) else { return shown(StatusCode::NOT_FOUND, None) };
    let customer = session["customer"].as_str().unwrap_or_default();
    let done = portal_act(&fields(&body)).and_then(|act| {
        let acted = state.act_in_portal(customer, &act);
        acted.map_err(|failure| failure.body["error"]["message"].as_str().unwrap_or_default().to_owned())
    });
    let response = match done {
        Ok(()) => Redirect::to(uri.path()).into_response(),
        Err(notice) => shown(StatusCode::OK, state.portal_page(&secret, Some(&notice))),
    };
    drop(state);
    shared.news.notify_one();
    response
}

async fn invoice(Shares(shared): Shares<Account>, Path(id): Path<String>) -> Response {
    shown(StatusCode::OK, shared.locked().invoice_page(&id, None))
}

async fn pay_invoice(Shares(shared): Shares<Account>, Path(id): Path<String>, uri: Uri, body: Bytes) -> Response {
    let card = field(&fields(&body), "number").and_then(|number| Card::of_number(&number));
    let mut state = shared.locked();
    let Some(card) = card else {
        return shown(StatusCode::OK, state.invoice_page(&id, Some("Your card number is invalid.")));
    };
    state.collect_from(&id, card);
    let unpaid = state.get(Kind::Invoice, &id).is_some_and(|it| it["status"] == "open");
    let notice = state.payment_failure(&id).filter(|_| unpaid).map(|it| it.body["error"]["message"].clone());
    let response = match notice {
        None => Redirect::to(uri.path()).into_response(),
        Some(notice) => shown(StatusCode::OK, state.invoice_page(&id, notice.as_str())),
    };
    drop(state);
    shared.news.notify_one();
    response
}

/// The script from outside the process, for the secret key's holder.
async fn control(Shares(shared): Shares<Account>, Path(act): Path<String>, request: Request) -> Response {
    let bearer = format!("Bearer {}", shared.gate.keys.secret);
    let may = request.headers().get(header::AUTHORIZATION).and_then(|it| it.to_str().ok()) == Some(&bearer);
    if !may {
        return Failure::invalid("The script obeys the secret key alone.", None, None)
            .with(StatusCode::UNAUTHORIZED)
            .into_response();
    }
    let Ok(body) = axum::body::to_bytes(request.into_body(), 1 << 16).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let fields = fields(&body);
    let field = |name: &str| field(&fields, name).unwrap_or_default();
    let done = match act.as_str() {
        "advance" => field("seconds").parse().ok().map(|seconds| {
            shared.advance(Duration::from_secs(seconds));
            json!({"now": shared.locked().now})
        }),
        "spoil" => Card::of_number(&field("number"))
            .filter(|card| shared.locked().spoil(&field("customer"), *card))
            .map(|card| json!({"number": card.number()})),
        "dispute" => shared.locked().dispute(&field("charge"), "fraudulent").map(|id| json!({"id": id})),
        "decide" => {
            let won = field("won") == "true";
            shared.locked().decide(&field("dispute"), won).then(|| json!({"won": won}))
        }
        "roll" => {
            let overlap = field("seconds").parse().unwrap_or(86_400);
            shared.locked().roll_secret(&field("endpoint"), overlap).map(|secret| json!({"secret": secret}))
        }
        "deliver" => {
            let delivered = shared.deliver(Faults::default()).await;
            Some(json!({"sent": delivered.sent.len()}))
        }
        _ => None,
    };
    shared.news.notify_one();
    done.map_or_else(
        || Failure::invalid("The script cannot do this.", None, None).into_response(),
        |value: Value| answer(&value),
    )
}
