//! A server that is told to stop says so before it stops.

use std::time::{Duration, Instant};

use crate::app::{App, get};
use crate::upstream::FRAMES;

#[tokio::test(flavor = "multi_thread")]
async fn readiness_ends_before_connections_do() {
    let delay = Duration::from_secs(2);
    let app = App::with(|config| config.limits.stop_delay = delay).await;
    assert_eq!(app.ask(&get("/readyz")).await.0.status(), 200);
    app.stop.cancel();
    let stopped = Instant::now();
    let (head, body) = loop {
        let (head, body) = app.ask(&get("/readyz")).await;
        if head.status() != 200 {
            break (head, body);
        }
        assert!(stopped.elapsed() < delay / 2, "it still says that it is ready");
    };
    assert_eq!(head.status(), 503);
    assert!(body.contains("not ready: the server is stopping"), "{body}");
    assert!(head.get("retry-after").is_some());
    // Whoever did not hear of it yet is served as before, also over a new connection.
    assert_eq!(app.ask(&get("/healthz")).await.0.status(), 200);
    let mut caller = app.caller().await;
    caller.send(get("/stream")).await;
    assert_eq!(caller.head().await.status(), 200);
    assert!(stopped.elapsed() < delay, "this machine is too slow for this test");
    for _ in 0..FRAMES {
        caller.chunk().await;
    }
    app.serving.await.unwrap();
    assert!(stopped.elapsed() >= delay);
}
