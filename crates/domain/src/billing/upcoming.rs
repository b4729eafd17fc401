//! What happens to a subscription next, by itself.

use serde::{Deserialize, Serialize};

use crate::{SubscriptionStatus, Timestamp};

use super::{Grace, StripeSubscription, derive};

/// What will happen by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum UpcomingChange {
    /// The subscription ends.
    Ends {
        /// When.
        at: Timestamp,
    },
    /// The trial that Stripe runs ends, and the first payment is taken.
    TrialEnds {
        /// When.
        at: Timestamp,
    },
    /// Stripe tries again to take an overdue payment.
    PaymentRetried {
        /// When.
        at: Timestamp,
    },
    /// The grace period of an overdue payment ends, and with it access.
    GraceEnds {
        /// When.
        at: Timestamp,
    },
    /// What is paused goes on.
    Resumes {
        /// When.
        at: Timestamp,
    },
    /// The next period begins and is paid.
    Renews {
        /// When.
        at: Timestamp,
    },
}

impl UpcomingChange {
    /// When.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Ends { at }
            | Self::TrialEnds { at }
            | Self::PaymentRetried { at }
            | Self::GraceEnds { at }
            | Self::Resumes { at }
            | Self::Renews { at } => *at,
        }
    }
}

/// Everything that will happen to a subscription by itself after `now`, as far as it is known: the next
/// first. What lies in the past and has not happened in Stripe is not announced.
pub fn upcoming(subscription: &StripeSubscription, grace: Grace, now: Timestamp) -> Vec<UpcomingChange> {
    let Some(status) = subscription.status.known() else { return Vec::new() };
    let period_end = subscription.current_period_end();
    let end = subscription.cancel_at.or(period_end.filter(|_| subscription.cancel_at_period_end));
    let ends = end.filter(|_| subscription.live());
    let running =
        matches!(status, SubscriptionStatus::Active | SubscriptionStatus::Trialing | SubscriptionStatus::PastDue);
    let before_end = |at: &Timestamp| ends.is_none_or(|end| *at < end);
    let trial_ends = subscription.trial_end.filter(|_| status == SubscriptionStatus::Trialing).filter(before_end);
    let renews = period_end
        .filter(|_| running && subscription.collection_pause.is_none())
        .filter(before_end)
        .filter(|at| trial_ends != Some(*at));
    let retried = subscription
        .latest_invoice
        .iter()
        .chain(&subscription.open_invoices)
        .filter(|it| running && it.overdue_since().is_some())
        .filter_map(|it| it.next_attempt_at)
        .filter(|at| *at > now)
        .min();
    let grace_ends = derive(subscription, grace).and_then(|it| it.grace_ends_at);
    let resumes = match status {
        SubscriptionStatus::Paused => subscription.pause.as_ref().and_then(|it| it.resumes_at),
        _ if running => subscription.collection_pause.as_ref().and_then(|it| it.resumes_at),
        _ => None,
    };
    let mut changes: Vec<UpcomingChange> = [
        ends.map(|at| UpcomingChange::Ends { at }),
        trial_ends.map(|at| UpcomingChange::TrialEnds { at }),
        retried.map(|at| UpcomingChange::PaymentRetried { at }),
        grace_ends.map(|at| UpcomingChange::GraceEnds { at }),
        resumes.map(|at| UpcomingChange::Resumes { at }),
        renews.map(|at| UpcomingChange::Renews { at }),
    ]
    .into_iter()
    .flatten()
    .filter(|change| change.at() > now)
    .collect();
    changes.sort_by_key(UpcomingChange::at);
    changes
}
