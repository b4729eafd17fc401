//! Billing: how the way from trial to paid fares, a tenant's billing, and what puts either right.

use paywall_contract::{
    BillingHealth, InboxEvent, InboxState, KnownDrift, RepairOutcome, StuckConversion, TenantBilling,
};
use paywall_domain::billing::{DriftKind, Interval};
use paywall_domain::{PlanId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{Failure, Money};

/// What the copy has of the server's billing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum BillingCopy {
    /// Nothing: it was never read.
    #[default]
    Never,
    /// The server is too old to have any.
    NotOffered,
    /// The server was given no Stripe key.
    NotConfigured,
    /// Its health and its lists.
    Known,
}

/// A repair that was sent and whose answer is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct UnsettledRepair {
    /// Its idempotency key.
    pub key: String,
    /// The drift that it was to repair.
    pub drift_id: String,
    /// Its kind.
    pub kind: DriftKind,
    /// Whose; `null` = the account's, or nobody's.
    pub tenant_id: Option<TenantId>,
    /// The tenant's name.
    pub tenant_name: Option<String>,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// The server's database that it was sent to; `null` = not known then.
    pub instance: Option<String>,
}

/// How billing is, from the copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct BillingView {
    /// What the copy has.
    pub copy: BillingCopy,
    /// As the server last said; only where the copy has it.
    pub health: Option<BillingHealth>,
    /// When it was last read, by the server's clock.
    pub as_of: Option<Timestamp>,
    /// Why it could not be read the last time; `null` = it could, or the server was not reached at all.
    pub failure: Option<Failure>,
    /// Drifts in the copy.
    pub drifts: i64,
    /// Events in the copy that wait for their turn; there are only such where they do not get on.
    pub waiting: i64,
    /// Parked events in the copy.
    pub parked: i64,
    /// Failed events in the copy.
    pub failed: i64,
    /// Stuck conversions in the copy.
    pub conversions: i64,
    /// Rows that the server lists in words that this version does not know, and that are not in the copy.
    pub unknown: i64,
    /// Conversions that are paid, not unblocked, and no drift.
    pub paid_unnoticed: i64,
    /// Repairs whose answer is not known, latest first.
    pub unsettled: Vec<UnsettledRepair>,
}

/// Which drifts to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(default)]
#[ts(export_to = "ipc.ts")]
pub struct DriftQuery {
    /// Only this kind.
    pub kind: Option<DriftKind>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 500.
    pub limit: u32,
}

/// A page of drifts, the gravest kind first, then the oldest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct DriftPage {
    /// The rows.
    pub rows: Vec<KnownDrift>,
    /// For the next page; `null` at the end.
    pub next: Option<String>,
    /// How many rows there are in all; `null` = not counted (only the first page counts).
    pub total: Option<i64>,
}

/// Which events to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(default)]
#[ts(export_to = "ipc.ts")]
pub struct EventQuery {
    /// Only in this state.
    pub state: Option<InboxState>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 500.
    pub limit: u32,
}

/// A page of events that are parked or failed, or wait for too long, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct EventPage {
    /// The rows.
    pub rows: Vec<InboxEvent>,
    /// For the next page; `null` at the end.
    pub next: Option<String>,
    /// How many rows there are in all; `null` = not counted (only the first page counts).
    pub total: Option<i64>,
}

/// A page of stuck conversions, the longest stuck first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct ConversionPage {
    /// The rows.
    pub rows: Vec<StuckConversion>,
    /// For the next page; `null` at the end.
    pub next: Option<String>,
    /// How many rows there are in all; `null` = not counted (only the first page counts).
    pub total: Option<i64>,
}

/// What the server knows of a tenant's billing, as the copy has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct TenantBillingView {
    /// What the copy has of the server's billing.
    pub copy: BillingCopy,
    /// As the server last said; `null` = it was not asked yet.
    pub told: Option<TenantBilling>,
    /// Its drifts: the server's latest word of either kind.
    pub drifts: Vec<KnownDrift>,
    /// Where it is stuck on its way to paid.
    pub conversions: Vec<StuckConversion>,
}

/// What a repair would do, by the server's word of just now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct RepairPreview {
    /// Before and after, and what changes in Stripe.
    pub outcome: RepairOutcome,
    /// When the server was asked, by its own clock as far as it is known.
    pub checked_at: Timestamp,
}

/// A drift to repair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct RepairOrder {
    /// Which drift.
    pub drift_id: String,
    /// Why.
    pub reason: String,
    /// A link to the ticket.
    pub ticket: Option<String>,
    /// One per dialog: the same order sent twice repairs once.
    pub key: String,
}

/// What became of a repair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum RepairDone {
    /// It was made.
    Made {
        /// What it did; `null` = its answer was lost, and only the adjustment or the drift's end is known.
        repair: Option<Box<RepairOutcome>>,
    },
    /// The drift was gone before: nothing was done.
    Gone,
    /// It was not made and will not be. Only where its answer was lost.
    NotMade,
    /// It was sent to a database that no longer answers at that address, which alone could have told.
    OtherDatabase,
}

/// A price as Stripe has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct PriceRow {
    /// `price_…`
    pub id: String,
    /// ISO 4217, lower case.
    pub currency: String,
    /// Minor units; `null` for tiers and metered prices.
    pub unit_amount: Option<i64>,
    /// How often it recurs; `null` = it does not, or not known.
    pub interval: Option<Interval>,
    /// Every how many of `interval`.
    pub interval_count: Option<u32>,
}

/// A plan to pay for, at one of its prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct CheckoutOrder {
    /// Who is to pay.
    pub tenant_id: TenantId,
    /// What for.
    pub plan: PlanId,
    /// At which of the plan's prices; `null` = the first.
    pub price: Option<String>,
}

/// A payment of a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct PaymentRow {
    /// `ch_…`; `inpay_…` of one that came elsewhere and was only written down.
    pub id: String,
    /// In Stripe's words: `succeeded`, `pending`, `failed`.
    pub status: String,
    /// What was asked for; `null` = not known.
    pub amount: Option<Money>,
    /// What went back; `null` = not known.
    pub refunded: Option<Money>,
    /// Why it failed, in Stripe's words; `null` = it did not, or no reason is known.
    pub failure: Option<String>,
    /// The card's make, where one paid.
    pub card: Option<String>,
    /// The card's last four digits.
    pub last4: Option<String>,
    /// The invoice that it paid, or was to; `null` = none, or not known.
    pub invoice: Option<String>,
    /// When.
    pub created_at: Timestamp,
}

/// Money that went back to a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct RefundRow {
    /// `re_…`
    pub id: String,
    /// The payment that it is of.
    pub charge: String,
    /// In Stripe's words.
    pub status: String,
    /// How much; `null` = not known.
    pub amount: Option<Money>,
    /// Why, in Stripe's words.
    pub reason: Option<String>,
    /// When.
    pub created_at: Timestamp,
}

/// A payment that the customer disputes with the bank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct DisputeRow {
    /// `dp_…` or `du_…`
    pub id: String,
    /// The payment that it is about.
    pub charge: String,
    /// In Stripe's words.
    pub status: String,
    /// How much; `null` = not known.
    pub amount: Option<Money>,
    /// Why, in Stripe's words.
    pub reason: Option<String>,
    /// Until when evidence is taken.
    pub evidence_due_at: Option<Timestamp>,
    /// When.
    pub created_at: Timestamp,
}

/// A note that takes something off an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct CreditNoteRow {
    /// `cn_…`
    pub id: String,
    /// The invoice that it is about.
    pub invoice: Option<String>,
    /// In Stripe's words.
    pub status: String,
    /// How much; `null` = not known.
    pub total: Option<Money>,
    /// When.
    pub created_at: Timestamp,
}
