//! What a request may hold, and that what is wrong with it is said by field and in plain words.

use paywall_contract::{Adjustment, AdjustmentOutcome, Problem, ProblemCode};
use paywall_domain::{EXTENSION_DAYS_MAX, Role};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Database, NOW, extend, id, trying};

on_each_database! {
    a_field_that_a_change_does_not_have_is_refused_by_its_name,
    what_is_wrong_with_a_body_is_said_by_field,
    what_is_wrong_with_a_query_is_said_by_parameter,
    an_undo_without_a_body_is_one_without_a_reason,
}

/// Words of the parser, which say nothing to whoever wrote the request.
const FOREIGN: [&str; 7] =
    ["unknown variant", "missing field", "invalid type", "EOF", "deserialize", "data did not match", "tuple struct"];

async fn refused(response: reqwest::Response, sent: &str) -> Vec<(String, String)> {
    assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{sent}");
    let problem: Problem = response.json().await.unwrap();
    assert_eq!(problem.code, ProblemCode::InvalidRequest, "{sent}");
    assert!(!FOREIGN.iter().any(|it| problem.detail.contains(it)), "{sent}: {}", problem.detail);
    for field in &problem.fields {
        assert!(problem.detail.contains(&format!("{}: {}", field.field, field.message)), "{}", problem.detail);
    }
    problem.fields.into_iter().map(|it| (it.field, it.message)).collect()
}

async fn a_field_that_a_change_does_not_have_is_refused_by_its_name(on: Database) {
    let app = on.with(vec![trying(1, "One", 2)]).await;
    let before = app.tenant(1).await;
    let cases = [
        (json!({"kind": "comp", "plan": "pro", "expires_at": NOW.plus_days(30)}), "change.expires_at"),
        (json!({"kind": "extend_trial", "target": {"days": 7, "hours": 2}}), "change.target.hours"),
        (json!({"kind": "end_trial", "at": NOW}), "change.at"),
        (json!({"kind": "override_quota", "meter": "seats", "limit": 1, "until": NOW}), "change.until"),
        (json!({"kind": "remove_override", "meter": "seats", "limit": 1}), "change.limit"),
        (json!({"kind": "suspend", "text": "call us"}), "change.text"),
        (json!({"kind": "reinstate", "message": "welcome"}), "change.message"),
        (json!({"kind": "change_plan", "plan": "pro", "until": NOW}), "change.until"),
        (json!({"kind": "note", "text": "hello"}), "change.text"),
    ];
    for (number, (change, field)) in cases.into_iter().enumerate() {
        let wrong = refused(app.change(1, &format!("k{number}"), change.clone()).await, &change.to_string()).await;
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert_eq!(wrong[0].0, field);
        assert!(wrong[0].1.starts_with("is not known here; known are "), "{wrong:?}");
    }
    let path = format!("/admin/v1/tenants/{}/adjustments?dry_run=true", id(1));
    let body = json!({"change": {"kind": "note"}, "reason": "x", "tickets": "https://example.com"}).to_string();
    let wrong = refused(app.request(Role::Owner, Method::POST, &path).body(body.clone()).send().await.unwrap(), &body);
    assert_eq!(wrong.await, [("tickets".into(), "is not known here; known are change, reason, ticket".into())]);
    assert_eq!(app.tenant(1).await, before);

    // The types themselves take them, so that an older console reads what a newer server answers.
    let outcome: Value = app.change(1, "k", extend(7)).await.json().await.unwrap();
    let mut newer = outcome["adjustment"].clone();
    newer["change"]["approved_by"] = json!("somebody");
    newer["weight"] = json!(1);
    assert!(serde_json::from_value::<Adjustment>(newer).is_ok());
    app.stop().await;
}

async fn what_is_wrong_with_a_body_is_said_by_field(on: Database) {
    let app = on.with(vec![trying(1, "One", 2)]).await;
    let path = format!("/admin/v1/tenants/{}/adjustments?dry_run=true", id(1));
    let kinds = "extend_trial, end_trial, override_quota, remove_override, comp, suspend, reinstate, change_plan, note, repair_billing";
    let meters = "messages, tokens, api_requests, documents, storage_bytes, datasets, seats";
    let instant = "an instant, in whole milliseconds since 1970 in UTC";
    let cases: Vec<(&str, &str, String)> = vec![
        ("", "body", "is empty; expected a JSON object with change, reason, ticket".into()),
        (" \n", "body", "is empty; expected a JSON object with change, reason, ticket".into()),
        ("{", "body", "is not JSON; look at line 1, column 1".into()),
        (r#"{"change": {"kind": "note"}} x"#, "body", "is not JSON; look at line 1, column 30".into()),
        ("[]", "body", "expected a JSON object with change, reason, ticket, not a list".into()),
        ("null", "body", "expected a JSON object with change, reason, ticket, not null".into()),
        ("{}", "change", format!("is missing; expected an object whose kind is one of {kinds}")),
        (r#"{"change": 7}"#, "change", format!("expected an object whose kind is one of {kinds}, not 7")),
        (r#"{"change": null}"#, "change", format!("expected an object whose kind is one of {kinds}, not null")),
        (r#"{"change": {}}"#, "change.kind", format!("is missing; expected one of {kinds}")),
        (r#"{"change": {"kind": "gift"}}"#, "change.kind", format!("expected one of {kinds}, not \"gift\"")),
        (r#"{"change": {"kind": "note"}, "reason": null}"#, "reason", "expected a string, not null".into()),
        (r#"{"change": {"kind": "note"}, "ticket": 1}"#, "ticket", "expected a string, or null, not 1".into()),
        (r#"{"change": {"kind": "comp"}}"#, "change.plan", "is missing; expected a string".into()),
        (
            r#"{"change": {"kind": "comp", "plan": "pro", "until": "2027-01-01"}}"#,
            "change.until",
            format!("expected {instant}, or null, not \"2027-01-01\""),
        ),
        (
            r#"{"change": {"kind": "override_quota", "meter": "seats"}}"#,
            "change.limit",
            "is missing; expected a whole number, or null".into(),
        ),
        (
            r#"{"change": {"kind": "override_quota", "meter": "chairs", "limit": null}}"#,
            "change.meter",
            format!("expected one of {meters}, not \"chairs\""),
        ),
        (
            r#"{"change": {"kind": "extend_trial", "target": {"day": 1}}}"#,
            "change.target",
            "expected an object with exactly one of days, until".into(),
        ),
        (
            r#"{"change": {"kind": "extend_trial", "target": {"days": 1, "until": 1}}}"#,
            "change.target",
            "expected an object with exactly one of days, until".into(),
        ),
        (
            r#"{"change": {"kind": "extend_trial", "target": {"days": -1}}}"#,
            "change.target.days",
            "expected a whole number from 1 to 365, not -1".into(),
        ),
        (
            r#"{"change": {"kind": "extend_trial", "target": {"days": 1.5}}}"#,
            "change.target.days",
            "expected a whole number from 1 to 365, not 1.5".into(),
        ),
        (
            r#"{"change": {"kind": "extend_trial", "target": {"until": "soon"}}}"#,
            "change.target.until",
            format!("expected {instant}, not \"soon\""),
        ),
        (
            r#"{"change": {"kind": "extend_trial", "target": {"days": 5000000000}}}"#,
            "change.target.days",
            format!("expected a whole number from 1 to {EXTENSION_DAYS_MAX}, not 5000000000"),
        ),
        (
            r#"{"change": {"kind": "extend_trial", "target": {"days": 366}}}"#,
            "change.target.days",
            "expected a whole number from 1 to 365, not 366".into(),
        ),
        (
            r#"{"change": {"kind": "extend_trial", "target": {"days": 0}}}"#,
            "change.target.days",
            "expected a whole number from 1 to 365, not 0".into(),
        ),
        (
            r#"{"change": {"kind": "comp", "plan": "pro", "until": 1, "until": null}}"#,
            "change",
            "cannot be taken: a field stands twice in it, or a number is too large".into(),
        ),
    ];
    for (body, field, message) in cases {
        let response = app.request(Role::Owner, Method::POST, &path).body(body).send().await.unwrap();
        assert_eq!(refused(response, body).await, [(field.to_owned(), message)], "{body}");
    }
    // All that is wrong at once; and what was sent is not given back at length.
    let body = json!({"change": {"kind": "comp", "plan": 1}, "x".repeat(5_000): 1, "reason": 2}).to_string();
    let response = app.request(Role::Owner, Method::POST, &path).body(body.clone()).send().await.unwrap();
    let wrong = refused(response, &body).await;
    assert_eq!(wrong.len(), 3);
    assert!(wrong.iter().all(|(field, message)| field.len() + message.len() < 200));
    app.stop().await;
}

async fn what_is_wrong_with_a_query_is_said_by_parameter(on: Database) {
    let app = on.with(vec![trying(1, "One", 2)]).await;
    let usage = format!("/admin/v1/tenants/{}/usage", id(1));
    let limit = |most: u32, sent: &str| format!("expected a whole number from 1 to {most}, not {sent}");
    let cases = [
        ("/admin/v1/tenants?limit=0".to_owned(), "limit", limit(500, "0")),
        ("/admin/v1/tenants?limit=many".to_owned(), "limit", limit(500, "\"many\"")),
        ("/admin/v1/adjustments?limit=501".to_owned(), "limit", limit(500, "501")),
        ("/admin/v1/changes?limit=1001".to_owned(), "limit", limit(1000, "1001")),
        (
            "/admin/v1/tenants?status=odd".to_owned(),
            "status",
            "expected one of trial, active, past_due, expired, suspended, not \"odd\"".to_owned(),
        ),
        (
            format!("{usage}?from=yesterday"),
            "from",
            "expected an instant, in whole milliseconds since 1970 in UTC, not \"yesterday\"".to_owned(),
        ),
        (
            "/admin/v1/tenants?limit=5&limit=6".to_owned(),
            "query",
            "cannot be taken: a parameter stands twice in it, or a number is too large".to_owned(),
        ),
    ];
    for (path, field, message) in cases {
        let response = app.request(Role::Viewer, Method::GET, &path).send().await.unwrap();
        assert_eq!(refused(response, &path).await, [(field.to_owned(), message)], "{path}");
    }
    let path = format!("/admin/v1/tenants/{}/adjustments?dry_run=yes", id(1));
    let body = json!({"change": {"kind": "note"}});
    let response = app.request(Role::Owner, Method::POST, &path).json(&body).send().await.unwrap();
    assert_eq!(refused(response, &path).await, [("dry_run".into(), "expected true or false, not \"yes\"".into())]);
    // A slip in it must not make the change.
    let made: AdjustmentOutcome = app.change(1, "k1", extend(1)).await.json().await.unwrap();
    let undo = format!("/admin/v1/adjustments/{}/undo", made.adjustment.unwrap().id);
    let before = app.tenant(1).await;
    let slips = [
        (path.replace("dry_run=yes", "dryrun=true"), json!({"change": {"kind": "note"}, "reason": "x"})),
        (format!("{undo}?dryrun=true"), json!({})),
    ];
    for (path, body) in slips {
        let request = app.request(Role::Owner, Method::POST, &path).json(&body);
        let request = request.header("Idempotency-Key", "k2").header("If-Match", format!("\"{}\"", before.version));
        let wrong = refused(request.send().await.unwrap(), &path).await;
        assert_eq!(wrong, [("dryrun".into(), "is not known here; known are dry_run".into())]);
    }
    assert_eq!(app.tenant(1).await, before);
    // What a newer console asks for beside it is left aside.
    app.get("/admin/v1/tenants?limit=500&colour=blue").await;
    app.get("/admin/v1/changes?limit=1000").await;
    app.stop().await;
}

async fn an_undo_without_a_body_is_one_without_a_reason(on: Database) {
    let app = on.with(vec![trying(1, "One", 2)]).await;
    for (number, body) in ["", " ", "null", "{}"].into_iter().enumerate() {
        let made: AdjustmentOutcome = app.change(1, &format!("k{number}"), extend(1)).await.json().await.unwrap();
        let path = format!("/admin/v1/adjustments/{}/undo", made.adjustment.unwrap().id);
        let undo = async |path: &str, body: &'static str| {
            let request =
                app.request(Role::Support, Method::POST, path).header("Idempotency-Key", format!("u{number}"));
            request.body(body).send().await.unwrap()
        };
        assert_eq!(undo(&format!("{path}?dry_run=true"), body).await.status(), StatusCode::OK, "{body:?}");
        let wrong = refused(undo(&path, r#"{"why": "a slip"}"#).await, body).await;
        assert_eq!(wrong, [("why".into(), "is not known here; known are reason".into())]);
        let undone: AdjustmentOutcome = undo(&path, body).await.json().await.unwrap();
        assert_eq!(undone.adjustment.unwrap().reason, "");
        // Said in other words it is the same request.
        assert_eq!(undo(&path, r#"{"reason": ""}"#).await.headers()["idempotent-replayed"], "true");
    }
    app.stop().await;
}
