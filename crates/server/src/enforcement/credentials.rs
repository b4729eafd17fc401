//! Sessions that ended and keys that were changed, on whichever server that was seen: what was learned of them is
//! forgotten by every server within a second or so.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use paywall_domain::TenantId;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::follow::{Forgets, follow};
use crate::directory::Directory;
use crate::gate::Effect;
use crate::server::State;
use crate::store::{StoreError, credentials};

/// How long it takes to try again where the store did not take it.
const PAUSE: Duration = Duration::from_millis(500);

/// How long after a front was told that a request may pass what it changes has changed.
const BEHIND: Duration = Duration::from_secs(2);

/// Users told in one transaction, and read at a time.
const BATCH: usize = 500;

/// Whose credentials changed.
pub(super) struct Credentials {
    state: Arc<State>,
    directory: Arc<Directory>,
    /// Of whom the other servers were not told yet.
    untold: Mutex<BTreeSet<TenantId>>,
    wake: Notify,
}

impl Credentials {
    pub(super) fn new(state: Arc<State>, directory: Arc<Directory>) -> Self {
        Self { state, directory, untold: Mutex::default(), wake: Notify::new() }
    }

    /// A request passed that changed something of a user's. `behind`: a front passes it on only now, so that what is
    /// learned in the next moment may still be what was so before.
    pub(super) async fn changed(&self, effect: Effect, user: &TenantId, behind: bool) {
        self.forget(effect, user).await;
        if behind {
            tokio::time::sleep(BEHIND).await;
            self.forget(effect, user).await;
        }
    }

    async fn forget(&self, effect: Effect, user: &TenantId) {
        self.directory.after(effect, user).await;
        if effect.is_of_credentials() {
            self.untold().insert(user.clone());
            self.wake.notify_one();
        }
    }

    fn untold(&self) -> std::sync::MutexGuard<'_, BTreeSet<TenantId>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the other servers, and hears of them, until `stop` is cancelled.
    pub(super) async fn run(&self, stop: CancellationToken) {
        tokio::join!(self.tell(stop.clone()), follow(&self.state.store, self, stop));
    }

    async fn tell(&self, stop: CancellationToken) {
        while stop.run_until_cancelled(self.wake.notified()).await.is_some() {
            while !self.tell_once().await {
                if stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
                    return;
                }
            }
        }
        self.tell_once().await;
    }

    /// Whether nothing is left to tell.
    async fn tell_once(&self) -> bool {
        let users: Vec<TenantId> = std::mem::take(&mut *self.untold()).into_iter().collect();
        for (number, batch) in users.chunks(BATCH).enumerate() {
            let done = self.state.store.tell_credentials(batch).await;
            let failed = done.is_err();
            self.state.noted(done.map(|()| true), "other servers could not be told whose credentials changed");
            if failed {
                self.untold().extend(users[number * BATCH..].iter().cloned());
                return false;
            }
        }
        true
    }
}

impl Forgets for Credentials {
    async fn forget_after(&self, place: Option<i64>, last: i64) -> Result<(), StoreError> {
        let Some(mut place) = place.filter(|it| *it <= last) else {
            self.directory.forget_everybody();
            return Ok(());
        };
        while place < last {
            let mut read = self.state.store.read().await?;
            let page = credentials::after(&mut read, place, BATCH as i64).await?;
            let full = page.len() == BATCH;
            for (user, seq) in page {
                self.directory.forget(&user).await;
                place = seq;
            }
            if !full {
                return Ok(());
            }
        }
        Ok(())
    }
}
