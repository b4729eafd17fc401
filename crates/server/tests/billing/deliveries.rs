//! Deliveries: what is taken, what is refused, and what follows from it.

use std::time::{Duration, Instant};

use paywall_contract::{DriftCount, StripeConnection};
use paywall_domain::Status;
use paywall_domain::billing::DriftKind;
use reqwest::StatusCode;
use serde_json::json;

use crate::app::{Database, held, trying};
use crate::stripe::{SECRET, event, signature, subscription};
use crate::world::{SECONDS, World, becomes, deliver, post, updated};

on_each_database! {
    whoever_pays_is_active_within_two_seconds_on_every_server,
    only_what_stripe_signed_is_taken,
    what_is_delivered_again_is_done_once_and_counted,
    a_reading_that_was_overtaken_is_not_kept,
    what_is_not_kept_is_refused_so_that_stripe_repeats_it,
    what_stripe_does_not_tell_now_is_asked_again,
    a_lost_delivery_is_found_by_asking,
    an_event_of_the_other_mode_is_named_and_changes_nothing,
    servers_share_the_work,
    a_delivery_does_not_wait_for_changes_of_others,
}

async fn whoever_pays_is_active_within_two_seconds_on_every_server(on: Database) {
    let world = World::start(on).await;
    let other = world.app.replica().await;
    assert_eq!(world.tenant(1).await.status, Status::Expired);
    let bought = world.pays("cus_00000001");
    let sent = Instant::now();
    assert_eq!(world.deliver(&updated("evt_1", &bought)).await, StatusCode::OK);
    let tenant = world.becomes(|it| it.status == Status::Active).await;
    becomes(&other, 1, |it| it.status == Status::Active).await;
    assert!(sent.elapsed() < Duration::from_secs(2), "{:?}", sent.elapsed());
    assert_eq!(tenant.plan_in_force.as_str(), "pro");
    assert_eq!(tenant.facts.subscription.unwrap().id, "sub_1");
    let timeline = world.app.get(&format!("/admin/v1/tenants/{}/timeline", tenant.id)).await;
    let kinds: Vec<_> = timeline["items"].as_array().unwrap().iter().map(|it| it["body"]["kind"].clone()).collect();
    assert!(kinds.contains(&json!("subscription_started")), "{kinds:?}");
    // The tenant is found by its subscription.
    assert_eq!(world.app.get("/admin/v1/tenants?text=sub_1").await["items"].as_array().unwrap().len(), 1);
    other.stop().await;
    world.app.stop().await;
}

async fn only_what_stripe_signed_is_taken(on: Database) {
    let world = World::start(on).await;
    let bought = world.pays("cus_00000001");
    let body = updated("evt_1", &bought).to_string();
    let good = signature(body.as_bytes(), SECRET, SECONDS);
    for (what, body, header) in [
        ("tampered", body.replace("active", "paused"), good.clone()),
        ("another secret", body.clone(), signature(body.as_bytes(), "whsec_other", SECONDS)),
        ("too old", body.clone(), signature(body.as_bytes(), SECRET, SECONDS - 301)),
        ("no header", body.clone(), String::new()),
        ("another scheme", body.clone(), good.replace("v1=", "v0=")),
        ("no event", "[]".to_owned(), signature(b"[]", SECRET, SECONDS)),
    ] {
        assert_eq!(post(&world.app, body, &header).await, StatusCode::BAD_REQUEST, "{what}");
    }
    let large = "x".repeat(1024 * 1024 + 1);
    let signed = signature(large.as_bytes(), SECRET, SECONDS);
    assert_eq!(post(&world.app, large, &signed).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(world.number("SELECT count(*) FROM stripe_inbox").await, 0);
    // While a secret is rolled, Stripe signs with both.
    let stranger = signature(body.as_bytes(), "whsec_other", SECONDS);
    let both = format!("{good},{}", stranger.split_once(',').unwrap().1);
    assert_eq!(post(&world.app, body, &both).await, StatusCode::OK);
    world.becomes(|it| it.status == Status::Active).await;
    world.app.stop().await;
}

async fn what_is_delivered_again_is_done_once_and_counted(on: Database) {
    let world = World::start(on).await;
    let bought = world.pays("cus_00000001");
    let told = updated("evt_1", &bought);
    for _ in 0..3 {
        assert_eq!(world.deliver(&told).await, StatusCode::OK);
    }
    let version = world.becomes(|it| it.status == Status::Active).await.version;
    world.settled().await;
    // Long after it was done, and while Stripe says the same.
    assert_eq!(world.deliver(&told).await, StatusCode::OK);
    // Another event, of the same second, in the wrong order.
    assert_eq!(
        world.deliver(&event("evt_0", "invoice.paid", &world.stripe.get("invoices", "in_1"), SECONDS)).await,
        200
    );
    world.settled().await;
    assert_eq!(world.tenant(1).await.version, version);
    let today = world.health().await.deliveries.pop().unwrap();
    assert_eq!((today.received, today.repeated, today.processed), (2, 3, 2));
    world.app.stop().await;
}

async fn a_reading_that_was_overtaken_is_not_kept(on: Database) {
    let world = World::start(on).await;
    let bought = world.pays("cus_00000001");
    world.stripe.set("subscriptions", "sub_1", "status", json!("canceled"));
    world.stripe.world().delay = Duration::from_millis(1_500);
    world.stripe.world().asked.clear();
    assert_eq!(world.deliver(&updated("evt_1", &bought)).await, StatusCode::OK);
    while !world.stripe.was_asked("GET /v1/subscriptions") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Its answer is on its way. Meanwhile the customer pays, and whoever reads it seems to be gone.
    world.stripe.world().delay = Duration::ZERO;
    world.stripe.set("subscriptions", "sub_1", "status", json!("active"));
    world.app.clock.advance_ms(60_000);
    assert_eq!(world.deliver(&updated("evt_2", &bought)).await, StatusCode::OK);
    world.becomes(|it| it.status == Status::Active).await;
    tokio::time::sleep(Duration::from_millis(2_000)).await;
    assert_eq!(world.tenant(1).await.status, Status::Active, "the older reading came last");
    world.settled().await;
    world.app.stop().await;
}

async fn what_is_not_kept_is_refused_so_that_stripe_repeats_it(on: Database) {
    let world = World::start(on).await;
    let bought = world.pays("cus_00000001");
    world.app.place.refuse_writes("stripe_inbox").await;
    assert_eq!(world.deliver(&updated("evt_1", &bought)).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.tenant(1).await.status, Status::Expired);
    world.app.stop().await;
}

async fn what_stripe_does_not_tell_now_is_asked_again(on: Database) {
    let world = World::start(on).await;
    let bought = world.pays("cus_00000001");
    let message = "The provided key does not have the required permissions for this endpoint on account 'acct_1'. \
                   Having the 'rak_subscription_read' permission would allow this request to continue.";
    let refusal = json!({"error": {"type": "invalid_request_error", "message": message}});
    world.stripe.world().failing = Some((403, refusal));
    assert_eq!(world.deliver(&updated("evt_1", &bought)).await, StatusCode::OK);
    world.until("SELECT count(*) FROM stripe_inbox WHERE attempts = 1", 1).await;
    let StripeConnection::Configured { reachable, error, .. } = world.health().await.stripe else { panic!() };
    let error = error.unwrap();
    assert_eq!((reachable, error.code.as_str()), (Some(false), "stripe_permission_missing"));
    assert_eq!(error.missing_permission.as_deref(), Some("rak_subscription_read"));
    world.stripe.world().failing = None;
    // The failure may be written down only now, with its pause counted from then on.
    let passing = async {
        loop {
            world.app.clock.advance_ms(1_000);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = passing => {}
        _ = world.becomes(|it| it.status == Status::Active) => {}
    }
    let StripeConnection::Configured { reachable, error, .. } = world.health().await.stripe else { panic!() };
    assert_eq!((reachable, error), (Some(true), None));
    world.app.stop().await;
}

async fn a_lost_delivery_is_found_by_asking(on: Database) {
    let world = World::start(on).await;
    let bought = world.pays("cus_00000001");
    let mut lost = updated("evt_1", &bought);
    lost["delivered"] = json!(false);
    world.stripe.world().events.push(lost);
    world.app.clock.advance_ms(3_600_000);
    world.becomes(|it| it.status == Status::Active).await;
    world.until("SELECT count(*) FROM stripe_inbox WHERE source = 'poll' AND state = 'done'", 1).await;
    world.app.stop().await;
}

async fn an_event_of_the_other_mode_is_named_and_changes_nothing(on: Database) {
    let world = World::start(on).await;
    let bought = world.pays("cus_00000001");
    let mut live = updated("evt_1", &bought);
    live["livemode"] = json!(true);
    assert_eq!(world.deliver(&live).await, StatusCode::OK);
    world.duties().await;
    let found: Vec<DriftCount> = world.health().await.drifts;
    assert!(found.iter().any(|it| it.kind == DriftKind::ModeMixed && it.count == 1), "{found:?}");
    assert_eq!(world.health().await.inbox.failed, 1);
    world.app.stop().await;
}

async fn servers_share_the_work(on: Database) {
    let world = World::start(on).await;
    let other = world.app.replica().await;
    let many = 2..22_u32;
    world.app.bring_in(many.clone().map(|number| trying(number, "Many", -1)).collect()).await;
    for number in many.clone() {
        let bought = subscription(&format!("sub_{number}"), &format!("cus_{number:08}"), "active", SECONDS);
        world.stripe.put("subscriptions", bought.clone());
        for (index, app) in [&world.app, &other].into_iter().enumerate() {
            assert_eq!(deliver(app, &updated(&format!("evt_{number}_{index}"), &bought)).await, StatusCode::OK);
        }
    }
    for number in many {
        let tenant = becomes(&other, number, |it| it.status == Status::Active).await;
        // Taken over once, whoever did it.
        assert_eq!(tenant.version, 2, "{number}");
    }
    other.stop().await;
    world.app.stop().await;
}

async fn a_delivery_does_not_wait_for_changes_of_others(on: Database) {
    let world = World::start(on).await;
    let bought = world.pays("cus_00000001");
    let mut intruder = world.app.intruder().await;
    let change = held(&mut intruder).await;
    let told = updated("evt_1", &bought);
    let delivery = world.deliver(&told);
    if on == Database::Postgres {
        assert_eq!(delivery.await, StatusCode::OK);
        assert_eq!(world.tenant(1).await.status, Status::Expired, "the change itself waits");
        change.rollback().await.unwrap();
    } else {
        // A file has one writer. It waits its turn, and is kept.
        let (status, ended) = tokio::join!(delivery, change.rollback());
        ended.unwrap();
        assert_eq!(status, StatusCode::OK);
    }
    world.becomes(|it| it.status == Status::Active).await;
    world.app.stop().await;
}
