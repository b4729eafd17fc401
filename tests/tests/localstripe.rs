//! The sync against somebody else's imitation of Stripe: what it has arrives whole, what it lacks is
//! said to be missing.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paywall_console::cache::{Cache, CacheKey};
use paywall_console::ipc::{FailureCode, SourceState};
use paywall_console::observer::Unobserved;
use paywall_console::sync::{SyncEngine, SyncOptions};
use paywall_stripe::{Client, Limits, Stream, StripeKey};
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

/// The ids of everything in one of its lists, asked for in one page.
async fn listed(address: &str, path: &str) -> BTreeSet<String> {
    let request = reqwest::Client::new().get(format!("{address}/v1/{path}?limit=1000")).bearer_auth(KEY);
    let list: Value = request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap();
    list["data"].as_array().unwrap().iter().map(id).collect()
}

fn id(object: &Value) -> String {
    object["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_has_arrives_whole_and_what_it_lacks_is_missing() {
    let stripe = tokio::task::spawn_blocking(LocalStripe::start).await.unwrap().unwrap();
    let plan =
        [("id", "pro"), ("amount", "1900"), ("currency", "eur"), ("interval", "month"), ("product[name]", "Pro")];
    post(&stripe.address, "plans", &plan).await;
    let mut customers = BTreeSet::new();
    // More customers than a page of Stripe's holds; it gives them oldest first.
    for n in 0..130 {
        let customer = id(&post(&stripe.address, "customers", &[("email", &format!("customer{n}@example.com"))]).await);
        if n % 10 == 0 {
            let source = [
                ("source[object]", "card"),
                ("source[number]", "4242424242424242"),
                ("source[exp_month]", "12"),
                ("source[exp_year]", "2040"),
                ("source[cvc]", "123"),
            ];
            post(&stripe.address, &format!("customers/{customer}/sources"), &source).await;
            // It makes an invoice of the subscription, and a charge of the invoice.
            let form = [("customer", customer.as_str()), ("items[0][plan]", "pro")];
            post(&stripe.address, "subscriptions", &form).await;
        }
        customers.insert(customer);
    }
    let invoices = listed(&stripe.address, "invoices").await;
    let charges = listed(&stripe.address, "charges").await;
    assert_eq!((invoices.len(), charges.len()), (13, 13));

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
        [(Stream::Customers, &customers), (Stream::Invoices, &invoices), (Stream::Charges, &charges)]
    {
        let ids: Vec<String> = expected.iter().cloned().collect();
        let here = cache.stripe_raw(stream, &ids).await.unwrap();
        assert_eq!(here.iter().map(id).collect::<BTreeSet<_>>(), *expected, "{}: {seen:#?}", stream.name());
    }
    let missing: BTreeSet<&str> = seen.missing.iter().map(|it| it.stream.as_str()).collect();
    for list in ["prices", "disputes", "invoice_payments", "credit_notes"] {
        assert!(missing.contains(list), "{list} is not offered there: {missing:?}");
    }
    for it in &seen.missing {
        assert_eq!(it.failure.code, FailureCode::StripeMissing { stream: it.stream.clone() });
    }
    assert_eq!(seen.state, SourceState::Current, "{seen:#?}");
    engine.stop().await;
    cache.close().await;
}
