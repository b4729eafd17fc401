//! Whole histories, told in every order and with losses: the end is what it is when they are told in order.

use std::sync::Arc;

use paywall_contract::Tenant;
use paywall_domain::TenantFacts;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::app::{Database, TestApp, trying};
use crate::stripe::{Stripe, charge, event, invoice, subscription};
use crate::world::{SECONDS, World, deliver};

on_each_database! { shuffled_doubled_and_lost_they_end_as_in_order }

/// Events of one history.
const EVENTS: usize = 200;

/// How many histories are told at a time.
const AT_ONCE: u32 = 10;

/// A customer's life in Stripe.
struct Life {
    customer: String,
    rng: StdRng,
    second: i64,
    subscriptions: u32,
    invoices: u32,
    told: Vec<Value>,
}

impl Life {
    fn new(customer: String, seed: u64) -> Self {
        Self {
            customer,
            rng: StdRng::seed_from_u64(seed),
            second: SECONDS,
            subscriptions: 0,
            invoices: 0,
            told: Vec::new(),
        }
    }

    fn current(&self) -> String {
        format!("sub_{}_{}", self.customer, self.subscriptions)
    }

    fn tell(&mut self, stripe: &Stripe, kind: &str, object: &Value) {
        let told = event(&format!("evt_{}_{}", self.customer, self.told.len()), kind, object, self.second);
        stripe.world().events.push(told.clone());
        self.told.push(told);
    }

    /// Something happens, and events tell of it.
    fn step(&mut self, stripe: &Stripe) {
        // Half of what happens shares its second with what happened before.
        self.second += i64::from(self.rng.random_bool(0.5));
        let id = self.current();
        let status = if self.subscriptions == 0 {
            "none".to_owned()
        } else {
            stripe.get("subscriptions", &id)["status"].as_str().unwrap().to_owned()
        };
        let next: &[&str] = match status.as_str() {
            "none" | "canceled" | "incomplete_expired" => &["new"],
            "incomplete" => &["active", "incomplete_expired"],
            "trialing" => &["active", "past_due", "paused", "canceled", "trialing"],
            "active" => &["past_due", "active", "canceled", "paused", "active"],
            "past_due" => &["active", "unpaid", "past_due", "canceled"],
            _ => &["active", "canceled"],
        };
        let next = *next.choose(&mut self.rng).unwrap();
        if next == "new" {
            self.subscriptions += 1;
            let id = self.current();
            let status = *["trialing", "active", "incomplete"].choose(&mut self.rng).unwrap();
            let bought = subscription(&id, &self.customer, status, self.second);
            stripe.put("subscriptions", bought.clone());
            self.tell(stripe, "customer.subscription.created", &bought);
            return;
        }
        if ["past_due", "active"].contains(&next) {
            let name = format!("in_{}_{}", self.customer, self.invoices + 1);
            let paid = next == "active";
            if paid {
                for open in self.open(stripe, &id) {
                    let settled = invoice(&open, &id, "paid", self.second);
                    stripe.put("invoices", settled);
                    stripe.put("charges", charge(&open, &self.customer, self.second));
                }
            }
            let bill = invoice(&name, &id, if paid { "paid" } else { "open" }, self.second);
            stripe.put("invoices", bill.clone());
            self.invoices += 1;
            stripe.put("charges", charge(&name, &self.customer, self.second));
            stripe.set("subscriptions", &id, "latest_invoice", json!(name));
            let mut bill = bill;
            bill["customer"] = json!(self.customer);
            self.tell(stripe, if paid { "invoice.paid" } else { "invoice.payment_failed" }, &bill);
        }
        stripe.set("subscriptions", &id, "status", json!(next));
        stripe.set("subscriptions", &id, "cancel_at_period_end", json!(self.rng.random_bool(0.2)));
        if next == "canceled" {
            stripe.set("subscriptions", &id, "ended_at", json!(self.second));
        }
        let kind = if next == "canceled" { "customer.subscription.deleted" } else { "customer.subscription.updated" };
        self.tell(stripe, kind, &stripe.get("subscriptions", &id));
    }

    fn open(&self, stripe: &Stripe, subscription: &str) -> Vec<String> {
        (1..=self.invoices)
            .map(|number| format!("in_{}_{number}", self.customer))
            .filter(|name| {
                let it = stripe.get("invoices", name);
                it["status"] == "open" && it["parent"]["subscription_details"]["subscription"] == subscription
            })
            .collect()
    }
}

/// Lives a history, and tells of it while it goes on: in order, or as deliveries go at their worst.
async fn live(app: &TestApp, stripe: &Stripe, life: &mut Life, in_order: bool) {
    let mut chaos = StdRng::seed_from_u64(life.told.len() as u64 + life.customer.len() as u64);
    let mut waiting: Vec<Value> = Vec::new();
    while life.told.len() < EVENTS {
        let before = life.told.len();
        life.step(stripe);
        for told in &life.told[before..] {
            if in_order {
                assert_eq!(deliver(app, told).await, StatusCode::OK);
                continue;
            }
            if chaos.random_bool(0.9) {
                waiting.push(told.clone());
            }
            if chaos.random_bool(0.5) {
                waiting.push(told.clone());
            }
        }
        // Some come at once, some much later, some after those that came later.
        if !in_order && chaos.random_bool(0.1) {
            waiting.shuffle(&mut chaos);
            for told in waiting.split_off(waiting.len() / 2) {
                assert_eq!(deliver(app, &told).await, StatusCode::OK);
            }
        }
    }
    waiting.shuffle(&mut chaos);
    for told in waiting {
        assert_eq!(deliver(app, &told).await, StatusCode::OK);
    }
}

/// The facts without what names the customer.
fn nameless(tenant: &Tenant, customer: &str) -> TenantFacts {
    let text = serde_json::to_string(&tenant.facts).unwrap().replace(customer, "cus");
    serde_json::from_str(&text).unwrap()
}

async fn shuffled_doubled_and_lost_they_end_as_in_order(on: Database) {
    let soak = std::env::var("PAYWALL_SOAK").is_ok_and(|it| it == "1");
    let number = |name: &str| std::env::var(name).ok().and_then(|it| it.parse::<u32>().ok());
    let size = number("PAYWALL_SIZE").unwrap_or(if soak { 1_000 } else { 10 });
    let first = number("PAYWALL_SEED").unwrap_or(0);
    for batch in (first..first + size).collect::<Vec<_>>().chunks(AT_ONCE as usize) {
        let world = Arc::new(World::start(on).await);
        let places: Vec<(u32, u64)> = batch.iter().zip(0..).map(|(seed, place)| (place, u64::from(*seed))).collect();
        let tenants = places.iter().flat_map(|(place, _)| [10 + 2 * place, 11 + 2 * place]);
        world.app.bring_in(tenants.map(|number| trying(number, "Life", -1)).collect()).await;
        let mut lives = tokio::task::JoinSet::new();
        for (place, seed) in places.clone() {
            for in_order in [true, false] {
                let world = Arc::clone(&world);
                lives.spawn(async move {
                    let tenant = 10 + 2 * place + u32::from(!in_order);
                    let mut life = Life::new(format!("cus_{tenant:08}"), seed);
                    live(&world.app, &world.stripe, &mut life, in_order).await;
                });
            }
        }
        while let Some(lived) = lives.join_next().await {
            lived.unwrap();
        }
        world.settled().await;
        // What was lost is asked for within the hour.
        world.app.clock.advance_ms(3_600_000);
        world.duties().await;
        for (place, seed) in places {
            let (one, other) = (10 + 2 * place, 11 + 2 * place);
            let in_order = nameless(&world.tenant(one).await, &format!("cus_{one:08}"));
            let chaos = nameless(&world.tenant(other).await, &format!("cus_{other:08}"));
            assert_eq!(in_order, chaos, "PAYWALL_SEED={seed} PAYWALL_SIZE=1");
            assert!(in_order.subscription.is_some(), "PAYWALL_SEED={seed}: nothing happened");
        }
        assert_eq!(world.number("SELECT count(*) FROM stripe_inbox WHERE state <> 'done'").await, 0);
        Arc::into_inner(world).unwrap().app.stop().await;
    }
}
