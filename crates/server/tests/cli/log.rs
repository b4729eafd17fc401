//! The log of a server in front of a small `RAGFlow`: a line for each request, and no secret in any.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::program::{on_database, refused, serve_logging, told};

/// The tenant of everybody that `RAGFlow` here knows.
const TENANT: &str = "0000000000000000000000000000abcd";

const KEY: &str = "ragflow-Canary1KeyOfATenant";
const EMBED_KEY: &str = "Canary2EmbedKeyOf32Characters000";
/// The access token in a session token is the secret; the token is `base64("\"…\"").time.signature`.
const ACCESS: &str = "Canary3AccessTokenOfASession0000";
const SESSION: &str = "IkNhbmFyeTNBY2Nlc3NUb2tlbk9mQVNlc3Npb24wMDAwIg.dGltZQ.Canary4Signature";
const COOKIE: &str = "session=eyJDYW5hcnk1IjoiQ29va2llIn0.time.Canary6CookieSignature";
const NEW_SESSION: &str = "Canary7SessionThatRagflowMakes";
const QUERY: &str = "Canary8InAQuery";
const BODY: &str = "Canary9QuestionInABody";
const PATH: &str = "Canary10KeyInAPath";

async fn ragflow() -> SocketAddr {
    let me = async |headers: HeaderMap| {
        let known = headers.contains_key("authorization") || headers.contains_key("cookie");
        let user = json!({"id": TENANT, "nickname": "Ada", "email": "ada@example.com"});
        Json(if known { json!({"code": 0, "data": user}) } else { json!({"code": 401, "data": null}) })
    };
    let other = async || {
        let headers = [("authorization", NEW_SESSION.to_owned()), ("set-cookie", format!("session={NEW_SESSION}"))];
        (headers, Json(json!({"code": 0, "data": {"answer": BODY}}))).into_response()
    };
    let router = Router::new().route("/api/v1/users/me", get(me)).fallback(other);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A server's log, after requests with a secret in every place that can hold one; and the token that was used.
async fn log_of(folder: &Path, format: &str) -> (String, String) {
    let token = told(on_database(folder, &["token", "create", "--role", "owner", "--name", "Mia"])).trim().to_owned();
    let mut command = on_database(folder, &["serve"]);
    command.env("PAYWALL_LOG", "debug").env("PAYWALL_LOG_FORMAT", format);
    command.env("PAYWALL_RAGFLOW_URL", format!("http://{}", ragflow().await));
    command.env("PAYWALL_TRUSTED_PROXIES", "127.0.0.1");
    let path = folder.join("log");
    let (running, address, _) = serve_logging(command, File::create(&path).unwrap().into());

    let client = reqwest::Client::new();
    let url = |path: &str| format!("{address}{path}?key={QUERY}");
    let chat = json!({"chat_id": "c", "question": BODY});
    for (credential, value) in [
        ("authorization", format!("Bearer {KEY}")),
        ("authorization", SESSION.to_owned()),
        ("authorization", format!("Bearer {EMBED_KEY}")),
        ("cookie", COOKIE.to_owned()),
    ] {
        client.post(url("/api/v1/chat/completions")).header(credential, &value).json(&chat).send().await.unwrap();
        client.post(url("/v1/user/login")).header(credential, &value).json(&chat).send().await.unwrap();
        client.get(url("/api/v1/datasets")).header(credential, &value).send().await.unwrap();
        client
            .get(url("/authz"))
            .header(credential, &value)
            .header("X-Original-Method", "POST")
            .header("X-Original-URI", format!("/api/v1/chat/completions?key={QUERY}"))
            .send()
            .await
            .unwrap();
    }
    // Two ways in at once, which is refused, and a target that a front tells wrongly.
    let odd = client.get(url("/authz")).header("X-Original-Method", "POST").header("X-Original-URI", QUERY);
    assert_eq!(odd.bearer_auth(KEY).send().await.unwrap().status(), 403);
    client.get(url(&format!("/api/v1/%zz{PATH}"))).bearer_auth(KEY).send().await.unwrap();
    client.get(url(&format!("/other/{PATH}"))).bearer_auth(KEY).send().await.unwrap();
    for secret in [token.as_str(), KEY] {
        client.get(url("/admin/v1/tenants")).bearer_auth(secret).send().await.unwrap();
        client.get(url(&format!("/admin/v1/{PATH}"))).bearer_auth(secret).send().await.unwrap();
        client.get(url("/paywall/status")).bearer_auth(secret).send().await.unwrap();
    }
    // Stopped by a signal, so that the last lines are in it.
    let last = "/admin/v1/plans";
    client.get(url(last)).bearer_auth(&token).send().await.unwrap();
    let started = Instant::now();
    let text = loop {
        let text = std::fs::read_to_string(&path).unwrap();
        if text.contains(last) {
            break text;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{text}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    drop(running);
    (text, token)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_ever_in_the_log() {
    for format in ["text", "json"] {
        let folder = TempDir::new().unwrap();
        let (log, token) = log_of(folder.path(), format).await;
        assert!(log.lines().count() > 30, "this is a log of everything: {log}");
        assert!(log.contains(TENANT) && log.contains("POST"), "and of these requests: {log}");
        let (head, rest) = token.split_once('_').unwrap();
        assert_eq!(head, "pwt");
        let secrets =
            [KEY, EMBED_KEY, ACCESS, SESSION, COOKIE, NEW_SESSION, QUERY, BODY, PATH, rest, "a key of this test"];
        for secret in secrets {
            // Not even a part of one.
            for part in [secret, &secret[..secret.len() / 2], &secret[secret.len() / 2..]] {
                assert!(!log.contains(part), "{part:?} is in the log ({format}):\n{log}");
            }
        }
        assert!(!log.contains("Canary"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_is_a_line_that_programs_can_read() {
    let folder = TempDir::new().unwrap();
    let (log, _) = log_of(folder.path(), "json").await;
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    for line in &lines {
        assert!(line["timestamp"].is_string() && line["level"].is_string() && line["target"].is_string(), "{line}");
    }
    let requests: Vec<&Value> = lines.iter().filter(|it| it["message"] == "request").collect();
    let mut ids = std::collections::BTreeSet::new();
    for line in &requests {
        assert!(line["request_id"].as_str().unwrap().starts_with("req_"), "{line}");
        assert!(ids.insert(line["request_id"].as_str().unwrap()), "a line per request: {line}");
        assert!(line["status"].is_u64() && line["ms"].is_u64() && line["method"].is_string(), "{line}");
        assert!(line["route"].is_string(), "{line}");
        assert_eq!(line["verdict"].is_string(), line["way"] != "own", "{line}");
    }
    let find = |way: &str, route: &str, verdict: Option<&str>| {
        let found = requests.iter().find(|it| {
            it["way"] == way && it["route"] == route && it.get("verdict").and_then(Value::as_str) == verdict
        });
        found.unwrap_or_else(|| panic!("no {way} {route} {verdict:?} in {requests:#?}"))
    };
    let passed = find("proxy", "/api/v1/chat/completions", Some("passed"));
    assert_eq!((&passed["payer"], &passed["status"], &passed["level"]), (&json!(TENANT), &json!(200), &json!("DEBUG")));
    let allowed = find("authz", "/api/v1/chat/completions", Some("passed"));
    assert_eq!((&allowed["payer"], &allowed["status"]), (&json!(TENANT), &json!(204)));
    assert_eq!(find("proxy", "(other read)", Some("passed"))["status"], 200);
    assert_eq!(find("proxy", "(unread)", Some("refused"))["status"], 400);
    assert_eq!(find("authz", "(unread)", Some("refused"))["status"], 403);
    assert_eq!(find("own", "/admin/v1/tenants", None)["status"], 200);
    assert_eq!(find("own", "(unknown)", None)["status"], 404);
    find("own", "/paywall/status", None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_of_a_refused_request_names_its_payer() {
    let folder = TempDir::new().unwrap();
    let settings = folder.path().join("paywall.toml");
    let plan = "[[plan]]\nid = \"one\"\nname = \"One\"\ntrial_days = 14\nlimits = { messages = 1 }\n";
    std::fs::write(&settings, plan).unwrap();
    let mut command = on_database(folder.path(), &["serve"]);
    command.env("PAYWALL_CONFIG", &settings).env("PAYWALL_LOG", "debug").env("PAYWALL_LOG_FORMAT", "json");
    command.env("PAYWALL_RAGFLOW_URL", format!("http://{}", ragflow().await));
    command.env("PAYWALL_TRUSTED_PROXIES", "127.0.0.1");
    let path = folder.path().join("log");
    let (running, address, _) = serve_logging(command, File::create(&path).unwrap().into());

    let (client, route) = (reqwest::Client::new(), "/api/v1/chat/completions");
    let ask = || client.post(format!("{address}{route}")).bearer_auth(KEY).json(&json!({"question": "?"})).send();
    let started = Instant::now();
    while ask().await.unwrap().status() != 429 {
        assert!(started.elapsed() < Duration::from_secs(20), "it is never refused");
    }
    let authz = client.get(format!("{address}/authz")).bearer_auth(KEY);
    let authz = authz.header("X-Original-Method", "POST").header("X-Original-URI", route).send().await.unwrap();
    assert_eq!(authz.status(), 403);
    let line = |way: &str| {
        let log = std::fs::read_to_string(&path).unwrap();
        let lines = log.lines().filter_map(|it| serde_json::from_str::<Value>(it).ok());
        lines.filter(|it| it["way"] == way).find(|it| it["verdict"] == "quota_exhausted")
    };
    for (way, status) in [("proxy", 429), ("authz", 403)] {
        let line = loop {
            if let Some(line) = line(way) {
                break line;
            }
            assert!(started.elapsed() < Duration::from_secs(30), "no line of {way}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert_eq!((&line["payer"], &line["status"]), (&json!(TENANT), &json!(status)), "{line}");
    }
    drop(running);
}

#[test]
fn a_log_that_cannot_be_is_told() {
    let folder = TempDir::new().unwrap();
    for (name, value) in [("PAYWALL_LOG_FORMAT", "xml"), ("PAYWALL_LOG", "paywall_server=loudly")] {
        let mut command = on_database(folder.path(), &["migrate"]);
        command.env(name, value);
        let error = refused(command);
        assert!(error.contains(name) && error.contains(value), "{error}");
    }
}
