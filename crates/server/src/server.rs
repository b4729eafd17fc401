//! The server as a whole: opened, filled, served, stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use paywall_contract::{IntakeRecord, token::PREFIX};
use paywall_domain::{Role, TenantId, Timestamp};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::admin;
use crate::billing::{self, Billing};
use crate::clock::Clock;
use crate::config::{Config, built_in_plans};
use crate::directory::{Directory, DirectoryError, Mirror, Pace};
use crate::enforcement::Enforcement;
use crate::health::{self, Health};
use crate::listener;
use crate::metrics::{Metrics, Sources};
use crate::portal;
use crate::proxy::{Engine, Front, Unenforced};
use crate::quota::{self, LeaseStore, Quota, SqlLeaseStore};
use crate::readiness::Readiness;
use crate::retention;
use crate::store::{self, Absent, ImportSummary, Revocation, Store, StoreError, TokenRow, with_patience};
use crate::token;

/// How often the server looks whether time alone changed something.
const TICK: Duration = Duration::from_secs(1);

/// Ticks between two looks for replicas that are gone.
const WRITE_OFF_TICKS: u32 = 60;

/// How long stopping waits for the last usage to be written.
pub(crate) const LAST_COUNT: Duration = Duration::from_secs(15);

/// Tenants that the ticker brings up to date in one transaction.
const TICK_MOST: usize = 500;

/// Tenants that a read brings up to date before it answers. More than that is the ticker's: at a
/// month's start everything is due at once.
const READ_MOST: usize = 200;

/// The server cannot do what was asked.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ServerError(#[from] ServerErrorKind);

#[derive(Debug, thiserror::Error)]
enum ServerErrorKind {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Directory(DirectoryError),
    #[error("stripe_url: {0}")]
    Stripe(paywall_stripe::Error),
    #[error("trial_plan: there is no plan {0:?}; name one of [[plan]], or one that was imported")]
    NoTrialPlan(String),
    #[error("a token needs a name of 1 to 200 characters")]
    TokenName,
    #[error("there is no token with the id {0:?}; `paywall-server token list` shows the ids")]
    NoSuchToken(String),
    #[error("this is a token, not its id; `paywall-server token list` shows the ids")]
    TokenForId,
}

impl From<StoreError> for ServerError {
    fn from(error: StoreError) -> Self {
        Self(error.into())
    }
}

/// What every request can reach.
pub(crate) struct State {
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: Config,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) readiness: Readiness,
    pub(crate) health: Health,
    /// `None` = there is no billing.
    pub(crate) billing: Option<Billing>,
    /// Whether what is written beside a request fails, which is said once and not with each of them.
    failing: AtomicBool,
}

impl State {
    /// Brings what is due up to date before a read, as far as that can be done at once, and answers the
    /// instant to read for. The read goes on without it: with a full disk, and while others write.
    pub(crate) async fn catch_up(&self) -> Timestamp {
        let done = with_patience(self.store.pass_time(&*self.clock, READ_MOST)).await;
        self.noted(done.map(|count| count > 0), LATE);
        self.clock.now()
    }

    /// Like [`State::catch_up`], for a read of one tenant.
    pub(crate) async fn catch_up_with(&self, tenant: &TenantId) -> Timestamp {
        let done = with_patience(self.store.pass_time_of(&*self.clock, tenant)).await;
        self.noted(done, LATE);
        self.clock.now()
    }

    /// Logs why something was not written, once per outage: until a write succeeds again.
    pub(crate) fn noted(&self, written: Result<bool, StoreError>, failure: &str) {
        match written {
            Ok(true) => self.failing.store(false, Ordering::Relaxed),
            Ok(false) => {}
            Err(error) => {
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "{failure}");
                }
            }
        }
    }
}

/// An access token as the server keeps it: everything but the token itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Names it to `token revoke`.
    pub id: String,
    /// Who holds it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working; `None` = never.
    pub expires_at: Option<Timestamp>,
    /// When it was last sent, to the minute; `None` = never.
    pub last_used_at: Option<Timestamp>,
    /// Since when it is revoked; `None` = it is not.
    pub revoked_at: Option<Timestamp>,
}

/// What is said where time passed and could not be written.
const LATE: &str = "statuses could not be brought up to date";

/// A paywall server over its database.
#[derive(Clone)]
pub struct Server {
    state: Arc<State>,
}

impl Server {
    /// Opens the database, brings it to this version and writes the configured plans into it.
    pub async fn open(config: Config, clock: Arc<dyn Clock>) -> Result<Self, ServerError> {
        Self::open_or(config, clock, Absent::Made).await
    }

    /// Like [`Server::open`], but a database that is not there is not made.
    pub async fn open_existing(config: Config, clock: Arc<dyn Clock>) -> Result<Self, ServerError> {
        Self::open_or(config, clock, Absent::Refused).await
    }

    async fn open_or(config: Config, clock: Arc<dyn Clock>, absent: Absent) -> Result<Self, ServerError> {
        let store = Store::open_or(&config.database_url, absent).await?;
        let mut write = store.write().await?;
        let plans = match &config.plans {
            Some(plans) => plans.clone(),
            None if store::plans::all(&mut write).await?.is_empty() => built_in_plans(),
            None => Vec::new(),
        };
        for (position, plan) in plans.iter().enumerate() {
            store::plans::put(&mut write, plan, Some(position)).await?;
        }
        if let Some(plan) = &config.trial_plan
            && !store::plans::all(&mut write).await?.contains(plan)
        {
            return Err(ServerErrorKind::NoTrialPlan(plan.as_str().to_owned()).into());
        }
        write.commit().await?;
        let health = Health::new(clock.now());
        let billing = config.stripe.clone().map(Billing::new).transpose().map_err(ServerErrorKind::Stripe)?;
        let state = State {
            store: Arc::new(store),
            clock,
            config,
            metrics: Arc::new(Metrics::new()),
            readiness: Readiness::default(),
            health,
            billing,
            failing: AtomicBool::new(false),
        };
        Ok(Self { state: Arc::new(state) })
    }

    /// Makes an access token. It is answered here and never again: only a keyed hash is kept.
    pub async fn create_token(
        &self,
        name: &str,
        role: Role,
        expires_at: Option<Timestamp>,
    ) -> Result<String, ServerError> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > 200 {
            return Err(ServerErrorKind::TokenName.into());
        }
        let State { store, clock, config, .. } = &*self.state;
        let now = clock.now();
        let secret = token::generate();
        let row = TokenRow {
            id: format!("tok_{}", store.next_id(now)),
            name: name.to_owned(),
            role,
            hash: token::hash(&config.token_key, &secret),
            created_at: now,
            expires_at,
            last_used_at: None,
            revoked_at: None,
        };
        store.add_token(&row).await?;
        Ok(secret)
    }

    /// Every token that was made, the oldest first; also those that are over or revoked.
    pub async fn tokens(&self) -> Result<Vec<Token>, ServerError> {
        let row = |it: TokenRow| Token {
            id: it.id,
            name: it.name,
            role: it.role,
            created_at: it.created_at,
            expires_at: it.expires_at,
            last_used_at: it.last_used_at,
            revoked_at: it.revoked_at,
        };
        Ok(self.state.store.tokens().await?.into_iter().map(row).collect())
    }

    /// Makes a token worthless from now on, also for servers that run on the same database.
    pub async fn revoke_token(&self, id: &str) -> Result<Revocation, ServerError> {
        if id.starts_with(PREFIX) {
            return Err(ServerErrorKind::TokenForId.into());
        }
        let revoked = self.state.store.revoke_token(id, self.state.clock.now()).await?;
        revoked.ok_or_else(|| ServerErrorKind::NoSuchToken(id.to_owned()).into())
    }

    /// Where its database lies: a file, or an address without a password.
    pub fn database(&self) -> &str {
        self.state.store.place()
    }

    /// The number of the newest change that is known here. It grows with each change of tenants, plans and
    /// timelines: at once with those made here, and while [`Server::serve`] runs with those that other servers
    /// make in the same database, within a second. It falls where the database was put back from a backup.
    pub fn changes(&self) -> watch::Receiver<i64> {
        self.state.store.changes_watch()
    }

    /// Brings tenants and plans in. The same records again change nothing. Records that cannot be
    /// taken are named in the summary by their place, from 1; the others are kept.
    pub async fn import<I>(&self, records: I) -> Result<ImportSummary, ServerError>
    where
        I: IntoIterator<Item = IntakeRecord>,
        I::IntoIter: Send,
    {
        self.import_numbered(records.into_iter().enumerate().map(|(index, record)| (index + 1, record))).await
    }

    /// Like [`Server::import`], with a number for each record to name it by.
    pub async fn import_numbered<I>(&self, records: I) -> Result<ImportSummary, ServerError>
    where
        I: Iterator<Item = (usize, IntakeRecord)> + Send,
    {
        let mut summary = ImportSummary::default();
        let mut records = records;
        loop {
            let batch: Vec<_> = records.by_ref().take(store::BATCH).collect();
            if batch.is_empty() {
                return Ok(summary);
            }
            self.state.store.import_batch(batch, &*self.state.clock, &mut summary).await?;
        }
    }

    pub(crate) fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Every route of the server.
    pub fn router(&self) -> Router {
        admin::router(Arc::clone(&self.state))
    }

    /// Answers requests until `stop` is cancelled, then finishes those that run and closes the database.
    ///
    /// Where the settings name a `RAGFlow`, its tenants are brought in, and what goes to it is decided about,
    /// metered and limited.
    pub async fn serve(&self, listener: TcpListener, stop: CancellationToken) -> Result<(), ServerError> {
        let directory = Directory::of(&self.state.config).map_err(ServerErrorKind::Directory)?;
        match directory {
            Some(directory) => self.enforce(listener, stop, Arc::new(directory)).await,
            None => self.answer(listener, stop, Arc::new(Unenforced), self.router()).await,
        }
        self.state.store.close().await;
        Ok(())
    }

    /// Like [`Server::serve`], with an engine that decides what passes to `RAGFlow`.
    pub async fn serve_with<E: Engine>(
        &self,
        listener: TcpListener,
        stop: CancellationToken,
        engine: Arc<E>,
    ) -> Result<(), ServerError> {
        self.answer(listener, stop, engine, self.router()).await;
        self.state.store.close().await;
        Ok(())
    }

    async fn enforce(&self, listener: TcpListener, stop: CancellationToken, directory: Arc<Directory>) {
        let state = &self.state;
        let leases = || SqlLeaseStore::new(Arc::clone(&state.store), Arc::clone(&state.clock));
        let mirror = Arc::new(Mirror::new(self, Arc::clone(&directory), Pace::default()));
        let (quota, admitting) = Quota::start(leases(), quota::Settings::default());
        state.readiness.needs(Arc::clone(&directory));
        state.metrics.ask(Sources {
            clock: Arc::clone(&state.clock),
            quota: quota.clone(),
            directory: Arc::clone(&directory),
            mirror: Arc::downgrade(&mirror),
        });
        state.health.enforces(&directory, &mirror, &quota);
        let engine = Enforcement::new(Arc::clone(state), directory, Arc::clone(&mirror), quota.clone());
        let engine = Arc::new(engine);
        let router = self.router().merge(portal::router(Arc::clone(state), Arc::clone(&engine)));
        // These go on until the last request has ended.
        let answered = CancellationToken::new();
        let beside = tokio::spawn({
            let (engine, answered, leases) = (Arc::clone(&engine), answered.clone(), leases());
            async move {
                tokio::join!(mirror.run(answered.clone()), engine.run(answered.clone()), publish(leases, answered))
            }
        });
        self.answer(listener, stop, engine, router).await;
        quota.close();
        let stopping = admitting.abort_handle();
        if tokio::time::timeout(LAST_COUNT, admitting).await.is_err() {
            tracing::error!(events = quota.spooled(), "the database is away: usage that was not counted is lost");
            stopping.abort();
        }
        // Only now, so that what was counted last is told to everybody too.
        answered.cancel();
        let _ = beside.await;
    }

    async fn answer<E: Engine>(&self, listener: TcpListener, stop: CancellationToken, engine: Arc<E>, router: Router) {
        listener::raise_file_limit();
        let draining = CancellationToken::new();
        let ticker = tokio::spawn(tick(Arc::clone(&self.state), draining.clone()));
        let retaining = tokio::spawn(retention::run(Arc::clone(&self.state), draining.clone()));
        let follower = tokio::spawn({
            let (state, draining) = (Arc::clone(&self.state), draining.clone());
            async move { state.store.follow(draining).await }
        });
        let biller = tokio::spawn({
            let (state, draining) = (Arc::clone(&self.state), draining.clone());
            async move {
                tokio::join!(
                    billing::worker::run(Arc::clone(&state), draining.clone()),
                    billing::sending::run(Arc::clone(&state), draining.clone()),
                    admin::repair_in_stripe::run(Arc::clone(&state), draining.clone()),
                    billing::duties::run(state, draining)
                )
            }
        });
        let served = CancellationToken::new();
        let heart = tokio::spawn(health::beat(Arc::clone(&self.state), served.clone()));
        let config = &self.state.config;
        let front = Arc::new(Front::new(&self.state, router, engine));
        let answering =
            listener::serve(listener, config.limits.clone(), &config.trusted_proxies, front, draining.clone());
        let announced = async {
            stop.cancelled().await;
            tracing::info!("stopping: requests that run are finished first");
            self.state.readiness.stop();
            tokio::time::sleep(config.limits.stop_delay).await;
            draining.cancel();
        };
        tokio::join!(answering, announced);
        // Only now: while answers end, this process still runs.
        served.cancel();
        let _ = ticker.await;
        let _ = retaining.await;
        let _ = follower.await;
        let _ = biller.await;
        let _ = heart.await;
    }
}

/// Puts counters that grew into the feed, and counts what replicas held that are gone.
async fn publish(leases: SqlLeaseStore, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut count = 0_u32;
    loop {
        let last = tokio::select! {
            () = stop.cancelled() => true,
            _ = ticks.tick() => false,
        };
        while let Ok(published) = leases.publish(TICK_MOST).await {
            if published < TICK_MOST || stop.is_cancelled() {
                break;
            }
        }
        if last {
            return;
        }
        if count.is_multiple_of(WRITE_OFF_TICKS)
            && let Ok(written @ 1..) = leases.write_off().await
        {
            tracing::warn!(written, "units that a replica held which is gone were counted as used");
        }
        count = count.wrapping_add(1);
    }
}

/// Passes time even while nobody asks, so that a mirror hears of an ended trial by itself, and forgets
/// what is too old to be asked for.
async fn tick(state: Arc<State>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        // A transaction at a time, so that requests get their turn in between.
        while !stop.is_cancelled() {
            let done = state.store.pass_time(&*state.clock, TICK_MOST).await;
            let more = done.as_ref().is_ok_and(|changed| *changed == TICK_MOST);
            state.noted(done.map(|changed| changed > 0), LATE);
            if !more {
                break;
            }
        }
        let pruned = state.store.prune_keys(state.clock.now()).await;
        state.noted(pruned.map(|count| count > 0), "old idempotency keys could not be removed");
    }
}

/// The admin API's `OpenAPI` document, as JSON.
pub fn openapi() -> String {
    let mut text = serde_json::to_string_pretty(&admin::openapi()).unwrap_or_default();
    text.push('\n');
    text
}
