//! How far the mirror is, and how it fares.

use std::collections::BTreeMap;

use paywall_domain::Timestamp;
use serde::{Deserialize, Serialize};

use super::MirrorError;
use crate::directory::Stream;

/// How far the mirror is. It is written with the page that it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Progress {
    /// The `update_time` up to which each table was read, by RAGFlow's clocks.
    #[serde(default)]
    pub(super) read: BTreeMap<Stream, i64>,
    /// When everything was last compared, by the paywall's clock.
    #[serde(default)]
    pub(super) compared_at: Option<Timestamp>,
    /// The comparison that runs.
    #[serde(default)]
    pub(super) comparing: Option<Comparing>,
    /// Deletions that the last comparison did not take for such.
    #[serde(default)]
    pub(super) doubted: Option<Doubted>,
}

/// Deletions that are too many to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Doubted {
    pub(super) missing: usize,
    pub(super) known: usize,
}

/// A comparison that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Comparing {
    /// When it began, by the paywall's clock.
    pub(super) since: Timestamp,
    /// Where the tables stood then: what is written later is read after it.
    pub(super) read: BTreeMap<Stream, i64>,
    /// The id of the last tenant compared.
    pub(super) after: String,
}

/// How fresh the mirror is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Freshness {
    /// When RAGFlow was last read without an error.
    pub last_success_at: Option<Timestamp>,
    /// When every tenant was last compared, deleted ones included.
    pub compared_at: Option<Timestamp>,
    /// Why it fails; `None` while it does not.
    pub failure: Option<MirrorFailure>,
}

/// Why the mirror fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirrorFailure {
    /// A word that stays.
    pub code: String,
    /// In English.
    pub reason: String,
    /// What to do about it, in English.
    pub remedy: String,
    /// Since when.
    pub since: Timestamp,
}

impl Freshness {
    /// After a pass that succeeded.
    pub(super) fn succeeded(&mut self, now: Timestamp, compared_at: Option<Timestamp>) {
        *self = Self { last_success_at: Some(now), compared_at: compared_at.or(self.compared_at), failure: None };
    }

    /// After a pass that failed; answers whether that is news.
    pub(super) fn failed(&mut self, now: Timestamp, error: &MirrorError) -> bool {
        let before = self.failure.take();
        if matches!(error, MirrorError::MassDeletion { .. }) {
            // All else was read.
            self.last_success_at = Some(now);
        }
        let (code, reason, remedy) = (error.code().to_owned(), error.to_string(), error.remedy());
        let since = before.as_ref().map_or(now, |it| it.since);
        let news = before.is_none_or(|it| it.code != code);
        self.failure = Some(MirrorFailure { code, reason, remedy, since });
        news
    }
}
