//! `/authz` for a front that holds the request meanwhile.

use paywall_domain::Meter;
use reqwest::Method;

use crate::on_each_pair;
use crate::ragflow::{id, key, session};
use crate::world::{Answer, Paywall, World, end_trial, eventually, limit};

async fn authz(paywall: &Paywall, credential: Option<&str>, method: &str, target: &str) -> Answer {
    let request = match credential {
        Some(credential) => paywall.with(Method::GET, "/authz", credential),
        None => paywall.bare(Method::GET, "/authz"),
    };
    paywall.send(request.header("X-Original-Method", method).header("X-Original-URI", target)).await
}

const ASK: &str = "/api/v1/openai/d1/chat/completions";

async fn a_front_is_told_who_pays_and_why_not(world: World) {
    world.users(2);
    let trusting = |config: &mut paywall_server::Config| config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let paywall = world.serve_with(trusting).await;
    // Whoever pays is the owner of what the path names, not the caller.
    let answer = authz(&paywall, Some(&key(2)), "POST", ASK).await;
    assert_eq!((answer.status, answer.header("x-paywall-tenant")), (204, Some(id(1).as_str())));
    // What is not seen counts as one answer.
    eventually(async || paywall.used(1, Meter::Messages).await == 1).await;
    assert_eq!(world.events(1).await, [(1, 0, 1, None)]);
    // Free, and it says whose it is.
    let answer = authz(&paywall, Some(&session(2)), "GET", "/api/v1/datasets").await;
    assert_eq!((answer.status, answer.header("x-paywall-tenant")), (204, Some(id(2).as_str())));
    // Nobody known is RAGFlow's to refuse.
    for credential in [None, Some("ragflow-nobodys")] {
        let answer = authz(&paywall, credential, "POST", ASK).await;
        assert_eq!((answer.status, answer.header("x-paywall-tenant")), (204, None));
    }
    paywall.adjust(1, end_trial()).await;
    eventually(async || authz(&paywall, Some(&key(1)), "POST", ASK).await.status == 403).await;
    let answer = authz(&paywall, Some(&session(1)), "POST", ASK).await;
    assert_eq!((answer.status, answer.code()), (403, Some("trial_ended")));
    assert!(answer.header("x-paywall-message").unwrap().contains("trial ended"));
    assert_eq!(answer.header("x-paywall-url"), Some("/paywall/"));
    assert_eq!(paywall.upstream.count(), 0);
    paywall.stop().await;
}

async fn whoever_is_nobody_is_refused_where_the_policy_says_so(world: World) {
    world.users(1);
    let paywall = world.serve_with(|config| {
        config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        config.authz_refuses_anonymous = true;
    });
    let paywall = paywall.await;
    for credential in [None, Some("ragflow-nobodys")] {
        for (method, target) in [("POST", ASK), ("GET", "/api/v1/datasets"), ("POST", "/api/v1/retrieval")] {
            let answer = authz(&paywall, credential, method, target).await;
            assert_eq!((answer.status, answer.header("x-paywall-tenant")), (401, None), "{method} {target}");
        }
        // How else should anybody sign in?
        for (method, target) in [
            ("POST", "/api/v1/auth/login"),
            ("POST", "/api/v1/users"),
            ("GET", "/api/v1/auth/oauth/github/callback?code=c"),
            ("GET", "/api/v1/auth/login/channels"),
            ("GET", "/api/v1/auth/login/github"),
            ("GET", "/api/v1/system/config"),
            ("GET", "/v1/user/login/channels"),
            ("GET", "/"),
            ("GET", "/assets/index.js"),
            ("POST", "/api/v1/agents/a1/webhook"),
        ] {
            assert_eq!(authz(&paywall, credential, method, target).await.status, 204, "{method} {target}");
        }
    }
    assert_eq!(authz(&paywall, Some(&key(1)), "POST", ASK).await.status, 204);
    paywall.stop().await;
}

async fn a_stranger_may_not_ask(world: World) {
    world.users(1);
    let paywall = world.serve().await;
    let answer = authz(&paywall, Some(&key(1)), "GET", "/api/v1/datasets").await;
    assert_eq!((answer.status, answer.header("x-paywall-tenant")), (403, None));
    paywall.stop().await;
}

/// The front holds the upload and tells its length, since the question itself has no body.
async fn an_upload_that_does_not_fit_is_refused_before_it_is_sent(world: World) {
    world.users(1);
    let paywall = world.serve_with(|config| {
        config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        limit(config, Meter::StorageBytes, 1_000);
    });
    let paywall = paywall.await;
    paywall.tenant(1).await;
    let upload = async |length: &[&str]| {
        let request = paywall.with(Method::GET, "/authz", &key(1)).header("X-Original-Method", "POST");
        let request = request.header("X-Original-URI", "/api/v1/datasets/kb1/documents");
        let request = length.iter().fold(request, |request, it| request.header("X-Original-Content-Length", *it));
        paywall.send(request).await
    };
    for length in ["1001", "99999999999999"] {
        let answer = upload(&[length]).await;
        assert_eq!((answer.status, answer.code()), (403, Some("quota_exhausted")), "{length}");
        assert_eq!(answer.header("x-paywall-meter"), Some("storage_bytes"));
    }
    // What is no length, or is not told, sets nothing aside.
    for length in [&["600"][..], &[], &[""], &["-5"], &["many"], &["1001", "1001"]] {
        assert_eq!(upload(length).await.status, 204, "{length:?}");
    }
    paywall.stop().await;
}

on_each_pair!(
    an_upload_that_does_not_fit_is_refused_before_it_is_sent,
    a_front_is_told_who_pays_and_why_not,
    whoever_is_nobody_is_refused_where_the_policy_says_so,
    a_stranger_may_not_ask,
);
