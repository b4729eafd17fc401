//! A limit of N lets exactly N through, and says so in a way that each caller understands.

use std::sync::Arc;
use std::time::Duration;

use paywall_domain::{DenyCode, Meter};
use serde_json::json;
use tokio::time::sleep;

use crate::on_each_pair;
use crate::ragflow::{beta, key, session};
use crate::world::{CHAT, World, eventually, limit, override_of};

const N: usize = 5;

async fn exactly_n_pass_and_everybody_else_hears_why(world: World) {
    world.users(1);
    let paywall = Arc::new(world.serve_with(|config| limit(config, Meter::Messages, N as i64)).await);
    let all: Vec<_> = (0..50)
        .map(|_| {
            let paywall = Arc::clone(&paywall);
            tokio::spawn(async move { paywall.ask(&key(1), "d1").await })
        })
        .collect();
    let mut answers = Vec::new();
    for one in all {
        answers.push(one.await.unwrap());
    }
    let (passed, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|it| it.passed());
    assert_eq!((passed.len(), refused.len()), (N, 50 - N));
    assert_eq!(paywall.upstream.count(), N, "nothing else came through");
    for answer in &refused {
        assert_eq!((answer.status, answer.code()), (429, Some("quota_exhausted")), "{answer:?}");
        assert_eq!(answer.header("x-paywall-meter"), Some("messages"));
        assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
        let body = answer.json();
        assert_eq!((&body["code"], &body["data"]["quota"]["limit"]), (&json!(429), &json!(N)), "{body}");
        assert_eq!(body["data"]["quota"]["used"], N);
        assert!(body["message"].as_str().unwrap().contains("/paywall/"));
    }

    // A browser that waits for a stream is shown an answer.
    let answer = paywall.ask(&session(1), "d1").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/event-stream; charset=utf-8")));
    let frames = answer.frames();
    assert!(frames[0]["data"]["answer"].as_str().unwrap().contains("](/paywall/)"), "{frames:?}");
    assert_eq!((&frames[0]["data"]["final"], &frames[1]["data"]), (&json!(true), &json!(true)));
    // One that waits for JSON is shown a toast.
    let whole = json!({"chat_id": "d1", "question": "Which city?", "stream": false});
    let answer = paywall.send(paywall.post(CHAT, &session(1), &whole)).await;
    assert_eq!((answer.status, answer.json()["code"].as_i64()), (200, Some(429)));
    // An agent's page reads a frame with a code.
    let agent = json!({"agent_id": "a1", "query": "Which city?"});
    let answer = paywall.send(paywall.post("/api/v1/agents/chat/completions", &session(1), &agent)).await;
    assert_eq!((answer.status, answer.frames()[0]["code"].as_i64()), (200, Some(429)));
    // A visitor of a page that embeds it learns no figures.
    let visit = paywall.post("/api/v1/chatbots/d1/completions", &beta(1), &json!({"question": "Which city?"}));
    let answer = paywall.send(visit).await;
    assert!(answer.status == 200 && answer.body.contains("not available") && !answer.body.contains("/paywall/"));
    // A client of OpenAI gets OpenAI's error.
    let openai = json!({"model": "m", "messages": [{"role": "user", "content": "Which city?"}], "stream": true});
    let answer = paywall.send(paywall.post("/api/v1/openai/d1/chat/completions", &key(1), &openai)).await;
    let body = answer.json();
    assert_eq!((answer.status, &body["error"]["type"]), (429, &json!("insufficient_quota")), "{body}");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(paywall.upstream.count(), N, "nothing else came through");

    eventually(async || paywall.used(1, Meter::Messages).await == N as i64).await;
    Arc::into_inner(paywall).unwrap().stop().await;
}

async fn a_lockout_stands_in_the_timeline_once_until_it_worked_again(world: World) {
    world.users(1);
    let paywall = world.serve_with(|config| limit(config, Meter::Messages, 1)).await;
    assert!(paywall.ask(&key(1), "d1").await.passed());
    for _ in 0..3 {
        assert_eq!(paywall.ask(&key(1), "d1").await.code(), Some("quota_exhausted"));
        // Longer than what was noted waits to be written.
        sleep(Duration::from_millis(700)).await;
    }
    let refusal = paywall.tenant(1).await.last_refusal.unwrap();
    assert_eq!((refusal.code, refusal.http_status), (DenyCode::QuotaExhausted, 429));
    assert_eq!((refusal.method.as_str(), refusal.path.as_str()), ("POST", CHAT));
    assert_eq!(paywall.blocked(1).await, [DenyCode::QuotaExhausted]);

    paywall.adjust(1, override_of(Meter::Messages, 2)).await;
    eventually(async || paywall.ask(&key(1), "d1").await.passed()).await;
    assert_eq!(paywall.ask(&key(1), "d1").await.code(), Some("quota_exhausted"));
    eventually(async || paywall.blocked(1).await.len() == 2).await;
    assert_eq!(paywall.ask(&key(1), "d1").await.code(), Some("quota_exhausted"));
    sleep(Duration::from_millis(700)).await;
    assert_eq!(paywall.blocked(1).await, [DenyCode::QuotaExhausted; 2]);
    paywall.stop().await;
}

async fn a_limit_of_tokens_and_one_of_requests_hold_too(world: World) {
    world.users(2);
    let paywall = world.serve_with(|config| {
        limit(config, Meter::Tokens, 30);
        limit(config, Meter::ApiRequests, 3);
    });
    let paywall = paywall.await;
    // An answer that began ends, and nothing follows.
    eventually(async || paywall.ask(&session(1), "d1").await.code() == Some("quota_exhausted")).await;
    assert_eq!(paywall.ask(&session(1), "d1").await.header("x-paywall-meter"), Some("tokens"));
    let find = json!({"question": "Which city?", "dataset_ids": ["kb2"]});
    let mut passed = 0;
    for _ in 0..6 {
        let answer = paywall.send(paywall.post("/api/v1/retrieval", &key(2), &find)).await;
        passed += usize::from(answer.passed());
        assert!(answer.passed() || answer.header("x-paywall-meter") == Some("api_requests"), "{answer:?}");
    }
    assert_eq!(passed, 3);
    // The web UI goes on.
    assert!(paywall.send(paywall.post("/api/v1/retrieval", &session(2), &find)).await.passed());
    paywall.stop().await;
}

on_each_pair!(
    exactly_n_pass_and_everybody_else_hears_why,
    a_lockout_stands_in_the_timeline_once_until_it_worked_again,
    a_limit_of_tokens_and_one_of_requests_hold_too,
);
