//! A small Stripe on loopback: objects that a test puts there, served as Stripe serves them, and deliveries that are
//! really signed.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;

pub(crate) const SECRET: &str = "whsec_of_this_test";
pub(crate) const KEY: &str = "rk_test_of_this_test";

/// Objects by collection and id.
pub(crate) type Objects = BTreeMap<&'static str, BTreeMap<String, Value>>;

#[derive(Default)]
pub(crate) struct World {
    objects: Objects,
    /// The oldest first.
    pub(crate) events: Vec<Value>,
    /// What was asked, with what was sent.
    pub(crate) asked: Vec<String>,
    /// What everything is answered with, where something is wrong.
    pub(crate) failing: Option<(u16, Value)>,
    /// How a request begins that is refused.
    pub(crate) refusing: Option<&'static str>,
    /// How a request begins whose answer takes long.
    pub(crate) slow: Option<&'static str>,
    /// How requests begin that are answered otherwise, with what.
    pub(crate) answering: Vec<(&'static str, u16, Value)>,
    /// How long answers take.
    pub(crate) delay: Duration,
}

/// Where it answers. The world goes on changing while servers ask.
#[derive(Clone)]
pub(crate) struct Stripe {
    pub(crate) url: String,
    world: Arc<Mutex<World>>,
}

impl Stripe {
    pub(crate) async fn start() -> Self {
        let world = Arc::new(Mutex::new(World::default()));
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&world));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, world }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(crate) fn put(&self, collection: &'static str, object: Value) {
        self.world().put(collection, object);
    }

    pub(crate) fn set(&self, collection: &'static str, id: &str, field: &str, value: Value) {
        self.world().objects.get_mut(collection).unwrap().get_mut(id).unwrap()[field] = value;
    }

    pub(crate) fn remove(&self, collection: &'static str, id: &str) {
        self.world().objects.get_mut(collection).unwrap().remove(id);
    }

    pub(crate) fn get(&self, collection: &'static str, id: &str) -> Value {
        self.world().objects[collection][id].clone()
    }

    /// A request that was sent, by how it begins.
    pub(crate) fn was_asked(&self, beginning: &str) -> bool {
        self.asked(beginning) > 0
    }

    /// How many requests were sent that begin so.
    pub(crate) fn asked(&self, beginning: &str) -> usize {
        self.world().asked.iter().filter(|it| it.starts_with(beginning)).count()
    }

    /// The key lacks a permission for requests that begin so.
    pub(crate) fn forbid(&self, beginning: &'static str, permission: &str) {
        let message = format!(
            "The provided key does not have the required permissions for this endpoint on account 'acct_1'. Having the \
             '{permission}' permission would allow this request to continue."
        );
        let refusal = json!({"error": {"type": "invalid_request_error", "message": message}});
        self.world().answering.push((beginning, 403, refusal));
    }

    /// Puts other objects in the place of all, as in another account. Answers those that were there.
    pub(crate) fn swap(&self, objects: Objects) -> Objects {
        std::mem::replace(&mut self.world().objects, objects)
    }
}

impl World {
    pub(crate) fn put(&mut self, collection: &'static str, object: Value) {
        let id = object["id"].as_str().unwrap().to_owned();
        self.objects.entry(collection).or_default().insert(id, object);
    }

    fn of(&self, collection: &str) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |(name, _)| **name == collection).flat_map(|(_, all)| all.values())
    }

    fn find(&self, collection: &str, id: &str) -> Option<&Value> {
        self.of(collection).find(|it| it["id"] == id)
    }

    /// An object as it is answered: with what is always asked for expanded.
    fn expanded(&self, collection: &str, object: &Value) -> Value {
        let mut object = object.clone();
        if collection == "subscriptions"
            && let Some(invoice) = object["latest_invoice"].as_str().and_then(|id| self.find("invoices", id))
        {
            object["latest_invoice"] = invoice.clone();
        }
        object
    }

    fn list(&self, collection: &str, query: &BTreeMap<String, String>) -> Value {
        let mut all: Vec<Value> = if collection == "events" {
            self.events.iter().rev().cloned().collect()
        } else {
            let mut all: Vec<Value> = self.of(collection).map(|it| self.expanded(collection, it)).collect();
            all.sort_by_key(|it| std::cmp::Reverse((it["created"].as_i64(), it["id"].as_str().map(str::to_owned))));
            all
        };
        for (name, value) in query {
            match name.as_str() {
                "customer" | "charge" => all.retain(|it| it[name.as_str()] == *value),
                "subscription" => {
                    all.retain(|it| it.pointer("/parent/subscription_details/subscription") == Some(&json!(value)));
                }
                "payment[payment_intent]" => {
                    all.retain(|it| it.pointer("/payment/payment_intent") == Some(&json!(value)));
                }
                "status" if value != "all" => all.retain(|it| it["status"] == *value),
                "created[gte]" => all.retain(|it| it["created"].as_i64().unwrap() >= value.parse().unwrap()),
                "delivery_success" => all.retain(|it| it["delivered"].as_bool().unwrap_or(true).to_string() == *value),
                _ => {}
            }
        }
        if let Some(types) = query.get("types[]") {
            let types: Vec<&str> = types.split('\n').collect();
            all.retain(|it| types.contains(&it["type"].as_str().unwrap()));
        }
        if let Some(after) = query.get("starting_after") {
            let place = all.iter().position(|it| it["id"] == *after).unwrap();
            all.drain(..=place);
        }
        let limit = query.get("limit").map_or(10, |it| it.parse().unwrap());
        let more = all.len() > limit;
        all.truncate(limit);
        json!({"object": "list", "data": all, "has_more": more, "url": format!("/v1/{collection}")})
    }
}

fn missing(what: &str) -> Response {
    let error = json!({"error": {"type": "invalid_request_error", "code": "resource_missing", "message": format!("No such {what}")}});
    (StatusCode::NOT_FOUND, error.to_string()).into_response()
}

async fn answer(State(world): State<Arc<Mutex<World>>>, method: Method, uri: Uri, body: Bytes) -> Response {
    let sent = String::from_utf8(body.to_vec()).unwrap();
    let mut query: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        let entry = query.entry(name.into_owned()).or_default();
        if !entry.is_empty() {
            entry.push('\n');
        }
        entry.push_str(&value);
    }
    let (delay, answer) = {
        let mut world = world.lock().unwrap();
        let slow = world.slow.is_some_and(|it| format!("{method} {}", uri.path()).starts_with(it));
        let delay = if slow { Duration::from_secs(2) } else { world.delay };
        (delay, answered(&mut world, &method, &uri, &sent, &query))
    };
    // On its way it gets old.
    tokio::time::sleep(delay).await;
    answer
}

fn answered(world: &mut World, method: &Method, uri: &Uri, sent: &str, query: &BTreeMap<String, String>) -> Response {
    world.asked.push(format!("{method} {} {sent}", uri.path()).trim_end().to_owned());
    if let Some((status, error)) = &world.failing {
        return (StatusCode::from_u16(*status).unwrap(), error.to_string()).into_response();
    }
    if world.refusing.is_some_and(|it| format!("{method} {}", uri.path()).starts_with(it)) {
        let error = json!({"error": {"type": "invalid_request_error", "message": "This cannot be done."}});
        return (StatusCode::BAD_REQUEST, error.to_string()).into_response();
    }
    let asked = format!("{method} {}", uri.path());
    if let Some((_, status, error)) = world.answering.iter().find(|(it, ..)| asked.starts_with(it)) {
        return (StatusCode::from_u16(*status).unwrap(), error.to_string()).into_response();
    }
    let path = uri.path().strip_prefix("/v1/").unwrap_or_default().replace("checkout/sessions", "sessions");
    let parts: Vec<&str> = path.split('/').collect();
    let answer = match (method, parts.as_slice()) {
        (&Method::GET, [collection]) => world.list(collection, query),
        (&Method::GET, [collection, id]) => match world.find(collection, id) {
            Some(found) => world.expanded(collection, found),
            None => return missing(id),
        },
        (&Method::DELETE, ["subscriptions", id]) if world.find("subscriptions", id).is_some() => {
            let object = world.objects.get_mut("subscriptions").unwrap().get_mut(*id).unwrap();
            object["status"] = json!("canceled");
            object["ended_at"] = object["created"].clone();
            object.clone()
        }
        (&Method::POST, [collection @ ("subscriptions" | "webhook_endpoints"), id])
            if world.find(collection, id).is_some() =>
        {
            let name = if *collection == "subscriptions" { "subscriptions" } else { "webhook_endpoints" };
            let object = world.objects.get_mut(name).unwrap().get_mut(*id).unwrap();
            let mut events = Vec::new();
            for (name, value) in form_urlencoded::parse(sent.as_bytes()) {
                match &*name {
                    "trial_end" => object["trial_end"] = json!(value.parse::<i64>().unwrap()),
                    "pause_collection" => object["pause_collection"] = Value::Null,
                    "pause_collection[behavior]" => {
                        object["pause_collection"] = json!({"behavior": value, "resumes_at": null});
                    }
                    "pause_collection[resumes_at]" => {
                        object["pause_collection"]["resumes_at"] = json!(value.parse::<i64>().unwrap());
                    }
                    "metadata[paywall_comp]" if value.is_empty() => {
                        object["metadata"].as_object_mut().unwrap().remove("paywall_comp");
                    }
                    "metadata[paywall_comp]" => object["metadata"]["paywall_comp"] = json!(value),
                    "disabled" => {
                        object["status"] = json!(if value == "true" { "disabled" } else { "enabled" });
                    }
                    "enabled_events[]" => events.push(value.into_owned()),
                    _ => {}
                }
            }
            if !events.is_empty() {
                object["enabled_events"] = json!(events);
            }
            object.clone()
        }
        _ => return missing(uri.path()),
    };
    (StatusCode::OK, answer.to_string()).into_response()
}

/// The header of a delivery of `body`.
pub(crate) fn signature(body: &[u8], secret: &str, seconds: i64) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    format!("t={seconds},v1={}", hex::encode(mac.finalize().into_bytes()))
}

/// A subscription of customer `cus_0000000N` at `pro`'s price.
pub(crate) fn subscription(id: &str, customer: &str, status: &str, created: i64) -> Value {
    json!({
        "id": id, "object": "subscription", "customer": customer, "livemode": false, "status": status,
        "created": created, "start_date": created, "currency": "eur", "cancel_at_period_end": false,
        "metadata": {}, "discounts": [], "latest_invoice": null,
        "items": {"object": "list", "has_more": false, "data": [{
            "id": format!("si_{id}"), "quantity": 1, "current_period_start": created,
            "current_period_end": created + 30 * 86_400,
            "price": {"id": "price_pro", "currency": "eur", "unit_amount": 4900,
                "recurring": {"interval": "month", "interval_count": 1}},
        }]},
    })
}

/// An invoice of a subscription.
pub(crate) fn invoice(id: &str, subscription: &str, status: &str, created: i64) -> Value {
    let paid = if status == "paid" { 4900 } else { 0 };
    json!({
        "id": id, "object": "invoice", "status": status, "created": created, "currency": "eur", "livemode": false,
        "amount_due": 4900, "amount_paid": paid, "amount_remaining": 4900 - paid, "attempt_count": 1,
        "status_transitions": {"finalized_at": created},
        "parent": {"type": "subscription_details", "subscription_details": {"subscription": subscription}},
        "payments": {"object": "list", "has_more": false, "data": [{
            "id": format!("inpay_{id}"), "created": created, "is_default": true, "status": status,
            "payment": {"type": "payment_intent", "payment_intent": {
                "id": format!("pi_{id}"), "created": created, "latest_charge": format!("ch_{id}"),
                "status": if status == "paid" { "succeeded" } else { "requires_payment_method" },
                "last_payment_error": if status == "paid" { json!(null) } else {
                    json!({"code": "card_declined", "decline_code": "insufficient_funds"})
                },
            }},
        }]},
    })
}

/// The charge of an invoice.
pub(crate) fn charge(invoice: &str, customer: &str, created: i64) -> Value {
    json!({
        "id": format!("ch_{invoice}"), "object": "charge", "customer": customer, "created": created, "amount": 4900,
        "amount_refunded": 0, "refunded": false, "disputed": false, "paid": true, "currency": "eur",
        "refunds": {"object": "list", "data": [], "has_more": false},
    })
}

/// That something happened to an object.
pub(crate) fn event(id: &str, kind: &str, object: &Value, created: i64) -> Value {
    json!({
        "id": id, "object": "event", "type": kind, "created": created, "livemode": false,
        "api_version": "2026-10-28.endive", "pending_webhooks": 1, "data": {"object": object},
    })
}
