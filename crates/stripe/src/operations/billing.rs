//! What the server sends to bring a tenant from trial to paid, and to keep both sides equal.

use super::{Method, Operation, SentBy};

/// A subscription with what its standing depends on. Stripe expands four levels at most.
const SUBSCRIPTION: &[(&str, &str)] = &[
    ("expand[]", "latest_invoice.payments"),
    ("expand[]", "default_payment_method"),
    ("expand[]", "customer.invoice_settings.default_payment_method"),
    ("expand[]", "discounts.source.coupon"),
    ("expand[]", "items.data.discounts"),
];
const SUBSCRIPTION_READ: &[&str] = &[
    "rak_subscription_read",
    "rak_customer_read",
    "rak_invoice_read",
    "rak_credit_note_read",
    "rak_payment_method_read",
    "rak_coupon_read",
];
const SUBSCRIPTION_WRITE: &[&str] = &[
    "rak_subscription_write",
    "rak_customer_read",
    "rak_invoice_read",
    "rak_credit_note_read",
    "rak_payment_method_read",
    "rak_coupon_read",
];
const INVOICE_READ: &[&str] = &["rak_invoice_read", "rak_credit_note_read"];
const INVOICE_PAYMENT_READ: &[&str] = &["rak_invoice_read", "rak_credit_note_read", "rak_payment_intent_read"];

const BILLING: Operation = Operation {
    name: "",
    method: Method::Get,
    path: "",
    purpose: "",
    fixed: &[],
    parameters: &[],
    permissions: &[],
    sent_by: SentBy::Server,
};

/// Makes a tenant's customer.
pub static CREATE_CUSTOMER: Operation = Operation {
    name: "create_customer",
    method: Method::Post,
    path: "/v1/customers",
    purpose: "a tenant's customer, made and mapped before its first Checkout",
    parameters: &["email", "name", "metadata[*]"],
    permissions: &["rak_customer_write"],
    ..BILLING
};

/// Reads a customer.
pub static RETRIEVE_CUSTOMER: Operation = Operation {
    name: "retrieve_customer",
    path: "/v1/customers/{customer}",
    purpose: "whether a tenant's customer still exists, and how it pays",
    fixed: &[("expand[]", "invoice_settings.default_payment_method")],
    permissions: &["rak_customer_read", "rak_payment_method_read"],
    ..BILLING
};

/// Opens Checkout.
pub static CREATE_CHECKOUT_SESSION: Operation = Operation {
    name: "create_checkout_session",
    method: Method::Post,
    path: "/v1/checkout/sessions",
    purpose: "the page on which a tenant subscribes",
    fixed: &[("mode", "subscription")],
    parameters: &[
        "customer",
        "client_reference_id",
        "line_items[0][price]",
        "line_items[0][quantity]",
        "success_url",
        "cancel_url",
        "expires_at",
        "locale",
        "allow_promotion_codes",
        "automatic_tax[enabled]",
        "tax_id_collection[enabled]",
        "billing_address_collection",
        "customer_update[address]",
        "customer_update[name]",
        "metadata[*]",
        "subscription_data[metadata][*]",
        "subscription_data[trial_end]",
        "subscription_data[trial_period_days]",
    ],
    permissions: &["rak_checkout_session_write"],
    ..BILLING
};

/// Reads a Checkout session.
pub static RETRIEVE_CHECKOUT_SESSION: Operation = Operation {
    name: "retrieve_checkout_session",
    path: "/v1/checkout/sessions/{session}",
    purpose: "how a Checkout ended, and which subscription came of it",
    permissions: &["rak_checkout_session_read"],
    ..BILLING
};

/// Closes Checkout.
pub static EXPIRE_CHECKOUT_SESSION: Operation = Operation {
    name: "expire_checkout_session",
    method: Method::Post,
    path: "/v1/checkout/sessions/{session}/expire",
    purpose: "closes a tenant's open Checkout before it gets another",
    permissions: &["rak_checkout_session_write"],
    ..BILLING
};

/// Reads a price.
pub static RETRIEVE_PRICE: Operation = Operation {
    name: "retrieve_price",
    path: "/v1/prices/{price}",
    purpose: "what a plan costs, for the page on which a tenant chooses one",
    permissions: &["rak_plan_read"],
    ..BILLING
};

/// Opens the customer portal.
pub static CREATE_PORTAL_SESSION: Operation = Operation {
    name: "create_portal_session",
    method: Method::Post,
    path: "/v1/billing_portal/sessions",
    purpose: "the page on which a tenant changes its plan or card, cancels or resumes",
    parameters: &["customer", "return_url", "configuration", "locale"],
    permissions: &["rak_customer_portal_write"],
    ..BILLING
};

/// Reads a subscription.
pub static RETRIEVE_SUBSCRIPTION: Operation = Operation {
    name: "retrieve_subscription",
    path: "/v1/subscriptions/{subscription}",
    purpose: "the present state of a subscription of which an event told",
    fixed: SUBSCRIPTION,
    permissions: SUBSCRIPTION_READ,
    ..BILLING
};

/// Reads a page of subscriptions.
pub static LIST_BILLING_SUBSCRIPTIONS: Operation = Operation {
    name: "list_billing_subscriptions",
    path: "/v1/subscriptions",
    purpose: "reconciliation of one customer, and of all of them every night",
    fixed: &[
        // Without `status=all` Stripe leaves the canceled ones out.
        ("status", "all"),
        ("expand[]", "data.latest_invoice.payments"),
        ("expand[]", "data.default_payment_method"),
        ("expand[]", "data.customer.invoice_settings.default_payment_method"),
        ("expand[]", "data.discounts.source.coupon"),
        ("expand[]", "data.items.data.discounts"),
    ],
    parameters: &["customer", "limit", "starting_after"],
    permissions: SUBSCRIPTION_READ,
    ..BILLING
};

/// Changes a subscription.
pub static UPDATE_SUBSCRIPTION: Operation = Operation {
    name: "update_subscription",
    method: Method::Post,
    path: "/v1/subscriptions/{subscription}",
    purpose: "keeps a trial that lives in Stripe equal to the paywall's; ends, keeps or pauses a subscription",
    fixed: &[
        // A trial is moved, never charged for: without this Stripe makes prorations of the move.
        ("proration_behavior", "none"),
        ("expand[]", "latest_invoice.payments"),
        ("expand[]", "default_payment_method"),
        ("expand[]", "customer.invoice_settings.default_payment_method"),
        ("expand[]", "discounts.source.coupon"),
        ("expand[]", "items.data.discounts"),
    ],
    parameters: &[
        "trial_end",
        "cancel_at_period_end",
        "pause_collection",
        "pause_collection[behavior]",
        "pause_collection[resumes_at]",
        "metadata[*]",
    ],
    permissions: SUBSCRIPTION_WRITE,
    ..BILLING
};

/// Ends a subscription at once.
pub static CANCEL_SUBSCRIPTION: Operation = Operation {
    name: "cancel_subscription",
    method: Method::Delete,
    path: "/v1/subscriptions/{subscription}",
    purpose: "ends a second subscription, or one whose tenant is gone",
    fixed: SUBSCRIPTION,
    parameters: &["cancellation_details[comment]"],
    permissions: SUBSCRIPTION_WRITE,
    ..BILLING
};

/// Reads an invoice.
pub static RETRIEVE_INVOICE: Operation = Operation {
    name: "retrieve_invoice",
    path: "/v1/invoices/{invoice}",
    purpose: "why an invoice is not paid, or by which charge it is",
    fixed: &[("expand[]", "payments.data.payment.payment_intent")],
    permissions: INVOICE_PAYMENT_READ,
    ..BILLING
};

/// Reads a page of invoices.
pub static LIST_BILLING_INVOICES: Operation = Operation {
    name: "list_billing_invoices",
    path: "/v1/invoices",
    purpose: "the invoices of one subscription or customer, such as the latest that was paid",
    fixed: &[("expand[]", "data.payments")],
    parameters: &["subscription", "customer", "status", "limit", "starting_after"],
    permissions: INVOICE_READ,
    ..BILLING
};

/// Finds the invoice that a payment paid.
pub static LIST_INVOICE_PAYMENTS: Operation = Operation {
    name: "list_invoice_payments",
    path: "/v1/invoice_payments",
    purpose: "which invoice a refunded or disputed payment was for",
    fixed: &[("payment[type]", "payment_intent"), ("limit", "100"), ("expand[]", "data.invoice")],
    parameters: &["payment[payment_intent]", "starting_after"],
    permissions: INVOICE_READ,
    ..BILLING
};

/// Reads a charge.
pub static RETRIEVE_CHARGE: Operation = Operation {
    name: "retrieve_charge",
    path: "/v1/charges/{charge}",
    purpose: "whether a payment was refunded or is disputed",
    fixed: &[("expand[]", "refunds")],
    permissions: &["rak_charge_read"],
    ..BILLING
};

/// Reads a dispute.
pub static RETRIEVE_DISPUTE: Operation = Operation {
    name: "retrieve_dispute",
    path: "/v1/disputes/{dispute}",
    purpose: "the present state of a dispute of which an event told",
    permissions: &["rak_dispute_read"],
    ..BILLING
};

/// Reads the disputes of a charge.
pub static LIST_CHARGE_DISPUTES: Operation = Operation {
    name: "list_charge_disputes",
    path: "/v1/disputes",
    purpose: "since when a charge is disputed, and whether that is over",
    fixed: &[("limit", "100")],
    parameters: &["charge", "starting_after"],
    permissions: &["rak_dispute_read"],
    ..BILLING
};

/// Reads a page of events.
pub static POLL_EVENTS: Operation = Operation {
    name: "poll_events",
    path: "/v1/events",
    purpose: "what no webhook brought: events since the last look, and those that could not be delivered",
    parameters: &["types[]", "delivery_success", "created[gte]", "limit", "starting_after"],
    permissions: &["rak_event_read"],
    ..BILLING
};

/// Reads the webhook endpoints.
pub static LIST_WEBHOOK_ENDPOINTS: Operation = Operation {
    name: "list_webhook_endpoints",
    path: "/v1/webhook_endpoints",
    purpose: "whether Stripe still delivers here, and all that is needed",
    fixed: &[("limit", "100")],
    parameters: &["starting_after"],
    permissions: &["rak_webhook_read"],
    ..BILLING
};

/// Changes a webhook endpoint.
pub static UPDATE_WEBHOOK_ENDPOINT: Operation = Operation {
    name: "update_webhook_endpoint",
    method: Method::Post,
    path: "/v1/webhook_endpoints/{endpoint}",
    purpose: "repair: enables the endpoint, adds the events that it lacks",
    parameters: &["disabled", "enabled_events[]"],
    permissions: &["rak_webhook_write"],
    ..BILLING
};
