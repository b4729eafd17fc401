//! The connection test, against a real paywall-shaped answer and against what else may answer.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json};
use axum::routing::get;
use paywall_console::connection::{Subject, test};
use paywall_console::ipc::{ConnectionReport, FailureCode, StepName, StepState};
use secrecy::SecretString;
use serde_json::json;

async fn serve(router: axum::Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router).into_future());
    address
}

fn paywall(api_version: &'static str, role: &'static str, clock_off_ms: i64) -> axum::Router {
    axum::Router::new().route(
        "/admin/v1/me",
        get(move |headers: HeaderMap| async move {
            if headers.get("authorization").is_none_or(|it| it != "Bearer good") {
                let body = json!({"type": "urn:paywall:problem:unauthenticated", "title": "Unauthenticated",
                    "status": 401, "code": "unauthenticated", "detail": "no such token", "request_id": "req_1"});
                return (StatusCode::UNAUTHORIZED, Json(body)).into_response();
            }
            let now = chrono::Utc::now().timestamp_millis() - clock_off_ms;
            let body = json!({"product": "paywall-server", "version": "0.1.0", "api_version": api_version,
                "instance": "one", "now": now, "token_id": "t1", "name": "Mia", "role": role, "expires_at": null});
            Json(body).into_response()
        }),
    )
}

fn stripe() -> axum::Router {
    let list = || async { Json(json!({"object": "list", "data": [], "has_more": false})) };
    let denied = || async {
        let error = json!({"error": {"type": "invalid_request_error", "message":
            "The provided key does not have the required permissions. Having the 'rak_dispute_read' permission would help."}});
        (StatusCode::FORBIDDEN, Json(error))
    };
    let mut router = axum::Router::new().route("/v1/disputes", get(denied));
    for stream in paywall_stripe::Stream::ALL.iter().filter(|it| it.name() != "disputes") {
        router = router.route(&format!("/v1/{stream}"), get(list));
    }
    router
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

/// Runs the test of a server, and makes sure that each step was told as it came.
async fn try_server(address: &str, token: Option<&str>) -> ConnectionReport {
    let told = Arc::new(Mutex::new(Vec::new()));
    let token = token.map(secret);
    let subject = Subject {
        server_url: address,
        token: token.as_ref(),
        stripe_url: "https://api.stripe.com",
        stripe_key: None,
        live: false,
        changes: true,
    };
    let report = test(&subject, &|step| told.lock().unwrap().push(step)).await;
    assert_eq!(*told.lock().unwrap(), report.steps);
    report
}

fn state(report: &ConnectionReport, name: StepName) -> (StepState, Option<FailureCode>) {
    let step = report.steps.iter().find(|it| it.name == name).unwrap();
    (step.state, step.failure.clone())
}

#[tokio::test]
async fn a_good_server_passes_every_step() {
    let report = try_server(&serve(paywall("1.0", "support", 0)).await, Some("good")).await;
    assert!(report.server_ok, "{:?}", report.steps);
    assert_eq!(report.stripe_ok, None);
    for step in &report.steps[..7] {
        assert_eq!(step.state, StepState::Ok, "{step:?}");
    }
    assert_eq!(state(&report, StepName::StripeKey).0, StepState::Skipped);
}

#[tokio::test]
async fn a_low_role_and_a_clock_that_is_off_are_worth_a_word() {
    let report = try_server(&serve(paywall("1.3", "viewer", 90_000)).await, Some("good")).await;
    assert!(report.server_ok);
    assert_eq!(state(&report, StepName::Role).0, StepState::Warning);
    assert_eq!(state(&report, StepName::Clock).0, StepState::Warning);
    let off: i64 = report.steps.iter().find(|it| it.name == StepName::Clock).unwrap().subject.parse().unwrap();
    assert!((85_000..95_000).contains(&off), "{off}");
}

#[tokio::test]
async fn each_fault_fails_its_own_step() {
    let good = serve(paywall("1.0", "owner", 0)).await;
    let newer = serve(paywall("2.0", "owner", 0)).await;
    let other = serve(axum::Router::new().fallback(|| async { "<html>a search engine</html>" })).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nothing = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let over_tls = good.replace("http:", "https:");
    for (address, token, step) in [
        ("not an address", Some("good"), StepName::Address),
        ("http://no-such-host.invalid", Some("good"), StepName::Address),
        (nothing.as_str(), Some("good"), StepName::Connect),
        (over_tls.as_str(), Some("good"), StepName::Connect),
        (other.as_str(), Some("good"), StepName::Identity),
        (newer.as_str(), Some("good"), StepName::Version),
        (good.as_str(), Some("bad"), StepName::Token),
        (good.as_str(), None, StepName::Token),
    ] {
        let report = try_server(address, token).await;
        let failed: Vec<_> = report.steps.iter().filter(|it| it.state == StepState::Failed).map(|it| it.name).collect();
        assert_eq!(failed, [step], "{address} {token:?}: {:?}", report.steps);
        assert!(!report.server_ok);
        assert!(state(&report, step).1.is_some());
        assert_eq!(state(&report, StepName::Clock).0, StepState::Skipped, "what was not tried is not called well");
    }
    assert_eq!(state(&try_server(&good, None).await, StepName::Token).1, Some(FailureCode::TokenMissing));
    assert_eq!(state(&try_server(&over_tls, Some("good")).await, StepName::Connect).1, Some(FailureCode::TlsFailed));
}

#[tokio::test]
async fn nothing_is_sent_in_the_clear_to_another_machine() {
    let report = try_server("http://192.0.2.1:9", Some("pwt_secret")).await;
    assert_eq!(state(&report, StepName::Address), (StepState::Failed, Some(FailureCode::AddressInsecure)));
    assert_eq!(state(&report, StepName::Connect).0, StepState::Skipped);
}

#[tokio::test]
async fn stripe_is_tried_list_by_list_and_a_lacking_permission_is_named() {
    let (server, stripe) = (serve(paywall("1.0", "owner", 0)).await, serve(stripe()).await);
    let (token, key) = (secret("good"), secret("rk_live_51ZyXwVuTsRqPoNm"));
    let subject = Subject {
        server_url: &server,
        token: Some(&token),
        stripe_url: &stripe,
        stripe_key: Some(&key),
        live: false,
        changes: true,
    };
    let report = test(&subject, &|_| {}).await;
    assert_eq!(state(&report, StepName::StripeMode).0, StepState::Warning, "a live key in a test profile");
    let lists: Vec<_> = report.steps.iter().filter(|it| it.name == StepName::StripePermission).collect();
    assert_eq!(lists.len(), paywall_stripe::Stream::ALL.len());
    let failed: Vec<_> = lists.iter().filter(|it| it.state != StepState::Ok).collect();
    assert_eq!(failed.len(), 1);
    let lacking =
        FailureCode::StripePermission { permission: Some("rak_dispute_read".into()), stream: "disputes".into() };
    assert_eq!(failed[0].failure, Some(lacking));
    assert_eq!(report.stripe_ok, Some(false));

    let publishable = secret("pk_live_51ZyXwVuTsRqPoNm");
    let report = test(&Subject { stripe_key: Some(&publishable), ..subject }, &|_| {}).await;
    assert_eq!(state(&report, StepName::StripeKey), (StepState::Failed, Some(FailureCode::StripeKeyRefused)));
    let seen = format!("{:?}", report.steps);
    assert!(!seen.contains("51ZyXwVuTsRqPoNm"), "no step shows the key");
}

#[tokio::test]
async fn how_the_server_is_is_told_beside_the_steps() {
    let health = || async {
        Json(json!({"version": "0.1.0", "instance": "one", "database": "sqlite", "started_at": 5, "now": 6,
            "gate": {}, "directory": {"kind": "none"}}))
    };
    let told = serve(paywall("1.0", "owner", 0).route("/admin/v1/server", get(health))).await;
    let report = try_server(&told, Some("good")).await;
    assert!(report.server_ok);
    let health = report.health.unwrap();
    assert_eq!((health.database, health.replicas.len()), (paywall_contract::DatabaseKind::Sqlite, 0));
    // One that is too old to say works as well, and so does one that cannot say it now.
    let old = serve(paywall("1.0", "owner", 0)).await;
    let broken = || async { StatusCode::INTERNAL_SERVER_ERROR };
    let broken = serve(paywall("1.0", "owner", 0).route("/admin/v1/server", get(broken))).await;
    for address in [old, broken] {
        let report = try_server(&address, Some("good")).await;
        assert!(report.server_ok && report.health.is_none(), "{:?}", report.steps);
    }
}
