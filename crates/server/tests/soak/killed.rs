//! Two servers with clocks of their own on one `PostgreSQL`. One is killed, the database is restarted, another
//! server takes the place of the dead one: whatever the moment, no limit is passed, and what is left of it can
//! be used.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use paywall_databases::Postgres;
use paywall_server::quota::SPARE_SHARE;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinHandle;

use crate::field::{Books, Caller, Field, Told};
use crate::server::{Process, Settings};
use crate::{Again, given, size};

/// Questions at a time.
const CALLERS: usize = 40;

const HOUR_MS: i64 = 3_600_000;

/// How long a dead server counts as alive: the longest that what is left may be withheld for its sake.
const LEASE_LIFE: Duration = Duration::from_secs(10);

/// How long after that everything has to be used, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// What befalls the servers, by seed.
#[derive(Debug)]
struct Plan {
    limit: i64,
    /// How far the clocks of both and of the one that comes later are off.
    clocks: [i64; 3],
    /// Which is killed.
    victim: usize,
    /// After how many questions came through, and a pause.
    kill: (usize, Duration),
    restart: (usize, Duration),
    /// Whether the database ends in order.
    in_order: bool,
    /// How long it is away.
    away: Duration,
}

impl Plan {
    fn of(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        // Below SPARE_SHARE a server has no units ahead; also limits where it has.
        let limit = rng.random_range(200..3 * SPARE_SHARE / 2);
        // One is off as far as may be, either way.
        let far = if rng.random_bool(0.5) { HOUR_MS } else { -HOUR_MS };
        let mut clocks = [far, rng.random_range(-HOUR_MS..=HOUR_MS), rng.random_range(-HOUR_MS..=HOUR_MS)];
        if rng.random_bool(0.5) {
            clocks[1] = -far;
        }
        let moment = |rng: &mut StdRng| {
            let pause = Duration::from_micros(rng.random_range(0..30_000));
            (rng.random_range(0..limit as usize * 3 / 4), pause)
        };
        Self {
            limit,
            clocks,
            victim: rng.random_range(0..2),
            kill: moment(&mut rng),
            restart: moment(&mut rng),
            in_order: rng.random_bool(0.3),
            away: Duration::from_millis(rng.random_range(0..400)),
        }
    }
}

/// Callers at both servers.
struct Load {
    addresses: Arc<[Mutex<String>; 2]>,
    stop: Arc<AtomicBool>,
    /// How often which answer came, in the order of [`Told`].
    told: Arc<[AtomicU64; 5]>,
    /// How many questions each server let wait for so long that nobody could tell.
    given_up: Arc<[AtomicU64; 2]>,
    tasks: Vec<JoinHandle<BTreeSet<String>>>,
}

impl Load {
    fn start(tenant: u32, addresses: [String; 2]) -> Self {
        let (addresses, stop) = (Arc::new(addresses.map(Mutex::new)), Arc::new(AtomicBool::new(false)));
        let (caller, told) = (Caller::of(tenant), Arc::<[AtomicU64; 5]>::default());
        let given_up = Arc::<[AtomicU64; 2]>::default();
        let work = |number: usize| {
            let (caller, addresses, stop) = (caller.clone(), Arc::clone(&addresses), Arc::clone(&stop));
            let (counts, waited) = (Arc::clone(&told), Arc::clone(&given_up));
            tokio::spawn(async move {
                let mut lost = BTreeSet::new();
                while !stop.load(Ordering::Relaxed) {
                    let address = addresses[number % 2].lock().unwrap().clone();
                    let (told, question) = caller.ask(&address).await;
                    counts[told as usize].fetch_add(1, Ordering::Relaxed);
                    match told {
                        Told::Nothing => drop(lost.insert(question)),
                        Told::Untold => drop(waited[number % 2].fetch_add(1, Ordering::Relaxed)),
                        _ => {}
                    }
                    if told != Told::Passed {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
                lost
            })
        };
        let tasks = (0..CALLERS).map(work).collect();
        Self { addresses, stop, told, given_up, tasks }
    }

    /// Ends it; answers the questions of which nobody heard any more.
    async fn stop(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut lost = BTreeSet::new();
        for task in self.tasks {
            lost.extend(task.await.unwrap());
        }
        lost
    }
}

async fn came_through(field: &Field, tenant: u32, (count, pause): (usize, Duration)) {
    let began = Instant::now();
    while field.upstream.count(tenant) < count {
        assert!(began.elapsed() < PATIENCE * 3, "the servers hang: {}", field.log());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(pause).await;
}

/// What a seed came to.
#[derive(Default)]
struct Outcome {
    passed: usize,
    lost: i64,
    /// From the later of the kill and the database's return until nothing was left.
    until_used: Duration,
}

async fn run(field: &Field, server: &Arc<Postgres>, settings: &Settings, plan: &Plan) -> Outcome {
    let tenant = field.tenant();
    let mut replicas = [0, 1].map(|number| Some(Process::with_clock(settings, plan.clocks[number])));
    let addresses = [0, 1].map(|number| replicas[number].as_mut().unwrap().address());
    let load = Load::start(tenant, addresses);

    let restarting = async {
        came_through(field, tenant, plan.restart).await;
        let (server, in_order, away) = (Arc::clone(server), plan.in_order, plan.away);
        let restart = move || {
            if in_order {
                server.stop();
            } else {
                server.kill();
            }
            std::thread::sleep(away);
            server.restart().unwrap();
        };
        tokio::task::spawn_blocking(restart).await.unwrap();
    };
    let killing = async {
        came_through(field, tenant, plan.kill).await;
        replicas[plan.victim].take().unwrap().kill();
        load.given_up[plan.victim].load(Ordering::Relaxed)
    };
    let ((), given_up) = tokio::join!(restarting, killing);
    let healed = Instant::now();
    let mut other = Process::with_clock(settings, plan.clocks[2]);
    let places = Arc::clone(&load.addresses);
    let address = other.address();
    *places[plan.victim].lock().unwrap() = address;
    replicas[plan.victim] = Some(other);

    let told = Arc::clone(&load.told);
    let hangs = async |what: &str| {
        let books = Books::read(&settings.database_url, tenant).await.map(|it| (it.counted, it.covered));
        let through = field.upstream.count(tenant);
        let waited = healed.elapsed();
        panic!("{what} after {waited:?}: {through} passed, {books:?}, told {told:?}, {plan:?}: {}", field.log());
    };
    let is_full = async || {
        let books = Books::read(&settings.database_url, tenant).await;
        books.is_ok_and(|it| it.counted + it.covered == plan.limit)
    };
    while !is_full().await {
        if healed.elapsed() > LEASE_LIFE + PATIENCE {
            hangs("units are left").await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let lost = load.stop().await;
    // What was set aside for somebody who was refused meanwhile can be had too.
    let addresses = [0, 1].map(|number| places[number].lock().unwrap().clone());
    let caller = Caller::of(tenant);
    loop {
        let mut refused = true;
        for address in &addresses {
            refused &= caller.ask(address).await.0 == Told::Refused;
        }
        if refused && is_full().await {
            break;
        }
        if healed.elapsed() > LEASE_LIFE + PATIENCE {
            hangs("units are left, or nobody is told so").await;
        }
    }
    let until_used = healed.elapsed();
    drop(replicas);

    let through = field.upstream.of(tenant);
    let books = Books::read(&settings.database_url, tenant).await.unwrap();
    let passed = through.len() as i64;
    assert!(passed <= plan.limit, "{passed} passed, {plan:?}");
    let unseen = lost.iter().filter(|question| !through.contains_key(*question)).count() as i64;
    // Units in use or on their way to a caller when their server was killed, which nobody can tell apart; those of
    // the last claim for callers that gave up meanwhile; and those that it may have had ahead.
    let (died, ahead) = (plan.limit - passed, plan.limit / SPARE_SHARE);
    let unreturned = (given_up as i64).min(CALLERS as i64 / 2);
    assert!(
        died <= unseen + unreturned + ahead,
        "{died} units can never be used, {unseen} questions died, {given_up} had given up, {plan:?}"
    );
    let names: BTreeSet<&String> = through.values().collect();
    assert!(books.events.iter().all(|(name, units)| *units == 1 && names.contains(name)), "{books:?}");
    assert_eq!(books.sum(), books.counted, "the sum is that of the events");
    assert_eq!(books.counted + books.covered, plan.limit);
    Outcome { passed: through.len(), lost: died, until_used }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_is_killed_and_whatever_clocks_say_no_limit_is_passed() {
    let (first, seeds) = (given("PAYWALL_SEED").unwrap_or(0), size(3, 200));
    let server = Arc::new(Postgres::start().unwrap());
    let url = server.database().unwrap();
    let field = Field::start().await;
    // The first makes the tables.
    Process::program(&field.settings(&url, 1)).address();
    let began = Instant::now();
    let (mut passed, mut lost, mut most_lost, mut longest) = (0, 0, 0, Duration::ZERO);
    for seed in first..first + seeds {
        let _again = Again { part: "replicas", seed, size: 1 };
        let plan = Plan::of(seed);
        let started = Instant::now();
        let outcome = run(&field, &server, &field.settings(&url, plan.limit), &plan).await;
        eprintln!(
            "seed {seed}: {} passed of {}, {} died with a server, all used {:.1?} after; clocks {:+} {:+} {:+} s; {:.1?}",
            outcome.passed,
            plan.limit,
            outcome.lost,
            outcome.until_used,
            plan.clocks[0] / 1_000,
            plan.clocks[1] / 1_000,
            plan.clocks[2] / 1_000,
            started.elapsed()
        );
        passed += outcome.passed;
        lost += outcome.lost;
        most_lost = most_lost.max(outcome.lost);
        longest = longest.max(outcome.until_used);
    }
    eprintln!(
        "{seeds} seeds, none above its limit: {passed} passed, {lost} units died with a server (at most {most_lost}), \
         the rest was used {longest:.1?} after at the latest; {:.0?} in all",
        began.elapsed()
    );
}
