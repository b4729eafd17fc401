//! The profile that is open: its copy, its engine, its desk.

use std::sync::{Arc, Weak};

use futures::future::BoxFuture;
use paywall_domain::{TenantId, Timestamp};
use paywall_revenue::ReportingZone;
use paywall_stripe::ClientOptions;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::profiles::unknown;
use super::{Console, Inner, blocking, guard, io_failure, remove_session_copy};
use crate::USER_AGENT;
use crate::admin_client::AdminClient;
use crate::cache::{Cache, CacheError, CacheKey};
use crate::change::Desk;
use crate::ipc::{
    CallerView, Failure, FailureCode, Freshness, KeyringState, ProfileView, SearchHit, SearchResult, SettledChange,
    Source, SourceState,
};
use crate::observer::Observer;
use crate::profile::Profile;
use crate::sync::{SyncEngine, SyncOptions};
use crate::vault::{SecretName, Vault, VaultError};

/// How many tenants the server is asked for by a search.
const SERVER_HITS: u32 = 20;

/// How long closing waits for what is still under way.
const CLOSING: std::time::Duration = std::time::Duration::from_secs(20);

/// An open profile.
pub(super) struct Open {
    pub(super) profile: String,
    pub(super) cache: Cache,
    pub(super) desk: Desk,
    admin: Option<AdminClient>,
    engine: SyncEngine,
    /// Told that the copy turned out to be damaged.
    broken: Arc<Notify>,
    /// Ends the task that acts on contact with the server.
    stop: CancellationToken,
    on_contact: tokio::sync::Mutex<Option<JoinHandle<()>>>,
    /// Whether the copy's key is in memory only: then the copy goes with it.
    for_session: bool,
}

impl Open {
    pub(super) fn sync_now(&self) {
        self.engine.sync_now();
    }

    /// Cancelled when the profile is closed: closing waits for whoever reads.
    pub(super) fn stopped_with(&self) -> CancellationToken {
        self.stop.child_token()
    }

    /// The server's clock as far as it is known; else this machine's.
    pub(super) fn now(&self) -> Timestamp {
        self.engine.now()
    }

    /// Passes on what a query answered; a copy that turns out to be damaged is begun anew.
    pub(super) fn read<T>(&self, answer: crate::cache::Result<T>) -> Result<T, Failure> {
        if let Err(CacheError::Broken(_)) = &answer {
            self.broken.notify_one();
        }
        Ok(answer?)
    }
}

/// Passes on what the engine says, and notices contact with the server.
struct Relay {
    observer: Arc<dyn Observer>,
    contact: Arc<Notify>,
    /// The copy turned out to be damaged.
    broken: Arc<Notify>,
}

impl Observer for Relay {
    fn freshness(&self, freshness: &Freshness) {
        let reached = freshness
            .sources
            .iter()
            .any(|it| it.source == Source::Server && it.state == SourceState::Current && it.failing_since.is_none());
        if reached {
            self.contact.notify_one();
        }
        let broken = |it: &Failure| it.code == FailureCode::CacheBroken;
        if freshness.sources.iter().any(|it| it.failure.as_ref().is_some_and(broken)) {
            self.broken.notify_one();
        }
        self.observer.freshness(freshness);
    }

    fn data_changed(&self) {
        self.contact.notify_one();
        self.observer.data_changed();
    }

    fn settled(&self, settled: &SettledChange) {
        self.observer.settled(settled);
    }
}

impl Console {
    /// Opens a profile in the place of the one that is open. Works offline, from its copy.
    pub async fn profile_open(&self, id: &str) -> Result<ProfileView, Failure> {
        let _turn = self.inner.turn.lock().await;
        if self.kept().get(id).is_none() {
            return Err(unknown(id));
        }
        if self.opened().is_none_or(|open| open.profile != id) {
            self.close_open().await;
            self.open_profile(id).await?;
        }
        self.keep(|kept| kept.last_open = Some(id.to_owned())).await?;
        self.view(id).await
    }

    /// The profile that was open when the app was left.
    pub fn last_open(&self) -> Option<String> {
        self.kept().last_open.clone()
    }

    /// Opens the profile that was open last. Why it could not be is in [`crate::ipc::AppState::open_failure`].
    pub async fn open_last(&self) {
        let last = self.kept().last_open.clone();
        let Some(id) = last.filter(|id| self.kept().get(id).is_some()) else { return };
        if let Err(failure) = self.profile_open(&id).await {
            tracing::warn!(code = ?failure.code, detail = failure.detail, "the last profile was not opened");
        }
    }

    /// Closes the open profile; none opens at the next start.
    pub async fn profile_close(&self) -> Result<(), Failure> {
        let _turn = self.inner.turn.lock().await;
        self.close_open().await;
        *guard(&self.inner.open_failure) = None;
        self.keep(|kept| kept.last_open = None).await
    }

    /// Opens under the caller's turn, and remembers why not.
    pub(super) async fn open_profile(&self, id: &str) -> Result<(), Failure> {
        let opened = self.open_inner(id).await;
        match opened {
            Ok((open, replaced)) => {
                *guard(&self.inner.open_failure) = replaced;
                *guard(&self.inner.open) = Some(Arc::new(open));
                Ok(())
            }
            Err(failure) => {
                *guard(&self.inner.open_failure) = Some(failure.clone());
                Err(failure)
            }
        }
    }

    /// The profile opened, and, where its copy had to be begun anew, why.
    async fn open_inner(&self, id: &str) -> Result<(Open, Option<Failure>), Failure> {
        let Some(profile) = self.kept().get(id).cloned() else { return Err(unknown(id)) };
        let vault = &self.inner.vault;
        let (cache, for_session, replaced) = self.open_cache(id).await?;
        let opened = async {
            let token = given(vault, &profile, SecretName::ServerToken).await?;
            let stripe_key = given(vault, &profile, SecretName::StripeKey).await?;
            let admin = match token {
                Some(token) => Some(AdminClient::new(&profile.server_url, token)?),
                None => None,
            };
            if let Some(key) = &stripe_key {
                cache.keep_stripe_of(&stripe_source(profile.stripe_url(), key)).await?;
            }
            // A zone that is not known any more must keep nobody out.
            let zone = super::revenue::zone_of(&profile.reporting).unwrap_or(ReportingZone::UTC);
            cache.set_reporting_zone(zone).await?;
            let stripe = stripe_key.map(|key| stripe_client(&profile, &key)).transpose()?;
            let (contact, broken) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            let relay = Relay {
                observer: Arc::clone(&self.inner.observer),
                contact: Arc::clone(&contact),
                broken: Arc::clone(&broken),
            };
            let engine =
                SyncEngine::start(cache.clone(), admin.clone(), stripe, Arc::new(relay), SyncOptions::default())
                    .await?;
            if admin.is_none() {
                engine.without_token();
            }
            let carried = guard(&self.inner.carried).get(id).cloned().unwrap_or_default();
            for change in &carried {
                cache.insert_unsettled(change).await?;
            }
            guard(&self.inner.carried).remove(id);
            let stop = CancellationToken::new();
            tokio::spawn(stop.clone().run_until_cancelled_owned(on_broken(
                Arc::downgrade(&self.inner),
                id.to_owned(),
                Arc::clone(&broken),
            )));
            let desk = Desk::new(cache.clone(), admin.clone(), profile.write_mode);
            let acting = Box::pin(on_contact(Arc::downgrade(&self.inner), id.to_owned(), desk.clone(), contact));
            let acting = stop.clone().run_until_cancelled_owned(acting);
            let on_contact = tokio::sync::Mutex::new(Some(tokio::spawn(async move {
                acting.await;
            })));
            Ok::<_, Failure>(Open {
                profile: id.to_owned(),
                cache: cache.clone(),
                desk,
                admin,
                engine,
                broken,
                stop,
                on_contact,
                for_session,
            })
        };
        match opened.await {
            Ok(open) => Ok((open, replaced)),
            Err(failure) => {
                cache.close().await;
                drop(cache);
                if for_session {
                    remove_session_copy(&self.inner.home, id);
                }
                Err(failure)
            }
        }
    }

    async fn open_cache(&self, id: &str) -> Result<(Cache, bool, Option<Failure>), Failure> {
        let home = &self.inner.home;
        let folder = home.profile_folder(id);
        blocking(move || crate::home::make_folder(&folder).map_err(|error| io_failure(&error, "the profile's folder")))
            .await?;
        match cache_key(&self.inner.vault, id).await {
            Ok((key, fresh)) => {
                let path = home.cache_file(id);
                let (cache, replaced) = Cache::open_or_replace(&path, &key).await?;
                let replaced = replaced.map(|why| {
                    let detail = if fresh {
                        "its key is no longer in the keyring; the copy is fetched anew".to_owned()
                    } else {
                        format!("the copy is fetched anew: {}", why.reason)
                    };
                    Failure::of(FailureCode::CacheBroken, detail)
                });
                Ok((cache, false, replaced))
            }
            // Whoever keeps the token in memory only has said how to go on without a keyring.
            Err(error) if self.inner.vault.in_session(id, SecretName::ServerToken) => {
                tracing::info!(%error, "the copy is kept for this session only");
                let path = home.session_cache_file(id);
                remove_session_copy(home, id);
                let key = CacheKey::generate().map_err(|error| io_failure(&error, "the copy's key"))?;
                let cache = Cache::open(&path, &key).await?;
                Ok((cache, true, None))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Closes under the caller's turn. Nothing open is fine.
    pub(super) async fn close_open(&self) {
        let Some(open) = guard(&self.inner.open).take() else { return };
        open.stop.cancel();
        if let Some(task) = open.on_contact.lock().await.take() {
            // Cancelled or panicked, it is over.
            let _ = task.await;
        }
        open.engine.stop().await;
        // Whoever still reads or changes something ends first, as long as that takes no more than an answer.
        let given_up = tokio::time::Instant::now() + CLOSING;
        while Arc::strong_count(&open) > 1 && tokio::time::Instant::now() < given_up {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let (for_session, profile) = (open.for_session, open.profile.clone());
        if for_session {
            // The copy goes, but not what is still in doubt, as long as this app runs.
            let doubts = open.cache.unsettled_changes().await.unwrap_or_default();
            guard(&self.inner.carried).insert(profile.clone(), doubts);
        }
        open.cache.close().await;
        drop(open);
        if for_session {
            remove_session_copy(&self.inner.home, &profile);
        }
    }

    /// Empties the copy of a profile; it is fetched anew. Changes in doubt are kept: they are in no other place.
    /// Where they cannot be read now, as with a locked keyring, nothing is emptied.
    pub async fn cache_clear(&self, id: &str) -> Result<(), Failure> {
        self.empty_copy(id, false).await
    }

    /// Empties a copy. Of a `damaged` one what is in doubt may be lost.
    async fn empty_copy(&self, id: &str, damaged: bool) -> Result<(), Failure> {
        let _turn = self.inner.turn.lock().await;
        if self.kept().get(id).is_none() {
            return Err(unknown(id));
        }
        let was_open = self.opened().filter(|open| open.profile == id);
        let path = self.inner.home.cache_file(id);
        let doubts = match &was_open {
            Some(open) => open.cache.unsettled_changes().await.map_err(Failure::from),
            None => self.doubts_of_closed(id).await,
        };
        match doubts {
            // Whoever opens this profile next puts them back into its copy.
            Ok(doubts) => _ = guard(&self.inner.carried).insert(id.to_owned(), doubts),
            Err(failure) if damaged => {
                tracing::warn!(code = ?failure.code, "changes in doubt may be lost with the damaged copy");
            }
            Err(failure) => return Err(failure),
        }
        let reopen = was_open.is_some();
        drop(was_open);
        self.close_open_if(id).await;
        blocking(move || Ok(Cache::wipe(&path)?)).await?;
        if reopen {
            self.open_profile(id).await?;
            self.require_open()?.sync_now();
        } else {
            self.put_back_doubts(id).await?;
        }
        self.inner.observer.data_changed();
        Ok(())
    }

    /// Keeps on disk what is in doubt of a profile that stays closed.
    async fn put_back_doubts(&self, id: &str) -> Result<(), Failure> {
        let doubts = guard(&self.inner.carried).get(id).cloned().unwrap_or_default();
        if !doubts.is_empty() {
            let (key, _) = cache_key(&self.inner.vault, id).await?;
            let cache = Cache::open(&self.inner.home.cache_file(id), &key).await?;
            for change in &doubts {
                cache.insert_unsettled(change).await?;
            }
            cache.close().await;
        }
        guard(&self.inner.carried).remove(id);
        Ok(())
    }

    async fn close_open_if(&self, id: &str) {
        if self.opened().is_some_and(|open| open.profile == id) {
            self.close_open().await;
        }
    }

    /// The changes in doubt in a copy that is not open; none where there is none, or where it is damaged.
    async fn doubts_of_closed(&self, id: &str) -> Result<Vec<crate::ipc::UnsettledChange>, Failure> {
        let path = self.inner.home.cache_file(id);
        if !path.exists() {
            return Ok(Vec::new());
        }
        let Some(text) = self.inner.vault.get(id, SecretName::CacheKey).await? else { return Ok(Vec::new()) };
        let Ok(key) = CacheKey::from_hex(text.expose_secret()) else { return Ok(Vec::new()) };
        let cache = match Cache::open(&path, &key).await {
            Ok(cache) => cache,
            Err(CacheError::Broken(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let doubts = cache.unsettled_changes().await;
        cache.close().await;
        Ok(doubts?)
    }

    /// How old what is shown is.
    pub async fn freshness(&self) -> Result<Freshness, Failure> {
        Ok(self.require_open()?.engine.freshness())
    }

    /// Asks every source now.
    pub async fn sync_now(&self) -> Result<(), Failure> {
        self.require_open()?.engine.sync_now();
        Ok(())
    }

    /// Ends the passes that run; what arrived stays.
    pub async fn sync_cancel(&self) -> Result<(), Failure> {
        self.require_open()?.engine.cancel();
        Ok(())
    }

    /// Searches on the server itself. What it finds enters the copy.
    pub async fn search_server(&self, text: &str) -> Result<SearchResult, Failure> {
        let open = self.require_open()?;
        let normalised = crate::query::normalise(text);
        if normalised.is_empty() {
            return Ok(SearchResult { normalised, hits: Vec::new(), as_of: None });
        }
        let admin = open
            .admin
            .as_ref()
            .ok_or_else(|| Failure::of(FailureCode::TokenMissing, "no token is stored for this profile"))?;
        let query = paywall_contract::TenantsQuery {
            text: Some(normalised.clone()),
            limit: Some(SERVER_HITS),
            ..paywall_contract::TenantsQuery::default()
        };
        let found = admin.search(&query).await?.items;
        for tenant in &found {
            open.cache.apply_tenant(tenant).await?;
        }
        let ids: Vec<TenantId> = found.into_iter().map(|tenant| tenant.id).collect();
        let local = open.cache.search(&normalised, open.now()).await?.hits;
        let (mut hits, _): (Vec<SearchHit>, Vec<SearchHit>) =
            local.into_iter().partition(|it| ids.contains(&it.row.id));
        for id in ids {
            if hits.iter().all(|hit| hit.row.id != id) {
                let one = open.cache.search(id.as_str(), open.now()).await?.hits;
                hits.extend(one.into_iter().filter(|hit| hit.row.id == id));
            }
        }
        Ok(SearchResult { normalised, hits, as_of: None })
    }
}

/// Acts whenever the server was reached: settles changes in doubt, and keeps who the token is.
async fn on_contact(inner: Weak<Inner>, profile: String, desk: Desk, contact: Arc<Notify>) {
    loop {
        contact.notified().await;
        let Some(inner) = inner.upgrade() else { return };
        let console = Console { inner };
        match desk.settle_pending().await {
            Ok((settled, failed)) => {
                for each in &settled {
                    console.inner.observer.settled(each);
                }
                if !settled.is_empty() {
                    console.inner.observer.data_changed();
                }
                if let Some(failure) = failed {
                    tracing::warn!(code = ?failure.code, detail = failure.detail, "a change stays unsettled");
                }
            }
            Err(failure) => tracing::warn!(code = ?failure.code, detail = failure.detail, "changes stay unsettled"),
        }
        match desk.settle_repairs().await {
            Ok((settled, failed)) => {
                // The drift itself tells what became of its repair.
                if settled > 0 {
                    console.inner.observer.data_changed();
                }
                if let Some(failure) = failed {
                    tracing::warn!(code = ?failure.code, detail = failure.detail, "a repair stays unsettled");
                }
            }
            Err(failure) => tracing::warn!(code = ?failure.code, detail = failure.detail, "repairs stay unsettled"),
        }
        console.keep_caller(&profile).await;
    }
}

/// Begins a copy anew that turned out to be damaged. Opening it again leads here, so the type of this work
/// has to end somewhere: in a box.
fn on_broken(inner: Weak<Inner>, profile: String, broken: Arc<Notify>) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        broken.notified().await;
        let Some(inner) = inner.upgrade() else { return };
        // On its own: it closes the profile, which ends the task that this is.
        tokio::spawn(begin_anew(Console { inner }, profile));
    })
}

fn begin_anew(console: Console, profile: String) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let failure = Failure::of(FailureCode::CacheBroken, "the copy was damaged; it is fetched anew");
        tracing::warn!(profile, "the copy is damaged and begun anew");
        let told = match console.empty_copy(&profile, true).await {
            Ok(()) => failure,
            Err(failure) => {
                tracing::error!(code = ?failure.code, detail = failure.detail, "the copy was not begun anew");
                failure
            }
        };
        // Somebody may have gone on to another profile meanwhile.
        if console.opened().is_none_or(|open| open.profile == profile) {
            *guard(&console.inner.open_failure) = Some(told);
        }
        console.inner.observer.data_changed();
    })
}

/// Stripe's address and key as a mark that does not tell the key.
fn stripe_source(address: &str, key: &SecretString) -> String {
    let mut hash = Sha256::new();
    hash.update(address);
    hash.update([0]);
    hash.update(key.expose_secret());
    hex::encode(hash.finalize())
}

impl Console {
    async fn keep_caller(&self, profile: &str) {
        let Some(open) = self.opened().filter(|open| open.profile == profile) else { return };
        let Some((caller, at)) = open.engine.caller() else { return };
        let view = CallerView { name: caller.name, role: caller.role, server_version: caller.version, at };
        let known = self.kept().get(profile).and_then(|it| it.caller.clone());
        let same = known.is_some_and(|known| {
            (known.name, known.role, known.server_version)
                == (view.name.clone(), view.role, view.server_version.clone())
        });
        if same {
            return;
        }
        // Opening and saving wait for this task to end while they hold the turn, so it never waits for one.
        let Ok(_turn) = self.inner.turn.try_lock() else { return };
        let kept = self
            .keep(|kept| {
                if let Some(profile) = kept.get_mut(profile) {
                    profile.caller = Some(view);
                }
            })
            .await;
        match kept {
            Ok(()) => self.inner.observer.data_changed(),
            Err(failure) => tracing::warn!(detail = failure.detail, "who the token is was not kept"),
        }
    }
}

fn stripe_client(profile: &Profile, key: &SecretString) -> Result<paywall_stripe::Client, Failure> {
    let key = paywall_stripe::StripeKey::new(key.expose_secret());
    let options = ClientOptions { user_agent: USER_AGENT.to_owned(), ..ClientOptions::default() };
    paywall_stripe::Client::new(profile.stripe_url(), key, options)
        .map_err(|error| Failure::of(FailureCode::AddressInvalid, error.to_string()))
}

/// The secret of a profile. A keyring is asked only for what was given to it: one that cannot be used
/// could not say that there is nothing.
async fn given(vault: &Vault, profile: &Profile, name: SecretName) -> Result<Option<SecretString>, VaultError> {
    let stored = match name {
        SecretName::ServerToken => profile.server_token.is_some(),
        SecretName::StripeKey => profile.stripe_key.is_some(),
        SecretName::CacheKey => true,
    };
    if stored || vault.in_session(&profile.id, name) { vault.get(&profile.id, name).await } else { Ok(None) }
}

/// The key of a profile's copy, made where there is none; and whether it was made now.
async fn cache_key(vault: &Vault, id: &str) -> Result<(CacheKey, bool), VaultError> {
    if let Some(text) = vault.get(id, SecretName::CacheKey).await?
        && let Ok(key) = CacheKey::from_hex(text.expose_secret())
    {
        return Ok((key, false));
    }
    let key = CacheKey::generate()
        .map_err(|error| VaultError { state: KeyringState::Available, detail: error.to_string() })?;
    vault.set(id, SecretName::CacheKey, &SecretString::from(key.to_hex().to_string())).await?;
    Ok((key, true))
}
