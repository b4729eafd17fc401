//! A tenant and the facts that its status and decisions derive from.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Meter, Override, PlanId, Timestamp};

/// A tenant's id: `RAGFlow`'s own, 32 lower-case hexadecimal digits. It equals the id of the owner's
/// user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", schema(value_type = String, pattern = "^[0-9a-f]{32}$"))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts", type = "string"))]
pub struct TenantId(String);

/// The text is not 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a tenant id is 32 hexadecimal digits")]
pub struct TenantIdError;

impl TenantId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads an id; upper-case digits and the dashes of a UUID are accepted and normalised.
    pub fn parse(text: &str) -> Result<Self, TenantIdError> {
        let id: String = text.trim().chars().filter(|c| *c != '-').collect::<String>().to_ascii_lowercase();
        if id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) { Ok(Self(id)) } else { Err(TenantIdError) }
    }
}

impl TryFrom<String> for TenantId {
    type Error = TenantIdError;
    fn try_from(text: String) -> Result<Self, TenantIdError> {
        Self::parse(&text)
    }
}

impl From<TenantId> for String {
    fn from(id: TenantId) -> Self {
        id.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A tenant's free trial. It ends at its instant, not at a day's end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub struct Trial {
    /// When it began.
    pub started_at: Timestamp,
    /// The first instant at which it no longer runs.
    pub ends_at: Timestamp,
    /// How often it has been extended.
    pub extensions: u32,
    /// How much the extensions added in all, in milliseconds.
    pub extended_ms: i64,
}

impl Trial {
    /// Whether it runs at `now`.
    pub fn running(&self, now: Timestamp) -> bool {
        now < self.ends_at
    }
}

/// A plan given for free, for a while or for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub struct Comp {
    /// The plan whose limits hold meanwhile.
    pub plan: PlanId,
    /// Since when.
    pub since: Timestamp,
    /// The first instant at which it no longer holds; `null` = no end.
    pub until: Option<Timestamp>,
}

impl Comp {
    /// Whether it holds at `now`.
    pub fn in_force(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|end| now < end)
    }
}

/// All access stopped by staff. Data is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub struct Suspension {
    /// Since when.
    pub since: Timestamp,
    /// Who did it.
    pub by: String,
    /// Why, for staff only.
    pub reason: String,
    /// What the customer is told, if anything.
    pub message: Option<String>,
}

/// A Stripe subscription's status, in Stripe's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum SubscriptionStatus {
    /// First payment not made yet.
    Incomplete,
    /// First payment not made in time; it never started.
    IncompleteExpired,
    /// On a trial that Stripe runs.
    Trialing,
    /// Paid.
    Active,
    /// A renewal was not paid; Stripe still tries.
    PastDue,
    /// Stripe gave up trying.
    Unpaid,
    /// Over.
    Canceled,
    /// Stopped, nothing is invoiced.
    Paused,
}

impl SubscriptionStatus {
    /// Every status, in the order in which they are declared.
    pub const ALL: [Self; 8] = [
        Self::Incomplete,
        Self::IncompleteExpired,
        Self::Trialing,
        Self::Active,
        Self::PastDue,
        Self::Unpaid,
        Self::Canceled,
        Self::Paused,
    ];

    /// Stripe's word for this status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::IncompleteExpired => "incomplete_expired",
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Unpaid => "unpaid",
            Self::Canceled => "canceled",
            Self::Paused => "paused",
        }
    }

    /// The status of that word, if there is one.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// What the paywall knows of a tenant's Stripe subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub struct Subscription {
    /// `sub_…`
    pub id: String,
    /// In Stripe's words.
    pub status: SubscriptionStatus,
    /// Until when the running period is paid.
    pub current_period_end: Option<Timestamp>,
    /// Since when a payment is overdue; set while `past_due` or `unpaid`.
    pub overdue_since: Option<Timestamp>,
    /// Until when access stays although a payment is overdue; set while `past_due`.
    pub grace_ends_at: Option<Timestamp>,
    /// When it ended, or was paused.
    pub ended_at: Option<Timestamp>,
    /// Whether it ends with the running period.
    pub cancel_at_period_end: bool,
}

impl Subscription {
    /// Whether it gives access at `now`: paid, or overdue within its grace period.
    pub fn gives_access(&self, now: Timestamp) -> bool {
        match self.status {
            SubscriptionStatus::Active | SubscriptionStatus::Trialing => true,
            SubscriptionStatus::PastDue => self.grace_ends_at.is_none_or(|end| now < end),
            SubscriptionStatus::Incomplete
            | SubscriptionStatus::IncompleteExpired
            | SubscriptionStatus::Unpaid
            | SubscriptionStatus::Canceled
            | SubscriptionStatus::Paused => false,
        }
    }
}

/// What a tenant's status and decisions derive from: everything that staff and billing can change,
/// and nothing that passes by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub struct TenantFacts {
    /// The plan that it tries or pays for.
    pub plan: PlanId,
    /// `null` where it never had one.
    pub trial: Option<Trial>,
    /// A comp, also one that has run out.
    pub comp: Option<Comp>,
    /// Present while suspended.
    pub suspension: Option<Suspension>,
    /// The latest subscription, also one that is over.
    pub subscription: Option<Subscription>,
    /// Overrides by meter, also ones that have run out.
    pub overrides: BTreeMap<Meter, Override>,
}

impl TenantFacts {
    /// The plan whose limits hold at `now`: the comp's while it is in force.
    pub fn plan_in_force(&self, now: Timestamp) -> &PlanId {
        self.comp.as_ref().filter(|comp| comp.in_force(now)).map_or(&self.plan, |comp| &comp.plan)
    }
}
