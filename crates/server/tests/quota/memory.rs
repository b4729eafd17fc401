//! A store in memory, that can be slow, be away, and answer into the void.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paywall_server::quota::{AllotmentKey, Batch, Books, Counter, Grant, HolderId, LeaseStore, LeaseStoreError};

#[derive(Debug, Default)]
struct Kept {
    books: BTreeMap<AllotmentKey, Books>,
    events: HashSet<(String, String)>,
}

/// Clones are the same store.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    kept: Arc<Mutex<Kept>>,
    pub(crate) away: Arc<AtomicBool>,
    /// Whether what is done is answered.
    pub(crate) mute: Arc<AtomicBool>,
    pub(crate) commits: Arc<AtomicU64>,
    /// By how many milliseconds it is slower than it need be.
    pub(crate) slower: Arc<AtomicU64>,
}

impl Memory {
    pub(crate) fn counted(&self, key: &AllotmentKey) -> i64 {
        self.kept.lock().unwrap().books.get(key).map_or(0, |books| books.counted)
    }

    pub(crate) fn used(&self, key: &AllotmentKey) -> i64 {
        self.kept.lock().unwrap().books.get(key).map_or(0, Books::used)
    }

    pub(crate) fn events(&self) -> usize {
        self.kept.lock().unwrap().events.len()
    }
}

impl LeaseStore for Memory {
    async fn commit(&self, holder: &HolderId, batch: &Batch) -> Result<Vec<Grant>, LeaseStoreError> {
        tokio::time::sleep(Duration::from_millis(2 + self.slower.load(Ordering::SeqCst))).await;
        self.commits.fetch_add(1, Ordering::SeqCst);
        if self.away.load(Ordering::SeqCst) {
            return Err(LeaseStoreError::TimedOut);
        }
        let grants = {
            let mut kept = self.kept.lock().unwrap();
            for event in &batch.events {
                if kept.events.insert((event.source.to_string(), event.id.clone())) {
                    for counter in Counter::ALL {
                        let key = AllotmentKey { tenant: event.tenant.clone(), counter, period: event.period };
                        kept.books.entry(key).or_default().counted += event.amounts.get(counter);
                    }
                }
            }
            let answer =
                |(key, claim): &(AllotmentKey, _)| kept.books.entry(key.clone()).or_default().answer(holder, claim);
            batch.claims.iter().map(answer).collect()
        };
        if self.mute.load(Ordering::SeqCst) { Err(LeaseStoreError::TimedOut) } else { Ok(grants) }
    }

    async fn wanted(&self, holder: &HolderId) -> Result<Vec<AllotmentKey>, LeaseStoreError> {
        let kept = self.kept.lock().unwrap();
        let wanted = |books: &Books| books.leases.get(holder).is_some_and(|lease| lease.wanted);
        Ok(kept.books.iter().filter(|(_, books)| wanted(books)).map(|(key, _)| key.clone()).collect())
    }

    async fn write_off(&self) -> Result<usize, LeaseStoreError> {
        Ok(0)
    }
}
