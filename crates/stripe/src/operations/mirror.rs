//! What the console reads to mirror the account.

use super::{Method, Operation, SentBy};
use crate::Stream;

/// Where in a list to read, and what of it.
const PAGED: &[&str] = &["limit", "starting_after", "ending_before", "created[gte]", "created[lt]"];

const fn list(
    name: &'static str,
    path: &'static str,
    fixed: &'static [(&'static str, &'static str)],
    permissions: &'static [&'static str],
) -> Operation {
    Operation {
        name,
        method: Method::Get,
        path,
        purpose: "a page of the mirror",
        fixed,
        parameters: PAGED,
        permissions,
        sent_by: SentBy::Console,
    }
}

const fn one(
    name: &'static str,
    path: &'static str,
    fixed: &'static [(&'static str, &'static str)],
    permissions: &'static [&'static str],
) -> Operation {
    Operation {
        name,
        method: Method::Get,
        path,
        purpose: "an object of which an event said that it changed",
        fixed,
        parameters: &[],
        permissions,
        sent_by: SentBy::Console,
    }
}

const CUSTOMERS: &[&str] = &["rak_customer_read", "rak_coupon_read"];
const SUBSCRIPTIONS: &[&str] = &["rak_subscription_read", "rak_coupon_read"];
const INVOICES: &[&str] = &["rak_invoice_read", "rak_credit_note_read", "rak_coupon_read"];
const CREDIT_NOTES: &[&str] = &["rak_credit_note_read"];

/// Reads a page of the list.
pub static LIST_CUSTOMERS: Operation =
    list("list_customers", "/v1/customers", &[("expand[]", "data.discount.source.coupon")], CUSTOMERS);
/// Reads a page of the list.
pub static LIST_PRODUCTS: Operation = list("list_products", "/v1/products", &[], &["rak_product_read"]);
/// Reads a page of the list.
pub static LIST_PRICES: Operation =
    list("list_prices", "/v1/prices", &[("expand[]", "data.tiers")], &["rak_plan_read"]);
/// Reads a page of the list.
pub static LIST_SUBSCRIPTIONS: Operation = list(
    "list_subscriptions",
    "/v1/subscriptions",
    // Without `status=all` Stripe leaves the canceled ones out.
    &[("status", "all"), ("expand[]", "data.discounts.source.coupon"), ("expand[]", "data.items.data.discounts")],
    SUBSCRIPTIONS,
);
/// Reads a page of the list.
pub static LIST_INVOICES: Operation =
    list("list_invoices", "/v1/invoices", &[("expand[]", "data.discounts.source.coupon")], INVOICES);
/// Reads a page of the list.
pub static LIST_ALL_INVOICE_PAYMENTS: Operation =
    list("list_all_invoice_payments", "/v1/invoice_payments", &[], &["rak_invoice_read"]);
/// Reads a page of the list.
pub static LIST_CHARGES: Operation = list("list_charges", "/v1/charges", &[], &["rak_charge_read"]);
/// Reads a page of the list.
pub static LIST_REFUNDS: Operation = list("list_refunds", "/v1/refunds", &[], &["rak_charge_read"]);
/// Reads a page of the list.
pub static LIST_CREDIT_NOTES: Operation = list("list_credit_notes", "/v1/credit_notes", &[], CREDIT_NOTES);
/// Reads a page of the list.
pub static LIST_DISPUTES: Operation = list("list_disputes", "/v1/disputes", &[], &["rak_dispute_read"]);
/// Reads a page of the list.
pub static LIST_EVENTS: Operation = list("list_events", "/v1/events", &[], &["rak_event_read"]);

/// Reads one of them.
pub static GET_CUSTOMER: Operation =
    one("get_customer", "/v1/customers/{customer}", &[("expand[]", "discount.source.coupon")], CUSTOMERS);
/// Reads one of them.
pub static GET_PRODUCT: Operation = one("get_product", "/v1/products/{product}", &[], &["rak_product_read"]);
/// Reads one of them.
pub static GET_PRICE: Operation = one("get_price", "/v1/prices/{price}", &[("expand[]", "tiers")], &["rak_plan_read"]);
/// Reads one of them.
pub static GET_SUBSCRIPTION: Operation = one(
    "get_subscription",
    "/v1/subscriptions/{subscription}",
    &[("expand[]", "discounts.source.coupon"), ("expand[]", "items.data.discounts")],
    SUBSCRIPTIONS,
);
/// Reads one of them.
pub static GET_INVOICE: Operation = one(
    "get_invoice",
    "/v1/invoices/{invoice}",
    // No event tells of every change of its payments.
    &[("expand[]", "discounts.source.coupon"), ("expand[]", "payments")],
    INVOICES,
);
/// Reads one of them.
pub static GET_INVOICE_PAYMENT: Operation =
    one("get_invoice_payment", "/v1/invoice_payments/{payment}", &[], &["rak_invoice_read"]);
/// Reads one of them.
pub static GET_CHARGE: Operation = one("get_charge", "/v1/charges/{charge}", &[], &["rak_charge_read"]);
/// Reads one of them.
pub static GET_REFUND: Operation = one("get_refund", "/v1/refunds/{refund}", &[], &["rak_charge_read"]);
/// Reads one of them.
pub static GET_CREDIT_NOTE: Operation = one("get_credit_note", "/v1/credit_notes/{credit_note}", &[], CREDIT_NOTES);
/// Reads one of them.
pub static GET_DISPUTE: Operation = one("get_dispute", "/v1/disputes/{dispute}", &[], &["rak_dispute_read"]);
/// Reads one of them.
pub static GET_EVENT: Operation = one("get_event", "/v1/events/{event}", &[], &["rak_event_read"]);

/// The rest of a subscription's items.
pub static LIST_SUBSCRIPTION_ITEMS: Operation = Operation {
    name: "list_subscription_items",
    method: Method::Get,
    path: "/v1/subscription_items",
    purpose: "the items of a subscription of which only the first came with it, or whose coupons lie too deep",
    fixed: &[("limit", "100"), ("expand[]", "data.discounts.source.coupon")],
    parameters: &["subscription", "starting_after"],
    permissions: SUBSCRIPTIONS,
    sent_by: SentBy::Both,
};

/// The rest of an invoice's lines.
pub static LIST_INVOICE_LINES: Operation = Operation {
    name: "list_invoice_lines",
    method: Method::Get,
    path: "/v1/invoices/{invoice}/lines",
    purpose: "the lines of an invoice of which only the first came with it",
    fixed: &[("limit", "100")],
    parameters: &["starting_after"],
    permissions: INVOICES,
    sent_by: SentBy::Both,
};

/// The rest of an invoice's payments.
pub static LIST_PAYMENTS_OF_INVOICE: Operation = Operation {
    name: "list_payments_of_invoice",
    method: Method::Get,
    path: "/v1/invoice_payments",
    purpose: "the payments of an invoice of which only the first came with it",
    fixed: &[("limit", "100")],
    parameters: &["invoice", "starting_after"],
    permissions: &["rak_invoice_read"],
    sent_by: SentBy::Console,
};

/// The rest of a credit note's lines.
pub static LIST_CREDIT_NOTE_LINES: Operation = Operation {
    name: "list_credit_note_lines",
    method: Method::Get,
    path: "/v1/credit_notes/{credit_note}/lines",
    purpose: "the lines of a credit note of which only the first came with it",
    fixed: &[("limit", "100")],
    parameters: &["starting_after"],
    permissions: CREDIT_NOTES,
    sent_by: SentBy::Console,
};

impl Stream {
    /// How a page of the list is asked for.
    pub fn list_operation(self) -> &'static Operation {
        match self {
            Self::Customers => &LIST_CUSTOMERS,
            Self::Products => &LIST_PRODUCTS,
            Self::Prices => &LIST_PRICES,
            Self::Subscriptions => &LIST_SUBSCRIPTIONS,
            Self::Invoices => &LIST_INVOICES,
            Self::InvoicePayments => &LIST_ALL_INVOICE_PAYMENTS,
            Self::Charges => &LIST_CHARGES,
            Self::Refunds => &LIST_REFUNDS,
            Self::CreditNotes => &LIST_CREDIT_NOTES,
            Self::Disputes => &LIST_DISPUTES,
            Self::Events => &LIST_EVENTS,
        }
    }

    /// How a single member is asked for, so that it comes in the shape that the list gives.
    pub fn get_operation(self) -> &'static Operation {
        match self {
            Self::Customers => &GET_CUSTOMER,
            Self::Products => &GET_PRODUCT,
            Self::Prices => &GET_PRICE,
            Self::Subscriptions => &GET_SUBSCRIPTION,
            Self::Invoices => &GET_INVOICE,
            Self::InvoicePayments => &GET_INVOICE_PAYMENT,
            Self::Charges => &GET_CHARGE,
            Self::Refunds => &GET_REFUND,
            Self::CreditNotes => &GET_CREDIT_NOTE,
            Self::Disputes => &GET_DISPUTE,
            Self::Events => &GET_EVENT,
        }
    }
}
