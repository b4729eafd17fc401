//! Stripe's read API: its list rules, its errors, its shapes, and how a mirror stays current.
#![allow(clippy::unwrap_used)]

mod shapes;

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt;
use paywall_domain::Timestamp;
use paywall_sandbox::{Kind, Rules, StripeHistory, World, WorldSpec, stripe_api};
use proptest::prelude::*;
use serde_json::Value;
use tower::ServiceExt;

const AS_OF: Timestamp = Timestamp(1_763_942_400_000);

static WORLD: LazyLock<World> = LazyLock::new(|| World::generate(WorldSpec { seed: 7, tenants: 120, as_of: AS_OF }));
static SHARED: LazyLock<Arc<StripeHistory>> = LazyLock::new(|| WORLD.stripe());

struct Client {
    router: Router,
    key: String,
    history: Arc<StripeHistory>,
}

impl Client {
    /// On an account that no test changes.
    fn shared() -> Self {
        Self::of(SHARED.clone(), Rules::default())
    }

    /// On an account of its own.
    fn fresh() -> Self {
        Self::of(WORLD.stripe(), Rules::default())
    }

    fn of(history: Arc<StripeHistory>, rules: Rules) -> Self {
        Self { router: stripe_api::router(history.clone(), rules), key: WORLD.keys().restricted, history }
    }

    async fn get(&self, path: &str) -> (StatusCode, Value, HeaderMap) {
        let request = Request::get(path).header("Authorization", format!("Bearer {}", self.key));
        send(&self.router, request.body(Body::empty()).unwrap()).await
    }

    async fn ok(&self, path: &str) -> Value {
        let (status, body, _) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    async fn ids(&self, path: &str) -> Vec<String> {
        ids(&self.ok(path).await)
    }

    /// Every object of a list, page by page.
    async fn all(&self, path: &str) -> Vec<Value> {
        let mut objects: Vec<Value> = Vec::new();
        loop {
            let join = if path.contains('?') { '&' } else { '?' };
            let cursor =
                objects.last().map_or(String::new(), |it| format!("&starting_after={}", it["id"].as_str().unwrap()));
            let page = self.ok(&format!("{path}{join}limit=100{cursor}")).await;
            objects.extend(page["data"].as_array().unwrap().iter().cloned());
            if page["has_more"] == false {
                return objects;
            }
        }
    }
}

fn ids(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

async fn send(router: &Router, request: Request<Body>) -> (StatusCode, Value, HeaderMap) {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, serde_json::from_slice(&body).unwrap_or(Value::Null), parts.headers)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

const LISTS: [&str; 11] = [
    "customers",
    "products",
    "prices",
    "subscriptions",
    "invoices",
    "charges",
    "refunds",
    "disputes",
    "events",
    "invoice_payments",
    "credit_notes",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn pages_of_any_size_make_the_whole(list in 0_usize..11, limit in 1_usize..=100, backwards: bool) {
        let path = format!("/v1/{}", LISTS[list]);
        run(async {
            let client = Client::shared();
            let whole: Vec<String> = client.all(&path).await.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
            // A long list in tiny pages says no more than its first three hundred.
            let whole = if limit < 7 { whole[..whole.len().min(300)].to_vec() } else { whole };
            let mut seen: Vec<String> = Vec::new();
            if backwards {
                let mut cursor = whole.last().unwrap().clone();
                seen.push(cursor.clone());
                loop {
                    let page = client.ok(&format!("{path}?limit={limit}&ending_before={cursor}")).await;
                    let ids = ids(&page);
                    seen.splice(0..0, ids.iter().cloned());
                    match ids.first() {
                        Some(first) if page["has_more"] == true => cursor.clone_from(first),
                        _ => break,
                    }
                }
            } else {
                let mut cursor = String::new();
                while seen.len() < whole.len() {
                    let page = client.ok(&format!("{path}?limit={limit}{cursor}")).await;
                    let ids = ids(&page);
                    assert!(!ids.is_empty() && ids.len() <= limit);
                    cursor = format!("&starting_after={}", ids.last().unwrap());
                    seen.extend(ids);
                }
                seen.truncate(whole.len());
            }
            assert_eq!(seen, whole);
        });
    }
}

#[tokio::test]
async fn lists_come_newest_first_ten_at_a_time() {
    let client = Client::shared();
    for list in LISTS {
        let page = client.ok(&format!("/v1/{list}")).await;
        assert_eq!((page["object"].as_str(), page["url"].as_str()), (Some("list"), Some(&*format!("/v1/{list}"))));
        assert!(page["data"].as_array().unwrap().len() <= 10);
        let all = client.all(&format!("/v1/{list}")).await;
        assert_eq!(page["has_more"], all.len() > 10);
        assert!(all.is_sorted_by_key(|it| -it["created"].as_i64().unwrap()), "{list}");
        let unique: BTreeSet<&str> = all.iter().map(|it| it["id"].as_str().unwrap()).collect();
        assert_eq!(unique.len(), all.len());
        let first = all.first().unwrap();
        assert_eq!(client.ok(&format!("/v1/{list}/{}", first["id"].as_str().unwrap())).await, *first);
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_400() {
    let client = Client::shared();
    let cases = [
        ("/v1/customers?limit=0", "limit"),
        ("/v1/customers?limit=101", "limit"),
        ("/v1/customers?limit=ten", "limit"),
        ("/v1/customers?starting_after=cus_nobody", "starting_after"),
        ("/v1/customers?ending_before=cus_nobody", "ending_before"),
        ("/v1/subscriptions?status=gone", "status"),
        ("/v1/subscriptions?customer=cus_nobody", "customer"),
        ("/v1/customers?created[after]=5", "created[after]"),
        ("/v1/customers?shoe_size=44", "shoe_size"),
        ("/v1/subscription_items", "subscription"),
        ("/v1/charges?expand[]=customer", "expand"),
        ("/v1/charges?expand[]=data.shoe_size", "expand"),
    ];
    for (path, param) in cases {
        let (status, body, _) = client.get(path).await;
        assert_eq!((status, body["error"]["param"].as_str()), (StatusCode::BAD_REQUEST, Some(param)), "{path}: {body}");
        assert_eq!(body["error"]["type"], "invalid_request_error");
    }
    // An object of another kind is no cursor.
    let charge = client.ids("/v1/charges?limit=1").await.remove(0);
    assert_eq!(client.get(&format!("/v1/invoices?starting_after={charge}")).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn keys_open_what_they_may() {
    let client = Client::shared();
    let keys = WORLD.keys();
    let with = async |value: Option<String>, path: &str| {
        let mut request = Request::get(path);
        if let Some(value) = value {
            request = request.header("Authorization", value);
        }
        send(&client.router, request.body(Body::empty()).unwrap()).await
    };
    let (status, body, _) = with(None, "/v1/customers").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(body["error"]["message"].as_str().unwrap().starts_with("You did not provide an API key."));
    for key in ["rk_test_wrong", &keys.live] {
        let (status, body, _) = with(Some(format!("Bearer {key}")), "/v1/customers").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("Invalid API Key provided: rk_") && !message.contains(key), "{message}");
    }
    let basic = |pair: &str| Some(format!("Basic {}", STANDARD.encode(pair)));
    for pair in [format!("{}:", keys.restricted), format!("{}:any", keys.restricted)] {
        assert_eq!(with(basic(&pair), "/v1/customers").await.0, StatusCode::OK);
    }
    let (_, body, _) = with(basic("rk_test_wrong:"), "/v1/customers").await;
    assert!(body["error"]["message"].as_str().unwrap().starts_with("Invalid API Key provided: rk_test_"));
    for value in [basic(":"), basic(&keys.restricted), Some("Basic %".to_owned())] {
        let (status, body, _) = with(value, "/v1/customers").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(body["error"]["message"].as_str().unwrap().starts_with("You did not provide an API key."));
    }
    for (list, permission) in
        [("charges", Some("rak_charge_read")), ("disputes", Some("rak_dispute_read")), ("customers", None)]
    {
        let (status, body, _) = with(Some(format!("Bearer {}", keys.lacking)), &format!("/v1/{list}")).await;
        match permission {
            Some(name) => {
                assert_eq!(
                    (status, body["error"]["type"].as_str()),
                    (StatusCode::FORBIDDEN, Some("invalid_request_error"))
                );
                let message = body["error"]["message"].as_str().unwrap();
                assert!(
                    message.contains(&format!("Having the '{name}' permission")) && message.contains("acct_"),
                    "{message}"
                );
            }
            None => assert_eq!(status, StatusCode::OK),
        }
    }
    assert_eq!(with(Some(format!("Bearer {}", keys.secret)), "/v1/charges").await.0, StatusCode::OK);
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let client = Client::shared();
    for path in ["/v1/customers/cus_nobody", "/v1/subscriptions/sub_none", "/v1/invoices/in_none/lines", "/v1/events/x"]
    {
        let (status, body, _) = client.get(path).await;
        assert_eq!(
            (status, body["error"]["code"].as_str()),
            (StatusCode::NOT_FOUND, Some("resource_missing")),
            "{path}"
        );
        assert!(body["error"]["message"].as_str().unwrap().starts_with("No such "));
    }
    assert_eq!(client.get("/v1/coupons").await.0, StatusCode::NOT_FOUND);
    let post = Request::post("/v1/customers").header("Authorization", format!("Bearer {}", client.key));
    assert_eq!(send(&client.router, post.body(Body::empty()).unwrap()).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn limits_hold_per_endpoint_when_asked_for() {
    let limited = Client::of(SHARED.clone(), Rules { limits: true, latency: Duration::ZERO });
    let mut refused = 0;
    for _ in 0..40 {
        let (status, body, headers) = limited.get("/v1/products?limit=1").await;
        if status == StatusCode::TOO_MANY_REQUESTS {
            refused += 1;
            assert_eq!(
                (body["error"]["code"].as_str(), headers["Stripe-Should-Retry"].to_str().ok()),
                (Some("rate_limit"), Some("true"))
            );
        }
    }
    assert!((1..=15).contains(&refused), "{refused} of 40 refused");
    assert_eq!(limited.get("/v1/prices?limit=1").await.0, StatusCode::OK, "another endpoint has room");
    let free = Client::shared();
    for _ in 0..40 {
        free.ok("/v1/products?limit=1").await;
    }
}

#[tokio::test]
async fn requests_are_named_and_latency_is_added() {
    let client = Client::of(SHARED.clone(), Rules { limits: false, latency: Duration::from_millis(30) });
    let began = Instant::now();
    let request = Request::get("/v1/products").header("Authorization", format!("Bearer {}", client.key));
    let request = request.header("Stripe-Version", "2025-03-31.basil").body(Body::empty()).unwrap();
    let (_, _, headers) = send(&client.router, request).await;
    assert!(began.elapsed() >= Duration::from_millis(30));
    assert!(headers["Request-Id"].to_str().unwrap().starts_with("req_"));
    assert_eq!(headers["Stripe-Version"], "2025-03-31.basil");
}

#[tokio::test]
async fn canceled_subscriptions_are_listed_only_when_asked_for() {
    let client = Client::shared();
    let statuses = |all: &[Value]| -> BTreeSet<String> {
        all.iter().map(|it| it["status"].as_str().unwrap().to_owned()).collect()
    };
    let usual = client.all("/v1/subscriptions").await;
    let all = client.all("/v1/subscriptions?status=all").await;
    assert!(!statuses(&usual).contains("canceled"));
    assert_eq!(statuses(&all).len(), 8, "{:?}", statuses(&all));
    let canceled = client.all("/v1/subscriptions?status=canceled").await;
    assert_eq!(usual.len() + canceled.len(), all.len());
    assert!(canceled.iter().all(|it| it["status"] == "canceled"));
}

#[tokio::test]
async fn lists_narrow_by_customer_and_time() {
    let client = Client::shared();
    let customer = WORLD.cast().yearly.stripe_customer.unwrap();
    for list in ["subscriptions", "invoices", "charges"] {
        let own = client.all(&format!("/v1/{list}?customer={customer}")).await;
        let whole = client.all(&format!("/v1/{list}")).await;
        let wanted: Vec<Value> = whole.into_iter().filter(|it| it["customer"] == customer.as_str()).collect();
        assert!(!own.is_empty());
        assert_eq!(own, wanted, "{list}");
    }
    let all = client.all("/v1/charges").await;
    let created = |at: usize| all[at]["created"].as_i64().unwrap();
    let (new, old) = (created(20), created(60));
    for (query, fits) in [
        (
            format!("created[gte]={old}&created[lte]={new}"),
            Box::new(|it: i64| it >= old && it <= new) as Box<dyn Fn(i64) -> bool>,
        ),
        (format!("created%5Bgt%5D={old}&created[lt]={new}"), Box::new(|it: i64| it > old && it < new)),
        (format!("created={old}"), Box::new(|it: i64| it == old)),
    ] {
        let found = client.all(&format!("/v1/charges?{query}")).await;
        let wanted: Vec<&Value> = all.iter().filter(|it| fits(it["created"].as_i64().unwrap())).collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{query}");
    }
}

#[tokio::test]
async fn a_deleted_customer_is_retrieved_but_not_listed() {
    let client = Client::shared();
    let id = WORLD.cast().deleted_customer.stripe_customer.unwrap();
    let found = client.ok(&format!("/v1/customers/{id}")).await;
    assert_eq!(found, serde_json::json!({"id": id, "object": "customer", "deleted": true}));
    assert!(client.all("/v1/customers").await.iter().all(|it| it["id"] != id.as_str()));
    let deletions = client.all("/v1/events?type=customer.deleted").await;
    assert!(deletions.iter().any(|it| it["data"]["object"]["id"] == id.as_str()));
}

#[tokio::test]
async fn long_lists_within_objects_go_on_elsewhere() {
    let client = Client::shared();
    let id = WORLD.cast().many_items.subscription.unwrap();
    let sub = client.ok(&format!("/v1/subscriptions/{id}")).await;
    assert_eq!((sub["items"]["data"].as_array().unwrap().len(), &sub["items"]["has_more"]), (10, &Value::Bool(true)));
    let items = client.all(&format!("/v1/subscription_items?subscription={id}")).await;
    assert_eq!(items.len(), 12);
    let invoice = sub["latest_invoice"].as_str().unwrap();
    let first = client.ok(&format!("/v1/invoices/{invoice}/lines?limit=7")).await;
    let last = ids(&first).pop().unwrap();
    let rest = client.ok(&format!("/v1/invoices/{invoice}/lines?limit=7&starting_after={last}")).await;
    assert_eq!(
        (ids(&first).len(), &first["has_more"], ids(&rest).len(), &rest["has_more"]),
        (7, &Value::Bool(true), 5, &Value::Bool(false))
    );
}

#[tokio::test]
async fn ids_expand_to_objects() {
    let client = Client::shared();
    let id = WORLD.cast().discounted.subscription.unwrap();
    let path = format!(
        "/v1/subscriptions/{id}?expand[]=customer&expand[]=latest_invoice&expand[]=discounts.source.coupon&expand[]=items.data.price.product"
    );
    let sub = client.ok(&path).await;
    assert_eq!(
        (sub["customer"]["object"].as_str(), sub["latest_invoice"]["object"].as_str()),
        (Some("customer"), Some("invoice"))
    );
    assert_eq!(sub["discounts"][0]["source"]["coupon"]["percent_off"], 20);
    assert_eq!(sub["items"]["data"][0]["price"]["product"]["name"], "Pro");
    let list = client.ok("/v1/charges?limit=3&expand[]=data.customer").await;
    assert!(list["data"].as_array().unwrap().iter().all(|it| it["customer"]["object"] == "customer"));
}

#[tokio::test]
async fn a_mirror_stays_current_by_events() {
    let client = Client::fresh();
    let cast = WORLD.cast();
    let newest = client.ids("/v1/events?limit=1").await.remove(0);
    let before = client.history.count(Kind::Event);

    // All within one second.
    client.history.advance(60);
    let invoice = client.history.add_invoice_paid(cast.jpy.stripe_customer.as_ref().unwrap()).unwrap();
    client.history.cancel_subscription(cast.eur.subscription.as_ref().unwrap()).unwrap();
    let deleted = cast.yearly.stripe_customer.clone().unwrap();
    client.history.delete_customer(&deleted).unwrap();
    let charge =
        client.ids(&format!("/v1/charges?customer={}", cast.kwd.stripe_customer.as_ref().unwrap())).await.remove(0);
    let refund = client.history.refund(&charge).unwrap();

    let page = client.ok(&format!("/v1/events?limit=100&ending_before={newest}")).await;
    let kinds: Vec<&str> =
        page["data"].as_array().unwrap().iter().rev().map(|it| it["type"].as_str().unwrap()).collect();
    let wanted = [
        "invoice.created",
        "invoice.finalized",
        "charge.succeeded",
        "invoice.paid",
        "invoice_payment.paid",
        "customer.subscription.updated",
        "customer.subscription.deleted",
        "customer.subscription.deleted",
        "customer.deleted",
        "refund.created",
        "charge.refunded",
        "credit_note.created",
    ];
    assert_eq!(kinds, wanted, "every event since, none twice, in the order of what happened");
    assert!(page["data"].as_array().unwrap().iter().all(|it| it["created"] == AS_OF.0 / 1000 + 60));
    assert_eq!(client.history.count(Kind::Event), before + wanted.len());

    assert_eq!(client.ids("/v1/invoices?limit=1").await, std::slice::from_ref(&invoice));
    assert_eq!(client.ok(&format!("/v1/invoices/{invoice}")).await["status"], "paid");
    assert_eq!(client.ok(&format!("/v1/subscriptions/{}", cast.eur.subscription.unwrap())).await["status"], "canceled");
    assert_eq!(client.ok(&format!("/v1/customers/{deleted}")).await["deleted"], true);
    assert!(client.all("/v1/customers").await.iter().all(|it| it["id"] != deleted.as_str()));
    assert_eq!(client.ids("/v1/refunds?limit=1").await, [refund]);
    assert_eq!(client.ok(&format!("/v1/charges/{charge}")).await["refunded"], true);
    // A customer that has left the list still marks a place in it.
    assert_eq!(client.get(&format!("/v1/customers?starting_after={deleted}")).await.0, StatusCode::OK);
    assert!(client.history.delete_customer(&deleted).is_err());
    assert!(client.history.refund(&charge).is_err());
}

/// Every key that we emit stands in Stripe's own fixture of that object, where that file is at hand.
#[tokio::test]
async fn shapes_are_stripes() {
    let Some(fixtures) = shapes::fixtures() else { return };
    let client = Client::shared();
    let mut unknown = BTreeSet::new();
    for list in LISTS {
        for object in client.all(&format!("/v1/{list}")).await {
            shapes::compare(&object, &fixtures, &mut unknown);
        }
    }
    // Stripe leaves it out of the fixture, where no price is given.
    unknown.remove("line_item.pricing.price_details");
    // And of what may pay an invoice only the type.
    unknown.remove("invoice_payment.payment.payment_intent");
    assert!(unknown.is_empty(), "{unknown:#?}");
}
