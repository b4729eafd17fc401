//! Servers that bill by a small Stripe.

use std::sync::Arc;
use std::time::{Duration, Instant};

use paywall_contract::{BillingHealth, KnownDrift, RepairOutcome, Tenant};
use paywall_domain::Role;
use paywall_server::{Config, StripeSettings, built_in_plans};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::app::{Database, NOW, TestApp, trying};
use crate::stripe::{KEY, SECRET, Stripe, charge, event, invoice, signature, subscription};

/// Longer than anything here takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// After how long the clock, which stands still, goes on by a while: what a busy database put off is tried again then.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
pub(crate) const A_WHILE_MS: i64 = 30_000;

/// The present, in Stripe's seconds.
pub(crate) const SECONDS: i64 = NOW.0 / 1000;

/// What is set of every server here.
pub(crate) fn settings(stripe: &Stripe) -> Arc<dyn Fn(&mut Config) + Send + Sync> {
    let url = stripe.url.clone();
    Arc::new(move |config| {
        let mut plans = built_in_plans();
        plans[0].stripe_prices = ["price_starter", "price_starter_2"].map(str::to_owned).to_vec();
        plans[1].stripe_prices = vec!["price_pro".to_owned()];
        config.plans = Some(plans);
        config.public_url = Some("https://paywall.example".to_owned());
        config.stripe = Some(StripeSettings::new(&url, KEY, SECRET).unwrap());
    })
}

pub(crate) struct World {
    pub(crate) app: TestApp,
    pub(crate) stripe: Stripe,
}

impl World {
    /// A server, and tenant 1 whose trial is over.
    pub(crate) async fn start(on: Database) -> Self {
        let stripe = Stripe::start().await;
        Self::start_with(on, stripe).await
    }

    /// The same with a Stripe that is not empty.
    pub(crate) async fn start_with(on: Database, stripe: Stripe) -> Self {
        let app = on.start_with(settings(&stripe)).await;
        app.bring_in(vec![trying(1, "One", -1)]).await;
        let world = Self { app, stripe };
        world.duties_done().await;
        world
    }

    async fn duties_done(&self) {
        self.until("SELECT count(*) FROM billing_duties WHERE error IS NOT NULL", 0).await;
        self.until("SELECT count(*) FROM billing_duties WHERE done_at IS NOT NULL", 2).await;
        self.settled().await;
    }

    /// Does what is done every now and then: asks for events, and compares everything.
    pub(crate) async fn duties(&self) {
        self.app.clock.advance_ms(1_000);
        let mut connection = self.app.intruder().await;
        sqlx::query("UPDATE billing_duties SET due_at = 0, done_at = NULL").execute(&mut connection).await.unwrap();
        drop(connection);
        self.duties_done().await;
    }

    /// Every drift that there is.
    pub(crate) async fn drifts(&self) -> Vec<KnownDrift> {
        let page = self.app.get("/admin/v1/billing/drifts?limit=500").await;
        serde_json::from_value(page["items"].clone()).unwrap()
    }

    pub(crate) async fn health(&self) -> BillingHealth {
        serde_json::from_value(self.app.get("/admin/v1/billing").await).unwrap()
    }

    /// Asks for a repair, as owner; without a key it is a dry run.
    pub(crate) async fn repair(&self, drift: &str, key: Option<&str>) -> Response {
        let mode = if key.is_none() { "?dry_run=true" } else { "" };
        let path = format!("/admin/v1/billing/drifts/{drift}/repair{mode}");
        let mut request = self.app.request(Role::Owner, Method::POST, &path);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        request.json(&json!({"reason": "it differs"})).send().await.unwrap()
    }

    /// Tenant 1 subscribes and pays.
    pub(crate) fn pays(&self, customer: &str) -> Value {
        let mut bought = subscription("sub_1", customer, "active", SECONDS);
        bought["latest_invoice"] = json!("in_1");
        self.stripe.put("subscriptions", bought.clone());
        self.stripe.put("invoices", invoice("in_1", "sub_1", "paid", SECONDS));
        self.stripe.put("charges", charge("in_1", customer, SECONDS));
        bought
    }

    /// Delivers an event as Stripe does.
    pub(crate) async fn deliver(&self, event: &Value) -> StatusCode {
        deliver(&self.app, event).await
    }

    pub(crate) async fn tenant(&self, number: u32) -> Tenant {
        self.app.tenant(number).await
    }

    pub(crate) async fn becomes(&self, holds: impl Fn(&Tenant) -> bool) -> Tenant {
        becomes(&self.app, 1, holds).await
    }

    /// A number in the database.
    pub(crate) async fn number(&self, query: &'static str) -> i64 {
        number(&self.app, query).await
    }

    /// Waits until nothing is due any more.
    pub(crate) async fn settled(&self) {
        self.until("SELECT count(*) FROM stripe_inbox WHERE state = 'pending'", 0).await;
    }

    /// Waits for a number in the database.
    pub(crate) async fn until(&self, query: &'static str, expected: i64) {
        until(&self.app, query, expected).await;
    }
}

/// What a repair came to.
pub(crate) async fn outcome(response: Response) -> RepairOutcome {
    let status = response.status();
    let body = response.text().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// A number in a server's database.
pub(crate) async fn number(app: &TestApp, query: &'static str) -> i64 {
    let mut connection = app.place.connection().await;
    sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
}

/// Waits for a number in a server's database.
pub(crate) async fn until(app: &TestApp, query: &'static str, expected: i64) {
    let begun = Instant::now();
    let mut patience = PATIENCE;
    loop {
        let found = number(app, query).await;
        if found == expected {
            return;
        }
        assert!(begun.elapsed() < LONG, "{query}: {found}, not {expected}");
        if begun.elapsed() > patience {
            app.clock.advance_ms(A_WHILE_MS);
            patience += PATIENCE;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) async fn deliver(app: &TestApp, event: &Value) -> StatusCode {
    use paywall_server::Clock;
    let body = event.to_string();
    let signed = signature(body.as_bytes(), SECRET, app.clock.now().0 / 1000);
    post(app, body, &signed).await
}

/// Sends a delivery with this signature.
pub(crate) async fn post(app: &TestApp, body: String, signed: &str) -> StatusCode {
    let request = app.bare(Method::POST, "/stripe/webhook").header("Stripe-Signature", signed).body(body);
    request.send().await.unwrap().status()
}

/// Waits until a tenant is as it should be.
pub(crate) async fn becomes(app: &TestApp, number: u32, holds: impl Fn(&Tenant) -> bool) -> Tenant {
    let begun = Instant::now();
    loop {
        let tenant = app.tenant(number).await;
        if holds(&tenant) {
            return tenant;
        }
        assert!(begun.elapsed() < LONG, "{:?}", tenant.facts);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// That something happened to a subscription.
pub(crate) fn updated(id: &str, subscription: &Value) -> Value {
    event(id, "customer.subscription.updated", subscription, SECONDS)
}
