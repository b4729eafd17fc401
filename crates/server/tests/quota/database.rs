//! Leases and usage in both databases.

use std::sync::Arc;
use std::time::Duration;

use paywall_contract::{ChangeRecord, ChangesPage, DailyUsage, IntakeRecord, TenantIntake};
use paywall_databases::Postgres;
use paywall_domain::{DAY_MS, Meter, Role, TenantFacts};
use paywall_server::quota::{
    Admission, AllotmentKey, Batch, Claim, Counter, HolderId, LeaseStore, Quota, Settings, SqlLeaseStore,
};
use paywall_server::{Config, Server, TestClock};
use sqlx::Connection;
use tempfile::TempDir;

use crate::admission::storm;
use crate::parts::{JUNE, NOW, event, messages, named, reserve, reserved, tenant};

/// A database of its own.
struct Place {
    url: String,
    folder: TempDir,
    _server: Option<Arc<Postgres>>,
}

impl Place {
    fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("server.db").display());
        Self { url, folder, _server: None }
    }

    fn postgres() -> Self {
        let server = Postgres::shared().unwrap();
        Self { url: server.database().unwrap(), folder: tempfile::tempdir().unwrap(), _server: Some(server) }
    }

    async fn store(&self, clock: &Arc<TestClock>) -> SqlLeaseStore {
        SqlLeaseStore::open(&self.url, clock.clone()).await.unwrap()
    }

    async fn server(&self, clock: &Arc<TestClock>) -> Server {
        let mut config = Config::embedded(self.folder.path().join("server.db"), "127.0.0.1:0".parse().unwrap());
        config.database_url.clone_from(&self.url);
        Server::open(config, clock.clone()).await.unwrap()
    }
}

fn clock() -> Arc<TestClock> {
    Arc::new(TestClock::at(NOW))
}

fn key(number: u32, counter: Counter) -> AllotmentKey {
    AllotmentKey { tenant: tenant(number), counter, period: JUNE }
}

fn intake(number: u32, used: i64) -> IntakeRecord {
    let mut facts = TenantFacts {
        plan: "trial".into(),
        trial: None,
        comp: None,
        suspension: None,
        subscription: None,
        overrides: std::collections::BTreeMap::new(),
    };
    facts.plan = paywall_server::built_in_plans()[0].id.clone();
    let day = DailyUsage { day: JUNE.start.plus_days(1), amounts: [(Meter::Messages, used)].into() };
    IntakeRecord::Tenant(Box::new(TenantIntake {
        id: tenant(number),
        name: "Acme".to_owned(),
        email: "a@acme.example".to_owned(),
        created_at: JUNE.start,
        deleted_at: None,
        stripe_customer: None,
        facts,
        members: Vec::new(),
        gauges: std::collections::BTreeMap::new(),
        usage: Some(vec![day]),
        period: Some((JUNE.start, JUNE.end)),
        measured_at: None,
        last_active_at: None,
        last_refusal: None,
        timeline: Vec::new(),
    }))
}

macro_rules! on_each_database {
    ($($case:ident),+ $(,)?) => { $(
        mod $case {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$case(super::Place::sqlite()).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$case(super::Place::postgres()).await;
            }
        }
    )+ };
}

on_each_database!(
    two_replicas_admit_a_thousand_of_ten_thousand,
    what_was_used_before_counts_and_what_is_used_is_told,
    an_event_counts_once_and_for_tenants_unknown_too,
    what_a_dead_replica_covered_is_counted_once_it_is_gone,
    a_holder_is_told_what_others_want_back,
);

async fn two_replicas_admit_a_thousand_of_ten_thousand(place: Place) {
    // Clocks that are an hour off say nothing about leases.
    let clocks = [clock(), Arc::new(TestClock::at(NOW.plus_ms(3_600_000)))];
    let settings = Settings { patience: Duration::from_secs(20), ..Settings::default() };
    let mut replicas = Vec::new();
    for clock in &clocks {
        replicas.push(Quota::start(place.store(clock).await, settings).0);
    }
    assert_eq!(storm(&replicas, 10_000, 1_000).await, 1_000);
    let store = place.store(&clock()).await;
    assert_eq!(store.counted(&key(1, Counter::Messages)).await.unwrap(), 1_000);
    assert_eq!(store.events().await.unwrap(), 1_000);
}

async fn what_was_used_before_counts_and_what_is_used_is_told(place: Place) {
    let clock = clock();
    let server = place.server(&clock).await;
    assert_eq!(server.import([intake(1, 7)]).await.unwrap().refused, []);
    let (quota, task) = Quota::start(place.store(&clock).await, Settings::default());
    let held = reserved(&quota, 1, messages(3, 10)).await;
    let Admission::Exhausted(why) = reserve(&quota, 1, messages(1, 10)).await else { panic!() };
    assert_eq!((why[0].used, why[0].limit), (10, 10));
    assert!(held.settle(event(1, Counter::Messages, 2)).durable().await);
    quota.close();
    task.await.unwrap();
    let store = place.store(&clock).await;
    assert_eq!(store.publish(10).await.unwrap(), 1);
    assert_eq!(store.publish(10).await.unwrap(), 0);

    let token = server.create_token("test", Role::Viewer, None).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/admin/v1/changes", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { server.serve(listener, tokio_util::sync::CancellationToken::new()).await });
    let page: ChangesPage =
        reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap().json().await.unwrap();
    serving.abort();
    let told = page.changes.iter().find_map(|it| if let ChangeRecord::Tenant(it) = it { Some(it) } else { None });
    let told = told.unwrap();
    let reading = told.meters.iter().find(|it| it.meter == Meter::Messages).unwrap();
    assert_eq!(reading.used, Some(9));
}

async fn an_event_counts_once_and_for_tenants_unknown_too(place: Place) {
    let store = place.store(&clock()).await;
    let holder = HolderId::generate();
    let twice = named("one".to_owned(), 1, Counter::Tokens, 5);
    let odd = named("nul\0 and 'quote' \u{1F600}".to_owned(), 1, Counter::Tokens, 7);
    let mut late = named("late".to_owned(), 1, Counter::Tokens, 11);
    late.at = JUNE.end.plus_ms(3 * DAY_MS);
    for _ in 0..2 {
        let events = vec![twice.clone(), twice.clone(), odd.clone(), late.clone()];
        assert_eq!(store.commit(&holder, &Batch { events, claims: Vec::new() }).await.unwrap(), []);
    }
    assert_eq!(store.counted(&key(1, Counter::Tokens)).await.unwrap(), 23);
    assert_eq!(store.events().await.unwrap(), 3);
}

fn claim(revision: i64, need: i64, limit: i64) -> Claim {
    Claim { revision, known: revision > 1, hold: 0, need, wish: need, limit }
}

fn claims(number: u32, claim: Claim) -> Batch {
    Batch { events: Vec::new(), claims: vec![(key(number, Counter::Messages), claim)] }
}

async fn what_a_dead_replica_covered_is_counted_once_it_is_gone(place: Place) {
    let clock = clock();
    let store = place.store(&clock).await;
    let (dead, alive) = (HolderId::generate(), HolderId::generate());
    assert_eq!(store.commit(&dead, &claims(1, claim(1, 3, 10))).await.unwrap()[0].covered, 3);
    assert_eq!(store.commit(&alive, &claims(1, claim(1, 9, 10))).await.unwrap()[0].covered, 7);
    assert_eq!(store.write_off().await.unwrap(), 0);
    if place.url.starts_with("postgres") {
        // The database's clock is the one that counts: what the replica's says changes nothing.
        clock.advance_ms(2 * 3_600_000);
        assert_eq!(store.write_off().await.unwrap(), 0);
        let mut other = sqlx::AnyConnection::connect(&place.url).await.unwrap();
        sqlx::query("UPDATE quota_holders SET seen_at = 0 WHERE holder = $1")
            .bind(&dead.0)
            .execute(&mut other)
            .await
            .unwrap();
    } else {
        clock.advance_ms(2 * 3_600_000);
        store.commit(&alive, &Batch::default()).await.unwrap();
    }
    assert_eq!(store.write_off().await.unwrap(), 1);
    assert_eq!(store.write_off().await.unwrap(), 0);
    assert_eq!(store.counted(&key(1, Counter::Messages)).await.unwrap(), 3);
    let late = store.commit(&dead, &claims(1, claim(2, 3, 10))).await.unwrap();
    assert!(late[0].lost);
    assert_eq!(store.commit(&alive, &claims(1, claim(2, 9, 10))).await.unwrap()[0].covered, 7);
}

async fn a_holder_is_told_what_others_want_back(place: Place) {
    let store = place.store(&clock()).await;
    let (one, other) = (HolderId::generate(), HolderId::generate());
    let limit = 5_000;
    let ahead = Claim { wish: 100, ..claim(1, 1, limit) };
    assert_eq!(store.commit(&one, &claims(1, ahead)).await.unwrap()[0].covered, 5);
    assert_eq!(store.wanted(&one).await.unwrap(), []);
    let lacks = store.commit(&other, &claims(1, claim(1, limit - 1, limit))).await.unwrap()[0];
    assert_eq!((lacks.covered, lacks.held), (limit - 5, 4));
    assert_eq!(store.wanted(&one).await.unwrap(), [key(1, Counter::Messages)]);
    assert_eq!(store.commit(&one, &claims(1, claim(2, 1, limit))).await.unwrap()[0].covered, 1);
    assert_eq!(store.wanted(&one).await.unwrap(), []);
    assert_eq!(store.commit(&other, &claims(1, claim(2, limit - 1, limit))).await.unwrap()[0].covered, limit - 1);
}
