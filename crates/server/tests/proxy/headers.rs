//! What is taken out, what is said anew, and what stays.

use crate::app::{App, BLOCKED, get};

#[tokio::test(flavor = "multi_thread")]
async fn the_head_that_ragflow_gets() {
    let app = App::start().await;
    let request = "GET /a?b=%2F&c=d%20e HTTP/1.1\r\nHost: ragflow.example:8443\r\n\
        Connection: keep-alive, X-Hop, Authorization\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nProxy-Connection: x\r\n\
        TE: gzip\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\
        Authorization: Bearer ragflow-dropped\r\nAccept-Encoding: gzip\r\nCookie: a=1\r\nCookie: b=2\r\n\
        X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: forged\r\nForwarded: for=1\r\n\
        X-Real-IP: 1.1.1.1\r\nX-Paywall-Tenant: forged\r\nX_Paywall_Code: forged\r\nX-Request-Id: forged\r\n\
        X-Original-URI: /free\r\nX-Custom: stays\r\n\r\n";
    let (answer, _) = app.ask(request).await;
    assert_eq!(answer.status(), 200);
    let head = app.upstream.heads().remove(0);
    assert_eq!(head.first, "GET /a?b=%2F&c=d%20e HTTP/1.1");
    for (name, expected) in [
        ("host", vec!["ragflow.example:8443"]),
        ("x-forwarded-for", vec!["127.0.0.1"]),
        ("x-forwarded-proto", vec!["http"]),
        ("x-forwarded-host", vec!["ragflow.example:8443"]),
        ("cookie", vec!["a=1", "b=2"]),
        ("accept-encoding", vec!["gzip"]),
        ("x-custom", vec!["stays"]),
        ("x-request-id", answer.all("x-request-id")),
    ] {
        assert_eq!(head.all(name), expected, "{name}");
    }
    let mut names: Vec<String> = head.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.sort();
    let expected = [
        "accept-encoding",
        "cookie",
        "cookie",
        "host",
        "x-custom",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-request-id",
    ];
    assert_eq!(names, expected);
    assert!(answer.get("x-request-id").unwrap().starts_with("req_"));
    // Nobody is identified by a header that RAGFlow does not get.
    assert_eq!(app.journal.all()[0].credential, "Ok(Nobody)");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_head_that_the_caller_gets() {
    let app = App::start().await;
    let mut caller = app.caller().await;
    let (head, body) = caller.ask(&get("/odd-answer")).await;
    assert_eq!((head.status(), body.as_str()), (200, "ok"));
    assert_eq!(head.all("set-cookie"), ["a=1", "b=2"]);
    for gone in ["connection", "keep-alive", "x-hop", "x-paywall-code"] {
        assert_eq!(head.get(gone), None, "{gone}");
    }
    assert_eq!(head.all("x-request-id").len(), 1);
    assert_ne!(head.get("x-request-id"), Some("forged"));
    // That RAGFlow closed its connection is nothing to the caller's.
    let (head, _) = caller.ask(&get("/large-header")).await;
    assert_eq!(head.get("x-large").unwrap().len(), 30_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_is_believed_whom_it_has_before_it() {
    let app = App::with(|config| config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]).await;
    let request = "GET /a HTTP/1.1\r\nHost: inner\r\nX-Forwarded-For: 1.1.1.1, 198.51.100.7\r\n\
        X-Forwarded-Proto: https\r\nX-Forwarded-Host: ragflow.example\r\nX-User-Id: forged\r\n\r\n";
    app.ask(request).await;
    let head = app.upstream.heads().remove(0);
    assert_eq!(head.all("x-forwarded-for"), ["1.1.1.1, 198.51.100.7, 127.0.0.1"]);
    assert_eq!(head.all("x-forwarded-proto"), ["https"]);
    assert_eq!(head.all("x-forwarded-host"), ["ragflow.example"]);
    assert_eq!(head.get("x-user-id"), None);
    assert_eq!(app.journal.all()[0].peer, "198.51.100.7");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_heads_pass_and_too_large_ones_do_not() {
    let app = App::start().await;
    let with = |size: usize| format!("GET /a HTTP/1.1\r\nHost: a\r\nX-Large: {}\r\n\r\n", "y".repeat(size));
    assert_eq!(app.ask(&with(60_000)).await.0.status(), 200);
    assert_eq!(app.ask(&with(70_000)).await.0.status(), 431);
    assert_eq!(app.upstream.heads().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_reads_gets_plain_text() {
    let app = App::start().await;
    app.ask("GET /plain HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip, br\r\n\r\n").await;
    assert_eq!(app.upstream.heads()[0].all("accept-encoding"), ["identity"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn websockets_are_refused_with_a_reason_and_other_upgrades_passed_over() {
    let app = App::start().await;
    let upgrade = |to: &str| {
        format!("GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: {to}\r\nSec-WebSocket-Key: x\r\n\r\n")
    };
    let (head, body) = app.ask(&upgrade("websocket")).await;
    assert_eq!(head.status(), 501);
    assert!(body.contains("no WebSocket here"), "{body}");
    assert!(app.upstream.heads().is_empty());
    assert_eq!(app.ask(&upgrade("h2c")).await.0.status(), 200);
    assert_eq!(app.upstream.heads()[0].get("upgrade"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_own_paths_never_reach_ragflow() {
    let app = App::start().await;
    for (path, status) in [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/admin/v1", 404),
        ("/admin/v1/me", 401),
        ("/metrics", 200),
        ("/paywall", 404),
        ("/paywall/x", 404),
        ("/stripe/webhook", 405),
        ("/authz", 403),
    ] {
        assert_eq!(app.ask(&get(path)).await.0.status(), status, "{path}");
    }
    assert!(app.upstream.heads().is_empty());
    // RAGFlow's own page of that name, and what only begins alike.
    for path in ["/admin", "/admin/v10", "/healthz2", "/", "/paywalls"] {
        assert_eq!(app.ask(&get(path)).await.1, "ok", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_ragflow_the_answer_says_which_setting_is_missing() {
    let app = App::with(|config| config.ragflow_url = None).await;
    let (head, body) = app.ask(&get("/api/v1/datasets")).await;
    assert_eq!(head.status(), 404);
    assert!(body.contains("PAYWALL_RAGFLOW_URL"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_takes_the_shape_that_the_engine_gives_it() {
    let app = App::start().await;
    let body = r#"{"chat_id":"c","stream":true,"question":"?"}"#;
    let request = format!(
        "POST /api/v1/openai/c/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {BLOCKED}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut caller = app.caller().await;
    let (head, body) = caller.ask(&request).await;
    assert_eq!(head.status(), 402, "{body}");
    assert_eq!(head.get("x-paywall-code"), Some("trial_ended"));
    assert!(body.starts_with("{\"error\""), "{body}");
    assert!(app.upstream.notes().is_empty());
    assert_eq!(caller.ask(&get("/a")).await.1, "ok", "the connection goes on");
}
