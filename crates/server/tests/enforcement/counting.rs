//! What is answered is counted, once, for its tenant, and passes as it is.

use std::time::Duration;

use paywall_domain::Meter;
use reqwest::Method;
use serde_json::json;

use crate::on_each_pair;
use crate::ragflow::{beta, key, session};
use crate::upstream::{AGENT_TOKENS, PIECES, chat_frames};
use crate::world::{CHAT, World, end_trial, eventually, hour_ago, level};

/// By when the admin API shows what was used.
const SHOWN: Duration = Duration::from_secs(2);

async fn a_question_with_an_api_key_passes_unchanged_and_is_counted(world: World) {
    world.users(1);
    let paywall = world.serve().await;
    let asked = "{ \"chat_id\" : \"d1\",\n \"question\":\"¿Qué ciudad?\"}";
    let target = "/api/v1/chat/completions?a=%2F&b=c+d";
    let request = paywall.with(Method::POST, target, &key(1)).header("X-Own", "kept").body(asked);
    let answer = paywall.send(request).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, chat_frames().concat().as_str()));
    assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
    let seen = paywall.upstream.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (seen[0].method.as_str(), seen[0].target.as_str(), &seen[0].body[..]),
        ("POST", target, asked.as_bytes())
    );
    assert_eq!(seen[0].headers["x-own"], "kept");
    assert_eq!(seen[0].headers["authorization"], format!("Bearer {}", key(1)).as_str());

    let took = eventually(async || paywall.used(1, Meter::Messages).await == 1).await;
    assert!(took < SHOWN, "{took:?}");
    let tenant = paywall.tenant(1).await;
    assert!(level(&tenant, Meter::Tokens) > 0);
    assert_eq!(level(&tenant, Meter::ApiRequests), 1);
    eventually(async || paywall.tenant(1).await.last_active_at.is_some_and(|at| at.0 > hour_ago())).await;
    let events = world.events(1).await;
    assert_eq!(events.len(), 1, "{events:?}");
    // The prompt that the last frame shows, and the text: not the question alone.
    assert!(events[0].1 > 20 && events[0].3.as_deref() == Some("estimate"), "{events:?}");
    paywall.stop().await;
}

async fn a_session_and_an_embed_key_count_no_api_requests(world: World) {
    world.users(1);
    let paywall = world.serve().await;
    assert!(paywall.ask(&session(1), "d1").await.passed());
    let question = json!({"question": "Which city?"});
    let visit = paywall.post("/api/v1/chatbots/d1/completions", &beta(1), &question);
    assert!(paywall.send(visit).await.passed());
    // A browser that was brought back by OAuth has no header yet.
    let cookie = crate::ragflow::cookie(1);
    let request = paywall.bare(Method::POST, CHAT).headers(cookie).json(&json!({"chat_id": "d1", "question": "?"}));
    assert!(paywall.send(request).await.passed());
    eventually(async || paywall.used(1, Meter::Messages).await == 3).await;
    assert_eq!(paywall.used(1, Meter::ApiRequests).await.max(0), 0);
    assert!(world.events(1).await.iter().all(|it| it.2 == 0));
    paywall.stop().await;
}

async fn tokens_are_marked_by_where_they_come_from(world: World) {
    world.users(3);
    let paywall = world.serve().await;
    let agent = json!({"agent_id": "a1", "question": "Which city?"});
    assert!(paywall.send(paywall.post("/api/v1/agents/chat/completions", &key(1), &agent)).await.passed());
    let openai = json!({"model": "m", "messages": [{"role": "user", "content": "Which city?"}]});
    let answer = paywall.send(paywall.post("/api/v1/openai/d2/chat/completions", &key(2), &openai)).await;
    assert_eq!(answer.json()["choices"][0]["message"]["content"], PIECES.concat());
    let whole = json!({"chat_id": "d3", "question": "Which city?", "stream": false});
    assert_eq!(paywall.send(paywall.post(CHAT, &key(3), &whole)).await.json()["code"], 0);
    let mut events = Vec::new();
    for number in 1..=3 {
        eventually(async || !world.events(number).await.is_empty()).await;
        events.extend(world.events(number).await);
    }
    let from: Vec<_> = events.iter().map(|it| it.3.as_deref().unwrap_or_default()).collect();
    assert_eq!(from, ["provider", "partial", "estimate"]);
    assert_eq!(events[0].1, AGENT_TOKENS);
    // RAGFlow says 11, which leaves its own prompt out.
    assert!(events[1].1 >= 11, "{events:?}");
    assert!(events.iter().all(|it| it.0 == 1 && it.2 == 1), "{events:?}");
    paywall.stop().await;
}

/// Without it the tokens of a question that no answer repeats would cost nothing.
async fn the_question_counts_where_no_answer_shows_it(world: World) {
    world.users(1);
    let paywall = world.serve().await;
    let question = "Where does the Guadalquivir rise? ".repeat(200);
    let body = json!({"chat_id": "d1", "question": question, "stream": false});
    assert!(paywall.send(paywall.post(CHAT, &key(1), &body)).await.passed());
    eventually(async || !world.events(1).await.is_empty()).await;
    let tokens = world.events(1).await[0].1;
    assert!((1_000..4_000).contains(&tokens), "{tokens}");
    paywall.stop().await;
}

async fn what_only_reads_is_free_and_known_tenants_are_shown(world: World) {
    world.users(2);
    let paywall = world.serve().await;
    for path in ["/api/v1/datasets", "/api/v1/chats?page=1", "/", "/api/v1/users/me"] {
        assert!(paywall.send(paywall.with(Method::GET, path, &key(1))).await.passed());
    }
    assert!(paywall.send(paywall.with(Method::DELETE, "/api/v1/datasets", &key(1))).await.passed());
    // Passages cost a request with a key, and no message.
    let find = json!({"question": "Which city?", "dataset_ids": ["kb1"]});
    assert!(paywall.send(paywall.post("/api/v1/retrieval", &key(1), &find)).await.passed());
    assert!(paywall.send(paywall.post("/api/v1/retrieval", &session(1), &find)).await.passed());
    eventually(async || paywall.used(1, Meter::ApiRequests).await == 1).await;
    assert_eq!(world.events(1).await, [(0, 0, 1, None)]);
    // Also whoever never asked anything is there.
    assert_eq!(paywall.tenant(2).await.last_active_at, None);
    paywall.stop().await;
}

/// Whoever is shut out and still tries is the one to call.
async fn a_refused_request_is_activity_too_and_is_not_written_each_time(world: World) {
    world.users(1);
    let paywall = world.serve().await;
    paywall.adjust(1, end_trial()).await;
    assert_eq!(paywall.tenant(1).await.last_active_at, None);
    eventually(async || paywall.ask(&key(1), "d1").await.code() == Some("trial_ended")).await;
    eventually(async || paywall.tenant(1).await.last_active_at.is_some()).await;
    let tenant = paywall.tenant(1).await;
    assert_eq!(tenant.last_active_at, tenant.last_refusal.map(|it| it.at));
    assert!(tenant.last_active_at.is_some_and(|at| at.0 > hour_ago()));
    for _ in 0..50 {
        assert_eq!(paywall.ask(&key(1), "d1").await.code(), Some("trial_ended"));
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(paywall.tenant(1).await.seq, tenant.seq);
    paywall.stop().await;
}

on_each_pair!(
    a_refused_request_is_activity_too_and_is_not_written_each_time,
    a_question_with_an_api_key_passes_unchanged_and_is_counted,
    a_session_and_an_embed_key_count_no_api_requests,
    tokens_are_marked_by_where_they_come_from,
    the_question_counts_where_no_answer_shows_it,
    what_only_reads_is_free_and_known_tenants_are_shown,
);
