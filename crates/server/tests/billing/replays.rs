//! What Stripe only repeats under an idempotency key keeps nobody from going on.

use paywall_domain::Status;
use paywall_sandbox::Kind;
use paywall_sandbox::scripted::{Card, Trouble};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::app::{Database, extend, trying};
use crate::shop::Shop;
use crate::world::becomes;

on_each_database! {
    a_failure_that_stripe_repeats_for_a_day_stops_no_purchase,
    a_failure_that_stripe_repeats_for_a_day_stops_no_change_of_staff,
}

async fn a_failure_that_stripe_repeats_for_a_day_stops_no_purchase(on: Database) {
    let shop = Shop::open(on).await;
    shop.bring_in(trying(1, "One", -1)).await;
    for path in ["/v1/customers", "/v1/checkout/sessions"] {
        shop.stripe.trouble(&Method::POST, path, Trouble::Fails);
    }
    let (_, first) = shop.link(1, "pro", None).await;
    assert_eq!(shop.stripe.state(Kind::Customer).len(), 1);
    // The same while one is closed, so that another can be opened.
    shop.stripe.trouble(&Method::POST, &format!("/v1/checkout/sessions/{first}/expire"), Trouble::Fails);
    let (_, second) = shop.link(1, "starter", None).await;
    let open: Vec<_> = shop.open_sessions().iter().map(|it| it["id"].clone()).collect();
    assert_eq!(open, [json!(second)]);
    shop.stripe.complete_checkout(&second, Card::Good).unwrap();
    shop.delivered().await;
    becomes(&shop.app, 1, |it| it.status == Status::Active).await;
    shop.app.stop().await;
}

async fn a_failure_that_stripe_repeats_for_a_day_stops_no_change_of_staff(on: Database) {
    let shop = Shop::open(on).await;
    shop.bring_in(trying(1, "One", 10)).await;
    let bought = shop.sold().await;
    shop.stripe.trouble(&Method::POST, &format!("/v1/subscriptions/{bought}"), Trouble::Fails);
    assert_eq!(shop.app.change(1, "extend", extend(5)).await.status(), StatusCode::OK);
    shop.settled().await;
    let ends_at = shop.app.tenant(1).await.facts.trial.unwrap().ends_at;
    assert_eq!(shop.subscription(&bought)["trial_end"], json!(ends_at.0 / 1000));
    assert_eq!(shop.number("SELECT count(*) FROM stripe_outbox WHERE attempts > 1").await, 0);
    shop.app.stop().await;
}
