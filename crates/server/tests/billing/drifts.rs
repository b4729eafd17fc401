//! Every kind of drift: produced, seen, repaired as the console repairs it, and gone.

use paywall_contract::{AdjustmentOutcome, EndpointStatus, KnownDrift, RepairOutcome};
use paywall_domain::billing::DriftKind;
use paywall_domain::{DAY_MS, Role, Status};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Database, NOW, extend, id, trying};
use crate::staff;
use crate::stripe::{Stripe, event, subscription};
use crate::world::{SECONDS, World, outcome, updated};

on_each_database! {
    a_clean_world_has_none,
    whoever_pays_and_is_blocked_is_read_anew_by_itself,
    what_differs_of_a_subscription_is_taken_over,
    taking_over_can_be_undone,
    the_end_of_a_trial_is_set_where_it_is_older,
    a_second_subscription_is_ended_by_an_owner,
    a_gift_and_its_pause_that_stripe_did_not_take_are_repaired,
    the_account_is_looked_at_and_repaired,
    what_only_a_person_can_do_says_so,
    an_event_of_the_other_mode_is_named,
}

/// An endpoint that hears of everything.
pub(crate) fn endpoint() -> Value {
    json!({"id": "we_1", "object": "webhook_endpoint", "url": "https://paywall.example/stripe/webhook",
        "status": "enabled", "enabled_events": ["*"], "livemode": false, "created": SECONDS})
}

/// Tenant 1 has paid, and Stripe delivers here.
pub(crate) async fn paying(on: Database) -> World {
    let stripe = Stripe::start().await;
    stripe.put("webhook_endpoints", endpoint());
    let world = World::start_with(on, stripe).await;
    let bought = world.pays("cus_00000001");
    assert_eq!(world.deliver(&updated("evt_1", &bought)).await, StatusCode::OK);
    world.becomes(|it| it.status == Status::Active).await;
    world.settled().await;
    world
}

/// The only drift, of this kind.
pub(crate) async fn only(world: &World, kind: DriftKind) -> KnownDrift {
    world.duties().await;
    let mut found = staff::drifts(world).await;
    assert_eq!(found.len(), 1, "{kind:?}: {found:?}");
    let found = found.remove(0);
    assert_eq!(found.drift.kind(), kind);
    found
}

/// Shows the repair, makes it, and sees that the drift is gone and stays so.
async fn repaired(world: &World, drift: &KnownDrift) -> RepairOutcome {
    let made = staff::repair(world, drift).await;
    assert_eq!(staff::drifts(world).await, [], "{:?}", drift.drift.kind());
    world.duties().await;
    assert_eq!(staff::drifts(world).await, [], "{:?}", drift.drift.kind());
    made
}

async fn a_clean_world_has_none(on: Database) {
    let world = paying(on).await;
    world.duties().await;
    assert_eq!(world.drifts().await, []);
    let health = world.health().await;
    let then = Some(NOW.plus_ms(1_000));
    assert_eq!((health.polled_at, health.reconciled_at), (then, then));
    assert!(health.poll_every_ms.is_some_and(|it| it >= 10_000), "by its age alone nobody knows whether it is late");
    assert_eq!(health.webhook.endpoint.unwrap().id, "we_1");
    assert_eq!((health.webhook.last_received_at, health.undelivered), (Some(NOW), Some(0)));
    world.app.stop().await;
}

async fn whoever_pays_and_is_blocked_is_read_anew_by_itself(on: Database) {
    let stripe = Stripe::start().await;
    stripe.put("webhook_endpoints", endpoint());
    let world = World::start_with(on, stripe).await;
    // Its events are older than Stripe keeps them.
    world.pays("cus_00000001");
    world.duties().await;
    world.becomes(|it| it.status == Status::Active).await;
    assert_eq!(world.number("SELECT count(*) FROM stripe_drifts WHERE kind = 'paid_but_blocked'").await, 1);
    assert_eq!(world.drifts().await, []);
    world.app.stop().await;
}

/// A change in Stripe that nothing tells of, and what it is called.
type Case = (DriftKind, fn(&Stripe));

async fn what_differs_of_a_subscription_is_taken_over(on: Database) {
    let world = paying(on).await;
    let item = |stripe: &Stripe, field: &str, value: Value| {
        let mut items = stripe.get("subscriptions", "sub_1")["items"].clone();
        *items.pointer_mut(&format!("/data/0/{field}")).unwrap() = value;
        stripe.set("subscriptions", "sub_1", "items", items);
    };
    let cases: [Case; 3] = [
        (DriftKind::StatusDiffers, |it| it.set("subscriptions", "sub_1", "cancel_at_period_end", json!(true))),
        (DriftKind::CurrencyDiffers, |it| it.set("subscriptions", "sub_1", "currency", json!("usd"))),
        (DriftKind::AccessWithoutSubscription, |it| {
            it.set("subscriptions", "sub_1", "status", json!("canceled"));
            it.set("subscriptions", "sub_1", "ended_at", json!(SECONDS));
        }),
    ];
    for (kind, field, value) in [
        (DriftKind::PlanDiffers, "price/id", json!("price_starter")),
        (DriftKind::PriceDiffers, "price/id", json!("price_starter_2")),
        (DriftKind::QuantityDiffers, "quantity", json!(3)),
    ] {
        item(&world.stripe, field, value);
        let drift = only(&world, kind).await;
        assert_eq!(drift.tenant_name.as_deref(), Some("One"));
        assert_eq!(drift.drift.at_stake.as_ref().unwrap().currency, "eur");
        let made = repaired(&world, &drift).await;
        // What is not among the facts changes no facts; it is recorded all the same.
        assert_eq!(made.adjustment.unwrap().actor, "owner");
    }
    assert_eq!(world.tenant(1).await.plan_in_force.as_str(), "starter");
    for (kind, change) in cases {
        change(&world.stripe);
        repaired(&world, &only(&world, kind).await).await;
    }
    assert_eq!(world.tenant(1).await.status, Status::Expired);
    // Sold to the tenant, on a customer that is not its own.
    let mut other = subscription("sub_9", "cus_other", "active", SECONDS);
    other["metadata"] = json!({"tenant_id": id(1).as_str()});
    world.stripe.put("subscriptions", other);
    world.duties().await;
    world.becomes(|it| it.status == Status::Active).await;
    let mut connection = world.app.intruder().await;
    sqlx::query("UPDATE tenants SET stripe_customer = 'cus_wrong'").execute(&mut connection).await.unwrap();
    drop(connection);
    repaired(&world, &only(&world, DriftKind::CustomerDiffers).await).await;
    assert_eq!(world.tenant(1).await.stripe_customer.as_deref(), Some("cus_other"));
    world.app.stop().await;
}

async fn taking_over_can_be_undone(on: Database) {
    let world = paying(on).await;
    world.stripe.set("subscriptions", "sub_1", "status", json!("canceled"));
    let drift = only(&world, DriftKind::AccessWithoutSubscription).await;
    let shown = outcome(world.repair(&drift.id, None).await).await;
    assert_eq!(shown.before.unwrap().status, Status::Active);
    assert_eq!(shown.after.unwrap().status, Status::Expired);
    assert_eq!(world.tenant(1).await.status, Status::Active, "it was only shown");
    let made = outcome(world.repair(&drift.id, Some("k1")).await).await;
    assert_eq!(world.tenant(1).await.status, Status::Expired);
    let adjustment = made.adjustment.unwrap();
    assert_eq!(adjustment.reason, "it differs");
    let undone = world.app.undo(&adjustment.id, "k2").await;
    assert_eq!(undone.status(), StatusCode::OK);
    let undone: AdjustmentOutcome = undone.json().await.unwrap();
    assert_eq!(undone.after.status, Status::Active);
    // The same drift begins anew.
    let again = only(&world, DriftKind::AccessWithoutSubscription).await;
    assert_eq!(again.id, drift.id);
    world.app.stop().await;
}

async fn the_end_of_a_trial_is_set_where_it_is_older(on: Database) {
    let world = paying(on).await;
    let seconds = |days: i64| SECONDS + days * 86_400;
    world.stripe.set("subscriptions", "sub_1", "status", json!("trialing"));
    world.stripe.set("subscriptions", "sub_1", "trial_end", json!(seconds(7)));
    assert_eq!(world.deliver(&updated("evt_2", &world.stripe.get("subscriptions", "sub_1"))).await, StatusCode::OK);
    let tenant = world.becomes(|it| it.facts.trial.as_ref().unwrap().ends_at == NOW.plus_ms(7 * DAY_MS)).await;
    assert_eq!(tenant.facts.subscription.unwrap().id, "sub_1");
    // Stripe's end moved.
    world.stripe.set("subscriptions", "sub_1", "trial_end", json!(seconds(9)));
    let made = repaired(&world, &only(&world, DriftKind::TrialEndDiffers).await).await;
    assert_eq!(made.stripe_writes, []);
    assert_eq!(world.tenant(1).await.facts.trial.unwrap().ends_at, NOW.plus_ms(9 * DAY_MS));
    // Staff moved it here, and Stripe did not take it.
    world.stripe.world().refusing = Some("POST /v1/subscriptions/sub_1");
    assert_eq!(world.app.change(1, "extend", extend(5)).await.status(), StatusCode::OK);
    world.until("SELECT count(*) FROM stripe_outbox WHERE state = 'failed'", 1).await;
    world.stripe.world().refusing = None;
    let made = repaired(&world, &only(&world, DriftKind::TrialEndDiffers).await).await;
    assert_eq!(made.stripe_writes[0].parameters[0].value, seconds(14).to_string());
    assert_eq!(world.stripe.get("subscriptions", "sub_1")["trial_end"], json!(seconds(14)));
    let refused = world.app.undo(&made.adjustment.unwrap().id, "undo").await;
    assert_eq!(refused.status(), StatusCode::CONFLICT, "it was made in Stripe");
    world.app.stop().await;
}

async fn a_second_subscription_is_ended_by_an_owner(on: Database) {
    let world = paying(on).await;
    world.stripe.put("subscriptions", subscription("sub_0", "cus_00000001", "active", SECONDS - 86_400));
    let drift = only(&world, DriftKind::TwoSubscriptions).await;
    assert_eq!(drift.drift.subscription.as_deref(), Some("sub_0"));
    let path = format!("/admin/v1/billing/drifts/{}/repair", drift.id);
    for (role, expected) in [(Role::Viewer, StatusCode::FORBIDDEN), (Role::Support, StatusCode::FORBIDDEN)] {
        let asked = world.app.request(role, Method::POST, &path).header("Idempotency-Key", "k").json(&json!({}));
        assert_eq!(asked.send().await.unwrap().status(), expected);
    }
    let made = repaired(&world, &drift).await;
    assert_eq!(made.stripe_writes[0].operation, "cancel_subscription");
    assert!(world.stripe.was_asked("DELETE /v1/subscriptions/sub_0"));
    assert_eq!(world.tenant(1).await.status, Status::Active);
    // A tenant that is deleted and goes on paying.
    let mut deleted = trying(1, "One", -1);
    deleted.deleted_at = Some(NOW);
    deleted.facts = world.tenant(1).await.facts;
    world.app.bring_in(vec![deleted]).await;
    let drift = only(&world, DriftKind::DeletedCustomerSubscription).await;
    repaired(&world, &drift).await;
    assert!(world.stripe.was_asked("DELETE /v1/subscriptions/sub_1"));
    world.app.stop().await;
}

async fn a_gift_and_its_pause_that_stripe_did_not_take_are_repaired(on: Database) {
    let world = paying(on).await;
    world.stripe.set("subscriptions", "sub_1", "status", json!("trialing"));
    world.stripe.set("subscriptions", "sub_1", "trial_end", json!(SECONDS + 7 * 86_400));
    assert_eq!(world.deliver(&updated("evt_2", &world.stripe.get("subscriptions", "sub_1"))).await, StatusCode::OK);
    world.becomes(|it| it.facts.trial.as_ref().unwrap().ends_at == NOW.plus_ms(7 * DAY_MS)).await;
    let refused = async |count: i64| {
        world.until("SELECT count(*) FROM stripe_outbox WHERE state = 'failed'", count).await;
        world.stripe.world().refusing = None;
    };
    let until = NOW.plus_days(60);
    world.stripe.world().refusing = Some("POST /v1/subscriptions/sub_1");
    let gift = json!({"kind": "comp", "plan": "enterprise", "until": until});
    let given: AdjustmentOutcome = world.app.change(1, "gift", gift).await.json().await.unwrap();
    refused(1).await;
    // The trial is over by then: what was given on it is not charged for all the same.
    world.stripe.set("subscriptions", "sub_1", "status", json!("active"));
    assert_eq!(world.deliver(&updated("evt_3", &world.stripe.get("subscriptions", "sub_1"))).await, StatusCode::OK);
    world.becomes(|it| it.facts.subscription.as_ref().unwrap().status.as_str() == "active").await;
    let made = repaired(&world, &only(&world, DriftKind::CollectionDiffers).await).await;
    assert_eq!(made.stripe_writes[0].parameters[0].value, "void");
    let pause = world.stripe.get("subscriptions", "sub_1")["pause_collection"].clone();
    assert_eq!(pause, json!({"behavior": "void", "resumes_at": until.0 / 1000}));
    // Taken back.
    world.stripe.world().refusing = Some("POST /v1/subscriptions/sub_1");
    assert_eq!(world.app.undo(&given.adjustment.unwrap().id, "undo").await.status(), StatusCode::OK);
    refused(2).await;
    repaired(&world, &only(&world, DriftKind::CollectionDiffers).await).await;
    assert_eq!(world.stripe.get("subscriptions", "sub_1")["pause_collection"], Value::Null);
    world.app.stop().await;
}

async fn the_account_is_looked_at_and_repaired(on: Database) {
    let world = paying(on).await;
    world.stripe.set("webhook_endpoints", "we_1", "status", json!("disabled"));
    let disabled = only(&world, DriftKind::WebhookEndpointDisabled).await;
    let made = staff::repair(&world, &disabled).await;
    let status = world.health().await.webhook.endpoint.unwrap().status;
    assert_eq!(status, EndpointStatus::Enabled, "the health is of the same look");
    world.duties().await;
    assert_eq!(staff::drifts(&world).await, []);
    assert_eq!(made.adjustment, None);
    assert_eq!(world.number("SELECT count(*) FROM billing_repairs").await, 1);
    world.stripe.set("webhook_endpoints", "we_1", "enabled_events", json!(["invoice.paid", "customer.created"]));
    repaired(&world, &only(&world, DriftKind::WebhookEventsMissing).await).await;
    let events = world.stripe.get("webhook_endpoints", "we_1")["enabled_events"].clone();
    assert!(events.as_array().unwrap().contains(&json!("customer.created")), "what it heard of stays");
    // Undelivered, and Stripe does not tell what of, so that asking alone does not process it.
    world.stripe.forbid("GET /v1/disputes/dp_7", "rak_dispute_read");
    let dispute = json!({"id": "dp_7", "object": "dispute", "status": "won", "created": SECONDS});
    let mut lost = event("evt_lost", "charge.dispute.closed", &dispute, SECONDS - 10 * 86_400);
    lost["delivered"] = json!(false);
    world.stripe.world().events.push(lost);
    world.app.clock.advance_ms(1_000);
    let mut connection = world.app.intruder().await;
    sqlx::query("UPDATE billing_duties SET due_at = 0 WHERE name = 'poll'").execute(&mut connection).await.unwrap();
    drop(connection);
    world.until("SELECT count(*) FROM stripe_drifts WHERE kind = 'undelivered_events' AND gone_at IS NULL", 1).await;
    assert_eq!(world.health().await.undelivered, Some(1));
    let listed = world.app.get("/admin/v1/billing/events?undelivered=true&state=pending").await;
    assert_eq!((&listed["items"][0]["id"], &listed["items"][0]["undelivered"]), (&json!("evt_lost"), &json!(true)));
    world.stripe.world().answering.clear();
    let drift = world.drifts().await.remove(0);
    repaired(&world, &drift).await;
    world.app.stop().await;
}

async fn what_only_a_person_can_do_says_so(on: Database) {
    let world = paying(on).await;
    let by_hand = async |kind: DriftKind| {
        let drift = only(&world, kind).await;
        let refused = world.repair(&drift.id, Some("k")).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let problem: Value = refused.json().await.unwrap();
        assert_eq!(problem["code"], "change_refused");
    };
    world.stripe.remove("webhook_endpoints", "we_1");
    by_hand(DriftKind::WebhookEndpointMissing).await;
    world.stripe.put("webhook_endpoints", endpoint());
    // Pays for a plan, and is nobody.
    world.stripe.put("subscriptions", subscription("sub_8", "cus_nobody", "active", SECONDS));
    by_hand(DriftKind::UnknownCustomer).await;
    world.stripe.remove("subscriptions", "sub_8");
    // A price that sells no plan.
    let mut items = world.stripe.get("subscriptions", "sub_1")["items"].clone();
    items["data"][0]["price"]["id"] = json!("price_made_by_hand");
    world.stripe.set("subscriptions", "sub_1", "items", items);
    world.stripe.set("subscriptions", "sub_1", "metadata", json!({"tenant_id": id(1).as_str()}));
    by_hand(DriftKind::UnknownPrice).await;
    let gone = world.repair("drf_none", Some("k")).await;
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    world.app.stop().await;
}

async fn an_event_of_the_other_mode_is_named(on: Database) {
    let world = paying(on).await;
    let mut live = updated("evt_live", &world.stripe.get("subscriptions", "sub_1"));
    live["livemode"] = json!(true);
    assert_eq!(world.deliver(&live).await, StatusCode::OK);
    let drift = only(&world, DriftKind::ModeMixed).await;
    let refused = world.repair(&drift.id, Some("k")).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    world.app.stop().await;
}
