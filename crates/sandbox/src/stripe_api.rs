//! Stripe's read API over a [`StripeHistory`].

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use serde_json::{Value, json};

use crate::history::{Cursor, Filter, NoSuch, SUBSCRIPTION_STATUSES, StripeHistory};
use crate::ids::Kind;
use crate::keys::{Keys, redact};
use crate::render;

/// How strictly the account is served.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    /// Whether Stripe's limits hold: 25 requests a second for each endpoint, 100 in all.
    pub limits: bool,
    /// How much later than it could each answer comes.
    pub latency: Duration,
}

struct Api {
    history: Arc<StripeHistory>,
    keys: Keys,
    rules: Rules,
    requests: AtomicU64,
    overall: DefaultDirectRateLimiter,
    endpoints: Vec<DefaultDirectRateLimiter>,
}

/// An error in Stripe's form.
struct Failure {
    status: StatusCode,
    body: Value,
    retry: Option<bool>,
}

impl Failure {
    fn invalid(message: impl Into<String>, param: Option<&str>, code: Option<&str>) -> Self {
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

    fn with(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    fn missing(kind: Kind, id: &str, param: &str) -> Self {
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

fn answer(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// Stripe's read API for an account, under `/v1`.
pub fn router(history: Arc<StripeHistory>, rules: Rules) -> Router {
    let per_second =
        |times: u32| RateLimiter::direct(Quota::per_second(NonZeroU32::new(times).unwrap_or(NonZeroU32::MIN)));
    let api = Arc::new(Api {
        keys: Keys::new(history.seed(), &history.account()),
        rules,
        requests: AtomicU64::new(0),
        overall: per_second(100),
        endpoints: (0..Kind::LISTED.len() * 2 + 3).map(|_| per_second(25)).collect(),
        history,
    });
    let mut router = Router::new();
    for (at, kind) in Kind::LISTED.into_iter().enumerate() {
        let list = move |State(api): State<Arc<Api>>, headers: HeaderMap, RawQuery(query): RawQuery| async move {
            api.admit(&headers, kind, at * 2)?;
            api.list(kind, query.as_deref().unwrap_or(""))
        };
        let retrieve = move |State(api): State<Arc<Api>>,
                             headers: HeaderMap,
                             Path(id): Path<String>,
                             RawQuery(query): RawQuery| async move {
            api.admit(&headers, kind, at * 2 + 1)?;
            api.retrieve(kind, &id, query.as_deref().unwrap_or(""))
        };
        router = router
            .route(&format!("/v1/{}", kind.plural()), get(list))
            .route(&format!("/v1/{}/{{id}}", kind.plural()), get(retrieve));
    }
    let lines = |State(api): State<Arc<Api>>, headers: HeaderMap, Path(id): Path<String>, RawQuery(query): RawQuery| async move {
        api.admit(&headers, Kind::Invoice, Kind::LISTED.len() * 2)?;
        let params = Params::read(query.as_deref().unwrap_or(""), &[])?;
        let parts = api.history.parts(Kind::Invoice, &id);
        let parts = parts.ok_or_else(|| Failure::missing(Kind::Invoice, &id, "invoice").with(StatusCode::NOT_FOUND))?;
        params.page_of(&parts, Kind::InvoiceLine, &format!("/v1/invoices/{id}/lines"))
    };
    let items = |State(api): State<Arc<Api>>, headers: HeaderMap, RawQuery(query): RawQuery| async move {
        api.admit(&headers, Kind::Subscription, Kind::LISTED.len() * 2 + 1)?;
        let params = Params::read(query.as_deref().unwrap_or(""), &["subscription"])?;
        let Some(id) = params.one("subscription").map(str::to_owned) else {
            return Err(Failure::invalid(
                "Missing required param: subscription.".to_owned(),
                Some("subscription"),
                Some("parameter_missing"),
            ));
        };
        let parts = api.history.parts(Kind::Subscription, &id);
        let parts = parts
            .ok_or_else(|| Failure::missing(Kind::Subscription, &id, "subscription").with(StatusCode::NOT_FOUND))?;
        params.page_of(&parts, Kind::SubscriptionItem, "/v1/subscription_items")
    };
    router
        .route("/v1/invoices/{id}/lines", get(lines))
        .route("/v1/subscription_items", get(items))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(middleware::from_fn_with_state(api.clone(), around))
        .with_state(api)
}

async fn unknown(State(api): State<Arc<Api>>, headers: HeaderMap, method: Method, uri: axum::http::Uri) -> Response {
    if let Err(failure) = api.admit(&headers, Kind::Product, Kind::LISTED.len() * 2 + 2) {
        return failure.into_response();
    }
    let message =
        format!("Unrecognized request URL ({method}: {}). This sandbox serves Stripe's read API only.", uri.path());
    Failure::invalid(message, None, None).with(StatusCode::NOT_FOUND).into_response()
}

/// Names the request and its API version on the answer, and delays it where asked to.
async fn around(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let number = api.requests.fetch_add(1, Ordering::Relaxed);
    let version = request.headers().get("Stripe-Version").cloned();
    let path = request.uri().path().to_owned();
    if !api.rules.latency.is_zero() {
        tokio::time::sleep(api.rules.latency).await;
    }
    let mut response = next.run(request).await;
    tracing::debug!(path, status = response.status().as_u16(), "answered");
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&format!("req_{number:014}")) {
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

impl Api {
    /// Whether the caller may: a known key that has the permission, within the limits.
    fn admit(&self, headers: &HeaderMap, kind: Kind, endpoint: usize) -> Result<(), Failure> {
        let Some(key) = key_of(headers) else {
            let message = "You did not provide an API key. You need to provide your API key in the Authorization header, \
                           using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'), or as the user name of \
                           basic auth.";
            return Err(Failure::invalid(message.to_owned(), None, None).with(StatusCode::UNAUTHORIZED));
        };
        let Ok(lacks) = self.keys.lacks(&key, kind) else {
            let message = format!("Invalid API Key provided: {}", redact(&key));
            return Err(Failure::invalid(message, None, None).with(StatusCode::UNAUTHORIZED));
        };
        if let Some(permission) = lacks {
            let message = format!(
                "The provided key '{}' does not have the required permissions for this endpoint on account '{}'. \
                 Having the '{permission}' permission would allow this request to continue.",
                redact(&key),
                self.history.account()
            );
            return Err(Failure::invalid(message, None, None).with(StatusCode::FORBIDDEN));
        }
        if self.rules.limits && (self.endpoints[endpoint].check().is_err() || self.overall.check().is_err()) {
            let message =
                "Request rate limit exceeded. Learn more about rate limits here: https://stripe.com/docs/rate-limits.";
            let mut failure =
                Failure::invalid(message.to_owned(), None, Some("rate_limit")).with(StatusCode::TOO_MANY_REQUESTS);
            failure.retry = Some(true);
            return Err(failure);
        }
        Ok(())
    }

    fn list(&self, kind: Kind, query: &str) -> Result<Response, Failure> {
        let params = Params::read(query, allowed(kind))?;
        let filter = params.filter(kind)?;
        let limit = params.limit()?;
        let cursor = match (params.one("starting_after"), params.one("ending_before")) {
            (Some(_), Some(_)) => {
                let message = "You cannot parameterize both starting_after and ending_before.";
                return Err(Failure::invalid(message.to_owned(), Some("ending_before"), None));
            }
            (Some(id), None) => Cursor::After(id),
            (None, Some(id)) => Cursor::Before(id),
            (None, None) => Cursor::Start,
        };
        let (mut data, has_more) =
            self.history.list(kind, &filter, cursor, limit).map_err(|NoSuch { kind: missing, id }| {
                let param = match cursor {
                    Cursor::After(it) if it == id => "starting_after",
                    Cursor::Before(it) if it == id => "ending_before",
                    _ => missing.singular(),
                };
                Failure::missing(missing, &id, param)
            })?;
        for path in params.all("expand") {
            let Some(rest) = path.strip_prefix("data.") else {
                let message = format!(
                    "This property cannot be expanded ({path}). You may want to try expanding 'data.{path}' instead."
                );
                return Err(Failure::invalid(message, Some("expand"), None));
            };
            for object in &mut data {
                self.expand(object, rest)?;
            }
        }
        Ok(answer(&render::list(data, has_more, format!("/v1/{}", kind.plural()))))
    }

    fn retrieve(&self, kind: Kind, id: &str, query: &str) -> Result<Response, Failure> {
        let params = Params::read(query, &[])?;
        let found = self.history.retrieve(kind, id);
        let mut object = found.ok_or_else(|| Failure::missing(kind, id, "id").with(StatusCode::NOT_FOUND))?;
        for path in params.all("expand") {
            self.expand(&mut object, path)?;
        }
        Ok(answer(&object))
    }

    /// Puts the object in place of the id that `path` leads to.
    fn expand(&self, object: &mut Value, path: &str) -> Result<(), Failure> {
        if path.split('.').count() > 4 {
            let message = "You cannot expand more than 4 levels of a property.";
            return Err(Failure::invalid(message.to_owned(), Some("expand"), None));
        }
        let (field, rest) = path.split_once('.').map_or((path, None), |(field, rest)| (field, Some(rest)));
        let unexpandable = || {
            Failure::invalid(
                format!("This property cannot be expanded ({path})."),
                Some("expand"),
                Some("property_not_expandable"),
            )
        };
        if let Some(list) = object.as_array_mut() {
            return list.iter_mut().try_for_each(|it| self.expand(it, path));
        }
        if object.get("deleted").is_some() || object.is_null() {
            return Ok(());
        }
        if field == "tiers" && object["object"] == "price" {
            // Only tiered prices have any, and the catalogue sells none; Stripe takes the path for every price.
            return Ok(());
        }
        if field == "discounts" {
            let kind = match object["object"].as_str() {
                // Items are discounted through their subscription alone, so that there is nothing to put in place.
                Some("subscription_item") => return Ok(()),
                Some("subscription") => Kind::Subscription,
                Some("invoice") => Kind::Invoice,
                _ => return Err(unexpandable()),
            };
            let id = object["id"].as_str().unwrap_or_default().to_owned();
            object["discounts"] = Value::Array(self.history.discounts(kind, &id, rest == Some("source.coupon")));
            return Ok(());
        }
        let Some(value) = object.get_mut(field) else { return Err(unexpandable()) };
        if let Some(id) = value.as_str() {
            let kind = match field {
                "customer" => Kind::Customer,
                "subscription" => Kind::Subscription,
                "latest_invoice" | "invoice" => Kind::Invoice,
                "charge" => Kind::Charge,
                "product" => Kind::Product,
                "price" | "default_price" => Kind::Price,
                _ => return Err(unexpandable()),
            };
            *value = self.history.retrieve(kind, id).ok_or_else(unexpandable)?;
        } else if rest.is_none() && !value.is_null() && !value.is_object() {
            return Err(unexpandable());
        }
        match rest {
            Some(rest) if !value.is_null() => self.expand(value, rest),
            _ => Ok(()),
        }
    }
}

/// What a kind's list can be narrowed down by, beside the page itself.
fn allowed(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Customer => &["email"],
        Kind::Product => &["active"],
        Kind::Price => &["active", "product"],
        Kind::Subscription => &["customer", "status"],
        Kind::Invoice => &["customer", "subscription", "status"],
        Kind::Charge => &["customer"],
        Kind::Refund | Kind::Dispute => &["charge"],
        Kind::Event => &["type", "types"],
        _ => &[],
    }
}

/// A request's parameters, names without a trailing `[]` or `[0]`.
struct Params(Vec<(String, String)>);

impl Params {
    fn read(query: &str, more: &[&str]) -> Result<Self, Failure> {
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

    fn one(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|it| it.0 == name).map(|it| it.1.as_str()).filter(|it| !it.is_empty())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |it| it.0 == name).map(|it| it.1.as_str())
    }

    fn integer(&self, name: &str) -> Result<Option<i64>, Failure> {
        self.one(name)
            .map(|text| {
                text.parse().map_err(|_| {
                    Failure::invalid(format!("Invalid integer: {text}"), Some(name), Some("parameter_invalid_integer"))
                })
            })
            .transpose()
    }

    fn limit(&self) -> Result<usize, Failure> {
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

    fn filter(&self, kind: Kind) -> Result<Filter, Failure> {
        let same = self.integer("created")?;
        let lower = [self.integer("created[gte]")?, self.integer("created[gt]")?.map(|it| it.saturating_add(1)), same];
        let upper = [
            self.integer("created[lt]")?,
            self.integer("created[lte]")?.map(|it| it.saturating_add(1)),
            same.map(|it| it.saturating_add(1)),
        ];
        let status = self.one("status").map(str::to_owned);
        if let Some(word) = &status {
            let fits = match kind {
                Kind::Subscription => {
                    matches!(word.as_str(), "all" | "ended") || SUBSCRIPTION_STATUSES.iter().any(|it| it.0 == word)
                }
                _ => crate::books::InvoiceStatus::ALL.iter().any(|it| it.word() == word),
            };
            if !fits {
                return Err(Failure::invalid(format!("Invalid status: {word}"), Some("status"), None));
            }
        }
        let text = |name: &str| self.one(name).map(str::to_owned);
        let active = self
            .one("active")
            .map(|word| {
                word.parse().map_err(|_| Failure::invalid(format!("Invalid boolean: {word}"), Some("active"), None))
            })
            .transpose()?;
        Ok(Filter {
            from: lower.into_iter().flatten().max(),
            to: upper.into_iter().flatten().min(),
            customer: text("customer"),
            subscription: text("subscription"),
            charge: text("charge"),
            status,
            types: self.all("type").chain(self.all("types")).map(str::to_owned).collect(),
            email: text("email"),
            product: text("product"),
            active,
        })
    }

    /// A page of a list that lies within one object, in its own order.
    fn page_of(&self, parts: &[Value], kind: Kind, url: &str) -> Result<Response, Failure> {
        let limit = self.limit()?;
        let position = |param: &str| -> Result<Option<usize>, Failure> {
            self.one(param)
                .map(|id| parts.iter().position(|it| it["id"] == id).ok_or_else(|| Failure::missing(kind, id, param)))
                .transpose()
        };
        let (begin, end, has_more) = match (position("starting_after")?, position("ending_before")?) {
            (_, Some(before)) => (before.saturating_sub(limit), before, before > limit),
            (after, None) => {
                let begin = after.map_or(0, |it| it + 1);
                let end = (begin + limit).min(parts.len());
                (begin, end, end < parts.len())
            }
        };
        Ok(answer(&render::list(parts[begin..end].to_vec(), has_more, url.to_owned())))
    }
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
