//! Revenue as the window shows it. Amounts named `_10k` are in 1/10,000 of the currency's minor unit: rows add
//! up to their figure exactly, and are rounded only where they are shown. Days are `2026-01-31`, in the reporting
//! zone; a span of days ends before its `to`.

use paywall_domain::Timestamp;
use paywall_revenue::{Period, Preset};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Which figures to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct RevenueQuery {
    /// By whose definition.
    pub preset: Preset,
    /// How many calendar months back, the running one counted: 1 to 60.
    pub months: u32,
    /// Cut into these.
    pub period: Period,
}

/// A part of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "is", rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum RateView {
    /// So much: `numerator / denominator`, which is not zero.
    Value {
        /// Above the line.
        numerator: i64,
        /// Below the line.
        denominator: i64,
    },
    /// Fewer than ten cases: the counts.
    TooFew {
        /// How many did.
        counted: i64,
        /// Of how many.
        of: i64,
    },
    /// It divides by nothing, or rests on too little.
    NotEnoughData,
}

/// Movements of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct MovedView {
    /// Below zero for contraction and churn.
    pub amount_10k: i64,
    /// How many movements.
    pub movements: i64,
}

/// What moved, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct MovementSums {
    /// From zero, by customers who never paid before.
    pub new: MovedView,
    /// From zero, by former customers.
    pub reactivation: MovedView,
    /// Up.
    pub expansion: MovedView,
    /// Down, to above zero.
    pub contraction: MovedView,
    /// To zero.
    pub churn: MovedView,
}

/// The figures of one span of days in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct RevenueSpan {
    /// The first day.
    pub from: String,
    /// The first day after it.
    pub to: String,
    /// Whether it is over. The last one runs: it goes to the end of today.
    pub finished: bool,
    /// Whether any of it is rebuilt from invoices and dates rather than seen.
    pub estimated: bool,
    /// MRR at the close of the day before.
    pub start_10k: i64,
    /// MRR at the close of its last day.
    pub end_10k: i64,
    /// Movements within it.
    pub moved: MovementSums,
    /// All movements together.
    pub net_10k: i64,
    /// Twelve times the end.
    pub arr_10k: i64,
    /// Customers paying at the start.
    pub customers_start: i64,
    /// Customers paying at the end.
    pub customers_end: i64,
    /// Customers lost of those at the start.
    pub customer_churn: RateView,
    /// (Churn + contraction) / start.
    pub gross_mrr_churn: RateView,
    /// (Churn + contraction - expansion) / start.
    pub net_mrr_churn: RateView,
    /// Net revenue retention.
    pub nrr: RateView,
    /// Gained / lost.
    pub quick_ratio: RateView,
    /// In 1/10,000 of the minor unit per customer.
    pub arpa: RateView,
    /// In 1/10,000 of the minor unit.
    pub ltv: RateView,
}

/// What a currency's figures rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct RevenueObjects {
    /// Subscriptions.
    pub subscriptions: i64,
    /// Invoices.
    pub invoices: i64,
    /// Subscriptions whose revenue cannot be told; they are in no figure.
    pub faults: i64,
    /// Subscriptions with tax in them that cannot be told apart.
    pub including_tax: i64,
}

/// Everything of one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct RevenueSheet {
    /// ISO 4217, lower case.
    pub currency: String,
    /// The last 30 days: the headline.
    pub last_30d: RevenueSpan,
    /// The 30 days before those.
    pub before_30d: RevenueSpan,
    /// The periods asked for, oldest first; the last one runs.
    pub spans: Vec<RevenueSpan>,
    /// The period before the running one, as far into it as the running one is; `null` = there is none.
    pub same_span_before: Option<RevenueSpan>,
    /// Recurring revenue now, told by the subscriptions alone.
    pub subscriptions_10k: i64,
    /// The same, told by all movements. Where the two differ, something was counted wrong.
    pub movements_10k: i64,
    /// What the figures rest on.
    pub objects: RevenueObjects,
}

/// The figures of one span over all currencies, in one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct ConvertedSpan {
    /// The first day.
    pub from: String,
    /// The first day after it.
    pub to: String,
    /// Whether it is over.
    pub finished: bool,
    /// `null` = a rate is missing.
    pub sums: Option<ConvertedSums>,
    /// The rate that is missing; `null` = none is.
    pub missing: Option<MissingRate>,
}

/// Sums in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct ConvertedSums {
    /// MRR at the close of the day before, by the rates of the last day.
    pub start_10k: i64,
    /// MRR at the close of the last day, by its rates.
    pub end_10k: i64,
    /// Movements, each by the rates of its day.
    pub moved: MovementSums,
    /// What the rates did: end - start - movements.
    pub exchange_10k: i64,
}

/// A rate that nobody supplied, or that is too old.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct MissingRate {
    /// From which currency.
    pub from: String,
    /// Into which.
    pub to: String,
    /// Of which day.
    pub day: String,
}

/// How much of the truth the figures have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct RevenueBasis {
    /// Whether every list that they rest on was read to its end.
    pub complete: bool,
    /// The lists that were not, such as `invoices`.
    pub unread: Vec<String>,
    /// Since when subscriptions were seen rather than rebuilt; `null` = never seen one.
    pub seen_since: Option<Timestamp>,
    /// Customers that are counted.
    pub customers: i64,
    /// Customers of whom something new is known that is not counted yet.
    pub pending: i64,
    /// Up to when it is counted; `null` = by this definition it never was.
    pub counted_at: Option<Timestamp>,
}

/// Revenue: every currency, and how far it can be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct RevenueView {
    /// By whose definition.
    pub preset: Preset,
    /// The reporting zone's IANA name.
    pub zone: String,
    /// Today there.
    pub today: String,
    /// A sheet per currency, that with most subscriptions first.
    pub sheets: Vec<RevenueSheet>,
    /// The currency of `converted`; `null` = none was chosen.
    pub reporting_currency: Option<String>,
    /// The periods in the reporting currency; empty without one.
    pub converted: Vec<ConvertedSpan>,
    /// How far it can be trusted.
    pub basis: RevenueBasis,
}

/// What is agreed today for a month's end ahead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct CommittedMonth {
    /// The month's last day.
    pub day: String,
    /// What recurs then if nothing is changed any more: scheduled cancellations and ending discounts counted.
    pub amount_10k: i64,
    /// On top, trials that end by then and have a payment method.
    pub trials_payable_10k: i64,
    /// On top, trials that end by then and have none.
    pub trials_other_10k: i64,
}

/// An amount of a month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct MonthAmount {
    /// A day of the month: its first for what grew in it, its last for what stands then.
    pub day: String,
    /// How much.
    pub amount_10k: i64,
}

/// Recurring revenue ahead in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct RevenueAhead {
    /// ISO 4217, lower case.
    pub currency: String,
    /// What is agreed, by month.
    pub committed: Vec<CommittedMonth>,
    /// What the forecast assumes: the net growth of these full months, oldest first. Empty = no forecast.
    pub grew: Vec<MonthAmount>,
    /// Their average, which each month ahead is assumed to grow by.
    pub monthly_net_10k: i64,
    /// The forecast at each month's last day.
    pub forecast: Vec<MonthAmount>,
}
