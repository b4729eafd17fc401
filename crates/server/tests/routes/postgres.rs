//! What is said of `PostgreSQL` alone: it goes away and comes back, grants few rights, has other locales.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paywall_contract::{IntakeRecord, Problem, ProblemCode};
use paywall_databases::Postgres;
use paywall_domain::Role;
use paywall_server::{Config, Server, ServerError, TestClock};
use reqwest::{Method, StatusCode};
use sqlx::{AnyConnection, Connection};

use crate::app::{Database, NOW, Place, TestApp, extend, id, trying};
use crate::changes::refused;

async fn opened(url: String) -> Result<Server, ServerError> {
    let config = Config { database_url: url, ..Config::default() };
    Server::open(config, Arc::new(TestClock::at(NOW))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_the_database_is_away_the_answer_is_503_and_afterwards_all_goes_on() {
    let place = Arc::new(Place::on(Postgres::start().unwrap()));
    let clock = Arc::new(TestClock::at(NOW));
    let app = TestApp::start_in(Arc::clone(&place), clock, BTreeMap::new(), Arc::new(|_| {})).await;
    app.bring_in(vec![trying(1, "One", 5)]).await;
    let cursor = app.changes(None, 100).await.cursor;
    let version = app.tenant(1).await.version;
    assert_eq!(app.change_at(1, "kept", version, extend(1)).await.status(), StatusCode::OK);

    place.server().0.kill();
    let path = format!("/admin/v1/tenants/{}", id(1));
    let asked = Instant::now();
    let (read, ready) =
        tokio::join!(app.request(Role::Viewer, Method::GET, &path).send(), app.bare(Method::GET, "/readyz").send());
    for response in [read.unwrap(), ready.unwrap()] {
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key("retry-after"));
        assert_eq!(response.json::<Problem>().await.unwrap().code, ProblemCode::Unavailable);
    }
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());

    place.server().0.restart().unwrap();
    // What was answered was kept, and the same key makes nothing more.
    let again = app.change_at(1, "kept", version, extend(1)).await;
    assert_eq!((again.status(), again.headers()["idempotent-replayed"].to_str().unwrap()), (StatusCode::OK, "true"));
    assert_eq!(app.change(1, "next", extend(1)).await.status(), StatusCode::OK);
    assert_eq!(app.tenant(1).await.facts.trial.unwrap().extensions, 2);
    assert!(!refused(&app, &cursor).await, "nothing was lost, so every cursor holds");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_needs_no_right_to_make_tables() {
    // As docs/operations.md says.
    let server = Postgres::start().unwrap();
    server.execute("postgres", "CREATE ROLE paywall_owner LOGIN").unwrap();
    let database = "CREATE DATABASE paywall OWNER paywall_owner ENCODING 'UTF8' TEMPLATE template0";
    server.execute("postgres", database).unwrap();
    let rights = "CREATE ROLE paywall_server LOGIN; SET ROLE paywall_owner;
         ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO paywall_server";
    server.execute("paywall", rights).unwrap();
    let served = server.url_as("paywall_server", "paywall");
    assert!(opened(served.clone()).await.is_err(), "nobody migrated it");
    opened(server.url_as("paywall_owner", "paywall")).await.unwrap();
    let less = "REVOKE INSERT, UPDATE, DELETE ON _sqlx_migrations FROM paywall_server";
    server.execute("paywall", less).unwrap();
    let searched = "SELECT count(*) FROM pg_indexes WHERE indexname = 'tenants_search'";
    assert_eq!(server.execute("paywall", searched).unwrap(), "1\n", "the owner may install pg_trgm");
    let less = opened(served).await.unwrap();
    let records = [IntakeRecord::Tenant(Box::new(trying(1, "One", 5)))];
    assert_eq!(less.import(records).await.unwrap().added, 1);
    less.create_token("Support", Role::Support, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn servers_that_start_at_once_migrate_once() {
    let place = Arc::new(Place::new(Database::Postgres));
    let starts: Vec<_> = (0..4)
        .map(|_| {
            let url = place.url();
            tokio::spawn(async move { opened(url).await.map(drop) })
        })
        .collect();
    for start in starts {
        start.await.unwrap().unwrap();
    }
    let (server, name) = place.server();
    let counts = "SELECT (SELECT count(*) FROM plans), (SELECT count(*) FROM runs)";
    assert_eq!(server.execute(name, counts).unwrap().trim(), "3|4");
}

/// Unlike in other locales, an upper-case letter comes before a lower-case one and an accent after both.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_of_another_locale_sorts_by_bytes_all_the_same() {
    let place = Arc::new(Place::new(Database::Postgres));
    let (server, _) = place.server();
    let sorted = "SELECT string_agg(word, '' ORDER BY word) FROM (VALUES ('b'), ('B'), ('ä'), ('_')) AS words (word)";
    server
        .execute("postgres", "CREATE DATABASE german LOCALE_PROVIDER icu ICU_LOCALE 'de' TEMPLATE template0")
        .unwrap();
    assert_eq!(server.execute("german", sorted).unwrap().trim(), "_äbB", "the test tests something");
    let german = opened(server.url("german")).await.unwrap();
    let names = ["b", "ä", "_", "a b"];
    let records = (1_u32..).zip(names).map(|(n, name)| IntakeRecord::Tenant(Box::new(trying(n, name, 5))));
    german.import(records.collect::<Vec<_>>()).await.unwrap();
    let mut connection = AnyConnection::connect(&server.url("german")).await.unwrap();
    let found: Vec<(String,)> =
        sqlx::query_as("SELECT name_key FROM tenants ORDER BY name_key").fetch_all(&mut connection).await.unwrap();
    let mut expected = names.map(str::to_owned);
    expected.sort();
    assert_eq!(found.into_iter().map(|(name,)| name).collect::<Vec<_>>(), expected);
}
