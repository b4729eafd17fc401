//! What is worth knowing of requests, written down beside them: who was active, and who was refused.
//!
//! For people, not for bills: noted in memory, written a little later and at most so often, and lost where the
//! process dies in between.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use paywall_contract::Refusal;
use paywall_domain::{DenyCode, Operation, TenantId, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::directory::DirectoryError;
use crate::server::State;
use crate::store::TenantRow;

/// How often what was noted is written.
const EVERY: Duration = Duration::from_millis(500);

/// How exactly it is known when a tenant's request last passed. Each time it is written, every console hears of it.
const PASSED_MS: i64 = 10 * 60_000;

/// How often a tenant's last refusal is written, where it is of the same kind as the one before. It also says that
/// the tenant is active.
const REFUSED_MS: i64 = 60_000;

/// Tenants that are remembered; with more, all are forgotten and some are written once more.
const MANY: usize = 100_000;

/// An outage of the directory is over when nobody met it for so long.
const OUTAGE_OVER: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Noted {
    passed: HashMap<TenantId, Timestamp>,
    refused: HashMap<TenantId, Refusal>,
    /// When what was last written of a tenant.
    written_passed: HashMap<TenantId, Timestamp>,
    written_refused: HashMap<TenantId, Refusal>,
    /// The code of the directory's last failure, and when that was.
    away: Option<(&'static str, Instant)>,
}

/// What was noted, until it is written.
#[derive(Debug, Default)]
pub(crate) struct Notes(Mutex<Noted>);

impl Notes {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A tenant's request passes. So a lockout from before is over, which is written down at once: the next
    /// refusal begins another one. A limit that shut out other work may hold still.
    pub(super) fn passed(&self, tenant: &TenantRow, operation: Operation, now: Timestamp) {
        let mut noted = self.noted();
        let ended = |it: &Refusal| it.code != DenyCode::QuotaExhausted || it.operation == operation;
        if noted.written_refused.get(&tenant.id).is_some_and(ended) {
            noted.written_refused.remove(&tenant.id);
        }
        let shut_out = tenant.last_refusal.as_ref().filter(|it| ended(it));
        let shut_out = shut_out.map(|it| it.at).filter(|at| tenant.last_passed_at.is_none_or(|passed| passed <= *at));
        let due = |written: &Timestamp| {
            now.ms_since(*written).abs() >= PASSED_MS || shut_out.is_some_and(|at| *written <= at)
        };
        if noted.written_passed.get(&tenant.id).is_none_or(due) {
            noted.passed.insert(tenant.id.clone(), now);
        }
    }

    /// A tenant's request was refused.
    pub(super) fn refused(&self, tenant: TenantId, refusal: Refusal) {
        let mut noted = self.noted();
        let known = noted
            .written_refused
            .get(&tenant)
            .is_some_and(|before| before.code == refusal.code && refusal.at.ms_since(before.at).abs() < REFUSED_MS);
        if !known {
            noted.refused.insert(tenant, refusal);
        }
    }

    /// The directory could not be asked. Logged once per outage: callers who are remembered still pass meanwhile, so
    /// that one is over only when nobody met it for a while.
    pub(super) fn directory_away(&self, error: &DirectoryError) {
        let (code, now) = (error.code(), Instant::now());
        let before = self.noted().away.replace((code, now));
        if before.is_none_or(|(told, at)| told != code || now.duration_since(at) > OUTAGE_OVER) {
            tracing::error!(code, %error, remedy = error.remedy(), "callers cannot be identified");
        }
    }

    /// Writes until `stop` is cancelled, and then once more.
    pub(super) async fn write(&self, state: &State, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
            self.write_once(state).await;
        }
        self.write_once(state).await;
    }

    async fn write_once(&self, state: &State) {
        let (passed, refused) = {
            let mut noted = self.noted();
            (std::mem::take(&mut noted.passed), std::mem::take(&mut noted.refused))
        };
        if passed.is_empty() && refused.is_empty() {
            return;
        }
        let done = state.store.note_requests(&passed, &refused, &*state.clock).await;
        if done.is_ok() {
            let mut noted = self.noted();
            if noted.written_passed.len() + passed.len() > MANY {
                noted.written_passed.clear();
            }
            if noted.written_refused.len() + refused.len() > MANY {
                noted.written_refused.clear();
            }
            noted.written_passed.extend(passed);
            noted.written_refused.extend(refused);
        }
        state.noted(done.map(|()| true), "who was active and who was refused could not be written");
    }
}
