//! What can be taken back, and what has to stay.

use paywall_contract::{Adjustment, AdjustmentOutcome, Problem};
use paywall_domain::{Role, Status, UndoRefusal};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Database, extend, trying};

on_each_database! {
    an_undo_is_refused_where_a_later_change_stands_on_it,
    a_way_there_and_back_still_stands_on_its_first_step,
    an_undo_can_be_bound_to_the_version_that_was_read,
}

fn stands_on(later: &Adjustment) -> UndoRefusal {
    UndoRefusal::ChangedSince { adjustment: Some(later.id.clone()), by: Some(later.actor.clone()), at: Some(later.at) }
}

async fn an_undo_is_refused_where_a_later_change_stands_on_it(on: Database) {
    let app = on.with(vec![trying(1, "One", 2)]).await;
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

async fn a_way_there_and_back_still_stands_on_its_first_step(on: Database) {
    let app = on.with(vec![trying(1, "One", 2)]).await;
    let mut made = Vec::new();
    for (number, plan) in ["pro", "starter", "pro"].into_iter().enumerate() {
        // Not even a clock that goes back makes the later change the earlier one.
        app.clock.advance_ms(-60_000);
        let change = json!({"kind": "change_plan", "plan": plan});
        let outcome: AdjustmentOutcome = app.change(1, &format!("k{number}"), change).await.json().await.unwrap();
        made.push(outcome.adjustment.unwrap());
    }
    let refused = async |number: usize, key: &str| -> Option<UndoRefusal> {
        app.undo(&made[number].id, key).await.json::<Problem>().await.unwrap().undo
    };
    assert_eq!(refused(0, "u1").await, Some(stands_on(&made[2])));
    assert_eq!(refused(1, "u2").await, Some(stands_on(&made[2])));
    assert_eq!(app.undo(&made[2].id, "u3").await.status(), StatusCode::OK);
    assert_eq!(refused(0, "u4").await, Some(stands_on(&made[1])));
    for number in [1, 0] {
        assert_eq!(app.undo(&made[number].id, &format!("u5{number}")).await.status(), StatusCode::OK);
    }
    assert_eq!(app.tenant(1).await.facts.plan.as_str(), "starter");

    // A note touches nothing, so nothing stands on it.
    let first: Value = app.change(1, "n1", json!({"kind": "note"})).await.json().await.unwrap();
    app.change(1, "n2", json!({"kind": "note"})).await;
    assert_eq!(app.undo(first["adjustment"]["id"].as_str().unwrap(), "n3").await.status(), StatusCode::OK);
    app.stop().await;
}

async fn an_undo_can_be_bound_to_the_version_that_was_read(on: Database) {
    let app = on.with(vec![trying(1, "One", 2)]).await;
    let made: AdjustmentOutcome = app.change(1, "k1", extend(1)).await.json().await.unwrap();
    let path = format!("/admin/v1/adjustments/{}/undo", made.adjustment.unwrap().id);
    let undo = async |version: &str| {
        let request = app.request(Role::Support, Method::POST, &path).header("Idempotency-Key", "undo");
        request.header("If-Match", version).json(&json!({})).send().await.unwrap()
    };
    let seen = app.tenant(1).await;
    app.change(1, "k2", json!({"kind": "suspend", "message": null})).await;
    let response = undo(&seen.etag()).await;
    assert_eq!(response.status(), StatusCode::PRECONDITION_FAILED);
    assert_eq!(response.json::<Problem>().await.unwrap().version, Some(seen.version + 1));
    assert_eq!(undo("seven").await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(undo(&app.tenant(1).await.etag()).await.status(), StatusCode::OK);
    app.stop().await;
}
