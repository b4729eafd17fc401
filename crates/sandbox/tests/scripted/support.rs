//! A scripted account with something to sell, and somebody to sell it to.

use std::time::Duration;

use paywall_sandbox::Kind;
use paywall_sandbox::scripted::{Card, Refused, ScriptedStripe, Settings};
use serde_json::Value;

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

pub(crate) struct Shop {
    pub(crate) stripe: ScriptedStripe,
    pub(crate) http: reqwest::Client,
    pub(crate) customer: String,
    pub(crate) starter: String,
    pub(crate) pro: String,
    pub(crate) team: String,
    pub(crate) yearly: String,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::with(Settings::default()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let stripe = ScriptedStripe::start(settings).await.unwrap();
        let price = |name: &str, amount: i64, interval: &str| stripe.add_price(name, "usd", amount, interval).unwrap();
        let starter = price("Starter", 1900, "month");
        let pro = price("Pro", 7900, "month");
        let team = price("Team", 19_900, "month");
        let yearly = price("Pro", 79_000, "year");
        let made =
            stripe.post("/v1/customers", &[("email", "owner@shop.example"), ("metadata[tenant_id]", "tenant-1")]);
        let customer = made.unwrap()["id"].as_str().unwrap().to_owned();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { stripe, http, customer, starter, pro, team, yearly }
    }

    /// Unix seconds.
    pub(crate) fn now(&self) -> i64 {
        self.stripe.now().0 / 1000
    }

    /// A Checkout session for Pro, other fields over or beside the usual ones.
    pub(crate) fn try_checkout(&self, fields: &[(&str, &str)]) -> Result<Value, Refused> {
        let usual = [
            ("mode", "subscription"),
            ("customer", self.customer.as_str()),
            ("success_url", "https://paywall.example/return?s={CHECKOUT_SESSION_ID}"),
            ("cancel_url", "https://paywall.example/billing"),
            ("line_items[0][price]", self.pro.as_str()),
            ("line_items[0][quantity]", "1"),
        ];
        let kept = usual.into_iter().filter(|it| fields.iter().all(|other| other.0 != it.0));
        let fields: Vec<(&str, &str)> = kept.chain(fields.iter().copied()).collect();
        self.stripe.post("/v1/checkout/sessions", &fields)
    }

    pub(crate) fn checkout(&self, fields: &[(&str, &str)]) -> Value {
        self.try_checkout(fields).unwrap()
    }

    /// A subscription that was bought with a good card.
    pub(crate) fn subscribed(&self, fields: &[(&str, &str)]) -> String {
        let session = self.checkout(fields)["id"].as_str().unwrap().to_owned();
        self.stripe.complete_checkout(&session, Card::Good).unwrap();
        self.stripe.object(Kind::CheckoutSession, &session).unwrap()["subscription"].as_str().unwrap().to_owned()
    }

    pub(crate) fn subscription(&self, id: &str) -> Value {
        self.stripe.object(Kind::Subscription, id).unwrap()
    }

    /// Oldest first.
    pub(crate) fn invoices(&self, subscription: &str) -> Vec<Value> {
        let of = |it: &Value| it["parent"]["subscription_details"]["subscription"] == subscription;
        self.stripe.state(Kind::Invoice).into_iter().filter(of).collect()
    }
}

/// The types of all events, oldest first.
pub(crate) fn types(stripe: &ScriptedStripe) -> Vec<String> {
    stripe.events().iter().map(|it| it["type"].as_str().unwrap().to_owned()).collect()
}
