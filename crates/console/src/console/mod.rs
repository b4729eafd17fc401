//! The console as its window sees it: every operation, and nothing of how.

// The window waits for every operation alike, whether or not it has something to wait for today.
#![allow(clippy::unused_async)]

mod billing;
mod changing;
mod opening;
mod profiles;
mod questions;
mod reading;
mod revenue;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paywall_domain::Timestamp;
use tokio_util::sync::CancellationToken;

pub use profiles::SampleAddresses;

use crate::cache::{Cache, CacheError};
use crate::home::{Home, make_folder};
use crate::ipc::{AppState, Failure, FailureCode, SecretView, Settings, UnsettledChange};
use crate::observer::Observer;
use crate::profile::Profiles;
use crate::vault::{SecretName, Vault};

use opening::Open;

/// What a console is started with.
pub struct ConsoleOptions {
    /// Where it keeps its files.
    pub home: Home,
    /// The application id: the name of its secrets in the keyring.
    pub app_id: String,
    /// The app's version.
    pub version: String,
    /// Who is told when something changes by itself.
    pub observer: Arc<dyn Observer>,
}

/// The console without a window. Cheap to clone; clones are the same console.
#[derive(Clone)]
pub struct Console {
    inner: Arc<Inner>,
}

struct Inner {
    home: Home,
    version: String,
    observer: Arc<dyn Observer>,
    vault: Vault,
    kept: Mutex<Profiles>,
    /// Changes in doubt of profiles whose copy was for the session only and is closed, by profile.
    carried: Mutex<HashMap<String, Vec<UnsettledChange>>>,
    /// What may be shown of secrets that are kept for this session only.
    session_views: Mutex<HashMap<(String, SecretName), SecretView>>,
    /// One at a time opens, closes, saves or removes profiles.
    turn: tokio::sync::Mutex<()>,
    open: Mutex<Option<Arc<Open>>>,
    open_failure: Mutex<Option<Failure>>,
    sample_running: AtomicBool,
    /// What stops each question in SQL that runs, by its id.
    questions: Mutex<HashMap<u64, CancellationToken>>,
    compared: Mutex<revenue::Compared>,
}

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Console").field("home", &self.inner.home).finish_non_exhaustive()
    }
}

impl Console {
    /// Starts a console over the files of its home. Opens no profile yet: [`Console::open_last`] does.
    pub async fn start(options: ConsoleOptions) -> Result<Self, Failure> {
        let vault = Vault::new(options.app_id.clone());
        Self::start_with_vault(options, vault).await
    }

    /// The same with secrets kept elsewhere than in the operating system's keyring.
    pub async fn start_with_vault(options: ConsoleOptions, vault: Vault) -> Result<Self, Failure> {
        let home = options.home;
        let loaded = blocking({
            let home = home.clone();
            move || {
                make_folder(home.path()).map_err(|error| io_failure(&error, "the data folder"))?;
                let loaded = Profiles::load(&home, now())?;
                // What a session left that ended without a goodbye: its key is gone, nobody can read it.
                for profile in &loaded.profiles.profiles {
                    remove_session_copy(&home, &profile.id);
                }
                Ok(loaded)
            }
        })
        .await?;
        let open_failure = loaded.put_aside.map(|path| {
            let kept_as = path.display().to_string();
            Failure::of(
                FailureCode::ProfilesUnreadable { kept_as },
                "profiles.json cannot be understood; it was put aside whole and an empty list begun",
            )
        });
        let inner = Inner {
            home,
            version: options.version,
            observer: options.observer,
            vault,
            kept: Mutex::new(loaded.profiles),
            carried: Mutex::default(),
            session_views: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            open: Mutex::default(),
            open_failure: Mutex::new(open_failure),
            sample_running: AtomicBool::new(false),
            questions: Mutex::default(),
            compared: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The app as a whole. Asks the keyring how it is each time, so that one that came is seen.
    pub async fn app_state(&self) -> AppState {
        let keyring = self.inner.vault.state().await;
        let ids: Vec<String> = self.kept().profiles.iter().map(|profile| profile.id.clone()).collect();
        let mut profiles = Vec::with_capacity(ids.len());
        for id in ids {
            if let Ok(view) = self.view(&id).await {
                profiles.push(view);
            }
        }
        AppState {
            version: self.inner.version.clone(),
            profiles,
            open: self.opened().map(|open| open.profile.clone()),
            open_failure: guard(&self.inner.open_failure).clone(),
            keyring,
            settings: self.kept().settings.clone(),
            system_dark: None,
        }
    }

    /// Stores what holds for the whole app.
    pub async fn settings_set(&self, settings: Settings) -> Result<Settings, Failure> {
        let _turn = self.inner.turn.lock().await;
        self.keep(|kept| kept.settings.clone_from(&settings)).await?;
        Ok(settings)
    }

    /// Tells the console that the sample world's servers started or stopped.
    pub async fn sample_running(&self, running: bool) {
        self.inner.sample_running.store(running, Ordering::Relaxed);
        if running && let Some(open) = self.opened().filter(|open| open.profile == crate::profile::SAMPLE_PROFILE) {
            open.sync_now();
        }
        self.inner.observer.data_changed();
    }

    /// Ends everything that runs and closes the copy. The console can be dropped after it.
    pub async fn shutdown(&self) {
        let _turn = self.inner.turn.lock().await;
        self.close_open().await;
    }

    fn kept(&self) -> MutexGuard<'_, Profiles> {
        guard(&self.inner.kept)
    }

    fn opened(&self) -> Option<Arc<Open>> {
        guard(&self.inner.open).clone()
    }

    fn require_open(&self) -> Result<Arc<Open>, Failure> {
        self.opened().ok_or_else(|| Failure::of(FailureCode::NoProfile, "no profile is open"))
    }

    /// Changes what is kept, on disk first: what could not be written did not happen.
    async fn keep(&self, change: impl FnOnce(&mut Profiles)) -> Result<(), Failure> {
        let mut changed = self.kept().clone();
        change(&mut changed);
        let home = self.inner.home.clone();
        let written = changed.clone();
        blocking(move || Ok(written.store(&home)?)).await?;
        *self.kept() = changed;
        Ok(())
    }
}

/// This machine's clock.
pub(crate) fn now() -> Timestamp {
    Timestamp(chrono::Utc::now().timestamp_millis())
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer,
        Err(error) => Err(Failure::of(FailureCode::Internal, error.to_string())),
    }
}

fn io_failure(error: &std::io::Error, what: &str) -> Failure {
    let code = match error.kind() {
        std::io::ErrorKind::StorageFull => FailureCode::DiskFull,
        _ => FailureCode::Internal,
    };
    Failure::of(code, format!("{what}: {error}"))
}

fn remove_session_copy(home: &Home, profile: &str) {
    if let Err(error) = Cache::wipe(&home.session_cache_file(profile)) {
        tracing::warn!(%error, profile, "a session's copy was not removed");
    }
}

impl From<CacheError> for Failure {
    fn from(error: CacheError) -> Self {
        Self::of(error.code(), error.to_string())
    }
}
