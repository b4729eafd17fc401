//! A server that is killed under load: what it said was counted stays counted, once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use paywall_contract::Tenant;
use paywall_databases::Postgres;
use paywall_domain::{Meter, Role};
use paywall_server::{Config, Server, SystemClock};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Client;
use secrecy::SecretString;
use tokio::sync::watch;

use crate::field::{Books, Caller, Field, Told};
use crate::ragflow::id;
use crate::server::{Process, TOKEN_KEY};
use crate::{Again, given, size};

/// Questions at a time.
const CALLERS: usize = 20;

/// More than are asked here, so that every one is under a lease.
const LIMIT: i64 = 1_000_000;

/// The longest that a server works before it is killed.
const LONGEST_MS: u64 = 400;

const PATIENCE: Duration = Duration::from_secs(60);

/// Somebody who looks at what is counted, as staff do.
struct Looker {
    client: Client,
    token: String,
    tenant: u32,
}

impl Looker {
    async fn of(url: &str, tenant: u32) -> Self {
        let token_key = SecretString::from(TOKEN_KEY);
        let config = Config { database_url: url.to_owned(), token_key, ..Config::default() };
        let server = Server::open(config, Arc::new(SystemClock)).await.unwrap();
        let token = server.create_token("test", Role::Viewer, None).await.unwrap();
        Self { client: Client::builder().no_proxy().build().unwrap(), token, tenant }
    }

    /// Messages that the server says are counted; `None` where it does not answer.
    async fn counted(&self, address: &str) -> Option<i64> {
        let url = format!("{address}/admin/v1/tenants/{}", id(self.tenant));
        let answer = self.client.get(url).bearer_auth(&self.token).send().await.ok()?;
        let tenant: Tenant = answer.error_for_status().ok()?.json().await.ok()?;
        tenant.meters.iter().find(|it| it.meter == Meter::Messages)?.used
    }
}

/// The most that was ever said to be counted.
#[derive(Default)]
struct Said {
    by_the_server: i64,
    events: BTreeSet<String>,
}

impl Said {
    /// What is counted now holds all that was said before.
    fn check(&self, books: &Books) {
        let mut events = BTreeMap::new();
        for (name, units) in &books.events {
            assert!(events.insert(name, *units).is_none(), "{name} is counted twice");
        }
        let lost: Vec<_> = self.events.iter().filter(|it| !events.contains_key(it)).collect();
        assert!(lost.is_empty(), "counted before, and now lost: {lost:?}");
        assert!(books.counted >= self.by_the_server, "{} of {} counted", books.counted, self.by_the_server);
        assert_eq!(books.sum(), books.counted, "the sum is that of the events");
    }
}

async fn kill(on: &str, url: &str, field: &Field, part: &'static str) {
    let seed = given("PAYWALL_SEED").unwrap_or_else(rand::random);
    let kills = size(8, 100);
    let _again = Again { part, seed, size: kills };
    let mut rng = StdRng::seed_from_u64(seed);
    let tenant = field.tenant();
    let settings = field.settings(url, LIMIT);
    let looker = Looker::of(url, tenant).await;
    let (address, now) = watch::channel(String::new());
    let stop = Arc::new(AtomicBool::new(false));
    let caller = Caller::of(tenant);
    let asking: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (caller, mut now, stop) = (caller.clone(), now.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                now.changed().await.unwrap();
                let (mut answered, mut broken) = (0_u64, 0_u64);
                while !stop.load(Ordering::Relaxed) {
                    let address = now.borrow_and_update().clone();
                    match caller.ask(&address).await.0 {
                        Told::Passed => answered += 1,
                        told @ (Told::Nothing | Told::Away) => {
                            broken += u64::from(told == Told::Nothing);
                            // Until it is back, wherever that is.
                            let _ = tokio::time::timeout(PATIENCE, now.changed()).await;
                        }
                        Told::Untold => tokio::time::sleep(Duration::from_millis(20)).await,
                        Told::Refused => panic!("nothing is left"),
                    }
                }
                (answered, broken)
            })
        })
        .collect();
    let began = Instant::now();
    let mut said = Said::default();
    for number in 1..=kills {
        let mut server = Process::program(&settings);
        let here = server.address();
        if number > 1 {
            said.check(&Books::read(url, tenant).await.unwrap());
        }
        address.send_replace(here.clone());
        let before = field.upstream.count(tenant);
        let started = Instant::now();
        while field.upstream.count(tenant) == before {
            assert!(started.elapsed() < PATIENCE, "the server hangs: {}", field.log());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let until = Instant::now() + Duration::from_millis(rng.random_range(0..LONGEST_MS));
        while Instant::now() < until {
            // Both are asked while it works; what they said last, it was killed right after.
            if let Some(counted) = looker.counted(&here).await {
                assert!(counted >= said.by_the_server, "{counted} counted, and {} before", said.by_the_server);
                said.by_the_server = counted;
            }
            let books = Books::read(url, tenant).await.unwrap();
            said.events.extend(books.events.into_iter().map(|(name, _)| name));
            tokio::time::sleep(until.saturating_duration_since(Instant::now()).min(Duration::from_millis(15))).await;
        }
        server.kill();
        if number % 10 == 0 || number == kills {
            let through = field.upstream.count(tenant);
            eprintln!("{on}: {number} kills, {through} came through, {} seen counted", said.events.len());
        }
    }

    // The last one is stopped in order.
    let mut server = Process::program(&settings);
    let here = server.address();
    address.send_replace(here.clone());
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.store(true, Ordering::Relaxed);
    let (mut answered, mut broken) = (0, 0);
    for caller in asking {
        let (more, less) = caller.await.unwrap();
        (answered, broken) = (answered + more, broken + less);
    }
    let books = async || Books::read(url, tenant).await.unwrap();
    let waiting = Instant::now();
    while looker.counted(&here).await != Some(books().await.counted) {
        assert!(waiting.elapsed() < PATIENCE, "the server says {:?}", looker.counted(&here).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.stop();
    let books = books().await;
    said.check(&books);
    let through = field.upstream.of(tenant);
    let names: BTreeSet<&String> = through.values().collect();
    assert_eq!(names.len(), through.len(), "two questions under one name");
    assert!(books.events.iter().all(|(name, units)| *units == 1 && names.contains(name)), "counted, and never asked");
    let (through, counted) = (through.len() as i64, books.counted);
    // What was not counted when its server died is under its lease, as used: nothing is free.
    assert!(counted <= through && through <= counted + books.covered, "{through} came through, {books:?}");
    eprintln!(
        "{on}: {kills} kills in {:.0?}, seed {seed}: {through} came through ({answered} answered, {broken} broken), {counted} \
         counted once, none lost of {} seen counted, {} died uncounted under a lease of {}",
        began.elapsed(),
        said.events.len(),
        through - counted,
        books.covered
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_on_sqlite_that_is_killed_loses_nothing_that_was_counted() {
    let field = Field::start().await;
    let url = format!("sqlite://{}", field.file().display());
    kill("SQLite", &url, &field, "events").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_on_postgres_that_is_killed_loses_nothing_that_was_counted() {
    let server = Postgres::start().unwrap();
    let field = Field::start().await;
    kill("PostgreSQL", &server.database().unwrap(), &field, "events").await;
}
