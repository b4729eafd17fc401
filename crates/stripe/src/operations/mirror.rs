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
const INVOICES: &[&str] = &["rak_invoice_read", "rak_credit_note_read"];

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
pub static LIST_INVOICES: Operation = list("list_invoices", "/v1/invoices", &[], INVOICES);
/// Reads a page of the list.
pub static LIST_CHARGES: Operation = list("list_charges", "/v1/charges", &[], &["rak_charge_read"]);
/// Reads a page of the list.
pub static LIST_REFUNDS: Operation = list("list_refunds", "/v1/refunds", &[], &["rak_charge_read"]);
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
pub static GET_INVOICE: Operation = one("get_invoice", "/v1/invoices/{invoice}", &[], INVOICES);
/// Reads one of them.
pub static GET_CHARGE: Operation = one("get_charge", "/v1/charges/{charge}", &[], &["rak_charge_read"]);
/// Reads one of them.
pub static GET_REFUND: Operation = one("get_refund", "/v1/refunds/{refund}", &[], &["rak_charge_read"]);
/// Reads one of them.
pub static GET_DISPUTE: Operation = one("get_dispute", "/v1/disputes/{dispute}", &[], &["rak_dispute_read"]);
/// Reads one of them.
pub static GET_EVENT: Operation = one("get_event", "/v1/events/{event}", &[], &["rak_event_read"]);

/// The rest of a subscription's items.
pub static LIST_SUBSCRIPTION_ITEMS: Operation = Operation {
    name: "list_subscription_items",
    method: Method::Get,
    path: "/v1/subscription_items",
    purpose: "the items of a subscription of which only the first came with it",
    fixed: &[("limit", "100"), ("expand[]", "data.discounts")],
    parameters: &["subscription", "starting_after"],
    permissions: &["rak_subscription_read"],
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

impl Stream {
    /// How a page of the list is asked for.
    pub fn list_operation(self) -> &'static Operation {
        match self {
            Self::Customers => &LIST_CUSTOMERS,
            Self::Products => &LIST_PRODUCTS,
            Self::Prices => &LIST_PRICES,
            Self::Subscriptions => &LIST_SUBSCRIPTIONS,
            Self::Invoices => &LIST_INVOICES,
            Self::Charges => &LIST_CHARGES,
            Self::Refunds => &LIST_REFUNDS,
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
            Self::Charges => &GET_CHARGE,
            Self::Refunds => &GET_REFUND,
            Self::Disputes => &GET_DISPUTE,
            Self::Events => &GET_EVENT,
        }
    }
}
