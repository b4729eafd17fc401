//! Two servers on one `PostgreSQL`, and far more callers than a limit lets through.

use std::sync::Arc;
use std::time::{Duration, Instant};

use paywall_domain::Meter;
use paywall_server::{Config, FailOpen};
use serde_json::json;
use tokio::runtime::Builder;
use tokio::sync::Barrier;

use crate::ragflow::key;
use crate::world::{On, World, eventually, limit};

const CALLERS: usize = 2_000;
const LIMIT: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_thousand_callers_at_two_servers_get_two_hundred_answers() {
    let world = World::start(On::Postgres);
    world.users(1);
    let set = |config: &mut Config| {
        limit(config, Meter::Messages, LIMIT as i64);
        config.limits.connections_per_address = 2 * CALLERS;
        // Where this machine is too busy for the store to answer in time, nobody passes for that.
        config.fail_open = FailOpen::parse("").unwrap();
    };
    let one = world.serve_with(set).await;
    let other = Arc::new(world.serve_before(one.upstream.clone(), set).await);
    let one = Arc::new(one);
    // Both are at work already, and callers have a processor of their own as far as there is one.
    let find = json!({"question": "Which city?", "dataset_ids": ["kb1"]});
    for paywall in [&one, &other] {
        assert!(paywall.send(paywall.post("/api/v1/retrieval", &key(1), &find)).await.passed());
    }
    let before = one.upstream.count();
    let callers = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let begin = Arc::new(Barrier::new(CALLERS));
    let all: Vec<_> = (0..CALLERS)
        .map(|number| {
            let (paywall, begin) = (Arc::clone(if number % 2 == 0 { &one } else { &other }), Arc::clone(&begin));
            callers.spawn(async move {
                begin.wait().await;
                loop {
                    let answer = paywall.ask(&key(1), "d1").await;
                    if answer.code() != Some("paywall_unavailable") {
                        break answer;
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            })
        })
        .collect();
    let started = Instant::now();
    let (mut passed, mut refused, mut longest) = (0, 0, Duration::ZERO);
    for task in all {
        let answer = task.await.unwrap();
        longest = longest.max(answer.took);
        if answer.passed() {
            passed += 1;
        } else {
            assert_eq!((answer.status, answer.code()), (429, Some("quota_exhausted")), "{answer:?}");
            refused += 1;
        }
    }
    eprintln!(
        "{CALLERS} callers: {passed} passed, {refused} refused, {:?} in all, {longest:?} the longest",
        started.elapsed()
    );
    assert_eq!((passed, refused), (LIMIT, CALLERS - LIMIT));
    assert_eq!(one.upstream.count() - before, LIMIT, "nothing else came through");
    eventually(async || one.used(1, Meter::Messages).await == LIMIT as i64).await;
    assert_eq!(world.number("SELECT CAST(sum(messages) AS BIGINT) FROM usage_events").await, LIMIT as i64);
    callers.shutdown_background();
    for paywall in [one, other] {
        Arc::into_inner(paywall).unwrap().stop().await;
    }
}
