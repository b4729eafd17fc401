//! Brings `RAGFlow`'s tenants into the paywall's own store, and keeps them up to date.
//!
//! Every few seconds it reads what was written since, in the order of `update_time`; now and then it
//! compares everything, which also finds what was deleted. Each page is written in one transaction
//! together with how far that is, so that a process killed at any moment goes on where it was; the same
//! page again changes nothing. Of several replicas one does this at a time.
//!
//! Beside its own rhythm it reads a tenant at once where somebody waits for it: [`Mirror::meet`] at a
//! caller's first sight, [`Mirror::see`] before a refusal for a gauge.

mod error;
mod progress;
mod recent;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::future::Cache;
use paywall_domain::{Meter, TenantId, Timestamp};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use self::progress::{Comparing, Doubted, Progress};
use self::recent::{Found, Recent, read_up_to};
use super::{Directory, Identity, Profile, RagflowDatabase, RagflowTenant, Stream};
use crate::server::{Server, State};
use crate::store::{Seen, StoreError, Terms, with_patience};

pub use error::MirrorError;
pub use progress::{Freshness, MirrorFailure};

/// Under which keys the store keeps what it keeps for the mirror.
const PROGRESS: &str = "ragflow_progress";
const FRESHNESS: &str = "ragflow_freshness";
const TURN: &str = "ragflow_turn";

/// Tenants read and written at a time.
const PAGE: usize = 100;
/// Ids of our own tenants looked for in RAGFlow at a time.
const IDS: i64 = 500;
/// How long a replica keeps its turn without taking it again.
const TURN_MS: i64 = 60_000;
/// How often the time of the last success is written down.
const FRESH_MS: i64 = 60_000;
/// A tenant is not read again sooner than this, however many ask.
const SEEN_FOR: Duration = Duration::from_secs(2);
/// Two instants that are so far apart are told apart.
const TELLABLE: Duration = Duration::from_millis(2);
/// How long it is remembered that a tenant's levels were measured.
const MEASURED_FOR: Duration = Duration::from_secs(3600);
/// Deletions in one comparison that are taken as such without a look at how many tenants there are.
const FEW_DELETIONS: usize = 10;

/// When a new tenant's trial begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TrialStart {
    /// When the paywall first sees it: within seconds of its registration, or when the paywall is put in
    /// front of a `RAGFlow` that has tenants already.
    #[default]
    Registration,
    /// When it first does something that a plan limits.
    FirstUse,
}

impl TrialStart {
    /// The start of that word, if there is one.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "registration" => Some(Self::Registration),
            "first_use" => Some(Self::FirstUse),
            _ => None,
        }
    }
}

/// How often what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Between two readings of what was written since.
    pub poll: Duration,
    /// Between two comparisons of everything.
    pub compare: Duration,
    /// How long before the last row reading starts again: longer than `RAGFlow` takes to commit a row that
    /// it has stamped, and than its processes' clocks differ.
    pub overlap: Duration,
    /// Between two tries while it fails, at most.
    pub retry: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(5),
            compare: Duration::from_secs(3600),
            overlap: Duration::from_secs(30),
            retry: Duration::from_secs(30),
        }
    }
}

/// What looking at one tenant found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// `RAGFlow` has it, and the paywall now knows it as it is.
    Known,
    /// `RAGFlow` has none such, or cannot tell.
    Unknown,
}

/// What a tenant's first use did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstUse {
    /// Its trial began.
    Began,
    /// Nothing: it has, or had, one already, or the policy is another.
    Nothing,
}

/// Tenants that somebody wants read soon.
#[derive(Debug, Default)]
pub(super) struct Touched {
    tenants: Mutex<BTreeSet<TenantId>>,
    wake: Notify,
}

impl Touched {
    pub(super) fn add(&self, tenant: TenantId) {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant);
        self.wake.notify_one();
    }

    fn take(&self) -> BTreeSet<TenantId> {
        std::mem::take(&mut *self.tenants.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Brings tenants from the directory into a server's store.
pub struct Mirror {
    state: Arc<State>,
    directory: Arc<Directory>,
    pace: Pace,
    /// Names this process among the replicas.
    holder: String,
    recent: Mutex<Recent>,
    freshness: Mutex<Freshness>,
    /// Tenants that were looked at just now.
    seen: Cache<TenantId, Sight>,
    /// The levels of a tenant as they were last measured here. The store is not told where they were the same.
    measured: Cache<TenantId, Measured>,
    /// Requests bring tenants in one after the other: the store takes them so anyway.
    line: Semaphore,
    /// How many they brought in.
    brought_in: AtomicU64,
}

/// What a measurement found. Its instant belongs to just these values: what ended before it is in them.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    /// When it began.
    pub(crate) at: Timestamp,
    pub(crate) gauges: Arc<BTreeMap<Meter, i64>>,
}

impl Mirror {
    /// The mirror of a server.
    pub fn new(server: &Server, directory: Arc<Directory>, pace: Pace) -> Self {
        Self {
            state: Arc::clone(server.state()),
            directory,
            pace,
            holder: hex::encode(rand::random::<[u8; 8]>()),
            recent: Mutex::default(),
            freshness: Mutex::default(),
            seen: Cache::builder().max_capacity(10_000).time_to_live(SEEN_FOR).build(),
            measured: Cache::builder().max_capacity(10_000).time_to_live(MEASURED_FOR).build(),
            line: Semaphore::new(1),
            brought_in: AtomicU64::new(0),
        }
    }

    /// How fresh the store is. For all replicas: what the one whose turn it is wrote down.
    pub fn freshness(&self) -> Freshness {
        self.freshness.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Mirrors until `stop` is cancelled.
    pub async fn run(&self, stop: CancellationToken) {
        self.keep_reading(stop).await;
        // Whoever serves next begins at once. Where the store is away, the turn ends by itself.
        let _ = with_patience(self.state.store.end_turn(TURN, &self.holder)).await;
    }

    async fn keep_reading(&self, stop: CancellationToken) {
        let mut wait = Duration::ZERO;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
                // Somebody waits for one tenant; not while it fails.
                () = self.directory.touched.wake.notified(), if wait <= self.pace.poll => {}
            }
            // A page that is being written is finished, or did not happen.
            let done = tokio::select! {
                () = stop.cancelled() => return,
                done = self.pass() => done,
            };
            wait = match done {
                Ok(()) | Err(MirrorError::MassDeletion { .. }) => self.pace.poll,
                Err(_) => (wait * 2).clamp(self.pace.poll, self.pace.retry.max(self.pace.poll)),
            };
        }
    }

    /// Reads once what there is to read.
    pub async fn pass(&self) -> Result<(), MirrorError> {
        let done = self.read_once().await;
        if let Err(error) = &done {
            self.directory.failures.count(error.code());
        }
        let now = self.now();
        let (news, fresh) = {
            let mut fresh = self.freshness.lock().unwrap_or_else(PoisonError::into_inner);
            let before = fresh.clone();
            match &done {
                Ok(Some(compared_at)) => fresh.succeeded(now, *compared_at),
                Ok(None) => {}
                Err(error) => {
                    if fresh.failed(now, error) {
                        let (code, remedy) = (error.code(), error.remedy());
                        tracing::error!(code, %error, remedy, "RAGFlow could not be mirrored");
                    }
                }
            }
            if before.failure.is_some() && fresh.failure.is_none() {
                tracing::info!("RAGFlow is mirrored again");
            }
            let code = |it: &Freshness| it.failure.as_ref().map(|it| it.code.clone());
            let aged = before.last_success_at.is_none_or(|at| at.0.div_euclid(FRESH_MS) != now.0.div_euclid(FRESH_MS));
            (
                code(&before) != code(&fresh) || before.compared_at != fresh.compared_at || (aged && done.is_ok()),
                fresh.clone(),
            )
        };
        if news && matches!(done, Ok(Some(_)) | Err(MirrorError::Directory(_) | MirrorError::MassDeletion { .. })) {
            let text = serde_json::to_string(&fresh).map_err(StoreError::from)?;
            self.state.store.note(FRESHNESS, &text).await?;
        }
        done.map(drop)
    }

    /// Answers when everything was last compared; `None` where another replica has the turn.
    async fn read_once(&self) -> Result<Option<Option<Timestamp>>, MirrorError> {
        self.read_touched().await?;
        let Some(database) = self.directory.database() else { return Ok(Some(None)) };
        let now = self.now();
        if !self.state.store.take_turn(TURN, &self.holder, now, now.plus_ms(TURN_MS)).await? {
            if let Some(text) = self.state.store.meta(FRESHNESS).await? {
                let told = serde_json::from_str(&text).map_err(StoreError::from)?;
                *self.freshness.lock().unwrap_or_else(PoisonError::into_inner) = told;
            }
            return Ok(None);
        }
        let mut progress = match self.state.store.meta(PROGRESS).await? {
            Some(text) => serde_json::from_str(&text).map_err(StoreError::from)?,
            None => Progress::default(),
        };
        let every = self.pace.compare.as_millis() as i64;
        let due = progress.compared_at.is_none_or(|at| at > now || now.ms_since(at) >= every);
        if due || progress.comparing.is_some() {
            self.compare(database, &mut progress).await?;
        } else {
            self.follow(database, &mut progress).await?;
        }
        match progress.doubted {
            Some(Doubted { missing, known }) => Err(MirrorError::MassDeletion { missing, known }),
            None => Ok(Some(progress.compared_at)),
        }
    }

    /// Reads the tenants that somebody wants read.
    async fn read_touched(&self) -> Result<(), MirrorError> {
        let Some(database) = self.directory.database() else {
            self.directory.touched.take();
            return Ok(());
        };
        let touched = self.directory.touched.take();
        if !touched.is_empty() {
            // What was touched in this very millisecond could not be told from what comes later in it.
            tokio::time::sleep(TELLABLE).await;
        }
        let done = self.bring(database, &touched, None).await;
        if done.is_err() {
            for tenant in touched {
                self.directory.touched.tenants.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant);
            }
        }
        done
    }

    /// Reads what was written since.
    async fn follow(&self, database: &RagflowDatabase, progress: &mut Progress) -> Result<(), MirrorError> {
        let overlap = self.pace.overlap.as_millis() as i64;
        let now = database.now().await?;
        let before = progress.clone();
        let mut found = Found::default();
        for stream in Stream::ALL {
            let read = progress.read.entry(stream).or_default();
            let (mut at, mut after) = (read.saturating_sub(overlap), String::new());
            loop {
                let page = database.changes(stream, at, &after).await?;
                let Some(last) = page.last() else { break };
                (at, after) = (last.at, last.id.clone());
                *read = read_up_to(*read, last.at, now);
                found.add(stream, &page, &self.recent.lock().unwrap_or_else(PoisonError::into_inner));
            }
        }
        if !found.tenants.is_empty() || before != *progress {
            let text = serde_json::to_string(&*progress).map_err(StoreError::from)?;
            self.bring(database, &found.tenants, Some(&text)).await?;
        }
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.took(found.rows);
        for (stream, read) in &progress.read {
            recent.forget_before(*stream, read.saturating_sub(overlap));
        }
        Ok(())
    }

    /// Reads tenants by their ids, and notes how far that is with the last of them.
    async fn bring(
        &self,
        database: &RagflowDatabase,
        tenants: &BTreeSet<TenantId>,
        progress: Option<&str>,
    ) -> Result<(), MirrorError> {
        let ids: Vec<&TenantId> = tenants.iter().collect();
        for chunk in ids.chunks(PAGE) {
            let mut page = Vec::with_capacity(chunk.len());
            for id in chunk {
                // Gone meanwhile: the comparison closes it.
                let read_at = self.now();
                page.extend(database.tenant(id).await?.map(|it| seen(it, read_at)));
            }
            self.write(&page, None).await?;
        }
        if let Some(progress) = progress {
            self.state.store.note(PROGRESS, progress).await?;
        }
        Ok(())
    }

    async fn write(&self, page: &[Seen], progress: Option<&str>) -> Result<(), MirrorError> {
        if page.is_empty() && progress.is_none() {
            return Ok(());
        }
        let State { store, clock, .. } = &*self.state;
        let note = progress.map(|text| (PROGRESS, text));
        let brought = store.mirror(page, &self.terms(), note, &**clock).await?;
        for seen in page {
            let Some(gauges) = &seen.gauges else { continue };
            let measured = Measured { at: seen.read_at, gauges: Arc::new(gauges.clone()) };
            // Two measurements at once may end the other way round.
            let newer = |known: Option<moka::Entry<TenantId, Measured>>| {
                let known = known.map(moka::Entry::into_value).filter(|it| it.at > measured.at);
                std::future::ready(known.unwrap_or(measured))
            };
            self.measured.entry_by_ref(&seen.id).and_upsert_with(newer).await;
        }
        if brought.added > 0 {
            tracing::info!(added = brought.added, changed = brought.changed, "tenants came in from RAGFlow");
        }
        Ok(())
    }

    /// Compares everything, and closes what is gone.
    async fn compare(&self, database: &RagflowDatabase, progress: &mut Progress) -> Result<(), MirrorError> {
        let mut comparing = if let Some(comparing) = progress.comparing.take() {
            comparing
        } else {
            let now = database.now().await?;
            let newest = database.newest().await?;
            let read = newest.into_iter().map(|(stream, at)| (stream, at.min(now))).collect();
            Comparing { since: self.now(), read, after: String::new() }
        };
        loop {
            let read_at = self.now();
            let (page, next) = database.tenants_after(&comparing.after).await?;
            let Some(next) = next else { break };
            comparing.after = next;
            progress.comparing = Some(comparing.clone());
            let text = serde_json::to_string(&*progress).map_err(StoreError::from)?;
            let page: Vec<Seen> = page.into_iter().map(|it| seen(it, read_at)).collect();
            self.write(&page, Some(&text)).await?;
            let now = self.now();
            // A long comparison must not lose its turn. Losing it does no harm but double work.
            self.state.store.take_turn(TURN, &self.holder, now, now.plus_ms(TURN_MS)).await?;
        }
        let doubted = self.close_missing(database).await?;
        *progress = Progress { read: comparing.read, compared_at: Some(comparing.since), comparing: None, doubted };
        let text = serde_json::to_string(&*progress).map_err(StoreError::from)?;
        self.state.store.note(PROGRESS, &text).await?;
        Ok(())
    }

    /// Closes the tenants that `RAGFlow` no longer has, unless they are too many to be believed.
    async fn close_missing(&self, database: &RagflowDatabase) -> Result<Option<Doubted>, MirrorError> {
        let store = &self.state.store;
        let (mut missing, mut known, mut after) = (Vec::new(), 0, String::new());
        loop {
            let ids = store.live_tenants(&after, IDS).await?;
            let (Some(first), Some(last)) = (ids.first(), ids.last()) else { break };
            let present: BTreeSet<TenantId> = database.tenants_present(first, last).await?.into_iter().collect();
            after = last.as_str().to_owned();
            known += ids.len();
            missing.extend(ids.into_iter().filter(|id| !present.contains(id)));
        }
        if missing.len() > FEW_DELETIONS && missing.len() * 2 > known {
            return Ok(Some(Doubted { missing: missing.len(), known }));
        }
        for page in missing.chunks(PAGE) {
            let closed = store.close_tenants(page, &*self.state.clock).await?;
            tracing::info!(closed, "tenants are gone from RAGFlow");
        }
        Ok(None)
    }

    /// Reads one tenant now, if that was not done just now: at its first sight, and before it is refused
    /// something for a gauge, since deletions leave no trace to follow.
    pub async fn see(&self, tenant: &TenantId) -> Result<Sight, Arc<MirrorError>> {
        self.look(tenant, false).await
    }

    /// Brings a tenant in that the paywall does not know yet. Whoever waits for its turn meanwhile may find that it
    /// came in with all others.
    pub(crate) async fn bring_in(&self, tenant: &TenantId) -> Result<Sight, Arc<MirrorError>> {
        self.look(tenant, true).await
    }

    async fn look(&self, tenant: &TenantId, new: bool) -> Result<Sight, Arc<MirrorError>> {
        let read = async {
            let Some(database) = self.directory.database() else { return Ok(Sight::Unknown) };
            let _turn = self.line.acquire().await;
            if new && self.measured.contains_key(tenant) {
                self.brought_in.fetch_add(1, Ordering::Relaxed);
                return Ok(Sight::Known);
            }
            let read_at = self.now();
            let Some(found) = database.tenant(tenant).await? else { return Ok(Sight::Unknown) };
            self.write(&[seen(found, read_at)], None).await?;
            self.brought_in.fetch_add(1, Ordering::Relaxed);
            Ok::<_, MirrorError>(Sight::Known)
        };
        self.seen.try_get_with(tenant.clone(), Box::pin(read)).await
    }

    /// A tenant's levels as they were last measured here, if they were.
    pub(crate) async fn measured(&self, tenant: &TenantId) -> Option<Measured> {
        self.measured.get(tenant).await
    }

    /// Brings a caller's tenant in that the paywall does not know yet.
    pub async fn meet(&self, identity: &Identity<'_>) -> Result<Sight, Arc<MirrorError>> {
        match &identity.profile {
            None => self.bring_in(&identity.tenant).await,
            Some(profile) => {
                let read = async {
                    let _turn = self.line.acquire().await;
                    self.write(&[seen_by_itself(profile, self.now())], None).await?;
                    self.brought_in.fetch_add(1, Ordering::Relaxed);
                    Ok::<_, MirrorError>(Sight::Known)
                };
                self.seen.try_get_with(identity.tenant.clone(), Box::pin(read)).await
            }
        }
    }

    /// How many tenants requests brought in, or began a trial for, so far: whoever waits sees that it goes on.
    pub(crate) fn brought_in(&self) -> u64 {
        self.brought_in.load(Ordering::Relaxed)
    }

    /// Begins the trial of a tenant that now first does something, where the policy says so. For tenants
    /// without a trial only; costs a transaction.
    pub async fn first_use(&self, tenant: &TenantId) -> Result<FirstUse, MirrorError> {
        if self.state.config.trial_start != TrialStart::FirstUse {
            return Ok(FirstUse::Nothing);
        }
        let _turn = self.line.acquire().await;
        let began = self.state.store.begin_trial(tenant, &*self.state.clock).await?;
        self.brought_in.fetch_add(1, Ordering::Relaxed);
        Ok(if began { FirstUse::Began } else { FirstUse::Nothing })
    }

    fn terms(&self) -> Terms {
        let config = &self.state.config;
        Terms { plan: config.trial_plan.clone(), trial_at_sight: config.trial_start == TrialStart::Registration }
    }

    fn now(&self) -> Timestamp {
        self.state.clock.now()
    }
}

fn seen(it: RagflowTenant, read_at: Timestamp) -> Seen {
    Seen {
        id: it.id,
        name: it.name,
        email: it.email,
        registered_at: it.registered_at,
        members: Some(it.members),
        gauges: Some(it.gauges),
        read_at,
    }
}

fn seen_by_itself(it: &Profile, read_at: Timestamp) -> Seen {
    Seen {
        id: it.tenant.clone(),
        name: it.name.clone(),
        email: it.email.clone(),
        registered_at: it.registered_at,
        members: None,
        gauges: None,
        read_at,
    }
}
