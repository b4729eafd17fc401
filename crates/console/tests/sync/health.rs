//! How the server says that it is, as the sync hears and keeps it.

use crate::fakes::{Copy, Served, by_hand, pass, source, until};
use paywall_console::ipc::{Source, SourceState};
use paywall_contract::{DatabaseKind, DirectoryKind};
use serde_json::json;

fn health() -> serde_json::Value {
    json!({
        "version": "1.2.0", "instance": "one", "database": "postgres", "started_at": 5,
        "replicas": [{"id": "a", "version": "1.2.0", "started_at": 5, "seen_at": 6}],
        "gate": {"proxy": true, "authz": false, "ragflow_url": "http://ragflow:9380"},
        "directory": {"kind": "database", "last_success_at": 6, "compared_at": 5, "failure": null},
        // What a newer server says beside is left aside.
        "metering": {"waiting": 3, "store_away": false, "lost": 0}, "weather": "fine",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn how_the_server_is_comes_with_each_pass_and_is_remembered() {
    let server = Served::start().await;
    server.with(|fake| fake.health = Some(health()));
    let copy = Copy::new().await;
    let engine = copy.engine(Some(&server), None, by_hand()).await;
    until(&engine, "its word", |engine| engine.freshness().health.is_some()).await;
    let told = engine.freshness().health.unwrap();
    assert_eq!(
        (told.database, told.directory.kind, told.replicas.len()),
        (DatabaseKind::Postgres, DirectoryKind::Database, 1)
    );
    assert!(told.gate.proxy && !told.gate.authz && told.metering.waiting == 3);
    pass(&engine, Source::Server).await;
    assert!(engine.freshness().health.unwrap().now > told.now, "each pass asks again");

    // A server that says nothing of it now, and one that says nonsense: neither is a failure, nor news.
    for (status, body) in [(500, json!({})), (200, json!({"version": "1", "database": "oracle"}))] {
        server.with(|fake| fake.spoilt.insert("/admin/v1/server".into(), (status, body)));
        pass(&engine, Source::Server).await;
        assert_eq!(source(&engine, Source::Server).failure, None);
        assert!(engine.freshness().health.is_some(), "what it said before keeps its age");
    }
    engine.stop().await;

    // Offline it is still here, from the copy.
    let offline = copy.engine(None, None, by_hand()).await;
    assert_eq!(offline.freshness().health.unwrap().version, "1.2.0");
    offline.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_too_old_to_say_how_it_is_is_read_all_the_same() {
    let server = Served::start().await;
    server.with(|fake| {
        fake.plans(3);
        fake.health = Some(health());
    });
    let copy = Copy::new().await;
    let engine = copy.engine(Some(&server), None, by_hand()).await;
    until(&engine, "its word", |engine| engine.freshness().health.is_some()).await;
    // An older one answers in its place: what the newer one said holds no more.
    server.with(|fake| fake.health = None);
    pass(&engine, Source::Server).await;
    assert!(engine.freshness().health.is_none());
    assert!(!engine.freshness().offline);
    assert_eq!(source(&engine, Source::Server).state, SourceState::Current);
    assert_eq!(copy.column("SELECT id FROM plans").await.len(), 3);
    assert_eq!(copy.column("SELECT value FROM facts WHERE name = 'server_health'").await.len(), 0);
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_database_said_of_itself_is_not_kept() {
    let server = Served::start().await;
    server.with(|fake| {
        fake.plans(3);
        fake.health = Some(health());
    });
    let copy = Copy::new().await;
    let engine = copy.engine(Some(&server), None, by_hand()).await;
    until(&engine, "the first copy", |engine| engine.freshness().as_of.is_some()).await;
    until(&engine, "its word", |engine| engine.freshness().health.is_some()).await;
    let mut other = health();
    other["instance"] = json!("two");
    server.with(|fake| {
        fake.instance = "two".into();
        fake.health = Some(other);
    });
    // The pass that empties the copy may empty it of the answer that came beside; the next one asks again.
    pass(&engine, Source::Server).await;
    pass(&engine, Source::Server).await;
    let kept = copy.column("SELECT value FROM facts WHERE name = 'server_health'").await;
    assert!(kept.len() == 1 && kept[0].contains("\"two\""), "{kept:?}");
    assert_eq!(engine.freshness().health.unwrap().instance, "two");
    engine.stop().await;
    copy.cache.close().await;
}
