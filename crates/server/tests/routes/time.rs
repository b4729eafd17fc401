//! What time does by itself: noted once, never covered up, and no reason to refuse a read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use paywall_contract::{AdjustmentOutcome, ChangeRecord, Page, Tenant};
use paywall_domain::{DAY_MS, Status};
use serde_json::{Value, json};

use crate::app::{Database, NOW, TestApp, extend, held, id, trying};

on_each_database! {
    what_time_ends_is_noted_once_and_counters_start_again,
    a_change_does_not_cover_up_what_time_did_before_it,
    neither_does_an_undo_nor_an_import,
    reads_answer_for_now_while_nothing_can_be_written,
    reads_do_not_wait_for_a_long_writer,
    what_was_derived_at_an_instant_still_to_come_is_derived_again,
}

async fn kinds(app: &TestApp, number: u32) -> Vec<String> {
    let timeline = app.get(&format!("/admin/v1/tenants/{}/timeline", id(number))).await;
    timeline["items"].as_array().unwrap().iter().map(|it| it["body"]["kind"].as_str().unwrap().to_owned()).collect()
}

async fn count(app: &TestApp, status: &str) -> usize {
    let path = format!("/admin/v1/tenants?limit=500&status={status}");
    serde_json::from_value::<Page<Tenant>>(app.get(&path).await).unwrap().items.len()
}

async fn what_time_ends_is_noted_once_and_counters_start_again(on: Database) {
    let app = on.with(vec![trying(1, "One", 2)]).await;
    assert_eq!(app.tenant(1).await.meters[0].used, Some(40));
    app.clock.set(NOW.plus_ms(2 * DAY_MS - 1));
    assert_eq!(app.tenant(1).await.status, Status::Trial);
    app.clock.set(NOW.plus_ms(2 * DAY_MS));
    for _ in 0..2 {
        assert_eq!(app.get("/admin/v1/tenants?status=trial").await["items"], json!([]));
        assert_eq!(app.get("/admin/v1/tenants?status=expired").await["items"].as_array().unwrap().len(), 1);
        let timeline = app.get(&format!("/admin/v1/tenants/{}/timeline", id(1))).await;
        let items = timeline["items"].as_array().unwrap();
        assert_eq!(items.len(), 1);
        assert_eq!(items[0]["body"]["kind"], "trial_ended");
        assert_eq!(items[0]["at"], NOW.plus_days(2).0);
    }
    app.clock.set(NOW.plus_days(20));
    let tenant = app.tenant(1).await;
    assert_eq!(tenant.meters[0].used, Some(0));
    assert!(tenant.meters[0].resets_at.unwrap() > NOW.plus_days(20));
    app.stop().await;
}
/// Holds every writer back while `request` is sent, and lets 20 days pass until it gets its turn.
async fn overtaken<T: Send + 'static>(app: &Arc<TestApp>, request: impl Future<Output = T> + Send + 'static) -> T {
    let mut intruder = app.intruder().await;
    let lock = held(&mut intruder).await;
    let request = tokio::spawn(request);
    tokio::time::sleep(Duration::from_millis(500)).await;
    app.clock.set(NOW.plus_days(20));
    lock.rollback().await.unwrap();
    request.await.unwrap()
}

async fn a_change_does_not_cover_up_what_time_did_before_it(on: Database) {
    let app = Arc::new(on.with(vec![trying(1, "One", 2)]).await);
    let version = app.tenant(1).await.version;
    app.change(1, "k0", json!({"kind": "note"})).await;
    let response = overtaken(&app, {
        let app = app.clone();
        async move { app.change_at(1, "k1", version, extend(7)).await }
    })
    .await;
    let outcome: AdjustmentOutcome = response.json().await.unwrap();
    assert_eq!((outcome.before.status, outcome.after.status), (Status::Expired, Status::Trial));
    assert_eq!(outcome.before.meters[0].used, Some(0), "July's messages, not June's");
    assert_eq!(outcome.adjustment.unwrap().at, outcome.now, "one instant for the whole request");
    assert_eq!(outcome.seq, app.tenant(1).await.seq);
    assert_eq!(kinds(&app, 1).await, ["adjustment", "trial_ended", "adjustment"]);
    let messages = app.tenant(1).await.meters[0].clone();
    assert!(messages.used == Some(0) && messages.resets_at.unwrap() > NOW.plus_days(20));
}

async fn neither_does_an_undo_nor_an_import(on: Database) {
    let app = Arc::new(on.with(vec![trying(1, "One", 2), trying(2, "Two", 2)]).await);
    let made: Value = app.change(1, "k1", extend(1)).await.json().await.unwrap();
    let response = overtaken(&app, {
        let app = app.clone();
        let made = made["adjustment"]["id"].as_str().unwrap().to_owned();
        async move { app.undo(&made, "k2").await }
    })
    .await;
    assert!(response.status().is_success());
    assert_eq!(kinds(&app, 1).await, ["adjustment", "trial_ended", "adjustment"]);

    let app = Arc::new(on.with(vec![trying(2, "Two", 2)]).await);
    overtaken(&app, {
        let app = app.clone();
        async move { app.bring_in(vec![trying(2, "Two", 60)]).await }
    })
    .await;
    assert_eq!(kinds(&app, 2).await, ["trial_ended"]);
    assert_eq!(app.tenant(2).await.status, Status::Trial);
}

async fn reads_answer_for_now_while_nothing_can_be_written(on: Database) {
    let app = on.with((1..=300).map(|n| trying(n, "T", 2)).collect()).await;
    for table in ["tenants", "tokens", "entries"] {
        app.place.refuse_writes(table).await;
    }
    app.clock.set(NOW.plus_days(20));
    let tenant = app.tenant(1).await;
    assert_eq!((tenant.status, tenant.as_of), (Status::Expired, NOW.plus_days(20)));
    assert_eq!(tenant.meters[0].used, Some(0), "July's messages, not June's");
    assert_eq!((count(&app, "trial").await, count(&app, "expired").await), (0, 300));
    assert_eq!(kinds(&app, 1).await, [""; 0]);
    let page = app.changes(None, 1_000).await;
    let expired = |it: &&ChangeRecord| matches!(it, ChangeRecord::Tenant(it) if it.status == Status::Expired);
    assert_eq!(page.changes.iter().filter(expired).count(), 300);
    assert_eq!(app.change(1, "k1", extend(1)).await.status(), 503, "a change is another matter");
    app.stop().await;
}

async fn reads_do_not_wait_for_a_long_writer(on: Database) {
    let app = on.with(vec![trying(1, "One", 2)]).await;
    let mut intruder = app.intruder().await;
    let lock = held(&mut intruder).await;
    app.clock.set(NOW.plus_days(3));
    let asked = Instant::now();
    assert_eq!(app.tenant(1).await.status, Status::Expired);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    lock.rollback().await.unwrap();
    app.stop().await;
}

async fn what_was_derived_at_an_instant_still_to_come_is_derived_again(on: Database) {
    let app = on.with(vec![trying(1, "One", 2)]).await;
    app.clock.advance_ms(3 * DAY_MS);
    let ahead = app.changes(None, 100).await;
    let late = app.tenant(1).await;
    assert_eq!(late.status, Status::Expired);
    app.clock.set(NOW);
    let page = app.changes(Some(&ahead.cursor), 100).await;
    let again = page.changes.iter().find_map(|it| match it {
        ChangeRecord::Tenant(tenant) => Some(tenant),
        _ => None,
    });
    let again = again.expect("it comes again");
    assert_eq!(again.status, Status::Trial);
    assert!(again.seq > late.seq && again.as_of < late.as_of, "newer by its place, not by the clock");
    assert_eq!((count(&app, "trial").await, count(&app, "expired").await), (1, 0));
    app.stop().await;
}
