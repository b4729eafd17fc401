//! From Stripe's objects to the facts that access depends on.

use serde::{Deserialize, Serialize};

use crate::{Subscription, SubscriptionStatus, TenantFacts, TenantId, Timestamp, Trial};

use super::{BillingPolicy, Grace, StripeSubscription};

/// What was last taken over of the subscription that counts for a tenant, beside the facts that access
/// depends on: the ground on which later differences are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub struct BilledSubscription {
    /// `sub_…`
    pub id: String,
    /// ISO 4217, lower case.
    pub currency: String,
    /// The ids of its prices, each once, sorted.
    pub prices: Vec<String>,
    /// How many of everything.
    pub quantity: i64,
    /// When the trial that Stripe runs ends, or ended.
    #[serde(default)]
    pub trial_end: Option<Timestamp>,
}

impl BilledSubscription {
    /// What is to be remembered of a subscription.
    pub fn of(subscription: &StripeSubscription) -> Self {
        Self {
            id: subscription.id.clone(),
            currency: subscription.currency.clone(),
            prices: subscription.prices(),
            quantity: subscription.quantity(),
            trial_end: subscription.trial_end,
        }
    }
}

/// What the paywall has of one tenant that Stripe has a say in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaywallSide {
    /// Whose.
    pub tenant: TenantId,
    /// When the tenant was deleted; `None` = it exists.
    pub deleted_at: Option<Timestamp>,
    /// `cus_…`: the customer that stands for the tenant.
    pub customer: Option<String>,
    /// What staff and billing set.
    pub facts: TenantFacts,
    /// What was last taken over of its subscription; `None` = nothing yet.
    pub billed: Option<BilledSubscription>,
}

/// The facts of a subscription that access depends on. They follow from the object alone. `None` for a
/// status word that is not known here: then nothing may be concluded, and what was known stays.
pub fn derive(subscription: &StripeSubscription, grace: Grace) -> Option<Subscription> {
    let status = subscription.status.known()?;
    let owing = matches!(status, SubscriptionStatus::PastDue | SubscriptionStatus::Unpaid);
    let overdue_since = owing.then(|| subscription.overdue_since()).flatten();
    let grace_end = overdue_since.map(|since| grace.ends(since));
    let current_period_end = subscription.current_period_end();
    Some(Subscription {
        id: subscription.id.clone(),
        status,
        current_period_end,
        overdue_since,
        grace_ends_at: grace_end.filter(|_| status == SubscriptionStatus::PastDue),
        ended_at: match status {
            SubscriptionStatus::Canceled | SubscriptionStatus::IncompleteExpired => {
                subscription.ended_at.or(subscription.canceled_at)
            }
            SubscriptionStatus::Paused => subscription.pause.as_ref().and_then(|it| it.since),
            // Stripe gives up with its last attempt; access may have ended before, with the grace period.
            SubscriptionStatus::Unpaid => subscription
                .oldest_owed()
                .and_then(|invoice| invoice.last_attempt_at)
                .map(|gave_up| grace_end.map_or(gave_up, |end| end.min(gave_up))),
            SubscriptionStatus::Incomplete
            | SubscriptionStatus::Trialing
            | SubscriptionStatus::Active
            | SubscriptionStatus::PastDue => None,
        },
        cancel_at_period_end: subscription.cancel_at_period_end
            || subscription.cancel_at.is_some_and(|at| current_period_end.is_some_and(|end| at <= end)),
    })
}

/// Whether a subscription is one of this tenant's, in the half of the account that the server uses: sold
/// to it here, or paying a price that sells a plan, or on record as its subscription. A customer may
/// subscribe to other things in the same account; those give no access here.
pub fn counts(paywall: &PaywallSide, subscription: &StripeSubscription, policy: &BillingPolicy) -> bool {
    subscription.mode() == policy.mode && belongs(paywall, subscription, policy)
}

/// As [`counts`], in either half of the account.
pub(super) fn belongs(paywall: &PaywallSide, subscription: &StripeSubscription, policy: &BillingPolicy) -> bool {
    match &subscription.tenant {
        Some(tenant) => *tenant == paywall.tenant,
        None => {
            policy.prices.plan_of(subscription).is_some()
                || paywall.facts.subscription.as_ref().is_some_and(|it| it.id == subscription.id)
        }
    }
}

/// The subscription that counts, and those that stand beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen<'a> {
    /// The one that access and plan follow from.
    pub subscription: &'a StripeSubscription,
    /// The tenant's others, also ones that are over, in order of rank.
    pub beside: Vec<&'a StripeSubscription>,
}

/// Which of its subscriptions counts for a tenant: one that gives access before one that does not, one
/// that may again before one that is over, one that ran before one that never started; among equals one that
/// goes on before one that is to end, then the newest. Neither the order of `stripe` nor the time of day matters.
pub fn choose<'a>(
    paywall: &PaywallSide,
    stripe: &'a [StripeSubscription],
    policy: &BillingPolicy,
) -> Option<Chosen<'a>> {
    let mut own: Vec<&StripeSubscription> = stripe.iter().filter(|it| counts(paywall, it, policy)).collect();
    own.sort_by(|a, b| (rank(a), a.canceling(), b.created, &b.id).cmp(&(rank(b), b.canceling(), a.created, &a.id)));
    own.dedup_by(|a, b| a.id == b.id);
    let (subscription, beside) = own.split_first()?;
    Some(Chosen { subscription, beside: beside.to_vec() })
}

fn rank(subscription: &StripeSubscription) -> u8 {
    match subscription.status.known() {
        Some(SubscriptionStatus::Active | SubscriptionStatus::Trialing) => 0,
        Some(SubscriptionStatus::PastDue) => 1,
        // It may give access, for all that is known.
        None => 2,
        Some(SubscriptionStatus::Unpaid | SubscriptionStatus::Paused) => 3,
        Some(SubscriptionStatus::Canceled) => 4,
        Some(SubscriptionStatus::Incomplete) => 5,
        Some(SubscriptionStatus::IncompleteExpired) => 6,
    }
}

/// Whether the tenant's plan follows from the subscription's price: while it gives access, or may within
/// its grace period.
pub(super) fn sets_plan(subscription: &StripeSubscription) -> bool {
    matches!(
        subscription.status.known(),
        Some(SubscriptionStatus::Active | SubscriptionStatus::Trialing | SubscriptionStatus::PastDue)
    )
}

/// Whether it ever ran: a first payment that was never made leaves nothing behind.
fn started(subscription: &StripeSubscription) -> bool {
    !matches!(
        subscription.status.known(),
        None | Some(SubscriptionStatus::Incomplete | SubscriptionStatus::IncompleteExpired)
    )
}

/// Which side's trial end holds, where the two differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TrialEnd {
    /// They are the same, or Stripe runs no trial.
    Same,
    /// Stripe's, which changed since it was last taken over.
    Stripe(Timestamp),
    /// The paywall's: staff changed it, and Stripe has not heard.
    Paywall(Timestamp),
}

/// Whose trial end holds. The side that changed since the two were last the same; where both did, or
/// that is not known, the later end: a repair never takes trial time from a customer.
pub(super) fn trial_end(paywall: &PaywallSide, subscription: &StripeSubscription) -> TrialEnd {
    let trialing = subscription.status.known() == Some(SubscriptionStatus::Trialing);
    let Some(theirs) = subscription.trial_end.filter(|_| trialing) else { return TrialEnd::Same };
    let Some(ours) = paywall.facts.trial.as_ref().map(|it| it.ends_at) else { return TrialEnd::Stripe(theirs) };
    if same_second(ours, theirs) {
        return TrialEnd::Same;
    }
    let known = paywall.billed.as_ref().filter(|it| it.id == subscription.id).and_then(|it| it.trial_end);
    match known {
        Some(known) if same_second(known, theirs) => TrialEnd::Paywall(ours),
        Some(known) if same_second(known, ours) => TrialEnd::Stripe(theirs),
        _ if ours > theirs => TrialEnd::Paywall(ours),
        _ => TrialEnd::Stripe(theirs),
    }
}

/// Stripe counts in seconds.
fn same_second(a: Timestamp, b: Timestamp) -> bool {
    a.ms_since(b).unsigned_abs() < 1000
}

/// Whether a subscription on record is over: it cannot give access any more.
pub(super) fn over(subscription: &Subscription) -> bool {
    matches!(subscription.status, SubscriptionStatus::Canceled | SubscriptionStatus::IncompleteExpired)
}

/// The paywall's side once it has taken over what Stripe says. `stripe` is every subscription of the
/// tenant, those that are over included: what is missing there counts as not existing.
///
/// Comps, suspensions and overrides are staff's and stay. So does the trial, unless Stripe runs one whose
/// end changed there.
#[must_use]
pub fn settle(paywall: &PaywallSide, stripe: &[StripeSubscription], policy: &BillingPolicy) -> PaywallSide {
    let mut settled = paywall.clone();
    let Some(chosen) = choose(paywall, stripe, policy) else {
        // History stays; what would still give access, or may again, is not there.
        if settled.facts.subscription.as_ref().is_some_and(|it| !over(it)) {
            settled.facts.subscription = None;
            settled.billed = None;
        }
        return settled;
    };
    let subscription = chosen.subscription;
    let Some(derived) = derive(subscription, policy.grace) else { return settled };
    settled.facts.subscription = Some(derived);
    // Also of one that was over before it was first read: what it left behind does not depend on who saw it run.
    let unseen = started(subscription) && paywall.billed.as_ref() != Some(&BilledSubscription::of(subscription));
    if let Some(plan) = policy.prices.plan_of(subscription).filter(|_| sets_plan(subscription) || unseen) {
        settled.facts.plan = plan.clone();
    }
    if let TrialEnd::Stripe(ends_at) = trial_end(paywall, subscription) {
        let trial = settled.facts.trial.take();
        settled.facts.trial = Some(trial.map_or_else(
            || Trial { started_at: subscription.created, ends_at, extensions: 0, extended_ms: 0 },
            |trial| Trial { ends_at, ..trial },
        ));
    }
    if subscription.live() || settled.customer.is_none() {
        settled.customer = Some(subscription.customer.clone());
    }
    settled.billed = started(subscription).then(|| BilledSubscription::of(subscription));
    settled
}
