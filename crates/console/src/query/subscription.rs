//! What a customer subscribed to, as the domain reads it: from Stripe's objects in the copy.

use paywall_contract::Tenant;
use paywall_domain::billing::{
    BillingPolicy, CollectionPause, Grace, Interval, Invoice, InvoiceState, Item, PaywallSide, PriceBook, StatusWord,
    StripeMode, StripePause, StripeSubscription, UpcomingChange, choose, upcoming,
};
use paywall_domain::{Plan, SubscriptionStatus, TenantId, Timestamp};
use paywall_stripe::shapes;
use serde::Deserialize as _;
use serde_json::Value;

use crate::ipc::PriceRow;

/// The name under which a subscription says which tenant it was sold to.
const TENANT: &str = "tenant_id";

fn at(seconds: Option<i64>) -> Option<Timestamp> {
    seconds.and_then(|it| it.checked_mul(1000)).map(Timestamp)
}

/// A subscription of the copy with its open invoices; `None` = it is none that this version can read.
pub(super) fn read(raw: &Value, open_invoices: &[Value]) -> Option<StripeSubscription> {
    let it = shapes::Subscription::deserialize(raw).ok()?;
    let status = StatusWord::read(it.status.as_deref()?);
    let stopped = status.known() == Some(SubscriptionStatus::Paused);
    // Before API version basil the running period was the subscription's.
    let period_end = at(raw["current_period_end"].as_i64());
    Some(StripeSubscription {
        customer: it.customer.as_ref()?.id().to_owned(),
        livemode: it.livemode?,
        created: at(it.created)?,
        tenant: it.metadata.as_ref().and_then(|it| it.get(TENANT)).and_then(|id| TenantId::parse(id).ok()),
        currency: it.currency.unwrap_or_default().to_ascii_lowercase(),
        items: it.items.iter().flat_map(|items| &items.data).map(|it| item(it, period_end)).collect(),
        trial_end: at(it.trial_end),
        cancel_at_period_end: it.cancel_at_period_end.unwrap_or(false),
        cancel_at: at(it.cancel_at),
        canceled_at: at(it.canceled_at),
        ended_at: at(it.ended_at),
        pause: stopped.then(StripePause::default),
        collection_pause: it.pause_collection.map(|it| CollectionPause {
            behavior: it.behavior.unwrap_or_default(),
            resumes_at: at(it.resumes_at),
            // Whose pause it is does not change when it ends.
            by_comp: false,
        }),
        latest_invoice: None,
        open_invoices: open_invoices.iter().filter_map(invoice).collect(),
        disputed_since: None,
        refunded_at: None,
        mrr: None,
        status,
        id: it.id,
    })
}

fn item(it: &shapes::SubscriptionItem, period_end: Option<Timestamp>) -> Item {
    let price = it.price.as_ref();
    let recurring = price.and_then(|it| it.recurring.as_ref());
    Item {
        price: price.map(|it| it.id.clone()).unwrap_or_default(),
        quantity: it.quantity,
        unit_amount: price.and_then(|it| it.unit_amount),
        interval: recurring.and_then(|it| Interval::parse(it.interval.as_deref()?)),
        interval_count: recurring.and_then(|it| u32::try_from(it.interval_count?).ok()),
        current_period_start: at(it.current_period_start),
        current_period_end: at(it.current_period_end).or(period_end),
    }
}

fn invoice(raw: &Value) -> Option<Invoice> {
    let it = shapes::Invoice::deserialize(raw).ok()?;
    Some(Invoice {
        state: InvoiceState::Open,
        created: at(it.created)?,
        finalized_at: it.status_transitions.as_ref().and_then(|it| at(it.finalized_at)),
        due_at: at(it.due_date),
        amount_remaining: it.amount_remaining,
        attempts: it.attempt_count.and_then(|it| u32::try_from(it).ok()).unwrap_or(0),
        last_attempt_at: None,
        next_attempt_at: at(it.next_payment_attempt),
        action_required: false,
        failure: None,
        id: it.id,
    })
}

/// What happens next by itself to the one of these subscriptions that counts for a tenant. The end of a grace
/// period is the server's to say: only it knows how long that is.
pub(super) fn upcoming_of(
    tenant: &Tenant,
    plans: &[Plan],
    subscriptions: &[StripeSubscription],
    livemode: bool,
    now: Timestamp,
) -> Vec<UpcomingChange> {
    let policy =
        BillingPolicy { mode: StripeMode::of(livemode), grace: Grace::default(), prices: PriceBook::of(plans) };
    let side = PaywallSide {
        tenant: tenant.id.clone(),
        deleted_at: tenant.deleted_at,
        customer: tenant.stripe_customer.clone(),
        facts: tenant.facts.clone(),
        billed: None,
    };
    let Some(chosen) = choose(&side, subscriptions, &policy) else { return Vec::new() };
    let mut changes = upcoming(chosen.subscription, policy.grace, now);
    changes.retain(|it| !matches!(it, UpcomingChange::GraceEnds { .. }));
    let told = tenant.facts.subscription.as_ref().filter(|it| it.id == chosen.subscription.id);
    changes
        .extend(told.and_then(|it| it.grace_ends_at).filter(|at| *at > now).map(|at| UpcomingChange::GraceEnds { at }));
    changes.sort_by_key(UpcomingChange::at);
    changes
}

/// A price of the copy; `None` = it is none that this version can read.
pub(super) fn price(raw: &Value) -> Option<PriceRow> {
    let it = shapes::Price::deserialize(raw).ok()?;
    Some(PriceRow {
        id: it.id,
        currency: it.currency?.to_ascii_lowercase(),
        unit_amount: it.unit_amount,
        interval: it.recurring.as_ref().and_then(|it| Interval::parse(it.interval.as_deref()?)),
        interval_count: it.recurring.and_then(|it| u32::try_from(it.interval_count?).ok()),
    })
}
