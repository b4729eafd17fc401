//! One key, one change, whoever sends it.

use std::time::Duration;

use paywall_contract::{AdjustmentOutcome, Problem, ProblemCode, Settlement};
use paywall_domain::Role;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::app::{Database, extend, id, trying};

on_each_database! {
    the_same_key_makes_one_change,
    forty_of_the_same_at_once_make_one_change,
    settling_tells_what_was_made_and_voids_what_was_not,
    a_replaced_token_is_told_what_was_made_and_voids_for_everybody,
    a_change_sent_to_another_database_is_not_settled_here,
    keys_are_forgotten_after_ninety_days,
}

async fn the_same_key_makes_one_change(on: Database) {
    let app = on.with(vec![trying(1, "One", 2)]).await;
    let version = app.tenant(1).await.version;
    let first = app.change_at(1, "key", version, extend(7)).await;
    assert!(!first.headers().contains_key("idempotent-replayed"));
    let etag = first.headers()["etag"].clone();
    let first: Value = first.json().await.unwrap();
    // The version is old by now: the key is looked at first.
    let second = app.change_at(1, "key", version, extend(7)).await;
    assert_eq!(second.headers()["idempotent-replayed"], "true");
    assert_eq!(second.headers()["etag"], etag);
    assert_eq!(second.json::<Value>().await.unwrap(), first);
    assert_eq!(app.tenant(1).await.facts.trial.unwrap().extensions, 1);

    let other: Problem = app.change(1, "key", extend(8)).await.json().await.unwrap();
    assert_eq!(other.code, ProblemCode::IdempotencyKeyReused);
    // Also by another token: the key is the server's.
    let other: Problem = app
        .request(Role::Support, Method::POST, &format!("/admin/v1/tenants/{}/adjustments", id(1)))
        .header("Idempotency-Key", "key")
        .header("If-Match", app.tenant(1).await.etag())
        .json(&json!({"change": {"kind": "note"}, "reason": "x"}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(other.code, ProblemCode::IdempotencyKeyReused);
    app.stop().await;
}

async fn forty_of_the_same_at_once_make_one_change(on: Database) {
    let app = std::sync::Arc::new(on.with(vec![trying(1, "One", 2)]).await);
    let version = app.tenant(1).await.version;
    let sent: Vec<_> = (0..40)
        .map(|_| {
            let app = app.clone();
            tokio::spawn(async move { app.change_at(1, "key", version, extend(1)).await.status() })
        })
        .collect();
    for status in sent {
        assert_eq!(status.await.unwrap(), StatusCode::OK);
    }
    assert_eq!(app.tenant(1).await.facts.trial.unwrap().extensions, 1);
}

async fn settling_tells_what_was_made_and_voids_what_was_not(on: Database) {
    let app = on.with(vec![trying(1, "One", 2)]).await;
    let settle = async |key: &str| -> Settlement {
        let path = format!("/admin/v1/keys/{key}/settle");
        app.request(Role::Owner, Method::POST, &path).send().await.unwrap().json().await.unwrap()
    };
    let made: AdjustmentOutcome = app.change(1, "made", extend(1)).await.json().await.unwrap();
    assert_eq!(settle("made").await.adjustment, made.adjustment);
    assert_eq!(settle("lost").await.adjustment, None);
    let late: Problem = app.change(1, "lost", extend(1)).await.json().await.unwrap();
    assert_eq!(late.code, ProblemCode::IdempotencyKeyVoid);
    assert_eq!(settle("lost").await.adjustment, None);
    assert_eq!(app.tenant(1).await.facts.trial.unwrap().extensions, 1);
    app.stop().await;
}

async fn a_replaced_token_is_told_what_was_made_and_voids_for_everybody(on: Database) {
    let app = on.with(vec![trying(1, "One", 2)]).await;
    let version = app.tenant(1).await.version;
    let made: AdjustmentOutcome = app.change_at(1, "made", version, extend(7)).await.json().await.unwrap();

    let token = app.server.create_token("the new laptop", Role::Support, None).await.unwrap();
    let post = async |path: &str, key: &str, body: Value| -> Response {
        let request = app.bare(Method::POST, path).bearer_auth(&token).header("Idempotency-Key", key);
        request.header("If-Match", format!("\"{version}\"")).json(&body).send().await.unwrap()
    };
    let settled: Settlement = post("/admin/v1/keys/made/settle", "", json!({})).await.json().await.unwrap();
    assert_eq!(settled.adjustment, made.adjustment);
    let adjust = format!("/admin/v1/tenants/{}/adjustments", id(1));
    let again = post(&adjust, "made", json!({"change": extend(7), "reason": "customer asked"})).await;
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(again.json::<AdjustmentOutcome>().await.unwrap(), made);

    let settled: Settlement = post("/admin/v1/keys/lost/settle", "", json!({})).await.json().await.unwrap();
    assert_eq!(settled.adjustment, None);
    let late: Problem = app.change(1, "lost", extend(1)).await.json().await.unwrap();
    assert_eq!(late.code, ProblemCode::IdempotencyKeyVoid);

    // A stored answer is given to those only who could have made the change.
    let ended: AdjustmentOutcome = app.change(1, "end", json!({"kind": "end_trial"})).await.json().await.unwrap();
    let undo = format!("/admin/v1/adjustments/{}/undo", ended.adjustment.unwrap().id);
    let undone = app.request(Role::Owner, Method::POST, &undo).header("Idempotency-Key", "undo").json(&json!({}));
    assert_eq!(undone.send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(post(&undo, "undo", json!({})).await.status(), StatusCode::FORBIDDEN);
    app.stop().await;
}

async fn a_change_sent_to_another_database_is_not_settled_here(on: Database) {
    let app = on.with(vec![trying(1, "One", 2)]).await;
    let settle = async |instance: &str| -> Response {
        let path = format!("/admin/v1/keys/doubt/settle?instance={instance}");
        app.request(Role::Support, Method::POST, &path).send().await.unwrap()
    };
    let refused = settle("0123456789abcdef").await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "other_instance");
    assert_eq!(app.change(1, "doubt", extend(1)).await.status(), StatusCode::OK, "nothing was made void");
    let instance = app.changes(None, 1).await.instance;
    let settled: Settlement = settle(&instance).await.json().await.unwrap();
    assert!(settled.adjustment.is_some());
    app.stop().await;
}

async fn keys_are_forgotten_after_ninety_days(on: Database) {
    let app = on.with(vec![trying(1, "One", 200)]).await;
    app.change(1, "old", json!({"kind": "note"})).await;
    let day = paywall_domain::DAY_MS;
    app.clock.advance_ms(89 * day);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let problem: Problem = app.change(1, "old", extend(1)).await.json().await.unwrap();
    assert_eq!(problem.code, ProblemCode::IdempotencyKeyReused);
    app.clock.advance_ms(2 * day);
    for _ in 0..100 {
        if app.change(1, "old", extend(1)).await.status() == StatusCode::OK {
            return app.stop().await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the key was kept");
}
