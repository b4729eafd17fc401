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
        self.server_that_keeps(13, clock).await
    }

    async fn server_that_keeps(&self, months: u32, clock: &Arc<TestClock>) -> Server {
        let mut config = Config::embedded(self.folder.path().join("server.db"), "127.0.0.1:0".parse().unwrap());
        config.database_url.clone_from(&self.url);
        config.keep_usage_months = months;
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
    intake_of(number, &[(1, used)])
}

/// A tenant that used so many messages on these days of June.
fn intake_of(number: u32, days: &[(i64, i64)]) -> IntakeRecord {
    let mut facts = TenantFacts {
        plan: "trial".into(),
        trial: None,
        comp: None,
        suspension: None,
        subscription: None,
        overrides: std::collections::BTreeMap::new(),
    };
    facts.plan = paywall_server::built_in_plans()[0].id.clone();
    let day = |(day, used): &(i64, i64)| DailyUsage {
        day: JUNE.start.plus_ms(day * DAY_MS),
        amounts: [(Meter::Messages, *used)].into(),
    };
    let days = days.iter().map(day).collect();
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
        usage: Some(days),
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
    an_import_of_a_running_period_corrects_what_is_counted,
    imports_and_counting_at_once_lose_nothing,
    old_events_go_and_their_sums_stay,
    events_are_kept_for_ever_where_the_settings_say_so,
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

/// The messages of June by the days, as the admin API sums them.
async fn days_of(place: &Place, number: u32) -> i64 {
    let mut other = sqlx::AnyConnection::connect(&place.url).await.unwrap();
    sqlx::query_scalar("SELECT CAST(sum(messages) AS BIGINT) FROM usage_days WHERE tenant_id = $1")
        .bind(tenant(number).as_str())
        .fetch_one(&mut other)
        .await
        .unwrap()
}

async fn an_import_of_a_running_period_corrects_what_is_counted(place: Place) {
    let clock = clock();
    let server = place.server(&clock).await;
    let import = async |record: IntakeRecord| assert_eq!(server.import([record]).await.unwrap().refused, []);
    import(intake(1, 7)).await;
    import(intake(2, 5)).await;
    let (quota, task) = Quota::start(place.store(&clock).await, Settings::default());
    for number in [1, 2] {
        let held = reserved(&quota, number, messages(2, 100)).await;
        assert!(held.settle(event(number, Counter::Messages, 2)).durable().await);
    }
    let store = place.store(&clock).await;
    let counted = async |number: u32| store.counted(&key(number, Counter::Messages)).await.unwrap();
    assert_eq!((counted(1).await, counted(2).await), (9, 7));
    // The day turns out to have been another; what was counted here on another day stays.
    for (used, sum) in [(3, 5), (20, 22), (20, 22), (0, 2)] {
        import(intake(1, used)).await;
        assert_eq!((counted(1).await, days_of(&place, 1).await), (sum, sum));
    }
    import(intake_of(1, &[(1, 4), (3, 40), (40, 1_000)])).await;
    assert_eq!(counted(1).await, 46, "July is another period");
    // Also a day on which something was counted here: the import knows better.
    let today = NOW.ms_since(JUNE.start) / DAY_MS;
    import(intake_of(1, &[(1, 4), (3, 40), (today, 10)])).await;
    assert_eq!(counted(1).await, 54);
    let Admission::Exhausted(why) = reserve(&quota, 1, messages(1, 54)).await else { panic!() };
    assert_eq!((why[0].used, why[0].limit), (54, 54));
    drop(reserved(&quota, 1, messages(1, 55)).await);
    assert_eq!(counted(2).await, 7, "of nobody else");
    quota.close();
    task.await.unwrap();
}

async fn imports_and_counting_at_once_lose_nothing(place: Place) {
    const ROUNDS: u32 = 40;
    let clock = clock();
    let server = place.server(&clock).await;
    server.import([intake(1, 1)]).await.unwrap();
    let store = Arc::new(place.store(&clock).await);
    let counting = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            let holder = HolderId::generate();
            for number in 0..ROUNDS {
                let events = vec![named(format!("e{number}"), 1, Counter::Messages, 1)];
                store.commit(&holder, &Batch { events, claims: Vec::new() }).await.unwrap();
            }
        }
    });
    for used in 1..=i64::from(ROUNDS) {
        assert_eq!(server.import([intake(1, used * 10)]).await.unwrap().refused, []);
    }
    counting.await.unwrap();
    let expected = i64::from(ROUNDS) * 11;
    assert_eq!(store.counted(&key(1, Counter::Messages)).await.unwrap(), expected);
    assert_eq!(days_of(&place, 1).await, expected);
}

/// Lets a server run until `is_so`.
async fn serve_until(server: Server, is_so: impl AsyncFn() -> bool) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let serving = tokio::spawn({
        let stop = stop.clone();
        async move { server.serve(listener, stop).await.unwrap() }
    });
    let started = std::time::Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < Duration::from_secs(30), "it does not become so");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.cancel();
    serving.await.unwrap();
}

async fn old_events_go_and_their_sums_stay(place: Place) {
    let clock = clock();
    let store = place.store(&clock).await;
    let holder = HolderId::generate();
    let commit = async |events| store.commit(&holder, &Batch { events, claims: Vec::new() }).await.unwrap();
    // Of a period that is over; more than go at once.
    commit((0..1_200).map(|number| named(format!("old{number}"), 1, Counter::Messages, 1)).collect()).await;
    // Of a period that still runs, however long ago it was.
    let mut open = named("open".to_owned(), 2, Counter::Messages, 1);
    open.period.end = JUNE.end.plus_ms(3_000 * DAY_MS);
    // Just old enough to be kept, and new.
    let mut kept = named("kept".to_owned(), 1, Counter::Messages, 1);
    kept.at = NOW.plus_ms(40 * DAY_MS);
    let mut new = named("new".to_owned(), 1, Counter::Messages, 1);
    new.at = NOW.plus_ms(400 * DAY_MS);
    commit(vec![open, kept, new]).await;
    assert_eq!(store.publish(10).await.unwrap(), 2);
    // Of which the feed does not tell yet.
    commit(vec![named("untold".to_owned(), 3, Counter::Messages, 1)]).await;
    assert_eq!(store.events().await.unwrap(), 1_204);

    clock.advance_ms(420 * DAY_MS);
    let server = place.server(&clock).await;
    // While somebody counts.
    let (later, quota_clock) = (place.store(&clock).await, clock.clone());
    let counting = async {
        for number in 0..50 {
            let mut event = named(format!("later{number}"), 4, Counter::Messages, 1);
            event.at = paywall_server::Clock::now(&*quota_clock);
            later.commit(&HolderId::generate(), &Batch { events: vec![event], claims: Vec::new() }).await.unwrap();
        }
    };
    let left = async || store.events().await.unwrap() == 54;
    tokio::join!(serve_until(server, left), counting);
    let mut other = sqlx::AnyConnection::connect(&place.url).await.unwrap();
    let ids: Vec<String> = sqlx::query_scalar("SELECT id FROM usage_events WHERE id NOT LIKE 'later%' ORDER BY id")
        .fetch_all(&mut other)
        .await
        .unwrap();
    assert_eq!(ids, ["kept", "new", "open", "untold"]);
    for (number, sum) in [(1, 1_202), (2, 1), (3, 1), (4, 50)] {
        assert_eq!(store.counted(&key(number, Counter::Messages)).await.unwrap(), sum, "of {number}");
    }
}

async fn events_are_kept_for_ever_where_the_settings_say_so(place: Place) {
    let clock = clock();
    let store = place.store(&clock).await;
    let events = vec![named("old".to_owned(), 1, Counter::Messages, 1)];
    store.commit(&HolderId::generate(), &Batch { events, claims: Vec::new() }).await.unwrap();
    store.publish(10).await.unwrap();
    clock.advance_ms(4_000 * DAY_MS);
    let started = std::time::Instant::now();
    let server = place.server_that_keeps(0, &clock).await;
    serve_until(server, async || started.elapsed() > Duration::from_secs(1)).await;
    assert_eq!(store.events().await.unwrap(), 1);
    let server = place.server_that_keeps(1, &clock).await;
    serve_until(server, async || store.events().await.unwrap() == 0).await;
}
