//! What a customer has subscribed to.

use serde::Deserialize;

use super::{Customer, Embedded, Expandable, Identified, Invoice, Metadata, PaymentMethod, Price, Reference};

/// A subscription.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Subscription {
    /// `sub_…`
    pub id: String,
    /// Unix seconds.
    pub created: Option<i64>,
    /// Whose; expanded where the server reads it.
    pub customer: Option<Expandable<Customer>>,
    /// Whether it is real.
    pub livemode: Option<bool>,
    /// In Stripe's words.
    pub status: Option<String>,
    /// Why it has its status.
    pub status_details: Option<StatusDetails>,
    /// `charge_automatically` or `send_invoice`.
    pub collection_method: Option<String>,
    /// ISO 4217, lower case.
    pub currency: Option<String>,
    /// What is subscribed to. The running period is each item's, no longer the subscription's.
    pub items: Option<Embedded<SubscriptionItem>>,
    /// When the running period ends, in Unix seconds, in objects from before API version basil.
    pub current_period_end: Option<i64>,
    /// Unix seconds.
    pub start_date: Option<i64>,
    /// Unix seconds.
    pub billing_cycle_anchor: Option<i64>,
    /// Unix seconds.
    pub ended_at: Option<i64>,
    /// Unix seconds.
    pub canceled_at: Option<i64>,
    /// When it is to end, in Unix seconds.
    pub cancel_at: Option<i64>,
    /// Whether it ends with the running period.
    pub cancel_at_period_end: Option<bool>,
    /// Why it was canceled.
    pub cancellation_details: Option<CancellationDetails>,
    /// Unix seconds.
    pub trial_start: Option<i64>,
    /// Unix seconds.
    pub trial_end: Option<i64>,
    /// What happens when the trial ends.
    pub trial_settings: Option<TrialSettings>,
    /// Present while payments are not collected; its status stays as it is.
    pub pause_collection: Option<PauseCollection>,
    /// The latest invoice; expanded where the server reads it.
    pub latest_invoice: Option<Expandable<Invoice>>,
    /// How it is paid, before what the customer's invoices are paid with.
    pub default_payment_method: Option<Expandable<PaymentMethod>>,
    /// What is taken off.
    pub discounts: Option<Vec<Expandable<Discount>>>,
    /// A change that waits for its payment.
    pub schedule: Option<Reference>,
    /// The clock of a simulation that it lives by.
    pub test_clock: Option<Reference>,
    /// What was put on it; the tenant.
    pub metadata: Option<Metadata>,
}

impl Identified for Subscription {
    fn id(&self) -> &str {
        &self.id
    }
}

/// An item of a subscription.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SubscriptionItem {
    /// `si_…`
    pub id: String,
    /// What is paid.
    pub price: Option<Price>,
    /// How many.
    pub quantity: Option<i64>,
    /// Unix seconds.
    pub current_period_start: Option<i64>,
    /// Unix seconds.
    pub current_period_end: Option<i64>,
    /// What is taken off of this item alone.
    pub discounts: Option<Vec<Expandable<Discount>>>,
}

/// Why a subscription has its status.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct StatusDetails {
    /// Present while it is paused.
    pub paused: Option<Paused>,
}

/// Since when and why a subscription is paused.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Paused {
    /// Unix seconds.
    pub transitioned_at: Option<i64>,
    /// Why.
    pub subscription: Option<PauseReason>,
}

/// Why a subscription is paused.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PauseReason {
    /// Such as `trial_end_without_payment_method` or `pause_requested`.
    pub r#type: Option<String>,
}

/// Payments that are not collected for a while.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PauseCollection {
    /// What becomes of the invoices: `keep_as_draft`, `mark_uncollectible` or `void`.
    pub behavior: Option<String>,
    /// Unix seconds; `None` = until it is ended.
    pub resumes_at: Option<i64>,
}

/// What happens when a trial ends.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct TrialSettings {
    /// What happens.
    pub end_behavior: Option<EndBehavior>,
}

/// What happens when a trial ends.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct EndBehavior {
    /// Without a payment method: `cancel`, `create_invoice` or `pause`.
    pub missing_payment_method: Option<String>,
}

/// Why a subscription was canceled.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct CancellationDetails {
    /// Such as `cancellation_requested` or `payment_failed`.
    pub reason: Option<String>,
    /// What the customer chose to say.
    pub feedback: Option<String>,
    /// What somebody wrote.
    pub comment: Option<String>,
}

/// What is taken off.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Discount {
    /// `di_…`
    pub id: String,
    /// Unix seconds.
    pub start: Option<i64>,
    /// Unix seconds; `None` = once, or for ever.
    pub end: Option<i64>,
    /// Where it came from.
    pub source: Option<DiscountSource>,
}

impl Identified for Discount {
    fn id(&self) -> &str {
        &self.id
    }
}

/// Where a discount came from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct DiscountSource {
    /// The coupon.
    pub coupon: Option<Reference>,
}
