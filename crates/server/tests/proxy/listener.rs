//! Patience, caps, and stopping.

use std::time::{Duration, Instant};

use paywall_server::Limits;
use tokio::time::sleep;

use crate::app::{App, get};
use crate::upstream::FRAMES;

fn short() -> Limits {
    Limits {
        header_timeout: Duration::from_millis(400),
        idle_timeout: Duration::from_millis(1200),
        stall_timeout: Duration::from_millis(600),
        drain_timeout: Duration::from_secs(5),
        ..Limits::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_dropped_before_within_and_after_a_head() {
    let app = App::with(|config| config.limits = short()).await;
    let took = async |sent: String, answered: bool| {
        let mut caller = app.caller().await;
        caller.send(&sent).await;
        if answered {
            let head = caller.head().await;
            caller.body(&head).await;
        }
        let start = Instant::now();
        assert_eq!(caller.rest().await, b"");
        start.elapsed()
    };
    let silent = took(String::new(), false).await;
    assert!(silent >= Duration::from_millis(350) && silent < Duration::from_millis(1100), "{silent:?}");
    let slow = took("GET /a HTTP/1.1\r\nHost: ".to_owned(), false).await;
    assert!(slow >= Duration::from_millis(350) && slow < Duration::from_millis(1100), "{slow:?}");
    let idle = took(get("/a"), true).await;
    assert!(idle >= Duration::from_millis(1100) && idle < Duration::from_secs(3), "{idle:?}");
    assert_eq!(app.upstream.heads().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_drips_is_dropped_too() {
    let app = App::with(|config| config.limits = short()).await;
    let mut caller = app.caller().await;
    let start = Instant::now();
    let request = format!("GET /a HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(200));
    for byte in request.bytes() {
        if tokio::io::AsyncWriteExt::write_all(&mut caller.stream, &[byte]).await.is_err() {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(caller.rest().await, b"");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(app.upstream.heads().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_stream_is_no_silence() {
    let app = App::with(|config| config.limits = short()).await;
    let mut caller = app.caller().await;
    caller.send(get("/forever")).await;
    caller.head().await;
    caller.chunk().await;
    let waiting = tokio::time::timeout(Duration::from_secs(3), caller.rest()).await;
    assert!(waiting.is_err(), "it was dropped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_and_a_reader_that_stops_are_dropped() {
    let app = App::with(|config| config.limits = short()).await;
    let mut caller = app.caller().await;
    caller.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf").await;
    let head = caller.head().await;
    assert_eq!(head.status(), 408);
    // Who takes nothing holds RAGFlow up as long.
    let mut caller = app.caller().await;
    caller.send(get("/flood")).await;
    caller.head().await;
    let start = Instant::now();
    app.upstream.abort_of("/flood").await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_has_a_cap_and_its_places_come_back() {
    let limits = Limits { connections_per_address: 3, ..short() };
    let app = App::with(|config| config.limits = limits).await;
    let mut callers = Vec::new();
    for _ in 0..3 {
        let mut caller = app.caller().await;
        assert_eq!(caller.ask(&get("/a")).await.0.status(), 200);
        callers.push(caller);
    }
    let mut late = app.caller().await;
    let answer = String::from_utf8(late.rest().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("try again in a while"), "{answer}");
    callers.pop();
    let start = Instant::now();
    // A place is free when the connection's end was noticed.
    loop {
        let mut next = app.caller().await;
        next.send(get("/a")).await;
        if next.rest().await.starts_with(b"HTTP/1.1 200") {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_connections_together_have_a_cap() {
    let limits = Limits { connections: 2, ..short() };
    let trusted = vec!["127.0.0.1/32".parse().unwrap()];
    let app = App::with(|config| (config.limits, config.trusted_proxies) = (limits, trusted)).await;
    let (mut one, mut other) = (app.caller().await, app.caller().await);
    assert_eq!(one.ask(&get("/a")).await.0.status(), 200);
    assert_eq!(other.ask(&get("/a")).await.0.status(), 200);
    assert!(app.caller().await.rest().await.starts_with(b"HTTP/1.1 503"));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_lets_streams_finish() {
    let app = App::start().await;
    let mut caller = app.caller().await;
    let mut idle = app.caller().await;
    assert_eq!(idle.ask(&get("/a")).await.0.status(), 200);
    caller.send(get("/stream")).await;
    caller.head().await;
    caller.chunk().await;
    app.stop.cancel();
    assert_eq!(idle.rest().await, b"", "what rests is closed at once");
    for _ in 1..FRAMES {
        assert!(!caller.chunk().await.0.is_empty());
    }
    assert!(caller.chunk().await.0.is_empty());
    app.serving.await.unwrap();
    assert!(tokio::net::TcpStream::connect(app.address).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_has_a_bound() {
    let limits = Limits { drain_timeout: Duration::from_millis(300), ..Limits::default() };
    let app = App::with(|config| config.limits = limits).await;
    let mut caller = app.caller().await;
    caller.send(get("/forever")).await;
    caller.head().await;
    let start = Instant::now();
    app.stop.cancel();
    app.serving.await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    app.upstream.abort_of("/forever").await;
}
