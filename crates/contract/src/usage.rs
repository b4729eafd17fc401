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

/// What a tenant used on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TenantDay {
    /// Whose.
    pub tenant_id: TenantId,
    /// The day, and what was counted on it.
    #[serde(flatten)]
    pub usage: DailyUsage,
}

/// A page of days, of whichever tenants. A tenant's days come again when one of them changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageDaysPage {
    /// By tenant, in the order in which tenants last changed; the days of one, oldest first.
    pub days: Vec<TenantDay>,
    /// Pass as `after` to read on, now or later. Always present. Opaque.
    pub cursor: String,
    /// Whether there is more right now.
    pub has_more: bool,
    /// The server's clock when the page was made.
    pub now: Timestamp,
    /// The id of the server's database; a mirror of another one starts over.
    pub instance: String,
}

/// Where to read days on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UsageDaysQuery {
    /// `cursor` of the page before; from the start without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The first day, inclusive: days before it are left out, whether they changed or not. All without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Days per page, 1 to 5,000; 1,000 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 5000)]
    pub limit: Option<u32>,
}
