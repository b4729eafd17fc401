//! Meters that are levels: documents, bytes, datasets, seats. What is deleted makes room.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use paywall_domain::Meter;
use serde_json::json;
use tokio::time::sleep;

use crate::on_each_pair;
use crate::ragflow::{id, key};
use crate::world::{Paywall, World, eventually, hour_ago, limit};

/// Longer than a tenant that was just read is not read again.
const READ_AGAIN: Duration = Duration::from_millis(2_300);

fn now() -> i64 {
    hour_ago() + 3_600_000
}

/// From now on each upload stores a document of so many bytes under the next of these names.
fn stores(world: &World, paywall: &Paywall, size: i64, names: Vec<&'static str>) {
    let (ragflow, names) = (Arc::clone(&world.ragflow), Mutex::new(names.into_iter()));
    paywall.upstream.does(move || {
        let name = names.lock().unwrap().next().unwrap();
        ragflow.upload(name, "kb1", 1, size, now());
    });
}

fn delete(world: &World, document: &str) {
    world
        .ragflow
        .sql(&format!("DELETE FROM document WHERE id = '{document}'; DELETE FROM file WHERE id = 'f{document}'"));
}

async fn uploads_stop_at_the_limit_and_go_on_once_there_is_room(world: World) {
    world.users(1);
    let paywall = world.serve_with(|config| limit(config, Meter::Documents, 3)).await;
    assert_eq!(paywall.used(1, Meter::Documents).await, 0);
    stores(&world, &paywall, 10, vec!["one", "two", "three", "four"]);
    for _ in 0..3 {
        let answer = paywall.upload(&key(1), "kb1", &[10]).await;
        assert!(answer.passed(), "{answer:?}");
    }
    let answer = paywall.upload(&key(1), "kb1", &[10]).await;
    assert_eq!((answer.status, answer.code()), (429, Some("quota_exhausted")));
    assert_eq!((answer.header("x-paywall-meter"), answer.header("retry-after")), (Some("documents"), None));
    eventually(async || paywall.used(1, Meter::Documents).await == 3).await;
    assert_eq!(paywall.upload(&key(1), "kb1", &[10]).await.status, 429);
    // A question needs no room.
    assert!(paywall.ask(&key(1), "d1").await.passed());

    sleep(READ_AGAIN).await;
    delete(&world, "two");
    let answer = paywall.upload(&key(1), "kb1", &[10]).await;
    assert!(answer.passed(), "there is room: {answer:?}");
    assert_eq!(paywall.upload(&key(1), "kb1", &[10]).await.status, 429);
    paywall.stop().await;
}

/// The measured level is the same each time: only when it was measured differs.
async fn what_comes_and_goes_does_not_add_up(world: World) {
    world.users(1);
    world.ragflow.upload("kept", "kb1", 1, 10, now());
    let paywall = world.serve_with(|config| limit(config, Meter::Documents, 3)).await;
    eventually(async || paywall.used(1, Meter::Documents).await == 1).await;
    let names = ["one", "two", "three", "four", "five"];
    stores(&world, &paywall, 10, names.to_vec());
    for name in names {
        let answer = paywall.upload(&key(1), "kb1", &[10]).await;
        assert!(answer.passed(), "{name}: {answer:?}");
        delete(&world, name);
        sleep(READ_AGAIN / 2).await;
    }
    paywall.stop().await;
}

async fn bytes_count_as_they_come_and_as_they_are_stored(world: World) {
    world.users(1);
    let paywall = world.serve_with(|config| limit(config, Meter::StorageBytes, 10_000)).await;
    paywall.tenant(1).await;
    stores(&world, &paywall, 6_000, vec!["one"]);
    assert!(paywall.upload(&key(1), "kb1", &[6_000]).await.passed());
    stores(&world, &paywall, 2_000, vec!["two", "three"]);
    let answer = paywall.upload(&key(1), "kb1", &[6_000]).await;
    assert_eq!((answer.status, answer.header("x-paywall-meter")), (429, Some("storage_bytes")));
    assert!(paywall.upload(&key(1), "kb1", &[2_000]).await.passed());
    sleep(READ_AGAIN).await;
    delete(&world, "one");
    let answer = paywall.upload(&key(1), "kb1", &[6_000]).await;
    assert!(answer.passed(), "{answer:?}");
    paywall.stop().await;
}

async fn datasets_and_seats_have_limits_too(world: World) {
    world.users(2);
    let paywall = world.serve_with(|config| {
        limit(config, Meter::Datasets, 2);
        limit(config, Meter::Seats, 2);
    });
    let paywall = paywall.await;
    eventually(async || paywall.used(1, Meter::Datasets).await == 1).await;
    let ragflow = Arc::clone(&world.ragflow);
    paywall.upstream.does(move || ragflow.dataset("made", 1, now()));
    let make = || paywall.send(paywall.post("/api/v1/datasets", &key(1), &json!({"name": "n"})));
    assert!(make().await.passed());
    let answer = make().await;
    assert_eq!((answer.status, answer.header("x-paywall-meter")), (429, Some("datasets")));
    let ragflow = Arc::clone(&world.ragflow);
    paywall.upstream.does(move || ragflow.join(2, 1, "invite", now()));
    let path = format!("/api/v1/tenants/{}/users", id(1));
    let invite = || paywall.send(paywall.post(&path, &key(1), &json!({"email": "user2@example2.com"})));
    assert!(invite().await.passed());
    let answer = invite().await;
    assert_eq!((answer.status, answer.header("x-paywall-meter")), (429, Some("seats")));
    paywall.upstream.does(|| {});
    // Whoever is asked to join costs the other nothing.
    assert!(paywall.send(paywall.post("/api/v1/datasets", &key(2), &json!({"name": "n"}))).await.passed());
    // An invitation is no member yet, and a seat is kept for it.
    assert_eq!(paywall.used(1, Meter::Seats).await, 1);
    sleep(READ_AGAIN).await;
    assert_eq!(invite().await.header("x-paywall-meter"), Some("seats"));
    paywall.stop().await;
}

on_each_pair!(
    uploads_stop_at_the_limit_and_go_on_once_there_is_room,
    what_comes_and_goes_does_not_add_up,
    bytes_count_as_they_come_and_as_they_are_stored,
    datasets_and_seats_have_limits_too,
);
