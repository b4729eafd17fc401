//! Stopping in order: what runs is finished and counted, and nothing stays set aside.

use std::sync::Arc;
use std::time::Duration;

use paywall_domain::Meter;
use serde_json::json;
use tokio::time::sleep;

use crate::on_each_pair;
use crate::ragflow::{id, key};
use crate::upstream::HELD;
use crate::world::{CHAT, LONG, World, eventually};

/// Questions that are answered before, and those that run while it stops.
const BEFORE: usize = 30;
const WITHIN: usize = 10;

async fn what_was_answered_is_counted_and_no_lease_stays(world: World) {
    world.users(2);
    let paywall = Arc::new(world.serve().await);
    let ask = |question: &'static str, count: usize| -> Vec<_> {
        let one = |number: usize| {
            let (paywall, user) = (Arc::clone(&paywall), number as u32 % 2 + 1);
            tokio::spawn(async move {
                let body = json!({"chat_id": format!("d{user}"), "question": question});
                paywall.send(paywall.post(CHAT, &key(user), &body)).await
            })
        };
        (0..count).map(one).collect()
    };
    for one in ask("Which city?", BEFORE) {
        assert!(one.await.unwrap().passed());
    }
    let within = ask(HELD, WITHIN);
    eventually(async || paywall.upstream.count() == BEFORE + WITHIN).await;
    sleep(Duration::from_millis(100)).await;
    paywall.cancel();
    sleep(Duration::from_millis(200)).await;
    paywall.upstream.let_go();
    for one in within {
        let answer = one.await.unwrap();
        assert!(answer.passed() && answer.body.ends_with("\"data\":true,\"message\":\"\"}\n\n"), "{answer:?}");
    }
    let paywall = Arc::into_inner(paywall).unwrap();
    let stopping = std::time::Instant::now();
    paywall.stop().await;
    assert!(stopping.elapsed() < LONG, "{:?}", stopping.elapsed());

    let all = (BEFORE + WITHIN) as i64;
    assert_eq!(world.number("SELECT CAST(sum(messages) AS BIGINT) FROM usage_events").await, all);
    assert_eq!(world.number("SELECT CAST(coalesce(sum(covered), 0) AS BIGINT) FROM quota_leases").await, 0);
    let totals = "SELECT CAST(sum(counted) AS BIGINT) FROM usage_totals WHERE meter = 'messages'";
    assert_eq!(world.number(totals).await, all);
    // And told to everybody who mirrors.
    let unpublished = "SELECT count(*) FROM usage_totals WHERE unpublished = 1";
    assert_eq!(world.number(unpublished).await, 0);

    // The next start goes on from there.
    let again = world.serve().await;
    let counted = again.used(1, Meter::Messages).await + again.used(2, Meter::Messages).await;
    assert_eq!(counted, all);
    assert!(again.tenant(1).await.last_active_at.is_some(), "{}", id(1));
    again.stop().await;
}

on_each_pair!(what_was_answered_is_counted_and_no_lease_stays);
