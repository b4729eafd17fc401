//! What a customer subscribed to, as the domain reads it: from Stripe's objects in the copy.

use paywall_contract::Tenant;
use paywall_domain::billing::{
    BillingPolicy, Grace, Interval, PaywallSide, PriceBook, StripeMode, StripeSubscription, UpcomingChange, choose,
    upcoming,
};
use paywall_domain::{Plan, Timestamp};
use paywall_stripe::{facts, shapes};
use serde::Deserialize as _;
use serde_json::Value;

use crate::ipc::PriceRow;

/// A subscription of the copy with its open invoices; `None` = it is none that this version can read.
pub(super) fn read(raw: &Value, open_invoices: &[Value]) -> Option<StripeSubscription> {
    // Whose pause it is does not change when it ends.
    let it = facts::subscription(&shapes::Subscription::deserialize(raw).ok()?, false).ok()?;
    let open = open_invoices.iter().filter_map(|raw| shapes::Invoice::deserialize(raw).ok());
    let open_invoices = open.filter(|it| it.created.is_some()).map(|it| facts::invoice(&it)).collect();
    Some(StripeSubscription { open_invoices, ..it })
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
