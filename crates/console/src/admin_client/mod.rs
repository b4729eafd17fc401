//! The client of the paywall server's admin API.
//!
//! Every failure is told apart as far as a person's next step differs; see [`AdminError`].

mod billing;
pub(crate) mod error;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use paywall_contract::{
    API_VERSION, AdjustmentOutcome, AdjustmentRequest, Caller, ChangesPage, ChangesQuery, IDEMPOTENCY_KEY, PRODUCT,
    Page, Problem, ProblemCode, ServerHealth, Settlement, Tenant, TenantsQuery, UndoRequest, UsageDaysPage,
    UsageDaysQuery,
};
use paywall_domain::{TenantId, Timestamp};
use reqwest::header::{HeaderMap, IF_MATCH};
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

pub use billing::KnownRows;
pub use error::AdminError;

use crate::ipc::FailureCode;

/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take in all.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(15);
/// "No clock has been seen yet".
const UNMEASURED: i64 = i64::MIN;

/// What was answered, whatever it is.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    /// Whether a paywall server says that it has no such path. Any other 404, such as that of a proxy while the
    /// server is exchanged, says nothing of what the server has.
    fn not_offered(&self) -> bool {
        self.status == 404
            && serde_json::from_slice::<Problem>(&self.body).is_ok_and(|it| it.code == ProblemCode::NotFound)
    }
}

/// Speaks to one paywall server with one token. Cheap to clone. Dropping a call's future cancels it.
#[derive(Debug, Clone)]
pub struct AdminClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    http: reqwest::Client,
    base: Url,
    token: SecretString,
    skew_ms: AtomicI64,
    requests: AtomicU64,
}

impl AdminClient {
    /// A client of the server at `address`, such as `https://paywall.example.com`.
    ///
    /// # Errors
    /// [`FailureCode::AddressInvalid`] where `address` is no http or https address.
    pub fn new(address: &str, token: SecretString) -> Result<Self, AdminError> {
        let invalid =
            || AdminError::of(FailureCode::AddressInvalid, format!("{address:?} is no http or https address"));
        let mut base = Url::parse(address.trim()).map_err(|_| invalid())?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none_or(str::is_empty) {
            return Err(invalid());
        }
        base.set_query(None);
        base.set_fragment(None);
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            // The token must not follow to wherever somebody redirects.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(crate::USER_AGENT)
            .build()
            .map_err(|error| AdminError::of(FailureCode::Internal, error.to_string()))?;
        let inner = Inner { http, base, token, skew_ms: AtomicI64::new(UNMEASURED), requests: AtomicU64::new(0) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// This machine's clock minus the server's in milliseconds, as of the latest answer; `None` = none yet.
    pub fn clock_skew_ms(&self) -> Option<i64> {
        let skew = self.inner.skew_ms.load(Ordering::Relaxed);
        (skew != UNMEASURED).then_some(skew)
    }

    /// How many requests have been sent.
    pub fn requests(&self) -> u64 {
        self.inner.requests.load(Ordering::Relaxed)
    }

    /// Who the token is, after making sure that a paywall server of a version that we speak answers.
    pub async fn me(&self) -> Result<Caller, AdminError> {
        let sent = local_ms();
        let caller: Caller = self.read(self.request(Method::GET, &["me"])).await?;
        if caller.product != PRODUCT {
            return Err(AdminError::of(FailureCode::NotPaywallServer, format!("it says it is {:?}", caller.product)));
        }
        if !speaks(&caller.api_version) {
            let code =
                FailureCode::ServerVersion { server: caller.api_version.clone(), console: API_VERSION.to_owned() };
            return Err(AdminError::of(code, format!("server {}, API {}", caller.version, caller.api_version)));
        }
        self.saw_clock(caller.now, sent);
        Ok(caller)
    }

    /// How the server is; `None` = it is too old to say.
    pub async fn health(&self) -> Result<Option<ServerHealth>, AdminError> {
        let answer = self.ask(self.request(Method::GET, &["server"])).await?;
        if answer.not_offered() { Ok(None) } else { self.taken(&answer).map(Some) }
    }

    /// A page of the feed.
    pub async fn changes(&self, query: &ChangesQuery) -> Result<ChangesPage, AdminError> {
        let sent = local_ms();
        let page: ChangesPage = self.read(self.request(Method::GET, &["changes"]).query(query)).await?;
        self.saw_clock(page.now, sent);
        Ok(page)
    }

    /// A page of what tenants used by day; `None` = the server is too old to say.
    pub async fn usage_days(&self, query: &UsageDaysQuery) -> Result<Option<UsageDaysPage>, AdminError> {
        let answer = self.ask(self.request(Method::GET, &["usage", "days"]).query(query)).await?;
        if answer.not_offered() { Ok(None) } else { self.taken(&answer).map(Some) }
    }

    /// One tenant as the server has it now.
    pub async fn tenant(&self, id: &TenantId) -> Result<Tenant, AdminError> {
        self.read(self.request(Method::GET, &["tenants", id.as_str()])).await
    }

    /// Tenants by the server's own search and order.
    pub async fn search(&self, query: &TenantsQuery) -> Result<Page<Tenant>, AdminError> {
        self.read(self.request(Method::GET, &["tenants"]).query(query)).await
    }

    /// What a change would do. Nothing is changed.
    pub async fn preview(&self, id: &TenantId, change: &AdjustmentRequest) -> Result<AdjustmentOutcome, AdminError> {
        let request = self.request(Method::POST, &["tenants", id.as_str(), "adjustments"]);
        self.outcome(request.query(&[("dry_run", "true")]), change).await
    }

    /// Makes a change, once per `key`, if the tenant is still at `version`.
    ///
    /// Where the error says [`AdminError::may_have_been_made`], [`AdminClient::settle`] tells what became of it.
    pub async fn adjust(
        &self,
        id: &TenantId,
        change: &AdjustmentRequest,
        version: i64,
        key: &str,
    ) -> Result<AdjustmentOutcome, AdminError> {
        let request = self
            .request(Method::POST, &["tenants", id.as_str(), "adjustments"])
            .header(IDEMPOTENCY_KEY, key)
            .header(IF_MATCH, format!("\"{version}\""));
        self.outcome(request, change).await
    }

    /// What an undo would do. Nothing is changed.
    pub async fn preview_undo(&self, adjustment: &str, undo: &UndoRequest) -> Result<AdjustmentOutcome, AdminError> {
        let request = self.request(Method::POST, &["adjustments", adjustment, "undo"]);
        self.outcome(request.query(&[("dry_run", "true")]), undo).await
    }

    /// Undoes an adjustment, once per `key`.
    pub async fn undo(&self, adjustment: &str, undo: &UndoRequest, key: &str) -> Result<AdjustmentOutcome, AdminError> {
        let request = self.request(Method::POST, &["adjustments", adjustment, "undo"]).header(IDEMPOTENCY_KEY, key);
        self.outcome(request, undo).await
    }

    /// What became of the change under `key`, that was sent to the database `instance` where that is known.
    /// From then on the key makes nothing.
    pub async fn settle(&self, key: &str, instance: Option<&str>) -> Result<Settlement, AdminError> {
        let request = self.request(Method::POST, &["keys", key, "settle"]);
        self.read(match instance {
            Some(instance) => request.query(&[("instance", instance)]),
            None => request,
        })
        .await
    }

    async fn outcome(&self, request: RequestBuilder, body: &impl Serialize) -> Result<AdjustmentOutcome, AdminError> {
        let sent = local_ms();
        let outcome: AdjustmentOutcome = self.read(request.json(body)).await?;
        self.saw_clock(outcome.now, sent);
        Ok(outcome)
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut address = self.inner.base.clone();
        if let Ok(mut segments) = address.path_segments_mut() {
            segments.pop_if_empty().extend(["admin", "v1"]).extend(path);
        }
        self.inner.http.request(method, address).bearer_auth(self.inner.token.expose_secret())
    }

    async fn read<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, AdminError> {
        self.taken(&self.ask(request).await?)
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Answer, AdminError> {
        let request = request.build().map_err(|error| {
            // The only part that a person wrote and that can be refused here is the token.
            AdminError::of(FailureCode::TokenRefused, format!("the request cannot be made: {}", error.without_url()))
        })?;
        self.inner.requests.fetch_add(1, Ordering::Relaxed);
        let answer = self.inner.http.execute(request).await.map_err(|error| AdminError::transport(&error))?;
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        let body = answer.bytes().await.map_err(|error| AdminError::transport(&error).named(&headers))?;
        Ok(Answer { status, headers, body: body.into() })
    }

    /// What an answer holds, where it is a success.
    fn taken<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, AdminError> {
        let Answer { status, headers, body } = answer;
        if !(200..300).contains(status) {
            return Err(AdminError::refusal(*status, headers, body));
        }
        self.saw_date(headers);
        serde_json::from_slice(body).map_err(|error| AdminError::foreign(*status, &error).named(headers))
    }

    /// The server's clock stood at `server` at some instant after `sent` and before now. So the difference lies
    /// between two bounds, and what was measured before stands where it fits: a slow answer teaches nothing.
    fn saw_clock(&self, server: Timestamp, sent: i64) {
        let received = local_ms().max(sent);
        let (least, most) = (sent - server.0, received - server.0);
        let known = self.clock_skew_ms().unwrap_or(i64::midpoint(least, most));
        self.inner.skew_ms.store(known.clamp(least, most), Ordering::Relaxed);
    }

    /// The `Date` header has whole seconds: it serves only until an answer with a clock of its own came.
    fn saw_date(&self, headers: &HeaderMap) {
        let date = headers.get(reqwest::header::DATE).and_then(|date| date.to_str().ok());
        let Some(date) = date.and_then(|date| chrono::DateTime::parse_from_rfc2822(date).ok()) else { return };
        if self.clock_skew_ms().is_none() {
            let now = local_ms();
            self.saw_clock(Timestamp(date.timestamp_millis()), now);
        }
    }
}

/// This machine's clock, in milliseconds.
fn local_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

/// Whether we speak a server's version: the same major, and at least our minor.
fn speaks(server: &str) -> bool {
    let parts = |text: &str| {
        let (major, minor) = text.split_once('.')?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    };
    match (parts(server), parts(API_VERSION)) {
        (Some((major, minor)), Some((our_major, our_minor))) => major == our_major && minor >= our_minor,
        _ => false,
    }
}
