//! What one customer's browser may ask of Stripe: looks that many wait for, and purchases one after the other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use paywall_domain::TenantId;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;

use super::buying;
use super::routes::Portal;

/// How long whoever comes back waits for Stripe before being told to wait.
const PATIENCE: Duration = Duration::from_secs(4);

/// The time from one look to the next at the same.
const APART: Duration = Duration::from_millis(1_500);

/// How often a tenant may begin to buy within how long, on one server.
const BUYS: usize = 12;
const WITHIN: Duration = Duration::from_secs(60);

/// More than come back, or buy, at a time.
const MANY: u64 = 10_000;

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum At {
    /// A Checkout session.
    Session(String),
    /// A tenant whose subscription may have been changed in the portal.
    Tenant(TenantId),
}

/// Looks that go on, and when each was begun last.
#[derive(Clone)]
pub(super) struct Looks(Cache<At, Arc<Mutex<Option<Instant>>>>);

impl Looks {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(MANY).time_to_idle(PATIENCE * 10).build())
    }

    /// Waits for a look that was begun after this was called, for as long as somebody waits before a page. One look
    /// does for all that came before it; it goes on where whoever asked for it goes away.
    pub(super) async fn wait(&self, portal: &Portal, at: At) {
        let (state, asked) = (Arc::clone(&portal.state), Instant::now());
        let last = self.0.get_with(at.clone(), async { Arc::default() }).await;
        let look = tokio::spawn(async move {
            let Some(billing) = &state.billing else { return };
            let mut last = last.lock().await;
            if last.is_some_and(|begun| begun >= asked) {
                return;
            }
            if let Some(begun) = *last {
                tokio::time::sleep_until(begun + APART).await;
            }
            *last = Some(Instant::now());
            if let Err(error) = buying::look(&state, billing, &at).await {
                tracing::warn!(%error, ?at, "what somebody came back from is looked at later");
            }
        });
        // Whoever waits no longer is told to come again.
        let _ = tokio::time::timeout(PATIENCE, look).await;
    }
}

/// When a tenant began to buy, and its turn to do so.
#[derive(Default)]
struct Buyer {
    begun: std::sync::Mutex<VecDeque<Instant>>,
    turn: Arc<Mutex<()>>,
}

/// Who buys just now.
#[derive(Clone)]
pub(super) struct Buys(Cache<TenantId, Arc<Buyer>>);

impl Buys {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(MANY).time_to_idle(WITHIN * 2).build())
    }

    /// The tenant's turn; `None` where it had too many already.
    pub(super) async fn turn(&self, tenant: &TenantId) -> Option<OwnedMutexGuard<()>> {
        let buyer = self.0.get_with(tenant.clone(), async { Arc::default() }).await;
        {
            let mut begun = buyer.begun.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let now = Instant::now();
            while begun.front().is_some_and(|it| *it + WITHIN <= now) {
                begun.pop_front();
            }
            if begun.len() >= BUYS {
                return None;
            }
            begun.push_back(now);
        }
        Some(Arc::clone(&buyer.turn).lock_owned().await)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_tenant_buys_one_after_the_other_and_not_without_end() {
        let buys = Buys::new();
        let tenant = TenantId::parse(&"1".repeat(32)).unwrap();
        let first = buys.turn(&tenant).await.unwrap();
        let waits = tokio::time::timeout(Duration::from_millis(50), buys.turn(&tenant)).await;
        assert!(waits.is_err(), "its first goes on");
        drop(first);
        for _ in 2..BUYS {
            assert!(buys.turn(&tenant).await.is_some());
        }
        assert!(buys.turn(&tenant).await.is_none());
        assert!(buys.turn(&TenantId::parse(&"2".repeat(32)).unwrap()).await.is_some(), "another is another");
    }
}
