//! Changes: once, on the version that was read, shown before, taken back.

use paywall_contract::{AdjustmentOutcome, Problem, ProblemCode, Settlement};
use paywall_domain::{AccessLevel, DAY_MS, Role, Status, UndoRefusal};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{NOW, TestApp, extend, id, trying};

#[tokio::test]
async fn an_extension_lets_a_locked_out_tenant_in_and_its_undo_locks_it_again() {
    let app = TestApp::with(vec![trying(1, "Late", -3)]).await;
    let before = app.tenant(1).await;
    assert_eq!((before.status, before.access.level), (Status::Expired, AccessLevel::Locked));

    let outcome: AdjustmentOutcome = app.change(1, "k1", extend(7)).await.json().await.unwrap();
    let after = app.tenant(1).await;
    assert_eq!((after.status, after.access.level), (Status::Trial, AccessLevel::Full));
    assert_eq!(after.facts.trial.as_ref().unwrap().ends_at, NOW.plus_days(7));
    assert_eq!(after.version, before.version + 1);
    assert_eq!(outcome.before.facts, before.facts);
    assert_eq!(outcome.after.facts, after.facts);
    let adjustment = outcome.adjustment.unwrap();
    assert_eq!(adjustment.actor, "owner");

    let undone: AdjustmentOutcome = app.undo(&adjustment.id, "k2").await.json().await.unwrap();
    assert_eq!(undone.adjustment.as_ref().unwrap().undoes.as_deref(), Some(adjustment.id.as_str()));
    assert_eq!(app.tenant(1).await.facts, before.facts);
    let list = app.get("/admin/v1/adjustments").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    assert_eq!(list["items"][1]["undone_by"], undone.adjustment.unwrap().id.as_str());

    let again: Problem = app.undo(&adjustment.id, "k3").await.json().await.unwrap();
    assert_eq!(again.undo, Some(UndoRefusal::AlreadyUndone));
    app.stop().await;
}

#[tokio::test]
async fn an_undo_is_refused_where_a_later_change_stands_on_it() {
    let app = TestApp::with(vec![trying(1, "One", 2)]).await;
    let first: AdjustmentOutcome = app.change(1, "k1", extend(7)).await.json().await.unwrap();
    let other: Value = app.change(1, "k2", json!({"kind": "suspend", "message": null})).await.json().await.unwrap();
    let later: AdjustmentOutcome = app.change(1, "k3", extend(1)).await.json().await.unwrap();
    let (first, later) = (first.adjustment.unwrap(), later.adjustment.unwrap());

    let response = app.undo(&first.id, "k4").await;
    assert_eq!(response.status(), StatusCode::CONFLICT);
    let problem: Problem = response.json().await.unwrap();
    let refusal = UndoRefusal::ChangedSince {
        adjustment: Some(later.id.clone()),
        by: Some("owner".to_owned()),
        at: Some(later.at),
    };
    assert_eq!(problem.undo, Some(refusal));
    // A change of another part does not stand in the way, and stays.
    assert_eq!(app.undo(&later.id, "k5").await.status(), StatusCode::OK);
    assert_eq!(app.undo(&first.id, "k6").await.status(), StatusCode::OK);
    assert!(other["adjustment"]["id"].is_string());
    assert_eq!(app.tenant(1).await.status, Status::Suspended);

    // Time or billing made the change: nobody is named.
    let made: AdjustmentOutcome = app.change(1, "k7", extend(3)).await.json().await.unwrap();
    let mut newer = trying(1, "One", 9);
    newer.facts.suspension = app.tenant(1).await.facts.suspension;
    app.bring_in(vec![newer]).await;
    let problem: Problem = app.undo(&made.adjustment.unwrap().id, "k8").await.json().await.unwrap();
    assert_eq!(problem.undo, Some(UndoRefusal::ChangedSince { adjustment: None, by: None, at: None }));
    app.stop().await;
}

#[tokio::test]
async fn the_same_key_makes_one_change() {
    let app = TestApp::with(vec![trying(1, "One", 2)]).await;
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
    // A key belongs to its token.
    let response = app
        .request(Role::Support, Method::POST, &format!("/admin/v1/tenants/{}/adjustments", id(1)))
        .header("Idempotency-Key", "key")
        .header("If-Match", app.tenant(1).await.etag())
        .json(&json!({"change": {"kind": "note"}, "reason": "x"}))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    app.stop().await;
}

#[tokio::test]
async fn forty_of_the_same_at_once_make_one_change() {
    let app = std::sync::Arc::new(TestApp::with(vec![trying(1, "One", 2)]).await);
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

#[tokio::test]
async fn settling_tells_what_was_made_and_voids_what_was_not() {
    let app = TestApp::with(vec![trying(1, "One", 2)]).await;
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

#[tokio::test]
async fn a_change_of_an_old_version_is_refused_with_the_present_one() {
    let app = TestApp::with(vec![trying(1, "One", 2)]).await;
    let version = app.tenant(1).await.version;
    app.change(1, "k1", extend(1)).await;
    let response = app.change_at(1, "k2", version, extend(1)).await;
    assert_eq!(response.status(), StatusCode::PRECONDITION_FAILED);
    assert_eq!(response.json::<Problem>().await.unwrap().version, Some(version + 1));
    // The key was not used up by the refusal.
    assert_eq!(app.change_at(1, "k2", version + 1, extend(1)).await.status(), StatusCode::OK);
    app.stop().await;
}

#[tokio::test]
async fn a_dry_run_shows_what_the_change_then_does_and_changes_nothing() {
    let app = TestApp::with(vec![trying(1, "One", -2)]).await;
    let changes = [
        extend(3),
        json!({"kind": "override_quota", "meter": "messages", "limit": null, "expires_at": null}),
        json!({"kind": "override_quota", "meter": "tokens", "limit": 0, "expires_at": NOW.plus_days(1)}),
        json!({"kind": "comp", "plan": "pro", "until": null}),
        json!({"kind": "change_plan", "plan": "enterprise"}),
        json!({"kind": "suspend", "message": "please call"}),
        json!({"kind": "reinstate"}),
        json!({"kind": "end_trial"}),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let before = app.tenant(1).await;
        let shown: AdjustmentOutcome = app
            .request(Role::Owner, Method::POST, &format!("/admin/v1/tenants/{}/adjustments?dry_run=true", id(1)))
            .json(&json!({"change": change, "reason": "customer asked"}))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(app.tenant(1).await, before);
        assert_eq!(shown.adjustment, None);
        let made: AdjustmentOutcome = app.change(1, &format!("k{index}"), change).await.json().await.unwrap();
        assert_eq!((shown.before, shown.after, shown.version), (made.before, made.after, made.version));
    }
    let tenant = serde_json::to_value(app.tenant(1).await).unwrap();
    assert_eq!(tenant["meters"][0]["limit"], Value::Null);
    assert_eq!(tenant["meters"][1]["limit"], 0);
    app.stop().await;
}

#[tokio::test]
async fn what_time_ends_is_noted_once_and_counters_start_again() {
    let app = TestApp::with(vec![trying(1, "One", 2)]).await;
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
