//! The client, and the lists and objects that a mirror reads.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use serde_json::Value;
use url::Url;

use crate::call::Call;
use crate::limits::Pacer;
use crate::transport::fault;
use crate::{Error, ErrorKind, Limits, Object, Stream, StripeKey, Unreadable};

/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take in all; a page of a hundred expanded objects takes Stripe seconds.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(60);
/// The most objects that Stripe gives in a page.
pub(crate) const PAGE: u8 = 100;
/// How many objects of a page are completed at the same time.
const SIDE_BY_SIDE: usize = 8;

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

/// How a client behaves. [`Limits`] alone can be given in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientOptions {
    /// How many requests are sent per second.
    pub limits: Limits,
    /// How a request is tried again.
    pub retry: RetryPolicy,
    /// Which program asks, as `name/version`: Stripe shows it beside each request.
    pub user_agent: String,
}

impl Default for ClientOptions {
    fn default() -> Self {
        let user_agent = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")).to_owned();
        Self { limits: Limits::default(), retry: RetryPolicy::default(), user_agent }
    }
}

impl From<Limits> for ClientOptions {
    fn from(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
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
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) http: reqwest::Client,
    pub(crate) base: Url,
    pub(crate) key: StripeKey,
    pub(crate) pacer: Pacer,
    pub(crate) retry: RetryPolicy,
    pub(crate) requests: AtomicU64,
    /// How many of them were answered with 429.
    pub(crate) refusals: AtomicU64,
    /// Lists whose answers cannot be expanded where this client reads.
    plain: Mutex<HashSet<Stream>>,
    /// The operations that the key was not allowed when they were last asked for.
    forbidden: Mutex<BTreeSet<&'static str>>,
    /// The version that an answer was in, other than the one asked for, and the request that it answered.
    pub(crate) other_version: Mutex<Option<(String, String)>>,
}

impl Inner {
    /// Learns from an answer whether the key is allowed an operation. Trouble says neither.
    pub(crate) fn may(&self, operation: &'static str, status: u16) {
        let mut forbidden = self.forbidden.lock().unwrap_or_else(PoisonError::into_inner);
        match status {
            403 => drop(forbidden.insert(operation)),
            200 => drop(forbidden.remove(operation)),
            _ => {}
        }
    }
}

impl Client {
    /// A client for the API at `base_url`.
    ///
    /// # Errors
    /// [`ErrorKind::Address`] where `base_url` is no http or https address.
    pub fn new(base_url: &str, key: StripeKey, options: impl Into<ClientOptions>) -> Result<Self, Error> {
        let ClientOptions { limits, retry, user_agent } = options.into();
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
            .user_agent(user_agent)
            .build()
            .map_err(|error| Error::new(ErrorKind::Transport(fault(&error))))?;
        let inner = Inner {
            http,
            base,
            key,
            pacer: Pacer::new(limits),
            retry,
            requests: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            plain: Mutex::default(),
            forbidden: Mutex::default(),
            other_version: Mutex::default(),
        };
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

    /// How many requests Stripe refused since they came too fast.
    pub fn refusals(&self) -> u64 {
        self.inner.refusals.load(Ordering::Relaxed)
    }

    /// Whether the key was not allowed an operation, by its name, when that was last asked for.
    pub fn is_forbidden(&self, operation: &str) -> bool {
        self.inner.forbidden.lock().unwrap_or_else(PoisonError::into_inner).contains(operation)
    }

    /// The version that Stripe last answered in, where it is another one than [`crate::API_VERSION`], and the
    /// name of the request that it answered.
    pub fn other_version(&self) -> Option<(String, String)> {
        self.inner.other_version.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A page of a list. Embedded lists are completed.
    pub async fn list(&self, stream: Stream, params: &ListParams) -> Result<ListPage, Error> {
        let call = Call::new(stream.list_operation(), &[])?
            .with("limit", params.limit.unwrap_or(PAGE).clamp(1, PAGE))
            .with_some("starting_after", params.starting_after.as_ref())
            .with_some("ending_before", params.ending_before.as_ref())
            .with_some("created[gte]", params.created_gte)
            .with_some("created[lt]", params.created_lt);
        let body = self.expanding(stream, call).await.map_err(Error::of_list)?;
        let (elements, has_more) = list_of(body)?;
        let mut page = ListPage { has_more, ..ListPage::default() };
        let whole: Vec<_> = elements.into_iter().map(|element| self.whole(stream, element).boxed()).collect();
        let mut whole = futures::stream::iter(whole).buffered(SIDE_BY_SIDE);
        while let Some((element, result)) = whole.next().await {
            let id = element.get("id").and_then(Value::as_str).map(str::to_owned);
            page.last_id = id.clone().or(page.last_id);
            match result {
                Ok(()) => match Object::read(stream, element) {
                    Ok(object) => page.objects.push(object),
                    Err(unreadable) => page.unreadable.push(unreadable),
                },
                // It was deleted after the list was made.
                Err(Error { kind: ErrorKind::NotFound { .. }, .. }) => {}
                Err(Error { kind: ErrorKind::Unreadable { path, error }, .. }) => {
                    page.unreadable.push(Unreadable { id: id.unwrap_or_default(), path, error });
                }
                Err(error) => return Err(error),
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
        let mut body = self.expanding(stream, Call::new(stream.get_operation(), &[id])?).await?;
        self.complete(stream, &mut body).await?;
        Object::read(stream, body)
            .map_err(|unreadable| Error::new(ErrorKind::Unreadable { path: unreadable.path, error: unreadable.error }))
    }

    /// Sends a request that asks for expanded properties. What answers may not know one of them, being older or
    /// newer than this: then the list is asked for as it is from there on.
    async fn expanding(&self, stream: Stream, mut call: Call) -> Result<Value, Error> {
        let plain = || self.inner.plain.lock().unwrap_or_else(PoisonError::into_inner);
        if !plain().contains(&stream) {
            match self.request(&call).await {
                Err(error) if error.refuses_expansion() => {
                    tracing::warn!(%stream, %error, "its properties are not expanded there");
                    plain().insert(stream);
                }
                other => return other,
            }
        }
        call.parameters.retain(|(name, _)| name != "expand[]");
        self.request(&call).await
    }
}

/// The elements of a list's page, and whether there are more.
pub(crate) fn list_of(body: Value) -> Result<(Vec<Value>, bool), Error> {
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

pub(crate) fn looping(field: &str) -> Error {
    Error::new(ErrorKind::Unreadable { path: field.to_owned(), error: "the same page came again and again".into() })
}
