//! Who pays, and how.

use serde::Deserialize;

use super::{Expandable, Identified, Metadata, Reference};

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
    /// Whether its latest invoice is unpaid.
    pub delinquent: Option<bool>,
    /// How its invoices are paid.
    pub invoice_settings: Option<InvoiceSettings>,
    /// An older way to pay.
    pub default_source: Option<Reference>,
    /// What was put on it; the tenant.
    pub metadata: Option<Metadata>,
    /// `true` for what remains of a deleted customer, which is its id.
    pub deleted: Option<bool>,
}

impl Identified for Customer {
    fn id(&self) -> &str {
        &self.id
    }
}

/// How a customer's invoices are paid.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct InvoiceSettings {
    /// `pm_…`
    pub default_payment_method: Option<Expandable<PaymentMethod>>,
}

/// A way to pay.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PaymentMethod {
    /// `pm_…`
    pub id: String,
    /// Such as `card` or `sepa_debit`.
    pub r#type: Option<String>,
    /// The card, where it is one.
    pub card: Option<Card>,
}

impl Identified for PaymentMethod {
    fn id(&self) -> &str {
        &self.id
    }
}

/// A card. It can be used until the end of the month that it names.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Card {
    /// Such as `visa`.
    pub brand: Option<String>,
    /// Its last four digits.
    pub last4: Option<String>,
    /// 1 to 12.
    pub exp_month: Option<i64>,
    /// With its century.
    pub exp_year: Option<i64>,
}
