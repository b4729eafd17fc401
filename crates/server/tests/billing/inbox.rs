//! Whose an event is, and what becomes of it.

use paywall_domain::Status;
use paywall_domain::billing::DriftKind;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::app::{Database, id, trying};
use crate::stripe::{charge, event, invoice, subscription};
use crate::world::{SECONDS, World, becomes, updated};

on_each_database! {
    a_session_that_was_not_opened_here_names_no_tenant,
    a_customer_whose_id_is_an_old_one_is_looked_at,
    a_dispute_of_an_older_payment_is_seen_until_it_is_over,
    what_was_undelivered_and_is_done_is_no_difference,
    a_look_at_the_account_that_fails_costs_no_events,
    what_is_long_over_is_forgotten,
    whoever_pays_for_nothing_is_seen_among_many_others,
    an_event_of_the_other_mode_stays_refused_when_it_is_tried_again,
    an_unpaid_subscription_is_locked_since_the_last_attempt,
}

async fn standing(world: &World) -> Value {
    world.app.get(&format!("/admin/v1/tenants/{}/billing", id(1))).await["standing"].clone()
}

async fn a_session_that_was_not_opened_here_names_no_tenant(on: Database) {
    let world = World::start(on).await;
    world.stripe.put("subscriptions", subscription("sub_2", "cus_stranger", "active", SECONDS));
    // A payment link takes whatever stands in its address.
    let mut session = json!({"id": "cs_link", "object": "checkout.session", "created": SECONDS, "status": "complete",
        "customer": "cus_stranger", "subscription": "sub_2", "client_reference_id": id(1).as_str(), "metadata": {}});
    world.stripe.put("sessions", session.clone());
    let told = event("evt_1", "checkout.session.completed", &session, SECONDS);
    assert_eq!(world.deliver(&told).await, StatusCode::OK);
    world.until("SELECT count(*) FROM stripe_inbox WHERE state = 'parked'", 1).await;
    let tenant = world.tenant(1).await;
    assert_eq!((tenant.status, tenant.stripe_customer.as_deref()), (Status::Expired, Some("cus_00000001")));
    // What stands in its metadata was written by the account's owner.
    session["metadata"] = json!({"tenant_id": id(1).as_str()});
    world.stripe.put("sessions", session);
    let retry =
        world.app.request(paywall_domain::Role::Support, reqwest::Method::POST, "/admin/v1/billing/events/evt_1/retry");
    assert_eq!(retry.send().await.unwrap().status(), StatusCode::OK);
    world.becomes(|it| it.status == Status::Active).await;
    world.app.stop().await;
}

async fn a_customer_whose_id_is_an_old_one_is_looked_at(on: Database) {
    let world = World::start(on).await;
    let mut tenant = trying(2, "Two", -1);
    tenant.stripe_customer = Some("4711".to_owned());
    world.app.bring_in(vec![tenant]).await;
    let bought = subscription("sub_2", "4711", "active", SECONDS);
    world.stripe.put("subscriptions", bought.clone());
    assert_eq!(world.deliver(&updated("evt_1", &bought)).await, StatusCode::OK);
    becomes(&world.app, 2, |it| it.status == Status::Active).await;
    world.settled().await;
    // Led there by what it paid.
    world.stripe.put("charges", charge("in_9", "4711", SECONDS));
    let dispute =
        json!({"id": "dp_9", "object": "dispute", "charge": "ch_in_9", "status": "needs_response", "created": SECONDS});
    world.stripe.put("disputes", dispute.clone());
    world.stripe.set("subscriptions", "sub_2", "status", json!("canceled"));
    assert_eq!(world.deliver(&event("evt_2", "charge.dispute.created", &dispute, SECONDS)).await, StatusCode::OK);
    becomes(&world.app, 2, |it| it.status == Status::Expired).await;
    let page = world.app.get("/admin/v1/billing/events").await;
    assert!(page["items"].as_array().unwrap().iter().all(|it| it["customer"] == "4711"), "{page}");
    world.app.stop().await;
}

async fn a_dispute_of_an_older_payment_is_seen_until_it_is_over(on: Database) {
    let world = World::start(on).await;
    let mut bought = world.pays("cus_00000001");
    let month = 30 * 86_400;
    world.stripe.put("invoices", invoice("in_2", "sub_1", "paid", SECONDS + month));
    world.stripe.put("charges", charge("in_2", "cus_00000001", SECONDS + month));
    bought["latest_invoice"] = json!("in_2");
    world.stripe.put("subscriptions", bought.clone());
    let paid = json!({"id": "inpay_in_1", "object": "invoice_payment", "created": SECONDS, "status": "paid",
        "invoice": world.stripe.get("invoices", "in_1"),
        "payment": {"type": "payment_intent", "payment_intent": "pi_in_1"}});
    world.stripe.put("invoice_payments", paid);
    world.stripe.set("charges", "ch_in_1", "payment_intent", json!("pi_in_1"));
    let mut dispute = json!({"id": "dp_1", "object": "dispute", "charge": "ch_in_1", "status": "needs_response",
        "created": SECONDS + month, "payment_intent": "pi_in_1"});
    world.stripe.put("disputes", dispute.clone());
    world.stripe.set("charges", "ch_in_1", "disputed", json!(true));
    assert_eq!(world.deliver(&event("evt_1", "charge.dispute.created", &dispute, SECONDS)).await, StatusCode::OK);
    world.until("SELECT count(*) FROM stripe_inbox WHERE state = 'done'", 1).await;
    assert_eq!(standing(&world).await, "disputed");
    // Also when something else happened.
    assert_eq!(world.deliver(&updated("evt_2", &bought)).await, StatusCode::OK);
    world.until("SELECT count(*) FROM stripe_inbox WHERE state = 'done'", 2).await;
    assert_eq!(standing(&world).await, "disputed");
    dispute["status"] = json!("won");
    world.stripe.put("disputes", dispute.clone());
    assert_eq!(world.deliver(&event("evt_3", "charge.dispute.closed", &dispute, SECONDS)).await, StatusCode::OK);
    world.until("SELECT count(*) FROM stripe_inbox WHERE state = 'done'", 3).await;
    assert_eq!(standing(&world).await, "paid");
    world.app.stop().await;
}

async fn what_was_undelivered_and_is_done_is_no_difference(on: Database) {
    let world = World::start(on).await;
    let mut lost = updated("evt_1", &world.pays("cus_00000001"));
    lost["delivered"] = json!(false);
    world.stripe.world().events.push(lost);
    // Reading takes longer than asking what could not be delivered.
    world.stripe.world().delay = std::time::Duration::from_millis(200);
    world.duties().await;
    world.becomes(|it| it.status == Status::Active).await;
    let kinds: Vec<DriftKind> = world.drifts().await.iter().map(|it| it.drift.kind()).collect();
    assert!(!kinds.contains(&DriftKind::UndeliveredEvents), "{kinds:?}");
    assert_eq!(world.health().await.undelivered, Some(0));
    let listed = world.app.get("/admin/v1/billing/events?undelivered=true").await;
    assert_eq!(listed["items"], json!([]));
    world.app.stop().await;
}

async fn a_look_at_the_account_that_fails_costs_no_events(on: Database) {
    let world = World::start(on).await;
    let refused = json!({"error": {"type": "invalid_request_error", "message": "This cannot be done."}});
    world.stripe.world().answering.push(("GET /v1/webhook_endpoints", 400, refused));
    let mut lost = updated("evt_1", &world.pays("cus_00000001"));
    lost["created"] = json!(SECONDS + 5);
    world.stripe.world().events.push(lost);
    let mut connection = world.app.intruder().await;
    sqlx::query("UPDATE billing_duties SET due_at = 0 WHERE name = 'poll'").execute(&mut connection).await.unwrap();
    drop(connection);
    world.until("SELECT count(*) FROM billing_duties WHERE error = 'stripe_refused'", 1).await;
    let mut connection = world.app.intruder().await;
    let (cursor,): (String,) = sqlx::query_as("SELECT cursor FROM billing_duties WHERE name = 'poll'")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(cursor, (SECONDS + 5).to_string());
    drop(connection);
    world.app.stop().await;
}

async fn what_is_long_over_is_forgotten(on: Database) {
    let world = World::start(on).await;
    let bought = world.pays("cus_00000001");
    assert_eq!(world.deliver(&updated("evt_1", &bought)).await, StatusCode::OK);
    world.becomes(|it| it.status == Status::Active).await;
    world.settled().await;
    let mut connection = world.app.intruder().await;
    for copied in [
        "INSERT INTO stripe_inbox SELECT 'evt_parked', type, object, subject, tenant_id, created, api_version, livemode,
             received_at - 3974400000, source, repeats, 'parked', attempts, next_attempt_at + 3974400000, error, NULL,
             of_customer, undelivered FROM stripe_inbox WHERE id = 'evt_1'",
        "INSERT INTO stripe_inbox SELECT 'evt_failed', type, object, subject, tenant_id, created, api_version, livemode,
             received_at - 3974400000, source, repeats, 'failed', attempts, next_attempt_at, error, NULL,
             of_customer, undelivered FROM stripe_inbox WHERE id = 'evt_1'",
        "INSERT INTO stripe_inbox SELECT 'look_failed', type, object, subject, tenant_id, created, api_version, livemode,
             received_at, 'look', repeats, 'failed', attempts, next_attempt_at, error, NULL,
             of_customer, undelivered FROM stripe_inbox WHERE id = 'evt_1'",
    ] {
        sqlx::query(copied).execute(&mut connection).await.unwrap();
    }
    drop(connection);
    // A look is no event that somebody told of.
    assert_eq!(world.health().await.inbox.failed, 1);
    world.duties().await;
    let health = world.health().await;
    assert_eq!((health.inbox.parked, health.inbox.failed), (0, 0));
    world.app.stop().await;
}

async fn whoever_pays_for_nothing_is_seen_among_many_others(on: Database) {
    let world = World::start(on).await;
    let mut other = subscription("sub_0", "cus_0", "canceled", SECONDS);
    other["items"]["data"][0]["price"]["id"] = json!("price_of_another_product");
    world.stripe.put("subscriptions", other);
    world.stripe.put("subscriptions", subscription("sub_z", "cus_z", "active", SECONDS));
    world.duties().await;
    let mut connection = world.app.intruder().await;
    sqlx::query(
        "INSERT INTO stripe_subscriptions (id, customer, tenant_id, fetched_at, body)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10001)
         SELECT 'sub_a' || CAST(i AS TEXT), 'cus_a' || CAST(i AS TEXT), NULL, fetched_at + 1000000000,
             replace(body, 'sub_0', 'sub_a' || CAST(i AS TEXT))
         FROM n, stripe_subscriptions WHERE id = 'sub_0'",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    drop(connection);
    world.duties().await;
    let nobody = world.drifts().await.into_iter().filter(|it| it.drift.kind() == DriftKind::UnknownCustomer);
    let nobody: Vec<_> = nobody.filter_map(|it| it.drift.subscription).collect();
    assert_eq!(nobody, ["sub_z"]);
    world.app.stop().await;
}

async fn an_event_of_the_other_mode_stays_refused_when_it_is_tried_again(on: Database) {
    let world = World::start(on).await;
    let mut live = updated("evt_1", &world.pays("cus_00000001"));
    live["livemode"] = json!(true);
    assert_eq!(world.deliver(&live).await, StatusCode::OK);
    let path = "/admin/v1/billing/events/evt_1/retry";
    let retry = world.app.request(paywall_domain::Role::Support, reqwest::Method::POST, path);
    let retried: Value = retry.send().await.unwrap().json().await.unwrap();
    assert_eq!((&retried["state"], &retried["error"]), (&json!("failed"), &json!("mode_mixed")));
    world.app.stop().await;
}

async fn an_unpaid_subscription_is_locked_since_the_last_attempt(on: Database) {
    let world = World::start(on).await;
    let bought = world.pays("cus_00000001");
    world.stripe.set("subscriptions", "sub_1", "status", json!("unpaid"));
    let mut open = invoice("in_1", "sub_1", "open", SECONDS - 9 * 86_400);
    open["attempt_count"] = json!(4);
    world.stripe.put("invoices", open);
    world.stripe.set("charges", "ch_in_1", "created", json!(SECONDS - 2 * 86_400));
    assert_eq!(world.deliver(&updated("evt_1", &bought)).await, StatusCode::OK);
    world.until("SELECT count(*) FROM stripe_inbox WHERE state = 'done'", 1).await;
    let subscription = world.tenant(1).await.facts.subscription.unwrap();
    assert_eq!(subscription.ended_at.unwrap().0, (SECONDS - 2 * 86_400) * 1000);
    world.app.stop().await;
}
