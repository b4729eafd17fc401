//! The fields that we use, typed. Every one may be absent; words that Stripe may add to are text.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// A reference that comes as an id, or as the object itself where it was expanded.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Reference {
    /// The id.
    Id(String),
    /// The object.
    Expanded {
        /// Its id.
        id: String,
        /// The rest of it.
        #[serde(flatten)]
        rest: BTreeMap<String, Value>,
    },
}

impl Reference {
    /// The id of what is referred to.
    pub fn id(&self) -> &str {
        match self {
            Self::Id(id) | Self::Expanded { id, .. } => id,
        }
    }
}

/// A decimal, which Stripe sends as text or, in older versions, as a number.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Decimal {
    /// As text.
    Text(String),
    /// As a number.
    Number(serde_json::Number),
}

/// An embedded list.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Embedded<T> {
    /// Its first members.
    pub data: Vec<T>,
    /// Whether there are more.
    #[serde(default)]
    pub has_more: bool,
}

/// A customer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Customer {
    /// `cus_…`
    pub id: String,
    /// Unix seconds.
    pub created: Option<i64>,
    /// Address.
    pub email: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// ISO 4217, lower case.
    pub currency: Option<String>,
    /// Whether it is real.
    pub livemode: Option<bool>,
    /// How its invoices are paid.
    pub invoice_settings: Option<InvoiceSettings>,
    /// An older way to pay.
    pub default_source: Option<Reference>,
}

/// How a customer's invoices are paid.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct InvoiceSettings {
    /// `pm_…`
    pub default_payment_method: Option<Reference>,
}

/// A product.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Product {
    /// `prod_…`
    pub id: String,
    /// Unix seconds.
    pub created: Option<i64>,
    /// Name.
    pub name: Option<String>,
    /// Whether it is sold.
    pub active: Option<bool>,
}

/// A price.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Price {
    /// `price_…`
    pub id: String,
    /// Unix seconds.
    pub created: Option<i64>,
    /// ISO 4217, lower case.
    pub currency: Option<String>,
    /// Minor units.
    pub unit_amount: Option<i64>,
    /// Minor units, with up to 12 decimals.
    pub unit_amount_decimal: Option<Decimal>,
    /// Of which product.
    pub product: Option<Reference>,
    /// Whether it is sold.
    pub active: Option<bool>,
    /// How it recurs.
    pub recurring: Option<Recurring>,
}

/// How a price recurs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Recurring {
    /// `day`, `week`, `month` or `year`.
    pub interval: Option<String>,
    /// Every how many of these.
    pub interval_count: Option<i64>,
    /// `licensed` or `metered`.
    pub usage_type: Option<String>,
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Subscription {
    /// `sub_…`
    pub id: String,
    /// Unix seconds.
    pub created: Option<i64>,
    /// Whose.
    pub customer: Option<Reference>,
    /// In Stripe's words.
    pub status: Option<String>,
    /// ISO 4217, lower case.
    pub currency: Option<String>,
    /// What is subscribed to.
    pub items: Option<Embedded<SubscriptionItem>>,
    /// Unix seconds.
    pub start_date: Option<i64>,
    /// Unix seconds.
    pub ended_at: Option<i64>,
    /// Unix seconds.
    pub canceled_at: Option<i64>,
    /// Unix seconds.
    pub trial_start: Option<i64>,
    /// Unix seconds.
    pub trial_end: Option<i64>,
    /// Whether it ends with the running period.
    pub cancel_at_period_end: Option<bool>,
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
}

/// An invoice.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Invoice {
    /// `in_…`
    pub id: String,
    /// Unix seconds.
    pub created: Option<i64>,
    /// Whose.
    pub customer: Option<Reference>,
    /// In Stripe's words.
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
    /// What is charged for.
    pub lines: Option<Embedded<InvoiceLine>>,
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

/// A charge.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Charge {
    /// `ch_…`
    pub id: String,
    /// Unix seconds.
    pub created: Option<i64>,
    /// Whose.
    pub customer: Option<Reference>,
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
    /// Minor units.
    pub amount: Option<i64>,
    /// ISO 4217, lower case.
    pub currency: Option<String>,
    /// In Stripe's words.
    pub status: Option<String>,
    /// In Stripe's words.
    pub reason: Option<String>,
}

/// An event: that something happened to an object. What it carries of the object is in the version of
/// its day, so the object is fetched again.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Event {
    /// `evt_…`
    pub id: String,
    /// Unix seconds.
    pub created: Option<i64>,
    /// Such as `invoice.paid`.
    pub r#type: Option<String>,
    /// About what.
    pub data: Option<EventData>,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct EventData {
    /// The object as it was.
    pub object: Option<EventObject>,
}

/// The object that an event is about.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct EventObject {
    /// Its id; some previews have none.
    pub id: Option<String>,
    /// Its kind, such as `invoice`.
    pub object: Option<String>,
    /// Whose, where it belongs to a customer.
    pub customer: Option<Value>,
    /// Of which charge, for refunds and disputes.
    pub charge: Option<Value>,
}
