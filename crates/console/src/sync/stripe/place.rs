//! Where in a list to read on: what the copy's cursor of a Stripe list holds.

use paywall_domain::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cache::StreamState;
use crate::ipc::Failure;

/// Where in a list to read on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub(super) enum Place {
    /// It is read for the first time, or again, from one end to the other: how far its windows are is theirs.
    Backfill {
        /// When its first page was asked for; `None` = it was not yet.
        #[serde(default)]
        began: Option<Timestamp>,
        /// What answers cannot narrow the list by time, so that it is read in one window.
        #[serde(default)]
        whole: bool,
        /// There were objects before, some of which may be gone.
        #[serde(default)]
        sweep: bool,
    },
    /// It is complete.
    Current {
        /// The latest `created` seen, in Unix seconds.
        newest: i64,
    },
}

impl Place {
    /// The beginning.
    pub(super) const START: Self = Self::Backfill { began: None, whole: false, sweep: false };

    /// The place that the copy knows; one that it cannot read is the beginning.
    pub(super) fn of(state: &StreamState) -> Self {
        let cursor = state.cursor.clone();
        cursor.and_then(|cursor| serde_json::from_value(cursor).ok()).unwrap_or(Self::START)
    }

    pub(super) fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }
}

/// Whether there are events to follow.
pub(super) enum Events {
    /// From this `created` on, in Unix seconds.
    Since(i64),
    /// The copy is older than they reach back.
    TooOld,
    /// Stripe does not give them.
    NotGiven(Failure),
}
