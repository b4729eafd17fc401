//! Streams go by as `RAGFlow` frames them, and end where they end.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use paywall_server::proxy::End;

use crate::app::{App, get};
use crate::upstream::{FRAMES, Note, PAUSE, Upstream, frame};
use crate::wire::{Caller, read_head};

#[tokio::test(flavor = "multi_thread")]
async fn frames_arrive_one_by_one_unchanged_and_when_they_were_sent() {
    let app = App::start().await;
    for path in ["/stream", "/burst"] {
        let mut caller = app.caller().await;
        caller.send(get(path)).await;
        let head = caller.head().await;
        assert!(head.is_chunked(), "{head:?}");
        assert_eq!(head.get("x-accel-buffering"), Some("no"));
        let mut times = Vec::new();
        for number in 0..FRAMES {
            let (chunk, at) = caller.chunk().await;
            assert_eq!(String::from_utf8(chunk).unwrap(), frame(number), "frame {number} of {path}");
            times.push(at);
        }
        assert_eq!(caller.chunk().await.0, b"");
        if path == "/stream" {
            // Merged or held back, they would come in fewer steps.
            let steps = times.windows(2).filter(|it| it[1] - it[0] > PAUSE / 4).count();
            assert!(steps >= FRAMES / 2, "{steps} of {}", FRAMES - 1);
        }
        let seen = app.journal.ended(path).await;
        assert_eq!((seen.status, seen.chunks), (Some(StatusCode::OK), FRAMES));
        assert_eq!(seen.bytes, (0..FRAMES).map(|it| frame(it).len()).sum::<usize>());
        assert_eq!(seen.ends, [End::Complete]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_is_gone_upstream_at_once() {
    let app = App::start().await;
    for path in ["/forever", "/hang", "/flood"] {
        let mut caller = app.caller().await;
        caller.send(get(path)).await;
        if path == "/hang" {
            app.upstream
                .wait(|note| matches!(note, Note::Whole { head, .. } if head.target() == path).then_some(()))
                .await;
        } else {
            caller.head().await;
            caller.chunk().await;
        }
        let gone = Instant::now();
        drop(caller);
        let heard = app.upstream.abort_of(path).await - gone;
        // 50 ms is what is to be reached; a busy test machine gets more.
        assert!(heard < Duration::from_millis(500), "{path}: {heard:?}");
        let seen = app.journal.ended(path).await;
        assert_eq!(seen.ends, [End::ClientGone], "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_breaks_off_at_the_caller_too() {
    let app = App::start().await;
    let mut caller = app.caller().await;
    caller.send(get("/die")).await;
    assert_eq!(caller.head().await.status(), 200);
    let rest = caller.rest().await;
    assert!(!rest.ends_with(b"0\r\n\r\n"), "no end may be made up: {rest:?}");
    assert_eq!(app.journal.ended("/die").await.ends, [End::UpstreamFailed]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_ends_once_whatever_its_framing() {
    let app = App::start().await;
    for (request, target) in [
        (get("/length"), "/length"),
        (get("/until-closed"), "/until-closed"),
        (get("/nothing"), "/nothing"),
        (get("/head").replacen("GET", "HEAD", 1), "/head"),
    ] {
        let mut caller = app.caller().await;
        caller.send(&request).await;
        let head = caller.head().await;
        match target {
            "/head" => assert_eq!(head.length(), Some(1234)),
            "/nothing" => assert_eq!((head.status(), head.length()), (204, None)),
            "/length" => assert_eq!(caller.body(&head).await, b"ok"),
            _ => assert_eq!(caller.body(&head).await, b"to the end"),
        }
        assert_eq!(app.journal.ended(target).await.ends, [End::Complete], "{target}");
        if target != "/until-closed" {
            // The connection goes on.
            assert_eq!(caller.ask(&get("/again")).await.1, "ok", "{target}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_arrive_in_both_directions() {
    let app = App::start().await;
    let mut caller = app.caller().await;
    caller.send("GET /trailers HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n").await;
    let head = caller.head().await;
    assert_eq!(head.get("trailer"), Some("X-Sum"));
    assert_eq!(caller.chunk().await.0, b"data");
    assert_eq!(caller.chunk().await.0, b"");
    let trailers = read_head(&mut caller.stream).await.unwrap().unwrap();
    assert_eq!(trailers.first.to_ascii_lowercase(), "x-sum: 42");

    let request = "POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, X-Paywall-Code\r\n\r\n\
        4\r\ndata\r\n0\r\nX-Sum: 43\r\nX-Paywall-Code: forged\r\n\r\n";
    assert_eq!(caller.ask(request).await.0.status(), 200);
    let trailers = app.upstream.notes().into_iter().find_map(|note| match note {
        Note::Whole { head, trailers, .. } if head.target() == "/up" => Some(trailers),
        _ => None,
    });
    let trailers = trailers.unwrap();
    assert_eq!(trailers.get("x-sum"), Some("43"));
    assert_eq!(trailers.get("x-paywall-code"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ragflow_that_is_away_is_said_so_and_is_found_again() {
    let upstream = Upstream::start().await;
    // Bound, so that nobody else gets the port, and not listening yet.
    let away = tokio::net::TcpSocket::new_v4().unwrap();
    away.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = away.local_addr().unwrap();
    let app = App::before(upstream, |config| {
        config.ragflow_url = Some(format!("http://{address}").parse().unwrap());
    })
    .await;
    let mut caller = app.caller().await;
    for _ in 0..3 {
        let (head, body) = caller.ask(&get("/a")).await;
        assert_eq!(head.status(), 502);
        assert_eq!(body, "{\"code\":502,\"data\":null,\"message\":\"RAGFlow cannot be reached\"}");
        assert!(head.get("x-request-id").unwrap().starts_with("req_"));
    }
    assert_eq!(app.journal.ended("/a").await.ends, [End::UpstreamFailed]);
    let _back = Upstream::start_on(away.listen(64).unwrap());
    assert_eq!(caller.ask(&get("/a")).await.1, "ok");
    let (head, _) = caller.ask(&get("/die-at-once")).await;
    assert_eq!(head.status(), 502);
    let (head, body) = caller.ask(&get("/switch")).await;
    assert_eq!(head.status(), 502, "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_ragflow_are_used_again() {
    let app = App::start().await;
    let mut caller = app.caller().await;
    for _ in 0..20 {
        caller.ask(&get("/a")).await;
    }
    let connections: std::collections::BTreeSet<usize> = app
        .upstream
        .notes()
        .iter()
        .filter_map(|note| if let Note::Whole { connection, .. } = note { Some(*connection) } else { None })
        .collect();
    assert!(connections.len() < 4, "{connections:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn http_1_0_gets_what_it_can_read() {
    let app = App::start().await;
    let mut caller = Caller::connect(app.address).await;
    caller.send("GET /burst HTTP/1.0\r\n\r\n").await;
    let head = caller.head().await;
    assert!(head.first.starts_with("HTTP/1.0 200") && !head.is_chunked(), "{head:?}");
    let all: String = (0..FRAMES).map(frame).collect();
    assert_eq!(String::from_utf8(caller.body(&head).await).unwrap(), all);
    let seen = app.upstream.heads();
    assert_eq!(seen[0].first, "GET /burst HTTP/1.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_is_never_a_whole_request() {
    let app = App::start().await;
    for framing in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        app.upstream.take();
        let mut caller = app.caller().await;
        let target = format!("/upload?{}", framing.len());
        caller.send(format!("POST {target} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n4\r\nhalf\r\n")).await;
        // Time for it to be on its way.
        tokio::time::sleep(PAUSE).await;
        drop(caller);
        app.upstream.wait(|note| matches!(note, Note::Partial).then_some(())).await;
        let seen = app.journal.ended(&target).await;
        assert!(matches!(seen.ends[..], [End::ClientGone | End::ClientFailed]), "{seen:?}");
        assert!(app.upstream.heads().is_empty());
    }
}
