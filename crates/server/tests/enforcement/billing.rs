//! What is billed, and what is not: an error is no answer, and half an answer is one.

use std::time::Duration;

use paywall_domain::Meter;
use reqwest::Method;
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::on_each_pair;
use crate::ragflow::key;
use crate::upstream::{HELD, SILENT, STRANGER, Upstream, WRONG};
use crate::world::{CHAT, Paywall, World, eventually, limit};

/// What a count is given to appear that must not.
const A_WHILE: Duration = Duration::from_millis(700);

/// Asks in a way that gets no answer.
async fn ask(paywall: &Paywall, question: &str) -> u16 {
    let body = json!({"chat_id": "d1", "question": question});
    paywall.send(paywall.post(CHAT, &key(1), &body)).await.status
}

async fn what_is_no_answer_is_not_billed_and_its_units_come_back(world: World) {
    world.users(1);
    let paywall = world.serve_with(|config| limit(config, Meter::Messages, 2)).await;
    for _ in 0..3 {
        assert_eq!(ask(&paywall, WRONG).await, 200);
        assert_eq!(ask(&paywall, STRANGER).await, 401);
        // Whoever goes away before the answer began.
        let body = json!({"chat_id": "d1", "question": SILENT});
        let silent = paywall.post(CHAT, &key(1), &body).send();
        assert!(timeout(Duration::from_millis(100), silent).await.is_err());
    }
    // Nobody that RAGFlow knows, with a key or without, is RAGFlow's to refuse, and nobody's bill.
    let stranger = json!({"chat_id": "d1", "question": "Which city?"});
    assert_eq!(paywall.send(paywall.post(CHAT, "ragflow-nobodys", &stranger)).await.status, 401);
    assert_eq!(paywall.send(paywall.bare(Method::POST, CHAT).json(&stranger)).await.status, 401);
    sleep(A_WHILE).await;
    assert_eq!(world.events(1).await, []);
    // Both messages are still there, and no third.
    assert!(paywall.ask(&key(1), "d1").await.passed());
    assert!(paywall.ask(&key(1), "d1").await.passed());
    assert_eq!(paywall.ask(&key(1), "d1").await.code(), Some("quota_exhausted"));
    paywall.stop().await;
}

async fn an_upstream_that_is_away_costs_nothing(world: World) {
    world.users(1);
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let set =
        |config: &mut paywall_server::Config| config.ragflow_url = Some(format!("http://{nobody}").parse().unwrap());
    let paywall = world.serve_before(Upstream::start().await, set).await;
    let answer = paywall.ask(&key(1), "d1").await;
    assert_eq!((answer.status, answer.json()["code"].as_i64()), (502, Some(502)));
    sleep(A_WHILE).await;
    assert_eq!(world.events(1).await, []);
    paywall.stop().await;
}

async fn whoever_goes_away_in_the_middle_pays_for_what_came(world: World) {
    world.users(1);
    let paywall = world.serve().await;
    let body = json!({"chat_id": "d1", "question": HELD});
    let mut answer = paywall.post(CHAT, &key(1), &body).send().await.unwrap();
    let mut came = Vec::new();
    while !String::from_utf8_lossy(&came).contains("capital") {
        came.extend(timeout(Duration::from_secs(10), answer.chunk()).await.unwrap().unwrap().unwrap());
    }
    sleep(A_WHILE).await;
    assert_eq!(world.events(1).await, [], "it goes on");
    drop(answer);
    eventually(async || world.events(1).await.len() == 1).await;
    let (messages, tokens, requests, _) = world.events(1).await.remove(0);
    assert!(messages == 1 && requests == 1 && tokens > 0);
    eventually(async || paywall.used(1, Meter::Messages).await == 1).await;
    paywall.stop().await;
}

on_each_pair!(
    what_is_no_answer_is_not_billed_and_its_units_come_back,
    an_upstream_that_is_away_costs_nothing,
    whoever_goes_away_in_the_middle_pays_for_what_came,
);
