//! A `RAGFlow` with its database, and paywall servers in front of it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use paywall_contract::{Tenant, TimelineBody, TimelineEntry};
use paywall_databases::Postgres;
use paywall_domain::{DenyCode, Limit, Meter, Plan, Role};
use paywall_server::{Clock, Config, Server, SystemClock};
use reqwest::header::AUTHORIZATION;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::place::{Database, Place};
use crate::ragflow::{Engine, Ragflow, id};
use crate::upstream::Upstream;

/// Longer than anything here takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// Where questions to a chat go.
pub(crate) const CHAT: &str = "/api/v1/chat/completions";

/// On which databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    MariaDbAndSqlite,
    Postgres,
}

pub(crate) struct World {
    pub(crate) on: On,
    pub(crate) ragflow: Arc<Ragflow>,
    pub(crate) place: Place,
}

/// The paywall in front of a `RAGFlow`.
pub(crate) struct Paywall {
    pub(crate) url: String,
    pub(crate) upstream: Upstream,
    token: String,
    pub(crate) client: Client,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    changes: AtomicU32,
}

impl World {
    pub(crate) fn start(on: On) -> Self {
        let (engine, place) = match on {
            On::MariaDbAndSqlite => (Engine::MariaDb, Place::new(Database::Sqlite)),
            On::Postgres => (Engine::Postgres, Place::on(Postgres::start().unwrap())),
        };
        Self { on, ragflow: Arc::new(Ragflow::start(engine)), place }
    }

    /// Users 1 to `count`, each with a dialog `d…` and a dataset `kb…` of its own.
    pub(crate) fn users(&self, count: u32) {
        for number in 1..=count {
            self.user(number);
        }
    }

    pub(crate) fn user(&self, number: u32) {
        let at = hour_ago();
        self.ragflow.register(number, &format!("user{number}@example{number}.com"), at);
        self.ragflow.dataset(&format!("kb{number}"), number, at);
        let (owner, times) = (id(number), format!("{at}, NULL, {at}, NULL"));
        self.ragflow.sql(&format!(
            "INSERT INTO dialog VALUES ('d{number}', '{owner}', 'd', '1', {times});
             INSERT INTO user_canvas VALUES ('a{number}', '{owner}', 'a', {times});"
        ));
    }

    pub(crate) async fn serve(&self) -> Paywall {
        self.serve_with(|_| {}).await
    }

    pub(crate) async fn serve_with(&self, set: impl FnOnce(&mut Config)) -> Paywall {
        self.serve_before(Upstream::start().await, set).await
    }

    /// A server in front of this `RAGFlow`: a further one is another replica.
    pub(crate) async fn serve_before(&self, upstream: Upstream, set: impl FnOnce(&mut Config)) -> Paywall {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut config = Config {
            listen: address,
            database_url: self.place.url(),
            token_key: SecretString::from("a key of every replica"),
            plans: Some(plans()),
            ragflow_url: Some(upstream.url().parse().unwrap()),
            ragflow_database_url: Some(SecretString::from(self.ragflow.url.clone())),
            ..Config::default()
        };
        set(&mut config);
        let server = Server::open(config, Arc::new(SystemClock)).await.unwrap();
        let token = server.create_token("test", Role::Owner, None).await.unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn({
            let stop = stop.clone();
            async move { server.serve(listener, stop).await.unwrap() }
        });
        let url = format!("http://{address}");
        let client = Client::builder().no_proxy().build().unwrap();
        Paywall { url, upstream, token, client, stop, serving, changes: AtomicU32::new(0) }
    }

    /// What a query of the paywall's own database finds.
    pub(crate) async fn number(&self, query: &str) -> i64 {
        let mut connection = self.place.connection().await;
        sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(&mut connection).await.unwrap()
    }

    /// Messages, tokens and API requests that events counted for a tenant, and from where the tokens are.
    pub(crate) async fn events(&self, number: u32) -> Vec<(i64, i64, i64, Option<String>)> {
        let mut connection = self.place.connection().await;
        let query =
            "SELECT messages, tokens, api_requests, tokens_from FROM usage_events WHERE tenant_id = $1 ORDER BY at";
        sqlx::query_as(query).bind(id(number).as_str()).fetch_all(&mut connection).await.unwrap()
    }
}

impl Paywall {
    pub(crate) fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// A request with this API key, session token or embed key.
    pub(crate) fn with(&self, method: Method, path: &str, credential: &str) -> RequestBuilder {
        self.bare(method, path).header(AUTHORIZATION, format!("Bearer {credential}"))
    }

    pub(crate) fn post(&self, path: &str, credential: &str, body: &Value) -> RequestBuilder {
        self.with(Method::POST, path, credential).json(body)
    }

    /// A question to a dialog; its whole answer.
    pub(crate) async fn ask(&self, credential: &str, dialog: &str) -> Answer {
        self.send(self.post(CHAT, credential, &json!({"chat_id": dialog, "question": "Which city?"}))).await
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let started = Instant::now();
        let answer = request.send().await.unwrap();
        Answer::of(answer, started).await
    }

    /// Uploads files of so many bytes into a dataset.
    pub(crate) async fn upload(&self, credential: &str, dataset: &str, sizes: &[usize]) -> Answer {
        let mut body = String::new();
        for size in sizes {
            body += "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n";
            body += &"x".repeat(*size);
            body += "\r\n";
        }
        let request = self
            .with(Method::POST, &format!("/api/v1/datasets/{dataset}/documents"), credential)
            .header("content-type", "multipart/form-data; boundary=b")
            .body(body + "--b--\r\n");
        self.send(request).await
    }

    fn admin(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, &format!("/admin/v1{path}")).bearer_auth(&self.token)
    }

    pub(crate) async fn find(&self, number: u32) -> Option<Tenant> {
        let answer = self.admin(Method::GET, &format!("/tenants/{}", id(number))).send().await.unwrap();
        match answer.status() {
            StatusCode::OK => Some(answer.json().await.unwrap()),
            _ => None,
        }
    }

    pub(crate) async fn tenant(&self, number: u32) -> Tenant {
        eventually(async || self.find(number).await.is_some()).await;
        self.find(number).await.unwrap()
    }

    pub(crate) async fn used(&self, number: u32, meter: Meter) -> i64 {
        level(&self.tenant(number).await, meter)
    }

    /// Makes a change as staff do.
    pub(crate) async fn adjust(&self, number: u32, change: Value) {
        for _ in 0..10 {
            let version = self.tenant(number).await.version;
            let key = format!("{}-{}", self.url, self.changes.fetch_add(1, Ordering::Relaxed));
            let answer = self
                .admin(Method::POST, &format!("/tenants/{}/adjustments", id(number)))
                .header("Idempotency-Key", key)
                .header("If-Match", format!("\"{version}\""))
                .json(&json!({"change": change, "reason": "customer asked"}))
                .send()
                .await
                .unwrap();
            match answer.status() {
                StatusCode::OK => return,
                StatusCode::PRECONDITION_FAILED => {}
                other => panic!("{other}: {}", answer.text().await.unwrap()),
            }
        }
        panic!("it changes all the time");
    }

    /// Codes of the entries that say that it was blocked, oldest first.
    pub(crate) async fn blocked(&self, number: u32) -> Vec<DenyCode> {
        let path = format!("/tenants/{}/timeline?limit=500", id(number));
        let page: Value = self.admin(Method::GET, &path).send().await.unwrap().json().await.unwrap();
        let entries: Vec<TimelineEntry> = serde_json::from_value(page["items"].clone()).unwrap();
        let blocked = |it: TimelineEntry| if let TimelineBody::Blocked { code } = it.body { Some(code) } else { None };
        entries.into_iter().rev().filter_map(blocked).collect()
    }

    /// Tells it to stop.
    pub(crate) fn cancel(&self) {
        self.stop.cancel();
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        // Connections that rest would be waited for.
        drop(self.client);
        tokio::time::timeout(LONG * 3, self.serving).await.unwrap().unwrap();
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
    pub(crate) took: Duration,
}

impl Answer {
    async fn of(answer: Response, started: Instant) -> Self {
        let status = answer.status().as_u16();
        let text = |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = answer.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        let body = answer.text().await.unwrap();
        Self { status, headers, body, took: started.elapsed() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The deny code, where it was refused.
    pub(crate) fn code(&self) -> Option<&str> {
        self.header("x-paywall-code")
    }

    /// The frames of a stream, as JSON.
    pub(crate) fn frames(&self) -> Vec<Value> {
        let frames = self.body.split("\n\n").filter(|it| !it.is_empty());
        frames.map(|it| serde_json::from_str(it.strip_prefix("data:").unwrap()).unwrap_or_default()).collect()
    }

    /// Whether the question was answered.
    pub(crate) fn passed(&self) -> bool {
        self.status == 200 && self.code().is_none()
    }
}

/// Plans that limit nothing that a test does not set ([`limit`]).
fn plans() -> Vec<Plan> {
    let plan = |id: &str, trial_days| Plan {
        id: id.into(),
        name: id.to_owned(),
        limits: BTreeMap::from([
            (Meter::Messages, Limit::AtMost(100_000)),
            (Meter::Tokens, Limit::AtMost(100_000_000)),
        ]),
        stripe_prices: Vec::new(),
        trial_days,
    };
    vec![plan("starter", 14), plan("pro", 14)]
}

/// Limits a meter of the plan that everybody tries.
pub(crate) fn limit(config: &mut Config, meter: Meter, most: i64) {
    config.plans.as_mut().unwrap()[0].limits.insert(meter, Limit::AtMost(most));
}

/// The level of a meter; -1 where it is not known.
pub(crate) fn level(tenant: &Tenant, meter: Meter) -> i64 {
    tenant.meters.iter().find(|it| it.meter == meter).unwrap().used.unwrap_or(-1)
}

pub(crate) fn hour_ago() -> i64 {
    SystemClock.now().0 - 3_600_000
}

/// Waits until it is so; answers how long that took.
pub(crate) async fn eventually(is_so: impl AsyncFn() -> bool) -> Duration {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < LONG, "it does not become so");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    started.elapsed()
}

pub(crate) fn override_of(meter: Meter, limit: i64) -> Value {
    json!({"kind": "override_quota", "meter": meter.as_str(), "limit": limit, "expires_at": null})
}

pub(crate) fn comp() -> Value {
    json!({"kind": "comp", "plan": "pro", "until": null})
}

pub(crate) fn end_trial() -> Value {
    json!({"kind": "end_trial"})
}

pub(crate) fn extend(days: u32) -> Value {
    json!({"kind": "extend_trial", "target": {"days": days}})
}
