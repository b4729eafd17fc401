//! A key that was taken away, or a session that ended, is forgotten by every server, whichever of them saw it.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::on_each_pair;
use crate::ragflow::{id, key, session};
use crate::world::{Paywall, World, eventually};

/// By when every server has heard of it.
const HEARD: Duration = Duration::from_secs(2);

/// Whether a server takes a credential for user 1's.
async fn knows(paywall: &Paywall, credential: &str) -> bool {
    paywall.send(paywall.with(Method::GET, "/paywall/status", credential)).await.status == 200
}

async fn what_one_server_saw_end_every_server_forgets(world: World) {
    world.users(2);
    let one = world.serve().await;
    let other = world.serve_before(one.upstream.clone(), |_| {}).await;
    for paywall in [&one, &other] {
        for credential in [key(1), session(1), key(2), session(2)] {
            assert!(knows(paywall, &credential).await);
        }
    }
    // As RAGFlow does it, before it answers.
    world.ragflow.sql(&format!("DELETE FROM api_token WHERE token = '{}'", key(1)));
    assert!(knows(&other, &key(1)).await, "nobody told of it");
    let deletion = one.with(Method::DELETE, "/api/v1/system/tokens/t", &session(1));
    assert!(one.send(deletion).await.passed());
    let took = eventually(async || !knows(&other, &key(1)).await && !knows(&one, &key(1)).await).await;
    eprintln!("a deleted key was forgotten after {took:?}");
    assert!(took < HEARD, "{took:?}");
    for paywall in [&one, &other] {
        assert!(knows(paywall, &session(1)).await, "the session is still good");
    }

    world.ragflow.sql(&format!("UPDATE {{user}} SET access_token = 'INVALID' WHERE id = '{}'", id(1)));
    assert!(knows(&one, &session(1)).await, "nobody told of it");
    assert!(other.send(other.post("/api/v1/auth/logout", &session(1), &json!({}))).await.passed());
    let took = eventually(async || !knows(&one, &session(1)).await && !knows(&other, &session(1)).await).await;
    eprintln!("a session was forgotten after {took:?}");
    assert!(took < HEARD, "{took:?}");

    // Nothing in the paywall's database leads to a credential, and nobody's console hears of it.
    assert_eq!(world.number("SELECT count(*) FROM credential_changes").await, 1);
    for paywall in [&one, &other] {
        assert!(knows(paywall, &key(2)).await && knows(paywall, &session(2)).await);
    }
    one.stop().await;
    other.stop().await;
}

/// A front asks before it passes the request on, so what is looked up in between is still as it was.
async fn a_sign_out_that_a_front_passes_on_later_counts_from_then_on(world: World) {
    world.users(1);
    let paywall = world.serve_with(|config| config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]).await;
    assert!(knows(&paywall, &session(1)).await);
    let question = paywall.with(Method::GET, "/authz", &session(1));
    let question = question.header("X-Original-Method", "POST").header("X-Original-URI", "/api/v1/auth/logout");
    assert_eq!(paywall.send(question).await.status, 204);
    assert!(knows(&paywall, &session(1)).await, "RAGFlow knows nothing of it yet");
    world.ragflow.sql(&format!("UPDATE {{user}} SET access_token = 'INVALID' WHERE id = '{}'", id(1)));
    let took = eventually(async || !knows(&paywall, &session(1)).await).await;
    assert!(took < Duration::from_secs(6), "{took:?}");
    paywall.stop().await;
}

on_each_pair!(
    what_one_server_saw_end_every_server_forgets,
    a_sign_out_that_a_front_passes_on_later_counts_from_then_on,
);
