//! A tenant's access as a whole: what it may do, what it may not, and why.

use serde::{Deserialize, Serialize};

use crate::decision::{quota_denial, standing_denials};
use crate::{
    Denial, Operation, Plan, Status, SubscriptionStatus, TenantFacts, Timestamp, Usage, decide, readings, status,
};

/// How much of the product a tenant can use now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum AccessLevel {
    /// Everything.
    Full,
    /// Everything for now: a payment is overdue and the grace period runs.
    Grace,
    /// Some operations are denied by quotas, the rest works.
    Partial,
    /// Nothing.
    Locked,
}

impl AccessLevel {
    /// The word for this level on the wire and in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Grace => "grace",
            Self::Partial => "partial",
            Self::Locked => "locked",
        }
    }
}

/// The facts of a verdict: who is blocked from what, since when, by which rules. The sentence is made
/// from these at the edge, in the reader's language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub struct Access {
    /// How much works.
    pub level: AccessLevel,
    /// Operations that are denied now.
    pub denied: Vec<Operation>,
    /// Every rule that denies something, in the order in which they are checked.
    pub denials: Vec<Denial>,
    /// Since when the tenant is locked out; `null` when it is not, or when that is unknown.
    pub since: Option<Timestamp>,
    /// The first instant at which time alone may change this answer; `null` = never. Until it, a stored
    /// copy holds; from it on, ask again.
    pub holds_until: Option<Timestamp>,
}

/// Access as a whole at `now`: [`decide`] over every operation. `plan` is the plan in force.
pub fn assess(facts: &TenantFacts, plan: &Plan, usage: &Usage, now: Timestamp) -> Access {
    let denied: Vec<Operation> =
        Operation::ALL.into_iter().filter(|operation| !decide(facts, plan, usage, *operation, now).allowed()).collect();
    let mut denials = standing_denials(facts, now);
    let locked = !denials.is_empty();
    denials.extend(readings(facts, plan, usage, now).iter().filter_map(quota_denial));
    let level = if locked || denied.len() == Operation::ALL.len() {
        AccessLevel::Locked
    } else if !denied.is_empty() {
        AccessLevel::Partial
    } else if status(facts, now) == Status::PastDue {
        AccessLevel::Grace
    } else {
        AccessLevel::Full
    };
    Access {
        level,
        denied,
        since: locked_since(facts, &denials, now),
        denials,
        holds_until: holds_until(facts, usage, now),
    }
}

/// Since when the tenant is locked out. The rule that is named is what it had last and lost; a comp
/// or a trial may have covered for that a while longer, and until then it had access.
fn locked_since(facts: &TenantFacts, denials: &[Denial], now: Timestamp) -> Option<Timestamp> {
    let trial = facts.trial.as_ref().map(|it| it.ends_at);
    let comp = facts.comp.as_ref().and_then(|it| it.until);
    let covered = [trial, comp].into_iter().flatten().filter(|end| *end <= now).max();
    denials
        .iter()
        .filter_map(|denial| match denial {
            Denial::TrialEnded { .. } => denial.since().max(covered),
            Denial::SubscriptionEnded { .. } | Denial::PaymentOverdue { .. } => {
                denial.since().map(|lost| covered.map_or(lost, |end| lost.max(end)))
            }
            _ => denial.since(),
        })
        .min()
}

/// Since when the rules shut the tenant out: the earliest known start among them.
pub fn blocking_since(denials: &[Denial]) -> Option<Timestamp> {
    denials.iter().filter_map(Denial::since).min()
}

/// The first instant after `now` at which a trial, comp, grace period, override or counting period
/// ends. Until then time alone changes neither the status nor a decision; from then on it may.
pub fn holds_until(facts: &TenantFacts, usage: &Usage, now: Timestamp) -> Option<Timestamp> {
    let trial = facts.trial.as_ref().map(|it| it.ends_at);
    let comp = facts.comp.as_ref().and_then(|it| it.until);
    let grace = facts
        .subscription
        .as_ref()
        .filter(|it| matches!(it.status, SubscriptionStatus::PastDue | SubscriptionStatus::Unpaid))
        .and_then(|it| it.grace_ends_at);
    let overrides = facts.overrides.values().map(|it| it.expires_at);
    [trial, comp, grace, usage.resets_at].into_iter().chain(overrides).flatten().filter(|instant| *instant > now).min()
}
