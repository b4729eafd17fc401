//! A tenant's status: one word, derived, never stored as the truth.

use serde::{Deserialize, Serialize};

use crate::{SubscriptionStatus, TenantFacts, Timestamp};

/// A tenant's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum Status {
    /// A free trial runs.
    Trial,
    /// Paid for, or comped.
    Active,
    /// A payment is overdue; access stays during the grace period.
    PastDue,
    /// Neither trial nor subscription nor comp.
    Expired,
    /// Stopped by staff.
    Suspended,
}

impl Status {
    /// Every status, in the order of the tabs.
    pub const ALL: [Self; 5] = [Self::Trial, Self::Active, Self::PastDue, Self::Expired, Self::Suspended];

    /// The word for this status on the wire and in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trial => "trial",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Expired => "expired",
            Self::Suspended => "suspended",
        }
    }

    /// The status of that word, if there is one.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// The status at `now`. Precedence: suspended, comp in force, subscription that gives access
/// (overdue ones within grace are `past_due`), trial running, else expired.
pub fn status(facts: &TenantFacts, now: Timestamp) -> Status {
    if facts.suspension.is_some() {
        return Status::Suspended;
    }
    if facts.comp.as_ref().is_some_and(|comp| comp.in_force(now)) {
        return Status::Active;
    }
    if let Some(subscription) = facts.subscription.as_ref().filter(|it| it.gives_access(now)) {
        return match subscription.status {
            SubscriptionStatus::PastDue => Status::PastDue,
            SubscriptionStatus::Trialing => Status::Trial,
            _ => Status::Active,
        };
    }
    if facts.trial.as_ref().is_some_and(|trial| trial.running(now)) {
        return Status::Trial;
    }
    Status::Expired
}
