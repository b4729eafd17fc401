//! Replicas that are killed while they work.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use paywall_databases::Postgres;
use paywall_server::SystemClock;
use paywall_server::quota::{Admission, AllotmentKey, Counter, Quota, Settings, SqlLeaseStore};
use rand::RngExt;
use sqlx::Connection;

use crate::parts::{JUNE, event, messages, reserve, tenant};

const DATABASE: &str = "PAYWALL_TEST_DATABASE";
const JOURNAL: &str = "PAYWALL_TEST_JOURNAL";
const LIMIT: &str = "PAYWALL_TEST_LIMIT";

/// Requests that a replica has at a time.
const CONCURRENT: usize = 20;

/// A line at once: what was written stays, however the writer ends.
fn note(journal: &File, what: char, id: &str) {
    let mut journal = journal;
    journal.write_all(format!("{what} {id}\n").as_bytes()).unwrap();
}

/// Not a test: the replica that is killed, in a process of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replica() {
    let Ok(url) = std::env::var(DATABASE) else { return };
    let limit: i64 = std::env::var(LIMIT).unwrap().parse().unwrap();
    let journal = std::env::var(JOURNAL).unwrap();
    let journal = Arc::new(OpenOptions::new().append(true).create(true).open(journal).unwrap());
    let store = SqlLeaseStore::open(&url, Arc::new(SystemClock)).await.unwrap();
    let settings = Settings { patience: Duration::from_secs(10), ..Settings::default() };
    let (quota, _) = Quota::start(store, settings);
    note(&journal, 'R', "ready");
    let mut tasks = Vec::new();
    for _ in 0..CONCURRENT {
        tasks.push(tokio::spawn(work(quota.clone(), Arc::clone(&journal), limit)));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// One request after the other, until the process ends.
async fn work(quota: Quota, journal: Arc<File>, limit: i64) {
    loop {
        match reserve(&quota, 1, messages(1, limit)).await {
            Admission::Reserved(it) => {
                let event = event(1, Counter::Messages, 1);
                let id = event.id.clone();
                // Admitted: the work would begin now.
                note(&journal, 'A', &id);
                let pause = rand::rng().random_range(0..8);
                tokio::time::sleep(Duration::from_millis(pause)).await;
                if it.settle(event).durable().await {
                    note(&journal, 'C', &id);
                }
            }
            Admission::Exhausted(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            Admission::Unavailable(why) => panic!("{why}"),
        }
    }
}

fn start(url: &str, journal: &Path, limit: i64) -> Child {
    // This very program, also where its file was built anew meanwhile. The system kills it with this test,
    // should that end before.
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .arg(format!("/proc/{}/exe", std::process::id()))
        .args(["killed::replica", "--exact", "--nocapture"])
        .env(DATABASE, url)
        .env(JOURNAL, journal)
        .env(LIMIT, limit.to_string())
        .stdout(Stdio::null())
        .stderr(File::create(journal.with_extension("log")).unwrap())
        .spawn()
        .unwrap()
}

fn lines(journal: &Path) -> Vec<(char, String)> {
    let text = std::fs::read_to_string(journal).unwrap_or_default();
    text.lines().map(|line| (line.chars().next().unwrap(), line[2..].to_owned())).collect()
}

/// Two replicas; now this and now that is killed, and another starts in its place. At the end the rest of the
/// limit is used up.
async fn kill(url: &str, limit: i64, kills: usize) {
    let folder = tempfile::tempdir().unwrap();
    let seed: u64 = given("PAYWALL_SEED").unwrap_or_else(rand::random);
    eprintln!("PAYWALL_SEED={seed} PAYWALL_SIZE={kills}");
    let mut rng: rand::rngs::StdRng = rand::SeedableRng::seed_from_u64(seed);
    let mut journals: Vec<_> = (0..kills + 2).map(|number| folder.path().join(number.to_string())).collect();
    // The first makes the tables.
    drop(SqlLeaseStore::open(url, Arc::new(SystemClock)).await.unwrap());
    let mut running: Vec<(Child, usize)> =
        (0..2).map(|number| (start(url, &journals[number], limit), number)).collect();
    for next in 2..kills + 2 {
        let at = rng.random_range(0..running.len());
        let (child, number) = &mut running[at];
        let began = Instant::now();
        while lines(&journals[*number]).is_empty() {
            let log = || std::fs::read_to_string(journals[*number].with_extension("log"));
            assert!(began.elapsed() < Duration::from_secs(60), "the replica does not start: {:?}", log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..120))).await;
        child.kill().unwrap();
        child.wait().unwrap();
        running[at] = (start(url, &journals[next], limit), next);
        let killed = next - 1;
        if killed.is_multiple_of(10) {
            eprintln!("{killed} of {kills} killed");
        }
    }
    for (child, _) in &mut running {
        child.kill().unwrap();
        child.wait().unwrap();
    }

    // One more, in this process, takes what is left.
    let store = SqlLeaseStore::open(url, Arc::new(SystemClock)).await.unwrap();
    let (quota, task) = Quota::start(store, Settings { patience: Duration::from_secs(30), ..Settings::default() });
    let last = folder.path().join("last");
    let journal = File::create(&last).unwrap();
    loop {
        match reserve(&quota, 1, messages(1, limit)).await {
            Admission::Reserved(it) => {
                let event = event(1, Counter::Messages, 1);
                note(&journal, 'A', &event.id);
                drop(it.settle(event));
            }
            Admission::Exhausted(why) if why[0].held == 0 => break,
            // Replicas that are dead still count as alive for a while.
            other => eprintln!("{other:?}"),
        }
    }
    quota.close();
    task.await.unwrap();
    journals.push(last);

    let mut admitted = HashSet::new();
    let mut acknowledged = HashSet::new();
    for (what, id) in journals.iter().flat_map(|journal| lines(journal)) {
        match what {
            'A' => assert!(admitted.insert(id)),
            'C' => assert!(acknowledged.insert(id)),
            _ => {}
        }
    }
    let store = SqlLeaseStore::open(url, Arc::new(SystemClock)).await.unwrap();
    let key = AllotmentKey { tenant: tenant(1), counter: Counter::Messages, period: JUNE };
    let counted = store.counted(&key).await.unwrap();
    let mut connection = sqlx::AnyConnection::connect(url).await.unwrap();
    let stored: Vec<(String, i64)> =
        sqlx::query_as("SELECT id, messages FROM usage_events").fetch_all(&mut connection).await.unwrap();
    let stored: BTreeMap<String, i64> = stored.into_iter().collect();
    let covered: i64 = sqlx::query_scalar("SELECT CAST(coalesce(sum(covered), 0) AS BIGINT) FROM quota_leases")
        .fetch_one(&mut connection)
        .await
        .unwrap();

    let (admissions, acknowledgements) = (admitted.len() as i64, acknowledged.len() as i64);
    eprintln!(
        "{admissions} admitted, {acknowledgements} acknowledged, {counted} counted, {covered} burned, of {limit}"
    );
    assert!(admissions <= limit, "{admissions} admitted of {limit}");
    assert!(acknowledged.iter().all(|id| stored.contains_key(id)), "an acknowledged event is lost");
    assert_eq!(stored.values().sum::<i64>(), counted, "the sum is that of the events");
    assert!(stored.keys().all(|id| admitted.contains(id)));
    assert_eq!(counted + covered, limit, "every unit was used, or died with a replica");
    // What a replica had covered when it was killed was for its requests of that moment.
    let most = ((kills + 2) * (2 * CONCURRENT + limit as usize / 1_024)) as i64;
    assert!(limit - admissions <= most, "{} units can never be used", limit - admissions);
}

fn given(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|it| it.parse().ok())
}

fn kills() -> usize {
    let soaks = std::env::var("PAYWALL_SOAK").is_ok_and(|it| it == "1");
    given("PAYWALL_SIZE").unwrap_or(if soaks { 100 } else { 20 }) as usize
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_on_sqlite_killed_under_load_lose_nothing_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("server.db").display());
    kill(&url, 1_000 * kills() as i64, kills()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_on_postgres_killed_under_load_lose_nothing_and_double_nothing() {
    let server = Postgres::shared().unwrap();
    kill(&server.database().unwrap(), 1_000 * kills() as i64, kills()).await;
}
