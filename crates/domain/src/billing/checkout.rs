//! On what terms a tenant may go to Checkout, and when it may not.

use serde::{Deserialize, Serialize};

use crate::{DAY_MS, Plan, PlanId, SubscriptionStatus, Timestamp};

use super::in_stripe::next_second;
use super::{BillingPolicy, PaywallSide, StripeSubscription, counts};

/// How far ahead a trial's end has to lie for Checkout to take it as an instant: Stripe's 48 hours, and an
/// hour for clocks that differ and requests that are retried.
const TRIAL_END_AHEAD_MS: i64 = 49 * 3_600_000;

/// The longest trial that Checkout takes, in days.
const TRIAL_DAYS_MAX: u32 = 730;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct CheckoutOffer<'a> {
    /// Who wants to pay.
    pub paywall: &'a PaywallSide,
    /// Every subscription that it has in Stripe, as just read.
    pub stripe: &'a [StripeSubscription],
    /// What for.
    pub plan: &'a Plan,
    /// At which of the plan's prices; the first without it.
    pub price: Option<&'a str>,
    /// How many sessions it had before that are over: the number of this attempt.
    pub attempt: u32,
}

/// What becomes of the trial that still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum CheckoutTrial {
    /// None runs: the first payment is taken at once.
    None,
    /// It goes on to its end (`subscription_data[trial_end]`).
    Until {
        /// The end, a whole second: the one in which the trial ends, or the next.
        trial_end: Timestamp,
    },
    /// Its end is too near for Checkout to take it as an instant. It goes on for the rest, rounded up to
    /// whole days from payment on (`subscription_data[trial_period_days]`), to a tenant once.
    Days {
        /// How many: 1, 2 or 3.
        days: u32,
    },
}

/// On what terms a Checkout session is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub struct CheckoutTerms {
    /// What for.
    pub plan: PlanId,
    /// `price_…`; its quantity is 1.
    pub price: String,
    /// What becomes of the trial that still runs.
    pub trial: CheckoutTrial,
    /// The idempotency key of this attempt at these terms. Asked again, it is the same, so that Stripe
    /// answers with the session that there is. Other terms have another key: the session that was made
    /// before has to be expired first.
    pub key: String,
}

/// Why a tenant cannot go to Checkout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "refusal", rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum CheckoutRefusal {
    /// The tenant was deleted.
    #[error("the tenant was deleted")]
    Deleted,
    /// Staff suspended it: it would pay and stay locked out.
    #[error("the tenant is suspended")]
    Suspended,
    /// It has a subscription that gives access; changes are made in the portal.
    #[error("there is a subscription already")]
    Subscribed {
        /// `sub_…`
        subscription: String,
    },
    /// Its subscription has an open invoice, which is paid in the portal.
    #[error("a payment of the present subscription is overdue")]
    PaymentOverdue {
        /// `sub_…`
        subscription: String,
    },
    /// The first payment of a subscription is still open, for 23 hours.
    #[error("the first payment of a subscription is open")]
    PaymentOpen {
        /// `sub_…`
        subscription: String,
    },
    /// It has a subscription that stands still and is resumed in the portal.
    #[error("there is a paused subscription")]
    Paused {
        /// `sub_…`
        subscription: String,
    },
    /// The plan has no price.
    #[error("the plan has no price")]
    NoPrice,
    /// The price does not sell the plan.
    #[error("the price does not sell the plan")]
    PriceOfOtherPlan,
}

impl CheckoutRefusal {
    /// Whether the customer gets on in Stripe's portal instead.
    pub fn portal(&self) -> bool {
        match self {
            Self::Subscribed { .. } | Self::PaymentOverdue { .. } | Self::PaymentOpen { .. } | Self::Paused { .. } => {
                true
            }
            Self::Deleted | Self::Suspended | Self::NoPrice | Self::PriceOfOtherPlan => false,
        }
    }
}

/// On what terms a tenant may go to Checkout at `now`.
pub fn checkout_terms(
    offer: &CheckoutOffer<'_>,
    policy: &BillingPolicy,
    now: Timestamp,
) -> Result<CheckoutTerms, CheckoutRefusal> {
    let CheckoutOffer { paywall, plan, .. } = offer;
    if paywall.deleted_at.is_some() {
        return Err(CheckoutRefusal::Deleted);
    }
    if paywall.facts.suspension.is_some() {
        return Err(CheckoutRefusal::Suspended);
    }
    if let Some(refusal) = in_the_way(offer, policy) {
        return Err(refusal);
    }
    let price = match offer.price {
        None => plan.stripe_prices.first().ok_or(CheckoutRefusal::NoPrice)?.as_str(),
        Some(price) if plan.stripe_prices.iter().any(|it| it == price) => price,
        Some(_) if plan.stripe_prices.is_empty() => return Err(CheckoutRefusal::NoPrice),
        Some(_) => return Err(CheckoutRefusal::PriceOfOtherPlan),
    };
    let tried = offer.stripe.iter().any(|it| counts(paywall, it, policy) && it.trial_end.is_some());
    let trial = remaining_trial(paywall.facts.trial.as_ref().map(|it| it.ends_at), tried, now);
    let word = match trial {
        CheckoutTrial::None => "paid".to_owned(),
        CheckoutTrial::Until { trial_end } => format!("until-{}", trial_end.0 / 1000),
        CheckoutTrial::Days { days } => format!("days-{days}"),
    };
    Ok(CheckoutTerms {
        plan: plan.id.clone(),
        price: price.to_owned(),
        trial,
        key: format!("checkout-{}-{}-{price}-{word}", paywall.tenant, offer.attempt),
    })
}

/// Whether a session that was opened before may still be paid, by what is on record. A first payment that is open is
/// that session's own.
pub fn may_still_buy(paywall: &PaywallSide) -> bool {
    let subscribed = paywall.facts.subscription.as_ref().is_some_and(|it| match it.status {
        SubscriptionStatus::Active
        | SubscriptionStatus::Trialing
        | SubscriptionStatus::PastDue
        | SubscriptionStatus::Unpaid
        | SubscriptionStatus::Paused => true,
        SubscriptionStatus::Incomplete | SubscriptionStatus::IncompleteExpired | SubscriptionStatus::Canceled => false,
    });
    paywall.deleted_at.is_none() && paywall.facts.suspension.is_none() && !subscribed
}

/// A subscription that a second one must not be sold beside: the gravest in the way.
fn in_the_way(offer: &CheckoutOffer<'_>, policy: &BillingPolicy) -> Option<CheckoutRefusal> {
    let paywall = offer.paywall;
    let own = || offer.stripe.iter().filter(|it| counts(paywall, it, policy));
    // One on record that was not read counts as it was last known: better to look than to sell twice.
    let recorded = paywall.facts.subscription.iter().filter(|it| !own().any(|other| other.id == it.id));
    own()
        .map(|it| (&it.id, it.status.known()))
        .chain(recorded.map(|it| (&it.id, Some(it.status))))
        .filter_map(|(id, status)| {
            let subscription = id.clone();
            match status {
                // A word that is not known may mean a subscription that takes money.
                Some(SubscriptionStatus::Active | SubscriptionStatus::Trialing) | None => {
                    Some((0, CheckoutRefusal::Subscribed { subscription }))
                }
                Some(SubscriptionStatus::PastDue | SubscriptionStatus::Unpaid) => {
                    Some((1, CheckoutRefusal::PaymentOverdue { subscription }))
                }
                Some(SubscriptionStatus::Paused) => Some((2, CheckoutRefusal::Paused { subscription })),
                Some(SubscriptionStatus::Incomplete) => Some((3, CheckoutRefusal::PaymentOpen { subscription })),
                Some(SubscriptionStatus::Canceled | SubscriptionStatus::IncompleteExpired) => None,
            }
        })
        .min_by(|(a, one), (b, other)| a.cmp(b).then_with(|| one.subscription().cmp(&other.subscription())))
        .map(|(_, refusal)| refusal)
}

impl CheckoutRefusal {
    /// The subscription in the way.
    pub fn subscription(&self) -> Option<&str> {
        match self {
            Self::Subscribed { subscription }
            | Self::PaymentOverdue { subscription }
            | Self::PaymentOpen { subscription }
            | Self::Paused { subscription } => Some(subscription),
            Self::Deleted | Self::Suspended | Self::NoPrice | Self::PriceOfOtherPlan => None,
        }
    }
}

/// Paying does not shorten a trial: what is left of it is kept, to the second or rounded up to a day. The latter once:
/// `tried`, whoever had a trial in Stripe before could else end it, buy again, and have it rounded up for ever.
fn remaining_trial(ends_at: Option<Timestamp>, tried: bool, now: Timestamp) -> CheckoutTrial {
    let Some(end) = ends_at.filter(|end| *end > now) else { return CheckoutTrial::None };
    let rest = end.ms_since(now);
    if rest < TRIAL_END_AHEAD_MS {
        if tried {
            return CheckoutTrial::None;
        }
        let days = u32::try_from((rest + DAY_MS - 1) / DAY_MS).unwrap_or(1);
        return CheckoutTrial::Days { days };
    }
    // The longest is counted from a whole day, so that the terms stay the same while they are asked for.
    let today = Timestamp(now.0.div_euclid(DAY_MS) * DAY_MS);
    let end = end.min(today.plus_days(TRIAL_DAYS_MAX));
    CheckoutTrial::Until { trial_end: next_second(end) }
}
