//! The first sync: everything that the server and Stripe have, into an empty encrypted copy.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use paywall_console::cache::{Cache, CacheKey};
use paywall_console::ipc::{Source, SourceFreshness};
use paywall_console::observer::Unobserved;
use paywall_console::sync::{SyncEngine, SyncOptions};
use paywall_stripe::Stream;

use crate::figures::{Sample, grouped, short, table};
use crate::file;
use crate::world::World;

/// How long one source may take.
const PATIENCE: Duration = Duration::from_hours(1);

/// A copy that was synced completely.
pub(crate) struct Copy {
    pub(crate) path: PathBuf,
    pub(crate) key: CacheKey,
}

/// What one source came to over the rounds.
#[derive(Default)]
struct Took {
    seconds: Sample,
    /// Processor seconds of the console and of the source.
    cpu: [Sample; 2],
    rows: i64,
    rate: Sample,
}

impl Took {
    fn row(&self, name: &str) -> Vec<String> {
        vec![
            name.to_owned(),
            grouped(self.rows),
            self.seconds.spread("s"),
            grouped(self.rate.median() as i64),
            short(self.cpu[0].median()),
            short(self.cpu[1].median()),
        ]
    }
}

/// Syncs `rounds` times into an empty copy; the last one stays.
pub(crate) async fn measure(world: &World, folder: &Path, rounds: u32) -> anyhow::Result<(Copy, String)> {
    let key = CacheKey::generate()?;
    let path = folder.join("synced.db");
    let (mut server, mut stripe) = (Took::default(), Took::default());
    for round in 0..rounds.max(1) {
        eprintln!("first sync, round {} of {rounds}", round + 1);
        Cache::wipe(&path)?;
        let cache = Cache::open(&path, &key).await?;
        for (source, took, process) in [(Source::Server, &mut server, 1), (Source::Stripe, &mut stripe, 2)] {
            let before = world.cpu();
            let began = Instant::now();
            one(world, &cache, source).await?;
            let seconds = began.elapsed().as_secs_f64();
            let after = world.cpu();
            took.rows = rows(&path, &key, source).await?;
            took.seconds.push(seconds);
            took.rate.push(took.rows as f64 / seconds);
            took.cpu[0].push(after[0] - before[0]);
            took.cpu[1].push(after[process] - before[process]);
        }
        cache.close().await;
    }
    let megabytes = paywall_console::cache::bytes(&path).context("the copy is not there")? as f64 / 1e6;
    let head = ["source", "rows", "time", "rows/s", "CPU s, console", "CPU s, source"];
    let rows = [server.row("server's feed (plans, tenants, entries)"), stripe.row("Stripe (all lists, no limits)")];
    let text = format!(
        "Into an empty encrypted copy, one source after the other; the sources are processes of their own on the same \
         machine. The copy is {} MB afterwards. Before that the server took in its tenants in {} s.\n\n{}",
        short(megabytes),
        short(world.imported_in.as_secs_f64()),
        table(&head, &rows),
    );
    Ok((Copy { path, key }, text))
}

/// One pass over one source.
async fn one(world: &World, cache: &Cache, source: Source) -> anyhow::Result<()> {
    let (admin, stripe) = match source {
        Source::Server => (Some(world.admin()?), None),
        Source::Stripe => (None, Some(world.stripe()?)),
    };
    let engine = SyncEngine::start(cache.clone(), admin, stripe, Arc::new(Unobserved), SyncOptions::default()).await?;
    let began = Instant::now();
    let end = loop {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let freshness = engine.freshness();
        let Some(seen) = freshness.sources.into_iter().find(|it| it.source == source) else { continue };
        match seen {
            SourceFreshness { as_of: Some(_), .. } => break Ok(()),
            SourceFreshness { failure: Some(failure), .. } => break Err(failure.detail),
            _ if began.elapsed() > PATIENCE => break Err("it took too long".to_owned()),
            _ => {}
        }
    };
    engine.stop().await;
    if let Err(why) = end {
        bail!("the sync of {source:?} failed: {why}");
    }
    Ok(())
}

async fn rows(path: &Path, key: &CacheKey, source: Source) -> anyhow::Result<i64> {
    let mut connection = file::open(path, Some(key)).await?;
    let tables: Vec<String> = match source {
        Source::Server => ["plans", "tenants", "entries"].map(str::to_owned).to_vec(),
        Source::Stripe => Stream::ALL.iter().map(|it| format!("stripe_{}", it.name())).collect(),
    };
    let mut rows = 0;
    for table in tables {
        rows += file::count(&mut connection, &table).await?;
    }
    Ok(rows)
}
