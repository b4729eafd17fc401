//! What the screens show, read from the local copy.

use paywall_contract::{Refusal, Tag, Tenant, TimelineEntry};
use paywall_domain::{AccessLevel, Meter, Plan, Status, TenantId, Timestamp, UndoRefusal};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// An amount of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct Money {
    /// In minor units of the currency (Stripe's count of decimals).
    pub amount: i64,
    /// ISO 4217, lower case.
    pub currency: String,
}

/// A saved view of the tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum TenantView {
    /// Every tenant that is not deleted.
    #[default]
    All,
    /// Refused at least one request in the last 7 days.
    Blocked,
    /// Status trial.
    Trial,
    /// Status active.
    Active,
    /// Status past due.
    PastDue,
    /// Status expired.
    Expired,
    /// Status suspended.
    Suspended,
    /// Trials that end within 3 days.
    TrialEnding,
    /// Trials that ended within the last 14 days without anything after them.
    TrialLapsed,
    /// Trials, running or lapsed within 14 days, that were extended.
    TrialExtended,
    /// Locked out by an ended trial or subscription or an overdue payment, and active in the last 7 days.
    LockedOutActive,
    /// Some operations denied by a quota.
    QuotaBlocked,
    /// Has a subscription that counts towards recurring revenue: the rows behind that figure.
    Paying,
    /// Its trial began in the 90 days up to 30 days ago, deleted or not: the rows behind the conversion.
    TrialCohort,
    /// Deleted tenants.
    Deleted,
}

/// By what a list of tenants is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum TenantColumn {
    /// Name; case does not matter.
    #[default]
    Name,
    /// When the trial ends; tenants without one last.
    TrialEndsAt,
    /// The highest meter's share of its limit; unknown last.
    Used,
    /// The last request; unknown last.
    LastActiveAt,
    /// When it was first seen.
    CreatedAt,
}

/// Which tenants to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(default)]
#[ts(export_to = "ipc.ts")]
pub struct TenantQuery {
    /// Which view.
    pub view: TenantView,
    /// Only this plan.
    pub plan: Option<String>,
    /// Only tenants whose name, e-mail, domain or ids contain this.
    pub text: String,
    /// By what to sort.
    pub sort: TenantColumn,
    /// Turn the order around.
    pub descending: bool,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 500.
    pub limit: u32,
}

/// A tenant as a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct TenantRow {
    /// The tenant's id.
    pub id: TenantId,
    /// Display name.
    pub name: String,
    /// The owner's address.
    pub email: String,
    /// The plan's name.
    pub plan_name: String,
    /// The status, as the server last said.
    pub status: Status,
    /// How much works, as the server last said.
    pub level: AccessLevel,
    /// What is remarkable beside.
    pub tags: Vec<Tag>,
    /// When the trial ends or ended; `null` = it has none.
    pub trial_ends_at: Option<Timestamp>,
    /// How often the trial was extended.
    pub extensions: u32,
    /// How much the extensions added in all, in milliseconds.
    pub extended_ms: i64,
    /// The highest meter's share of its limit in percent, rounded down; `null` = unknown or no limit.
    pub used_percent: Option<i64>,
    /// Which meter that is.
    pub used_meter: Option<Meter>,
    /// The last request; `null` = none known.
    pub last_active_at: Option<Timestamp>,
    /// The last refused request; `null` = none known.
    pub last_refused_at: Option<Timestamp>,
    /// Monthly recurring revenue, a row per currency; empty = none. `null` = Stripe's data is not here.
    pub mrr: Option<Vec<Money>>,
    /// The instant past which the server's word no longer holds by time alone.
    pub holds_until: Option<Timestamp>,
}

/// A page of tenants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct TenantPage {
    /// The rows.
    pub rows: Vec<TenantRow>,
    /// For the next page; `null` at the end.
    pub next: Option<String>,
    /// How many rows there are in all; `null` = not counted (only the first page counts).
    pub total: Option<i64>,
}

/// How many tenants a view has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct ViewCount {
    /// Which view.
    pub view: TenantView,
    /// How many.
    pub count: i64,
}

/// A Stripe invoice in a tenant's billing facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct InvoiceRow {
    /// `in_…`
    pub id: String,
    /// The number that the customer sees.
    pub number: Option<String>,
    /// In Stripe's words.
    pub status: String,
    /// The invoice's total.
    pub total: Money,
    /// What is still to be paid.
    pub remaining: Money,
    /// When it was made.
    pub created_at: Timestamp,
    /// How often payment was tried.
    pub attempts: i64,
}

/// A Stripe subscription in a tenant's billing facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct SubscriptionRow {
    /// `sub_…`
    pub id: String,
    /// In Stripe's words.
    pub status: String,
    /// Monthly recurring revenue; 0 while it does not count, `null` = it cannot be told.
    pub mrr: Option<Money>,
    /// What it costs per month at its list prices; `null` = they alone do not tell.
    pub monthly: Option<Money>,
    /// What is subscribed to; empty where that cannot be read.
    pub items: Vec<paywall_domain::billing::Item>,
    /// Until when the running period is paid.
    pub current_period_end: Option<Timestamp>,
    /// Whether it ends with the running period.
    pub cancel_at_period_end: bool,
}

/// What Stripe says of a tenant's customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct Billing {
    /// `cus_…`
    pub customer: String,
    /// Whether Stripe says that it was deleted.
    pub deleted: bool,
    /// Whether it is about real money.
    pub livemode: bool,
    /// Whether a payment method is on file; `null` = not known.
    pub payment_method: Option<bool>,
    /// Where Stripe shows it to a person.
    pub dashboard_url: String,
    /// Latest first; `null` = Stripe's list of them is not here.
    pub subscriptions: Option<Vec<SubscriptionRow>>,
    /// Latest first, at most 13: one more than is shown; `null` = Stripe's list of them is not here.
    pub invoices: Option<Vec<InvoiceRow>>,
    /// Latest first, at most 13: one more than is shown; `null` = Stripe's list of them is not here.
    pub payments: Option<Vec<super::PaymentRow>>,
    /// Latest first, at most 13: one more than is shown; `null` = Stripe's list of them is not here.
    pub refunds: Option<Vec<super::RefundRow>>,
    /// Latest first, at most 13: one more than is shown; `null` = Stripe's list of them is not here.
    pub disputes: Option<Vec<super::DisputeRow>>,
    /// Latest first, at most 13: one more than is shown; `null` = Stripe's list of them is not here.
    pub credit_notes: Option<Vec<super::CreditNoteRow>>,
    /// What happens by itself to the subscription that counts, the next first, as far as Stripe's objects tell.
    pub upcoming: Vec<paywall_domain::billing::UpcomingChange>,
}

/// A tenant in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct TenantDetail {
    /// As the server last said.
    pub tenant: Tenant,
    /// Its own plan.
    pub plan: Option<Plan>,
    /// The plan in force.
    pub plan_in_force: Option<Plan>,
    /// What Stripe says; `null` = it has no customer, Stripe's data is not here, or its customer is not in it.
    pub billing: Option<Billing>,
    /// Whether Stripe's data is here at all.
    pub stripe_known: bool,
    /// The instant for which the server's data is complete.
    pub as_of: Option<Timestamp>,
}

/// An entry of a timeline or of Activity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct EntryRow {
    /// As the server recorded it.
    pub entry: TimelineEntry,
    /// For an adjustment: whether it can be undone, as far as the copy knows.
    pub undo: Option<UndoState>,
    /// Whether this token made it.
    pub mine: bool,
    /// For a first refusal: the request itself, as long as it is the tenant's last refused one.
    pub refusal: Option<Refusal>,
}

/// Whether an adjustment can be undone. The server has the last word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "state", rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum UndoState {
    /// It can.
    Possible,
    /// It cannot.
    Refused {
        /// Why.
        reason: UndoRefusal,
    },
}

/// A page of entries, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct EntryPage {
    /// The rows.
    pub rows: Vec<EntryRow>,
    /// For the next page; `null` at the end.
    pub next: Option<String>,
    /// Changes that were sent and whose answer is not known yet; only on the first page of Activity.
    pub unsettled: Vec<super::UnsettledChange>,
}

/// Which entries Activity shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum ActivityView {
    /// Adjustments and what happened by itself.
    #[default]
    All,
    /// Adjustments that this token made.
    Mine,
    /// Adjustments by anybody.
    Staff,
    /// What happened by itself.
    System,
}

/// A hit of the search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct SearchHit {
    /// The tenant.
    pub row: TenantRow,
    /// What matched: `name`, `email`, `domain`, `id`, `stripe_customer`, `subscription`, `invoice`, `member`.
    pub matched: String,
    /// The text that matched, where it is not the name or the owner's address.
    pub value: Option<String>,
}

/// What the search found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct SearchResult {
    /// What was searched for, after `mailto:`, brackets, links and spaces were taken off.
    pub normalised: String,
    /// At most 20, best first: exact id or address, domain, start of name, anywhere; blocked ones
    /// first among equals.
    pub hits: Vec<SearchHit>,
    /// The age of the copy that was searched; `null` = there is none, or the server itself was asked.
    pub as_of: Option<Timestamp>,
}

/// Money on the Overview.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct MrrTile {
    /// Monthly recurring revenue now, a row per currency, the one with most subscriptions first.
    pub now: Vec<Money>,
    /// From subscriptions that began in the last 30 days, by currency.
    pub new_30d: Vec<Money>,
    /// From subscriptions that ended in the last 30 days, by currency.
    pub churned_30d: Vec<Money>,
    /// How many subscriptions count.
    pub subscriptions: i64,
    /// Of these, how many Stripe bills with tax inside the price, so that the figure includes it.
    pub including_tax: i64,
    /// Subscriptions that are paid for and whose revenue cannot be told; they are left out of every sum.
    pub untold: i64,
    /// Of those that count, how many belong to no tenant that is listed here.
    pub elsewhere: i64,
}

/// Trials on the Overview.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct TrialsTile {
    /// How many run.
    pub running: i64,
    /// How many of these end within 3 days.
    pub ending: i64,
}

/// Conversion on the Overview: by start cohort.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct ConversionTile {
    /// Trials that started in the cohort's span.
    pub started: i64,
    /// Of these, how many are decided: paid, or over.
    pub decided: i64,
    /// Of these, how many paid a first invoice above 0.
    pub converted: i64,
    /// The cohort's span: from.
    pub from: Timestamp,
    /// To, exclusive.
    pub to: Timestamp,
}

/// Overdue payments on the Overview.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct PastDueTile {
    /// How many tenants are past due.
    pub tenants: i64,
    /// Their monthly recurring revenue, by currency; `null` = Stripe's data is not here.
    pub at_risk: Option<Vec<Money>>,
    /// Since when the oldest is overdue.
    pub oldest_since: Option<Timestamp>,
}

/// What needs somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum AttentionKind {
    /// Locked out by an ended trial or subscription or an overdue payment, and active in the last 7 days.
    LockedOutActive,
    /// Blocked by quota.
    QuotaBlocked,
    /// A payment is overdue.
    PastDue,
    /// Trials end within 3 days.
    TrialEnding,
    /// A disputed payment waits for an answer to the bank.
    DisputeOpen,
}

/// A row of "needs attention". Only rows with a count above 0 exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct AttentionItem {
    /// What.
    pub kind: AttentionKind,
    /// How many tenants; of disputes, how many disputes.
    pub count: i64,
    /// The view that lists them; `null` = none does.
    pub view: Option<TenantView>,
    /// For quotas: which meters, most frequent first.
    pub meters: Vec<Meter>,
    /// For disputes: by when the first is to be answered; `null` = not known.
    pub due_at: Option<Timestamp>,
    /// For disputes: the tenant of the first; `null` = it is no tenant's.
    pub tenant_id: Option<TenantId>,
    /// For disputes: the first one, `dp_…` or `du_…`.
    pub dispute: Option<String>,
    /// For disputes: whether that is about real money.
    pub livemode: bool,
}

/// The next trial to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct NextTrialEnd {
    /// Whose.
    pub tenant_id: TenantId,
    /// Its name.
    pub name: String,
    /// When.
    pub at: Timestamp,
}

/// The Overview.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct Overview {
    /// `null` = Stripe's data is not here.
    pub mrr: Option<MrrTile>,
    /// Trials.
    pub trials: TrialsTile,
    /// `null` = Stripe's data is not here.
    pub conversion: Option<ConversionTile>,
    /// Overdue payments.
    pub past_due: PastDueTile,
    /// What needs somebody, most urgent first.
    pub attention: Vec<AttentionItem>,
    /// The next trial to end.
    pub next_trial_end: Option<NextTrialEnd>,
    /// The latest adjustments, at most 5.
    pub recent: Vec<EntryRow>,
    /// How many tenants there are, deleted ones left out.
    pub tenants: i64,
}
