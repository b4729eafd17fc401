//! Tenants brought in from elsewhere: `paywall-server import` reads one [`IntakeRecord`] per line.
//!
//! It is the way to move an installed base onto the paywall without database access to `RAGFlow`, and
//! the way by which the sample world enters a server.

use std::collections::BTreeMap;

use paywall_domain::{Meter, Plan, TenantFacts, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Member, Refusal, TimelineBody};

/// What was used on one day, by counter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DailyUsage {
    /// Midnight UTC at which the day begins.
    pub day: Timestamp,
    /// Amounts by counter; a counter that is absent counted nothing.
    pub amounts: BTreeMap<Meter, i64>,
}

/// An entry of the timeline that came before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineIntake {
    /// Unique within the tenant; bringing the same entry in again changes nothing.
    pub id: String,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub body: TimelineBody,
}

/// One tenant with everything known of it. Bringing the same one in again changes nothing; a newer
/// one replaces what the older one said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantIntake {
    /// `RAGFlow`'s tenant id.
    pub id: TenantId,
    /// Display name.
    pub name: String,
    /// The owner's e-mail address.
    pub email: String,
    /// When it was first seen.
    pub created_at: Timestamp,
    /// When it was deleted; absent = it exists.
    #[serde(default)]
    pub deleted_at: Option<Timestamp>,
    /// `cus_…`
    #[serde(default)]
    pub stripe_customer: Option<String>,
    /// What staff and billing set.
    pub facts: TenantFacts,
    /// Members, the owner first.
    #[serde(default)]
    pub members: Vec<Member>,
    /// Levels now by gauge; a gauge that is absent is unknown.
    #[serde(default)]
    pub gauges: BTreeMap<Meter, i64>,
    /// Counters by day. The running period's counters are sums of these over the period; a counter
    /// is unknown where this is `null`.
    #[serde(default)]
    pub usage: Option<Vec<DailyUsage>>,
    /// When the running period of the counters began and ends.
    #[serde(default)]
    pub period: Option<(Timestamp, Timestamp)>,
    /// When usage was measured.
    #[serde(default)]
    pub measured_at: Option<Timestamp>,
    /// The last request that costs something, allowed or refused.
    #[serde(default)]
    pub last_active_at: Option<Timestamp>,
    /// The last refused request.
    #[serde(default)]
    pub last_refusal: Option<Refusal>,
    /// What happened before.
    #[serde(default)]
    pub timeline: Vec<TimelineIntake>,
}

/// One line of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum IntakeRecord {
    /// A plan. Plans come before the tenants that name them.
    Plan(Plan),
    /// A tenant.
    Tenant(Box<TenantIntake>),
}
