//! The lists that are read.

use std::fmt;

/// One of Stripe's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// `/v1/customers`
    Customers,
    /// `/v1/products`
    Products,
    /// `/v1/prices`, with their tiers.
    Prices,
    /// `/v1/subscriptions`, ended ones too.
    Subscriptions,
    /// `/v1/invoices`
    Invoices,
    /// `/v1/invoice_payments`: which payment paid which invoice.
    InvoicePayments,
    /// `/v1/charges`
    Charges,
    /// `/v1/refunds`
    Refunds,
    /// `/v1/credit_notes`
    CreditNotes,
    /// `/v1/disputes`
    Disputes,
    /// `/v1/events`: what changed in the last 30 days.
    Events,
}

impl Stream {
    /// Every list.
    pub const ALL: [Self; 11] = [
        Self::Customers,
        Self::Products,
        Self::Prices,
        Self::Subscriptions,
        Self::Invoices,
        Self::InvoicePayments,
        Self::Charges,
        Self::Refunds,
        Self::CreditNotes,
        Self::Disputes,
        Self::Events,
    ];

    /// The lists of things; events only say that something happened to one of these.
    pub const OBJECTS: [Self; 10] = [
        Self::Customers,
        Self::Products,
        Self::Prices,
        Self::Subscriptions,
        Self::Invoices,
        Self::InvoicePayments,
        Self::Charges,
        Self::Refunds,
        Self::CreditNotes,
        Self::Disputes,
    ];

    /// Its name, as in its path.
    pub fn name(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Products => "products",
            Self::Prices => "prices",
            Self::Subscriptions => "subscriptions",
            Self::Invoices => "invoices",
            Self::InvoicePayments => "invoice_payments",
            Self::Charges => "charges",
            Self::Refunds => "refunds",
            Self::CreditNotes => "credit_notes",
            Self::Disputes => "disputes",
            Self::Events => "events",
        }
    }

    /// The list by its name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.name() == name)
    }

    /// The list that holds objects of this kind, by Stripe's `object` field.
    pub fn of_object(object: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.object() == object)
    }

    /// What Stripe calls one of its members in the `object` field.
    pub fn object(self) -> &'static str {
        match self {
            Self::Customers => "customer",
            Self::Products => "product",
            Self::Prices => "price",
            Self::Subscriptions => "subscription",
            Self::Invoices => "invoice",
            Self::InvoicePayments => "invoice_payment",
            Self::Charges => "charge",
            Self::Refunds => "refund",
            Self::CreditNotes => "credit_note",
            Self::Disputes => "dispute",
            Self::Events => "event",
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
