//! A server that is killed between any two steps: the next one ends where it would have.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use paywall_contract::IntakeRecord;
use paywall_server::{Config, Server, SystemClock};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Client;
use secrecy::SecretString;
use serde_json::json;
use std::sync::Arc;

use crate::app::{Database, Place, trying};
use crate::process::Running;
use crate::stripe::{KEY, SECRET, Stripe, event, signature, subscription};
use crate::world::LONG;

on_each_database! { whatever_was_answered_ends_in_force }

const TOKEN_KEY: &str = "a key of this test, long enough to be one";

fn seconds() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

async fn whatever_was_answered_ends_in_force(on: Database) {
    let kills = if std::env::var("PAYWALL_SOAK").is_ok_and(|it| it == "1") { 200 } else { 10 };
    let seed: u64 = std::env::var("PAYWALL_SEED").ok().and_then(|it| it.parse().ok()).unwrap_or_else(rand::random);
    eprintln!("PAYWALL_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let place = Place::new(on);
    let stripe = Stripe::start().await;
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("paywall.toml");
    let text = format!(
        "listen = \"127.0.0.1:0\"\ntoken_key = \"{TOKEN_KEY}\"\nstripe_url = \"{}\"\nstripe_key = \"{KEY}\"
         stripe_webhook_secret = \"{SECRET}\"
         [[plan]]\nid = \"starter\"\nname = \"Starter\"\n[[plan]]\nid = \"pro\"\nname = \"Pro\"\nstripe_prices = [\"price_pro\"]\n",
        stripe.url
    );
    std::fs::write(&settings, text).unwrap();
    // Tenant 1 and its like, whose trials are long over.
    let config = Config { database_url: place.url(), token_key: SecretString::from(TOKEN_KEY), ..Config::default() };
    let server = Server::open(config, Arc::new(SystemClock)).await.unwrap();
    let tenants = (1..=5).map(|number| IntakeRecord::Tenant(Box::new(trying(number, "Killed", -300))));
    server.import(tenants).await.unwrap();
    drop(server);
    let client = Client::new();
    let mut sent = 0;
    let mut expected = std::collections::BTreeMap::new();
    // Answers take a while, so that a kill meets every step.
    stripe.world().delay = Duration::from_millis(10);
    for _ in 0..kills {
        let running = Running::start(&place, &settings);
        for _ in 0..rng.random_range(1..4) {
            let tenant = rng.random_range(1..=5_u32);
            let status = ["active", "canceled", "paused", "active"][rng.random_range(0..4)];
            let (id, customer) = (format!("sub_{tenant}"), format!("cus_{tenant:08}"));
            let is = subscription(&id, &customer, status, seconds() - 10);
            stripe.put("subscriptions", is.clone());
            sent += 1;
            let body = event(&format!("evt_{sent}"), "customer.subscription.updated", &is, seconds()).to_string();
            let signed = signature(body.as_bytes(), SECRET, seconds());
            let request = client.post(format!("{}/stripe/webhook", running.address)).header("Stripe-Signature", signed);
            assert_eq!(request.body(body).send().await.unwrap().status(), 200);
            expected.insert(tenant, status);
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..150))).await;
        drop(running);
    }
    // One that lives does what is left.
    stripe.world().delay = Duration::ZERO;
    let last = Running::start(&place, &settings);
    let mut connection = place.connection().await;
    let begun = Instant::now();
    loop {
        let (left,): (i64,) = sqlx::query_as("SELECT count(*) FROM stripe_inbox WHERE state <> 'done'")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        if left == 0 {
            break;
        }
        assert!(begun.elapsed() < LONG, "PAYWALL_SEED={seed}: {left} events are not done");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (kept,): (i64,) = sqlx::query_as("SELECT count(*) FROM stripe_inbox WHERE source = 'webhook'")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(kept, sent, "PAYWALL_SEED={seed}: what was answered is there");
    for (tenant, status) in expected {
        let (facts,): (String,) = sqlx::query_as("SELECT facts FROM tenants WHERE id = $1")
            .bind(crate::app::id(tenant).as_str())
            .fetch_one(&mut connection)
            .await
            .unwrap();
        let facts: serde_json::Value = serde_json::from_str(&facts).unwrap();
        assert_eq!(facts["subscription"]["status"], json!(status), "PAYWALL_SEED={seed}: tenant {tenant}");
    }
    drop(last);
}
