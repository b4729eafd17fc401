//! Who pays and is nobody here: parked, and taken over as soon as somebody is it.

use std::time::{Duration, Instant};

use paywall_contract::{InboxEvent, InboxState};
use paywall_domain::{Role, Status};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::app::{Database, id, trying};
use crate::stripe::{event, subscription};
use crate::world::{SECONDS, World, becomes, updated};

on_each_database! {
    a_stranger_is_taken_over_as_soon_as_its_customer_is_mapped,
    a_named_tenant_is_waited_for,
    whoever_buys_something_else_is_nobodys_business,
    a_dispute_leads_to_its_customer,
    staff_may_try_again_at_once,
}

async fn parked(world: &World) -> Vec<InboxEvent> {
    world.until("SELECT count(*) FROM stripe_inbox WHERE state = 'parked'", 1).await;
    let page = world.app.get("/admin/v1/billing/events?state=parked").await;
    serde_json::from_value(page["items"].clone()).unwrap()
}

async fn a_stranger_is_taken_over_as_soon_as_its_customer_is_mapped(on: Database) {
    let world = World::start(on).await;
    let bought = world.pays("cus_00000002");
    assert_eq!(world.deliver(&updated("evt_1", &bought)).await, StatusCode::OK);
    let waiting = parked(&world).await;
    assert_eq!((waiting[0].customer.as_deref(), waiting[0].state), (Some("cus_00000002"), InboxState::Parked));
    assert_eq!(waiting[0].error.as_deref(), Some("unknown_customer"));
    assert!(waiting[0].next_attempt_at.is_some());
    let began = Instant::now();
    world.app.bring_in(vec![trying(2, "Two", -1)]).await;
    becomes(&world.app, 2, |it| it.status == Status::Active).await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    world.app.stop().await;
}

async fn a_named_tenant_is_waited_for(on: Database) {
    let world = World::start(on).await;
    let mut bought = subscription("sub_2", "cus_new", "active", SECONDS);
    bought["metadata"] = json!({"tenant_id": id(2).as_str()});
    world.stripe.put("subscriptions", bought.clone());
    assert_eq!(world.deliver(&updated("evt_1", &bought)).await, StatusCode::OK);
    assert_eq!(parked(&world).await[0].tenant_id, Some(id(2)));
    let mut tenant = trying(2, "Two", -1);
    tenant.stripe_customer = None;
    world.app.bring_in(vec![tenant]).await;
    let tenant = becomes(&world.app, 2, |it| it.status == Status::Active).await;
    assert_eq!(tenant.stripe_customer.as_deref(), Some("cus_new"), "from now on it is its customer");
    world.app.stop().await;
}

async fn whoever_buys_something_else_is_nobodys_business(on: Database) {
    let world = World::start(on).await;
    let mut bought = subscription("sub_2", "cus_other", "active", SECONDS);
    bought["items"]["data"][0]["price"]["id"] = json!("price_of_another_product");
    world.stripe.put("subscriptions", bought.clone());
    assert_eq!(world.deliver(&updated("evt_1", &bought)).await, StatusCode::OK);
    assert_eq!(
        world
            .deliver(&event("evt_2", "customer.created", &json!({"id": "cus_x", "object": "customer"}), SECONDS))
            .await,
        200
    );
    world.settled().await;
    let health = world.health().await;
    assert_eq!((health.inbox.parked, health.inbox.failed), (0, 0));
    world.app.stop().await;
}

async fn a_dispute_leads_to_its_customer(on: Database) {
    let world = World::start(on).await;
    let bought = world.pays("cus_00000001");
    world.deliver(&updated("evt_1", &bought)).await;
    world.becomes(|it| it.status == Status::Active).await;
    let dispute =
        json!({"id": "dp_1", "object": "dispute", "charge": "ch_in_1", "status": "needs_response", "created": SECONDS});
    world.stripe.put("disputes", dispute.clone());
    world.stripe.set("charges", "ch_in_1", "disputed", json!(true));
    assert_eq!(world.deliver(&event("evt_2", "charge.dispute.created", &dispute, SECONDS)).await, StatusCode::OK);
    world.settled().await;
    let billing = world.app.get(&format!("/admin/v1/tenants/{}/billing", id(1))).await;
    assert_eq!(billing["standing"], "disputed", "{billing}");
    assert_eq!(billing["subscriptions"][0]["remedy"], "review");
    assert_eq!(billing["upcoming"][0]["kind"], "renews");
    assert_eq!(billing["customer_url"], "https://dashboard.stripe.com/test/customers/cus_00000001");
    assert_eq!(billing["checkout_refusal"]["refusal"], "subscribed");
    world.app.stop().await;
}

async fn staff_may_try_again_at_once(on: Database) {
    let world = World::start(on).await;
    let bought = world.pays("cus_00000009");
    world.deliver(&updated("evt_1", &bought)).await;
    parked(&world).await;
    world.stripe.set("subscriptions", "sub_1", "metadata", json!({"tenant_id": id(1).as_str()}));
    let retry = |role| world.app.request(role, Method::POST, "/admin/v1/billing/events/evt_1/retry").send();
    assert_eq!(retry(Role::Viewer).await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(retry(Role::Support).await.unwrap().status(), StatusCode::OK);
    world.becomes(|it| it.status == Status::Active).await;
    let none = world.app.request(Role::Support, Method::POST, "/admin/v1/billing/events/evt_none/retry");
    assert_eq!(none.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    world.app.stop().await;
}
