//! What a tenant used, day by day.

use paywall_domain::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::DailyUsage;

/// A tenant's counters by day, oldest first. Days on which nothing was counted are absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TenantUsage {
    /// Whose.
    pub tenant_id: TenantId,
    /// The days.
    pub days: Vec<DailyUsage>,
}

/// Which days to list; at most 400 in one answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UsageQuery {
    /// The first day, inclusive; 90 days before `to` without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// The end, exclusive; now without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}
