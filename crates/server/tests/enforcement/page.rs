//! The page at `/paywall/`, and what it tells a program.

use paywall_domain::Meter;
use reqwest::Method;
use serde_json::json;

use crate::on_each_pair;
use crate::ragflow::{cookie, key, session};
use crate::world::{World, end_trial, eventually, limit};

async fn a_customer_sees_how_it_stands_and_a_stranger_how_to_sign_in(world: World) {
    world.users(1);
    let paywall = world.serve_with(|config| {
        limit(config, Meter::Messages, 20);
        config.support_contact = Some("mailto:help@example.com".to_owned());
    });
    let paywall = paywall.await;
    assert!(paywall.ask(&session(1), "d1").await.passed());
    eventually(async || paywall.used(1, Meter::Messages).await == 1).await;
    let get = |path: &str| paywall.bare(Method::GET, path);
    for request in [
        paywall.with(Method::GET, "/paywall/", &session(1)),
        paywall.with(Method::GET, "/paywall/", &key(1)),
        get("/paywall/").header("authorization", session(1)),
    ] {
        let page = paywall.send(request).await;
        assert_eq!(page.status, 200);
        assert!(
            page.body.contains("User 1") && page.body.contains("20") && page.body.contains("mailto:help"),
            "{}",
            page.body
        );
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(
            (page.header("cache-control"), page.header("x-content-type-options")),
            (Some("no-store"), Some("nosniff"))
        );
    }
    // Nobody: to sign in, and nothing of anybody.
    // Also where nothing but a cookie says who: anybody can write a user's id into one.
    for request in [
        get("/paywall/"),
        paywall.with(Method::GET, "/paywall/", "ragflow-nobodys"),
        get("/paywall/").headers(cookie(1)),
    ] {
        let page = paywall.send(request).await;
        assert!(page.status == 200 && page.body.contains("Sign in") && !page.body.contains("User 1"), "{}", page.body);
        assert!(page.header("content-security-policy").is_some());
        assert!(page.body.contains("/paywall/page.js") && page.body.contains("/paywall/page.css"));
    }
    for (path, kind) in
        [("/paywall/page.js", "text/javascript; charset=utf-8"), ("/paywall/page.css", "text/css; charset=utf-8")]
    {
        let asset = paywall.send(get(path)).await;
        assert_eq!((asset.status, asset.header("content-type")), (200, Some(kind)));
    }
    assert_eq!(paywall.upstream.count(), 1, "the page is the paywall's own");

    let status = paywall.send(paywall.with(Method::GET, "/paywall/status", &key(1))).await;
    let body = status.json();
    assert_eq!((status.status, &body["status"], &body["level"]), (200, &json!("trial"), &json!("full")), "{body}");
    let messages = body["meters"].as_array().unwrap().iter().find(|it| it["meter"] == "messages").unwrap().clone();
    assert_eq!((&messages["used"], &messages["limit"]), (&json!(1), &json!(20)), "{body}");
    assert_eq!(body["url"], "/paywall/");
    for request in [get("/paywall/status"), get("/paywall/status").headers(cookie(1))] {
        let status = paywall.send(request).await;
        assert_eq!((status.status, status.json()), (401, json!({"code": "unknown_tenant"})));
    }

    // As it goes.
    paywall.adjust(1, end_trial()).await;
    let shut = async || {
        let status = paywall.send(paywall.with(Method::GET, "/paywall/status", &session(1))).await.json();
        status["deny_codes"] == json!(["trial_ended"]) && status["status"] == "expired" && status["level"] == "locked"
    };
    eventually(shut).await;
    paywall.stop().await;
}

async fn it_speaks_the_callers_language(world: World) {
    world.users(1);
    let paywall = world.serve().await;
    paywall.adjust(1, end_trial()).await;
    let page = |path: &'static str, accept: &'static str| {
        paywall.send(paywall.with(Method::GET, path, &session(1)).header("accept-language", accept))
    };
    let spanish = "La prueba gratuita terminó";
    eventually(async || page("/paywall/", "es-AR,es;q=0.9,en;q=0.5").await.body.contains(spanish)).await;
    assert!(page("/paywall/?lang=es", "en").await.body.contains("lang=\"es\""));
    assert!(page("/paywall/?lang=es", "en").await.body.contains(spanish));
    assert!(page("/paywall/?lang=en", "es").await.body.contains("The free trial ended"));
    assert!(page("/paywall/", "zh-CN").await.body.contains("免费试用"));
    assert!(page("/paywall/", "fr").await.body.contains("The free trial ended"));
    assert!(page("/paywall/status", "es").await.json()["message"].as_str().unwrap().contains(spanish));
    let nobody = paywall.send(paywall.bare(Method::GET, "/paywall/?lang=es")).await;
    assert!(nobody.status == 200 && nobody.body.contains("lang=\"es\""), "{}", nobody.body);
    paywall.stop().await;
}

on_each_pair!(a_customer_sees_how_it_stands_and_a_stranger_how_to_sign_in, it_speaks_the_callers_language);
