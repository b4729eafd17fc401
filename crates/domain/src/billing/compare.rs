//! One tenant in the paywall against the same tenant in Stripe.

use crate::decision::standing_denials;
use crate::{Subscription, TenantFacts, Timestamp};

use super::derive::{TrialEnd, belongs, over, sets_plan, trial_end};
use super::in_stripe::{StripeStep, collection_step};
use super::{
    BillingPolicy, ByHand, Drift, DriftBody, Grace, PaywallSide, Repair, StripeSubscription, choose, counts, derive,
    settle,
};

/// Every difference between the two sides, one for each cause: what one [`Repair::ApplyStripe`] puts right
/// together is not reported twice. `stripe` is every subscription of the tenant's customer and every one
/// sold to the tenant, those that are over included; what is missing there counts as not existing.
pub fn compare(
    paywall: &PaywallSide,
    stripe: &[StripeSubscription],
    policy: &BillingPolicy,
    now: Timestamp,
) -> Vec<Drift> {
    let mut drifts: Vec<Drift> = stripe
        .iter()
        .filter(|it| it.mode() != policy.mode && it.live() && belongs(paywall, it, policy))
        .map(|it| {
            let body = DriftBody::ModeMixed { paywall: policy.mode, stripe: it.mode() };
            let drift = about(paywall, it, body, Repair::None { by_hand: ByHand::CheckMode });
            // Play money is not at stake.
            Drift { at_stake: drift.at_stake.filter(|_| it.livemode), ..drift }
        })
        .collect();
    if let Some(deleted_at) = paywall.deleted_at {
        drifts.extend(stripe.iter().filter(|it| counts(paywall, it, policy) && it.live() && !it.canceling()).map(
            |it| {
                let body = DriftBody::DeletedCustomerSubscription { deleted_at, stripe: it.status.clone() };
                about(paywall, it, body, cancel(it))
            },
        ));
    } else {
        existing(paywall, stripe, policy, now, &mut drifts);
    }
    drifts.sort_by_key(|drift| (drift.kind(), drift.subject()));
    drifts.dedup();
    drifts
}

fn existing(
    paywall: &PaywallSide,
    stripe: &[StripeSubscription],
    policy: &BillingPolicy,
    now: Timestamp,
    drifts: &mut Vec<Drift>,
) {
    let settled = settle(paywall, stripe, policy);
    let chosen = choose(paywall, stripe, policy);
    let subscription = chosen.as_ref().map(|it| it.subscription);
    let unsettled = standing_drift(paywall, &settled, subscription, now);
    let settled_status = unsettled.is_none();
    drifts.extend(unsettled);
    drifts.extend(strangers(paywall, stripe, policy, subscription, now));
    let Some(chosen) = chosen else { return };
    let subscription = chosen.subscription;
    drifts.extend(chosen.beside.iter().filter(|it| it.live() && !it.canceling()).map(|it| {
        let body = DriftBody::TwoSubscriptions { counts: subscription.id.clone(), stripe: it.status.clone() };
        about(paywall, it, body, cancel(it))
    }));
    if settled_status {
        drifts.extend(terms(paywall, subscription, policy).into_iter().map(|body| {
            let repair = match (&body, trial_end(paywall, subscription)) {
                (DriftBody::TrialEndDiffers { .. }, TrialEnd::Paywall(trial_end)) => {
                    Repair::SetTrialEndInStripe { subscription: subscription.id.clone(), trial_end }
                }
                (DriftBody::UnknownPrice { .. }, _) => Repair::None { by_hand: ByHand::AddPriceToPlan },
                _ => Repair::ApplyStripe,
            };
            about(paywall, subscription, body, repair)
        }));
        drifts.extend(collection(paywall, subscription, now));
    }
}

/// A comp and the pause that goes with it, where one is there without the other.
fn collection(paywall: &PaywallSide, subscription: &StripeSubscription, now: Timestamp) -> Option<Drift> {
    let (paused, resumes_at) = match collection_step(paywall, subscription, now)? {
        StripeStep::CollectionPauses { resumes_at } => (true, resumes_at),
        _ => (false, None),
    };
    let pause = subscription.collection_pause.as_ref();
    let body = DriftBody::CollectionDiffers {
        paywall: paused,
        paywall_until: resumes_at,
        stripe: pause.is_some(),
        stripe_until: pause.and_then(|it| it.resumes_at),
    };
    let repair = Repair::SetCollectionInStripe { subscription: subscription.id.clone(), paused, resumes_at };
    Some(about(paywall, subscription, body, repair))
}

/// A difference in what the subscription is: told by what it does to access, where it does.
fn standing_drift(
    paywall: &PaywallSide,
    settled: &PaywallSide,
    subscription: Option<&StripeSubscription>,
    now: Timestamp,
) -> Option<Drift> {
    let recorded = paywall.facts.subscription.as_ref();
    let status = recorded.map(|it| it.status);
    let word = subscription.map(|it| it.status.clone());
    let differs = || DriftBody::StatusDiffers {
        paywall_subscription: recorded.map(|it| it.id.clone()).filter(|id| subscription.is_none_or(|it| it.id != *id)),
        paywall: status,
        paywall_canceling: recorded.is_some_and(|it| it.cancel_at_period_end),
        stripe: word.clone(),
        stripe_canceling: subscription.is_some_and(StripeSubscription::canceling),
    };
    if let Some(it) = subscription.filter(|it| it.status.known().is_none()) {
        return Some(about(paywall, it, differs(), Repair::None { by_hand: ByHand::UpdateServer }));
    }
    let open = |facts: &TenantFacts| standing_denials(facts, now).is_empty();
    let body = match (open(&paywall.facts), open(&settled.facts), word.clone()) {
        (false, true, Some(stripe)) => DriftBody::PaidButBlocked { paywall: status, stripe },
        (true, false, stripe) => DriftBody::AccessWithoutSubscription { paywall: status, stripe },
        _ if core(recorded) != core(settled.facts.subscription.as_ref()) => differs(),
        _ => return None,
    };
    Some(match subscription {
        Some(subscription) => about(paywall, subscription, body, Repair::ApplyStripe),
        None => Drift {
            tenant: Some(paywall.tenant.clone()),
            customer: paywall.customer.clone(),
            subscription: recorded.filter(|it| !over(it)).map(|it| it.id.clone()),
            endpoint: None,
            body,
            at_stake: None,
            repair: Repair::ApplyStripe,
        },
    })
}

/// What makes a subscription on record the same as Stripe's. Instants that move with every renewal are
/// taken over when they are next read, and are no drift by themselves.
fn core(subscription: Option<&Subscription>) -> Option<(&str, crate::SubscriptionStatus, bool)> {
    subscription.map(|it| (it.id.as_str(), it.status, it.cancel_at_period_end))
}

/// Differences in what is paid, for how many, by whom and from when.
fn terms(paywall: &PaywallSide, subscription: &StripeSubscription, policy: &BillingPolicy) -> Vec<DriftBody> {
    let mut bodies = Vec::new();
    let plan = policy.prices.plan_of(subscription);
    let billed = paywall.billed.as_ref().filter(|it| it.id == subscription.id);
    match plan {
        Some(plan) if sets_plan(subscription) && *plan != paywall.facts.plan => {
            bodies.push(DriftBody::PlanDiffers { paywall: paywall.facts.plan.clone(), stripe: plan.clone() });
        }
        None if sets_plan(subscription) => {
            bodies.push(DriftBody::UnknownPrice { prices: subscription.prices(), plan: paywall.facts.plan.clone() });
        }
        _ => {
            if let Some(billed) = billed.filter(|it| it.prices != subscription.prices()) {
                let (paywall, stripe) = (billed.prices.clone(), subscription.prices());
                bodies.push(DriftBody::PriceDiffers { paywall, stripe });
            }
        }
    }
    if let Some(billed) = billed {
        if billed.quantity != subscription.quantity() {
            let (paywall, stripe) = (billed.quantity, subscription.quantity());
            bodies.push(DriftBody::QuantityDiffers { paywall, stripe });
        }
        if billed.currency != subscription.currency {
            let (paywall, stripe) = (billed.currency.clone(), subscription.currency.clone());
            bodies.push(DriftBody::CurrencyDiffers { paywall, stripe });
        }
    }
    if let (TrialEnd::Stripe(_) | TrialEnd::Paywall(_), Some(stripe)) =
        (trial_end(paywall, subscription), subscription.trial_end)
    {
        let paywall = paywall.facts.trial.as_ref().map(|it| it.ends_at);
        bodies.push(DriftBody::TrialEndDiffers { paywall, stripe });
    }
    if subscription.live() && paywall.customer.as_deref() != Some(&subscription.customer) {
        let (paywall, stripe) = (paywall.customer.clone(), subscription.customer.clone());
        bodies.push(DriftBody::CustomerDiffers { paywall, stripe });
    }
    bodies
}

/// Subscriptions of the tenant's customer that were not sold here and whose price sells no plan, where no
/// other gives access: made by hand in Stripe's dashboard, most likely.
fn strangers(
    paywall: &PaywallSide,
    stripe: &[StripeSubscription],
    policy: &BillingPolicy,
    chosen: Option<&StripeSubscription>,
    now: Timestamp,
) -> Vec<Drift> {
    if chosen.is_some_and(|it| gives_access(it, policy.grace, now)) {
        return Vec::new();
    }
    stripe
        .iter()
        .filter(|it| {
            it.mode() == policy.mode
                && it.tenant.is_none()
                && paywall.customer.as_ref() == Some(&it.customer)
                && !belongs(paywall, it, policy)
                && gives_access(it, policy.grace, now)
        })
        .map(|it| {
            let body = DriftBody::UnknownPrice { prices: it.prices(), plan: paywall.facts.plan.clone() };
            about(paywall, it, body, Repair::None { by_hand: ByHand::AddPriceToPlan })
        })
        .collect()
}

fn gives_access(subscription: &StripeSubscription, grace: Grace, now: Timestamp) -> bool {
    derive(subscription, grace).is_some_and(|it| it.gives_access(now))
}

fn cancel(subscription: &StripeSubscription) -> Repair {
    Repair::CancelSubscription { subscription: subscription.id.clone() }
}

fn about(paywall: &PaywallSide, subscription: &StripeSubscription, body: DriftBody, repair: Repair) -> Drift {
    Drift {
        tenant: Some(paywall.tenant.clone()),
        customer: Some(subscription.customer.clone()),
        subscription: Some(subscription.id.clone()),
        endpoint: None,
        body,
        at_stake: subscription.monthly(),
        repair,
    }
}
