//! What a change by staff changes in Stripe too, where the trial lives there.

use crate::{Change, SubscriptionStatus, TenantFacts, Timestamp};

use super::derive::{TrialEnd, trial_end};
use super::{BilledSubscription, CollectionPause, PaywallSide, StripeSubscription};

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

/// The subscription on record, where a change of this part is followed in Stripe: while Stripe runs its trial, and
/// for as long as a pause lasts that was made for a comp then. A comp of somebody who pays already pauses nothing: it
/// gives other limits, and what was agreed on goes on.
pub fn followed<'a>(
    facts: &TenantFacts,
    stripe: &'a [StripeSubscription],
    part: StripePart,
) -> Option<&'a StripeSubscription> {
    let recorded = facts.subscription.as_ref()?;
    let subscription = stripe.iter().find(|it| it.id == recorded.id)?;
    let trialing = Some(SubscriptionStatus::Trialing);
    let on_trial = Some(recorded.status) == trialing && subscription.status.known() == trialing;
    let paused = part == StripePart::Collection && paused_by_comp(subscription).is_some();
    (on_trial || paused).then_some(subscription)
}

/// The pause that the paywall made for a comp, of a subscription that may take money.
fn paused_by_comp(subscription: &StripeSubscription) -> Option<&CollectionPause> {
    subscription.collection_pause.as_ref().filter(|it| it.by_comp && subscription.live())
}

/// Whether Stripe has yet to hear of the trial's end: of a subscription that is seen for the first time and whose trial
/// ends sooner there. It was extended here while the customer was on the way to pay.
pub fn ends_too_soon(paywall: &PaywallSide, subscription: &StripeSubscription) -> bool {
    let known = paywall.billed.as_ref().is_some_and(|it| it.id == subscription.id);
    !known && matches!(trial_end(paywall, subscription), TrialEnd::Paywall(_))
}

/// What has to be done in Stripe after staff changed this part here; `None` = nothing: the two sides are the
/// same, or Stripe's holds. A pause of collection that somebody made in Stripe is left alone.
pub fn stripe_step(
    paywall: &PaywallSide,
    subscription: &StripeSubscription,
    part: StripePart,
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
            let comp = paywall.facts.comp.as_ref().filter(|it| it.in_force(now));
            let until = comp.map(|it| it.until.map(next_second));
            match (until, paused_by_comp(subscription)) {
                (Some(resumes_at), None) if goes_on(subscription) && subscription.collection_pause.is_none() => {
                    Some(StripeStep::CollectionPauses { resumes_at })
                }
                (Some(resumes_at), Some(pause)) if pause.resumes_at != resumes_at => {
                    Some(StripeStep::CollectionPauses { resumes_at })
                }
                (None, Some(_)) => Some(StripeStep::CollectionResumes),
                _ => None,
            }
        }
    }
}

fn goes_on(subscription: &StripeSubscription) -> bool {
    matches!(subscription.status.known(), Some(SubscriptionStatus::Active | SubscriptionStatus::Trialing))
}

/// What has to be done in Stripe for a comp and its pause to be the same again, whoever left them different.
/// Nothing for a comp of somebody who paid already when it was given, and for a pause that ends when the comp does.
pub(super) fn collection_step(
    paywall: &PaywallSide,
    subscription: &StripeSubscription,
    now: Timestamp,
) -> Option<StripeStep> {
    let comp = paywall.facts.comp.as_ref();
    match stripe_step(paywall, subscription, StripePart::Collection, now)? {
        step @ StripeStep::CollectionPauses { .. } => {
            let on_trial = comp.is_some_and(|it| {
                it.since >= subscription.created && subscription.trial_end.is_some_and(|end| it.since < end)
            });
            let missing = subscription.collection_pause.is_none();
            (!missing || (on_trial && !subscription.canceling())).then_some(step)
        }
        step @ StripeStep::CollectionResumes => {
            let resumes_at = subscription.collection_pause.as_ref().and_then(|it| it.resumes_at);
            let by_itself = resumes_at.is_some_and(|at| at <= now)
                || (resumes_at.is_some() && resumes_at == comp.and_then(|it| it.until).map(next_second));
            (!by_itself).then_some(step)
        }
        StripeStep::TrialEnds { .. } | StripeStep::TrialEndsNow => None,
    }
}

/// Stripe counts in seconds: the one in which the instant lies, or the next.
pub fn next_second(at: Timestamp) -> Timestamp {
    Timestamp(at.0.saturating_add(999).div_euclid(1000).saturating_mul(1000))
}
