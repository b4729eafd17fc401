//! What tenants used by day, as the sync reads it on.

use crate::fakes::{Copy, Served, by_hand, pass, quick, source, until};
use paywall_console::ipc::{FailureCode, Source, SourceState};
use paywall_domain::DAY_MS;
use serde_json::{Value, json};

const DAYS: &str = "SELECT substr(tenant_id, 32) || ':' || messages FROM usage_days ORDER BY tenant_id, day";

fn day(tenant: u32, days_ago: i64, messages: i64) -> Value {
    let today = chrono::Utc::now().timestamp_millis().div_euclid(DAY_MS);
    json!({"tenant_id": format!("{tenant:032x}"), "day": (today - days_ago) * DAY_MS,
        "amounts": {"messages": messages, "tokens": 1, "api_requests": 0}})
}

/// Passes until the copy has these days.
async fn until_days(copy: &Copy, engine: &paywall_console::sync::SyncEngine, wanted: &[&str]) {
    for _ in 0..20 {
        if copy.column(DAYS).await == wanted {
            return;
        }
        pass(engine, Source::Server).await;
    }
    assert_eq!(copy.column(DAYS).await, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn days_come_page_by_page_and_then_only_what_changed() {
    let server = Served::start().await;
    server.with(|fake| {
        fake.plans(1);
        // More than a pass reads, which ends after twenty pages of two.
        fake.usage = Some((0..41).map(|n| day(n + 1, 300, 1)).collect());
    });
    let copy = Copy::new().await;
    let engine = copy.engine(Some(&server), None, quick()).await;
    let wanted: Vec<String> = (1..42).map(|n| format!("{:x}:1", n % 16)).collect();
    until(&engine, "the first copy", |engine| engine.freshness().as_of.is_some()).await;
    until_days(&copy, &engine, &wanted.iter().map(String::as_str).collect::<Vec<_>>()).await;

    // A finished reading is not begun again before its time, unless somebody asks.
    server.forget();
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    assert_eq!(server.count("/admin/v1/usage/days"), 0);
    server.with(|fake| fake.usage.as_mut().unwrap().extend([day(1, 0, 5), day(1, 60, 6)]));
    pass(&engine, Source::Server).await;
    let kept = copy.column("SELECT messages || '' FROM usage_days WHERE tenant_id LIKE '%0001' ORDER BY day").await;
    assert_eq!(kept, ["1", "5"], "what lies further back than corrections is not read again");
    assert!(server.count("/admin/v1/usage/days?after=one-41") >= 1);
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_too_old_to_list_days_is_no_fault() {
    let server = Served::start().await;
    server.with(|fake| fake.plans(1));
    let copy = Copy::new().await;
    let engine = copy.engine(Some(&server), None, by_hand()).await;
    until(&engine, "the first copy", |engine| engine.freshness().as_of.is_some()).await;
    pass(&engine, Source::Server).await;
    let state = copy.cache.stream_state(Source::Server, "usage_days").await.unwrap();
    assert_eq!(state.missing.map(|it| it.code), Some(FailureCode::NotFound));
    assert_eq!(source(&engine, Source::Server).state, SourceState::Current);
    assert_eq!(source(&engine, Source::Server).failure, None);
    // Nor is one that fails at it; and once it can, it does.
    server.with(|fake| fake.spoilt.insert("/admin/v1/usage/days".into(), (500, json!({}))));
    pass(&engine, Source::Server).await;
    pass(&engine, Source::Server).await;
    assert_eq!(source(&engine, Source::Server).failure, None);
    assert!(copy.cache.stream_state(Source::Server, "usage_days").await.unwrap().last_failure.is_some());
    server.with(|fake| {
        fake.spoilt.clear();
        fake.usage = Some(vec![day(1, 0, 5)]);
    });
    until_days(&copy, &engine, &["1:5"]).await;
    let state = copy.cache.stream_state(Source::Server, "usage_days").await.unwrap();
    assert!(state.missing.is_none() && state.last_failure.is_none() && state.complete_at.is_some());
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn days_of_another_database_take_the_place_of_all() {
    let server = Served::start().await;
    server.with(|fake| {
        fake.plans(1);
        fake.usage = Some(vec![day(1, 0, 5), day(2, 0, 6)]);
    });
    let copy = Copy::new().await;
    let engine = copy.engine(Some(&server), None, by_hand()).await;
    until(&engine, "the first copy", |engine| engine.freshness().as_of.is_some()).await;
    until_days(&copy, &engine, &["1:5", "2:6"]).await;
    server.with(|fake| {
        fake.instance = "two".into();
        fake.usage = Some(vec![day(2, 0, 7)]);
    });
    until_days(&copy, &engine, &["2:7"]).await;
    engine.stop().await;
    copy.cache.close().await;
}
