//! Events and webhooks of the scripted account: signed, retried, and what goes wrong on the way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{DAY, HOUR, Shop};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hmac::{Hmac, KeyInit, Mac};
use paywall_sandbox::Kind;
use paywall_sandbox::scripted::{Clock, Copy, Delivering, Faults, Order, Settings};
use serde_json::Value;
use sha2::Sha256;

/// Takes webhooks as a real receiver should: only what is signed, and not long ago.
#[derive(Clone, Default)]
struct Receiver {
    taken: Arc<Mutex<Vec<Value>>>,
    refused: Arc<Mutex<usize>>,
    secrets: Arc<Mutex<Vec<String>>>,
    status: Arc<Mutex<Option<StatusCode>>>,
    /// The last signature header.
    header: Arc<Mutex<String>>,
}

fn holds(header: &str, body: &[u8], secrets: &[String]) -> bool {
    let part = |name: &str| {
        header
            .split(',')
            .filter_map(|it| it.split_once('='))
            .filter(|it| it.0 == name)
            .map(|it| it.1.to_owned())
            .collect::<Vec<_>>()
    };
    let stamp = part("t").pop().unwrap();
    let age = chrono::Utc::now().timestamp() - stamp.parse::<i64>().unwrap();
    let fits = |secret: &String| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{stamp}.").as_bytes());
        mac.update(body);
        part("v1").contains(&hex::encode(mac.finalize().into_bytes()))
    };
    age <= 300 && secrets.iter().any(fits)
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = headers["Stripe-Signature"].to_str().unwrap().to_owned();
    let signed = holds(&header, &body, &receiver.secrets.lock().unwrap());
    *receiver.header.lock().unwrap() = header;
    if !signed {
        *receiver.refused.lock().unwrap() += 1;
        return StatusCode::BAD_REQUEST;
    }
    if let Some(status) = *receiver.status.lock().unwrap() {
        return status;
    }
    receiver.taken.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    StatusCode::OK
}

impl Receiver {
    async fn start() -> (Self, String) {
        let receiver = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/stripe/webhook", listener.local_addr().unwrap());
        let router = Router::new().route("/stripe/webhook", post(take)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, url)
    }

    fn ids(&self) -> Vec<String> {
        self.taken.lock().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Registers with an account for some events.
    fn register(&self, shop: &Shop, url: &str, events: &[&str]) -> String {
        let endpoint = shop.stripe.add_endpoint(url, events).unwrap();
        self.secrets.lock().unwrap().push(endpoint.secret);
        endpoint.id
    }
}

fn ids(events: &[Value]) -> Vec<String> {
    events.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_event_that_is_wanted_arrives_signed_and_in_order() {
    let (receiver, url) = Receiver::start().await;
    let shop = Shop::open().await;
    receiver.register(&shop, &url, &["invoice.paid", "customer.subscription.updated"]);
    shop.subscribed(&[]);
    shop.stripe.advance(40 * DAY);
    let wanted = |it: &Value| ["invoice.paid", "customer.subscription.updated"].contains(&it["type"].as_str().unwrap());
    let wanted: Vec<Value> = shop.stripe.events().into_iter().filter(wanted).collect();
    assert!(wanted.iter().all(|it| it["pending_webhooks"] == 1));
    let delivered = shop.stripe.deliver(Faults::default()).await;
    assert_eq!((receiver.ids(), delivered.sent.len()), (ids(&wanted), wanted.len()));
    assert!(shop.stripe.events().iter().all(|it| it["pending_webhooks"] == 0));
    let taken = receiver.taken.lock().unwrap().clone();
    assert_eq!(taken[0]["data"], wanted[0]["data"], "as it was when it happened");
    assert!(shop.stripe.deliver(Faults::default()).await.sent.is_empty());
}

#[tokio::test]
async fn what_fails_is_tried_three_times_more_and_then_stays_undelivered() {
    let (receiver, url) = Receiver::start().await;
    let shop = Shop::open().await;
    receiver.register(&shop, &url, &["customer.updated"]);
    *receiver.status.lock().unwrap() = Some(StatusCode::TEMPORARY_REDIRECT);
    let path = format!("/v1/customers/{}", shop.customer);
    shop.stripe.post(&path, &[("name", "A")]).unwrap();
    let mut attempts = 0;
    for _ in 0..12 {
        attempts += shop.stripe.deliver(Faults::default()).await.sent.len();
        shop.stripe.advance(HOUR);
    }
    assert_eq!(attempts, 4, "a redirect is a failure");
    let undelivered = shop.stripe.get("/v1/events?delivery_success=false").unwrap();
    assert_eq!(undelivered["data"][0]["type"], "customer.updated");
    let others = shop.stripe.get("/v1/events?delivery_success=true&limit=100").unwrap();
    assert!(others["data"].as_array().unwrap().iter().all(|it| it["type"] != "customer.updated"));
    // One that recovers in time.
    shop.stripe.post(&path, &[("name", "B")]).unwrap();
    shop.stripe.deliver(Faults::default()).await;
    *receiver.status.lock().unwrap() = None;
    shop.stripe.advance(HOUR);
    shop.stripe.deliver(Faults::default()).await;
    assert_eq!(receiver.ids().len(), 1);
}

#[tokio::test]
async fn endpoints_are_managed_and_a_rolled_secret_overlaps() {
    let (receiver, url) = Receiver::start().await;
    let shop = Shop::open().await;
    let made =
        shop.stripe.post("/v1/webhook_endpoints", &[("url", &url), ("enabled_events[]", "customer.updated")]).unwrap();
    let (id, old) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    receiver.secrets.lock().unwrap().push(old.to_owned());
    let path = format!("/v1/webhook_endpoints/{id}");
    assert!(shop.stripe.get(&path).unwrap().get("secret").is_none(), "the secret is shown once");
    let customer = format!("/v1/customers/{}", shop.customer);
    let rename = |name: &str| shop.stripe.post(&customer, &[("name", name)]).unwrap();
    let new = shop.stripe.roll_secret(id, DAY).unwrap();
    rename("A");
    shop.stripe.deliver(Faults::default()).await;
    assert_eq!(receiver.header.lock().unwrap().matches("v1=").count(), 2);
    assert_eq!(receiver.ids().len(), 1, "the old secret still holds");
    shop.stripe.advance(DAY + HOUR);
    rename("B");
    shop.stripe.deliver(Faults::default()).await;
    assert_eq!((receiver.ids().len(), *receiver.refused.lock().unwrap()), (1, 1));
    receiver.secrets.lock().unwrap().push(new);
    shop.stripe.advance(HOUR);
    shop.stripe.deliver(Faults::default()).await;
    assert_eq!(receiver.ids().len(), 2);
    // One that is off gets nothing, also not later.
    assert_eq!(shop.stripe.post(&path, &[("disabled", "true")]).unwrap()["status"], "disabled");
    rename("C");
    shop.stripe.post(&path, &[("disabled", "false"), ("enabled_events[0]", "invoice.paid")]).unwrap();
    rename("D");
    assert!(shop.stripe.deliver(Faults::default()).await.sent.is_empty());
    let gone = shop.stripe.delete(&path).unwrap();
    assert_eq!(gone["deleted"], true);
    assert_eq!(shop.stripe.get(&path).unwrap_err().status, 404);
    assert_eq!(shop.stripe.get("/v1/webhook_endpoints").unwrap()["data"].as_array().unwrap().len(), 0);
    let bad = shop.stripe.post("/v1/webhook_endpoints", &[("url", "nowhere"), ("enabled_events[]", "*")]).unwrap_err();
    assert_eq!(bad.body["error"]["code"], "url_invalid");
}

#[tokio::test]
async fn faults_spoil_repeat_and_lose_yet_the_true_ones_arrive() {
    let (receiver, url) = Receiver::start().await;
    let shop = Shop::open().await;
    receiver.register(&shop, &url, &["*"]);
    shop.stripe.history(5, 120);
    let faults = Faults {
        seed: 9,
        order: Order::Shuffled,
        delay: 200,
        duplicate: 200,
        drop: 200,
        lose: 100,
        tamper: 200,
        wrong_secret: 200,
        old_timestamp: 200,
        at_once: true,
    };
    let all = shop.stripe.events().into_iter().filter(|it| it["pending_webhooks"] == 1).count();
    let round = shop.stripe.deliver(faults).await;
    let spoiled = [Copy::Tampered, Copy::WrongSecret, Copy::Old].map(|copy| round.of(copy).count());
    assert!(spoiled.iter().all(|it| *it > 0) && round.of(Copy::Duplicate).count() > 0, "{spoiled:?}");
    assert_eq!(*receiver.refused.lock().unwrap(), spoiled.iter().sum::<usize>(), "no spoiled copy is taken");
    assert!(!round.dropped.is_empty() && !round.lost.is_empty() && !round.delayed.is_empty());
    assert_eq!(round.of(Copy::True).count() + round.dropped.len() + round.lost.len() + round.delayed.len(), all);
    let clean = shop.stripe.deliver(Faults::default()).await;
    assert_eq!(clean.sent.len(), round.delayed.len(), "what was held back comes with the next");
    shop.stripe.advance(Duration::from_secs(900));
    shop.stripe.deliver(Faults::default()).await;
    let mut times: HashMap<String, usize> = HashMap::new();
    receiver.ids().into_iter().for_each(|id| *times.entry(id).or_default() += 1);
    assert!(times.values().any(|it| *it == 2));
    assert!(
        round.dropped.iter().all(|id| times.contains_key(id)) && round.lost.iter().all(|id| !times.contains_key(id))
    );
    let pending = |id: &String| {
        shop.stripe.object(Kind::Event, id).is_some()
            && shop.stripe.events().iter().any(|it| it["id"] == id.as_str() && it["pending_webhooks"] == 1)
    };
    assert!(round.lost.iter().all(pending), "what is lost stays undelivered");
}

#[tokio::test]
async fn only_ties_change_places_when_asked_for() {
    let (receiver, url) = Receiver::start().await;
    let shop = Shop::open().await;
    receiver.register(&shop, &url, &["*"]);
    shop.subscribed(&[]);
    shop.stripe.advance(40 * DAY);
    shop.stripe.deliver(Faults { seed: 1, order: Order::TiesShuffled, ..Faults::default() }).await;
    let taken = receiver.taken.lock().unwrap().clone();
    let created: Vec<i64> = taken.iter().map(|it| it["created"].as_i64().unwrap()).collect();
    assert!(created.is_sorted());
    let sent: Vec<String> = ids(&shop.stripe.events()).into_iter().filter(|id| receiver.ids().contains(id)).collect();
    assert_ne!(receiver.ids(), sent);
}

#[tokio::test]
async fn events_are_found_by_type_and_time_for_thirty_days() {
    let shop = Shop::open().await;
    shop.subscribed(&[]);
    let first = shop.stripe.events()[0]["id"].as_str().unwrap().to_owned();
    let start = shop.now();
    shop.stripe.advance(29 * DAY);
    shop.stripe.post(&format!("/v1/customers/{}", shop.customer), &[("name", "A")]).unwrap();
    let list = |query: &str| {
        shop.stripe.get(&format!("/v1/events?limit=100&{query}")).unwrap()["data"].as_array().unwrap().clone()
    };
    let paid = list("types[]=invoice.paid&types[]=checkout.session.completed");
    assert_eq!(
        paid.iter().map(|it| it["type"].as_str().unwrap()).collect::<Vec<_>>(),
        ["checkout.session.completed", "invoice.paid"],
        "newest first"
    );
    assert_eq!(list(&format!("created[gt]={start}")).len(), 1);
    assert!(shop.stripe.get(&format!("/v1/events/{first}")).is_ok());
    shop.stripe.advance(2 * DAY);
    assert_eq!(shop.stripe.get(&format!("/v1/events/{first}")).unwrap_err().status, 404);
    assert!(list("").iter().all(|it| it["created"].as_i64().unwrap() > start));
}

#[tokio::test]
async fn a_running_account_delivers_by_itself() {
    let (receiver, url) = Receiver::start().await;
    let now = paywall_domain::Timestamp(chrono::Utc::now().timestamp_millis());
    let shop =
        Shop::with(Settings { clock: Clock::Running, delivering: Delivering::AtOnce, now, ..Settings::default() })
            .await;
    receiver.register(&shop, &url, &["checkout.session.completed", "customer.subscription.deleted"]);
    let subscription = shop.subscribed(&[]);
    shop.stripe.delete(&format!("/v1/subscriptions/{subscription}")).unwrap();
    for _ in 0..100 {
        if receiver.ids().len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(receiver.ids().len(), 2);
    assert_eq!(shop.stripe.state(Kind::Subscription).len(), 1);
}
