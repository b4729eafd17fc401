//! Who is who in `RAGFlow`: whom a credential signs in as, who owns a resource, and which tenants there
//! are.
//!
//! [`Directory`] answers the gate, from `RAGFlow`'s own tables ([`RagflowDatabase`]) or, where they are out
//! of reach, from its HTTP API ([`RagflowApi`]). [`Mirror`] brings tenants, members and gauges into the
//! paywall's own store.

mod api;
mod cache;
mod contact;
mod database;
mod error;
mod failures;
mod mirror;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use moka::future::Cache;
use paywall_domain::{TenantId, Timestamp};

use self::cache::{KNOWN, Remembered};
use self::contact::Contact;
use self::failures::Failures;
use self::mirror::Touched;
use crate::config::Config;
use crate::gate::{CacheKey, Candidates, Credential, Effect, Resource};

pub use api::{Profile, RagflowApi};
pub use database::{Change, RagflowDatabase, RagflowTenant, Stream};
pub use error::DirectoryError;
pub use mirror::{FirstUse, Freshness, Mirror, MirrorError, MirrorFailure, Pace, Sight, TrialStart};

/// Tenants about whom something was to be forgotten lately; far more than sign in within the time that
/// answers are kept.
const MOST_FORGOTTEN: u64 = 100_000;

/// The longest that a look at whether everything can be read may take. Longer than the wait for a connection, so
/// that its reason is told and not that it took long.
const LOOK: Duration = Duration::from_secs(4);

/// Who is who.
pub struct Directory {
    source: Source,
    /// Under which credentials are hashed before they are kept: this process's own.
    key: [u8; 32],
    owners: Remembered<(Resource, String), TenantId>,
    /// Since when what was learned of a tenant's credentials no longer holds.
    forgotten: Cache<TenantId, Instant>,
    touched: Arc<Touched>,
    failures: Failures,
    /// Whether everything that is needed could be read once.
    ready: AtomicBool,
}

enum Source {
    Database { database: RagflowDatabase, callers: Remembered<CacheKey, TenantId> },
    Api { api: RagflowApi, callers: Remembered<Vec<CacheKey>, Arc<Profile>>, contact: Contact },
}

/// Whom a request comes from.
#[derive(Debug, Clone)]
pub struct Identity<'a> {
    /// The caller's own tenant. Who pays may be another: [`Directory::owners`].
    pub tenant: TenantId,
    /// By which of the candidates.
    pub credential: &'a Credential,
    /// What RAGFlow told of the caller, where its API was asked.
    pub profile: Option<Arc<Profile>>,
}

impl Identity<'_> {
    /// Whether it is more than a claim. A session cookie names a user by an id that is no secret, and only
    /// `RAGFlow` can tell whether it signed that.
    pub(crate) fn is_proven(&self) -> bool {
        self.profile.is_some() || !matches!(self.credential, Credential::Cookie(_) | Credential::Nobody)
    }
}

impl Directory {
    /// The directory that the settings name: of the database where they name one, else of the API, else
    /// none. Nothing is connected yet.
    pub fn of(config: &Config) -> Result<Option<Self>, DirectoryError> {
        if let Some(url) = &config.ragflow_database_url {
            return Ok(Some(Self::from_database(RagflowDatabase::new(url)?)));
        }
        config.ragflow_url.as_ref().map(|url| Ok(Self::from_api(RagflowApi::new(&url.to_string())?))).transpose()
    }

    /// The directory of a database.
    pub fn from_database(database: RagflowDatabase) -> Self {
        Self::over(Source::Database { database, callers: Remembered::new() })
    }

    /// The directory of an API: it knows callers, no owners and no tenants but those that call.
    pub fn from_api(api: RagflowApi) -> Self {
        Self::over(Source::Api { api, callers: Remembered::new(), contact: Contact::default() })
    }

    fn over(source: Source) -> Self {
        Self {
            source,
            key: rand::random(),
            owners: Remembered::new(),
            forgotten: Cache::builder().max_capacity(MOST_FORGOTTEN).time_to_live(KNOWN).build(),
            touched: Arc::new(Touched::default()),
            failures: Failures::default(),
            ready: AtomicBool::new(false),
        }
    }

    /// Whether everything that is needed could be read at least once; looked for until then. `RAGFlow`'s API is
    /// asked with callers' own credentials, so that without any there is nothing to look for.
    pub async fn ready(&self) -> Result<(), DirectoryError> {
        if let Source::Database { database, .. } = &self.source
            && !self.ready.load(Ordering::Relaxed)
        {
            tokio::time::timeout(LOOK, database.check()).await.unwrap_or(Err(DirectoryError::Slow))?;
            self.ready.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// How often what could not be told, to a request or to the mirror, by the code of the reason.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.failures.each()
    }

    fn counted<T>(&self, done: Result<T, DirectoryError>) -> Result<T, DirectoryError> {
        if let Err(error) = &done {
            self.failures.count(error.code());
        }
        done
    }

    /// RAGFlow's database, where it is read.
    pub fn database(&self) -> Option<&RagflowDatabase> {
        match &self.source {
            Source::Database { database, .. } => Some(database),
            Source::Api { .. } => None,
        }
    }

    /// How RAGFlow's API fares, by a clock that stands at `now`; nothing is known where its database is read.
    pub(crate) fn api_freshness(&self, now: Timestamp) -> Freshness {
        match &self.source {
            Source::Database { .. } => Freshness::default(),
            Source::Api { contact, .. } => contact.freshness(now),
        }
    }

    /// Who the caller is: the first of the candidates that RAGFlow would let in. `Ok(None)` = nobody that
    /// RAGFlow knows; an error = that cannot be told now. `headers` are those that the candidates were read
    /// from.
    pub async fn identify<'a>(
        &self,
        candidates: &'a Candidates,
        headers: &HeaderMap,
    ) -> Result<Option<Identity<'a>>, DirectoryError> {
        self.counted(self.asked(candidates, headers).await)
    }

    async fn asked<'a>(
        &self,
        candidates: &'a Candidates,
        headers: &HeaderMap,
    ) -> Result<Option<Identity<'a>>, DirectoryError> {
        match &self.source {
            Source::Database { database, callers } => {
                for credential in candidates.iter() {
                    let key = credential.cache_key(&self.key);
                    let tenant = self.remembered(callers, key, |it| it, || database.tenant_of(credential)).await?;
                    if let Some(tenant) = tenant {
                        return Ok(Some(Identity { tenant, credential, profile: None }));
                    }
                }
                Ok(None)
            }
            Source::Api { api, callers, contact } => {
                let keys: Vec<CacheKey> = candidates.iter().map(|it| it.cache_key(&self.key)).collect();
                if keys.is_empty() {
                    return Ok(None);
                }
                let ask = || async {
                    let profile = api.profile(headers).await;
                    contact.note(profile.as_ref().err());
                    Ok(profile?.map(Arc::new))
                };
                let profile = self.remembered(callers, keys, |it| &it.tenant, ask).await?;
                Ok(profile.map(|profile| Identity {
                    tenant: profile.tenant.clone(),
                    credential: candidates.first(),
                    profile: Some(profile),
                }))
            }
        }
    }

    /// What is remembered, unless its tenant was to be forgotten since.
    async fn remembered<K, V, F>(
        &self,
        callers: &Remembered<K, V>,
        key: K,
        tenant: impl Fn(&V) -> &TenantId,
        ask: impl Fn() -> F,
    ) -> Result<Option<V>, DirectoryError>
    where
        K: std::hash::Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
        F: Future<Output = Result<Option<V>, DirectoryError>>,
    {
        let mut answer = callers.get(key.clone(), |_| false, &ask).await?;
        // Only one whose tenant is known can be among the forgotten.
        if let Some(value) = &answer
            && let Some(since) = self.forgotten.get(tenant(value)).await
        {
            answer = callers.get(key, |entry| entry.asked <= since, &ask).await?;
        }
        Ok(answer)
    }

    /// Who owns a resource, and so pays for its use. `Ok(None)` = unknown: the caller pays, and RAGFlow
    /// itself answers that there is none such.
    pub async fn owner(&self, resource: Resource, id: &str) -> Result<Option<TenantId>, DirectoryError> {
        match (&self.source, resource) {
            (_, Resource::Tenant) => Ok(TenantId::parse(id).ok()),
            (_, Resource::Other) | (Source::Api { .. }, _) => Ok(None),
            (Source::Database { database, .. }, _) => {
                let key = (resource, id.to_owned());
                self.counted(self.owners.get(key, |_| false, || database.owner(resource, id)).await)
            }
        }
    }

    /// Who owns any of these. A request that names several things may name several owners' things.
    pub async fn owners<'a>(
        &self,
        resource: Resource,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<BTreeSet<TenantId>, DirectoryError> {
        let mut owners = BTreeSet::new();
        for id in ids {
            owners.extend(self.owner(resource, id).await?);
        }
        Ok(owners)
    }

    /// Takes note of a request that succeeded and changed what was learned: call it with the tenant whose
    /// credentials or members it was about. The user who signed in is in the answer's body; who signs out
    /// or changes keys is the caller. Other replicas have to be told ([`Directory::forget`]); else they notice within
    /// the minute that answers are kept.
    pub async fn after(&self, effect: Effect, tenant: &TenantId) {
        if effect.is_of_credentials() {
            self.forget(tenant).await;
        }
        self.touch(tenant);
    }

    /// Forgets what was learned of a user's credentials until now.
    pub async fn forget(&self, tenant: &TenantId) {
        self.forgotten.insert(tenant.clone(), Instant::now()).await;
    }

    /// Forgets what was learned of everybody's credentials until now.
    pub fn forget_everybody(&self) {
        match &self.source {
            Source::Database { callers, .. } => callers.clear(),
            Source::Api { callers, .. } => callers.clear(),
        }
    }

    /// Has the mirror read a tenant again soon: something of it was added or removed.
    pub fn touch(&self, tenant: &TenantId) {
        self.touched.add(tenant.clone());
    }
}
