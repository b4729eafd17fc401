//! Webhooks that somebody else's imitation of Stripe really signs and delivers.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::routing::post;
use paywall_stripe::webhook::{self, SignatureError, TOLERANCE, WebhookSecret};
use paywall_tests::localstripe::LocalStripe;
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const OLD: &str = "whsec_before_the_roll";
const NEW: &str = "whsec_after_the_roll";

/// A delivery as it arrived.
#[derive(Debug)]
struct Delivery {
    endpoint: String,
    signature: String,
    body: Vec<u8>,
}

async fn take(
    State(deliveries): State<UnboundedSender<Delivery>>,
    Path(endpoint): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) {
    let signature = headers[webhook::SIGNATURE_HEADER].to_str().unwrap().to_owned();
    deliveries.send(Delivery { endpoint, signature, body: body.to_vec() }).unwrap();
}

async fn listen() -> (String, UnboundedReceiver<Delivery>) {
    let (sender, deliveries) = unbounded_channel();
    let app = Router::new().route("/{endpoint}", post(take)).with_state(sender);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, deliveries)
}

/// The next delivery of an event of this type, per endpoint.
async fn next(deliveries: &mut UnboundedReceiver<Delivery>, kind: &str, endpoints: usize) -> Vec<Delivery> {
    let begun = Instant::now();
    let mut found: Vec<Delivery> = Vec::new();
    while found.len() < endpoints {
        let left = Duration::from_secs(20).saturating_sub(begun.elapsed());
        let delivery = tokio::time::timeout(left, deliveries.recv()).await.expect("a delivery in time").unwrap();
        if webhook::event(&delivery.body).unwrap().r#type.as_deref() == Some(kind) {
            found.push(delivery);
        }
    }
    found.sort_by(|a, b| a.endpoint.cmp(&b.endpoint));
    found
}

fn secrets(texts: &[&str]) -> Vec<WebhookSecret> {
    texts.iter().map(|it| WebhookSecret::new(it).unwrap()).collect()
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn its_signed_deliveries_are_taken_and_nothing_else_is() {
    let stripe = tokio::task::spawn_blocking(LocalStripe::start).await.unwrap().unwrap();
    let (listener, mut deliveries) = listen().await;
    let http = reqwest::Client::new();
    for (endpoint, secret) in [("new", NEW), ("old", OLD)] {
        let body = json!({"url": format!("{listener}/{endpoint}"), "secret": secret});
        let answer = http.post(format!("{}/_config/webhooks/{endpoint}", stripe.address)).json(&body).send().await;
        assert!(answer.unwrap().status().is_success());
    }
    let form = [("email", "mia@acme.example"), ("name", "Zoë Groß — 漢字"), ("metadata[tenant_id]", "ten_1")];
    let made = http.post(format!("{}/v1/customers", stripe.address)).bearer_auth("sk_test_12345").form(&form).send();
    assert!(made.await.unwrap().status().is_success());

    let found = next(&mut deliveries, "customer.created", 2).await;
    let (new, old) = (&found[0], &found[1]);
    assert_eq!((new.endpoint.as_str(), old.endpoint.as_str()), ("new", "old"));
    assert_eq!(new.body, old.body, "the same event to both endpoints");
    let check = |delivery: &Delivery, known: &[&str]| {
        webhook::verify(&delivery.body, &delivery.signature, &secrets(known), now(), TOLERANCE)
    };

    // Accepted, and what it is about can be read.
    assert_eq!(check(new, &[NEW]), Ok(()));
    assert_eq!(check(old, &[OLD]), Ok(()));
    let event = webhook::event(&new.body).unwrap();
    let object = event.object().unwrap();
    assert!(object.customer_id().unwrap().starts_with("cus_"), "{event:?}");

    // Wrong, blank or no secret.
    assert_eq!(check(new, &[OLD]), Err(SignatureError::NoMatch));
    assert_eq!(check(new, &["whsec_of_somebody_else"]), Err(SignatureError::NoMatch));
    assert_eq!(check(new, &[]), Err(SignatureError::NoMatch));
    assert!(WebhookSecret::new(" ").is_err());

    // A secret is rolled: while both are known here, what either signed is taken ...
    assert_eq!(check(new, &[OLD, NEW]), Ok(()));
    assert_eq!(check(old, &[OLD, NEW]), Ok(()));
    // ... and while both sign, as Stripe does for a day, whichever is known here is enough.
    let (instant, new_v1) = new.signature.split_once(',').unwrap();
    let (old_instant, old_v1) = old.signature.split_once(',').unwrap();
    assert_eq!(instant, old_instant, "one event, one instant");
    for both in [format!("{instant},{new_v1},{old_v1}"), format!("{instant},{old_v1},{new_v1}")] {
        for known in [&[OLD][..], &[NEW], &[NEW, OLD]] {
            let taken = webhook::verify(&new.body, &both, &secrets(known), now(), TOLERANCE);
            assert_eq!(taken, Ok(()), "{both} {known:?}");
        }
        let strange = webhook::verify(&new.body, &both, &secrets(&["whsec_third"]), now(), TOLERANCE);
        assert_eq!(strange, Err(SignatureError::NoMatch));
    }

    // Tampered: each byte counts, and so does the same JSON written otherwise.
    for at in [0, new.body.len() / 2, new.body.len() - 1] {
        let mut body = new.body.clone();
        body[at] ^= 1;
        let refused = webhook::verify(&body, &new.signature, &secrets(&[NEW]), now(), TOLERANCE);
        assert_eq!(refused, Err(SignatureError::NoMatch), "byte {at}");
    }
    let value: serde_json::Value = serde_json::from_slice(&new.body).unwrap();
    let rewritten = serde_json::to_vec(&value).unwrap();
    let refused = webhook::verify(&rewritten, &new.signature, &secrets(&[NEW]), now(), TOLERANCE);
    assert_eq!(refused, Err(SignatureError::NoMatch));

    // Old: the very delivery, six minutes later; and made young again without the secret.
    let later = now() + 360;
    let late = webhook::verify(&new.body, &new.signature, &secrets(&[NEW]), later, TOLERANCE);
    assert!(matches!(late, Err(SignatureError::TooOld { age_seconds: 360.. })), "{late:?}");
    let young = format!("t={later},{new_v1}");
    let refused = webhook::verify(&new.body, &young, &secrets(&[NEW]), later, TOLERANCE);
    assert_eq!(refused, Err(SignatureError::NoMatch));
}
