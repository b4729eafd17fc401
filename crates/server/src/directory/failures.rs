//! How often `RAGFlow` could not be asked.

use std::sync::atomic::{AtomicU64, Ordering};

/// The codes of what can fail: those of [`DirectoryError`](super::DirectoryError), and what the mirror adds.
const CODES: [&str; 11] = [
    "ragflow_setting",
    "ragflow_database_away",
    "ragflow_database_slow",
    "ragflow_database_login",
    "ragflow_database_missing",
    "ragflow_database_permission",
    "ragflow_database_schema",
    "ragflow_unreadable",
    "ragflow_api_away",
    "ragflow_mass_deletion",
    "paywall_store",
];

/// Counts failures by their code.
#[derive(Debug, Default)]
pub(super) struct Failures([AtomicU64; CODES.len()]);

impl Failures {
    pub(super) fn count(&self, code: &'static str) {
        if let Some(place) = CODES.iter().position(|it| *it == code) {
            self.0[place].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Every code with how often it was the reason.
    pub(super) fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
        CODES.into_iter().zip(self.0.iter().map(|it| it.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::{DirectoryError, MirrorError};

    #[test]
    fn every_code_is_counted() {
        let reason = String::new;
        let errors = [
            DirectoryError::Setting { key: "", reason: reason() },
            DirectoryError::Away { reason: reason() },
            DirectoryError::Slow,
            DirectoryError::Login { reason: reason() },
            DirectoryError::NoDatabase { reason: reason() },
            DirectoryError::Permission { reason: reason(), grant: reason() },
            DirectoryError::Schema { reason: reason() },
            DirectoryError::Unreadable { reason: reason() },
            DirectoryError::ApiAway { reason: reason() },
        ];
        let failures = Failures::default();
        for error in &errors {
            failures.count(error.code());
        }
        failures.count(MirrorError::MassDeletion { missing: 1, known: 1 }.code());
        // The one of the mirror that takes a failed database to make.
        failures.count("paywall_store");
        assert!(failures.each().all(|(_, count)| count == 1), "{failures:?}");
    }
}
