//! The first reading of a Stripe account, at Stripe's limits and without any, beside another mirror of Stripe.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use paywall_console::cache::{Cache, CacheKey};
use paywall_console::ipc::Source;
use paywall_console::observer::Unobserved;
use paywall_console::sync::{SyncEngine, SyncOptions};
use paywall_databases::Postgres;
use paywall_domain::Timestamp;
use paywall_sandbox::{Kind, World, WorldSpec};
use paywall_stripe::{API_VERSION, Limits, Stream};
use serde::Deserialize;

use crate::figures::{Pair, Sample, grouped, short, table};
use crate::file;
use crate::processes::cpu_seconds;
use crate::sandbox::Sandbox;

/// The peer and what it needs, in the versions that it is measured in.
const PEER: [&str; 2] = ["@supabase/stripe-sync-engine@0.48.5", "stripe@20.4.1"];
/// How it is run.
const PEER_PROGRAM: &str = include_str!("peer.cjs");
/// The round trip of the measurement at Stripe's limits.
const ROUND_TRIP: Duration = Duration::from_millis(200);
/// How long one reading may take.
const PATIENCE: Duration = Duration::from_hours(1);

/// What one reading came to.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Took {
    seconds: f64,
    objects: i64,
    requests: u64,
    /// Answers with 429.
    refusals: u64,
    /// Processor seconds of the mirror's own process.
    cpu: f64,
}

impl Took {
    fn rate(self) -> f64 {
        self.objects as f64 / self.seconds
    }
}

/// What several readings came to.
#[derive(Default)]
struct Rounds {
    took: Vec<Took>,
}

impl Rounds {
    fn sample(&self, of: impl Fn(&Took) -> f64) -> Sample {
        let mut sample = Sample::default();
        self.took.iter().for_each(|took| sample.push(of(took)));
        sample
    }

    fn row(&self, name: &str, least_seconds: Option<f64>) -> Vec<String> {
        let last = self.took.last();
        let mut row = vec![
            name.to_owned(),
            grouped(last.map_or(0, |it| it.objects)),
            self.sample(|it| it.seconds).spread("s"),
            grouped(self.sample(|it| it.rate()).median() as i64),
            short(self.sample(|it| it.cpu).median()),
            short(self.sample(|it| it.requests as f64 / it.seconds).median()),
        ];
        if let Some(least) = least_seconds {
            row.push(format!("{} %", short(self.sample(|it| least / it.seconds * 100.0).median())));
        }
        row.push(grouped(self.took.iter().map(|it| it.refusals as i64).sum()));
        row
    }
}

/// The account that is read.
struct Account {
    tenants: u32,
    objects: i64,
    /// In how many seconds it can be read at best: 100 objects a page, 25 pages a second of one list, 100 in all.
    least_seconds: f64,
}

impl Account {
    /// Of about so many objects.
    fn of(objects: u32, seed: u64) -> Self {
        let counts = |tenants: u32| -> Vec<usize> {
            let as_of = Timestamp(chrono::Utc::now().timestamp() / 86_400 * 86_400_000);
            let history = World::generate(WorldSpec { seed, tenants, as_of }).stripe();
            Kind::LISTED.into_iter().filter(|kind| *kind != Kind::Event).map(|kind| history.count(kind)).collect()
        };
        let sample = 1_000;
        let per_tenant = counts(sample).iter().sum::<usize>() as f64 / f64::from(sample);
        let tenants = (f64::from(objects) / per_tenant).ceil() as u32;
        let counts = counts(tenants);
        let pages: Vec<f64> = counts.iter().map(|count| (*count as f64 / 100.0).ceil()).collect();
        let longest = pages.iter().copied().fold(0.0, f64::max);
        let least_seconds = (pages.iter().sum::<f64>() / 100.0).max(longest / 25.0);
        Self { tenants, objects: counts.iter().sum::<usize>() as i64, least_seconds }
    }
}

/// Reads an account of about `objects` objects: `rounds` times without limits, and once at Stripe's.
pub(crate) async fn measure(folder: &Path, objects: u32, seed: u64, rounds: u32) -> anyhow::Result<String> {
    eprintln!("the backfill: installing {}", PEER.join(", "));
    let peer = Peer::install(folder);
    let account = Account::of(objects, seed);
    let mut text = format!(
        "{} objects in ten lists ({} tenants), into an empty encrypted copy; the sample Stripe is a process of its own \
         on the same machine. The peer is {}, run as it comes on Node {}, into PostgreSQL that does not wait for its \
         disk; it has no list of invoice payments and reads the other nine. CPU seconds are \
         those of the mirror's process, without PostgreSQL's.\n",
        grouped(account.objects),
        grouped(account.tenants.into()),
        PEER.join(" with "),
        node_version(),
    );
    if let Err(error) = &peer {
        writeln!(text, "\nThe peer could not be installed: {error:#}")?;
    }
    let peer = peer.ok();

    let sandbox = Sandbox::start(account.tenants, seed, false, Duration::ZERO)?;
    let (mut ours, mut theirs, mut pair) = (Rounds::default(), Rounds::default(), Pair::default());
    for round in 1..=rounds.max(1) {
        eprintln!("backfill without limits, round {round} of {rounds}");
        let mine = read(folder, &sandbox, Limits::NONE, account.objects).await?;
        ours.took.push(mine);
        if let Some(peer) = &peer {
            let other = peer.run(&sandbox)?;
            pair.round(mine.rate(), other.rate());
            theirs.took.push(other);
        }
    }
    drop(sandbox);
    let head = ["no limits, no latency", "objects", "time", "objects/s", "CPU s", "requests/s", "429s"];
    let mut rows = vec![ours.row("this console", None)];
    if peer.is_some() {
        rows.push(theirs.row("stripe-sync-engine", None));
    }
    write!(text, "\n{}", table(&head, &rows))?;
    if peer.is_some() {
        writeln!(text, "\nObjects a second, ours to the peer's, round by round: {}.", pair.ratio())?;
    }

    let sandbox = Sandbox::start(account.tenants, seed, true, ROUND_TRIP)?;
    let (mut ours, mut theirs) = (Rounds::default(), Rounds::default());
    eprintln!("backfill at Stripe's limits");
    ours.took.push(read(folder, &sandbox, Limits::STRIPE, account.objects).await?);
    let head =
        ["Stripe's limits, 200 ms", "objects", "time", "objects/s", "CPU s", "requests/s", "of the limit", "429s"];
    let mut rows = vec![ours.row("this console", Some(account.least_seconds))];
    if let Some(peer) = &peer {
        theirs.took.push(peer.run(&sandbox)?);
        rows.push(theirs.row("stripe-sync-engine", Some(account.least_seconds)));
    }
    write!(
        text,
        "\n{}\nOf the limit: the {} s that 25 pages a second of one list and 100 in all leave at best, divided by the \
         time that it took.\n",
        table(&head, &rows),
        short(account.least_seconds),
    )?;
    Ok(text)
}

/// Reads the account into an empty copy.
async fn read(folder: &Path, sandbox: &Sandbox, limits: Limits, expected: i64) -> anyhow::Result<Took> {
    let (key, path) = (CacheKey::generate()?, folder.join("backfilled.db"));
    Cache::wipe(&path)?;
    let cache = Cache::open(&path, &key).await?;
    let client = sandbox.client(limits)?;
    let (began, cpu) = (Instant::now(), cpu_seconds(std::process::id()));
    let engine =
        SyncEngine::start(cache.clone(), None, Some(client.clone()), Arc::new(Unobserved), SyncOptions::default())
            .await?;
    loop {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let freshness = engine.freshness();
        let seen = freshness.sources.into_iter().find(|it| it.source == Source::Stripe).context("no source")?;
        if let Some(failure) = seen.failure {
            bail!("the backfill failed: {}", failure.detail);
        }
        if seen.as_of.is_some() {
            break;
        }
        ensure!(began.elapsed() < PATIENCE, "the backfill took too long");
    }
    let seconds = began.elapsed().as_secs_f64();
    let cpu = cpu_seconds(std::process::id()) - cpu;
    engine.stop().await;
    cache.close().await;
    let mut connection = file::open(&path, Some(&key)).await?;
    let mut objects = 0;
    for stream in Stream::OBJECTS {
        objects += file::count(&mut connection, &format!("stripe_{stream}")).await?;
    }
    ensure!(objects == expected, "{objects} objects arrived of {expected}");
    Ok(Took { seconds, objects, requests: client.requests(), refusals: client.refusals(), cpu })
}

/// The peer, installed.
struct Peer {
    folder: PathBuf,
    server: Postgres,
}

impl Peer {
    fn install(folder: &Path) -> anyhow::Result<Self> {
        let folder = folder.join("peer");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("package.json"), "{\"private\": true}")?;
        std::fs::write(folder.join("peer.cjs"), PEER_PROGRAM)?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts"]).args(PEER).current_dir(&folder);
        let output = npm.stdin(Stdio::null()).output().context("cannot start npm")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
        let server = Postgres::start()?;
        // Its migrations give rights to a role that Supabase's own databases have.
        server.execute("postgres", "CREATE ROLE postgres SUPERUSER")?;
        Ok(Self { folder, server })
    }

    /// Reads the account into an empty database.
    fn run(&self, sandbox: &Sandbox) -> anyhow::Result<Took> {
        let mut node = Command::new("node");
        node.arg("peer.cjs").current_dir(&self.folder).env("PEER_DATABASE", self.server.database()?);
        node.env("PEER_STRIPE", &sandbox.url).env("PEER_KEY", &sandbox.key).env("PEER_VERSION", API_VERSION);
        let output = node.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cannot start node")?;
        ensure!(output.status.success(), "the peer failed");
        let said = String::from_utf8(output.stdout)?;
        Ok(serde_json::from_str(said.lines().last().context("the peer said nothing")?)?)
    }
}

fn node_version() -> String {
    let said = Command::new("node").arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&said).trim().trim_start_matches('v').to_owned()
}
