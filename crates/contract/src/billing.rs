//! Billing on the wire: how the way from trial to paid fares, and what to do where it does not.

use paywall_domain::billing::{
    CheckoutRefusal, Drift, DriftKind, Money, Remedy, Standing, StandingAccess, StripeMode, StripeSubscription,
    UpcomingChange,
};
use paywall_domain::{PlanId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::{IntoParams, ToSchema};

use crate::{Adjustment, Snapshot};

/// The kind of a Stripe key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum StripeKeyKind {
    /// `rk_…`: may do what it was given.
    Restricted,
    /// `sk_…`: may do everything.
    Secret,
}

/// Why Stripe cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct StripeFailure {
    /// A word that stays, such as `stripe_unreachable` or `stripe_permission_missing`.
    pub code: String,
    /// Since when.
    pub since: Timestamp,
    /// The permission that the key lacks (`rak_…`), where that is why.
    #[serde(default)]
    pub missing_permission: Option<String>,
    /// Stripe's name of the request that failed (`req_…`).
    #[serde(default)]
    pub request_id: Option<String>,
}

/// Whether and as what the server asks Stripe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[serde(tag = "state", rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum StripeConnection {
    /// The server was given no key: there is no billing.
    NotConfigured,
    /// It was given one.
    Configured {
        /// Which half of the account.
        mode: StripeMode,
        /// The kind of its key.
        key_kind: StripeKeyKind,
        /// Whether Stripe answered when it was last asked; `null` = it has not been asked yet.
        reachable: Option<bool>,
        /// Why it cannot be asked; `null` = it can.
        error: Option<StripeFailure>,
    },
}

/// Whether a webhook endpoint is switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum EndpointStatus {
    /// On.
    Enabled,
    /// Off, by a person or by Stripe after too many failures.
    Disabled,
}

/// The webhook endpoint in Stripe that leads to this server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct EndpointHealth {
    /// `we_…`
    pub id: String,
    /// Where it leads.
    pub url: String,
    /// Whether it is on.
    pub status: EndpointStatus,
    /// What it should hear of and does not.
    pub missing_events: Vec<String>,
}

/// How Stripe's messages arrive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct WebhookHealth {
    /// Whether the server has a secret to check signatures with; without one it refuses every message.
    pub secret_configured: bool,
    /// The endpoint in Stripe; `null` = none leads here, or the key may not list them.
    pub endpoint: Option<EndpointHealth>,
    /// When a message last arrived whose signature was right; `null` = never.
    pub last_received_at: Option<Timestamp>,
    /// When the event of that message happened, by Stripe's clock.
    pub last_event_created_at: Option<Timestamp>,
    /// How long the newest message took from happening to arriving, in milliseconds.
    pub lag_ms: Option<i64>,
    /// Messages in the last 24 hours whose signature was wrong.
    pub refused_signatures: i64,
}

/// The events of one day in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct DeliveryDay {
    /// The day's first instant.
    pub day: Timestamp,
    /// Events that arrived for the first time, by webhook or by asking.
    pub received: i64,
    /// Messages about events that were known already.
    pub repeated: i64,
    /// Events whose effects are in force.
    pub processed: i64,
    /// Events about objects that are not known here yet; they are tried again.
    pub parked: i64,
    /// Events that could not be processed.
    pub failed: i64,
}

/// What waits to be processed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct InboxHealth {
    /// Events that wait for their turn.
    pub pending: i64,
    /// Events about objects that are not known here yet.
    pub parked: i64,
    /// Events that could not be processed.
    pub failed: i64,
    /// When the oldest that waits arrived; `null` = none waits.
    pub oldest_pending_at: Option<Timestamp>,
}

/// The drifts of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct DriftCount {
    /// Which kind.
    pub kind: DriftKind,
    /// How many there are now.
    pub count: i64,
    /// Since when the oldest of them is known.
    pub oldest_since: Timestamp,
    /// What hangs on them per month, one amount per currency.
    pub at_stake: Vec<Money>,
}

/// How many conversions are stuck.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct StuckCounts {
    /// Checkout was opened and not finished.
    pub checkout_open: i64,
    /// Paid, and not unblocked.
    pub paid_not_unblocked: i64,
}

/// How billing is: `GET /admin/v1/billing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct BillingHealth {
    /// Whether and as what the server asks Stripe.
    pub stripe: StripeConnection,
    /// How Stripe's messages arrive.
    pub webhook: WebhookHealth,
    /// The last 30 days, the oldest first; days without events are there, with zeros.
    pub deliveries: Vec<DeliveryDay>,
    /// What waits to be processed.
    pub inbox: InboxHealth,
    /// Events that Stripe could not deliver and that were not processed since; `null` = not known.
    pub undelivered: Option<i64>,
    /// Drifts by kind, the gravest kind first; kinds without any are absent.
    pub drifts: Vec<DriftCount>,
    /// How many conversions are stuck.
    pub stuck: StuckCounts,
    /// When Stripe was last asked for events; `null` = never.
    pub polled_at: Option<Timestamp>,
    /// How often Stripe is asked for events, in milliseconds; `null` = it is not said.
    #[serde(default)]
    pub poll_every_ms: Option<i64>,
    /// When everything was last compared; `null` = never.
    pub reconciled_at: Option<Timestamp>,
    /// The instant for which this holds.
    pub as_of: Timestamp,
}

/// Which drifts to list, the gravest kind first, then the oldest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DriftsQuery {
    /// Only this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<DriftKind>,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Rows per page at most, 1 to 500; 50 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
}

/// A drift that is there: `GET /admin/v1/billing/drifts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct KnownDrift {
    /// The same for as long as it is there.
    pub id: String,
    /// The tenant's name; `null` = it is no tenant's.
    pub tenant_name: Option<String>,
    /// What differs, what hangs on it, and what puts it right; its kind is `body.kind`.
    pub drift: Drift,
    /// Where Stripe shows the object to a person; `null` where it has no page.
    pub dashboard_url: Option<String>,
    /// Since when it is known.
    pub first_seen_at: Timestamp,
    /// When it was last seen.
    pub last_seen_at: Timestamp,
}

/// Asks to repair a drift: `POST /admin/v1/billing/drifts/{id}/repair`, with `Idempotency-Key`.
/// `?dry_run=true` shows what would be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct RepairRequest {
    /// Why; may be empty.
    #[serde(default)]
    pub reason: String,
    /// A link to the ticket, `http` or `https`.
    #[serde(default)]
    pub ticket: Option<String>,
}

/// One change that is made in Stripe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct StripeWrite {
    /// The operation's name, as in docs/stripe.md.
    pub operation: String,
    /// The object that it changes.
    pub object: String,
    /// What is sent, in order.
    pub parameters: Vec<StripeParameter>,
}

/// One parameter of a change in Stripe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct StripeParameter {
    /// Such as `trial_end`.
    pub name: String,
    /// As it is sent.
    pub value: String,
}

/// What a repair did, or, for a dry run, would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct RepairOutcome {
    /// The tenant before; `null` where no tenant changes.
    pub before: Option<Snapshot>,
    /// The tenant after; `null` where no tenant changes.
    pub after: Option<Snapshot>,
    /// What it changes in Stripe.
    pub stripe_writes: Vec<StripeWrite>,
    /// The adjustment as recorded; `null` for a dry run, and where no tenant changes.
    pub adjustment: Option<Adjustment>,
    /// Whether the drift was gone before: nothing was done.
    pub gone: bool,
    /// The server's clock when it answered.
    pub now: Timestamp,
}

/// How far an event has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum InboxState {
    /// It waits for its turn.
    Pending,
    /// Its effects are in force.
    Done,
    /// It is about an object that is not known here yet; it is tried again.
    Parked,
    /// It could not be processed.
    Failed,
}

/// From where an event is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum InboxSource {
    /// Stripe sent it.
    Webhook,
    /// Stripe was asked for what happened lately.
    Poll,
    /// Everything was compared.
    Reconcile,
}

/// Which events to list, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct InboxQuery {
    /// Only in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<InboxState>,
    /// Only those that Stripe could not deliver; without a state, that are not done either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undelivered: Option<bool>,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Rows per page at most, 1 to 500; 50 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
}

/// An event in the inbox: `GET /admin/v1/billing/events`, `POST /admin/v1/billing/events/{id}/retry`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct InboxEvent {
    /// `evt_…`
    pub id: String,
    /// Such as `invoice.paid`.
    pub r#type: String,
    /// The object that it is about; `null` = it has no id.
    pub object_id: Option<String>,
    /// `cus_…`
    pub customer: Option<String>,
    /// The tenant, where it is known.
    pub tenant_id: Option<TenantId>,
    /// The tenant's name.
    pub tenant_name: Option<String>,
    /// When it happened, by Stripe's clock.
    pub created_at: Timestamp,
    /// When it arrived.
    pub received_at: Timestamp,
    /// From where it is known.
    pub source: InboxSource,
    /// How far it has come.
    pub state: InboxState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next; `null` = it is not.
    pub next_attempt_at: Option<Timestamp>,
    /// Why it is parked or failed: a word that stays.
    pub error: Option<String>,
    /// When its effects came into force.
    pub done_at: Option<Timestamp>,
    /// Whether Stripe could not deliver it, and was asked for it instead.
    #[serde(default)]
    pub undelivered: bool,
}

/// Where a conversion is stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum StuckAt {
    /// Checkout was opened and not finished.
    CheckoutOpen,
    /// Paid, and not unblocked.
    PaidNotUnblocked,
}

/// A tenant on its way from trial to paid that does not get on: `GET /admin/v1/billing/conversions`, the
/// longest stuck first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct StuckConversion {
    /// Whose.
    pub tenant_id: TenantId,
    /// The tenant's name.
    pub tenant_name: String,
    /// Where.
    pub at: StuckAt,
    /// Since when: the opening of Checkout, or the payment.
    pub since: Timestamp,
    /// `cs_…`
    pub session: String,
    /// `sub_…`, where it was paid.
    pub subscription: Option<String>,
    /// The plan that was chosen.
    pub plan: PlanId,
    /// The price that was chosen.
    pub price: String,
    /// The drift to repair, where there is one.
    pub drift: Option<String>,
}

/// Which stuck conversions to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ConversionsQuery {
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Rows per page at most, 1 to 500; 50 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
}

/// Where a Checkout session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "contract.ts")]
pub enum CheckoutState {
    /// The page can be used.
    Open,
    /// It was finished.
    Complete,
    /// Its time is over, or another one took its place.
    Expired,
}

/// A Checkout session of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct CheckoutSession {
    /// `cs_…`
    pub id: String,
    /// The plan that was chosen.
    pub plan: PlanId,
    /// The price that was chosen.
    pub price: String,
    /// Where it stands.
    pub state: CheckoutState,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When its page ends.
    pub expires_at: Timestamp,
    /// When it was finished.
    pub completed_at: Option<Timestamp>,
    /// When the tenant had access by it.
    pub unblocked_at: Option<Timestamp>,
}

/// A subscription of a tenant, and what it means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct TenantSubscription {
    /// As it was last read.
    pub subscription: StripeSubscription,
    /// When that was.
    pub fetched_at: Timestamp,
    /// Where it stands at `as_of`.
    pub standing: Standing,
    /// What that does to access.
    pub access: StandingAccess,
    /// What puts it right.
    pub remedy: Remedy,
    /// What it brings per month; `null` = that cannot be told.
    pub monthly: Option<Money>,
    /// Where Stripe shows it to a person.
    pub dashboard_url: String,
}

/// What the server knows of a tenant's billing: `GET /admin/v1/tenants/{id}/billing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct TenantBilling {
    /// Whose.
    pub tenant_id: TenantId,
    /// `cus_…`; `null` = it has no customer.
    pub customer: Option<String>,
    /// Where Stripe shows the customer to a person.
    pub customer_url: Option<String>,
    /// Every subscription, the one that counts first.
    pub subscriptions: Vec<TenantSubscription>,
    /// Where the one that counts stands; `null` = there is none.
    pub standing: Option<Standing>,
    /// What will happen by itself to the one that counts, the next first.
    pub upcoming: Vec<UpcomingChange>,
    /// Its Checkout sessions, the newest first, at most 20.
    pub sessions: Vec<CheckoutSession>,
    /// Its drifts.
    pub drifts: Vec<KnownDrift>,
    /// Why it cannot go to Checkout now; `null` = it can.
    pub checkout_refusal: Option<CheckoutRefusal>,
    /// The instant for which this holds.
    pub as_of: Timestamp,
}

/// Asks for a link to Checkout: `POST /admin/v1/tenants/{id}/checkout`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct CheckoutRequest {
    /// What for.
    pub plan: PlanId,
    /// At which of the plan's prices; the first without it.
    #[serde(default)]
    pub price: Option<String>,
}

/// A link to Checkout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct CheckoutLink {
    /// Where the customer pays.
    pub url: String,
    /// Until when the link works.
    pub expires_at: Timestamp,
}

/// A link to the customer's portal in Stripe: `POST /admin/v1/tenants/{id}/portal`. It works once, and
/// for minutes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[ts(export_to = "contract.ts")]
pub struct PortalLink {
    /// Where the customer changes, cancels or pays.
    pub url: String,
}
