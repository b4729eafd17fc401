//! The copy: search and pages against what one would write without it, encrypted against plain.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use paywall_console::admin_client::AdminClient;
use paywall_console::cache::{Cache, CacheKey, StreamProgress, StripeRow};
use paywall_console::ipc::{TenantColumn, TenantQuery, TenantView};
use paywall_contract::{ChangesPage, ChangesQuery};
use paywall_domain::{TenantId, Timestamp};
use paywall_stripe::{ListParams, Stream};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;
use sqlx::SqliteConnection;

use crate::figures::{Pair, Sample, grouped, short, table};
use crate::file;
use crate::sync::Copy;
use crate::world::World;

/// Different questions per round.
const QUESTIONS: usize = 100;

/// Rows on a page of a list, as the window asks for them.
const PAGE: u32 = 100;

/// How many Stripe objects the bulk load has beside the whole feed.
const STRIPE_LOADED: usize = 100_000;

/// Texts, tenants and places to ask for: drawn anew for each round.
struct Questions {
    texts: Vec<String>,
    tenants: Vec<TenantId>,
    places: Vec<String>,
}

/// Draws questions from a copy.
struct Draw {
    random: StdRng,
    nums: Vec<i64>,
    cursors: Vec<String>,
}

impl Draw {
    async fn new(cache: &Cache, connection: &mut SqliteConnection, seed: u64) -> anyhow::Result<Self> {
        let nums: Vec<(i64,)> = sqlx::query_as("SELECT num FROM tenants WHERE deleted_at IS NULL ORDER BY num")
            .fetch_all(connection)
            .await?;
        let mut cursors = Vec::new();
        let mut query = TenantQuery { limit: 500, ..list() };
        loop {
            let page = cache.tenants_page(&query, now()).await?;
            query.cursor.clone_from(&page.next);
            match page.next {
                Some(next) => cursors.push(next),
                None => break,
            }
        }
        ensure!(!cursors.is_empty(), "the list has a single page: measure with more tenants");
        Ok(Self { random: StdRng::seed_from_u64(seed), nums: nums.into_iter().map(|it| it.0).collect(), cursors })
    }

    async fn questions(&mut self, connection: &mut SqliteConnection) -> anyhow::Result<Questions> {
        let mut questions = Questions { texts: Vec::new(), tenants: Vec::new(), places: Vec::new() };
        while questions.texts.len() < QUESTIONS {
            let num = self.nums[self.random.random_range(0..self.nums.len())];
            let (id, lines): (String, String) = sqlx::query_as(
                "SELECT t.id, x.lines FROM tenants AS t JOIN tenant_texts AS x ON x.num = t.num WHERE t.num = ?1",
            )
            .bind(num)
            .fetch_one(&mut *connection)
            .await?;
            let lines: Vec<&str> = lines.lines().filter(|line| line.chars().count() >= 4).collect();
            let Some(line) = lines.get(self.random.random_range(0..lines.len().max(1))) else { continue };
            let signs: Vec<char> = line.chars().collect();
            let length = self.random.random_range(4..=signs.len().min(12));
            let from = self.random.random_range(0..=signs.len() - length);
            let text: String = signs[from..from + length].iter().collect();
            // Spaces at the ends are not looked for, and the peer would take these two as patterns.
            if text.trim() != text || text.contains(['%', '_']) {
                continue;
            }
            questions.texts.push(text);
            questions.tenants.push(TenantId::parse(&id).map_err(|error| anyhow::anyhow!("{error}"))?);
            questions.places.push(self.cursors[self.random.random_range(0..self.cursors.len())].clone());
        }
        Ok(questions)
    }
}

fn list() -> TenantQuery {
    TenantQuery { view: TenantView::All, sort: TenantColumn::Name, limit: PAGE, ..TenantQuery::default() }
}

fn now() -> Timestamp {
    Timestamp(chrono::Utc::now().timestamp_millis())
}

/// Search and pages against `LIKE` and `OFFSET` on the same file.
pub(crate) async fn lookups(copy: &Copy, seed: u64, rounds: u32) -> anyhow::Result<String> {
    let cache = Cache::open(&copy.path, &copy.key).await?;
    let mut peer = file::open(&copy.path, Some(&copy.key)).await?;
    let mut draw = Draw::new(&cache, &mut peer, seed).await?;
    let tenants = draw.nums.len() as i64;
    let (mut index, mut search, mut filter, mut pages) =
        (Pair::default(), Pair::default(), Pair::default(), Pair::default());
    for round in 0..=rounds {
        eprintln!("search and pages, round {round} of {rounds} (0 warms up)");
        let questions = draw.questions(&mut peer).await?;
        let mut took: [Sample; 6] = std::array::from_fn(|_| Sample::default());
        for text in &questions.texts {
            took[0].push_ms(matched(&mut peer, text).await?);
            let began = Instant::now();
            let found = cache.search(text, now()).await?;
            took[1].push_ms(began.elapsed());
            ensure!(!found.hits.is_empty(), "the search does not find {text:?}, which is there");
            let began = Instant::now();
            cache.tenants_page(&TenantQuery { text: text.clone(), ..list() }, now()).await?;
            took[2].push_ms(began.elapsed());
            took[3].push_ms(like(&mut peer, text).await?);
        }
        for place in &questions.places {
            let began = Instant::now();
            cache.tenants_page(&TenantQuery { cursor: Some(place.clone()), ..list() }, now()).await?;
            took[4].push_ms(began.elapsed());
            took[5].push_ms(offset(&mut peer, tenants * 9 / 10).await?);
        }
        if round > 0 {
            index.rounds(&took[0], &took[3]);
            search.rounds(&took[1], &took[3]);
            filter.rounds(&took[2], &took[3]);
            pages.rounds(&took[4], &took[5]);
        }
    }
    cache.close().await;
    let row = |name: &str, peer: &str, pair: &Pair, reach: &str| {
        vec![
            name.to_owned(),
            pair.ours.p50_p99(),
            peer.to_owned(),
            pair.peer.p50_p99(),
            pair.fraction(),
            reach.to_owned(),
        ]
    };
    let head = ["what", "ms, p50 / p99", "peer on the same file", "ms, p50 / p99", "medians", "to reach"];
    let rows = [
        row("substring by the index over texts", "`LIKE '%…%'` over the same texts", &index, "≤ 1/200, p99 ≤ 10 ms"),
        row("the search box, whole", "the same", &search, ""),
        row("a list filtered by a text, with its count", "the same", &filter, ""),
        row("a page of 100 anywhere in a list by name", "`OFFSET` at 90 %", &pages, "≤ 1/500"),
    ];
    Ok(format!(
        "{} tenants; {rounds} rounds of {QUESTIONS} questions each, after a round to warm up. The texts are parts, 4 to \
         12 signs long, of names, addresses, domains and ids that are there; ours and the peer stop at 64 hits.\n\n{}",
        grouped(tenants),
        table(&head, &rows),
    ))
}

/// The index over texts alone.
async fn matched(peer: &mut SqliteConnection, text: &str) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let found: Vec<(i64, String, String)> = sqlx::query_as(
        "SELECT t.num, t.name, t.email
         FROM (SELECT rowid AS num FROM tenant_search WHERE tenant_search MATCH ?1 LIMIT 64) AS hit
         CROSS JOIN tenants AS t ON t.num = hit.num",
    )
    .bind(format!("\"{}\"", text.replace('"', "\"\"")))
    .fetch_all(peer)
    .await?;
    let took = began.elapsed();
    ensure!(!found.is_empty(), "the index does not find {text:?}, which is there");
    Ok(took)
}

async fn like(peer: &mut SqliteConnection, text: &str) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let found: Vec<(i64, String, String)> = sqlx::query_as(
        "SELECT t.num, t.name, t.email
         FROM (SELECT num FROM tenant_texts WHERE lines LIKE ?1 LIMIT 64) AS hit
         CROSS JOIN tenants AS t ON t.num = hit.num",
    )
    .bind(format!("%{text}%"))
    .fetch_all(peer)
    .await?;
    let took = began.elapsed();
    ensure!(!found.is_empty(), "LIKE does not find {text:?}, which is there");
    Ok(took)
}

async fn offset(peer: &mut SqliteConnection, skipped: i64) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let found: Vec<(i64, String, String, String, Option<i64>)> = sqlx::query_as(
        "SELECT t.num, t.name, t.email, coalesce(p.name, t.plan), t.trial_ends_at
         FROM tenants AS t INDEXED BY tenants_alive_name LEFT JOIN plans AS p ON p.id = t.plan
         WHERE t.deleted_at IS NULL ORDER BY t.name_key, t.num LIMIT ?1 OFFSET ?2",
    )
    .bind(PAGE)
    .bind(skipped)
    .fetch_all(peer)
    .await?;
    let took = began.elapsed();
    ensure!(!found.is_empty(), "the list ends before its page");
    Ok(took)
}

/// The same code with a key and without one.
pub(crate) async fn encryption(
    world: &World,
    copy: &Copy,
    folder: &Path,
    seed: u64,
    rounds: u32,
) -> anyhow::Result<String> {
    let mut rows = vec![bulk(world, folder, rounds).await?];
    rows.extend(interactive(copy, folder, seed, rounds).await?);
    let head = ["what", "with a key", "without", "medians", "99th percentiles", "to reach"];
    Ok(format!(
        "Both files are written by the same code in the same order. Queries: ms, p50 / p99, {rounds} rounds of \
         {QUESTIONS} each after a round to warm up, call by call in turn. Bulk load: the whole feed and {} Stripe \
         objects, page by page, {rounds} rounds in turn.\n\n{}",
        grouped(STRIPE_LOADED as i64),
        table(&head, &rows),
    ))
}

async fn interactive(copy: &Copy, folder: &Path, seed: u64, rounds: u32) -> anyhow::Result<Vec<Vec<String>>> {
    eprintln!("encrypted against plain: copying");
    let (sealed, plain) = (folder.join("sealed.db"), folder.join("plain.db"));
    let key = CacheKey::generate()?;
    let mut from = file::open(&copy.path, Some(&copy.key)).await?;
    for (path, key) in [(&sealed, Some(&key)), (&plain, None)] {
        file::export(&mut from, path, key).await?;
    }
    let ours = Cache::open(&sealed, &key).await?;
    let peer = Cache::open_unencrypted(&plain).await?;
    let mut draw = Draw::new(&ours, &mut from, seed).await?;
    let names =
        ["the search box", "a page of a list", "a tenant with everything", "the Overview", "the counts of the tabs"];
    let mut pairs: Vec<Pair> = vec![Pair::default(); names.len()];
    for round in 0..=rounds {
        eprintln!("encrypted against plain, queries, round {round} of {rounds} (0 warms up)");
        let questions = draw.questions(&mut from).await?;
        for (operation, pair) in pairs.iter_mut().enumerate() {
            // The last two ask no question of their own and are slower: fewer are enough.
            let times = if operation < 3 { QUESTIONS } else { QUESTIONS / 5 };
            let mut took = [Sample::default(), Sample::default()];
            for number in 0..times {
                for (side, cache) in [&ours, &peer].into_iter().enumerate() {
                    let began = Instant::now();
                    ask(cache, operation, &questions, number).await?;
                    took[side].push_ms(began.elapsed());
                }
            }
            if round > 0 {
                pair.rounds(&took[0], &took[1]);
            }
        }
    }
    for cache in [ours, peer] {
        cache.close().await;
        let path = cache.path().to_owned();
        // The file is its owner's until the last handle is gone.
        drop(cache);
        Cache::wipe(&path)?;
    }
    let row = |(name, pair): (&&str, &Pair)| {
        vec![
            (*name).to_owned(),
            pair.ours.p50_p99(),
            pair.peer.p50_p99(),
            pair.ratio(),
            pair.tail_ratio(),
            "≤ 1.25x".to_owned(),
        ]
    };
    Ok(names.iter().zip(&pairs).map(row).collect())
}

async fn ask(cache: &Cache, operation: usize, questions: &Questions, number: usize) -> anyhow::Result<()> {
    match operation {
        0 => drop(cache.search(&questions.texts[number], now()).await?),
        1 => {
            let query = TenantQuery { cursor: Some(questions.places[number].clone()), ..list() };
            drop(cache.tenants_page(&query, now()).await?);
        }
        2 => drop(cache.tenant_detail(&questions.tenants[number], now()).await?),
        3 => drop(cache.overview(None, now()).await?),
        _ => drop(cache.tenant_counts(now()).await?),
    }
    Ok(())
}

/// The pages of a first sync, recorded so that loading them again measures the copy alone.
struct Recording {
    feed: PathBuf,
    stripe: PathBuf,
    rows: usize,
}

async fn bulk(world: &World, folder: &Path, rounds: u32) -> anyhow::Result<Vec<String>> {
    eprintln!("bulk load: recording the pages");
    let recording = record(world, folder).await?;
    let mut seconds = Pair::default();
    for round in 0..rounds {
        eprintln!("bulk load, round {} of {rounds}", round + 1);
        let key = CacheKey::generate()?;
        let (sealed, plain) = (folder.join("bulk-sealed.db"), folder.join("bulk-plain.db"));
        let ours = load(&recording, Cache::open(&sealed, &key).await?).await?;
        let peer = load(&recording, Cache::open_unencrypted(&plain).await?).await?;
        seconds.round(ours.as_secs_f64(), peer.as_secs_f64());
        for path in [&sealed, &plain] {
            Cache::wipe(path)?;
        }
    }
    std::fs::remove_file(&recording.feed)?;
    std::fs::remove_file(&recording.stripe)?;
    Ok(vec![
        format!("bulk load of {} rows", grouped(recording.rows as i64)),
        format!("{} s", short(seconds.ours.median())),
        format!("{} s", short(seconds.peer.median())),
        seconds.ratio(),
        "–".to_owned(),
        "≤ 2x".to_owned(),
    ])
}

async fn record(world: &World, folder: &Path) -> anyhow::Result<Recording> {
    let (feed, stripe) = (folder.join("feed.jsonl"), folder.join("stripe.jsonl"));
    let mut rows = record_feed(&world.admin()?, &feed).await?;
    let mut out = BufWriter::new(File::create(&stripe)?);
    let client = world.stripe()?;
    let mut left = STRIPE_LOADED;
    for stream in [Stream::Prices, Stream::Customers, Stream::Subscriptions, Stream::Invoices, Stream::Charges] {
        let mut after = None;
        let mut share = left.min(STRIPE_LOADED / 4);
        while share > 0 {
            let params = ListParams { limit: Some(100), starting_after: after.clone(), ..ListParams::default() };
            let page = client.list(stream, &params).await?;
            let objects: Vec<(&str, i64, &Value)> =
                page.objects.iter().map(|it| (it.id.as_str(), it.created, &it.raw)).collect();
            serde_json::to_writer(&mut out, &(stream.name(), &objects))?;
            out.write_all(b"\n")?;
            share = share.saturating_sub(objects.len());
            left = left.saturating_sub(objects.len());
            rows += objects.len();
            after.clone_from(&page.last_id);
            if !page.has_more {
                break;
            }
        }
    }
    out.flush()?;
    Ok(Recording { feed, stripe, rows })
}

async fn record_feed(client: &AdminClient, path: &Path) -> anyhow::Result<usize> {
    let mut out = BufWriter::new(File::create(path)?);
    let (mut rows, mut after) = (0, None);
    loop {
        let query = ChangesQuery { after: after.clone(), limit: Some(500), wait: None };
        let page = client.changes(&query).await.map_err(|error| anyhow::anyhow!("{error}"))?;
        serde_json::to_writer(&mut out, &page)?;
        out.write_all(b"\n")?;
        rows += page.changes.len();
        after = Some(page.cursor);
        if !page.has_more {
            break;
        }
    }
    out.flush()?;
    Ok(rows)
}

/// How long the copy takes over the recorded pages, and to be closed. Reading the recording is not counted.
async fn load(recording: &Recording, cache: Cache) -> anyhow::Result<Duration> {
    let mut took = Duration::ZERO;
    for line in BufReader::new(File::open(&recording.feed)?).lines() {
        let page: ChangesPage = serde_json::from_str(&line?)?;
        let began = Instant::now();
        cache.apply_feed_page(&page, now()).await?;
        took += began.elapsed();
    }
    for line in BufReader::new(File::open(&recording.stripe)?).lines() {
        let (name, objects): (String, Vec<(String, i64, Value)>) = serde_json::from_str(&line?)?;
        let stream = Stream::of_name(&name).context("an unknown list was recorded")?;
        let rows: Vec<StripeRow> =
            objects.into_iter().map(|(id, created, raw)| StripeRow { id, created, raw }).collect();
        let progress =
            StreamProgress { cursor: Some(Value::Null), complete_at: None, at: now(), unreadable: Vec::new() };
        let began = Instant::now();
        cache.apply_stripe_page(stream, &rows, &progress).await?;
        took += began.elapsed();
    }
    let began = Instant::now();
    cache.close().await;
    Ok(took + began.elapsed())
}
