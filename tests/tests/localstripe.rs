//! The sync against somebody else's imitation of Stripe: what it has arrives whole, what it lacks is
//! said to be missing.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paywall_console::cache::{Cache, CacheKey, StripeStream};
use paywall_console::ipc::{FailureCode, SourceState};
use paywall_console::observer::Unobserved;
use paywall_console::sync::{SyncEngine, SyncOptions};
use paywall_stripe::{Client, Limits, StripeKey};
use paywall_tests::localstripe::LocalStripe;
use serde_json::Value;

const KEY: &str = "sk_test_12345";

async fn post(address: &str, path: &str, form: &[(&str, &str)]) -> Value {
    let answer =
        reqwest::Client::new().post(format!("{address}/v1/{path}")).bearer_auth(KEY).form(form).send().await.unwrap();
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    assert!(status.is_success(), "{path}: {status} {body}");
    body
}

fn id(object: &Value) -> String {
    object["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_has_arrives_whole_and_what_it_lacks_is_missing() {
    let stripe = tokio::task::spawn_blocking(LocalStripe::start).await.unwrap().unwrap();
    let mut customers = BTreeSet::new();
    let mut invoices = BTreeSet::new();
    let mut charges = BTreeSet::new();
    // More customers than a page of Stripe's holds; it gives them oldest first.
    for n in 0..130 {
        let customer = id(&post(&stripe.address, "customers", &[("email", &format!("customer{n}@example.com"))]).await);
        if n % 10 == 0 {
            let form = [("customer", customer.as_str()), ("amount", "1900"), ("currency", "eur")];
            post(&stripe.address, "invoiceitems", &form).await;
            invoices.insert(id(&post(&stripe.address, "invoices", &[("customer", &customer)]).await));
            let card = [
                ("type", "card"),
                ("card[number]", "4242424242424242"),
                ("card[exp_month]", "12"),
                ("card[exp_year]", "2040"),
                ("card[cvc]", "123"),
            ];
            let method = id(&post(&stripe.address, "payment_methods", &card).await);
            post(&stripe.address, &format!("payment_methods/{method}/attach"), &[("customer", &customer)]).await;
            let source = [
                ("source[object]", "card"),
                ("source[number]", "4242424242424242"),
                ("source[exp_month]", "12"),
                ("source[exp_year]", "2040"),
                ("source[cvc]", "123"),
            ];
            let token = post(&stripe.address, &format!("customers/{customer}/sources"), &source).await;
            let source = id(&token);
            let form = [("customer", customer.as_str()), ("amount", "1900"), ("currency", "eur"), ("source", &source)];
            charges.insert(id(&post(&stripe.address, "charges", &form).await));
        }
        customers.insert(customer);
    }

    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(&folder.path().join("copy.db"), &CacheKey::generate().unwrap()).await.unwrap();
    let client = Client::new(&stripe.address, StripeKey::new(KEY), Limits::NONE).unwrap();
    let options = SyncOptions { interval: Duration::from_mins(30), ..SyncOptions::default() };
    let engine = SyncEngine::start(cache.clone(), None, Some(client), Arc::new(Unobserved), options).await.unwrap();
    let begun = Instant::now();
    let seen = loop {
        let seen = engine.freshness().sources[1].clone();
        if seen.next_try_at.is_some() {
            break seen;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{seen:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };

    for (stream, expected) in
        [(StripeStream::Customers, &customers), (StripeStream::Invoices, &invoices), (StripeStream::Charges, &charges)]
    {
        let ids: Vec<String> = expected.iter().cloned().collect();
        let here = cache.stripe_raw(stream, &ids).await.unwrap();
        assert_eq!(here.iter().map(id).collect::<BTreeSet<_>>(), *expected, "{}: {seen:#?}", stream.as_str());
    }
    let missing: BTreeSet<&str> = seen.missing.iter().map(|it| it.stream.as_str()).collect();
    assert!(missing.contains("prices") && missing.contains("disputes"), "{missing:?}");
    for it in &seen.missing {
        assert_eq!(it.failure.code, FailureCode::StripeMissing { stream: it.stream.clone() });
    }
    assert_eq!(seen.state, SourceState::Current, "{seen:#?}");
    engine.stop().await;
}
