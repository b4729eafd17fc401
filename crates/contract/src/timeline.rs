//! What happened to a tenant.

use paywall_domain::{DenyCode, PlanId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::{IntoParams, ToSchema};

use crate::Adjustment;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum TimelineBody {
    /// Staff changed something.
    Adjustment {
        /// What.
        adjustment: Box<Adjustment>,
    },
    /// The trial began, at sign-up.
    TrialStarted {
        /// Of which plan.
        plan: PlanId,
        /// When it was to end.
        ends_at: Timestamp,
    },
    /// The trial's end passed.
    TrialEnded,
    /// A comp's end passed.
    CompEnded {
        /// Of which plan.
        plan: PlanId,
    },
    /// The grace period of an overdue payment passed.
    GraceEnded,
    /// A subscription began.
    SubscriptionStarted {
        /// Of which plan.
        plan: PlanId,
        /// `sub_…`
        subscription: String,
    },
    /// A subscription ended.
    SubscriptionEnded {
        /// `sub_…`
        subscription: String,
    },
    /// A payment failed.
    PaymentFailed {
        /// `in_…`
        invoice: String,
        /// Minor units of `currency`.
        amount: i64,
        /// ISO 4217, lower case.
        currency: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// The first refusal of a kind since the last one was lifted.
    Blocked {
        /// The rule.
        code: DenyCode,
    },
}

/// One entry of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct TimelineEntry {
    /// Unique; for an adjustment, its id.
    pub id: String,
    /// Whose timeline.
    pub tenant_id: TenantId,
    /// The tenant's name when the entry was read.
    pub tenant_name: String,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub body: TimelineBody,
}

/// Which entries to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TimelineQuery {
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Rows per page, 1 to 500; 50 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
}
