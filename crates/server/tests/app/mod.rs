//! One server that really listens, and callers of each role.

#[macro_use]
mod place;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use paywall_contract::{ChangesPage, DailyUsage, IntakeRecord, Member, MemberRole, Tenant, TenantIntake};
use paywall_domain::{DAY_MS, Meter, Role, TenantFacts, TenantId, Timestamp, Trial};
use paywall_server::{Config, Server, TestClock};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::AnyConnection;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) use place::{Database, Place, held};

/// 2026-06-15T12:00:00Z
pub(crate) const NOW: Timestamp = Timestamp(1_781_524_800_000);

pub(crate) struct TestApp {
    pub(crate) server: Server,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) url: String,
    tokens: BTreeMap<Role, String>,
    client: reqwest::Client,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    pub(crate) place: Arc<Place>,
    set: Settings,
}

/// What a test sets of its servers.
pub(crate) type Settings = Arc<dyn Fn(&mut Config) + Send + Sync>;

impl Database {
    /// A server on an empty database.
    pub(crate) async fn start(self) -> TestApp {
        self.start_with(Arc::new(|_| {})).await
    }

    /// A server with these settings on an empty database.
    pub(crate) async fn start_with(self, set: Settings) -> TestApp {
        TestApp::start_in(Arc::new(Place::new(self)), Arc::new(TestClock::at(NOW)), BTreeMap::new(), set).await
    }

    /// A server that knows these tenants.
    pub(crate) async fn with(self, tenants: Vec<TenantIntake>) -> TestApp {
        let app = self.start().await;
        app.bring_in(tenants).await;
        app
    }
}

impl TestApp {
    pub(crate) async fn start_in(
        place: Arc<Place>,
        clock: Arc<TestClock>,
        mut tokens: BTreeMap<Role, String>,
        set: Settings,
    ) -> Self {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut config = Config {
            listen: address,
            database_url: place.url(),
            token_key: SecretString::from("a key of every replica"),
            ..Config::default()
        };
        set(&mut config);
        let server = Server::open(config, clock.clone()).await.unwrap();
        if tokens.is_empty() {
            for role in [Role::Viewer, Role::Support, Role::Owner] {
                tokens.insert(role, server.create_token(role.as_str(), role, None).await.unwrap());
            }
        }
        let stop = CancellationToken::new();
        let serving = tokio::spawn({
            let (server, stop) = (server.clone(), stop.clone());
            async move { server.serve(listener, stop).await.unwrap() }
        });
        let url = format!("http://{address}");
        Self { server, clock, url, tokens, client: reqwest::Client::new(), stop, serving, place, set }
    }

    /// The token of somebody with this role.
    pub(crate) fn token(&self, role: Role) -> &str {
        &self.tokens[&role]
    }

    /// Another server on the same database, which knows the same clock and tokens.
    pub(crate) async fn replica(&self) -> Self {
        Self::start_in(Arc::clone(&self.place), Arc::clone(&self.clock), self.tokens.clone(), Arc::clone(&self.set))
            .await
    }

    pub(crate) async fn bring_in(&self, tenants: Vec<TenantIntake>) {
        let records = tenants.into_iter().map(|it| IntakeRecord::Tenant(Box::new(it)));
        let summary = self.server.import(records).await.unwrap();
        assert_eq!(summary.refused, []);
    }

    pub(crate) fn request(&self, role: Role, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url)).bearer_auth(self.token(role))
    }

    pub(crate) fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let response = self.request(Role::Viewer, Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.unwrap()
    }

    pub(crate) async fn tenant(&self, number: u32) -> Tenant {
        serde_json::from_value(self.get(&format!("/admin/v1/tenants/{}", id(number))).await).unwrap()
    }

    /// Makes a change as support or owner, under its own key and the present version.
    pub(crate) async fn change(&self, number: u32, key: &str, change: Value) -> Response {
        let version = self.tenant(number).await.version;
        self.change_at(number, key, version, change).await
    }

    pub(crate) async fn change_at(&self, number: u32, key: &str, version: i64, change: Value) -> Response {
        self.request(Role::Owner, Method::POST, &format!("/admin/v1/tenants/{}/adjustments", id(number)))
            .header("Idempotency-Key", key)
            .header("If-Match", format!("\"{version}\""))
            .json(&json!({"change": change, "reason": "customer asked"}))
            .send()
            .await
            .unwrap()
    }

    pub(crate) async fn undo(&self, adjustment: &str, key: &str) -> Response {
        self.request(Role::Owner, Method::POST, &format!("/admin/v1/adjustments/{adjustment}/undo"))
            .header("Idempotency-Key", key)
            .json(&json!({}))
            .send()
            .await
            .unwrap()
    }

    pub(crate) async fn changes(&self, after: Option<&str>, limit: u32) -> ChangesPage {
        let after = after.map(|it| format!("&after={it}")).unwrap_or_default();
        serde_json::from_value(self.get(&format!("/admin/v1/changes?limit={limit}{after}")).await).unwrap()
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.serving.await.unwrap();
    }

    /// Stops, does something to the database, and starts again with the same tokens.
    pub(crate) async fn restart(self, meanwhile: impl FnOnce(&Place)) -> Self {
        self.stop.cancel();
        self.serving.await.unwrap();
        meanwhile(&self.place);
        Self::start_in(self.place, self.clock, self.tokens, self.set).await
    }

    /// Another program's connection to the database.
    pub(crate) async fn intruder(&self) -> AnyConnection {
        self.place.connection().await
    }
}

pub(crate) fn id(number: u32) -> TenantId {
    TenantId::parse(&format!("{number:032x}")).unwrap()
}

pub(crate) fn extend(days: u32) -> Value {
    json!({"kind": "extend_trial", "target": {"days": days}})
}

/// A tenant on a trial that ends in so many days, negative for one that ended.
pub(crate) fn trying(number: u32, name: &str, days_left: i64) -> TenantIntake {
    let ends_at = NOW.plus_ms(days_left * DAY_MS);
    TenantIntake {
        id: id(number),
        name: name.to_owned(),
        email: format!("owner{number}@example{number}.com"),
        created_at: ends_at.plus_ms(-14 * DAY_MS),
        deleted_at: None,
        stripe_customer: Some(format!("cus_{number:08}")),
        facts: TenantFacts {
            plan: "starter".into(),
            trial: Some(Trial { started_at: ends_at.plus_ms(-14 * DAY_MS), ends_at, extensions: 0, extended_ms: 0 }),
            comp: None,
            suspension: None,
            subscription: None,
            overrides: BTreeMap::new(),
        },
        members: vec![Member {
            user_id: id(number).as_str().to_owned(),
            name: name.to_owned(),
            email: format!("Member{number}@Partner.example"),
            role: MemberRole::Owner,
        }],
        gauges: BTreeMap::from([(Meter::Documents, 3), (Meter::Seats, 1)]),
        usage: Some(vec![DailyUsage {
            day: Timestamp(NOW.0 - NOW.0 % DAY_MS),
            amounts: BTreeMap::from([(Meter::Messages, 40)]),
        }]),
        period: None,
        measured_at: Some(NOW),
        last_active_at: None,
        last_refusal: None,
        timeline: Vec::new(),
    }
}
