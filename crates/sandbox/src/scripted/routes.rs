//! Which operation a request means.

use axum::http::Method;
use serde_json::Value;

use super::form::Form;
use super::state::State;
use crate::ids::Kind;
use crate::keys::Access;
use crate::wire::Failure;

pub(crate) type Act = fn(&mut State, &str, Form) -> Result<Value, Failure>;

/// How an operation is done.
pub(crate) enum Run<'a> {
    List(Kind),
    Get(Kind, &'a str),
    Lines(&'a str),
    LineItems(&'a str),
    Items,
    Act(Act, &'a str),
}

/// What a request means.
pub(crate) struct Operation<'a> {
    pub(crate) endpoint: &'static str,
    pub(crate) kind: Kind,
    pub(crate) access: Access,
    pub(crate) run: Run<'a>,
}

/// The kinds that can be listed and retrieved.
const READ: [Kind; 19] = [
    Kind::Customer,
    Kind::Product,
    Kind::Price,
    Kind::Subscription,
    Kind::Invoice,
    Kind::Charge,
    Kind::Refund,
    Kind::Dispute,
    Kind::Event,
    Kind::SubscriptionItem,
    Kind::PaymentIntent,
    Kind::PaymentMethod,
    Kind::CheckoutSession,
    Kind::WebhookEndpoint,
    Kind::InvoicePayment,
    Kind::CreditNote,
    Kind::Coupon,
    Kind::TestClock,
    Kind::BalanceTransaction,
];

/// Finds the operation of a request.
pub(crate) fn operation<'a>(method: &Method, path: &'a str) -> Option<Operation<'a>> {
    let path = path.strip_prefix("/v1/")?;
    let get = *method == Method::GET;
    if let Some(kind) = READ.into_iter().find(|kind| path == kind.plural()).filter(|_| get) {
        let run = if kind == Kind::SubscriptionItem { Run::Items } else { Run::List(kind) };
        return Some(Operation { endpoint: kind.plural(), kind, access: Access::Read, run });
    }
    let single = READ.into_iter().find_map(|kind| {
        let id = path.strip_prefix(kind.plural())?.strip_prefix('/')?;
        (!id.contains('/')).then_some((kind, id))
    });
    if let Some((kind, id)) = single.filter(|_| get) {
        return Some(Operation { endpoint: kind.singular(), kind, access: Access::Read, run: Run::Get(kind, id) });
    }
    let read = |endpoint, kind, run| Some(Operation { endpoint, kind, access: Access::Read, run });
    let steps: Vec<&str> = path.split('/').collect();
    if get {
        return match steps.as_slice() {
            ["invoices", id, "lines"] => read("invoice_lines", Kind::Invoice, Run::Lines(id)),
            ["checkout", "sessions", id, "line_items"] => {
                read("checkout_line_items", Kind::CheckoutSession, Run::LineItems(id))
            }
            _ => None,
        };
    }
    let (endpoint, kind, act, id): (&'static str, Kind, Act, &str) = if *method == Method::DELETE {
        match steps.as_slice() {
            ["customers", id] => (
                "delete_customer",
                Kind::Customer,
                |it, id, form| form.done().and_then(|()| it.delete_customer(id)),
                id,
            ),
            ["subscriptions", id] => ("cancel_subscription", Kind::Subscription, State::cancel_now, id),
            ["webhook_endpoints", id] => (
                "delete_webhook_endpoint",
                Kind::WebhookEndpoint,
                |it, id, form| form.done().and_then(|()| it.delete_endpoint(id)),
                id,
            ),
            _ => return None,
        }
    } else if *method == Method::POST {
        match steps.as_slice() {
            ["customers"] => ("create_customer", Kind::Customer, |it, _, form| it.create_customer(form), ""),
            ["customers", id] => ("update_customer", Kind::Customer, State::update_customer, id),
            ["products"] => ("create_product", Kind::Product, |it, _, form| it.create_product(form), ""),
            ["products", id] => ("update_product", Kind::Product, State::update_product, id),
            ["prices"] => ("create_price", Kind::Price, |it, _, form| it.create_price(form), ""),
            ["prices", id] => ("update_price", Kind::Price, State::update_price, id),
            ["checkout", "sessions"] => {
                ("create_session", Kind::CheckoutSession, |it, _, form| it.create_session(form), "")
            }
            ["checkout", "sessions", id] => ("update_session", Kind::CheckoutSession, State::update_session, id),
            ["checkout", "sessions", id, "expire"] => {
                ("expire_session", Kind::CheckoutSession, State::expire_session, id)
            }
            ["billing_portal", "sessions"] => {
                ("create_portal", Kind::PortalSession, |it, _, form| it.create_portal_session(form), "")
            }
            ["subscriptions"] => {
                ("create_subscription", Kind::Subscription, |it, _, form| it.create_subscription(form), "")
            }
            ["subscriptions", id] => ("update_subscription", Kind::Subscription, State::update_subscription, id),
            ["subscriptions", id, "resume"] => ("resume_subscription", Kind::Subscription, State::resume, id),
            ["subscriptions", id, "pause"] => ("pause_subscription", Kind::Subscription, State::pause_subscription, id),
            ["invoices", id, "pay"] => {
                ("pay_invoice", Kind::Invoice, |it, id, form| on_invoice(it, id, form, "pay"), id)
            }
            ["invoices", id, "void"] => {
                ("void_invoice", Kind::Invoice, |it, id, form| on_invoice(it, id, form, "void"), id)
            }
            ["invoices", id, "finalize"] => {
                ("finalize_invoice", Kind::Invoice, |it, id, form| on_invoice(it, id, form, "finalize"), id)
            }
            ["invoices", id, "mark_uncollectible"] => {
                ("write_off_invoice", Kind::Invoice, |it, id, form| on_invoice(it, id, form, "mark_uncollectible"), id)
            }
            ["refunds"] => ("create_refund", Kind::Refund, |it, _, form| it.create_refund(form), ""),
            ["disputes", id, "close"] => ("close_dispute", Kind::Dispute, State::accept_dispute, id),
            ["credit_notes"] => ("create_credit_note", Kind::CreditNote, |it, _, form| it.create_credit_note(form), ""),
            ["webhook_endpoints"] => {
                ("create_webhook_endpoint", Kind::WebhookEndpoint, |it, _, form| it.create_endpoint(form), "")
            }
            ["webhook_endpoints", id] => ("update_webhook_endpoint", Kind::WebhookEndpoint, State::update_endpoint, id),
            ["test_helpers", "test_clocks", id, "advance"] => {
                ("advance_clock", Kind::TestClock, State::advance_clock, id)
            }
            _ => return None,
        }
    } else {
        return None;
    };
    Some(Operation { endpoint, kind, access: Access::Write, run: Run::Act(act, id) })
}

fn on_invoice(state: &mut State, id: &str, mut form: Form, act: &str) -> Result<Value, Failure> {
    form.accept(&["auto_advance", "off_session", "forgive"]);
    form.done()?;
    state.act_on_invoice(id, act)
}
