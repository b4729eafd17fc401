//! Money that moved, or did not.

use serde::Deserialize;

use super::{Embedded, Identified, Reference};

/// A payment that is being made.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PaymentIntent {
    /// `pi_…`
    pub id: String,
    /// Unix seconds.
    pub created: Option<i64>,
    /// Such as `succeeded`, `requires_action` or `requires_payment_method`.
    pub status: Option<String>,
    /// Why the last try failed.
    pub last_payment_error: Option<Fault>,
    /// What the customer has to do.
    pub next_action: Option<NextAction>,
    /// The last try's charge.
    pub latest_charge: Option<Reference>,
}

impl Identified for PaymentIntent {
    fn id(&self) -> &str {
        &self.id
    }
}

/// Why something failed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Fault {
    /// Such as `card_declined`, `expired_card` or `authentication_required`.
    pub code: Option<String>,
    /// What the bank says, such as `insufficient_funds`.
    pub decline_code: Option<String>,
    /// Such as `card_error`.
    pub r#type: Option<String>,
    /// In Stripe's words.
    pub message: Option<String>,
}

/// What a customer has to do for a payment.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct NextAction {
    /// Such as `use_stripe_sdk` or `redirect_to_url`.
    pub r#type: Option<String>,
}

/// A charge.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Charge {
    /// `ch_…`
    pub id: String,
    /// Unix seconds.
    pub created: Option<i64>,
    /// Whose.
    pub customer: Option<Reference>,
    /// Whether it is real.
    pub livemode: Option<bool>,
    /// Minor units.
    pub amount: Option<i64>,
    /// Minor units.
    pub amount_refunded: Option<i64>,
    /// ISO 4217, lower case.
    pub currency: Option<String>,
    /// In Stripe's words.
    pub status: Option<String>,
    /// Whether it was paid.
    pub paid: Option<bool>,
    /// Whether all of it was given back.
    pub refunded: Option<bool>,
    /// Whether it was ever disputed.
    pub disputed: Option<bool>,
    /// Of which payment.
    pub payment_intent: Option<Reference>,
    /// Such as `card_declined`.
    pub failure_code: Option<String>,
    /// What was given back; only where it was expanded.
    pub refunds: Option<Embedded<Refund>>,
}

/// A refund.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Refund {
    /// `re_…`
    pub id: String,
    /// Unix seconds.
    pub created: Option<i64>,
    /// Of which charge.
    pub charge: Option<Reference>,
    /// Of which payment.
    pub payment_intent: Option<Reference>,
    /// Minor units.
    pub amount: Option<i64>,
    /// ISO 4217, lower case.
    pub currency: Option<String>,
    /// In Stripe's words.
    pub status: Option<String>,
}

/// A dispute.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Dispute {
    /// `dp_…`
    pub id: String,
    /// Unix seconds.
    pub created: Option<i64>,
    /// Of which charge.
    pub charge: Option<Reference>,
    /// Of which payment.
    pub payment_intent: Option<Reference>,
    /// Minor units.
    pub amount: Option<i64>,
    /// ISO 4217, lower case.
    pub currency: Option<String>,
    /// In Stripe's words.
    pub status: Option<String>,
    /// In Stripe's words.
    pub reason: Option<String>,
}
