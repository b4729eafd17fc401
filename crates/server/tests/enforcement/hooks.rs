//! Webhooks, which nobody signs in to; and headers that only the paywall may set.

use paywall_domain::Meter;
use reqwest::Method;
use serde_json::json;

use crate::on_each_pair;
use crate::ragflow::{id, key};
use crate::world::{World, end_trial, eventually};

const HOOK: &str = "/api/v1/agents/a1/webhook";

async fn a_webhook_is_its_agents_owners(world: World) {
    world.users(2);
    let paywall = world.serve().await;
    let call = |request: reqwest::RequestBuilder| paywall.send(request.json(&json!({"event": "push"})));
    assert!(call(paywall.bare(Method::POST, HOOK)).await.passed());
    assert!(paywall.send(paywall.bare(Method::GET, HOOK)).await.passed());
    // Also where somebody else's key came along.
    assert!(call(paywall.with(Method::POST, HOOK, &key(2))).await.passed());
    assert!(call(paywall.with(Method::POST, HOOK, "ragflow-nobodys")).await.passed());
    eventually(async || paywall.used(1, Meter::Messages).await == 4).await;
    assert_eq!(world.events(2).await, []);
    paywall.adjust(1, end_trial()).await;
    eventually(async || call(paywall.bare(Method::POST, HOOK)).await.code() == Some("trial_ended")).await;
    let before = paywall.upstream.count();
    let answer = call(paywall.bare(Method::POST, HOOK)).await;
    // Its sender learns nothing of the owner's account.
    assert_eq!((answer.status, &answer.json()["data"]), (402, &json!(null)));
    assert!(!answer.body.contains("/paywall/"), "{answer:?}");
    // The test run is its author's, who signs in.
    let test = paywall.with(Method::POST, "/api/v1/agents/a1/webhook/test", &key(1));
    assert_eq!(call(test).await.code(), Some("trial_ended"));
    // An agent that there is not is RAGFlow's to miss.
    assert!(call(paywall.bare(Method::POST, "/api/v1/agents/none/webhook")).await.passed());
    assert_eq!(paywall.upstream.count(), before + 1);
    paywall.stop().await;
}

async fn what_only_the_paywall_may_say_does_not_pass(world: World) {
    world.users(1);
    let paywall = world.serve().await;
    let request = paywall.post("/api/v1/openai/d1/chat/completions", &key(1), &json!({"messages": []}));
    let request = request
        .header("X-Paywall-Tenant", id(2).as_str())
        .header("X-Paywall-Code", "none")
        .header("X_Paywall_Tenant", id(2).as_str())
        .header("X-Original-URI", "/api/v1/datasets")
        .header("X-User-Id", id(2).as_str())
        .header("X-Forwarded-For", "192.0.2.1")
        .header("X-HTTP-Method-Override", "GET");
    assert!(paywall.send(request).await.passed());
    let seen = paywall.upstream.seen().remove(0);
    for name in [
        "x-paywall-tenant",
        "x-paywall-code",
        "x_paywall_tenant",
        "x-original-uri",
        "x-user-id",
        "x-http-method-override",
    ] {
        assert!(!seen.headers.contains_key(name), "{name}");
    }
    assert_eq!(seen.headers["x-forwarded-for"], "127.0.0.1");
    eventually(async || paywall.used(1, Meter::Messages).await == 1).await;
    paywall.stop().await;
}

on_each_pair!(a_webhook_is_its_agents_owners, what_only_the_paywall_may_say_does_not_pass);
