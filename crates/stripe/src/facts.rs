//! What the domain's billing rules go by, from Stripe's objects as they are: read by the server from Stripe, and by the
//! console from its copy.

use paywall_domain::billing::{
    CollectionPause, Interval, Invoice, InvoiceState, Item, PaymentFailure, StatusWord, StripePause, StripeSubscription,
};
use paywall_domain::{SubscriptionStatus, TenantId, Timestamp};

use crate::shapes::{self, Expandable};

/// Under which key a tenant's id stands in what was sold to it.
pub const TENANT: &str = "tenant_id";

/// The tenant that something was sold to. A text that is no tenant's id names none.
pub fn tenant(metadata: Option<&shapes::Metadata>) -> Option<TenantId> {
    metadata.and_then(|it| it.get(TENANT)).and_then(|id| TenantId::parse(id).ok())
}

/// An instant of Stripe, which counts in seconds.
pub fn at(seconds: Option<i64>) -> Option<Timestamp> {
    seconds.and_then(|it| it.checked_mul(1000)).map(Timestamp)
}

/// A subscription by what the object itself says; `by_comp`: whether a pause of its collection is the paywall's. What hangs
/// on it and is not in it (open invoices, disputes, refunds) is left empty.
///
/// # Errors
/// What it lacks, without which nothing can be said of it.
pub fn subscription(it: &shapes::Subscription, by_comp: bool) -> Result<StripeSubscription, String> {
    let lacking = |field: &str| format!("{field}: missing");
    let paused = it.status_details.as_ref().and_then(|it| it.paused.as_ref());
    let status = StatusWord::read(it.status.as_deref().ok_or_else(|| lacking("status"))?);
    let stopped = status.known() == Some(SubscriptionStatus::Paused);
    // Before API version basil the running period was the subscription's.
    let period_end = at(it.current_period_end);
    let items = it.items.iter().flat_map(|items| &items.data).map(|it| item(it, period_end)).collect();
    Ok(StripeSubscription {
        id: it.id.clone(),
        customer: it.customer.as_ref().map(|it| it.id().to_owned()).ok_or_else(|| lacking("customer"))?,
        livemode: it.livemode.ok_or_else(|| lacking("livemode"))?,
        status,
        created: at(it.created).ok_or_else(|| lacking("created"))?,
        tenant: tenant(it.metadata.as_ref()),
        currency: it.currency.as_deref().unwrap_or_default().to_ascii_lowercase(),
        items,
        trial_end: at(it.trial_end),
        cancel_at_period_end: it.cancel_at_period_end.unwrap_or(false),
        cancel_at: at(it.cancel_at),
        canceled_at: at(it.canceled_at),
        ended_at: at(it.ended_at),
        pause: stopped.then(|| StripePause {
            since: paused.and_then(|it| at(it.transitioned_at)),
            resumes_at: None,
            reason: paused.and_then(|it| it.subscription.as_ref()?.r#type.clone()),
        }),
        collection_pause: it.pause_collection.as_ref().map(|it| CollectionPause {
            behavior: it.behavior.clone().unwrap_or_default(),
            resumes_at: at(it.resumes_at),
            by_comp,
        }),
        latest_invoice: it.latest_invoice.as_ref().and_then(Expandable::object).map(invoice),
        open_invoices: Vec::new(),
        disputed_since: None,
        refunded_at: None,
        mrr: None,
    })
}

fn item(it: &shapes::SubscriptionItem, period_end: Option<Timestamp>) -> Item {
    let price = it.price.as_ref();
    let recurring = price.and_then(|it| it.recurring.as_ref());
    Item {
        price: price.map(|it| it.id.clone()).unwrap_or_default(),
        quantity: it.quantity,
        unit_amount: price.and_then(|it| it.unit_amount),
        interval: recurring.and_then(|it| it.interval.as_deref()).and_then(Interval::parse),
        interval_count: recurring.and_then(|it| it.interval_count).and_then(|it| u32::try_from(it).ok()),
        current_period_start: at(it.current_period_start),
        current_period_end: at(it.current_period_end).or(period_end),
    }
}

/// An invoice by what the object itself says.
pub fn invoice(it: &shapes::Invoice) -> Invoice {
    let intent = it.payment().and_then(|it| it.payment.as_ref()?.payment_intent.as_ref()?.object());
    let error = intent.and_then(|it| it.last_payment_error.as_ref());
    Invoice {
        id: it.id.clone(),
        state: it.status.as_deref().map_or(InvoiceState::Other, InvoiceState::of_word),
        created: at(it.created).unwrap_or(Timestamp(0)),
        finalized_at: it.status_transitions.as_ref().and_then(|it| at(it.finalized_at)),
        due_at: at(it.due_date),
        amount_remaining: it.amount_remaining,
        attempts: it.attempt_count.and_then(|it| u32::try_from(it).ok()).unwrap_or(0),
        // Its payment is made with the first attempt; of later ones only the charge tells.
        last_attempt_at: it
            .payment()
            .filter(|_| it.attempt_count.is_some_and(|attempts| attempts <= 1))
            .and_then(|it| at(it.created)),
        next_attempt_at: at(it.next_payment_attempt),
        action_required: intent.is_some_and(|it| it.status.as_deref() == Some("requires_action")),
        failure: error.map(|it| PaymentFailure {
            code: it.code.clone().unwrap_or_else(|| "unknown".to_owned()),
            decline_code: it.decline_code.clone(),
        }),
    }
}
