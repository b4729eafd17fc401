//! What every answer of Stripe's has in common, whoever gives it: who may ask, errors, request names,
//! parameters and pages.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use serde_json::{Value, json};

use crate::history::Cursor;
use crate::ids::Kind;
use crate::keys::{Access, Keys, redact};
use crate::render;

/// How strictly the account is served.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    /// Whether Stripe's limits hold: 25 requests a second for each endpoint, 100 in all.
    pub limits: bool,
    /// How much later than it could each answer comes.
    pub latency: Duration,
}

/// An error in Stripe's form.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
    pub(crate) retry: Option<bool>,
}

impl Failure {
    pub(crate) fn invalid(message: impl Into<String>, param: Option<&str>, code: Option<&str>) -> Self {
        let mut error = json!({"message": message.into(), "type": "invalid_request_error"});
        if let Some(param) = param {
            error["param"] = json!(param);
        }
        if let Some(code) = code {
            error["code"] = json!(code);
            error["doc_url"] = json!(format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-")));
        }
        Self { status: StatusCode::BAD_REQUEST, body: json!({"error": error}), retry: None }
    }

    pub(crate) fn with(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn too_many() -> Self {
        let message =
            "Request rate limit exceeded. Learn more about rate limits here: https://stripe.com/docs/rate-limits.";
        let mut failure =
            Self::invalid(message.to_owned(), None, Some("rate_limit")).with(StatusCode::TOO_MANY_REQUESTS);
        failure.retry = Some(true);
        failure
    }

    pub(crate) fn missing(kind: Kind, id: &str, param: &str) -> Self {
        Self::invalid(format!("No such {}: '{id}'", kind.singular()), Some(param), Some("resource_missing"))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response =
            (self.status, [(header::CONTENT_TYPE, "application/json")], self.body.to_string()).into_response();
        if let Some(retry) = self.retry {
            let value = if retry { "true" } else { "false" };
            response.headers_mut().insert("Stripe-Should-Retry", HeaderValue::from_static(value));
        }
        response
    }
}

pub(crate) fn answer(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// A request's number and name in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestId(pub(crate) String);

/// Lets requests in: a known key that has the permission, within the limits.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) keys: Keys,
    account: String,
    rules: Rules,
    requests: AtomicU64,
    overall: DefaultDirectRateLimiter,
    endpoints: Mutex<HashMap<&'static str, Arc<DefaultDirectRateLimiter>>>,
}

fn per_second(times: u32) -> DefaultDirectRateLimiter {
    RateLimiter::direct(Quota::per_second(NonZeroU32::new(times).unwrap_or(NonZeroU32::MIN)))
}

impl Gate {
    pub(crate) fn new(keys: Keys, account: String, rules: Rules) -> Self {
        Self {
            keys,
            account,
            rules,
            requests: AtomicU64::new(0),
            overall: per_second(100),
            endpoints: Mutex::default(),
        }
    }

    /// Whether the caller may do `access` to objects of a kind, at the endpoint of that name.
    pub(crate) fn admit(
        &self,
        headers: &HeaderMap,
        endpoint: &'static str,
        kind: Kind,
        access: Access,
    ) -> Result<(), Failure> {
        let Some(key) = key_of(headers) else {
            let message = "You did not provide an API key. You need to provide your API key in the Authorization header, \
                           using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'), or as the user name of \
                           basic auth.";
            return Err(Failure::invalid(message.to_owned(), None, None).with(StatusCode::UNAUTHORIZED));
        };
        let Ok(lacks) = self.keys.lacks(&key, kind, access) else {
            let message = format!("Invalid API Key provided: {}", redact(&key));
            return Err(Failure::invalid(message, None, None).with(StatusCode::UNAUTHORIZED));
        };
        if let Some(permission) = lacks {
            let message = format!(
                "The provided key '{}' does not have the required permissions for this endpoint on account '{}'. \
                 Having the '{permission}' permission would allow this request to continue.",
                redact(&key),
                self.account
            );
            return Err(Failure::invalid(message, None, None).with(StatusCode::FORBIDDEN));
        }
        if self.rules.limits && (self.full(endpoint) || self.overall.check().is_err()) {
            return Err(Failure::too_many());
        }
        Ok(())
    }

    fn full(&self, endpoint: &'static str) -> bool {
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        endpoints.entry(endpoint).or_insert_with(|| Arc::new(per_second(25))).check().is_err()
    }
}

/// Names the request and its API version on the answer, and delays it where asked to.
pub(crate) async fn around(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let id = format!("req_{:014}", gate.requests.fetch_add(1, Ordering::Relaxed));
    request.extensions_mut().insert(RequestId(id.clone()));
    let version = request.headers().get("Stripe-Version").cloned();
    let path = request.uri().path().to_owned();
    if !gate.rules.latency.is_zero() {
        tokio::time::sleep(gate.rules.latency).await;
    }
    let mut response = next.run(request).await;
    tracing::debug!(path, status = response.status().as_u16(), "answered");
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert("Request-Id", id);
    }
    headers.insert("Stripe-Version", version.unwrap_or(HeaderValue::from_static(render::API_VERSION)));
    response
}

/// The key of a request: its bearer token, or the user's name of basic authentication (`curl -u KEY:`).
fn key_of(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
    let (key, _) = pair.split_once(':')?;
    (!key.is_empty()).then(|| key.to_owned())
}

/// A request's parameters, names without a trailing `[]` or `[0]`.
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub(crate) fn read(query: &str, more: &[&str]) -> Result<Self, Failure> {
        let mut params = Vec::new();
        for pair in query.split('&').filter(|it| !it.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name), decode(value));
            let list = name
                .split_once('[')
                .filter(|(_, rest)| rest.trim_end_matches(']').bytes().all(|it| it.is_ascii_digit()));
            let name = list.map_or(name.as_str(), |(name, _)| name).to_owned();
            let known = ["limit", "starting_after", "ending_before", "expand"].contains(&name.as_str())
                || name == "created"
                || ["gt", "gte", "lt", "lte"].iter().any(|bound| name == format!("created[{bound}]"))
                || more.contains(&name.as_str());
            if !known {
                let message = format!("Received unknown parameter: {name}");
                return Err(Failure::invalid(message, Some(&name), Some("parameter_unknown")));
            }
            params.push((name, value));
        }
        Ok(Self(params))
    }

    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|it| it.0 == name).map(|it| it.1.as_str()).filter(|it| !it.is_empty())
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |it| it.0 == name).map(|it| it.1.as_str())
    }

    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, Failure> {
        self.one(name)
            .map(|text| {
                text.parse().map_err(|_| {
                    Failure::invalid(format!("Invalid integer: {text}"), Some(name), Some("parameter_invalid_integer"))
                })
            })
            .transpose()
    }

    pub(crate) fn limit(&self) -> Result<usize, Failure> {
        match self.integer("limit")?.unwrap_or(10) {
            limit @ 1..=100 => Ok(limit as usize),
            limit if limit < 1 => {
                let message = "This value must be greater than or equal to 1.";
                Err(Failure::invalid(message.to_owned(), Some("limit"), Some("parameter_invalid_integer")))
            }
            _ => {
                let message = "This value must be less than or equal to 100 (to limit the number of objects returned).";
                Err(Failure::invalid(message.to_owned(), Some("limit"), Some("parameter_invalid_integer")))
            }
        }
    }

    /// From which instant on, and before which one, objects are to be created.
    pub(crate) fn created(&self) -> Result<(Option<i64>, Option<i64>), Failure> {
        let same = self.integer("created")?;
        let lower = [self.integer("created[gte]")?, self.integer("created[gt]")?.map(|it| it.saturating_add(1)), same];
        let upper = [
            self.integer("created[lt]")?,
            self.integer("created[lte]")?.map(|it| it.saturating_add(1)),
            same.map(|it| it.saturating_add(1)),
        ];
        Ok((lower.into_iter().flatten().max(), upper.into_iter().flatten().min()))
    }

    pub(crate) fn cursor(&self) -> Result<Cursor<'_>, Failure> {
        match (self.one("starting_after"), self.one("ending_before")) {
            (Some(_), Some(_)) => {
                let message = "You cannot parameterize both starting_after and ending_before.";
                Err(Failure::invalid(message.to_owned(), Some("ending_before"), None))
            }
            (Some(id), None) => Ok(Cursor::After(id)),
            (None, Some(id)) => Ok(Cursor::Before(id)),
            (None, None) => Ok(Cursor::Start),
        }
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>, Failure> {
        self.one(name)
            .map(|word| {
                word.parse().map_err(|_| Failure::invalid(format!("Invalid boolean: {word}"), Some(name), None))
            })
            .transpose()
    }

    /// A page of a list that lies within one object, in its own order.
    pub(crate) fn page_of(&self, parts: &[Value], kind: Kind, url: &str) -> Result<Response, Failure> {
        let (limit, cursor) = (self.limit()?, self.cursor()?);
        let id = |part: &Value| part["id"].as_str().unwrap_or_default().to_owned();
        let (page, has_more) = page(parts, id, |_| true, cursor, limit).map_err(|unknown| unknown.failure(kind))?;
        Ok(answer(&render::list(page.into_iter().cloned().collect(), has_more, url.to_owned())))
    }
}

/// A cursor names an object that the list does not have.
#[derive(Debug)]
pub(crate) struct UnknownCursor {
    id: String,
    param: &'static str,
}

impl UnknownCursor {
    pub(crate) fn failure(self, kind: Kind) -> Failure {
        Failure::missing(kind, &self.id, self.param)
    }
}

/// A page of a list given in its order, and whether there are more in the cursor's direction. An object
/// that is not kept can still mark a place.
pub(crate) fn page<'a, T>(
    objects: &'a [T],
    id: impl Fn(&T) -> String,
    keep: impl Fn(&T) -> bool,
    cursor: Cursor<'_>,
    limit: usize,
) -> Result<(Vec<&'a T>, bool), UnknownCursor> {
    let position = |wanted: &str, param| {
        let unknown = || UnknownCursor { id: wanted.to_owned(), param };
        objects.iter().position(|it| id(it) == wanted).ok_or_else(unknown)
    };
    let mut found: Vec<&'a T> = match cursor {
        Cursor::Start => objects.iter().filter(|it| keep(it)).take(limit + 1).collect(),
        Cursor::After(after) => {
            let begin = position(after, "starting_after")? + 1;
            objects[begin..].iter().filter(|it| keep(it)).take(limit + 1).collect()
        }
        Cursor::Before(before) => {
            let end = position(before, "ending_before")?;
            objects[..end].iter().rev().filter(|it| keep(it)).take(limit + 1).collect()
        }
    };
    let more = found.len() > limit;
    found.truncate(limit);
    if matches!(cursor, Cursor::Before(_)) {
        found.reverse();
    }
    Ok((found, more))
}

/// Undoes percent-encoding and `+`.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex =
            tail.get(..2).and_then(|it| std::str::from_utf8(it).ok()).and_then(|it| u8::from_str_radix(it, 16).ok());
        match (*first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            (other, _) => bytes.push(other),
        }
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
