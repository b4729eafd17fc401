//! A database server that is killed under load and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use paywall_databases::Postgres;
use paywall_server::SystemClock;
use paywall_server::quota::{Admission, AllotmentKey, Counter, Quota, Settings, SqlLeaseStore};

use crate::parts::{JUNE, event, messages, reserve, tenant};

const LIMIT: i64 = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_is_killed_under_load_changes_nothing_about_a_limit() {
    let server = Postgres::durable().unwrap();
    let url = server.database().unwrap();
    let mut replicas = Vec::new();
    for _ in 0..2 {
        let store = SqlLeaseStore::open(&url, Arc::new(SystemClock)).await.unwrap();
        replicas.push(Quota::start(store, Settings::default()).0);
    }
    let admitted = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for number in 0..100 {
        let (quota, admitted) = (replicas[number % 2].clone(), Arc::clone(&admitted));
        tasks.push(tokio::spawn(async move {
            loop {
                match reserve(&quota, 1, messages(1, LIMIT)).await {
                    Admission::Reserved(it) => {
                        admitted.fetch_add(1, Ordering::SeqCst);
                        tokio::time::sleep(Duration::from_millis(150)).await;
                        assert!(it.settle(event(1, Counter::Messages, 1)).durable().await);
                    }
                    Admission::Exhausted(why) => return assert_eq!((why[0].used, why[0].held), (LIMIT, 0)),
                    Admission::Unavailable(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        }));
    }
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        server.kill();
        while !replicas.iter().all(Quota::store_is_away) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.restart().unwrap();
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(admitted.load(Ordering::SeqCst), LIMIT as usize);
    let store = SqlLeaseStore::open(&url, Arc::new(SystemClock)).await.unwrap();
    let key = AllotmentKey { tenant: tenant(1), counter: Counter::Messages, period: JUNE };
    assert_eq!(store.counted(&key).await.unwrap(), LIMIT);
    assert_eq!(store.events().await.unwrap(), LIMIT);
}
