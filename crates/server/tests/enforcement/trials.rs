//! Trials: begun at first sight or first use, ended, and given more time.

use std::time::{Duration, Instant};

use paywall_domain::{DAY_MS, DenyCode, Meter, Status};
use paywall_server::directory::TrialStart;
use paywall_server::{Clock, SystemClock};
use reqwest::Method;
use serde_json::json;

use crate::on_each_pair;
use crate::ragflow::{key, session};
use crate::world::{CHAT, LONG, On, Paywall, World, end_trial, eventually, extend};

/// By when a change by staff is in force, on every replica.
const IN_FORCE: Duration = Duration::from_secs(1);

/// Asks again and again until the code is this one; answers how long that took.
async fn until(paywall: &Paywall, number: u32, code: Option<&str>) -> Duration {
    let started = Instant::now();
    loop {
        let answer = paywall.ask(&key(number), &format!("d{number}")).await;
        if answer.code() == code {
            assert!(code.is_some() || answer.passed(), "{answer:?}");
            return started.elapsed();
        }
        assert!(started.elapsed() < LONG, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn an_ended_trial_shuts_out_and_an_extension_opens_at_once(world: World) {
    world.users(1);
    let paywall = world.serve().await;
    // SQLite is one server's.
    let other =
        if world.on == On::Postgres { Some(world.serve_before(paywall.upstream.clone(), |_| {}).await) } else { None };
    assert!(paywall.ask(&key(1), "d1").await.passed());
    if let Some(other) = &other {
        assert!(other.ask(&key(1), "d1").await.passed());
    }
    paywall.adjust(1, end_trial()).await;
    let took = until(&paywall, 1, Some("trial_ended")).await;
    assert!(took < IN_FORCE, "{took:?}");
    if let Some(other) = &other {
        let took = until(other, 1, Some("trial_ended")).await;
        assert!(took < IN_FORCE, "{took:?} on another replica");
    }
    let before = paywall.upstream.count();

    let answer = paywall.ask(&key(1), "d1").await;
    assert_eq!((answer.status, answer.header("retry-after")), (402, None));
    assert_eq!(
        (answer.json()["code"].as_i64(), answer.json()["data"]["deny_codes"][0].as_str()),
        (Some(402), Some("trial_ended"))
    );
    let answer = paywall.ask(&session(1), "d1").await;
    assert!(answer.status == 200 && answer.frames()[0]["data"]["answer"].as_str().unwrap().contains("](/paywall/)"));
    let spanish =
        paywall.post(CHAT, &session(1), &json!({"chat_id": "d1", "stream": false})).header("accept-language", "es");
    let answer = paywall.send(spanish).await;
    assert_eq!((answer.status, answer.json()["code"].as_i64(), &answer.json()["data"]), (200, Some(402), &json!(null)));
    assert!(answer.json()["message"].as_str().unwrap().contains("La prueba gratuita terminó"));
    for path in ["/api/v1/datasets", "/api/v1/chats", "/api/v1/retrieval"] {
        let answer = paywall.send(paywall.post(path, &session(1), &json!({"name": "n"}))).await;
        assert_eq!((answer.status, answer.json()["code"].as_i64()), (200, Some(402)), "{path}");
    }
    assert_eq!(paywall.upload(&key(1), "kb1", &[10]).await.status, 402);
    assert_eq!(paywall.upstream.count(), before, "nothing came through");
    // To look at one's things, and to remove them, stays free.
    assert!(paywall.send(paywall.with(Method::GET, "/api/v1/datasets", &key(1))).await.passed());
    assert!(paywall.send(paywall.with(Method::DELETE, "/api/v1/datasets", &key(1))).await.passed());
    eventually(async || paywall.blocked(1).await == [DenyCode::TrialEnded]).await;

    paywall.adjust(1, extend(7)).await;
    let took = until(&paywall, 1, None).await;
    eprintln!("an extension was in force after {took:?}");
    assert!(took < IN_FORCE, "{took:?}");
    if let Some(other) = &other {
        let took = until(other, 1, None).await;
        eprintln!("and on another replica {took:?} later");
        assert!(took < IN_FORCE, "{took:?} on another replica");
    }
    // Not for a moment more than it should be.
    paywall.adjust(1, end_trial()).await;
    until(&paywall, 1, Some("trial_ended")).await;
    eventually(async || paywall.blocked(1).await.len() == 2).await;
    if let Some(other) = other {
        other.stop().await;
    }
    paywall.stop().await;
}

async fn a_tenant_that_registers_later_passes_with_its_first_request(world: World) {
    world.users(1);
    let paywall = world.serve().await;
    paywall.tenant(1).await;
    world.user(2);
    let now = SystemClock.now();
    let paywall = std::sync::Arc::new(paywall);
    // All at once, as a web page asks.
    let all: Vec<_> = (0..20)
        .map(|_| {
            let paywall = std::sync::Arc::clone(&paywall);
            tokio::spawn(async move { paywall.ask(&key(2), "d2").await })
        })
        .collect();
    for one in all {
        let answer = one.await.unwrap();
        assert!(answer.passed(), "{answer:?}");
    }
    let trial = paywall.tenant(2).await.facts.trial.unwrap();
    assert!(trial.started_at.ms_since(now) < 5_000 && trial.ends_at.ms_since(trial.started_at) == 14 * DAY_MS);
    eventually(async || paywall.used(2, Meter::Messages).await == 20).await;
    // Nobody asks for this one, and it is there all the same.
    world.user(3);
    paywall.tenant(3).await;
    std::sync::Arc::into_inner(paywall).unwrap().stop().await;
}

async fn a_trial_of_first_use_begins_with_the_first_work(world: World) {
    world.users(2);
    let paywall = world.serve_with(|config| config.trial_start = TrialStart::FirstUse).await;
    paywall.tenant(1).await;
    // A look at its things, or at its page, is no use.
    assert!(paywall.send(paywall.with(Method::GET, "/api/v1/datasets", &key(1))).await.passed());
    for path in ["/paywall/status", "/paywall/"] {
        assert_eq!(paywall.send(paywall.with(Method::GET, path, &key(1))).await.status, 200);
    }
    assert_eq!(paywall.tenant(1).await.facts.trial, None);
    let now = SystemClock.now();
    assert!(paywall.ask(&key(1), "d1").await.passed());
    let tenant = paywall.tenant(1).await;
    assert!(tenant.status == Status::Trial && tenant.facts.trial.unwrap().started_at.ms_since(now) < 5_000);
    assert_eq!(paywall.tenant(2).await.facts.trial, None);
    paywall.stop().await;
}

/// A tenant that no trial will ever begin for must not cost a transaction with each request.
async fn a_plan_without_a_trial_does_not_write_with_each_refusal(world: World) {
    world.users(1);
    let set = |config: &mut paywall_server::Config| {
        config.trial_start = TrialStart::FirstUse;
        config.plans.as_mut().unwrap()[0].trial_days = 0;
    };
    let paywall = world.serve_with(set).await;
    paywall.tenant(1).await;
    assert_eq!(paywall.ask(&key(1), "d1").await.code(), Some("trial_ended"));
    tokio::time::sleep(Duration::from_millis(700)).await;
    let before = paywall.tenant(1).await.seq;
    for _ in 0..50 {
        assert_eq!(paywall.ask(&key(1), "d1").await.code(), Some("trial_ended"));
    }
    assert_eq!(paywall.tenant(1).await.seq, before);
    paywall.stop().await;
}

on_each_pair!(
    an_ended_trial_shuts_out_and_an_extension_opens_at_once,
    a_tenant_that_registers_later_passes_with_its_first_request,
    a_trial_of_first_use_begins_with_the_first_work,
    a_plan_without_a_trial_does_not_write_with_each_refusal,
);
