//! Requests, their retries, and pages.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::header::HeaderMap;
use serde_json::Value;
use url::Url;

use crate::error::named_permission;
use crate::limits::{Endpoint, Pacer};
use crate::transport::fault;
use crate::{API_VERSION, Error, ErrorKind, Limits, Object, Stream, StripeKey, Unreadable};

/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take in all; a page of a hundred expanded objects takes Stripe seconds.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(60);
/// A wait that Stripe asks for and that is longer than this is the caller's to make.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The most objects that Stripe gives in a page.
const PAGE: u8 = 100;

/// How a request is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often at most, beside the first time.
    pub retries: usize,
    /// The first pause; later ones double.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { retries: 4, first_pause: Duration::from_millis(500), longest_pause: Duration::from_secs(5) }
    }
}

/// Where in a list to read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListParams {
    /// Objects per page, 1 to 100; 100 without it.
    pub limit: Option<u8>,
    /// After this object, which is towards older ones.
    pub starting_after: Option<String>,
    /// Before this object, which is towards newer ones.
    pub ending_before: Option<String>,
    /// Made at or after, in Unix seconds.
    pub created_gte: Option<i64>,
    /// Made before, in Unix seconds.
    pub created_lt: Option<i64>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListPage {
    /// What could be read, in Stripe's order: newest first.
    pub objects: Vec<Object>,
    /// The id of the last element, readable or not: where the next page starts.
    pub last_id: Option<String>,
    /// Whether there is more.
    pub has_more: bool,
    /// What was left out.
    pub unreadable: Vec<Unreadable>,
}

/// Reads Stripe. Cheap to clone; clones share the pacing. Dropping a call's future cancels it.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    http: reqwest::Client,
    base: Url,
    key: StripeKey,
    pacer: Pacer,
    retry: RetryPolicy,
    requests: AtomicU64,
}

impl Client {
    /// A client for the API at `base_url`.
    ///
    /// # Errors
    /// [`ErrorKind::Address`] where `base_url` is no http or https address.
    pub fn new(base_url: &str, key: StripeKey, limits: Limits) -> Result<Self, Error> {
        Self::with_retry(base_url, key, limits, RetryPolicy::default())
    }

    /// The same with another way of trying again.
    pub fn with_retry(base_url: &str, key: StripeKey, limits: Limits, retry: RetryPolicy) -> Result<Self, Error> {
        let refused = || Error::new(ErrorKind::Address(base_url.to_owned()));
        let mut base = Url::parse(base_url.trim()).map_err(|_| refused())?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(refused());
        }
        base.set_query(None);
        base.set_fragment(None);
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            // Whoever redirects an API is not the API; the key must not follow.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("paywall-console/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::new(ErrorKind::Transport(fault(&error))))?;
        let inner = Inner { http, base, key, pacer: Pacer::new(limits), retry, requests: AtomicU64::new(0) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The key that it uses.
    pub fn key(&self) -> &StripeKey {
        &self.inner.key
    }

    /// How many requests have been sent, retries counted.
    pub fn requests(&self) -> u64 {
        self.inner.requests.load(Ordering::Relaxed)
    }

    /// A page of a list. Embedded lists are completed.
    pub async fn list(&self, stream: Stream, params: &ListParams) -> Result<ListPage, Error> {
        let mut query: Vec<(&str, String)> = vec![("limit", params.limit.unwrap_or(PAGE).clamp(1, PAGE).to_string())];
        query.extend(stream.list_parameters().iter().map(|(name, value)| (*name, (*value).to_owned())));
        if let Some(id) = &params.starting_after {
            query.push(("starting_after", id.clone()));
        }
        if let Some(id) = &params.ending_before {
            query.push(("ending_before", id.clone()));
        }
        if let Some(seconds) = params.created_gte {
            query.push(("created[gte]", seconds.to_string()));
        }
        if let Some(seconds) = params.created_lt {
            query.push(("created[lt]", seconds.to_string()));
        }
        let path = format!("v1/{stream}");
        let body = self.request(stream.name(), &path, &query).await.map_err(|error| match error.kind {
            ErrorKind::NotFound { message } => Error { kind: ErrorKind::NotOffered { message }, ..error },
            _ => error,
        })?;
        let (elements, has_more) = list_of(body)?;
        let mut page = ListPage { has_more, ..ListPage::default() };
        for mut element in elements {
            page.last_id = element.get("id").and_then(Value::as_str).map(str::to_owned).or(page.last_id);
            self.complete(stream, &mut element).await?;
            match Object::read(stream, element) {
                Ok(object) => page.objects.push(object),
                Err(unreadable) => page.unreadable.push(unreadable),
            }
        }
        Ok(page)
    }

    /// One object in its present state.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where Stripe does not have it, [`ErrorKind::Unreadable`] where its
    /// shape is not known.
    pub async fn get(&self, stream: Stream, id: &str) -> Result<Object, Error> {
        let query: Vec<(&str, String)> =
            stream.get_parameters().iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        if id.is_empty() || id.chars().all(|c| c == '.') {
            return Err(Error::new(ErrorKind::NotFound { message: format!("{id:?} is no id") }));
        }
        let path = format!("v1/{stream}/{}", path_segment(id));
        let mut body = self.request(one_of(stream), &path, &query).await?;
        self.complete(stream, &mut body).await?;
        Object::read(stream, body)
            .map_err(|unreadable| Error::new(ErrorKind::Unreadable { path: unreadable.path, error: unreadable.error }))
    }

    /// Reads the rest of an embedded list of which Stripe sent only the beginning.
    async fn complete(&self, stream: Stream, object: &mut Value) -> Result<(), Error> {
        let field = match stream {
            Stream::Subscriptions => "items",
            Stream::Invoices => "lines",
            _ => return Ok(()),
        };
        let cut = object.get(field).and_then(|list| list.get("has_more")).and_then(Value::as_bool) == Some(true);
        let Some(id) = object.get("id").and_then(Value::as_str).map(str::to_owned).filter(|_| cut) else {
            return Ok(());
        };
        let (endpoint, path, fixed): (Endpoint, String, Vec<(&str, String)>) = match stream {
            Stream::Subscriptions => (
                "subscription_items",
                "v1/subscription_items".to_owned(),
                vec![("subscription", id), ("expand[]", "data.discounts".to_owned())],
            ),
            _ => ("invoice_lines", format!("v1/invoices/{}/lines", path_segment(&id)), Vec::new()),
        };
        // Read from its start: what came embedded may be stale by the time the rest is read.
        let mut members: Vec<Value> = Vec::new();
        let mut seen: HashSet<String> = HashSet::new();
        let mut restarted = false;
        loop {
            let mut query = fixed.clone();
            query.push(("limit", PAGE.to_string()));
            if let Some(last) = members.last().and_then(|member| member.get("id")).and_then(Value::as_str) {
                query.push(("starting_after", last.to_owned()));
            }
            let body = match self.request(endpoint, &path, &query).await {
                // The line that stood as the cursor has been deleted meanwhile.
                Err(Error { kind: ErrorKind::Refused { .. } | ErrorKind::NotFound { .. }, .. })
                    if !members.is_empty() && !restarted =>
                {
                    restarted = true;
                    members.clear();
                    seen.clear();
                    continue;
                }
                other => other?,
            };
            let (elements, has_more) = list_of(body)?;
            let before = members.len();
            for element in elements {
                let known = element.get("id").and_then(Value::as_str).is_some_and(|id| !seen.insert(id.to_owned()));
                if !known {
                    members.push(element);
                }
            }
            if has_more && members.len() == before {
                return Err(looping(field));
            }
            if !has_more {
                break;
            }
        }
        if let Some(list) = object.get_mut(field).and_then(Value::as_object_mut) {
            list.insert("data".into(), Value::Array(members));
            list.insert("has_more".into(), Value::Bool(false));
        }
        Ok(())
    }

    /// Sends a request until it succeeds, fails for good, or was tried often enough.
    async fn request(&self, endpoint: Endpoint, path: &str, query: &[(&str, String)]) -> Result<Value, Error> {
        let retry = self.inner.retry;
        let backoff = ExponentialBuilder::new()
            .with_min_delay(retry.first_pause)
            .with_max_delay(retry.longest_pause)
            .with_max_times(retry.retries)
            .with_jitter();
        (|| self.send(endpoint, path, query))
            .retry(backoff)
            .when(|error| error.passing() && error.retry_after.is_none_or(|wait| wait <= LONGEST_WAIT))
            .notify(|error, pause| {
                if matches!(error.kind, ErrorKind::RateLimited) {
                    self.inner.pacer.hold(error.retry_after.unwrap_or(pause));
                }
                tracing::debug!(endpoint, ?pause, request_id = error.request_id, %error, "trying again");
            })
            .adjust(|error, pause| match (pause, error.retry_after) {
                (Some(pause), Some(asked)) => Some(pause.max(asked)),
                (pause, _) => pause,
            })
            .await
    }

    async fn send(&self, endpoint: Endpoint, path: &str, query: &[(&str, String)]) -> Result<Value, Error> {
        let inner = &self.inner;
        inner.pacer.wait(endpoint).await;
        inner.requests.fetch_add(1, Ordering::Relaxed);
        let address = format!("{}/{path}", inner.base.as_str().trim_end_matches('/'));
        let answer = inner
            .http
            .get(address)
            .query(query)
            .bearer_auth(inner.key.expose())
            .header("Stripe-Version", API_VERSION)
            .send()
            .await
            .map_err(|error| Error::new(ErrorKind::Transport(fault(&error))))?;
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        let named = |kind| Error {
            kind,
            request_id: text(&headers, "request-id"),
            retry_after: text(&headers, "retry-after").and_then(|text| text.parse().ok()).map(Duration::from_secs),
            should_retry: text(&headers, "stripe-should-retry").and_then(|text| text.parse().ok()),
        };
        let body = answer.bytes().await.map_err(|error| named(ErrorKind::Transport(fault(&error))))?;
        if status == 200 {
            return serde_json::from_slice(&body)
                .map_err(|error| named(ErrorKind::Unreadable { path: ".".into(), error: error.to_string() }));
        }
        Err(named(refusal(status, &body)))
    }
}

/// What a status other than 200 means.
fn refusal(status: u16, body: &[u8]) -> ErrorKind {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = body.get("error");
    let word = |name| error.and_then(|error| error.get(name)).and_then(Value::as_str).map(str::to_owned);
    let message = word("message").unwrap_or_else(|| format!("status {status}"));
    match status {
        401 => ErrorKind::Unauthorized { message },
        403 => ErrorKind::PermissionMissing { permission: named_permission(&message), message },
        404 | 405 => ErrorKind::NotFound { message },
        429 => ErrorKind::RateLimited,
        409 | 500.. => ErrorKind::Server(status),
        400 | 402 | 422 => ErrorKind::Refused { parameter: word("param"), message },
        _ => ErrorKind::Unreadable { path: ".".into(), error: message },
    }
}

/// The elements of a list's page, and whether there are more.
fn list_of(body: Value) -> Result<(Vec<Value>, bool), Error> {
    let unreadable =
        |path: &str, error: &str| Error::new(ErrorKind::Unreadable { path: path.to_owned(), error: error.to_owned() });
    let Value::Object(mut body) = body else { return Err(unreadable(".", "no object")) };
    let Some(has_more) = body.get("has_more").and_then(Value::as_bool) else {
        return Err(unreadable("has_more", "neither true nor false"));
    };
    match body.remove("data") {
        Some(Value::Array(elements)) => Ok((elements, has_more)),
        _ => Err(unreadable("data", "no list")),
    }
}

fn looping(field: &str) -> Error {
    Error::new(ErrorKind::Unreadable { path: field.to_owned(), error: "the same page came again and again".into() })
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// An id as one segment of a path: whatever a list calls an id cannot lead to another path.
fn path_segment(id: &str) -> String {
    url::form_urlencoded::byte_serialize(id.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Retrieving is another endpoint than listing.
fn one_of(stream: Stream) -> Endpoint {
    stream.object()
}
