//! How this process fares: what of it lives in memory, and the row by which others know that it runs.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use paywall_contract::{DirectoryFailure, DirectoryHealth, DirectoryKind, GateHealth, MeteringHealth, Replica};
use paywall_domain::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::directory::{Directory, Freshness, Mirror};
use crate::quota::Quota;
use crate::server::State;
use crate::store::with_patience;

/// How often a process says that it runs.
const BEAT: Duration = Duration::from_secs(5);

/// How this process fares.
pub(crate) struct Health {
    id: String,
    started_at: Timestamp,
    /// What the gate keeps in memory; empty where nothing is enforced.
    gate: OnceLock<Gate>,
}

/// What the gate keeps in memory.
struct Gate {
    directory: Arc<Directory>,
    /// Weak, since a mirror holds the state that holds this.
    mirror: Weak<Mirror>,
    quota: Quota,
}

impl Health {
    /// Of a process that starts now.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { id: hex::encode(rand::random::<[u8; 8]>()), started_at: now, gate: OnceLock::new() }
    }

    /// The gate begins its work. There is one in the life of a process: serving ends by closing the database.
    pub(crate) fn enforces(&self, directory: &Arc<Directory>, mirror: &Arc<Mirror>, quota: &Quota) {
        let (directory, mirror, quota) = (Arc::clone(directory), Arc::downgrade(mirror), quota.clone());
        let _ = self.gate.set(Gate { directory, mirror, quota });
    }

    /// When the process started.
    pub(crate) fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// This process among those on the database.
    pub(crate) fn replica(&self, now: Timestamp) -> Replica {
        Replica {
            id: self.id.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.started_at,
            seen_at: now,
        }
    }

    /// Which ways in are checked.
    pub(crate) fn gate(&self, config: &Config) -> GateHealth {
        let enforcing = self.gate.get().is_some();
        GateHealth {
            proxy: enforcing && config.ragflow_url.is_some(),
            // Whoever is not among the trusted is not answered there.
            authz: enforcing && !config.trusted_proxies.is_empty(),
            // The settings take none with credentials.
            ragflow_url: config.ragflow_url.as_ref().map(|url| url.to_string().trim_end_matches('/').to_owned()),
        }
    }

    /// How fresh what is known of `RAGFlow` is.
    pub(crate) fn directory(&self, config: &Config, now: Timestamp) -> DirectoryHealth {
        let kind = match (&config.ragflow_database_url, &config.ragflow_url) {
            (Some(_), _) => DirectoryKind::Database,
            (None, Some(_)) => DirectoryKind::Api,
            (None, None) => DirectoryKind::None,
        };
        let fresh = self.gate.get().map(|gate| match kind {
            DirectoryKind::Database => gate.mirror.upgrade().map(|it| it.freshness()).unwrap_or_default(),
            // The mirror of an API reads nothing by itself, which never fails.
            DirectoryKind::Api | DirectoryKind::None => gate.directory.api_freshness(now),
        });
        let Freshness { last_success_at, compared_at, failure } = fresh.unwrap_or_default();
        // The reason stays in the log: in the database's words it may name hosts and users.
        let failure = failure.map(|it| DirectoryFailure { code: it.code, since: it.since, remedy: it.remedy });
        DirectoryHealth { kind, last_success_at, compared_at, failure }
    }

    /// How the counting of usage fares.
    pub(crate) fn metering(&self) -> MeteringHealth {
        self.gate.get().map_or_else(MeteringHealth::default, |gate| MeteringHealth {
            waiting: i64::try_from(gate.quota.spooled()).unwrap_or(i64::MAX),
            store_away: gate.quota.store_is_away(),
        })
    }
}

/// Says every few seconds that this process runs, until `stop` is cancelled, and then that it has stopped.
pub(crate) async fn beat(state: Arc<State>, stop: CancellationToken) {
    let mut beats = tokio::time::interval(BEAT);
    beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut failing = false;
    let beating = async {
        loop {
            beats.tick().await;
            let done = state.store.beat(&state.health.replica(state.clock.now())).await;
            // Once per outage.
            if let (Err(error), false) = (&done, failing) {
                tracing::error!(%error, "other servers cannot be told that this one runs");
            }
            failing = done.is_err();
        }
    };
    let _: Option<()> = stop.run_until_cancelled(beating).await;
    // Where that fails, the last word gets old, which says it too.
    let _ = with_patience(state.store.leave(&state.health.id)).await;
}
