//! Replicas that admit over a store in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use paywall_domain::{Limit, Meter};
use paywall_server::quota::{
    Admission, AllotmentKey, Ask, Counter, Demand, Exhausted, Quota, SPARE_SHARE, Settings, Unavailable,
};

use crate::memory::Memory;
use crate::parts::{JUNE, event, messages, reserve, reserved, tenant};

fn key(number: u32, counter: Counter) -> AllotmentKey {
    AllotmentKey { tenant: tenant(number), counter, period: JUNE }
}

fn replica(store: &Memory) -> Quota {
    Quota::start(store.clone(), Settings::default()).0
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(10), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// So many requests at once on each replica; answers how many were admitted.
pub(crate) async fn storm(replicas: &[Quota], requests: usize, limit: i64) -> usize {
    let admitted = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for number in 0..requests {
        let (quota, admitted) = (replicas[number % replicas.len()].clone(), Arc::clone(&admitted));
        tasks.push(tokio::spawn(async move {
            match reserve(&quota, 1, messages(1, limit)).await {
                Admission::Reserved(it) => {
                    admitted.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(number as u64 % 7)).await;
                    assert!(it.settle(event(1, Counter::Messages, 1)).durable().await);
                }
                Admission::Exhausted(why) => assert_eq!((why[0].used, why[0].held), (limit, 0)),
                Admission::Unavailable(why) => panic!("{why}"),
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    admitted.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_thousand_requests_on_two_replicas_a_limit_of_a_thousand_admits_a_thousand() {
    let store = Memory::default();
    let replicas = [replica(&store), replica(&store)];
    assert_eq!(storm(&replicas, 10_000, 1_000).await, 1_000);
    assert_eq!(store.counted(&key(1, Counter::Messages)), 1_000);
    assert_eq!(store.events(), 1_000);
}

#[tokio::test]
async fn far_from_the_limit_nobody_waits_for_the_store() {
    let store = Memory::default();
    let quota = replica(&store);
    let limit = 1_000 * SPARE_SHARE;
    for _ in 0..20 {
        drop(reserved(&quota, 1, messages(1, limit)).await.settle(event(1, Counter::Messages, 1)));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let before = store.commits.load(Ordering::SeqCst);
    for _ in 0..2 {
        let held = reserved(&quota, 1, messages(1, limit)).await;
        assert_eq!(store.commits.load(Ordering::SeqCst), before, "it did not yield to the task");
        drop(held.settle(event(1, Counter::Messages, 1)));
    }
}

#[tokio::test]
async fn what_is_given_back_and_what_was_not_used_is_there_for_others() {
    let store = Memory::default();
    let replicas = [replica(&store), replica(&store)];
    let first = reserved(&replicas[0], 1, messages(3, 3)).await;
    let Admission::Exhausted(why) = reserve(&replicas[1], 1, messages(1, 3)).await else { panic!() };
    let full = Exhausted { meter: Meter::Messages, used: 3, limit: 3, resets_at: Some(JUNE.end), held: 0 };
    assert_eq!(why, [full]);
    assert!(first.settle(event(1, Counter::Messages, 1)).durable().await);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let second = reserved(&replicas[1], 1, messages(2, 3)).await;
    drop(second);
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(reserved(&replicas[0], 1, messages(2, 3)).await);
}

#[tokio::test]
async fn units_that_another_replica_has_ahead_are_asked_back() {
    let store = Memory::default();
    let replicas = [replica(&store), replica(&store)];
    let limit = 10 * SPARE_SHARE;
    // The first replica has some ahead.
    for _ in 0..10 {
        assert!(
            reserved(&replicas[0], 1, messages(1, limit)).await.settle(event(1, Counter::Messages, 1)).durable().await
        );
    }
    until("it takes some ahead", || store.used(&key(1, Counter::Messages)) > 10).await;
    // All the rest, to the last unit.
    let rest = reserved(&replicas[1], 1, messages(limit - 10, limit)).await;
    assert_eq!(store.used(&key(1, Counter::Messages)), limit);
    drop(rest);
}

#[tokio::test]
async fn an_estimate_takes_what_is_left_and_may_end_beyond_it() {
    let store = Memory::default();
    let quota = replica(&store);
    let tokens = |units| Ask { counter: Counter::Tokens, demand: Demand::up_to(units), limit: Limit::AtMost(100) };
    let first = reserved(&quota, 1, tokens(80)).await;
    let second = reserved(&quota, 1, tokens(80)).await;
    assert_eq!((first.units(Counter::Tokens), second.units(Counter::Tokens)), (80, 20));
    assert!(matches!(reserve(&quota, 1, tokens(1)).await, Admission::Exhausted(_)));
    assert!(first.settle(event(1, Counter::Tokens, 70)).durable().await);
    assert!(second.settle(event(1, Counter::Tokens, 45)).durable().await);
    assert_eq!(store.counted(&key(1, Counter::Tokens)), 115);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let Admission::Exhausted(why) = reserve(&quota, 1, tokens(1)).await else { panic!() };
    assert_eq!((why[0].used, why[0].limit), (115, 100));
}

#[tokio::test]
async fn of_several_counters_all_are_reserved_or_none() {
    let store = Memory::default();
    let quota = replica(&store);
    let requests = Ask { counter: Counter::ApiRequests, ..messages(1, 0) };
    let Admission::Exhausted(why) = quota.reserve(&tenant(1), JUNE, &[messages(1, 1), requests]).await else {
        panic!()
    };
    assert_eq!(why.iter().map(|it| it.meter).collect::<Vec<_>>(), [Meter::ApiRequests]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(reserved(&quota, 1, messages(1, 1)).await);
}

#[tokio::test]
async fn without_a_limit_nothing_is_asked_and_all_is_counted() {
    let store = Memory::default();
    store.away.store(true, Ordering::SeqCst);
    let quota = replica(&store);
    let unlimited = Ask { limit: Limit::Unlimited, ..messages(1, 0) };
    let receipt = reserved(&quota, 1, unlimited).await.settle(event(1, Counter::Messages, 1));
    store.away.store(false, Ordering::SeqCst);
    assert!(receipt.durable().await);
    assert_eq!(store.counted(&key(1, Counter::Messages)), 1);
    // A limit that comes later finds it counted.
    assert!(matches!(reserve(&quota, 1, messages(1, 1)).await, Admission::Exhausted(_)));
}

#[tokio::test]
async fn a_caller_that_goes_away_while_it_waits_leaves_nothing_behind() {
    let store = Memory::default();
    let quota = replica(&store);
    for _ in 0..20 {
        let waited = tokio::time::timeout(Duration::from_millis(1), reserve(&quota, 1, messages(1, 1))).await;
        drop(waited);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(reserved(&quota, 1, messages(1, 1)).await);
}

#[tokio::test]
async fn a_limit_that_changes_holds_from_the_next_request_on() {
    let store = Memory::default();
    let quota = replica(&store);
    let limit = 10 * SPARE_SHARE;
    for _ in 0..5 {
        assert!(reserved(&quota, 1, messages(1, limit)).await.settle(event(1, Counter::Messages, 1)).durable().await);
    }
    assert!(matches!(reserve(&quota, 1, messages(1, 5)).await, Admission::Exhausted(_)));
    assert!(matches!(reserve(&quota, 1, messages(1, 5)).await, Admission::Exhausted(_)));
    drop(reserved(&quota, 1, messages(1, 6)).await);
}

#[tokio::test]
async fn while_the_store_is_away_events_wait_and_none_is_lost_or_doubled() {
    let store = Memory::default();
    let (quota, _) = Quota::start(
        store.clone(),
        Settings { spool: 50, longest_pause: Duration::from_millis(100), ..Settings::default() },
    );
    let held: Vec<_> = futures_of(&quota, 40).await;
    // What is done is not answered: the outcome is unknown.
    store.mute.store(true, Ordering::SeqCst);
    let mut receipts: Vec<_> = held.into_iter().map(|it| it.settle(event(1, Counter::Messages, 1))).collect();
    until("it notices", || quota.store_is_away()).await;
    let began = Instant::now();
    assert!(matches!(reserve(&quota, 2, messages(1, 10)).await, Admission::Unavailable(Unavailable::Store)));
    assert!(began.elapsed() < Duration::from_millis(100), "nobody waits for a store that is known to be away");
    store.away.store(true, Ordering::SeqCst);
    // The gate's policy may let work through all the same, until the spool is full.
    let refused = loop {
        match quota.count(event(1, Counter::Messages, 1)) {
            Ok(receipt) => receipts.push(receipt),
            Err(why) => break why,
        }
    };
    assert_eq!(refused, Unavailable::SpoolFull);
    assert!(matches!(reserve(&quota, 1, messages(1, 500)).await, Admission::Unavailable(Unavailable::SpoolFull)));
    let tries = store.commits.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(store.commits.load(Ordering::SeqCst) - tries < 15, "it is tried now and then");
    store.away.store(false, Ordering::SeqCst);
    store.mute.store(false, Ordering::SeqCst);
    let count = receipts.len();
    for receipt in receipts {
        assert!(receipt.durable().await);
    }
    assert_eq!(store.events(), count);
    assert_eq!(store.counted(&key(1, Counter::Messages)), count as i64);
    until("nothing stays held", || store.used(&key(1, Counter::Messages)) == count as i64).await;
    drop(reserved(&quota, 1, messages(1, 500)).await);
}

async fn futures_of(quota: &Quota, count: usize) -> Vec<paywall_server::quota::Reservation> {
    let mut held = Vec::new();
    for _ in 0..count {
        held.push(reserved(quota, 1, messages(1, 500)).await);
    }
    held
}

#[tokio::test]
async fn a_replica_that_stops_returns_what_it_holds_and_writes_what_it_knows() {
    let store = Memory::default();
    let (quota, task) = Quota::start(store.clone(), Settings::default());
    let limit = 100 * SPARE_SHARE;
    for _ in 0..50 {
        drop(reserved(&quota, 1, messages(1, limit)).await.settle(event(1, Counter::Messages, 1)));
    }
    quota.close();
    assert!(matches!(reserve(&quota, 1, messages(1, limit)).await, Admission::Unavailable(Unavailable::Stopping)));
    task.await.unwrap();
    assert_eq!(store.counted(&key(1, Counter::Messages)), 50);
    assert_eq!(store.used(&key(1, Counter::Messages)), 50);
}

/// Else a rush of callers would be let through by the policy for outages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_slow_but_answers_others_is_waited_for() {
    let store = Memory::default();
    store.slower.store(250, Ordering::SeqCst);
    let patience = Duration::from_millis(350);
    let quota = Quota::start(store.clone(), Settings { patience, ..Settings::default() }).0;
    let first = tokio::spawn({
        let quota = quota.clone();
        async move { reserve(&quota, 1, messages(1, 10)).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    // Its turn comes once the first one is answered.
    assert!(matches!(reserve(&quota, 2, messages(1, 10)).await, Admission::Reserved(_)));
    assert!(began.elapsed() > patience, "{:?}", began.elapsed());
    assert!(matches!(first.await.unwrap(), Admission::Reserved(_)));
    // One that answers nobody is away.
    store.slower.store(5_000, Ordering::SeqCst);
    let late = reserve(&quota, 3, messages(1, 10)).await;
    assert!(matches!(late, Admission::Unavailable(Unavailable::Store)), "{late:?}");
}
