//! A tenant's own limit for one meter.

use serde::{Deserialize, Serialize};

use crate::{Limit, Timestamp};

/// A tenant's own limit for one meter, in place of its plan's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub struct Override {
    /// The limit while this is in force; `null` = no limit.
    pub limit: Limit,
    /// The instant from which the plan's limit holds again; `null` = until removed.
    pub expires_at: Option<Timestamp>,
    /// Why, as the person who set it wrote it.
    pub reason: String,
}

impl Override {
    /// Whether this sets the limit at `now`. It ends at its instant.
    pub fn in_force(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}
