//! What was learned from `RAGFlow`, for a while.
//!
//! One question at a time per key, however many requests ask it. What is so is kept for a minute, what
//! is not for some seconds: a key that was made just now must work soon. While `RAGFlow` cannot be asked,
//! what was so a short while ago still is: the policy for outages needs to know whom it is about.

use std::hash::Hash;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache;

use super::DirectoryError;
use crate::patience::within;

/// Keys kept at most; the least used go first.
const MOST: u64 = 100_000;
const KEPT: Duration = Duration::from_secs(60);
const KEPT_NOTHING: Duration = Duration::from_secs(4);
/// How long an answer from before an outage is given before RAGFlow is asked again.
const KEPT_IN_OUTAGE: Duration = Duration::from_secs(2);
/// How long RAGFlow is waited for where such an answer is at hand.
const KNOWN_PATIENCE: Duration = Duration::from_millis(500);
/// How old an answer from before an outage may be.
pub(super) const KNOWN: Duration = Duration::from_secs(15 * 60);

/// Answers by key.
pub(super) struct Remembered<K, V> {
    fresh: Cache<K, Entry<V>>,
    known: Cache<K, Entry<V>>,
}

#[derive(Clone)]
pub(super) struct Entry<V> {
    /// `None` = there is nothing.
    pub(super) value: Option<V>,
    /// When the question was put: what happened later is not in the answer.
    pub(super) asked: Instant,
    outage: bool,
}

struct Lives;

impl<K, V> Expiry<K, Entry<V>> for Lives {
    fn expire_after_create(&self, _: &K, entry: &Entry<V>, _: Instant) -> Option<Duration> {
        Some(match entry {
            Entry { outage: true, .. } => KEPT_IN_OUTAGE,
            Entry { value: Some(_), .. } => KEPT,
            Entry { value: None, .. } => KEPT_NOTHING,
        })
    }
}

impl<K, V> Remembered<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(super) fn new() -> Self {
        Self {
            fresh: Cache::builder().max_capacity(MOST).expire_after(Lives).build(),
            known: Cache::builder().max_capacity(MOST).time_to_live(KNOWN).build(),
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        self.fresh.invalidate_all();
        self.known.invalidate_all();
    }

    /// What is remembered of a key; else what `ask` answers. An entry that is `outdated` is not used.
    pub(super) async fn get<F>(
        &self,
        key: K,
        outdated: impl Fn(&Entry<V>) -> bool,
        ask: impl Fn() -> F,
    ) -> Result<Option<V>, DirectoryError>
    where
        F: Future<Output = Result<Option<V>, DirectoryError>>,
    {
        if let Some(entry) = self.fresh.get(&key).await {
            if !outdated(&entry) {
                return Ok(entry.value);
            }
            self.fresh.invalidate(&key).await;
        }
        let load = async {
            let asked = Instant::now();
            let known = self.known.get(&key).await.filter(|entry| !outdated(entry));
            let answer = match known {
                None => ask().await,
                Some(entry) => match within(KNOWN_PATIENCE, ask()).await {
                    Some(answer) => answer,
                    None => return Ok(Entry { outage: true, ..entry }),
                },
            };
            match answer {
                Ok(value) => {
                    let entry = Entry { value, asked, outage: false };
                    if entry.value.is_some() {
                        self.known.insert(key.clone(), entry.clone()).await;
                    } else {
                        self.known.invalidate(&key).await;
                    }
                    Ok(entry)
                }
                Err(error) if error.is_outage() => match self.known.get(&key).await {
                    Some(entry) if !outdated(&entry) => Ok(Entry { outage: true, ..entry }),
                    _ => Err(error),
                },
                Err(error) => Err(error),
            }
        };
        let entry = self.fresh.try_get_with(key.clone(), load).await.map_err(|error| (*error).clone())?;
        // Another caller's question, put before what outdated it.
        if outdated(&entry) {
            self.fresh.invalidate(&key).await;
            return ask().await;
        }
        Ok(entry.value)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_key_is_asked_for_once_however_many_want_it() {
        let (remembered, asked) = (Remembered::<u8, u8>::new(), AtomicUsize::new(0));
        let ask = || async {
            asked.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(30)).await;
            Ok(Some(7))
        };
        let all = futures_of(50, || remembered.get(1, |_| false, ask)).await;
        assert!(all.into_iter().all(|it| it.unwrap() == Some(7)));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn an_error_is_not_kept_and_an_outage_does_not_forget() {
        let remembered = Remembered::<u8, u8>::new();
        let away = || async { Err(DirectoryError::Away { reason: "gone".to_owned() }) };
        assert!(remembered.get(1, |_| false, away).await.is_err());
        assert_eq!(remembered.get(1, |_| false, || async { Ok(Some(7)) }).await.unwrap(), Some(7));
        remembered.fresh.invalidate(&1).await;
        assert_eq!(remembered.get(1, |_| false, away).await.unwrap(), Some(7), "from before the outage");
        assert!(remembered.get(1, |_| true, away).await.is_err(), "but not what was taken back meanwhile");
    }

    async fn futures_of<F: Future>(count: usize, make: impl Fn() -> F) -> Vec<F::Output> {
        let mut all: Vec<_> = (0..count).map(|_| Box::pin(make())).collect();
        let mut done = Vec::new();
        std::future::poll_fn(|context| {
            all.retain_mut(|it| match it.as_mut().poll(context) {
                std::task::Poll::Ready(output) => {
                    done.push(output);
                    false
                }
                std::task::Poll::Pending => true,
            });
            if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        done
    }
}
