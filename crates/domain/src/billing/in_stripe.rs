//! What a change by staff changes in Stripe too, where the trial lives there.

use crate::{Change, SubscriptionStatus, TenantFacts, Timestamp};

use super::derive::{TrialEnd, trial_end};
use super::{BilledSubscription, PaywallSide, StripeSubscription};

/// The part of a subscription in Stripe that follows the paywall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StripePart {
    /// When its trial ends.
    TrialEnd,
    /// Whether its invoices are collected.
    Collection,
}

impl StripePart {
    /// The word in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TrialEnd => "trial_end",
            Self::Collection => "collection",
        }
    }

    /// The part of that word, if there is one.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::TrialEnd, Self::Collection].into_iter().find(|part| part.as_str() == word)
    }
}

impl Change {
    /// The part that it touches of a subscription whose trial Stripe runs. A suspension touches none: it stops
    /// access, and what was agreed on goes on.
    pub fn stripe_part(&self) -> Option<StripePart> {
        match self {
            Self::ExtendTrial { .. } | Self::EndTrial => Some(StripePart::TrialEnd),
            Self::Comp { .. } => Some(StripePart::Collection),
            Self::OverrideQuota { .. }
            | Self::RemoveOverride { .. }
            | Self::Suspend { .. }
            | Self::Reinstate
            | Self::ChangePlan { .. }
            | Self::Note
            | Self::RepairBilling { .. } => None,
        }
    }
}

/// What makes a subscription in Stripe equal to the paywall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StripeStep {
    /// Its trial ends at this instant, which is a whole second ahead.
    TrialEnds {
        /// When.
        at: Timestamp,
    },
    /// Its trial ends at once, and the customer is charged.
    TrialEndsNow,
    /// Its invoices are not collected: the plan is a gift.
    CollectionPauses {
        /// Until when; `None` = until it is resumed.
        resumes_at: Option<Timestamp>,
    },
    /// Its invoices are collected again.
    CollectionResumes,
}

/// The subscription on record, where Stripe runs its trial.
pub fn on_trial_in_stripe<'a>(facts: &TenantFacts, stripe: &'a [StripeSubscription]) -> Option<&'a StripeSubscription> {
    let recorded = facts.subscription.as_ref().filter(|it| it.status == SubscriptionStatus::Trialing)?;
    stripe.iter().find(|it| it.id == recorded.id && it.status.known() == Some(SubscriptionStatus::Trialing))
}

/// What has to be done in Stripe after staff changed this part here; `None` = nothing: the two sides are the
/// same, or Stripe's holds. `paused_here`: whether collection was paused by the paywall. A pause that somebody
/// made in Stripe is left alone.
pub fn stripe_step(
    paywall: &PaywallSide,
    subscription: &StripeSubscription,
    part: StripePart,
    paused_here: bool,
    now: Timestamp,
) -> Option<StripeStep> {
    match part {
        StripePart::TrialEnd => {
            // Staff changed the paywall's side; where nothing was taken over yet, Stripe's is as it was.
            let known = paywall.billed.as_ref().is_some_and(|it| it.id == subscription.id);
            let based =
                (!known).then(|| PaywallSide { billed: Some(BilledSubscription::of(subscription)), ..paywall.clone() });
            match trial_end(based.as_ref().unwrap_or(paywall), subscription) {
                TrialEnd::Paywall(end) if end <= now => Some(StripeStep::TrialEndsNow),
                TrialEnd::Paywall(end) => Some(StripeStep::TrialEnds { at: next_second(end) }),
                TrialEnd::Same | TrialEnd::Stripe(_) => None,
            }
        }
        StripePart::Collection => {
            let goes_on =
                matches!(subscription.status.known(), Some(SubscriptionStatus::Active | SubscriptionStatus::Trialing));
            let gift = paywall.facts.comp.as_ref().filter(|it| it.in_force(now) && goes_on);
            let until = gift.map(|it| it.until.map(next_second));
            match (until, &subscription.collection_pause) {
                (Some(resumes_at), None) => Some(StripeStep::CollectionPauses { resumes_at }),
                (Some(resumes_at), Some(pause)) if paused_here && pause.resumes_at != resumes_at => {
                    Some(StripeStep::CollectionPauses { resumes_at })
                }
                (None, Some(_)) if paused_here && subscription.live() => Some(StripeStep::CollectionResumes),
                _ => None,
            }
        }
    }
}

/// Stripe counts in seconds: the one in which the instant lies, or the next.
pub(super) fn next_second(at: Timestamp) -> Timestamp {
    Timestamp(at.0.saturating_add(999).div_euclid(1000).saturating_mul(1000))
}
