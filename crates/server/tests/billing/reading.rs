//! What a reading may cost nobody: clocks that differ, permissions that are lacking, keys of another account.

use std::time::Duration;

use paywall_contract::{StripeConnection, StripeFailure};
use paywall_domain::Status;
use paywall_domain::billing::DriftKind;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::app::{Database, id};
use crate::stripe::{Objects, event, subscription};
use crate::world::{SECONDS, World, updated};

on_each_database! {
    the_newest_reading_is_kept_whatever_the_clocks_say,
    what_changes_nothing_by_itself_keeps_nobody_from_access,
    the_key_of_another_account_ends_no_subscription,
    a_look_that_stripe_refuses_is_not_repeated_at_once,
}

async fn failure(world: &World) -> Option<StripeFailure> {
    let StripeConnection::Configured { error, .. } = world.health().await.stripe else { panic!() };
    error
}

async fn standing(world: &World) -> Value {
    world.app.get(&format!("/admin/v1/tenants/{}/billing", id(1))).await["standing"].clone()
}

async fn the_newest_reading_is_kept_whatever_the_clocks_say(on: Database) {
    let world = World::start(on).await;
    let bought = world.pays("cus_00000001");
    world.stripe.set("subscriptions", "sub_1", "status", json!("incomplete"));
    let present = paywall_server::Clock::now(&*world.app.clock);
    // A server whose clock is fast reads first.
    world.app.clock.advance_ms(60_000);
    assert_eq!(world.deliver(&updated("evt_1", &bought)).await, StatusCode::OK);
    world.until("SELECT count(*) FROM stripe_inbox WHERE state = 'done'", 1).await;
    assert_eq!(world.tenant(1).await.status, Status::Expired);
    // The customer pays, and one whose clock is right reads that.
    world.app.clock.set(present.plus_ms(1_000));
    world.stripe.set("subscriptions", "sub_1", "status", json!("active"));
    assert_eq!(world.deliver(&updated("evt_2", &bought)).await, StatusCode::OK);
    world.until("SELECT count(*) FROM stripe_inbox WHERE state = 'done'", 2).await;
    assert_eq!(world.tenant(1).await.status, Status::Active);
    world.app.stop().await;
}

async fn what_changes_nothing_by_itself_keeps_nobody_from_access(on: Database) {
    let world = World::start(on).await;
    world.stripe.forbid("GET /v1/charges", "rak_charge_read");
    let bought = world.pays("cus_00000001");
    assert_eq!(world.deliver(&updated("evt_1", &bought)).await, StatusCode::OK);
    world.becomes(|it| it.status == Status::Active).await;
    world.settled().await;
    let error = failure(&world).await.unwrap();
    assert_eq!(error.code, "stripe_permission_missing");
    assert_eq!(error.missing_permission.as_deref(), Some("rak_charge_read"));
    // What may be read says nothing of what may not.
    world.duties().await;
    assert_eq!(failure(&world).await.unwrap().missing_permission.as_deref(), Some("rak_charge_read"));
    // Granted, and disputed.
    world.stripe.world().answering.clear();
    let dispute =
        json!({"id": "dp_1", "object": "dispute", "charge": "ch_in_1", "status": "needs_response", "created": SECONDS});
    world.stripe.put("disputes", dispute.clone());
    world.stripe.set("charges", "ch_in_1", "disputed", json!(true));
    assert_eq!(world.deliver(&event("evt_2", "charge.dispute.created", &dispute, SECONDS)).await, StatusCode::OK);
    world.until("SELECT count(*) FROM stripe_inbox WHERE id = 'evt_2' AND state = 'done'", 1).await;
    assert_eq!((standing(&world).await, failure(&world).await), (json!("disputed"), None));
    // What was known stays while it cannot be read.
    world.stripe.forbid("GET /v1/disputes", "rak_dispute_read");
    assert_eq!(world.deliver(&updated("evt_3", &bought)).await, StatusCode::OK);
    world.settled().await;
    assert_eq!(standing(&world).await, "disputed");
    assert_eq!(failure(&world).await.unwrap().missing_permission.as_deref(), Some("rak_dispute_read"));
    // A charge that Stripe does not have costs nobody anything.
    world.stripe.world().answering.clear();
    world.stripe.remove("charges", "ch_in_1");
    world.stripe.set("subscriptions", "sub_1", "cancel_at_period_end", json!(true));
    assert_eq!(world.deliver(&updated("evt_4", &bought)).await, StatusCode::OK);
    world.becomes(|it| it.facts.subscription.as_ref().unwrap().cancel_at_period_end).await;
    world.settled().await;
    world.app.stop().await;
}

async fn the_key_of_another_account_ends_no_subscription(on: Database) {
    let world = World::start(on).await;
    let bought = world.pays("cus_00000001");
    assert_eq!(world.deliver(&updated("evt_1", &bought)).await, StatusCode::OK);
    world.becomes(|it| it.status == Status::Active).await;
    world.settled().await;
    // The other account sells the same to others.
    let other = json!({"sub_x": subscription("sub_x", "cus_x", "active", SECONDS)});
    let other: Objects = Objects::from([("subscriptions", serde_json::from_value(other).unwrap())]);
    let ours = world.stripe.swap(other);
    let mut connection = world.app.intruder().await;
    sqlx::query("UPDATE billing_duties SET due_at = 0").execute(&mut connection).await.unwrap();
    drop(connection);
    world.until("SELECT count(*) FROM billing_duties WHERE error = 'stripe_other_account'", 1).await;
    assert_eq!(failure(&world).await.unwrap().code, "stripe_other_account");
    assert_eq!(world.number("SELECT count(*) FROM stripe_subscriptions").await, 1, "nothing of it is kept");
    // Nor by a look at one customer.
    assert_eq!(world.deliver(&updated("evt_2", &bought)).await, StatusCode::OK);
    world.until("SELECT count(*) FROM stripe_inbox WHERE id = 'evt_2' AND error = 'stripe_other_account'", 1).await;
    assert_eq!(world.tenant(1).await.status, Status::Active);
    // The right key, and it goes on.
    world.stripe.swap(ours);
    world.app.clock.advance_ms(60_000);
    world.duties().await;
    assert_eq!(failure(&world).await, None);
    assert_eq!(world.tenant(1).await.status, Status::Active);
    // Whom Stripe really does not have any more is told from that.
    world.stripe.put("subscriptions", subscription("sub_2", "cus_00000002", "active", SECONDS));
    world.duties().await;
    world.stripe.remove("subscriptions", "sub_1");
    world.duties().await;
    world.becomes(|it| it.status == Status::Expired).await;
    world.app.stop().await;
}

async fn a_look_that_stripe_refuses_is_not_repeated_at_once(on: Database) {
    let world = World::start(on).await;
    let bought = world.pays("cus_00000001");
    world.stripe.put("subscriptions", subscription("sub_0", "cus_00000001", "active", SECONDS - 86_400));
    assert_eq!(world.deliver(&updated("evt_1", &bought)).await, StatusCode::OK);
    world.becomes(|it| it.status == Status::Active).await;
    world.settled().await;
    let drifts = world.drifts().await;
    let drift = drifts.iter().find(|it| it.drift.kind() == DriftKind::TwoSubscriptions).unwrap();
    world.stripe.world().delay = Duration::from_millis(300);
    let refusing = async {
        while !world.stripe.was_asked("DELETE /v1/subscriptions") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.stripe.forbid("GET /v1/subscriptions", "rak_subscription_read");
        world.stripe.world().asked.clear();
        world.stripe.world().delay = Duration::ZERO;
    };
    let (made, ()) = tokio::join!(world.repair(&drift.id, Some("k1")), refusing);
    assert_eq!(made.status(), StatusCode::OK);
    let asked = world.stripe.asked("GET /v1/subscriptions");
    assert!(asked <= 2, "asked {asked} times");
    world.until("SELECT count(*) FROM stripe_inbox WHERE state = 'pending' AND attempts = 1", 1).await;
    world.app.stop().await;
}
