//! Adjustments: what staff can change of a tenant, and how it is taken back.

use serde::{Deserialize, Serialize};

use crate::billing::{DriftKind, Repair};
use crate::{
    Comp, EXTENSION_DAYS_MAX, Limit, Meter, Override, PlanId, Suspension, TenantFacts, Timestamp, Trial, extended_end,
};

/// What a token, and so the person who holds it, may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum Role {
    /// Reads everything, changes nothing.
    Viewer,
    /// Helps customers: everything that gives access or takes it back.
    Support,
    /// Everything.
    Owner,
}

impl Role {
    /// The word for this role on the wire, in storage and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Support => "support",
            Self::Owner => "owner",
        }
    }

    /// The role of that word, if there is one.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Viewer, Self::Support, Self::Owner].into_iter().find(|role| role.as_str() == word)
    }
}

/// Days of 24 hours by which a trial is extended.
#[cfg(feature = "describe")]
#[derive(utoipa::ToSchema)]
#[schema(minimum = 1, maximum = 365)]
pub struct ExtensionDays(#[expect(dead_code, reason = "it is there to be described")] u32);

/// Where an extension leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum TrialTarget {
    /// So many days of 24 hours more: from the end of a running trial, from now for an ended one.
    #[cfg_attr(feature = "describe", schema(value_type = ExtensionDays))]
    Days(u32),
    /// Up to this instant, which must lie in the future and not before the end of a running trial.
    Until(Timestamp),
}

/// One change that staff can make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum Change {
    /// Give the trial more time.
    ExtendTrial {
        /// How much, or up to when.
        target: TrialTarget,
    },
    /// End the running trial now.
    EndTrial,
    /// Set a limit of the tenant's own for one meter.
    OverrideQuota {
        /// Which meter.
        meter: Meter,
        /// The new limit; `null` = no limit.
        limit: Limit,
        /// When the plan's limit holds again; `null` = until removed.
        expires_at: Option<Timestamp>,
    },
    /// Take an override away; the plan's limit holds again at once.
    RemoveOverride {
        /// Which meter.
        meter: Meter,
    },
    /// Give a plan for free.
    Comp {
        /// The plan whose limits hold meanwhile.
        plan: PlanId,
        /// Until when; `null` = no end.
        until: Option<Timestamp>,
    },
    /// Stop all access. Data is kept, Stripe is not touched.
    Suspend {
        /// What the customer is told, if anything.
        message: Option<String>,
    },
    /// Lift a suspension.
    Reinstate,
    /// Move to another plan's limits. Stripe is not touched.
    ChangePlan {
        /// The plan to move to.
        plan: PlanId,
    },
    /// Write something down; the reason is the note's text.
    Note,
    /// Put a difference between Stripe and the paywall right. It is made by repairing the drift, and by nothing else.
    RepairBilling {
        /// What differed.
        drift: DriftKind,
        /// What put it right.
        repair: Repair,
    },
}

/// The kind of a change, without its details.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum ChangeKind {
    /// See [`Change::ExtendTrial`].
    ExtendTrial,
    /// See [`Change::EndTrial`].
    EndTrial,
    /// See [`Change::OverrideQuota`].
    OverrideQuota,
    /// See [`Change::RemoveOverride`].
    RemoveOverride,
    /// See [`Change::Comp`].
    Comp,
    /// See [`Change::Suspend`].
    Suspend,
    /// See [`Change::Reinstate`].
    Reinstate,
    /// See [`Change::ChangePlan`].
    ChangePlan,
    /// See [`Change::Note`].
    Note,
    /// See [`Change::RepairBilling`].
    RepairBilling,
}

impl ChangeKind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::ExtendTrial,
        Self::EndTrial,
        Self::OverrideQuota,
        Self::RemoveOverride,
        Self::Comp,
        Self::Suspend,
        Self::Reinstate,
        Self::ChangePlan,
        Self::Note,
        Self::RepairBilling,
    ];

    /// The word for this kind on the wire and in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExtendTrial => "extend_trial",
            Self::EndTrial => "end_trial",
            Self::OverrideQuota => "override_quota",
            Self::RemoveOverride => "remove_override",
            Self::Comp => "comp",
            Self::Suspend => "suspend",
            Self::Reinstate => "reinstate",
            Self::ChangePlan => "change_plan",
            Self::Note => "note",
            Self::RepairBilling => "repair_billing",
        }
    }

    /// The least role that may make this change, or undo it. Taking a trial away early and moving a
    /// tenant to another plan are the owner's.
    pub fn role(self) -> Role {
        match self {
            Self::EndTrial | Self::ChangePlan => Role::Owner,
            _ => Role::Support,
        }
    }
}

/// The part of a tenant's facts that a change touches. Two changes can only stand on one another
/// when they touch the same part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Aspect {
    /// [`TenantFacts::trial`].
    Trial,
    /// One meter of [`TenantFacts::overrides`].
    Override(Meter),
    /// [`TenantFacts::comp`].
    Comp,
    /// [`TenantFacts::suspension`].
    Suspension,
    /// [`TenantFacts::plan`].
    Plan,
    /// What Stripe has a say in: subscription, plan and trial.
    Billing,
    /// Nothing: a note.
    Nothing,
}

impl Change {
    /// Its kind.
    pub fn kind(&self) -> ChangeKind {
        match self {
            Self::ExtendTrial { .. } => ChangeKind::ExtendTrial,
            Self::EndTrial => ChangeKind::EndTrial,
            Self::OverrideQuota { .. } => ChangeKind::OverrideQuota,
            Self::RemoveOverride { .. } => ChangeKind::RemoveOverride,
            Self::Comp { .. } => ChangeKind::Comp,
            Self::Suspend { .. } => ChangeKind::Suspend,
            Self::Reinstate => ChangeKind::Reinstate,
            Self::ChangePlan { .. } => ChangeKind::ChangePlan,
            Self::Note => ChangeKind::Note,
            Self::RepairBilling { .. } => ChangeKind::RepairBilling,
        }
    }

    /// The part of the facts that it touches.
    pub fn aspect(&self) -> Aspect {
        match self {
            Self::ExtendTrial { .. } | Self::EndTrial => Aspect::Trial,
            Self::OverrideQuota { meter, .. } | Self::RemoveOverride { meter } => Aspect::Override(*meter),
            Self::Comp { .. } => Aspect::Comp,
            Self::Suspend { .. } | Self::Reinstate => Aspect::Suspension,
            Self::ChangePlan { .. } => Aspect::Plan,
            Self::RepairBilling { repair: Repair::ApplyStripe, .. } => Aspect::Billing,
            Self::Note | Self::RepairBilling { .. } => Aspect::Nothing,
        }
    }

    /// Whether it was made in Stripe, where nothing here takes it back.
    pub fn in_stripe(&self) -> bool {
        matches!(self, Self::RepairBilling { repair, .. } if *repair != Repair::ApplyStripe)
    }
}

/// Why a change cannot be made as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "refusal", rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum AdjustmentError {
    /// Zero days, or more than [`EXTENSION_DAYS_MAX`].
    #[error("an extension is between 1 and {EXTENSION_DAYS_MAX} days")]
    DaysOutOfRange,
    /// The end asked for is in the past, or would shorten the running trial, or is too far away.
    #[error("the new end must be in the future, not before the current end, and within {EXTENSION_DAYS_MAX} days")]
    EndOutOfRange,
    /// There is no running trial to end.
    #[error("no trial is running")]
    NoTrialRunning,
    /// A limit below zero.
    #[error("a limit is zero or more, or no limit")]
    LimitOutOfRange,
    /// The expiry asked for is not in the future.
    #[error("the expiry must be in the future")]
    ExpiryInPast,
    /// There is no override of that meter.
    #[error("this meter has no override")]
    NoOverride,
    /// No such plan.
    #[error("there is no such plan")]
    UnknownPlan,
    /// It is suspended already.
    #[error("already suspended")]
    AlreadySuspended,
    /// It is not suspended.
    #[error("not suspended")]
    NotSuspended,
    /// It is on that plan already.
    #[error("already on this plan")]
    SamePlan,
    /// A repair is made where the drift is, not as a change by itself.
    #[error("a drift is repaired by its own request")]
    OnlyByRepair,
}

/// The facts after `change`, made by `actor` for `reason` at `now`. `plan_exists` answers whether a
/// plan of that id is known.
pub fn apply(
    facts: &TenantFacts,
    change: &Change,
    actor: &str,
    reason: &str,
    now: Timestamp,
    plan_exists: impl Fn(&PlanId) -> bool,
) -> Result<TenantFacts, AdjustmentError> {
    let mut after = facts.clone();
    match change {
        Change::ExtendTrial { target } => after.trial = Some(extend(facts.trial.as_ref(), *target, now)?),
        Change::EndTrial => {
            let trial =
                after.trial.as_mut().filter(|trial| trial.running(now)).ok_or(AdjustmentError::NoTrialRunning)?;
            trial.ends_at = now;
        }
        Change::OverrideQuota { meter, limit, expires_at } => {
            if matches!(limit, Limit::AtMost(most) if *most < 0) {
                return Err(AdjustmentError::LimitOutOfRange);
            }
            if expires_at.is_some_and(|end| end <= now) {
                return Err(AdjustmentError::ExpiryInPast);
            }
            let value = Override { limit: *limit, expires_at: *expires_at, reason: reason.to_owned() };
            after.overrides.insert(*meter, value);
        }
        Change::RemoveOverride { meter } => {
            after.overrides.remove(meter).ok_or(AdjustmentError::NoOverride)?;
        }
        Change::Comp { plan, until } => {
            if !plan_exists(plan) {
                return Err(AdjustmentError::UnknownPlan);
            }
            if until.is_some_and(|end| end <= now) {
                return Err(AdjustmentError::ExpiryInPast);
            }
            after.comp = Some(Comp { plan: plan.clone(), since: now, until: *until });
        }
        Change::Suspend { message } => {
            if after.suspension.is_some() {
                return Err(AdjustmentError::AlreadySuspended);
            }
            after.suspension = Some(Suspension {
                since: now,
                by: actor.to_owned(),
                reason: reason.to_owned(),
                message: message.clone(),
            });
        }
        Change::Reinstate => {
            after.suspension.take().ok_or(AdjustmentError::NotSuspended)?;
        }
        Change::ChangePlan { plan } => {
            if !plan_exists(plan) {
                return Err(AdjustmentError::UnknownPlan);
            }
            if after.plan == *plan {
                return Err(AdjustmentError::SamePlan);
            }
            after.plan = plan.clone();
        }
        Change::Note => {}
        Change::RepairBilling { .. } => return Err(AdjustmentError::OnlyByRepair),
    }
    Ok(after)
}

fn extend(trial: Option<&Trial>, target: TrialTarget, now: Timestamp) -> Result<Trial, AdjustmentError> {
    let current = trial.cloned().unwrap_or(Trial { started_at: now, ends_at: now, extensions: 0, extended_ms: 0 });
    let from = now.max(current.ends_at);
    let ends_at = match target {
        TrialTarget::Days(days) if (1..=EXTENSION_DAYS_MAX).contains(&days) => extended_end(current.ends_at, days, now),
        TrialTarget::Days(_) => return Err(AdjustmentError::DaysOutOfRange),
        TrialTarget::Until(end) if end > from && end <= from.plus_days(EXTENSION_DAYS_MAX) => end,
        TrialTarget::Until(_) => return Err(AdjustmentError::EndOutOfRange),
    };
    Ok(Trial {
        started_at: current.started_at,
        ends_at,
        extensions: current.extensions.saturating_add(1),
        extended_ms: current.extended_ms.saturating_add(ends_at.ms_since(from)),
    })
}

/// Why an adjustment cannot be undone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "refusal", rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum UndoRefusal {
    /// It has been undone.
    #[error("already undone")]
    AlreadyUndone,
    /// It is itself an undo: make the change again instead.
    #[error("an undo cannot be undone; make the change again instead")]
    IsUndo,
    /// It was made in Stripe; what it did there is taken back there.
    #[error("it was made in Stripe, and is taken back there")]
    InStripe,
    /// Something changed the same part since; `by` and `at` name the adjustment where it is one. A later
    /// adjustment that stands is in the way also where the facts came back to what they were.
    #[error("changed again since")]
    ChangedSince {
        /// The latest one's id; `null` where billing or time made the change.
        adjustment: Option<String>,
        /// Who made it.
        by: Option<String>,
        /// When.
        at: Option<Timestamp>,
    },
}

/// Whether the part of `current` that `aspect` names still stands as the adjustment left it: that neither
/// billing nor time changed it. Facts cannot tell whether later adjustments led there and back; whoever
/// keeps those has to look for one that stands.
pub fn check_undo(aspect: Aspect, current: &TenantFacts, after: &TenantFacts) -> bool {
    match aspect {
        Aspect::Trial => current.trial == after.trial,
        Aspect::Override(meter) => current.overrides.get(&meter) == after.overrides.get(&meter),
        Aspect::Comp => current.comp == after.comp,
        Aspect::Suspension => current.suspension == after.suspension,
        Aspect::Plan => current.plan == after.plan,
        Aspect::Billing => {
            current.subscription == after.subscription && current.plan == after.plan && current.trial == after.trial
        }
        Aspect::Nothing => true,
    }
}

/// `current` with the part that `aspect` names put back to how it was `before`; the rest stays.
pub fn undo(aspect: Aspect, current: &TenantFacts, before: &TenantFacts) -> TenantFacts {
    let mut facts = current.clone();
    match aspect {
        Aspect::Trial => facts.trial.clone_from(&before.trial),
        Aspect::Override(meter) => {
            match before.overrides.get(&meter) {
                Some(value) => facts.overrides.insert(meter, value.clone()),
                None => facts.overrides.remove(&meter),
            };
        }
        Aspect::Comp => facts.comp.clone_from(&before.comp),
        Aspect::Suspension => facts.suspension.clone_from(&before.suspension),
        Aspect::Plan => facts.plan = before.plan.clone(),
        Aspect::Billing => {
            facts.subscription.clone_from(&before.subscription);
            facts.plan = before.plan.clone();
            facts.trial.clone_from(&before.trial);
        }
        Aspect::Nothing => {}
    }
    facts
}
