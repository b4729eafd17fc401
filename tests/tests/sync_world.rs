//! The sync between the real paywall server, the sandbox's Stripe and the local copy.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use paywall_console::admin_client::AdminClient;
use paywall_console::cache::{Cache, CacheKey};
use paywall_console::ipc::{FailureCode, Source, SourceState};
use paywall_console::observer::Unobserved;
use paywall_console::sql::SqlLimits;
use paywall_console::sync::{SyncEngine, SyncOptions};
use paywall_contract::IntakeRecord;
use paywall_domain::{Meter, Role, Timestamp};
use paywall_sandbox::{Cursor, Filter, Keys, Kind, Rules, StripeHistory, World, WorldSpec, stripe_api};
use paywall_server::{Config, Server, TestClock};
use paywall_stripe::{Client, Limits, Stream, StripeKey};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use sqlx::Row;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

type Log = Arc<Mutex<Vec<String>>>;

/// A paywall server with the world in it, and the world's Stripe.
struct Sources {
    folder: tempfile::TempDir,
    world: World,
    history: Arc<StripeHistory>,
    keys: Keys,
    config: Config,
    token: String,
    /// The server's, by which the engine goes too. It stands still unless it is moved.
    clock: Arc<TestClock>,
    server: Server,
    port: u16,
    stop: CancellationToken,
    serving: Option<tokio::task::JoinHandle<()>>,
    stripe: String,
    /// Every request to either, in order.
    log: Log,
}

impl Sources {
    async fn start(tenants: u32, rules: Rules) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let seed = seed();
        let as_of = Timestamp(chrono::Utc::now().timestamp() * 1000);
        let world = World::generate(WorldSpec { seed, tenants, as_of });
        let config = Config {
            database_url: format!("sqlite://{}", folder.path().join("server.db").display()),
            ..Config::default()
        };
        let clock = Arc::new(TestClock::at(as_of));
        let server = Server::open(config.clone(), clock.clone()).await.unwrap();
        let summary = server.import(world.intake()).await.unwrap();
        assert!(format!("{summary:?}").contains("refused: []"), "{summary:?}");
        let token = server.create_token("Sync", Role::Viewer, None).await.unwrap();
        let log = Log::default();
        let history = world.stripe();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stripe = format!("http://{}", listener.local_addr().unwrap());
        let app = logged(stripe_api::router(history.clone(), rules), log.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let mut sources = Self {
            keys: world.keys(),
            folder,
            world,
            history,
            config,
            token,
            clock,
            server,
            port: 0,
            stop: CancellationToken::new(),
            serving: None,
            stripe,
            log,
        };
        sources.serve().await;
        sources
    }

    async fn serve(&mut self) {
        let listener = loop {
            if let Ok(listener) = TcpListener::bind(("127.0.0.1", self.port)).await {
                break listener;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        self.port = listener.local_addr().unwrap().port();
        let app = logged(self.server.router(), self.log.clone());
        let stop = self.stop.clone();
        self.serving = Some(tokio::spawn(async move {
            tokio::select! {
                _ = axum::serve(listener, app) => {}
                () = stop.cancelled() => {}
            }
        }));
    }

    /// The server is gone, with its connections, and another process of it comes up.
    async fn restart(&mut self) {
        self.go_away().await;
        self.server = Server::open(self.config.clone(), self.clock.clone()).await.unwrap();
        self.serve().await;
    }

    async fn go_away(&mut self) {
        self.stop.cancel();
        if let Some(serving) = self.serving.take() {
            serving.await.unwrap();
        }
        self.stop = CancellationToken::new();
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn forget(&self) {
        self.log.lock().unwrap().clear();
    }

    fn asked(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    async fn engine(&self, cache: &Cache, stripe_key: &str, limits: Limits, options: SyncOptions) -> SyncEngine {
        let server = AdminClient::new(&self.address(), self.token.clone().into()).unwrap();
        let stripe = Client::new(&self.stripe, StripeKey::new(stripe_key), limits).unwrap();
        SyncEngine::start(cache.clone(), Some(server), Some(stripe), Arc::new(Unobserved), options).await.unwrap()
    }

    /// What the account holds of a kind, by id.
    fn account(&self, kind: Kind) -> BTreeMap<String, Value> {
        let mut all = BTreeMap::new();
        let mut last: Option<String> = None;
        // Without it the canceled ones are left out, as Stripe does.
        let status = (kind == Kind::Subscription).then(|| "all".to_owned());
        let filter = Filter { status, ..Filter::default() };
        loop {
            let cursor = last.as_deref().map_or(Cursor::Start, Cursor::After);
            let (page, more) = self.history.list(kind, &filter, cursor, 100).unwrap();
            last = page.last().map(|it| it["id"].as_str().unwrap().to_owned());
            all.extend(page.into_iter().map(|it| (it["id"].as_str().unwrap().to_owned(), it)));
            if !more {
                return all;
            }
        }
    }
}

fn logged(router: axum::Router, log: Log) -> axum::Router {
    router.layer(from_fn(move |request: Request, next: Next| {
        log.lock().unwrap().push(request.uri().to_string());
        next.run(request)
    }))
}

fn seed() -> u64 {
    std::env::var("PAYWALL_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(7)
}

fn size(default: u32) -> u32 {
    std::env::var("PAYWALL_SIZE").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A copy's place and key.
struct Copy {
    _folder: tempfile::TempDir,
    path: PathBuf,
    key: CacheKey,
}

impl Copy {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { path: folder.path().join("copy.db"), _folder: folder, key: CacheKey::generate().unwrap() }
    }

    async fn open(&self) -> Cache {
        Cache::open(&self.path, &self.key).await.unwrap()
    }
}

const SERVER_TABLES: [(&str, &str); 3] = [
    ("plans", "SELECT id, body FROM plans ORDER BY id"),
    ("tenants", "SELECT id, body FROM tenants JOIN tenant_bodies USING (num) ORDER BY id"),
    ("entries", "SELECT id, body FROM entries JOIN entry_bodies USING (num) ORDER BY id"),
];

const STRIPE_TABLES: [(Stream, &str); 10] = [
    (Stream::Customers, "SELECT id FROM stripe_customers"),
    (Stream::Products, "SELECT id FROM stripe_products"),
    (Stream::Prices, "SELECT id FROM stripe_prices"),
    (Stream::Subscriptions, "SELECT id FROM stripe_subscriptions"),
    (Stream::Invoices, "SELECT id FROM stripe_invoices"),
    (Stream::InvoicePayments, "SELECT id FROM stripe_invoice_payments"),
    (Stream::Charges, "SELECT id FROM stripe_charges"),
    (Stream::Refunds, "SELECT id FROM stripe_refunds"),
    (Stream::CreditNotes, "SELECT id FROM stripe_credit_notes"),
    (Stream::Disputes, "SELECT id FROM stripe_disputes"),
];

/// Everything in a copy, by table and id; and whether `SQLite` finds the file whole.
/// A copy is open once at a time, so it is read through `cache` as well.
async fn contents(copy: &Copy, cache: &Cache) -> BTreeMap<&'static str, BTreeMap<String, Value>> {
    let key = format!("\"x'{}'\"", *copy.key.to_hex());
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&copy.path).pragma("key", key);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let (verdict,): (String,) = sqlx::query_as("PRAGMA integrity_check").fetch_one(&pool).await.unwrap();
    assert_eq!(verdict, "ok");
    let mut all = BTreeMap::new();
    for (table, statement) in SERVER_TABLES {
        let rows = sqlx::query(statement).fetch_all(&pool).await.unwrap();
        let rows = rows.iter().map(|row| (row.get(0), serde_json::from_str(&row.get::<String, _>(1)).unwrap()));
        all.insert(table, rows.collect());
    }
    for (stream, statement) in STRIPE_TABLES {
        let ids: Vec<(String,)> = sqlx::query_as(statement).fetch_all(&pool).await.unwrap();
        let ids: Vec<String> = ids.into_iter().map(|(id,)| id).collect();
        let objects = cache.stripe_raw(stream, &ids).await.unwrap();
        assert_eq!(objects.len(), ids.len(), "{}", stream.name());
        let by_id = objects.into_iter().map(|it| (it["id"].as_str().unwrap().to_owned(), it));
        all.insert(stream.name(), by_id.collect());
    }
    pool.close().await;
    all
}

/// The same of a copy that nobody has open.
async fn contents_of_closed(copy: &Copy) -> BTreeMap<&'static str, BTreeMap<String, Value>> {
    let cache = copy.open().await;
    let all = contents(copy, &cache).await;
    cache.close().await;
    all
}

fn by_hand() -> SyncOptions {
    SyncOptions { interval: Duration::from_mins(30), ..SyncOptions::default() }
}

async fn until(engine: &SyncEngine, what: &str, holds: impl Fn(&SyncEngine) -> bool) {
    let begun = Instant::now();
    while !holds(engine) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what} never came: {:#?}", engine.freshness());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn pass(engine: &SyncEngine, sources: &Sources) {
    let asked = engine.freshness().now;
    // Later than what was asked for, by whichever clock.
    tokio::time::sleep(Duration::from_millis(5)).await;
    sources.clock.advance_ms(3_600_000);
    engine.sync_now();
    until(engine, "the pass", |engine| engine.freshness().as_of.is_some_and(|at| at > asked)).await;
}

/// The copy has each object of the account, and of each the same words where they are not expanded.
fn same_as_account(copy: &BTreeMap<&'static str, BTreeMap<String, Value>>, sources: &Sources) {
    for (table, kind) in [
        ("customers", Kind::Customer),
        ("products", Kind::Product),
        ("prices", Kind::Price),
        ("subscriptions", Kind::Subscription),
        ("invoices", Kind::Invoice),
        ("invoice_payments", Kind::InvoicePayment),
        ("charges", Kind::Charge),
        ("credit_notes", Kind::CreditNote),
        ("refunds", Kind::Refund),
        ("disputes", Kind::Dispute),
    ] {
        let (ours, theirs) = (&copy[table], sources.account(kind));
        // Stripe's list leaves deleted customers out; the copy keeps them.
        let missing: Vec<&String> = theirs.keys().filter(|id| !ours.contains_key(*id)).collect();
        assert!(missing.is_empty(), "{table}: {missing:?} are missing");
        if kind != Kind::Customer {
            assert_eq!(ours.len(), theirs.len(), "{table}");
        }
        for (id, object) in &theirs {
            for field in
                ["status", "amount_paid", "amount_remaining", "amount_refunded", "ended_at", "email", "unit_amount"]
            {
                assert_eq!(ours[id].get(field), object.get(field), "{table} {id} {field}");
            }
        }
    }
    let subscriptions = copy["subscriptions"].values();
    assert!(subscriptions.clone().any(|it| it["status"] == "canceled"), "ended ones belong to the copy");
    assert!(subscriptions.clone().all(|it| it["items"]["has_more"] == false));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_copy_equals_the_world_and_follows_it() {
    let sources = Sources::start(size(120), Rules::default()).await;
    let copy = Copy::new();
    let cache = copy.open().await;
    let engine = sources.engine(&cache, &sources.keys.restricted, Limits::NONE, by_hand()).await;
    until(&engine, "the world", |engine| engine.freshness().as_of.is_some()).await;
    let here = contents(&copy, &cache).await;
    assert_eq!(here["tenants"].len(), sources.world.spec().tenants as usize);
    assert_eq!(here["plans"].len(), sources.world.plans().len());
    assert!(here["entries"].len() > here["tenants"].len());
    same_as_account(&here, &sources);
    assert!(engine.freshness().sources.iter().all(|it| it.missing.is_empty() && it.unreadable.is_empty()));
    until(&engine, "the server's own word", |engine| engine.freshness().health.is_some()).await;
    assert_eq!(engine.freshness().health.unwrap().replicas.len(), 1);

    // Everything in one and the same second, which no `created` can put in order.
    let subscriptions = sources.account(Kind::Subscription);
    let mut living = subscriptions.values().filter(|it| it["status"] == "active");
    let mut next = || living.next().unwrap();
    let paying = next()["customer"].as_str().unwrap().to_owned();
    let ending = next()["id"].as_str().unwrap().to_owned();
    let leaving = next()["customer"].as_str().unwrap().to_owned();
    let charges = sources.account(Kind::Charge);
    let charge = charges.values().find(|it| it["status"] == "succeeded" && it["amount_refunded"] == 0).unwrap();
    let charge = charge["id"].as_str().unwrap().to_owned();
    sources.history.advance(3_600);
    sources.forget();
    let invoice = sources.history.add_invoice_paid(&paying).unwrap();
    pass(&engine, &sources).await;
    sources.history.cancel_subscription(&ending).unwrap();
    sources.history.delete_customer(&leaving).unwrap();
    let refund = sources.history.refund(&charge).unwrap();
    pass(&engine, &sources).await;

    let here = contents(&copy, &cache).await;
    assert_eq!(here["invoices"][&invoice]["status"], "paid");
    assert_eq!(here["subscriptions"][&ending]["status"], "canceled");
    assert!(here["refunds"].contains_key(&refund));
    assert_eq!(here["charges"][&charge]["refunded"], true);
    same_as_account(&here, &sources);
    let deleted: Vec<String> = {
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(&copy.path)
            .pragma("key", format!("\"x'{}'\"", *copy.key.to_hex()));
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        let rows = sqlx::query("SELECT id FROM stripe_customers WHERE deleted = 1").fetch_all(&pool).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    assert!(deleted.contains(&leaving), "{deleted:?}");
    let pages = sources.asked().iter().filter(|line| line.contains("starting_after=")).count();
    assert_eq!(pages, 0, "no list was read again: {:#?}", sources.asked());
    engine.stop().await;
    cache.close().await;
}

/// A question's rows, each as one text.
async fn asked(cache: &Cache, question: &str) -> Vec<String> {
    let answer = cache.sql(question, SqlLimits::default(), &CancellationToken::new()).await.unwrap();
    answer.rows.iter().map(|row| serde_json::to_string(row).unwrap()).collect()
}

async fn until_answered(cache: &Cache, question: &str, wanted: &[String]) {
    let begun = Instant::now();
    while asked(cache, question).await != wanted {
        let found = asked(cache, question).await;
        assert!(begun.elapsed() < Duration::from_secs(60), "{question}: {found:#?} instead of {wanted:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What questions in SQL rest on that nothing else of the copy does: usage by day, and sums of revenue.
#[tokio::test(flavor = "multi_thread")]
async fn questions_are_answered_by_what_the_world_used_and_pays() {
    let sources = Sources::start(size(120), Rules::default()).await;
    let mut sums: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for record in sources.world.intake() {
        let IntakeRecord::Tenant(tenant) = record else { continue };
        for day in tenant.usage.iter().flatten() {
            let sum = sums.entry(tenant.id.to_string()).or_default();
            sum.0 += day.amounts.get(&Meter::Messages).copied().unwrap_or(0);
            sum.1 += day.amounts.get(&Meter::Tokens).copied().unwrap_or(0);
        }
    }
    assert!(sums.len() > 20, "the world uses something");
    let cell = |value: i64| json!({"is": "integer", "value": value.to_string()});
    let wanted: Vec<String> = sums
        .iter()
        .map(|(id, (messages, tokens))| {
            json!([{"is": "text", "value": id}, cell(*messages), cell(*tokens)]).to_string()
        })
        .collect();
    let copy = Copy::new();
    let cache = copy.open().await;
    let engine = sources.engine(&cache, &sources.keys.restricted, Limits::NONE, by_hand()).await;
    until(&engine, "the world", |engine| engine.freshness().as_of.is_some()).await;
    let by_tenant = "SELECT tenant_id, sum(messages), sum(tokens) FROM usage_by_day GROUP BY 1 ORDER BY 1";
    until_answered(&cache, by_tenant, &wanted).await;

    // What moved adds up to what is paid, in each currency, to the last ten-thousandth.
    let paid = "SELECT currency, sum(mrr_10k) FROM subscriptions WHERE counts = 1 GROUP BY 1 HAVING sum(mrr_10k) > 0 ORDER BY 1";
    let paid = asked(&cache, paid).await;
    assert!(!paid.is_empty());
    let moved = "SELECT currency, sum(amount_10k) FROM movements GROUP BY 1 HAVING sum(amount_10k) > 0 ORDER BY 1";
    until_answered(&cache, moved, &paid).await;
    let latest = "SELECT currency, mrr_10k FROM mrr_by_month AS m WHERE mrr_10k > 0
        AND month = (SELECT max(month) FROM mrr_by_month WHERE currency = m.currency) ORDER BY 1";
    until_answered(&cache, latest, &paid).await;
    engine.stop().await;
    cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_restarts_in_the_middle_is_read_on() {
    let mut sources = Sources::start(size(400), Rules::default()).await;
    let copy = Copy::new();
    let cache = copy.open().await;
    let options = SyncOptions { feed_page: 20, ..SyncOptions::default() };
    let engine = sources.engine(&cache, &sources.keys.restricted, Limits::NONE, options).await;
    let server =
        |engine: &SyncEngine| engine.freshness().sources.into_iter().find(|it| it.source == Source::Server).unwrap();
    until(&engine, "the first pages", |engine| server(engine).progress.is_some_and(|it| it.done >= 40)).await;
    sources.go_away().await;
    assert_eq!(server(&engine).as_of, None, "half a feed is not fresh");
    until(&engine, "the failure", |engine| server(engine).state == SourceState::Failing).await;
    sources.restart().await;
    until(&engine, "the rest", |engine| server(engine).state == SourceState::Current).await;
    let here = contents(&copy, &cache).await;
    assert_eq!(here["tenants"].len(), sources.world.spec().tenants as usize);
    let pages: Vec<String> = sources.asked().into_iter().filter(|it| it.contains("/changes?")).collect();
    let different: BTreeSet<&String> = pages.iter().collect();
    assert!(pages.len() - different.len() <= 2, "it began anew: {pages:#?}");
    engine.stop().await;
    cache.close().await;
    drop(sources.folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_not_read_everything_says_what_it_lacks() {
    let sources = Sources::start(60, Rules::default()).await;
    let copy = Copy::new();
    let cache = copy.open().await;
    let engine = sources.engine(&cache, &sources.keys.lacking, Limits::NONE, by_hand()).await;
    until(&engine, "the rest", |engine| engine.freshness().as_of.is_some()).await;
    let freshness = engine.freshness();
    let lacking: BTreeMap<String, Option<String>> = freshness.sources[1]
        .missing
        .iter()
        .map(|it| match &it.failure.code {
            FailureCode::StripePermission { permission, .. } => (it.stream.clone(), permission.clone()),
            other => panic!("{other:?}"),
        })
        .collect();
    let charge = Some("rak_charge_read".to_owned());
    let dispute = Some("rak_dispute_read".to_owned());
    let expected = [("charges", charge.clone()), ("disputes", dispute), ("refunds", charge)];
    assert_eq!(lacking, expected.map(|(list, name)| (list.to_owned(), name)).into());
    let here = contents(&copy, &cache).await;
    assert_eq!(here["invoices"].len(), sources.account(Kind::Invoice).len());
    assert_eq!(here["subscriptions"].len(), sources.account(Kind::Subscription).len());
    engine.stop().await;
    let wrong = sources.engine(&cache, &sources.keys.live, Limits::NONE, by_hand()).await;
    until(&wrong, "the refusal", |engine| {
        engine.freshness().sources[1].failure.as_ref().is_some_and(|it| it.code == FailureCode::StripeKeyRefused)
    })
    .await;
    wrong.stop().await;
    cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn within_stripes_limits_hardly_a_request_is_refused_and_without_ours_all_arrives_too() {
    let sources = Sources::start(size(300), Rules { limits: true, latency: Duration::ZERO }).await;
    for limits in [Limits::STRIPE, Limits::NONE] {
        let copy = Copy::new();
        let cache = copy.open().await;
        let options = SyncOptions { stripe_page: 20, ..by_hand() };
        let engine = sources.engine(&cache, &sources.keys.restricted, limits, options).await;
        until(&engine, "the world", |engine| engine.freshness().as_of.is_some()).await;
        same_as_account(&contents(&copy, &cache).await, &sources);
        engine.stop().await;
        cache.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_the_copy_is_whole_and_goes_on() {
    let seed = seed();
    let kills = 50;
    let sources = Sources::start(size(150), Rules { limits: false, latency: Duration::from_millis(3) }).await;
    eprintln!("PAYWALL_SEED={seed} PAYWALL_SIZE={}", size(150));
    let undisturbed = Copy::new();
    assert!(start(&sources, &undisturbed).wait().unwrap().success());
    let expected = contents_of_closed(&undisturbed).await;
    same_as_account(&expected, &sources);

    let mut random = StdRng::seed_from_u64(seed);
    let mut copy = Copy::new();
    let mut before: HashSet<String> = HashSet::new();
    let mut killed = 0;
    while killed < kills {
        sources.forget();
        let mut child = start(&sources, &copy);
        let alive = Duration::from_millis(random.random_range(1..250));
        let ended = tokio::task::spawn_blocking(move || {
            std::thread::sleep(alive);
            let ended = child.try_wait().unwrap();
            if ended.is_none() {
                child.kill().unwrap();
                child.wait().unwrap();
            }
            ended
        })
        .await
        .unwrap();
        let asked: Vec<String> = sources.asked().into_iter().filter(|it| is_list_page(it)).collect();
        let mut again: BTreeMap<String, usize> = BTreeMap::new();
        for line in &asked {
            if before.contains(line) {
                *again.entry(line.split('?').next().unwrap().to_owned()).or_default() += 1;
            }
        }
        // Of the feed the page that was under way; of a list the page that was being written and the one behind it,
        // of each of its sixteen windows.
        let most = |path: &str| if path.starts_with("/admin/") { 1 } else { 32 };
        assert!(
            again.iter().all(|(path, times)| *times <= most(path)),
            "after kill {killed} of seed {seed}: {again:?}"
        );
        before.extend(asked);
        if copy.path.exists() {
            // A file whose first transaction was cut short has no tables yet; opening it makes them.
            let cache = copy.open().await;
            cache.verify().await.unwrap();
            let here = contents(&copy, &cache).await;
            cache.close().await;
            for (table, rows) in &here {
                for (id, row) in rows {
                    assert_eq!(Some(row), expected[table].get(id), "{table} {id} after kill {killed} of seed {seed}");
                }
            }
        }
        if let Some(status) = ended {
            assert!(status.success(), "kill {killed} of seed {seed}");
            assert_eq!(contents_of_closed(&copy).await, expected, "kill {killed} of seed {seed}");
            copy = Copy::new();
            before.clear();
        } else {
            killed += 1;
        }
    }
    assert!(start(&sources, &copy).wait().unwrap().success());
    assert!(contents_of_closed(&copy).await == expected, "kill {killed} of seed {seed}");
}

/// Whether a request is for a page of a list that is read through, as opposed to what is new in it.
fn is_list_page(line: &str) -> bool {
    (line.starts_with("/v1/") && line.contains('?') && !line.starts_with("/v1/events"))
        && line.split('?').next().unwrap().matches('/').count() == 2
        || line.starts_with("/admin/v1/changes?") && line.contains("after=")
}

fn start(sources: &Sources, copy: &Copy) -> std::process::Child {
    Command::new(env!("CARGO_BIN_EXE_sync_once"))
        .env("SYNC_COPY", &copy.path)
        .env("SYNC_COPY_KEY", copy.key.to_hex().as_str())
        .env("SYNC_SERVER", sources.address())
        .env("SYNC_TOKEN", &sources.token)
        .env("SYNC_STRIPE", &sources.stripe)
        .env("SYNC_STRIPE_KEY", &sources.keys.restricted)
        .env("SYNC_PAGE", "20")
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}
