//! A small Stripe and a small paywall server, whose every request can be counted and spoilt.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use paywall_console::admin_client::AdminClient;
use paywall_console::cache::{Cache, CacheKey};
use paywall_console::ipc::{Freshness, SettledChange, Source, SourceFreshness};
use paywall_console::observer::Observer;
use paywall_console::sync::{SyncEngine, SyncOptions};
use paywall_stripe::{Client, ClientOptions, Limits, RetryPolicy, StripeKey};
use serde_json::{Value, json};
use sqlx::Row;

/// What a fake holds and was asked.
#[derive(Default)]
pub struct Fake {
    /// Stripe's lists, newest first.
    pub lists: BTreeMap<String, Vec<Value>>,
    /// The server's changes, in order.
    pub changes: Vec<Value>,
    /// The server's database.
    pub instance: String,
    /// What the server says of itself beside its `now`; an old one says nothing.
    pub health: Option<Value>,
    /// What was used by day, in order; an old server says nothing.
    pub usage: Option<Vec<Value>>,
    /// How billing is beside its `as_of`; an old server says nothing.
    pub billing: Option<Value>,
    /// Billing's lists, in order.
    pub billing_lists: BTreeMap<String, Vec<Value>>,
    /// Answers that replace the real one, by path.
    pub spoilt: HashMap<String, (u16, Value)>,
    /// How far its clock is from the usual 7 s behind this machine's.
    pub clock_off_ms: i64,
    /// A list that starts from its top whatever the cursor.
    pub ignores_cursor: bool,
    /// What cannot be narrowed by time: it says so, or else gives everything all the same.
    pub created: Created,
    /// A list whose object at the end of its next page is deleted once that page is given.
    pub loses_cursor_of: Option<String>,
    /// Every such request to Stripe is refused with 429; 0 = none.
    pub refuses_every: usize,
    /// The version that answers are in.
    pub answers_in: Option<String>,
    /// How much later than it could each answer comes.
    pub delay: Duration,
    /// Paths with queries, in order.
    pub asked: Vec<String>,
}

/// How a list answers to `created[gte]` and `created[lt]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Created {
    #[default]
    Narrows,
    Refused,
    Ignored,
}

pub type Shared = Arc<Mutex<Fake>>;

/// A fake on a port of this machine.
pub struct Served {
    pub fake: Shared,
    pub address: String,
    port: u16,
    task: tokio::task::JoinHandle<()>,
}

impl Served {
    pub async fn start() -> Self {
        let fake = Shared::default();
        fake.lock().unwrap().instance = "one".into();
        Self::on(fake, 0).await
    }

    async fn on(fake: Shared, port: u16) -> Self {
        let app = Router::new().fallback(answer).with_state(fake.clone());
        let listener = loop {
            match tokio::net::TcpListener::bind(("127.0.0.1", port)).await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            // One request per connection: stopping the task must not leave a kept connection answering.
            axum::serve(listener, app.layer(axum::middleware::map_response(close))).await.unwrap();
        });
        Self { fake, address: format!("http://127.0.0.1:{port}"), port, task }
    }

    pub fn stop(&self) {
        self.task.abort();
    }

    pub async fn restart(self) -> Self {
        self.stop();
        Self::on(self.fake.clone(), self.port).await
    }

    pub fn with<T>(&self, change: impl FnOnce(&mut Fake) -> T) -> T {
        change(&mut self.fake.lock().unwrap())
    }

    /// How many requests went to paths that start so, since the last [`Served::forget`].
    pub fn count(&self, prefix: &str) -> usize {
        self.with(|fake| fake.asked.iter().filter(|line| line.starts_with(prefix)).count())
    }

    pub fn forget(&self) {
        self.with(|fake| fake.asked.clear());
    }
}

async fn close(mut response: Response) -> Response {
    response.headers_mut().insert("connection", "close".parse().unwrap());
    response
}

async fn answer(
    State(fake): State<Shared>,
    Query(query): Query<Vec<(String, String)>>,
    uri: Uri,
    _request: Request,
) -> Response {
    let delay = fake.lock().unwrap().delay;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let mut fake = fake.lock().unwrap();
    fake.asked.push(uri.to_string());
    let mut response = answer_of(&mut fake, &query, &uri);
    if let Some(version) = &fake.answers_in {
        response.headers_mut().insert("stripe-version", version.parse().unwrap());
    }
    response
}

fn answer_of(fake: &mut Fake, query: &[(String, String)], uri: &Uri) -> Response {
    let path = uri.path().to_owned();
    if let Some((status, body)) = fake.spoilt.get(&path) {
        return (StatusCode::from_u16(*status).unwrap(), axum::Json(body.clone())).into_response();
    }
    if path.starts_with("/v1/") && fake.refuses_every > 0 && fake.asked.len().is_multiple_of(fake.refuses_every) {
        let headers = [("stripe-should-retry", "true")];
        return (StatusCode::TOO_MANY_REQUESTS, headers, axum::Json(json!({"error": {"code": "rate_limit"}})))
            .into_response();
    }
    let get = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let now = chrono::Utc::now().timestamp_millis();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let body = match parts.as_slice() {
        ["admin", "v1", "me"] => json!({
            "product": "paywall-server", "version": "1", "api_version": "1.0", "instance": fake.instance,
            "now": now - 7_000 + fake.clock_off_ms, "token_id": "t", "name": "Mia", "role": "support", "expires_at": null,
        }),
        ["admin", "v1", "changes"] => {
            let from: usize = get("after").map_or(0, |after| after.parse().unwrap());
            let limit: usize = get("limit").unwrap().parse().unwrap();
            let to = (from + limit).min(fake.changes.len());
            json!({
                "changes": fake.changes[from..to], "cursor": to.to_string(), "has_more": to < fake.changes.len(),
                "remaining": fake.changes.len() - to, "now": now - 7_000 + fake.clock_off_ms, "instance": fake.instance,
            })
        }
        ["admin", "v1", "server"] => match fake.health.clone() {
            None => return missing(&path),
            Some(mut health) => {
                health["now"] = json!(now - 7_000 + fake.clock_off_ms);
                health
            }
        },
        ["admin", "v1", "usage", "days"] => {
            let Some(all) = &fake.usage else { return missing(&path) };
            // A cursor is a database and a place in its list.
            let (of, at) = get("after").and_then(|it| it.split_once('-')).unwrap_or((&fake.instance, "0"));
            if of != fake.instance {
                let problem = json!({"type": "urn:paywall:problem:invalid_cursor", "title": "cursor", "status": 400,
                    "code": "invalid_cursor", "detail": "of another database", "request_id": "req_400"});
                return (StatusCode::BAD_REQUEST, axum::Json(problem)).into_response();
            }
            let (at, limit): (usize, usize) = (at.parse().unwrap(), get("limit").unwrap().parse().unwrap());
            let from: i64 = get("from").unwrap().parse().unwrap();
            let to = (at + limit.min(2)).min(all.len());
            let days: Vec<&Value> = all[at..to].iter().filter(|it| it["day"].as_i64() >= Some(from)).collect();
            json!({"days": days, "cursor": format!("{}-{to}", fake.instance), "has_more": to < all.len(),
                "now": now - 7_000 + fake.clock_off_ms, "instance": fake.instance})
        }
        ["admin", "v1", "billing"] => match fake.billing.clone() {
            None => return missing(&path),
            Some(mut billing) => {
                billing["as_of"] = json!(now - 7_000 + fake.clock_off_ms);
                billing
            }
        },
        ["admin", "v1", "billing", list] => {
            let Some(all) = fake.billing_lists.get(*list) else { return missing(&path) };
            let wanted = |it: &&Value| get("state").is_none_or(|state| it["state"] == state);
            let all: Vec<&Value> = all.iter().filter(wanted).collect();
            let from: usize = get("cursor").map_or(0, |at| at.parse().unwrap());
            let to = (from + get("limit").unwrap().parse::<usize>().unwrap()).min(all.len());
            json!({"items": all[from..to], "next": (to < all.len()).then(|| to.to_string())})
        }
        ["v1", list] => {
            let Some(all) = fake.lists.get(*list) else { return missing(&path) };
            let bound =
                |name: &str| get(name).filter(|_| fake.created != Created::Ignored).map(|it| it.parse().unwrap());
            let (from, to) = (bound("created[gte]").unwrap_or(i64::MIN), bound("created[lt]").unwrap_or(i64::MAX));
            if fake.created == Created::Refused && (from, to) != (i64::MIN, i64::MAX) {
                return (StatusCode::BAD_REQUEST, axum::Json(json!({"error": {"param": "created"}}))).into_response();
            }
            let all: Vec<&Value> = all
                .iter()
                .filter(|it| {
                    (from..to).contains(&it["created"].as_i64().unwrap_or(i64::MAX - 1)) && it["deleted"] != true
                })
                .filter(|it| ["subscription", "invoice"].iter().all(|by| get(by).is_none_or(|id| it[*by] == id)))
                .collect();
            let start = match get("starting_after").filter(|_| !fake.ignores_cursor) {
                None => 0,
                Some(id) => match all.iter().position(|it| it["id"] == id) {
                    Some(at) => at + 1,
                    None => {
                        return (StatusCode::BAD_REQUEST, axum::Json(json!({"error": {"param": "starting_after"}})))
                            .into_response();
                    }
                },
            };
            let limit: usize = get("limit").unwrap().parse().unwrap();
            let page: Vec<Value> = all.iter().skip(start).take(limit).copied().cloned().collect();
            let has_more = start + page.len() < all.len();
            if has_more && fake.loses_cursor_of.as_deref() == Some(*list) {
                fake.loses_cursor_of = None;
                let last = page.last().unwrap()["id"].clone();
                fake.lists.get_mut(*list).unwrap().retain(|it| it["id"] != last);
            }
            json!({"object": "list", "has_more": has_more, "data": page})
        }
        ["v1", list, id] => match fake.lists.get(*list).and_then(|all| all.iter().find(|it| it["id"] == *id)) {
            Some(object) => object.clone(),
            None => return missing(&path),
        },
        _ => return missing(&path),
    };
    axum::Json(body).into_response()
}

fn missing(path: &str) -> Response {
    if path.starts_with("/admin/") {
        let problem = json!({"type": "urn:paywall:problem:not_found", "title": "not found", "status": 404,
            "code": "not_found", "detail": format!("nothing at {path}"), "request_id": "req_404"});
        return (StatusCode::NOT_FOUND, axum::Json(problem)).into_response();
    }
    (StatusCode::NOT_FOUND, axum::Json(json!({"error": {"message": format!("nothing at {path}")}}))).into_response()
}

impl Fake {
    /// `count` objects in each of Stripe's lists, newest first, several in each second.
    pub fn fill(&mut self, count: usize) {
        let now = chrono::Utc::now().timestamp();
        for (list, prefix) in [
            ("customers", "cus"),
            ("products", "prod"),
            ("prices", "price"),
            ("subscriptions", "sub"),
            ("invoices", "in"),
            ("invoice_payments", "inpay"),
            ("charges", "ch"),
            ("refunds", "re"),
            ("credit_notes", "cn"),
            ("disputes", "dp"),
        ] {
            let all = (0..count).rev().map(|n| {
                json!({"id": format!("{prefix}_{n:05}"), "object": &list[..list.len() - 1], "currency": "usd",
                    "created": now - 100_000 + (n as i64) / 3, "status": "paid", "livemode": false})
            });
            self.lists.insert(list.into(), all.collect());
        }
        self.lists.insert("events".into(), Vec::new());
    }

    /// Plans as changes of the server.
    pub fn plans(&mut self, count: usize) {
        let from = self.changes.len();
        self.changes.extend((from..from + count).map(|n| {
            json!({"type": "plan", "data": {"id": format!("plan_{n:05}"), "name": "Plan", "limits": {},
                "stripe_prices": [], "trial_days": 14}})
        }));
    }

    /// Changes an object of a list, and says so by an event of this second.
    pub fn touch(&mut self, list: &str, id: &str, change: &Value, event: &str) {
        let object = self.lists.get_mut(list).unwrap().iter_mut().find(|it| it["id"] == id).unwrap();
        for (name, value) in change.as_object().unwrap() {
            object[name] = value.clone();
        }
        let object = object.clone();
        self.event(event, &object);
    }

    /// An event of this second about an object.
    pub fn event(&mut self, kind: &str, object: &Value) {
        let events = self.lists.get_mut("events").unwrap();
        let id = format!("evt_{:05}", events.len());
        let created = chrono::Utc::now().timestamp();
        events.insert(
            0,
            json!({"id": id, "object": "event", "created": created, "type": kind, "data": {"object": object}}),
        );
    }
}

/// Counts what an observer is told.
#[derive(Default)]
pub struct Counter {
    pub freshness: AtomicUsize,
    pub data: AtomicUsize,
    pub was_offline: AtomicBool,
}

impl Observer for Counter {
    fn freshness(&self, freshness: &Freshness) {
        self.freshness.fetch_add(1, Ordering::SeqCst);
        self.was_offline.fetch_or(freshness.offline, Ordering::SeqCst);
    }

    fn data_changed(&self) {
        self.data.fetch_add(1, Ordering::SeqCst);
    }

    fn settled(&self, _settled: &SettledChange) {}
}

/// A copy in a folder of its own, and what it is synced from.
pub struct Copy {
    _folder: tempfile::TempDir,
    pub path: PathBuf,
    pub key: CacheKey,
    pub cache: Cache,
    pub counter: Arc<Counter>,
}

impl Copy {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("copy.db");
        let key = CacheKey::generate().unwrap();
        let cache = Cache::open(&path, &key).await.unwrap();
        Self { _folder: folder, path, key, cache, counter: Arc::default() }
    }

    pub async fn engine(&self, server: Option<&Served>, stripe: Option<&Served>, options: SyncOptions) -> SyncEngine {
        let server = server.map(|it| AdminClient::new(&it.address, "pw_token".to_owned().into()).unwrap());
        let retry =
            RetryPolicy { retries: 2, first_pause: Duration::from_millis(5), longest_pause: Duration::from_millis(20) };
        let given = || ClientOptions { limits: Limits::NONE, retry, ..ClientOptions::default() };
        let stripe = stripe.map(|it| Client::new(&it.address, StripeKey::new("rk_test_1"), given()).unwrap());
        SyncEngine::start(self.cache.clone(), server, stripe, self.counter.clone(), options).await.unwrap()
    }

    /// The ids in a table, and whatever else a column says, in order.
    pub async fn column(&self, statement: &'static str) -> Vec<String> {
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(&self.path)
            .pragma("key", format!("\"x'{}'\"", *self.key.to_hex()));
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        let rows = sqlx::query(statement).fetch_all(&pool).await.unwrap();
        pool.close().await;
        rows.iter().map(|row| row.get::<String, _>(0)).collect()
    }
}

/// Quick, so that a test need not wait.
pub fn quick() -> SyncOptions {
    SyncOptions {
        interval: Duration::from_millis(150),
        first_pause: Duration::from_millis(50),
        longest_pause: Duration::from_millis(300),
        feed_page: 10,
        stripe_page: 10,
        ..SyncOptions::default()
    }
}

/// Only what is asked for by hand.
pub fn by_hand() -> SyncOptions {
    SyncOptions { interval: Duration::from_mins(10), ..quick() }
}

pub fn source(engine: &SyncEngine, source: Source) -> SourceFreshness {
    engine.freshness().sources.into_iter().find(|it| it.source == source).unwrap()
}

/// Waits until `holds`, for at most four minutes: the machine may be busy.
pub async fn until(engine: &SyncEngine, what: &str, holds: impl Fn(&SyncEngine) -> bool) {
    let begun = Instant::now();
    while !holds(engine) {
        assert!(begun.elapsed() < Duration::from_secs(240), "{what} never came: {:#?}", engine.freshness());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Asks for a pass, and waits until it is through: with all that is asked beside the lists, which may answer after
/// them. Call it while no pass runs but the first.
pub async fn pass(engine: &SyncEngine, of: Source) {
    until(engine, "the end of the pass before", |engine| source(engine, of).next_try_at.is_some()).await;
    // Instants are no help to tell it from the one before: the clock that they go by is set right meanwhile.
    let before = source(engine, of);
    tokio::time::sleep(Duration::from_millis(5)).await;
    engine.sync_now();
    until(engine, "the pass", |engine| {
        let after = source(engine, of);
        after.as_of.is_some() && after.as_of != before.as_of && after.next_try_at != before.next_try_at
    })
    .await;
}
