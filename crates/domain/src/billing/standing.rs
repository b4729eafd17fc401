//! Where a subscription stands, and what that does to access: one table.

use serde::{Deserialize, Serialize};

use crate::{DenyCode, SubscriptionStatus, Timestamp};

use super::{Grace, Invoice, PaymentFailure, StripeSubscription};

/// Where a subscription stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum Standing {
    /// Paid, and goes on.
    Paid,
    /// On a trial that Stripe runs.
    Trialing,
    /// Paid or on trial, and ends at an instant that is set.
    Canceling,
    /// Goes on, and its invoices are not collected.
    CollectionPaused,
    /// Paid, and all of the latest payment went back.
    Refunded,
    /// Paid, and a payment is disputed with the bank.
    Disputed,
    /// A payment failed; the grace period runs.
    PastDue,
    /// A payment failed because the card has run out; the grace period runs.
    CardExpired,
    /// A payment waits for the customer to confirm it with the bank; the grace period runs.
    ActionRequired,
    /// A payment failed and the grace period is over.
    GraceOver,
    /// Stripe gave up taking the payment.
    Unpaid,
    /// Stopped by somebody; nothing is invoiced.
    Paused,
    /// The trial ended without a way to pay; nothing is invoiced.
    CardMissing,
    /// The first payment has not been made; it may be for 23 hours.
    Incomplete,
    /// The first payment was never made.
    IncompleteExpired,
    /// Over.
    Canceled,
    /// Stripe uses a word that is not known here.
    Unknown,
}

/// What a standing does to access by the subscription. A comp or a running trial gives access whatever
/// the subscription does; a suspension takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum StandingAccess {
    /// Access stays.
    Keeps,
    /// Access stays until the grace period is over.
    Grace,
    /// No access.
    Denies,
    /// What was known before stays.
    Unchanged,
}

impl StandingAccess {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keeps => "keeps",
            Self::Grace => "grace",
            Self::Denies => "denies",
            Self::Unchanged => "unchanged",
        }
    }
}

/// What puts a standing right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum Remedy {
    /// Nothing is wrong.
    None,
    /// The customer pays the open invoice, or puts another card in, in the portal.
    PayInvoice,
    /// The customer puts a card in, in the portal.
    UpdateCard,
    /// The customer confirms the payment with the bank, on the invoice's page.
    ConfirmPayment,
    /// The customer or staff resume it.
    Resume,
    /// The customer chooses a plan anew.
    ChoosePlan,
    /// Staff look at it, and cancel, suspend or leave it.
    Review,
    /// The server is updated.
    UpdateServer,
}

impl Remedy {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::PayInvoice => "pay_invoice",
            Self::UpdateCard => "update_card",
            Self::ConfirmPayment => "confirm_payment",
            Self::Resume => "resume",
            Self::ChoosePlan => "choose_plan",
            Self::Review => "review",
            Self::UpdateServer => "update_server",
        }
    }
}

impl Standing {
    /// Every standing, in the order of the table.
    pub const ALL: [Self; 17] = [
        Self::Paid,
        Self::Trialing,
        Self::Canceling,
        Self::CollectionPaused,
        Self::Refunded,
        Self::Disputed,
        Self::PastDue,
        Self::CardExpired,
        Self::ActionRequired,
        Self::GraceOver,
        Self::Unpaid,
        Self::Paused,
        Self::CardMissing,
        Self::Incomplete,
        Self::IncompleteExpired,
        Self::Canceled,
        Self::Unknown,
    ];

    /// The word on the wire, in storage and in the docs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Trialing => "trialing",
            Self::Canceling => "canceling",
            Self::CollectionPaused => "collection_paused",
            Self::Refunded => "refunded",
            Self::Disputed => "disputed",
            Self::PastDue => "past_due",
            Self::CardExpired => "card_expired",
            Self::ActionRequired => "action_required",
            Self::GraceOver => "grace_over",
            Self::Unpaid => "unpaid",
            Self::Paused => "paused",
            Self::CardMissing => "card_missing",
            Self::Incomplete => "incomplete",
            Self::IncompleteExpired => "incomplete_expired",
            Self::Canceled => "canceled",
            Self::Unknown => "unknown",
        }
    }

    /// The standing of that word, if there is one.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|standing| standing.as_str() == word)
    }

    /// What it does to access.
    pub fn access(self) -> StandingAccess {
        self.row().0
    }

    /// The rule that refuses, where neither trial nor comp gives access after it; `None` where it does
    /// not deny.
    pub fn refused_with(self) -> Option<DenyCode> {
        self.row().1
    }

    /// What puts it right.
    pub fn remedy(self) -> Remedy {
        self.row().2
    }

    /// The table of docs/billing.md.
    fn row(self) -> (StandingAccess, Option<DenyCode>, Remedy) {
        use StandingAccess::{Denies, Grace, Keeps, Unchanged};
        match self {
            Self::Paid | Self::Trialing | Self::Canceling | Self::CollectionPaused => (Keeps, None, Remedy::None),
            Self::Refunded | Self::Disputed => (Keeps, None, Remedy::Review),
            Self::PastDue => (Grace, None, Remedy::PayInvoice),
            Self::CardExpired => (Grace, None, Remedy::UpdateCard),
            Self::ActionRequired => (Grace, None, Remedy::ConfirmPayment),
            Self::GraceOver | Self::Unpaid => (Denies, Some(DenyCode::PaymentOverdue), Remedy::PayInvoice),
            Self::Paused => (Denies, Some(DenyCode::SubscriptionEnded), Remedy::Resume),
            Self::CardMissing => (Denies, Some(DenyCode::SubscriptionEnded), Remedy::UpdateCard),
            Self::Incomplete => (Denies, Some(DenyCode::TrialEnded), Remedy::PayInvoice),
            Self::IncompleteExpired => (Denies, Some(DenyCode::TrialEnded), Remedy::ChoosePlan),
            Self::Canceled => (Denies, Some(DenyCode::SubscriptionEnded), Remedy::ChoosePlan),
            Self::Unknown => (Unchanged, None, Remedy::UpdateServer),
        }
    }
}

/// Where a subscription stands at `now`. Of several things that are so at once, the one that comes first
/// here: what takes access away, then what somebody has to look at, then what is only worth knowing.
pub fn standing(subscription: &StripeSubscription, grace: Grace, now: Timestamp) -> Standing {
    let Some(status) = subscription.status.known() else { return Standing::Unknown };
    match status {
        SubscriptionStatus::Incomplete => Standing::Incomplete,
        SubscriptionStatus::IncompleteExpired => Standing::IncompleteExpired,
        SubscriptionStatus::Canceled => Standing::Canceled,
        SubscriptionStatus::Unpaid => Standing::Unpaid,
        SubscriptionStatus::Paused => {
            let reason = subscription.pause.as_ref().and_then(|it| it.reason.as_deref());
            if reason == Some("trial_end_without_payment_method") { Standing::CardMissing } else { Standing::Paused }
        }
        SubscriptionStatus::PastDue => past_due(subscription, grace, now),
        SubscriptionStatus::Active | SubscriptionStatus::Trialing => {
            if subscription.disputed_since.is_some() {
                Standing::Disputed
            } else if subscription.refunded_at.is_some() {
                Standing::Refunded
            } else if subscription.canceling() {
                Standing::Canceling
            } else if subscription.collection_pause.is_some() {
                Standing::CollectionPaused
            } else if status == SubscriptionStatus::Trialing {
                Standing::Trialing
            } else {
                Standing::Paid
            }
        }
    }
}

fn past_due(subscription: &StripeSubscription, grace: Grace, now: Timestamp) -> Standing {
    if subscription.overdue_since().is_some_and(|since| now >= grace.ends(since)) {
        return Standing::GraceOver;
    }
    // The newest failure tells what is wrong with the card today.
    let newest = subscription
        .latest_invoice
        .iter()
        .chain(&subscription.open_invoices)
        .filter(|invoice| invoice.overdue_since().is_some())
        .max_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
    let failure = newest.and_then(|invoice| invoice.failure.as_ref());
    let confirm = newest.is_some_and(|Invoice { action_required, .. }| *action_required)
        || failure.is_some_and(PaymentFailure::authentication_required);
    if confirm {
        Standing::ActionRequired
    } else if failure.is_some_and(PaymentFailure::card_expired) {
        Standing::CardExpired
    } else {
        Standing::PastDue
    }
}
