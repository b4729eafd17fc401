//! Changes: once, on the version that was read, shown before, taken back.

use paywall_contract::{AdjustmentOutcome, Problem};
use paywall_domain::{AccessLevel, Role, Status, UndoRefusal};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Database, NOW, extend, id, trying};

on_each_database! {
    an_extension_lets_a_locked_out_tenant_in_and_its_undo_locks_it_again,
    a_change_of_an_old_version_is_refused_with_the_present_one,
    a_dry_run_shows_what_the_change_then_does_and_changes_nothing,
}

async fn an_extension_lets_a_locked_out_tenant_in_and_its_undo_locks_it_again(on: Database) {
    let app = on.with(vec![trying(1, "Late", -3)]).await;
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

async fn a_change_of_an_old_version_is_refused_with_the_present_one(on: Database) {
    let app = on.with(vec![trying(1, "One", 2)]).await;
    let version = app.tenant(1).await.version;
    app.change(1, "k1", extend(1)).await;
    let response = app.change_at(1, "k2", version, extend(1)).await;
    assert_eq!(response.status(), StatusCode::PRECONDITION_FAILED);
    assert_eq!(response.json::<Problem>().await.unwrap().version, Some(version + 1));
    // The key was not used up by the refusal.
    assert_eq!(app.change_at(1, "k2", version + 1, extend(1)).await.status(), StatusCode::OK);
    app.stop().await;
}

async fn a_dry_run_shows_what_the_change_then_does_and_changes_nothing(on: Database) {
    let app = on.with(vec![trying(1, "One", -2)]).await;
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
