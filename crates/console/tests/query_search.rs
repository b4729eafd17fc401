//! One search for whatever was typed or pasted.
#![allow(clippy::unwrap_used)]

mod cache_fixtures;

use cache_fixtures::{NOW, ago, done, facts, filled, home, id, refused, tenant};
use paywall_console::cache::{Cache, StripeRow};
use paywall_contract::{Member, MemberRole, Tenant};
use paywall_stripe::Stream;
use serde_json::json;

fn named(n: u32, name: &str, email: &str) -> Tenant {
    let mut it = tenant(n, name, facts(None), None);
    it.email = email.into();
    it.domain = email.split_once('@').unwrap().1.to_lowercase();
    it
}

async fn world(home: &cache_fixtures::Home) -> Cache {
    let mut acme = named(1, "Acme GmbH", "jane@acme.de");
    acme.stripe_customer = Some("cus_QxAcme1".into());
    acme.members.push(Member {
        user_id: "u2".into(),
        name: "Tom".into(),
        email: "Tom.Miller@elsewhere.example".into(),
        role: MemberRole::Normal,
    });
    let mut labs = named(2, "Acme Labs", "tom@labs.example");
    labs.last_refusal = Some(refused(ago(1)));
    let odd = named(3, "100% \"Sure\"_Thing", "o'neil@odd.example");
    let uml = named(4, "Ärzte Überall", "info@aerzte.example");
    let cjk = named(5, "株式会社テスト", "a@kk.example");
    let cache = filled(home, &[acme, labs, odd, uml, cjk]).await;
    let sub = json!({"id": "sub_9Abc", "customer": "cus_QxAcme1", "status": "active", "currency": "eur",
        "created": 1_700_000_000, "items": {"data": [], "has_more": false}});
    let invoice = json!({"id": "in_77Xyz", "customer": "cus_QxAcme1", "status": "paid", "currency": "eur",
        "number": "ACME-0042", "total": 100, "amount_paid": 100, "created": 1_700_000_000});
    for (stream, raw) in [(Stream::Subscriptions, sub), (Stream::Invoices, invoice)] {
        let row = StripeRow { id: raw["id"].as_str().unwrap().into(), created: 1_700_000_000, raw };
        cache.apply_stripe_page(stream, &[row], &done(NOW)).await.unwrap();
    }
    cache
}

async fn first(cache: &Cache, text: &str) -> (String, String, Option<String>) {
    let result = cache.search(text, NOW).await.unwrap();
    let hit = result.hits.first().unwrap_or_else(|| panic!("nothing for {text:?}")).clone();
    (hit.row.name, hit.matched, hit.value)
}

#[tokio::test]
async fn whatever_names_a_tenant_finds_it() {
    let home = home();
    let cache = world(&home).await;
    let long = id(1).to_string();
    for (text, matched) in [
        ("jane@acme.de", "email"),
        ("  JANE@Acme.DE ", "email"),
        ("mailto:jane@acme.de", "email"),
        ("MAILTO:jane%40acme.de?subject=Hi", "email"),
        ("Jane Doe <jane@acme.de>", "email"),
        ("<jane@acme.de>", "email"),
        ("\"jane@acme.de\",", "email"),
        ("acme.de", "domain"),
        ("@acme.de", "domain"),
        ("acme gm", "name"),
        ("tom.miller@elsewhere.example", "member"),
        ("miller@else", "member"),
        ("cus_QxAcme1", "stripe_customer"),
        ("cus_QxA", "stripe_customer"),
        ("https://dashboard.stripe.com/customers/cus_QxAcme1", "stripe_customer"),
        ("https://dashboard.stripe.com/test/customers/cus_QxAcme1?tab=x", "stripe_customer"),
        ("https://dashboard.stripe.com/subscriptions/sub_9Abc/", "subscription"),
        ("sub_9Abc", "subscription"),
        ("in_77Xyz", "invoice"),
        ("acme-0042", "invoice"),
        ("ACME-00", "invoice"),
        (&long, "id"),
        ("00000000-0000-0000-0000-000000000001", "id"),
    ] {
        let (name, how, _) = first(&cache, text).await;
        assert_eq!((name.as_str(), how.as_str()), ("Acme GmbH", matched), "{text:?}");
    }
    assert_eq!(first(&cache, "miller@else").await.2.as_deref(), Some("tom.miller@elsewhere.example"));
    assert_eq!(cache.search("mailto:Jane@acme.de", NOW).await.unwrap().normalised, "Jane@acme.de");
    cache.close().await;
}

#[tokio::test]
async fn signs_are_harmless_and_every_script_is_found() {
    let home = home();
    let cache = world(&home).await;
    for text in ["100%", "\"Sure", "_thing", "o'neil", "% \"sure"] {
        assert_eq!(first(&cache, text).await.0, "100% \"Sure\"_Thing", "{text:?}");
    }
    for text in ["ärz", "ÄRZTE", "ÜBERALL", "är"] {
        assert_eq!(first(&cache, text).await.0, "Ärzte Überall", "{text:?}");
    }
    assert_eq!(first(&cache, "株式").await.0, "株式会社テスト");
    assert_eq!(first(&cache, "会社テ").await.0, "株式会社テスト");
    for text in ["", "   ", "%%%", "* OR *", "NEAR(", "\"\"\"", "zzz", "<>", "mailto:"] {
        assert!(cache.search(text, NOW).await.unwrap().hits.is_empty(), "{text:?}");
    }
    cache.close().await;
}

#[tokio::test]
async fn blocked_tenants_come_first_among_equals_and_none_twice() {
    let home = home();
    let cache = world(&home).await;
    let result = cache.search("acme", NOW).await.unwrap();
    let names: Vec<&str> = result.hits.iter().map(|it| it.row.name.as_str()).collect();
    assert_eq!(names, ["Acme Labs", "Acme GmbH"]);
    assert_eq!(result.as_of, Some(NOW));
    cache.close().await;
}

#[tokio::test]
async fn a_changed_name_is_found_and_the_old_one_is_not() {
    let home = home();
    let cache = world(&home).await;
    let mut renamed = named(1, "Initech", "jane@initech.example");
    renamed.version = 2;
    assert!(cache.apply_tenant(&renamed).await.unwrap());
    assert_eq!(first(&cache, "initech").await.0, "Initech");
    assert!(cache.search("jane@acme.de", NOW).await.unwrap().hits.is_empty());
    assert!(cache.search("cus_QxAcme1", NOW).await.unwrap().hits.is_empty());
    cache.close().await;
}
