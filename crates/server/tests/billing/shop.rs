//! Servers that sell through a scripted Stripe, which delivers to them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use paywall_contract::{CheckoutLink, KnownDrift, TenantIntake};
use paywall_domain::Role;
use paywall_sandbox::Kind;
use paywall_sandbox::scripted::{Card, Delivering, Faults, ScriptedStripe, Settings};
use paywall_server::{CheckoutSettings, Config, StripeSettings, built_in_plans};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::app::{Database, NOW, TestApp, id};
use crate::world::{A_WHILE_MS, LONG, PATIENCE};

pub(crate) struct Shop {
    pub(crate) app: TestApp,
    pub(crate) stripe: Arc<ScriptedStripe>,
    pub(crate) starter: String,
    pub(crate) pro: String,
    pub(crate) yearly: String,
}

impl Shop {
    pub(crate) async fn open(on: Database) -> Self {
        Self::with(on, CheckoutSettings::default()).await
    }

    pub(crate) async fn with(on: Database, checkout: CheckoutSettings) -> Self {
        let settings = Settings { now: NOW, delivering: Delivering::ByHand, ..Settings::default() };
        let stripe = Arc::new(ScriptedStripe::start(settings).await.unwrap());
        let price = |name: &str, amount, interval: &str| stripe.add_price(name, "eur", amount, interval).unwrap();
        let starter = price("Starter", 1900, "month");
        let (pro, yearly) = (price("Pro", 4900, "month"), price("Pro", 49_000, "year"));
        // Where it is comes once it is known.
        let endpoint = stripe.add_endpoint("http://127.0.0.1:9/", &["*"]).unwrap();
        let (url, key) = (stripe.url().to_owned(), stripe.key().to_owned());
        let prices = [vec![starter.clone()], vec![pro.clone(), yearly.clone()]];
        let set = move |config: &mut Config| {
            let mut plans = built_in_plans();
            for (plan, prices) in plans.iter_mut().zip(prices.clone()) {
                plan.stripe_prices = prices;
            }
            config.plans = Some(plans);
            config.public_url = Some("https://paywall.example/".to_owned());
            let settings = StripeSettings::new(&url, &key, &endpoint.secret).unwrap();
            config.stripe = Some(StripeSettings { checkout, ..settings });
        };
        let app = on.start_with(Arc::new(set)).await;
        let here = format!("{}/stripe/webhook", app.url);
        stripe.post(&format!("/v1/webhook_endpoints/{}", endpoint.id), &[("url", &here)]).unwrap();
        Self { app, stripe, starter, pro, yearly }
    }

    /// A tenant that Stripe does not know.
    pub(crate) async fn bring_in(&self, tenant: TenantIntake) {
        self.app.bring_in(vec![TenantIntake { stripe_customer: None, ..tenant }]).await;
    }

    pub(crate) async fn ask(&self, number: u32, plan: &str, price: Option<&str>) -> Response {
        ask(&self.app, number, plan, price).await
    }

    /// A link to Checkout, and its session.
    pub(crate) async fn link(&self, number: u32, plan: &str, price: Option<&str>) -> (CheckoutLink, String) {
        let answer = self.ask(number, plan, price).await;
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, StatusCode::OK, "{text}");
        let link: CheckoutLink = serde_json::from_str(&text).unwrap();
        let session = link.url.rsplit('/').next().unwrap().to_owned();
        (link, session)
    }

    /// Tenant 1 buys `pro`; Stripe tells of it.
    pub(crate) async fn sold(&self) -> String {
        let (_, session) = self.link(1, "pro", None).await;
        self.stripe.complete_checkout(&session, Card::Good).unwrap();
        self.delivered().await;
        self.session(&session)["subscription"].as_str().unwrap().to_owned()
    }

    /// Everything is delivered, and done.
    pub(crate) async fn delivered(&self) {
        let delivered = self.stripe.deliver(Faults::default()).await;
        assert!(delivered.dropped.is_empty() && delivered.lost.is_empty());
        self.settled().await;
    }

    pub(crate) async fn settled(&self) {
        self.until("SELECT count(*) FROM stripe_outbox WHERE state = 'pending'", 0).await;
        self.until("SELECT count(*) FROM stripe_inbox WHERE state = 'pending'", 0).await;
    }

    pub(crate) async fn number(&self, query: &'static str) -> i64 {
        let mut connection = self.app.place.connection().await;
        sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
    }

    /// Waits for a number in the database.
    pub(crate) async fn until(&self, query: &'static str, expected: i64) {
        let begun = Instant::now();
        let mut patience = PATIENCE;
        loop {
            let found = self.number(query).await;
            if found == expected {
                return;
            }
            assert!(begun.elapsed() < LONG, "{query}: {found}, not {expected}");
            if begun.elapsed() > patience {
                self.app.clock.advance_ms(A_WHILE_MS);
                patience += PATIENCE;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn session(&self, id: &str) -> Value {
        self.stripe.object(Kind::CheckoutSession, id).unwrap()
    }

    pub(crate) fn subscription(&self, id: &str) -> Value {
        self.stripe.object(Kind::Subscription, id).unwrap()
    }

    /// Sessions that can be paid.
    pub(crate) fn open_sessions(&self) -> Vec<Value> {
        self.stripe.state(Kind::CheckoutSession).into_iter().filter(|it| it["status"] == "open").collect()
    }

    /// Differences of tenants; those of the account are not looked at here.
    pub(crate) async fn drifts(&self) -> Vec<KnownDrift> {
        let page = self.app.get("/admin/v1/billing/drifts?limit=500").await;
        let all: Vec<KnownDrift> = serde_json::from_value(page["items"].clone()).unwrap();
        all.into_iter().filter(|it| it.drift.tenant.is_some()).collect()
    }
}

/// Asks a server for a link to Checkout.
pub(crate) async fn ask(app: &TestApp, number: u32, plan: &str, price: Option<&str>) -> Response {
    let path = format!("/admin/v1/tenants/{}/checkout", id(number));
    let body = json!({"plan": plan, "price": price});
    app.request(Role::Support, Method::POST, &path).json(&body).send().await.unwrap()
}
