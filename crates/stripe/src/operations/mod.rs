//! Every request that may be sent to Stripe, in one table. Requests are built from it, and
//! `docs/stripe.md` is written from it.

use std::fmt;

mod billing;
mod mirror;

pub use billing::*;
pub use mirror::*;

/// Every request that may be sent.
pub static ALL: &[&Operation] = &[
    &LIST_CUSTOMERS,
    &LIST_PRODUCTS,
    &LIST_PRICES,
    &LIST_SUBSCRIPTIONS,
    &LIST_INVOICES,
    &LIST_ALL_INVOICE_PAYMENTS,
    &LIST_CHARGES,
    &LIST_REFUNDS,
    &LIST_CREDIT_NOTES,
    &LIST_DISPUTES,
    &LIST_EVENTS,
    &GET_CUSTOMER,
    &GET_PRODUCT,
    &GET_PRICE,
    &GET_SUBSCRIPTION,
    &GET_INVOICE,
    &GET_INVOICE_PAYMENT,
    &GET_CHARGE,
    &GET_REFUND,
    &GET_CREDIT_NOTE,
    &GET_DISPUTE,
    &GET_EVENT,
    &LIST_SUBSCRIPTION_ITEMS,
    &LIST_INVOICE_LINES,
    &LIST_PAYMENTS_OF_INVOICE,
    &LIST_CREDIT_NOTE_LINES,
    &CREATE_CUSTOMER,
    &RETRIEVE_CUSTOMER,
    &CREATE_CHECKOUT_SESSION,
    &RETRIEVE_CHECKOUT_SESSION,
    &EXPIRE_CHECKOUT_SESSION,
    &RETRIEVE_PRICE,
    &CREATE_PORTAL_SESSION,
    &RETRIEVE_SUBSCRIPTION,
    &LIST_BILLING_SUBSCRIPTIONS,
    &UPDATE_SUBSCRIPTION,
    &CANCEL_SUBSCRIPTION,
    &RETRIEVE_INVOICE,
    &LIST_BILLING_INVOICES,
    &LIST_INVOICE_PAYMENTS,
    &RETRIEVE_CHARGE,
    &RETRIEVE_DISPUTE,
    &LIST_CHARGE_DISPUTES,
    &POLL_EVENTS,
    &LIST_WEBHOOK_ENDPOINTS,
    &UPDATE_WEBHOOK_ENDPOINT,
];

/// The method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes or changes, once per idempotency key.
    Post,
    /// Ends.
    Delete,
}

impl Method {
    /// The method's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which program sends a request: what its restricted key has to be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SentBy {
    /// The console, which only reads.
    Console,
    /// The server.
    Server,
    /// Either.
    Both,
}

impl SentBy {
    /// Whether the console sends it.
    pub fn console(self) -> bool {
        self != Self::Server
    }

    /// Whether the server sends it.
    pub fn server(self) -> bool {
        self != Self::Console
    }
}

/// A request that may be sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Operation {
    /// What it does, in snake case.
    pub name: &'static str,
    /// How it is sent.
    pub method: Method,
    /// Where; ids stand in braces.
    pub path: &'static str,
    /// Why it is sent.
    pub purpose: &'static str,
    /// Parameters that are sent always, with these values.
    pub fixed: &'static [(&'static str, &'static str)],
    /// Parameters whose values, and often whose presence, vary. `[*]` stands for any key.
    pub parameters: &'static [&'static str],
    /// What a restricted key must be allowed, in Stripe's names; those of what is expanded too.
    pub permissions: &'static [&'static str],
    /// Who sends it.
    pub sent_by: SentBy,
}

impl Operation {
    /// Whether it is sent under an idempotency key. What reads or ends needs none: Stripe keeps keys for POST only.
    pub fn keyed(&self) -> bool {
        self.method == Method::Post
    }

    /// Whether a parameter of this name may be sent with it.
    pub fn declares(&self, parameter: &str) -> bool {
        self.parameters.iter().any(|declared| match declared.strip_suffix("[*]") {
            Some(prefix) => parameter
                .strip_prefix(prefix)
                .and_then(|rest| rest.strip_prefix('['))
                .and_then(|rest| rest.strip_suffix(']'))
                .is_some_and(|key| !key.is_empty()),
            None => *declared == parameter,
        })
    }
}
