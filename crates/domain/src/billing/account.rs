//! The account as a whole: whether the paywall hears of what happens there, and who pays for nothing.

use serde::{Deserialize, Serialize};

use crate::SubscriptionStatus;

use super::{BillingPolicy, ByHand, Drift, DriftBody, Repair, StripeMode, StripeSubscription};

/// The events that the webhook endpoint has to hear of: those that change anything here.
pub const WEBHOOK_EVENTS: [&str; 21] = [
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.refunded",
    "checkout.session.async_payment_failed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "checkout.session.expired",
    "customer.deleted",
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.trial_will_end",
    "customer.subscription.updated",
    "invoice.finalized",
    "invoice.marked_uncollectible",
    "invoice.paid",
    "invoice.payment_action_required",
    "invoice.payment_failed",
    "invoice.voided",
];

/// A webhook endpoint as Stripe has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookEndpoint {
    /// `we_…`
    pub id: String,
    /// Where it leads.
    pub url: String,
    /// Whether it is switched on.
    pub enabled: bool,
    /// Whether it is about real money.
    pub livemode: bool,
    /// What it hears of; `*` = everything that needs no choosing.
    pub events: Vec<String>,
}

/// The account as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountSide<'a> {
    /// Where Stripe's webhooks should arrive; `None` = the server was not told its public address.
    pub webhook_url: Option<&'a str>,
    /// Every endpoint; `None` = not known, such as by a key that may not list them.
    pub endpoints: Option<&'a [WebhookEndpoint]>,
    /// How many events Stripe could not deliver that were not processed since; `None` = not known.
    pub undelivered: Option<u64>,
    /// Subscriptions that are no tenant's: neither by their metadata nor by their customer.
    pub orphans: &'a [StripeSubscription],
}

/// Every drift that is the account's, not a tenant's.
pub fn account_drifts(account: &AccountSide<'_>, policy: &BillingPolicy) -> Vec<Drift> {
    let mut drifts = Vec::new();
    if let (Some(url), Some(endpoints)) = (account.webhook_url, account.endpoints) {
        drifts.extend(endpoint_drift(url, endpoints, policy.mode));
    }
    if let Some(count) = account.undelivered.filter(|it| *it > 0) {
        drifts.push(Drift {
            tenant: None,
            customer: None,
            subscription: None,
            endpoint: None,
            body: DriftBody::UndeliveredEvents { count },
            at_stake: None,
            repair: Repair::ProcessEvents,
        });
    }
    drifts.extend(account.orphans.iter().filter_map(|it| orphan(it, policy)));
    drifts.sort_by_key(|drift| (drift.kind(), drift.subject()));
    drifts
}

/// What is wrong with the endpoint that leads here. Of several that do, the one that hears the most counts.
fn endpoint_drift(url: &str, endpoints: &[WebhookEndpoint], mode: StripeMode) -> Option<Drift> {
    let ours = endpoints.iter().filter(|it| StripeMode::of(it.livemode) == mode && same_url(&it.url, url));
    let best = ours.min_by_key(|it| (!it.enabled, missing(it).len(), &it.id));
    let (endpoint, body, repair) = match best {
        None => (
            None,
            DriftBody::WebhookEndpointMissing { url: url.to_owned() },
            Repair::None { by_hand: ByHand::CreateEndpoint },
        ),
        Some(it) if !it.enabled => (
            Some(it.id.clone()),
            DriftBody::WebhookEndpointDisabled { url: it.url.clone() },
            Repair::EnableEndpoint { endpoint: it.id.clone() },
        ),
        Some(it) => {
            let events = missing(it);
            if events.is_empty() {
                return None;
            }
            let repair = Repair::AddEvents { endpoint: it.id.clone(), events: events.clone() };
            (Some(it.id.clone()), DriftBody::WebhookEventsMissing { events }, repair)
        }
    };
    Some(Drift { tenant: None, customer: None, subscription: None, endpoint, body, at_stake: None, repair })
}

fn missing(endpoint: &WebhookEndpoint) -> Vec<String> {
    if endpoint.events.iter().any(|it| it == "*") {
        return Vec::new();
    }
    WEBHOOK_EVENTS
        .iter()
        .filter(|event| !endpoint.events.iter().any(|it| it == *event))
        .map(ToString::to_string)
        .collect()
}

/// Stripe keeps addresses as they were typed. Scheme and host know no case; a slash at the end of the path
/// is another path, which the server would answer with 404.
fn same_url(a: &str, b: &str) -> bool {
    let parts = |url: &str| {
        let (scheme, rest) = url.split_once("://")?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        Some((format!("{scheme}://{host}").to_ascii_lowercase(), path.to_owned()))
    };
    parts(a).is_some_and(|it| Some(it) == parts(b))
}

/// A subscription that pays for a plan of ours and is nobody's. One to another product in the same account
/// is none of the paywall's business.
fn orphan(subscription: &StripeSubscription, policy: &BillingPolicy) -> Option<Drift> {
    let paying = matches!(
        subscription.status.known(),
        Some(SubscriptionStatus::Active | SubscriptionStatus::Trialing | SubscriptionStatus::PastDue)
    );
    let plan = policy.prices.plan_of(subscription)?;
    (paying && subscription.mode() == policy.mode).then(|| Drift {
        tenant: None,
        customer: Some(subscription.customer.clone()),
        subscription: Some(subscription.id.clone()),
        endpoint: None,
        body: DriftBody::UnknownCustomer { plan: plan.clone(), stripe: subscription.status.clone() },
        at_stake: subscription.monthly(),
        repair: Repair::None { by_hand: ByHand::AssignTenant },
    })
}
