//! Who pays is whose things are used.

use paywall_domain::{DenyCode, Meter};
use serde_json::json;

use crate::on_each_pair;
use crate::ragflow::{key, session};
use crate::world::{World, comp, end_trial, eventually, hour_ago, override_of};

/// User 1 pays and has a team; user 2 is in it, and its own trial ended.
async fn a_team_pays_for_its_things_and_nobody_elses(world: World) {
    world.users(3);
    world.ragflow.join(2, 1, "normal", hour_ago());
    let paywall = world.serve().await;
    paywall.adjust(1, comp()).await;
    paywall.adjust(2, end_trial()).await;
    eventually(async || paywall.ask(&key(2), "d2").await.code() == Some("trial_ended")).await;
    assert!(paywall.ask(&key(2), "d1").await.passed(), "the team's dialog");
    assert!(paywall.ask(&session(2), "d1").await.passed());
    let agent = json!({"agent_id": "a1", "question": "Which city?"});
    assert!(paywall.send(paywall.post("/api/v1/agents/chat/completions", &key(2), &agent)).await.passed());
    let openai = json!({"model": "m", "messages": [{"role": "user", "content": "Which city?"}]});
    assert!(paywall.send(paywall.post("/api/v1/openai/d1/chat/completions", &key(2), &openai)).await.passed());
    assert!(paywall.upload(&key(2), "kb1", &[10]).await.passed());
    assert_eq!(paywall.upload(&key(2), "kb2", &[10]).await.status, 402);
    // Whoever owns a part of what is used must be allowed to.
    let find = |datasets: &[&str]| json!({"question": "Which city?", "dataset_ids": datasets});
    for (datasets, status) in [(vec!["kb1"], 200), (vec!["kb1", "kb2"], 402), (vec!["kb1", "kb3"], 200)] {
        let answer = paywall.send(paywall.post("/api/v1/retrieval", &key(2), &find(&datasets))).await;
        assert_eq!(answer.status, status, "{datasets:?}");
    }
    // What names nothing is the caller's own.
    let answer = paywall.send(paywall.post("/api/v1/datasets", &key(2), &json!({"name": "n"}))).await;
    assert_eq!((answer.status, answer.code()), (402, Some("trial_ended")));

    eventually(async || paywall.used(1, Meter::Messages).await == 4).await;
    eventually(async || paywall.blocked(2).await == [DenyCode::TrialEnded]).await;
    assert_eq!(world.events(2).await, []);
    assert_eq!(paywall.blocked(1).await, []);
    paywall.stop().await;
}

async fn a_paying_member_does_not_pay_for_a_team_that_is_used_up(world: World) {
    world.users(2);
    world.ragflow.join(2, 1, "normal", hour_ago());
    let paywall = world.serve().await;
    paywall.adjust(2, comp()).await;
    paywall.adjust(1, override_of(Meter::Messages, 1)).await;
    eventually(async || paywall.ask(&key(2), "d1").await.code() == Some("quota_exhausted")).await;
    assert!(paywall.ask(&key(2), "d2").await.passed());
    eventually(async || paywall.used(2, Meter::Messages).await == 1).await;
    paywall.stop().await;
}

on_each_pair!(a_team_pays_for_its_things_and_nobody_elses, a_paying_member_does_not_pay_for_a_team_that_is_used_up);
