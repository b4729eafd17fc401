//! How old what is shown is.

use paywall_contract::ServerHealth;
use paywall_domain::Timestamp;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::Failure;

/// Where data comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum Source {
    /// The paywall server.
    Server,
    /// Stripe.
    Stripe,
}

/// What a source is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum SourceState {
    /// No credentials for it.
    NotConfigured,
    /// Nothing of it has arrived completely yet.
    Never,
    /// Reached, and its data is complete.
    Current,
    /// The last try failed; what is shown is the copy.
    Failing,
}

/// How far a pass is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct Progress {
    /// The list that is read, such as `tenants` or `invoices`.
    pub stream: String,
    /// Rows read in this pass.
    pub done: i64,
    /// About how many there are; `null` = not known.
    pub total: Option<i64>,
}

/// A list that a source does not give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct MissingStream {
    /// Which list.
    pub stream: String,
    /// Why: a permission, or the list is not offered.
    pub failure: Failure,
}

/// Where a version was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum VersionSeenIn {
    /// In events, whose content is in the version of the account's own setting. Nothing is read of it but which
    /// object it is about.
    Events,
    /// In answers, though another version was asked for.
    Answers,
}

/// A version of Stripe's API, other than the one that this console reads, that something came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct OtherVersion {
    /// Such as `2025-03-31.basil`.
    pub version: String,
    /// In what.
    pub seen_in: VersionSeenIn,
    /// The latest event's id, or the request's.
    pub example: String,
    /// When that was.
    pub at: Timestamp,
}

/// One source's age and health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct SourceFreshness {
    /// Which.
    pub source: Source,
    /// What it is doing.
    pub state: SourceState,
    /// The instant for which its data is complete; `null` = never yet.
    pub as_of: Option<Timestamp>,
    /// Since when it has not been reached; `null` = it is.
    pub failing_since: Option<Timestamp>,
    /// Why the last try failed.
    pub failure: Option<Failure>,
    /// When it is tried next.
    pub next_try_at: Option<Timestamp>,
    /// What it is reading now; `null` = nothing.
    pub progress: Option<Progress>,
    /// Lists that it does not give.
    pub missing: Vec<MissingStream>,
    /// Objects that could not be read and were left out, with their ids; the first 20.
    pub unreadable: Vec<String>,
    /// How many there are of them in all.
    pub unreadable_total: i64,
    /// Versions of its API, other than the one that this console reads, that something came in.
    pub versions: Vec<OtherVersion>,
}

/// How old what is shown is, by source and in all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct Freshness {
    /// Each source.
    pub sources: Vec<SourceFreshness>,
    /// The oldest `as_of` among the configured sources; `null` = one never arrived.
    pub as_of: Option<Timestamp>,
    /// Whether our own requests to the server have failed for 5 s or more.
    pub offline: bool,
    /// How often the sources are asked, in milliseconds.
    pub interval_ms: i64,
    /// This machine's clock minus the server's, in milliseconds; `null` = not measured.
    pub clock_skew_ms: Option<i64>,
    /// How the paywall server last said that it is, at its own `now`; `null` = it has not, or is too old to say.
    pub health: Option<ServerHealth>,
    /// The server's clock as far as it is known; else this machine's.
    pub now: Timestamp,
}
