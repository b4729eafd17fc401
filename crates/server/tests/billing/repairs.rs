//! Repairs by staff: by what Stripe says now, recorded whatever becomes of the asker.

use std::time::Duration;

use paywall_contract::{Problem, ProblemCode, Settlement, TenantIntake};
use paywall_domain::billing::DriftKind;
use paywall_domain::{Role, Status};
use reqwest::{Method, Response, StatusCode};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::app::{Database, id, trying};
use crate::drifts::{endpoint, only, paying};
use crate::stripe::{Stripe, subscription};
use crate::world::{SECONDS, World, becomes, outcome, updated};

on_each_database! {
    what_changed_since_it_was_seen_is_not_repaired_by_what_was_seen,
    a_repair_whose_answer_was_lost_is_recorded,
    a_repair_that_did_not_reach_stripe_is_not_made,
    whoever_is_unblocked_by_a_repair_is_stuck_no_more,
    an_outage_of_stripe_is_called_so_and_nothing_is_changed,
    another_difference_is_not_why_a_conversion_is_stuck,
    what_was_not_sold_here_to_a_customer_of_two_tenants_is_nobodys,
}

async fn what_changed_since_it_was_seen_is_not_repaired_by_what_was_seen(on: Database) {
    let world = paying(on).await;
    world.stripe.put("subscriptions", subscription("sub_0", "cus_00000001", "active", SECONDS - 86_400));
    let drift = only(&world, DriftKind::TwoSubscriptions).await;
    assert_eq!(drift.drift.subscription.as_deref(), Some("sub_0"));
    // The customer ends the other one, and nobody tells of it.
    world.stripe.set("subscriptions", "sub_1", "status", json!("canceled"));
    world.stripe.set("subscriptions", "sub_1", "ended_at", json!(SECONDS));
    let made = outcome(world.repair(&drift.id, Some("k1")).await).await;
    assert!(made.gone && made.adjustment.is_none() && made.stripe_writes.is_empty(), "{made:?}");
    assert!(!world.stripe.was_asked("DELETE"), "it is the only one left");
    let tenant = world.tenant(1).await;
    assert_eq!((tenant.status, tenant.facts.subscription.unwrap().id.as_str()), (Status::Active, "sub_0"));
    world.app.stop().await;
}

/// A repair that is sent and of which nobody hears the answer.
async fn begun(world: &World, drift: &str, key: &str, request: &'static str) -> JoinHandle<Response> {
    world.stripe.world().slow = Some(request);
    world.stripe.world().asked.clear();
    let asked = world.app.request(Role::Owner, Method::POST, &format!("/admin/v1/billing/drifts/{drift}/repair"));
    let asked = asked.header("Idempotency-Key", key).json(&json!({"reason": "it differs"}));
    let under_way = tokio::spawn(async move { asked.send().await.unwrap() });
    while !world.stripe.was_asked(request) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    under_way
}

async fn settle(world: &World, key: &str) -> Response {
    let path = format!("/admin/v1/keys/{key}/settle");
    world.app.request(Role::Owner, Method::POST, &path).send().await.unwrap()
}

async fn a_repair_whose_answer_was_lost_is_recorded(on: Database) {
    let world = paying(on).await;
    let second = async |number: u32| {
        let id = format!("sub_second_{number}");
        world.stripe.put("subscriptions", subscription(&id, "cus_00000001", "active", SECONDS - 86_400));
        only(&world, DriftKind::TwoSubscriptions).await.id
    };
    // While it is on its way nobody can tell, and it does not count as void.
    let drift = second(1).await;
    let under_way = begun(&world, &drift, "k1", "DELETE /v1/subscriptions/sub_second_1").await;
    assert_eq!(settle(&world, "k1").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    let made = outcome(under_way.await.unwrap()).await;
    let settled: Settlement = settle(&world, "k1").await.json().await.unwrap();
    assert_eq!(settled.adjustment.unwrap().id, made.adjustment.unwrap().id);
    // The asker is gone before Stripe answers, and Stripe's event comes first.
    let drift = second(2).await;
    let under_way = begun(&world, &drift, "k2", "DELETE /v1/subscriptions/sub_second_2").await;
    under_way.abort();
    let _ = under_way.await;
    let ended = world.stripe.get("subscriptions", "sub_second_2");
    assert_eq!(world.deliver(&updated("evt_second_2", &ended)).await, StatusCode::OK);
    world.until("SELECT count(*) FROM stripe_drifts WHERE gone_at IS NULL", 0).await;
    let again = outcome(world.repair(&drift, Some("k2")).await).await;
    assert!(!again.gone, "{again:?}");
    assert_eq!(again.adjustment.unwrap().reason, "it differs", "who ended it stands in the timeline");
    assert_eq!(again.stripe_writes[0].operation, "cancel_subscription");
    // And nobody ever asks again.
    let drift = second(3).await;
    let under_way = begun(&world, &drift, "k3", "DELETE /v1/subscriptions/sub_second_3").await;
    under_way.abort();
    let _ = under_way.await;
    world.app.clock.advance_ms(100_000);
    world.until("SELECT count(*) FROM stripe_repairs", 0).await;
    let settled: Settlement = settle(&world, "k3").await.json().await.unwrap();
    assert_eq!(settled.adjustment.unwrap().actor, "owner");
    assert_eq!(world.drifts().await, []);
    world.app.stop().await;
}

async fn whoever_is_unblocked_by_a_repair_is_stuck_no_more(on: Database) {
    let stripe = Stripe::start().await;
    stripe.put("webhook_endpoints", endpoint());
    let world = World::start_with(on, stripe).await;
    let mut connection = world.app.intruder().await;
    for statement in [
        "INSERT INTO checkout_sessions (tenant_id, attempt, session, plan, price, state, opened_at, completed_at)
         SELECT id, 1, 'cs_1', 'pro', 'price_pro', 'complete', 1, 1 FROM tenants",
        "UPDATE billing_duties SET due_at = 0, done_at = NULL",
    ] {
        // Nothing leads to it by itself: the customer cannot be looked at.
        world.stripe.world().refusing = Some("GET /v1/customers");
        world.pays("cus_00000001");
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    drop(connection);
    world.app.clock.advance_ms(1_000);
    world.until("SELECT count(*) FROM stripe_drifts WHERE gone_at IS NULL AND kind = 'paid_but_blocked'", 1).await;
    world.until("SELECT count(*) FROM billing_duties WHERE done_at IS NOT NULL", 2).await;
    let stuck = world.app.get("/admin/v1/billing/conversions").await;
    assert_eq!(stuck["items"][0]["at"], "paid_not_unblocked");
    world.stripe.world().refusing = None;
    let drift = world.drifts().await.remove(0);
    let made = outcome(world.repair(&drift.id, Some("k1")).await).await;
    assert_eq!(made.after.unwrap().status, Status::Active);
    let stuck = world.app.get("/admin/v1/billing/conversions").await;
    assert_eq!(stuck["items"], json!([]), "it is repaired");
    world.app.stop().await;
}

async fn a_repair_that_did_not_reach_stripe_is_not_made(on: Database) {
    let world = paying(on).await;
    world.stripe.put("subscriptions", subscription("sub_0", "cus_00000001", "active", SECONDS - 86_400));
    let drift = only(&world, DriftKind::TwoSubscriptions).await;
    // Stripe says no: whoever asks again may, under the same key.
    world.stripe.world().refusing = Some("DELETE /v1/subscriptions/sub_0");
    assert_eq!(world.repair(&drift.id, Some("k1")).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(world.number("SELECT count(*) FROM stripe_repairs").await, 0);
    assert_eq!(world.number("SELECT count(*) FROM idempotency_keys").await, 0);
    // It was lost on the way: looked at later, it was not made, and never will be under that key.
    let under_way = begun(&world, &drift.id, "k1", "DELETE /v1/subscriptions/sub_0").await;
    under_way.abort();
    let _ = under_way.await;
    world.app.clock.advance_ms(100_000);
    let settled: Settlement = settle(&world, "k1").await.json().await.unwrap();
    assert_eq!(settled.adjustment, None);
    world.stripe.world().refusing = None;
    let late: Problem = world.repair(&drift.id, Some("k1")).await.json().await.unwrap();
    assert_eq!(late.code, ProblemCode::IdempotencyKeyVoid);
    assert_eq!(world.stripe.get("subscriptions", "sub_0")["status"], "active");
    world.app.stop().await;
}

async fn an_outage_of_stripe_is_called_so_and_nothing_is_changed(on: Database) {
    let world = paying(on).await;
    world.stripe.set("subscriptions", "sub_1", "cancel_at_period_end", json!(true));
    let differs = only(&world, DriftKind::StatusDiffers).await;
    world.stripe.world().failing = Some((503, json!({"error": {"type": "api_error", "message": "down"}})));
    for key in [None, Some("k1")] {
        let away = world.repair(&differs.id, key).await;
        assert_eq!(away.status(), StatusCode::SERVICE_UNAVAILABLE);
        let away: Problem = away.json().await.unwrap();
        assert_eq!(away.code, ProblemCode::StripeUnavailable);
        assert!(away.detail.contains("nothing was changed"), "{away:?}");
    }
    world.stripe.world().failing = None;
    assert!(!world.tenant(1).await.facts.subscription.unwrap().cancel_at_period_end);
    world.app.stop().await;
}

async fn another_difference_is_not_why_a_conversion_is_stuck(on: Database) {
    let stripe = Stripe::start().await;
    stripe.put("webhook_endpoints", endpoint());
    let world = World::start_with(on, stripe).await;
    let mut connection = world.app.intruder().await;
    let opened = "INSERT INTO checkout_sessions (tenant_id, attempt, session, plan, price, state, opened_at)
         SELECT id, 1, 'cs_1', 'pro', 'price_pro', 'open', 1 FROM tenants";
    sqlx::query(opened).execute(&mut connection).await.unwrap();
    drop(connection);
    let mut other = subscription("sub_1", "cus_00000001", "active", SECONDS);
    other["items"]["data"][0]["price"]["id"] = json!("price_made_by_hand");
    world.stripe.put("subscriptions", other);
    only(&world, DriftKind::UnknownPrice).await;
    let stuck = world.app.get("/admin/v1/billing/conversions").await["items"][0].clone();
    assert_eq!((&stuck["at"], &stuck["drift"]), (&json!("checkout_open"), &json!(null)));
    assert_eq!(stuck["subscription"], json!(null), "nothing was bought by it");
    world.app.stop().await;
}

async fn what_was_not_sold_here_to_a_customer_of_two_tenants_is_nobodys(on: Database) {
    let stripe = Stripe::start().await;
    stripe.put("webhook_endpoints", endpoint());
    let world = World::start_with(on, stripe).await;
    let other = TenantIntake { stripe_customer: Some("cus_00000001".to_owned()), ..trying(2, "Two", -1) };
    world.app.bring_in(vec![other]).await;
    let bought = world.pays("cus_00000001");
    // However it is heard of: by an event, or by comparing everything.
    for heard in [true, false] {
        if heard {
            assert_eq!(world.deliver(&updated("evt_1", &bought)).await, StatusCode::OK);
            world.settled().await;
        }
        let drift = only(&world, DriftKind::UnknownCustomer).await;
        assert_eq!(drift.drift.subscription.as_deref(), Some("sub_1"));
        for number in [1, 2] {
            assert_eq!(world.tenant(number).await.status, Status::Expired, "nobody knows whose it is");
        }
    }
    // Once it says whose it is, it is that one's alone.
    world.stripe.set("subscriptions", "sub_1", "metadata", json!({"tenant_id": id(2).as_str()}));
    world.duties().await;
    becomes(&world.app, 2, |it| it.status == Status::Active).await;
    assert_eq!((world.tenant(1).await.status, world.drifts().await), (Status::Expired, Vec::new()));
    world.app.stop().await;
}
