//! Against an account that behaves by Stripe's rules: one story from trial to the end, and lives of many.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use paywall_domain::billing::DriftKind;
use paywall_domain::{Status, Timestamp};
use paywall_sandbox::Kind;
use paywall_sandbox::scripted::{Card, ScriptedStripe, Settings};
use paywall_server::{Config, StripeSettings, built_in_plans};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use reqwest::StatusCode;
use serde_json::Value;

use crate::app::{Database, TestApp, id, trying};
use crate::stripe::SECRET;
use crate::world::{becomes, deliver, number, until};

on_each_database! {
    from_trial_to_paid_and_through_every_failure,
    lives_of_many_end_as_in_order,
}

const DAY: u64 = 86_400;

/// An account with two prices, `starter`'s and `pro`'s.
async fn account(seed: u64) -> (ScriptedStripe, [String; 2]) {
    let now = Timestamp(Utc::now().timestamp() * 1000);
    let stripe = ScriptedStripe::start(Settings { seed, now, ..Settings::default() }).await.unwrap();
    let prices = [("Starter", 1_900), ("Pro", 7_900)]
        .map(|(name, amount)| stripe.add_price(name, "usd", amount, "month").unwrap());
    (stripe, prices)
}

/// A server that bills by it.
async fn server(on: Database, stripe: &ScriptedStripe, prices: &[String; 2]) -> TestApp {
    let (url, key, prices) = (stripe.url().to_owned(), stripe.key().to_owned(), prices.clone());
    let set = move |config: &mut Config| {
        let mut plans = built_in_plans();
        for (plan, price) in plans.iter_mut().zip(&prices) {
            plan.stripe_prices = vec![price.clone()];
        }
        config.plans = Some(plans);
        config.stripe = Some(StripeSettings::new(&url, &key, SECRET).unwrap());
    };
    let app = on.start_with(Arc::new(set)).await;
    app.clock.set(stripe.now());
    app
}

/// Delivers what happened since, the last first.
async fn tell(app: &TestApp, stripe: &ScriptedStripe, seen: &mut usize) {
    let events = stripe.events();
    app.clock.set(stripe.now());
    for event in events[*seen..].iter().rev() {
        assert_eq!(deliver(app, event).await, StatusCode::OK);
    }
    *seen = events.len();
}

async fn from_trial_to_paid_and_through_every_failure(on: Database) {
    let (stripe, prices) = account(1).await;
    let app = server(on, &stripe, &prices).await;
    let mut tenant = trying(1, "One", -200);
    tenant.stripe_customer = None;
    app.bring_in(vec![tenant]).await;
    assert_eq!(app.tenant(1).await.status, Status::Expired);
    let one = id(1);
    let customer = stripe.post("/v1/customers", &[("metadata[tenant_id]", one.as_str())]).unwrap();
    let customer = customer["id"].as_str().unwrap().to_owned();
    let session = stripe
        .post(
            "/v1/checkout/sessions",
            &[
                ("mode", "subscription"),
                ("customer", &customer),
                ("client_reference_id", one.as_str()),
                ("line_items[0][price]", &prices[1]),
                ("line_items[0][quantity]", "1"),
                ("success_url", "https://paywall.example/paywall/return"),
                ("metadata[tenant_id]", one.as_str()),
                ("subscription_data[metadata][tenant_id]", one.as_str()),
            ],
        )
        .unwrap();
    stripe.complete_checkout(session["id"].as_str().unwrap(), Card::Good).unwrap();
    let mut seen = 0;
    tell(&app, &stripe, &mut seen).await;
    let tenant = becomes(&app, 1, |it| it.status == Status::Active).await;
    assert_eq!((tenant.plan_in_force.as_str(), tenant.stripe_customer.as_deref()), ("pro", Some(customer.as_str())));
    let billing = || app.get("/admin/v1/tenants/00000000000000000000000000000001/billing");
    let told = billing().await;
    assert_eq!(told["standing"], "paid");
    assert_eq!(told["subscriptions"][0]["subscription"]["latest_invoice"]["state"], "paid", "{told}");

    // The card fails at the renewal, and Stripe tries again.
    assert!(stripe.fail_payment(&customer, Card::InsufficientFunds));
    stripe.advance(Duration::from_secs(32 * DAY));
    tell(&app, &stripe, &mut seen).await;
    let tenant = becomes(&app, 1, |it| it.status == Status::PastDue).await;
    assert!(tenant.facts.subscription.unwrap().overdue_since.is_some());
    let told = billing().await;
    assert_eq!((&told["standing"], &told["subscriptions"][0]["access"]), (&"past_due".into(), &"grace".into()));
    assert!(stripe.mend_payment(&customer));
    stripe.advance(Duration::from_secs(4 * DAY));
    tell(&app, &stripe, &mut seen).await;
    becomes(&app, 1, |it| it.status == Status::Active).await;

    // The cardholder disputes it.
    let charges = stripe.state(Kind::Charge);
    let paid = charges.iter().rfind(|it| it["paid"] == true).unwrap();
    stripe.dispute(paid["id"].as_str().unwrap()).unwrap();
    tell(&app, &stripe, &mut seen).await;
    until(&app, "SELECT count(*) FROM stripe_inbox WHERE state = 'pending'", 0).await;
    assert_eq!(billing().await["standing"], "disputed");

    // It is over.
    let subscription = app.tenant(1).await.facts.subscription.unwrap().id;
    stripe.delete(&format!("/v1/subscriptions/{subscription}")).unwrap();
    tell(&app, &stripe, &mut seen).await;
    becomes(&app, 1, |it| it.status == Status::Expired).await;
    let timeline = app.get(&format!("/admin/v1/tenants/{one}/timeline")).await;
    let kinds: Vec<Value> = timeline["items"].as_array().unwrap().iter().map(|it| it["body"]["kind"].clone()).collect();
    for kind in ["subscription_started", "payment_failed", "subscription_ended"] {
        assert_eq!(kinds.iter().filter(|it| *it == kind).count(), 1, "{kind}: {kinds:?}");
    }
    let drifts = app.get("/admin/v1/billing/drifts").await;
    let endpoint = DriftKind::WebhookEndpointMissing.as_str();
    assert!(drifts["items"].as_array().unwrap().iter().all(|it| it["drift"]["body"]["kind"] == endpoint), "{drifts}");
    app.stop().await;
}

async fn lives_of_many_end_as_in_order(on: Database) {
    let number_of = |name: &str| std::env::var(name).ok().and_then(|it| it.parse::<u64>().ok());
    let soak = std::env::var("PAYWALL_SOAK").is_ok_and(|it| it == "1");
    let size = number_of("PAYWALL_SIZE").unwrap_or(if soak { 1_000 } else { 3 });
    let first = number_of("PAYWALL_SEED").unwrap_or(0);
    for seed in first..first + size {
        let (stripe, prices) = account(seed).await;
        let (in_order, other) = (server(on, &stripe, &prices).await, server(on, &stripe, &prices).await);
        let mut chaos = StdRng::seed_from_u64(seed);
        let (mut seen, mut known, mut waiting) = (0, 0, Vec::new());
        for _ in 0..10 {
            stripe.history(seed * 100 + seen as u64, 20);
            let customers = stripe.state(Kind::Customer);
            for app in [&in_order, &other] {
                app.clock.set(stripe.now());
                let tenants = (known..customers.len()).map(|place| {
                    let mut tenant = trying(u32::try_from(place).unwrap() + 1, "Life", -200);
                    tenant.stripe_customer = customers[place]["id"].as_str().map(str::to_owned);
                    tenant
                });
                app.bring_in(tenants.collect()).await;
            }
            known = customers.len();
            let events = stripe.events();
            for event in &events[seen..] {
                assert_eq!(deliver(&in_order, event).await, StatusCode::OK);
                waiting.extend(
                    (0..=u32::from(chaos.random_bool(0.3))).filter(|_| chaos.random_bool(0.9)).map(|_| event.clone()),
                );
            }
            seen = events.len();
            waiting.shuffle(&mut chaos);
            let late = waiting.len() / 2;
            for event in waiting.drain(late..) {
                assert_eq!(deliver(&other, &event).await, StatusCode::OK);
            }
            until(&in_order, "SELECT count(*) FROM stripe_inbox WHERE state = 'pending'", 0).await;
        }
        for app in [&in_order, &other] {
            // What was lost is asked for, and the last word is Stripe's.
            app.clock.set(stripe.now());
            app.clock.advance_ms(3_600_000);
            let mut connection = app.intruder().await;
            sqlx::query("UPDATE billing_duties SET due_at = 0, done_at = NULL, cursor = '0'")
                .execute(&mut connection)
                .await
                .unwrap();
            drop(connection);
            until(app, "SELECT count(*) FROM billing_duties WHERE done_at IS NOT NULL", 2).await;
            until(app, "SELECT count(*) FROM stripe_inbox WHERE state = 'pending'", 0).await;
            assert_eq!(
                number(app, "SELECT count(*) FROM stripe_inbox WHERE state <> 'done'").await,
                0,
                "PAYWALL_SEED={seed}"
            );
        }
        for place in 1..=u32::try_from(known).unwrap() {
            let facts = [in_order.tenant(place).await.facts, other.tenant(place).await.facts];
            assert_eq!(facts[0], facts[1], "PAYWALL_SEED={seed} PAYWALL_SIZE=1, tenant {place}");
        }
        in_order.stop().await;
        other.stop().await;
    }
}
