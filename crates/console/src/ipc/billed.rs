//! Invoices, payments that failed, and trials. Amounts are in minor units; days as in [`super::RevenueView`].

use paywall_domain::Timestamp;
use paywall_domain::billing::InvoiceState;
use paywall_revenue::Recovery;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{Payer, RateView};

/// So many invoices, and what they bill in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct InvoiceSum {
    /// How many.
    pub count: i64,
    /// What they bill, in minor units.
    pub amount: i64,
}

/// Invoices billed in one span of days in one currency whose payment failed at least once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct FailedPaymentsRow {
    /// ISO 4217, lower case.
    pub currency: String,
    /// The first day.
    pub from: String,
    /// The first day after it.
    pub to: String,
    /// Whether it is over.
    pub finished: bool,
    /// All of them.
    pub failed: InvoiceSum,
    /// Paid after all.
    pub recovered: InvoiceSum,
    /// Open.
    pub waiting: InvoiceSum,
    /// Given up.
    pub given_up: InvoiceSum,
    /// Recovered of those decided, by number.
    pub recovery: RateView,
}

/// Which invoices to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(default)]
#[ts(export_to = "ipc.ts")]
pub struct InvoiceQuery {
    /// Only in this status.
    pub state: Option<InvoiceState>,
    /// Only those whose payment failed at least once, with this outcome.
    pub recovery: Option<Recovery>,
    /// Only those whose payment failed at least once.
    pub failed: bool,
    /// Only in this currency.
    pub currency: Option<String>,
    /// Billed on or after this day.
    pub from: Option<String>,
    /// Billed before this day.
    pub to: Option<String>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 500.
    pub limit: u32,
}

/// An invoice. Amounts are in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct BilledInvoice {
    /// `in_…`
    pub id: String,
    /// As the customer sees it; `null` = a draft.
    pub number: Option<String>,
    /// Whose.
    pub payer: Payer,
    /// Where it stands.
    pub state: InvoiceState,
    /// ISO 4217, lower case.
    pub currency: String,
    /// What it bills.
    pub total: i64,
    /// What was paid of it.
    pub amount_paid: i64,
    /// What is left to pay.
    pub amount_remaining: i64,
    /// How often payment was tried.
    pub attempts: i64,
    /// When it was billed: became final, else was made.
    pub billed_at: Timestamp,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
}

/// Invoices, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct InvoicePage {
    /// The rows.
    pub rows: Vec<BilledInvoice>,
    /// For the next page; `null` at the end.
    pub next: Option<String>,
    /// How many there are in all, and what they bill, by currency; on the first page only.
    pub totals: Option<Vec<CurrencySum>>,
}

/// So many invoices of a currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct CurrencySum {
    /// ISO 4217, lower case.
    pub currency: String,
    /// How many and how much.
    pub sum: InvoiceSum,
}

/// What became of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum TrialOutcome {
    /// Its first invoice above zero was paid.
    Converted,
    /// It ended, and nothing was paid.
    Lost,
    /// It runs, or its first invoice waits for its payment.
    Undecided,
}

/// The trials that began in one span of days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct TrialCohortRow {
    /// The first day.
    pub from: String,
    /// The first day after it.
    pub to: String,
    /// Whether it is over.
    pub finished: bool,
    /// How many began.
    pub started: i64,
    /// How many of them converted.
    pub converted: i64,
    /// How many converted or were lost.
    pub decided: i64,
    /// How many are not decided; they are in no rate.
    pub undecided: i64,
    /// Converted of decided.
    pub conversion: RateView,
}

/// Conversion of trials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct TrialConversion {
    /// By when they began, oldest first.
    pub cohorts: Vec<TrialCohortRow>,
    /// On Stripe's basis: the last 30 days. First day.
    pub rolling_from: String,
    /// The first day after it.
    pub rolling_to: String,
    /// Trials that ended in it.
    pub rolling_ended: i64,
    /// Trials that converted in it.
    pub rolling_converted: i64,
    /// Converted / ended.
    pub rolling: RateView,
}

/// Which trials to list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct TrialQuery {
    /// Began on or after.
    pub from: String,
    /// Began before.
    pub to: String,
    /// Only those; `null` = all.
    pub outcome: Option<TrialOutcome>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 500.
    pub limit: u32,
}

/// A trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct TrialRow {
    /// Whose.
    pub payer: Payer,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ends or ended.
    pub ends_at: Timestamp,
    /// What became of it.
    pub outcome: TrialOutcome,
    /// When the first invoice above zero was paid.
    pub converted_at: Option<Timestamp>,
}

/// Trials, by when they began, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct TrialPage {
    /// The rows.
    pub rows: Vec<TrialRow>,
    /// For the next page; `null` at the end.
    pub next: Option<String>,
    /// How many there are in all.
    pub total: i64,
}

/// Which subscriptions that are in no figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct LeftOutQuery {
    /// In lower case.
    pub currency: String,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 500.
    pub limit: u32,
}

/// A subscription whose revenue cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct LeftOutRow {
    /// Its id.
    pub subscription: String,
    /// Whose.
    pub payer: Payer,
    /// Why it cannot be told: which part of it, by its path in Stripe's object or its id.
    pub reason: String,
}

/// Subscriptions that are in no figure, by customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct LeftOutPage {
    /// The rows.
    pub rows: Vec<LeftOutRow>,
    /// For the next page; `null` at the end.
    pub next: Option<String>,
    /// How many there are in all.
    pub total: i64,
}
