//! May this tenant do this now? The answer carries every rule that denies.

use serde::{Deserialize, Serialize};

use crate::{Meter, Plan, SubscriptionStatus, TenantFacts, Timestamp, Usage, readings};

/// A kind of work that a tenant asks `RAGFlow` for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum Operation {
    /// Ask: chat, agent, search with an answer.
    Generate,
    /// Retrieve passages without an answer.
    Retrieve,
    /// Upload documents.
    Upload,
    /// Parse or index documents.
    Parse,
    /// Create a dataset.
    Create,
    /// Invite a member.
    Invite,
}

impl Operation {
    /// Every operation, in the order in which a person reads them.
    pub const ALL: [Self; 6] = [Self::Generate, Self::Retrieve, Self::Upload, Self::Parse, Self::Create, Self::Invite];

    /// The meters whose exhaustion denies this operation.
    pub fn meters(self) -> &'static [Meter] {
        match self {
            Self::Generate => &[Meter::Messages, Meter::Tokens, Meter::ApiRequests],
            Self::Retrieve => &[Meter::ApiRequests],
            Self::Upload => &[Meter::Documents, Meter::StorageBytes],
            Self::Parse => &[Meter::Tokens],
            Self::Create => &[Meter::Datasets],
            Self::Invite => &[Meter::Seats],
        }
    }
}

/// The stable word for a rule that denies. Shared by the server, the console and the docs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum DenyCode {
    /// The trial is over and nothing replaced it.
    TrialEnded,
    /// The subscription is over or paused.
    SubscriptionEnded,
    /// A payment is overdue beyond the grace period.
    PaymentOverdue,
    /// Stopped by staff.
    Suspended,
    /// A meter is at its limit.
    QuotaExhausted,
    /// Nobody by that id.
    UnknownTenant,
    /// The paywall cannot tell.
    PaywallUnavailable,
}

impl DenyCode {
    /// Every code, in the order in which they are declared.
    pub const ALL: [Self; 7] = [
        Self::TrialEnded,
        Self::SubscriptionEnded,
        Self::PaymentOverdue,
        Self::Suspended,
        Self::QuotaExhausted,
        Self::UnknownTenant,
        Self::PaywallUnavailable,
    ];

    /// The word for this code on the wire, in headers and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TrialEnded => "trial_ended",
            Self::SubscriptionEnded => "subscription_ended",
            Self::PaymentOverdue => "payment_overdue",
            Self::Suspended => "suspended",
            Self::QuotaExhausted => "quota_exhausted",
            Self::UnknownTenant => "unknown_tenant",
            Self::PaywallUnavailable => "paywall_unavailable",
        }
    }
}

/// One rule that denies, with the facts that a person needs to see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum Denial {
    /// Stopped by staff.
    Suspended {
        /// Since when.
        since: Timestamp,
        /// Who did it.
        by: String,
        /// Why, for staff only.
        reason: String,
        /// What the customer is told.
        message: Option<String>,
    },
    /// A payment is overdue beyond the grace period.
    PaymentOverdue {
        /// Since when it is overdue; `null` = unknown.
        since: Option<Timestamp>,
        /// When access ended; `null` = unknown.
        grace_ended_at: Option<Timestamp>,
    },
    /// The subscription is over or paused.
    SubscriptionEnded {
        /// When; `null` = unknown.
        ended_at: Option<Timestamp>,
    },
    /// The trial is over and nothing replaced it.
    TrialEnded {
        /// When; `null` where it never had a trial.
        ended_at: Option<Timestamp>,
    },
    /// A meter is at its limit.
    QuotaExhausted {
        /// Which meter.
        meter: Meter,
        /// How much is used.
        used: i64,
        /// The limit in force.
        limit: i64,
        /// When a counter restarts; `null` for a gauge.
        resets_at: Option<Timestamp>,
    },
    /// Nobody by that id.
    UnknownTenant,
    /// The paywall cannot tell.
    PaywallUnavailable,
}

impl Denial {
    /// The rule's stable word.
    pub fn code(&self) -> DenyCode {
        match self {
            Self::Suspended { .. } => DenyCode::Suspended,
            Self::PaymentOverdue { .. } => DenyCode::PaymentOverdue,
            Self::SubscriptionEnded { .. } => DenyCode::SubscriptionEnded,
            Self::TrialEnded { .. } => DenyCode::TrialEnded,
            Self::QuotaExhausted { .. } => DenyCode::QuotaExhausted,
            Self::UnknownTenant => DenyCode::UnknownTenant,
            Self::PaywallUnavailable => DenyCode::PaywallUnavailable,
        }
    }

    /// Since when this rule denies, where that is known.
    pub fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Suspended { since, .. } => Some(*since),
            Self::PaymentOverdue { grace_ended_at, .. } => *grace_ended_at,
            Self::SubscriptionEnded { ended_at } | Self::TrialEnded { ended_at } => *ended_at,
            Self::QuotaExhausted { .. } | Self::UnknownTenant | Self::PaywallUnavailable => None,
        }
    }
}

/// The answer to "may this tenant do this now?".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub struct Decision {
    /// Every rule that denies, in the order in which they are checked. Empty means allowed.
    pub denials: Vec<Denial>,
}

impl Decision {
    /// Whether the tenant may.
    pub fn allowed(&self) -> bool {
        self.denials.is_empty()
    }
}

/// Rules that shut a tenant out of every operation, in order. Suspension does not hide what would
/// still block once it is lifted.
pub(crate) fn standing_denials(facts: &TenantFacts, now: Timestamp) -> Vec<Denial> {
    let mut denials = Vec::new();
    if let Some(suspension) = &facts.suspension {
        denials.push(Denial::Suspended {
            since: suspension.since,
            by: suspension.by.clone(),
            reason: suspension.reason.clone(),
            message: suspension.message.clone(),
        });
    }
    let comped = facts.comp.as_ref().is_some_and(|comp| comp.in_force(now));
    let subscribed = facts.subscription.as_ref().is_some_and(|it| it.gives_access(now));
    let trying = facts.trial.as_ref().is_some_and(|trial| trial.running(now));
    if !(comped || subscribed || trying) {
        denials.push(lapse(facts, now));
    }
    denials
}

/// Why nothing gives access: what the tenant had last, and lost. A comp that ran out after that is
/// no reason by itself, since it only covered the lapse.
fn lapse(facts: &TenantFacts, now: Timestamp) -> Denial {
    let trial_ended = Denial::TrialEnded { ended_at: facts.trial.as_ref().map(|trial| trial.ends_at) };
    let Some(subscription) = &facts.subscription else { return trial_ended };
    match subscription.status {
        SubscriptionStatus::PastDue | SubscriptionStatus::Unpaid => Denial::PaymentOverdue {
            since: subscription.overdue_since,
            grace_ended_at: subscription.grace_ends_at.filter(|end| *end <= now).or(subscription.ended_at),
        },
        SubscriptionStatus::Canceled | SubscriptionStatus::Paused => {
            // An extension granted after the subscription ended, and since run out, is what the
            // customer had last.
            let trial_end = facts.trial.as_ref().map(|trial| trial.ends_at);
            match (trial_end, subscription.ended_at) {
                (Some(trial), Some(ended)) if trial > ended => trial_ended,
                _ => Denial::SubscriptionEnded { ended_at: subscription.ended_at },
            }
        }
        SubscriptionStatus::Incomplete
        | SubscriptionStatus::IncompleteExpired
        | SubscriptionStatus::Active
        | SubscriptionStatus::Trialing => trial_ended,
    }
}

/// Decides whether the tenant may do `operation` at `now`. `plan` is the plan in force
/// ([`TenantFacts::plan_in_force`]). Every rule that denies is reported, so that lifting the first
/// brings no surprise.
pub fn decide(facts: &TenantFacts, plan: &Plan, usage: &Usage, operation: Operation, now: Timestamp) -> Decision {
    let mut denials = standing_denials(facts, now);
    denials.extend(
        readings(facts, plan, usage, now)
            .into_iter()
            .filter(|reading| operation.meters().contains(&reading.meter))
            .filter_map(|reading| quota_denial(&reading)),
    );
    Decision { denials }
}

/// The denial of an exhausted meter.
pub(crate) fn quota_denial(reading: &crate::Reading) -> Option<Denial> {
    let (true, Some(used), Some(limit)) = (reading.exhausted, reading.used, Option::<i64>::from(reading.limit)) else {
        return None;
    };
    Some(Denial::QuotaExhausted { meter: reading.meter, used, limit, resets_at: reading.resets_at })
}
