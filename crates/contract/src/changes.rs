//! The feed to mirror from.

use paywall_domain::{Plan, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{Tenant, TimelineEntry};

/// One thing in its present state.
///
/// The feed is compacted: a thing that changed twice comes once, at the place of its latest change.
/// Read from the start it delivers everything that exists; read on from a cursor, what changed since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum ChangeRecord {
    /// A plan.
    Plan(Plan),
    /// A tenant.
    Tenant(Box<Tenant>),
    /// An entry of a timeline; an adjustment comes again when it is undone.
    Entry(Box<TimelineEntry>),
}

/// A page of the feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangesPage {
    /// In the order of change.
    pub changes: Vec<ChangeRecord>,
    /// Pass as `after` to read on, now or later. Always present. Opaque.
    pub cursor: String,
    /// Whether there is more right now.
    pub has_more: bool,
    /// About how many changes lie after this page, for a progress bar.
    pub remaining: i64,
    /// The server's clock when the page was made.
    pub now: Timestamp,
    /// The id of the server's database; a mirror of another one starts over.
    pub instance: String,
}

/// Where to read on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ChangesQuery {
    /// `cursor` of the page before; from the start without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Changes per page, 1 to 1,000; 500 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// For how many seconds to wait for a change where there is none yet, 0 to 25; without it the answer comes at
    /// once. A page without changes is what there is when they are over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 0, maximum = 25)]
    pub wait: Option<u32>,
}
