//! What is counted of requests, and who may read it.

use std::time::Instant;

use crate::app::{App, BLOCKED, PAYER, get};
use crate::wire::LONG;

/// The value of a series.
fn value(text: &str, series: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().unwrap()
}

impl App {
    async fn metrics(&self) -> String {
        let (head, text) = self.ask(&get("/metrics")).await;
        assert_eq!(head.status(), 200);
        assert!(head.get("content-type").unwrap().starts_with("application/openmetrics-text"));
        text
    }

    /// Waits until a series has a value.
    async fn reads(&self, series: &str, expected: u64) {
        let start = Instant::now();
        loop {
            let text = self.metrics().await;
            if value(&text, series) == expected {
                return;
            }
            assert!(start.elapsed() < LONG, "{series} is not {expected}:\n{text}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_what_they_are_for_and_what_became_of_them() {
    let app =
        App::with(|config| config.trusted_proxies = vec!["127.0.0.1".parse::<std::net::IpAddr>().unwrap().into()])
            .await;
    let body = r#"{"chat_id":"c","stream":true,"question":"?"}"#;
    let chat = |key: &str| {
        format!(
            "POST /api/v1/openai/c/chat/completions?token=q HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    assert_eq!(app.ask(&chat("ragflow-good")).await.0.status(), 200);
    assert_eq!(app.ask(&chat(BLOCKED)).await.0.status(), 402);
    assert_eq!(app.ask(&get("/api/v1/datasets")).await.0.status(), 200);
    assert_eq!(app.ask(&get("/die-at-once")).await.0.status(), 502);
    assert_eq!(app.ask("GET /a%2 HTTP/1.1\r\nHost: a\r\n\r\n").await.0.status(), 400);
    let authz = |key: &str| {
        format!(
            "GET /authz HTTP/1.1\r\nHost: a\r\nX-Original-Method: POST\r\nAuthorization: Bearer {key}\r\n\
             X-Original-URI: /api/v1/openai/c/chat/completions\r\n\r\n"
        )
    };
    let mut front = app.caller().await;
    front.send(authz("ragflow-good")).await;
    assert_eq!(front.head().await.status(), 204);
    assert_eq!(app.ask(&authz(BLOCKED)).await.0.status(), 403);
    assert_eq!(app.ask(&get("/admin/v1/me")).await.0.status(), 401);

    let text = app.metrics().await;
    let requests = |way: &str, operation: &str, verdict: &str| {
        let labels = format!("way=\"{way}\",operation=\"{operation}\",verdict=\"{verdict}\"");
        value(&text, &format!("paywall_requests_total{{{labels}}}"))
    };
    for way in ["proxy", "authz"] {
        assert_eq!(requests(way, "generate", "passed"), 1, "{way}");
        assert_eq!(requests(way, "generate", "trial_ended"), 1, "{way}");
    }
    assert_eq!(requests("proxy", "free", "passed"), 2);
    assert_eq!(requests("proxy", "unread", "refused"), 1);
    let all = text.lines().filter(|it| it.starts_with("paywall_requests_total"));
    let all: u64 = all.map(|it| it.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(all, 7, "each is counted once");
    for (labels, count) in [
        ("operation=\"generate\",class=\"2xx\"", 1),
        ("operation=\"free\",class=\"2xx\"", 1),
        ("operation=\"free\",class=\"none\"", 1),
    ] {
        assert_eq!(value(&text, &format!("paywall_answers_total{{{labels}}}")), count, "{labels}");
    }
    assert_eq!(value(&text, "paywall_admission_seconds_count{way=\"proxy\"}"), 4);
    assert_eq!(value(&text, "paywall_admission_seconds_count{way=\"authz\"}"), 2);
    assert_eq!(value(&text, "paywall_first_byte_seconds_count{operation=\"free\"}"), 1);
    assert_eq!(value(&text, "paywall_admin_requests_total{method=\"GET\",class=\"4xx\"}"), 1);
    assert_eq!(value(&text, "paywall_store_up"), 1);
    // Nothing of a tenant, a caller or a path is in there.
    for word in [PAYER, "ragflow-", "chat/completions", "127.0.0.1", "datasets"] {
        assert!(!text.contains(word), "{word} in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_open_until_their_end_and_their_bytes_are_counted() {
    let app = App::start().await;
    app.reads("paywall_streams", 0).await;
    let mut caller = app.caller().await;
    caller.send(get("/forever")).await;
    let _ = caller.head().await;
    let (chunk, _) = caller.chunk().await;
    app.reads("paywall_streams", 1).await;
    app.reads("paywall_proxied_bytes_total{direction=\"out\"}", chunk.len() as u64).await;
    drop(caller);
    app.reads("paywall_streams", 0).await;

    let upload = format!("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n{}", "x".repeat(5000));
    assert_eq!(app.ask(&upload).await.1, "ok");
    app.reads("paywall_proxied_bytes_total{direction=\"in\"}", 5000).await;
    app.reads("paywall_proxied_bytes_total{direction=\"out\"}", chunk.len() as u64 + 2).await;
    // A caller that goes before RAGFlow answers leaves nothing open.
    let mut caller = app.caller().await;
    caller.send(get("/hang")).await;
    app.reads("paywall_streams", 1).await;
    drop(caller);
    app.reads("paywall_streams", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_front_hands_on_does_not_get_the_metrics() {
    let app =
        App::with(|config| config.trusted_proxies = vec!["127.0.0.1".parse::<std::net::IpAddr>().unwrap().into()])
            .await;
    for header in ["X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 127.0.0.1", "Forwarded: for=203.0.113.9"] {
        let request = format!("GET /metrics HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\n");
        let (head, body) = app.ask(&request).await;
        assert_eq!(head.status(), 404, "{header}");
        assert!(body.contains("not_found") && !body.contains("paywall_"), "{body}");
    }
    assert_eq!(app.ask("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await.0.status(), 404);
    assert!(app.upstream.heads().is_empty());
}
