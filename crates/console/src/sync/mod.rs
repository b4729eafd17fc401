//! The engine that keeps the local copy current: the server's feed and Stripe's lists, each in a task
//! of its own, each with its own cursor, each recovering by itself.
//!
//! A source is marked fresh only by a pass that went through to its end. What failed keeps its age.

mod billing;
mod health;
mod server;
mod status;
mod stripe;
mod usage;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use paywall_contract::Caller;
use paywall_domain::Timestamp;
use paywall_stripe::Stream;
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::admin_client::AdminClient;
use crate::cache::{Cache, CacheError, Counting};
use crate::ipc::{Failure, FailureCode, Freshness, Source};
use crate::observer::Observer;
use status::Status;

/// How the engine works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncOptions {
    /// The pause between two passes that went well.
    pub interval: Duration,
    /// The first pause after a failure; later ones double.
    pub first_pause: Duration,
    /// The longest pause after a failure.
    pub longest_pause: Duration,
    /// Changes per page of the server's feed, 1 to 1,000.
    pub feed_page: u32,
    /// Objects per page of Stripe's lists, 1 to 100.
    pub stripe_page: u8,
    /// How many of Stripe's lists are read side by side.
    pub side_by_side: usize,
    /// How many windows of a list are read side by side: requests that are under way at the same time.
    pub windows: usize,
    /// How often a list that was not given is asked for again, and, where there are no events to follow,
    /// how often every list is read anew.
    pub full_interval: Duration,
}

impl Default for SyncOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(20),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(30),
            feed_page: 500,
            stripe_page: 100,
            side_by_side: Stream::OBJECTS.len(),
            // Stripe takes 25 requests a second for each list: sixteen reach that at two thirds of a second each.
            windows: 16,
            full_interval: Duration::from_hours(1),
        }
    }
}

/// How often it is looked whether time alone changed something.
const TIME_PASSES: Duration = Duration::from_secs(5);

/// How often it is looked whether somebody's revenue is to be counted again, and how often a long count is shown.
const COUNTS: Duration = Duration::from_secs(1);
const COUNT_SHOWN: Duration = Duration::from_secs(2);

/// Keeps a local copy current until it is stopped or dropped.
pub struct SyncEngine {
    shared: Arc<Shared>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// What the tasks share.
struct Shared {
    cache: Cache,
    options: SyncOptions,
    status: Status,
    stop: CancellationToken,
    server: Control,
    stripe: Control,
    /// A person asked, so that billing's lists are read whatever their age.
    billing_asked: AtomicBool,
    /// The same for usage by day.
    usage_asked: AtomicBool,
}

/// How a source's task is talked to.
#[derive(Default)]
struct Control {
    wake: Notify,
    /// The source has something new, as another source tells.
    news: Notify,
    /// A person asked: what is otherwise tried rarely is tried now.
    asked: AtomicBool,
    /// Ends the pass that runs.
    pass: std::sync::Mutex<CancellationToken>,
}

impl Control {
    fn poke(&self) {
        self.asked.store(true, Ordering::SeqCst);
        self.wake.notify_one();
    }

    fn begin_pass(&self, stop: &CancellationToken) -> CancellationToken {
        let token = stop.child_token();
        *self.pass.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = token.clone();
        token
    }

    fn cancel_pass(&self) {
        self.pass.lock().unwrap_or_else(std::sync::PoisonError::into_inner).cancel();
    }
}

impl std::fmt::Debug for SyncEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SyncEngine").field("cache", &self.shared.cache).finish_non_exhaustive()
    }
}

impl SyncEngine {
    /// Starts to keep `cache` current from the sources that are given. Must be called within a tokio
    /// runtime. What the copy already knows of its age holds from the start.
    pub async fn start(
        cache: Cache,
        server: Option<AdminClient>,
        stripe: Option<paywall_stripe::Client>,
        observer: Arc<dyn Observer>,
        options: SyncOptions,
    ) -> Result<Self, CacheError> {
        let status = Status::load(&cache, server.is_some(), stripe.is_some(), options.interval).await?;
        let shared = Arc::new(Shared {
            cache,
            options,
            status,
            stop: CancellationToken::new(),
            server: Control::default(),
            stripe: Control::default(),
            billing_asked: AtomicBool::new(true),
            usage_asked: AtomicBool::new(true),
        });
        let mut tasks = vec![
            tokio::spawn(status::announce(shared.clone(), observer)),
            tokio::spawn(pass_time(shared.clone())),
            tokio::spawn(count_revenue(shared.clone())),
        ];
        if let Some(client) = server {
            tasks.push(tokio::spawn(server::run(shared.clone(), client)));
        }
        if let Some(client) = stripe {
            tasks.push(tokio::spawn(stripe::run(shared.clone(), client)));
        }
        Ok(Self { shared, tasks: Mutex::new(tasks) })
    }

    /// The server's clock as far as it is known; else this machine's.
    pub fn now(&self) -> Timestamp {
        self.shared.status.now()
    }

    /// Says that the server cannot be asked for want of a token: what the copy has of it only gets older.
    pub fn without_token(&self) {
        self.shared.status.without_token();
    }

    /// How old the copy is, by source.
    pub fn freshness(&self) -> Freshness {
        self.shared.status.freshness()
    }

    /// Who the server last said that the token is, and when it said so.
    pub fn caller(&self) -> Option<(Caller, Timestamp)> {
        self.shared.status.caller()
    }

    /// Asks every source now, also for what is otherwise tried rarely. Returns at once.
    pub fn sync_now(&self) {
        self.shared.billing_asked.store(true, Ordering::SeqCst);
        self.shared.usage_asked.store(true, Ordering::SeqCst);
        self.shared.server.poke();
        self.shared.stripe.poke();
    }

    /// Ends the passes that run. What arrived stays; the next pass, at its usual time or by
    /// [`SyncEngine::sync_now`], goes on from there.
    pub fn cancel(&self) {
        self.shared.server.cancel_pass();
        self.shared.stripe.cancel_pass();
    }

    /// Ends the engine and waits until nothing of it touches the copy any more.
    pub async fn stop(&self) {
        self.shared.stop.cancel();
        for task in self.tasks.lock().await.drain(..) {
            // A task that panicked has stopped too.
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the sync ended badly");
            }
        }
    }
}

impl Drop for SyncEngine {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

/// Why a pass ended early.
#[derive(Debug, Clone)]
struct PassError {
    failure: Failure,
    /// How long the source asked to wait.
    retry_after: Option<Duration>,
}

impl From<Failure> for PassError {
    fn from(failure: Failure) -> Self {
        Self { failure, retry_after: None }
    }
}

impl From<CacheError> for PassError {
    fn from(error: CacheError) -> Self {
        Failure::of(error.code(), error.to_string()).into()
    }
}

/// What a pass is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// It is time, or somebody asked.
    Whole,
    /// The source has something new.
    News,
}

/// The pauses between passes of one source.
struct Pace {
    source: Source,
    failures: u32,
}

impl Pace {
    fn new(source: Source) -> Self {
        Self { source, failures: 0 }
    }

    /// Notes how a pass went, and waits for the next one: for `news` only where it went well. `None` = the engine
    /// stops.
    async fn rest(
        &mut self,
        shared: &Shared,
        control: &Control,
        result: Result<(), PassError>,
        news: impl Future<Output = ()>,
    ) -> Option<Due> {
        let options = &shared.options;
        let went_well = result.is_ok();
        let pause = match &result {
            Ok(()) => {
                self.failures = 0;
                options.interval
            }
            // A person cancelled it: nothing is wrong.
            Err(error) if error.failure.code == FailureCode::Cancelled => options.interval,
            Err(error) => {
                let longest = options.longest_pause.min(options.interval.max(options.first_pause));
                let full = options.first_pause.saturating_mul(1 << self.failures.min(16)).min(longest);
                self.failures = self.failures.saturating_add(1);
                let pause = full.mul_f64(rand::random_range(0.5..=1.0));
                error.retry_after.map_or(pause, |asked| pause.max(asked))
            }
        };
        shared.status.ended(self.source, result.err().map(|error| error.failure), pause);
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => None,
            () = control.wake.notified() => Some(Due::Whole),
            () = tokio::time::sleep_until(Instant::now() + pause) => Some(Due::Whole),
            () = news, if went_well => Some(Due::News),
        }
    }
}

/// Derives anew what time alone changed in the copy, with or without a connection.
async fn pass_time(shared: Arc<Shared>) {
    loop {
        match shared.cache.pass_time(shared.status.now()).await {
            Ok(0) => {}
            Ok(_) => shared.status.data_changed(),
            Err(error) => tracing::warn!(%error, "what time changed was not derived"),
        }
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(TIME_PASSES) => {}
        }
    }
}

/// Counts the revenue of customers of whom something new is known, or became due, with or without a connection.
async fn count_revenue(shared: Arc<Shared>) {
    let mut told = Instant::now();
    loop {
        let counted = count_some(&shared, &mut told).await;
        let more = counted.unwrap_or_else(|error| {
            tracing::warn!(%error, "revenue was not counted");
            false
        });
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            () = tokio::task::yield_now(), if more => {}
            () = tokio::time::sleep(COUNTS), if !more => {}
        }
    }
}

/// Counts some customers by each set of rules that is kept. Whether there are more.
async fn count_some(shared: &Shared, told: &mut Instant) -> crate::cache::Result<bool> {
    let now = shared.status.now();
    if shared.cache.revenue_lists_arrive(now).await? {
        return Ok(false);
    }
    let (mut more, mut news) = (false, false);
    for lens in shared.cache.revenue_lenses().await? {
        match shared.cache.count_revenue(lens, now).await? {
            Counting::Nothing => {}
            Counting::Done => news = true,
            Counting::More => more = true,
        }
    }
    // Of a long count people see how far it is now and then.
    if news || more && told.elapsed() >= COUNT_SHOWN {
        *told = Instant::now();
        shared.status.data_changed();
    }
    Ok(more)
}

/// Runs a pass until it ends, is cancelled, or the engine stops.
async fn cancellable<T>(
    token: &CancellationToken,
    pass: impl Future<Output = Result<T, PassError>>,
) -> Result<T, PassError> {
    match token.run_until_cancelled(pass).await {
        Some(result) => result,
        None => Err(Failure::of(FailureCode::Cancelled, "the pass was cancelled").into()),
    }
}

/// This machine's clock, for spans; what is dated goes by [`status::Status::now`].
fn now() -> Timestamp {
    Timestamp(chrono::Utc::now().timestamp_millis())
}
