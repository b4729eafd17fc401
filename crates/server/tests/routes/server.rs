//! How the server says that it is: its processes, its gate, and how fresh what it knows of `RAGFlow` is.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use paywall_contract::{DatabaseKind, DirectoryKind, GateHealth, MeteringHealth, ServerHealth};
use paywall_domain::{DAY_MS, Role};
use paywall_server::{Config, Server, TestClock};
use reqwest::StatusCode;
use secrecy::SecretString;
use sqlx::AssertSqlSafe;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::{Database, NOW, Place, TestApp};

on_each_database! {
    a_server_alone_says_what_it_is,
    each_server_on_a_database_is_known_to_the_others,
    a_server_that_died_is_remembered_for_a_day,
    a_database_of_ragflow_that_is_away_is_told_with_a_remedy,
    an_api_of_ragflow_that_is_away_is_told_once_somebody_needed_it,
    a_server_that_cannot_write_tells_of_itself_all_the_same,
}

const PATH: &str = "/admin/v1/server";

async fn health(app: &TestApp) -> ServerHealth {
    serde_json::from_value(app.get(PATH).await).unwrap()
}

/// Waits until what an answer says is so.
async fn until(app: &TestApp, holds: impl Fn(&ServerHealth) -> bool) -> ServerHealth {
    let asked = Instant::now();
    loop {
        let health = health(app).await;
        if holds(&health) {
            return health;
        }
        assert!(asked.elapsed() < Duration::from_secs(20), "{health:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn a_server_alone_says_what_it_is(on: Database) {
    let app = on.start().await;
    app.clock.advance_ms(60_000);
    let health = health(&app).await;
    let now = NOW.plus_ms(60_000);
    assert_eq!(health.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(health.instance, app.get("/admin/v1/me").await["instance"]);
    let expected = if on == Database::Postgres { DatabaseKind::Postgres } else { DatabaseKind::Sqlite };
    assert_eq!((health.database, health.started_at, health.now), (expected, NOW, now));
    assert_eq!(health.gate, GateHealth::default(), "no RAGFlow is set");
    assert_eq!(health.directory.kind, DirectoryKind::None);
    assert_eq!((health.directory.last_success_at, health.directory.failure), (None, None));
    assert_eq!(health.metering, MeteringHealth::default());
    let [own] = health.replicas.as_slice() else { panic!("{:?}", health.replicas) };
    assert_eq!((own.version.as_str(), own.started_at, own.seen_at), (env!("CARGO_PKG_VERSION"), NOW, now));
    app.stop().await;
}

async fn each_server_on_a_database_is_known_to_the_others(on: Database) {
    let one = on.start().await;
    one.clock.advance_ms(1_000);
    let other = one.replica().await;
    let seen = until(&one, |health| health.replicas.len() == 2).await;
    assert_eq!(seen.replicas.iter().map(|it| it.started_at).collect::<Vec<_>>(), [NOW, NOW.plus_ms(1_000)]);
    assert_eq!(until(&other, |health| health.replicas.len() == 2).await.replicas[0].id, seen.replicas[0].id);
    // One that is stopped says so.
    other.stop().await;
    assert_eq!(health(&one).await.replicas.len(), 1);
    one.stop().await;
}

async fn a_server_that_died_is_remembered_for_a_day(on: Database) {
    let one = on.start().await;
    let mut intruder = one.intruder().await;
    for (id, ago) in [("dead", 3_600_000), ("long dead", DAY_MS + 1)] {
        let at = NOW.0 - ago;
        let row = format!("INSERT INTO replicas (id, version, started_at, seen_at) VALUES ('{id}', '0.0.9', 1, {at})");
        sqlx::query(AssertSqlSafe(row)).execute(&mut intruder).await.unwrap();
    }
    let known = health(&one).await.replicas;
    let (dead, own) = (&known[0], &known[1]);
    assert_eq!((known.len(), dead.id.as_str(), dead.version.as_str()), (2, "dead", "0.0.9"));
    assert_eq!((dead.seen_at, own.seen_at), (NOW.plus_ms(-3_600_000), NOW));
    // The next word of any server takes out what is too old.
    let other = one.replica().await;
    until(&one, |health| health.replicas.len() == 3).await;
    let (rows,): (i64,) = sqlx::query_as("SELECT count(*) FROM replicas").fetch_one(&mut intruder).await.unwrap();
    assert_eq!(rows, 3);
    drop(intruder);
    other.stop().await;
    one.stop().await;
}

async fn a_server_that_cannot_write_tells_of_itself_all_the_same(on: Database) {
    let one = on.start().await;
    one.place.refuse_writes("replicas").await;
    one.clock.advance_ms(1_000);
    let health = health(&one).await;
    assert_eq!(health.replicas.len(), 1);
    assert_eq!(health.replicas[0].seen_at, NOW.plus_ms(1_000), "it answers, so it runs");
    one.stop().await;
}

/// A server with settings of its own.
struct Gated {
    url: String,
    token: String,
    client: reqwest::Client,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    _place: Place,
}

impl Gated {
    async fn start(on: Database, set: impl FnOnce(&mut Config)) -> Self {
        let place = Place::new(on);
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut config = Config { database_url: place.url(), ..Config::default() };
        set(&mut config);
        let server = Server::open(config, Arc::new(TestClock::at(NOW))).await.unwrap();
        let token = server.create_token("viewer", Role::Viewer, None).await.unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn({
            let stop = stop.clone();
            async move { server.serve(listener, stop).await.unwrap() }
        });
        Self { url, token, client: reqwest::Client::new(), stop, serving, _place: place }
    }

    async fn health(&self) -> ServerHealth {
        let answer = self.client.get(format!("{}{PATH}", self.url)).bearer_auth(&self.token).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.unwrap()
    }

    async fn stop(self) {
        self.stop.cancel();
        self.serving.await.unwrap();
    }
}

/// Where nothing answers.
const NOWHERE: &str = "127.0.0.1:9";

async fn a_database_of_ragflow_that_is_away_is_told_with_a_remedy(on: Database) {
    let app = Gated::start(on, |config| {
        config.ragflow_database_url = Some(SecretString::from(format!("mysql://me:secret@{NOWHERE}/rag_flow")));
        config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    let asked = Instant::now();
    let told = loop {
        let health = app.health().await;
        if health.directory.failure.is_some() {
            break health;
        }
        assert!(asked.elapsed() < Duration::from_secs(20), "{health:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(told.gate, GateHealth { proxy: false, authz: true, ragflow_url: None });
    assert_eq!(told.directory.kind, DirectoryKind::Database);
    let failure = told.directory.failure.unwrap();
    assert_eq!((failure.code.as_str(), failure.since), ("ragflow_database_away", NOW));
    assert!(failure.remedy.contains("ragflow_database_url"), "{}", failure.remedy);
    assert!(!failure.remedy.contains("secret"));
    assert_eq!(told.directory.last_success_at, None);
    app.stop().await;
}

async fn an_api_of_ragflow_that_is_away_is_told_once_somebody_needed_it(on: Database) {
    let ragflow = format!("http://{NOWHERE}");
    let app = Gated::start(on, |config| config.ragflow_url = Some(ragflow.parse().unwrap())).await;
    let before = app.health().await;
    let gate = GateHealth { proxy: true, authz: false, ragflow_url: Some(ragflow.clone()) };
    assert_eq!((before.gate, before.directory.kind), (gate, DirectoryKind::Api));
    assert_eq!((before.directory.last_success_at, before.directory.failure), (None, None), "nobody was asked about");

    let chat = format!("{}/api/v1/chats/0123456789abcdef0123456789abcdef/completions", app.url);
    let key = "ragflow-0123456789abcdef0123456789abcdef";
    let refused = app.client.post(chat).bearer_auth(key).json(&serde_json::json!({"question": "?"})).send().await;
    assert!(!refused.unwrap().status().is_success());
    let failure = app.health().await.directory.failure.unwrap();
    assert_eq!(failure.code, "ragflow_api_away");
    assert!(failure.since <= NOW && failure.remedy.contains("ragflow_url"), "{failure:?}");
    app.stop().await;
}
