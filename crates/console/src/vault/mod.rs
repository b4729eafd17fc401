//! Secrets, kept by the operating system's keyring or, for this session only, in memory. Never in a file.

mod native;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keyring_core::CredentialStore;
use secrecy::{ExposeSecret, SecretString};

use crate::ipc::{Failure, FailureCode, KeyringState};

/// How long the keyring is waited for before it counts as waiting for its user.
const PATIENCE: Duration = Duration::from_secs(8);

/// Which secret of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecretName {
    /// The paywall server's token.
    ServerToken,
    /// The Stripe key.
    StripeKey,
    /// The key of the local copy.
    CacheKey,
}

impl SecretName {
    /// Every secret that a profile can have.
    pub const ALL: [Self; 3] = [Self::ServerToken, Self::StripeKey, Self::CacheKey];

    /// The user under which the keyring keeps it.
    pub fn user(self, profile: &str) -> String {
        let name = match self {
            Self::ServerToken => "server-token",
            Self::StripeKey => "stripe-key",
            Self::CacheKey => "cache-key",
        };
        format!("{profile}/{name}")
    }
}

/// The keyring cannot be used now. Nothing was stored, nothing was lost; the next call asks anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the keyring is {state:?}: {detail}")]
pub struct VaultError {
    /// Why.
    pub state: KeyringState,
    /// What the platform said, without secrets.
    pub detail: String,
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        Self::of(FailureCode::Keyring { state: error.state }, error.detail)
    }
}

/// Where secrets are kept. Cheap to clone; clones share the session's secrets.
#[derive(Clone)]
pub struct Vault {
    inner: Arc<Inner>,
}

struct Inner {
    service: String,
    patience: Duration,
    /// The store as last found; dropped when it fails, so that the next call finds it anew.
    found: Mutex<Option<Arc<CredentialStore>>>,
    /// Set where a caller brought its own store: then nothing is ever looked for.
    fixed: bool,
    session: Mutex<HashMap<String, SecretString>>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("service", &self.inner.service).finish_non_exhaustive()
    }
}

impl Vault {
    /// The operating system's keyring; `service` is the application id.
    pub fn new(service: impl Into<String>) -> Self {
        Self::build(service.into(), None, PATIENCE)
    }

    /// The same with another patience, after which an unanswered keyring counts as waiting.
    pub fn with_patience(service: impl Into<String>, patience: Duration) -> Self {
        Self::build(service.into(), None, patience)
    }

    /// Another store than the operating system's own.
    pub fn with_store(service: impl Into<String>, store: Arc<CredentialStore>) -> Self {
        Self::build(service.into(), Some(store), PATIENCE)
    }

    fn build(service: String, store: Option<Arc<CredentialStore>>, patience: Duration) -> Self {
        let fixed = store.is_some();
        let inner = Inner { service, patience, found: Mutex::new(store), fixed, session: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// Asks the keyring how it is. Asks nobody for a password.
    pub async fn state(&self) -> KeyringState {
        if self.inner.fixed {
            return KeyringState::Available;
        }
        let probe = tokio::task::spawn_blocking(native::probe);
        match tokio::time::timeout(self.inner.patience, probe).await {
            Ok(Ok((state, _))) => state,
            Ok(Err(_)) => KeyringState::Missing,
            Err(_) => KeyringState::Waiting,
        }
    }

    /// The secret of that name; `None` = none is stored.
    pub async fn get(&self, profile: &str, name: SecretName) -> Result<Option<SecretString>, VaultError> {
        let user = name.user(profile);
        if let Some(secret) = locked(&self.inner.session).get(&user) {
            return Ok(Some(secret.clone()));
        }
        self.ask(user, |entry| match entry.get_password() {
            Ok(password) => Ok(Some(SecretString::from(password))),
            Err(keyring_core::Error::NoEntry) => Ok(None),
            Err(error) => Err(error),
        })
        .await?
        .map_or_else(|| Ok(None), |secret| Ok(Some(secret)))
    }

    /// Stores the secret in the keyring, in place of one that was there.
    pub async fn set(&self, profile: &str, name: SecretName, secret: &SecretString) -> Result<(), VaultError> {
        let user = name.user(profile);
        let copy = secret.clone();
        self.ask(user.clone(), move |entry| entry.set_password(copy.expose_secret()).map(|()| Some(()))).await?;
        locked(&self.inner.session).remove(&user);
        Ok(())
    }

    /// Keeps the secret in memory until this process ends.
    pub fn set_for_session(&self, profile: &str, name: SecretName, secret: SecretString) {
        locked(&self.inner.session).insert(name.user(profile), secret);
    }

    /// Whether the secret is kept for this session only.
    pub fn in_session(&self, profile: &str, name: SecretName) -> bool {
        locked(&self.inner.session).contains_key(&name.user(profile))
    }

    /// Forgets a secret that was kept for this session only.
    pub fn forget_session(&self, profile: &str, name: SecretName) {
        locked(&self.inner.session).remove(&name.user(profile));
    }

    /// Removes the secret, wherever it is kept. One that is not there is removed already.
    pub async fn remove(&self, profile: &str, name: SecretName) -> Result<(), VaultError> {
        let user = name.user(profile);
        locked(&self.inner.session).remove(&user);
        self.ask(user, |entry| match entry.delete_credential() {
            Ok(()) => Ok(Some(())),
            Err(keyring_core::Error::NoEntry) => Ok(None),
            Err(error) => Err(error),
        })
        .await?;
        Ok(())
    }

    /// Runs `question` where it may block, and gives up waiting for it, but not on it: a keyring that
    /// asks its user gets the answer in its own time, and the next call finds it open.
    async fn ask<T: Send + 'static>(
        &self,
        user: String,
        question: impl Fn(&keyring_core::Entry) -> keyring_core::Result<Option<T>> + Send + 'static,
    ) -> Result<Option<T>, VaultError> {
        let inner = Arc::clone(&self.inner);
        let work = tokio::task::spawn_blocking(move || inner.ask_blocking(&user, question));
        match tokio::time::timeout(self.inner.patience, work).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Err(VaultError { state: KeyringState::Missing, detail: error.to_string() }),
            Err(_) => Err(VaultError {
                state: KeyringState::Waiting,
                detail: "the keyring has not answered yet; it may be asking for a password".to_owned(),
            }),
        }
    }
}

impl Inner {
    fn ask_blocking<T>(
        &self,
        user: &str,
        question: impl Fn(&keyring_core::Entry) -> keyring_core::Result<Option<T>>,
    ) -> Result<Option<T>, VaultError> {
        let mut tried = false;
        loop {
            let answer = self
                .store()
                .and_then(|store| store.build(&self.service, user, None))
                .and_then(|entry| question(&entry));
            match answer {
                Ok(Some(value)) => return Ok(Some(value)),
                // A keyring that was never unlocked says "no such entry" for everything.
                Ok(None) if self.fixed => return Ok(None),
                Ok(None) => match native::probe() {
                    (KeyringState::Available, _) => return Ok(None),
                    (state, detail) => return Err(VaultError { state, detail }),
                },
                // The service went away or was replaced since the store was found: find it again, once.
                Err(keyring_core::Error::PlatformFailure(_) | keyring_core::Error::NoDefaultStore)
                    if !tried && !self.fixed =>
                {
                    tried = true;
                    *locked(&self.found) = None;
                }
                Err(error) => {
                    if !self.fixed {
                        *locked(&self.found) = None;
                    }
                    return Err(native::explain(&error, self.fixed));
                }
            }
        }
    }

    fn store(&self) -> keyring_core::Result<Arc<CredentialStore>> {
        let mut found = locked(&self.found);
        if let Some(store) = found.as_ref() {
            return Ok(Arc::clone(store));
        }
        let store = native::find()?;
        *found = Some(Arc::clone(&store));
        Ok(store)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
