//! When `RAGFlow`'s API last answered, and since when it does not.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use paywall_domain::Timestamp;

use super::{DirectoryError, Freshness, MirrorFailure};

/// What was heard of `RAGFlow`'s API. It is asked where a caller comes that nobody remembers, and else never.
#[derive(Debug, Default)]
pub(super) struct Contact(Mutex<Heard>);

#[derive(Debug, Default)]
struct Heard {
    answered: Option<Instant>,
    failing: Option<(Instant, DirectoryError)>,
}

impl Contact {
    /// Notes how asking it went.
    pub(super) fn note(&self, error: Option<&DirectoryError>) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            None => *heard = Heard { answered: Some(Instant::now()), failing: None },
            Some(error) => {
                let since = heard.failing.take().map_or_else(Instant::now, |(since, _)| since);
                heard.failing = Some((since, error.clone()));
            }
        }
    }

    /// The same by a clock that stands at `now`.
    pub(super) fn freshness(&self, now: Timestamp) -> Freshness {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = |it: Instant| now.plus_ms(-i64::try_from(it.elapsed().as_millis()).unwrap_or(i64::MAX));
        Freshness {
            last_success_at: heard.answered.map(at),
            compared_at: None,
            failure: heard.failing.as_ref().map(|(since, error)| MirrorFailure {
                code: error.code().to_owned(),
                reason: error.to_string(),
                remedy: error.remedy(),
                since: at(*since),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_failure_lasts_from_its_first_word_until_an_answer() {
        let (contact, now) = (Contact::default(), Timestamp(1_000_000));
        assert_eq!(contact.freshness(now), Freshness::default());
        contact.note(None);
        assert!(contact.freshness(now).last_success_at.is_some_and(|at| now.ms_since(at) < 60_000));
        let away = DirectoryError::ApiAway { reason: "refused".to_owned() };
        contact.note(Some(&away));
        let first = contact.freshness(now).failure.unwrap();
        std::thread::sleep(std::time::Duration::from_millis(5));
        contact.note(Some(&DirectoryError::Unreadable { reason: "odd".to_owned() }));
        let fresh = contact.freshness(now);
        let later = fresh.failure.unwrap();
        assert_eq!((first.code.as_str(), later.code.as_str()), ("ragflow_api_away", "ragflow_unreadable"));
        assert!(later.since < first.since, "the same instant is further back by now");
        assert!(fresh.last_success_at.is_some());
        contact.note(None);
        assert_eq!(contact.freshness(now).failure, None);
    }
}
