//! What is charged for, and by what it was paid.

use serde::Deserialize;

use super::{Embedded, Expandable, Fault, Identified, Metadata, PaymentIntent, Reference};

/// An invoice.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Invoice {
    /// `in_…`
    pub id: String,
    /// Unix seconds.
    pub created: Option<i64>,
    /// Whose.
    pub customer: Option<Reference>,
    /// Whether it is real.
    pub livemode: Option<bool>,
    /// `draft`, `open`, `paid`, `uncollectible` or `void`.
    pub status: Option<String>,
    /// What the customer sees.
    pub number: Option<String>,
    /// ISO 4217, lower case.
    pub currency: Option<String>,
    /// Minor units.
    pub total: Option<i64>,
    /// Minor units.
    pub amount_due: Option<i64>,
    /// Minor units.
    pub amount_paid: Option<i64>,
    /// Minor units.
    pub amount_remaining: Option<i64>,
    /// How often payment was tried.
    pub attempt_count: Option<i64>,
    /// Whether payment was tried.
    pub attempted: Option<bool>,
    /// When it is tried again, in Unix seconds; `None` = not by itself.
    pub next_payment_attempt: Option<i64>,
    /// Unix seconds; only where invoices are sent.
    pub due_date: Option<i64>,
    /// Such as `subscription_cycle`.
    pub billing_reason: Option<String>,
    /// `charge_automatically` or `send_invoice`.
    pub collection_method: Option<String>,
    /// When it got from one status to the next.
    pub status_transitions: Option<StatusTransitions>,
    /// What it came from.
    pub parent: Option<InvoiceParent>,
    /// Why it could not be finalized.
    pub last_finalization_error: Option<Fault>,
    /// Where the customer can pay it and confirm the payment.
    pub hosted_invoice_url: Option<String>,
    /// By what it is paid; only where it was expanded.
    pub payments: Option<Embedded<InvoicePayment>>,
    /// What is charged for.
    pub lines: Option<Embedded<InvoiceLine>>,
    /// What was put on it.
    pub metadata: Option<Metadata>,
}

impl Invoice {
    /// The subscription that it belongs to.
    pub fn subscription(&self) -> Option<&str> {
        self.parent.as_ref()?.subscription_details.as_ref()?.subscription.as_ref().map(Reference::id)
    }

    /// The payment that counts: the default one, else the latest.
    pub fn payment(&self) -> Option<&InvoicePayment> {
        let payments = &self.payments.as_ref()?.data;
        let default = payments.iter().find(|payment| payment.is_default == Some(true));
        default.or_else(|| payments.iter().max_by_key(|payment| payment.created))
    }
}

impl Identified for Invoice {
    fn id(&self) -> &str {
        &self.id
    }
}

/// When an invoice got from one status to the next, in Unix seconds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct StatusTransitions {
    /// No longer a draft.
    pub finalized_at: Option<i64>,
    /// Paid.
    pub paid_at: Option<i64>,
    /// Void.
    pub voided_at: Option<i64>,
    /// Given up.
    pub marked_uncollectible_at: Option<i64>,
}

/// What an invoice came from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct InvoiceParent {
    /// Such as `subscription_details`.
    pub r#type: Option<String>,
    /// The subscription, where it came from one.
    pub subscription_details: Option<ParentSubscription>,
}

/// The subscription that an invoice came from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ParentSubscription {
    /// `sub_…`
    pub subscription: Option<Reference>,
    /// What was on the subscription when the invoice was made.
    pub metadata: Option<Metadata>,
}

/// A line of an invoice.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct InvoiceLine {
    /// `il_…`
    pub id: String,
    /// Minor units.
    pub amount: Option<i64>,
    /// How many.
    pub quantity: Option<i64>,
}

/// A payment towards an invoice.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct InvoicePayment {
    /// `inpay_…`
    pub id: String,
    /// Unix seconds.
    pub created: Option<i64>,
    /// Of which invoice.
    pub invoice: Option<Expandable<Invoice>>,
    /// `open`, `paid` or `canceled`.
    pub status: Option<String>,
    /// Whether it is the one that Stripe made for the whole of the invoice.
    pub is_default: Option<bool>,
    /// Minor units.
    pub amount_paid: Option<i64>,
    /// Minor units.
    pub amount_requested: Option<i64>,
    /// ISO 4217, lower case.
    pub currency: Option<String>,
    /// By what.
    pub payment: Option<PaidBy>,
}

/// A credit note: an invoice made smaller after it was finalized.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct CreditNote {
    /// `cn_…`
    pub id: String,
    /// Unix seconds.
    pub created: Option<i64>,
    /// Whose.
    pub customer: Option<Reference>,
    /// Of which invoice.
    pub invoice: Option<Reference>,
    /// `issued` or `void`.
    pub status: Option<String>,
    /// ISO 4217, lower case.
    pub currency: Option<String>,
    /// Minor units.
    pub total: Option<i64>,
    /// Of it before the invoice was paid, in minor units.
    pub pre_payment_amount: Option<i64>,
    /// Of it after the invoice was paid, in minor units.
    pub post_payment_amount: Option<i64>,
}

/// By what an invoice is paid.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PaidBy {
    /// `payment_intent`, `payment_record` or `charge`.
    pub r#type: Option<String>,
    /// The payment intent; expanded where an invoice is read by itself.
    pub payment_intent: Option<Expandable<PaymentIntent>>,
    /// The charge, where there is no payment intent.
    pub charge: Option<Reference>,
}
