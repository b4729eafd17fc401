//! Who may do what, and how errors look.

use paywall_contract::Problem;
use paywall_domain::Role;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::app::{Database, NOW, extend, id, trying};

on_each_database! {
    every_route_asks_for_a_token_and_a_role,
    every_error_is_a_problem_document,
    a_token_ends_at_its_instant_and_a_foreign_one_is_unknown,
    health_needs_no_token,
}

async fn every_route_asks_for_a_token_and_a_role(on: Database) {
    let app = on.with(vec![trying(1, "One", 5)]).await;
    let tenant = format!("/admin/v1/tenants/{}", id(1));
    let reads = [
        "/admin/v1/me".to_owned(),
        "/admin/v1/server".to_owned(),
        "/admin/v1/plans".to_owned(),
        "/admin/v1/tenants".to_owned(),
        tenant.clone(),
        format!("{tenant}/timeline"),
        format!("{tenant}/usage"),
        "/admin/v1/usage/days".to_owned(),
        "/admin/v1/adjustments".to_owned(),
        "/admin/v1/changes".to_owned(),
    ];
    for path in &reads {
        assert_eq!(app.bare(Method::GET, path).send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "{path}");
        for role in [Role::Viewer, Role::Support, Role::Owner] {
            let response = app.request(role, Method::GET, path).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::OK, "{path} as {role:?}");
            assert!(response.headers().contains_key("x-request-id"));
        }
    }
    let changes = [
        (extend(1), Role::Support),
        (json!({"kind": "note"}), Role::Support),
        (json!({"kind": "suspend", "message": null}), Role::Support),
        (json!({"kind": "end_trial"}), Role::Owner),
        (json!({"kind": "change_plan", "plan": "pro"}), Role::Owner),
    ];
    for (change, least) in changes {
        let path = format!("{tenant}/adjustments?dry_run=true");
        let body = json!({"change": change});
        assert_eq!(app.bare(Method::POST, &path).json(&body).send().await.unwrap().status(), 401);
        for role in [Role::Viewer, Role::Support, Role::Owner] {
            let response = app.request(role, Method::POST, &path).json(&body).send().await.unwrap();
            if role >= least {
                assert_eq!(response.status(), StatusCode::OK, "{body} as {role:?}");
            } else {
                assert_eq!(response.status(), StatusCode::FORBIDDEN, "{body} as {role:?}");
                assert_eq!(response.json::<Problem>().await.unwrap().required_role, Some(least));
            }
        }
    }
    for path in ["/admin/v1/adjustments/x/undo", "/admin/v1/keys/k/settle"] {
        let response = app.request(Role::Viewer, Method::POST, path).json(&json!({})).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path}");
    }
    app.stop().await;
}

async fn every_error_is_a_problem_document(on: Database) {
    let app = on.with(vec![trying(1, "One", 5)]).await;
    let adjust = format!("/admin/v1/tenants/{}/adjustments", id(1));
    let get = |path: &str| app.request(Role::Owner, Method::GET, path);
    let post = |body: String| app.request(Role::Owner, Method::POST, &adjust).body(body);
    let cases = [
        (get("/nowhere"), 404, "not_found"),
        (get("/admin/v1/tenants/00000000000000000000000000000009"), 404, "not_found"),
        (get("/admin/v1/tenants/short"), 400, "invalid_request"),
        (get("/admin/v1/tenants?limit=0"), 400, "invalid_request"),
        (get("/admin/v1/tenants?limit=501"), 400, "invalid_request"),
        (get("/admin/v1/tenants?status=odd"), 400, "invalid_request"),
        (get("/admin/v1/tenants?cursor=odd"), 400, "invalid_cursor"),
        (get("/admin/v1/changes?after=odd"), 400, "invalid_cursor"),
        (get("/admin/v1/usage/days?after=odd"), 400, "invalid_cursor"),
        (get("/admin/v1/usage/days?limit=5001"), 400, "invalid_request"),
        (get(&adjust), 405, "method_not_allowed"),
        (post("{".to_owned()), 400, "invalid_request"),
        (post("x".repeat(70_000)), 413, "too_large"),
        (post(json!({"change": {"kind": "note"}, "reason": "  "}).to_string()), 400, "invalid_request"),
        (post(json!({"change": {"kind": "note"}, "reason": "x".repeat(2_001)}).to_string()), 400, "invalid_request"),
        (
            post(json!({"change": {"kind": "note"}, "reason": "x", "ticket": "javascript:1"}).to_string()),
            400,
            "invalid_request",
        ),
        (post(json!({"change": {"kind": "note"}, "reason": "x"}).to_string()), 400, "idempotency_key_required"),
        (
            post(json!({"change": {"kind": "note"}, "reason": "x"}).to_string()).header("Idempotency-Key", "k"),
            428,
            "version_required",
        ),
    ];
    for (request, status, code) in cases {
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{code}");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let problem: serde_json::Value = response.json().await.unwrap();
        assert_eq!(problem["code"], code);
        assert_eq!(problem["status"], status);
        assert_eq!(problem["request_id"], id.as_str());
    }
    app.stop().await;
}

async fn a_token_ends_at_its_instant_and_a_foreign_one_is_unknown(on: Database) {
    let app = on.start().await;
    let token = app.server.create_token("short", Role::Viewer, Some(NOW.plus_ms(1_000))).await.unwrap();
    let me = || app.bare(Method::GET, "/admin/v1/me").bearer_auth(&token).send();
    assert_eq!(me().await.unwrap().status(), StatusCode::OK);
    app.clock.advance_ms(1_000);
    let problem: serde_json::Value = me().await.unwrap().json().await.unwrap();
    assert_eq!(problem["code"], "token_expired");

    let other = on.start().await;
    let response = other.bare(Method::GET, "/admin/v1/me").bearer_auth(&token).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.json::<serde_json::Value>().await.unwrap()["code"], "unauthenticated");
    app.stop().await;
    other.stop().await;
}

async fn health_needs_no_token(on: Database) {
    let app = on.start().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(app.bare(Method::GET, path).send().await.unwrap().status(), StatusCode::OK);
    }
    app.stop().await;
}
