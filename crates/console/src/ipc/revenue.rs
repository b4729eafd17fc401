//! Revenue as the window shows it. Amounts named `_10k` are in 1/10,000 of the currency's minor unit: rows add
//! up to their figure exactly, and are rounded only where they are shown. Days are `2026-01-31`, in the reporting
//! zone; a span of days ends before its `to`.

use paywall_domain::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Whose definition of recurring revenue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum MetricPreset {
    /// Our own.
    #[default]
    Paywall,
    /// Stripe's Billing analytics.
    Stripe,
    /// `ChartMogul`.
    Chartmogul,
    /// Baremetrics.
    Baremetrics,
    /// `ProfitWell`.
    Profitwell,
}

/// How figures are cut in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum RevenuePeriod {
    /// Days.
    Day,
    /// Weeks from Monday.
    Week,
    /// Calendar months.
    #[default]
    Month,
}

/// Which figures to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct RevenueQuery {
    /// By whose definition.
    pub preset: MetricPreset,
    /// How many calendar months back, the running one counted: 1 to 60.
    pub months: u32,
    /// Cut into these.
    pub period: RevenuePeriod,
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
    pub preset: MetricPreset,
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

/// A figure that customers are behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "cell", rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum RevenueCell {
    /// MRR at the start of the span.
    Start,
    /// MRR at its end.
    End,
    /// All movements.
    Net,
    /// New.
    New,
    /// Reactivation.
    Reactivation,
    /// Expansion.
    Expansion,
    /// Contraction.
    Contraction,
    /// Churn.
    Churn,
    /// Of the customers that began in a month, those that pay at a later month's close.
    Cohort {
        /// The month's first day.
        month: String,
        /// How many months later; 0 = at the month's own close.
        after: u32,
    },
}

/// Which customers to list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct DrillQuery {
    /// By whose definition.
    pub preset: MetricPreset,
    /// In which currency; with `converted` the one that all are converted into.
    pub currency: String,
    /// Whether all currencies are converted.
    pub converted: bool,
    /// The first day of the span.
    pub from: String,
    /// The first day after it.
    pub to: String,
    /// The figure.
    #[serde(flatten)]
    pub cell: RevenueCell,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 500.
    pub limit: u32,
}

/// Whose money it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct Payer {
    /// `cus_…`
    pub customer: String,
    /// Its tenant, where the copy has one.
    pub tenant_id: Option<TenantId>,
    /// The tenant's name, else the customer's address, else its id.
    pub name: String,
}

/// A customer behind a figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct DrillRow {
    /// Who.
    pub payer: Payer,
    /// What of the figure is theirs.
    pub amount_10k: i64,
}

/// Customers behind a figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct DrillPage {
    /// The rows, by customer.
    pub rows: Vec<DrillRow>,
    /// For the next page; `null` at the end.
    pub next: Option<String>,
    /// How many there are in all.
    pub total: i64,
    /// What they add up to: the figure.
    pub sum_10k: i64,
}

/// Where a cohort stands at a month's close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct CohortCell {
    /// How many pay.
    pub customers: i64,
    /// How much.
    pub mrr_10k: i64,
    /// Whether the month is over.
    pub finished: bool,
}

/// The customers who began to pay in one month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct CohortRow {
    /// The month's first day.
    pub month: String,
    /// How many.
    pub customers: i64,
    /// What they began with.
    pub mrr_10k: i64,
    /// At the close of that month, and each one after it.
    pub months: Vec<CohortCell>,
    /// Whether any of it is rebuilt rather than seen.
    pub estimated: bool,
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

/// What became of an invoice whose payment failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum Recovery {
    /// Paid by a later attempt.
    Recovered,
    /// Still open.
    Waiting,
    /// Written off or taken back.
    GivenUp,
}

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

/// An invoice's status, in Stripe's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum InvoiceState {
    /// Not final.
    Draft,
    /// To be paid.
    Open,
    /// Paid.
    Paid,
    /// Given up.
    Uncollectible,
    /// Taken back.
    Void,
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
    /// `null` = a word that this version does not know.
    pub state: Option<InvoiceState>,
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

/// A rule by which two definitions differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum DifferenceCause {
    /// Whether trials count.
    Trial,
    /// How long an overdue subscription counts.
    PastDue,
    /// Whether one counts while its collection is paused.
    Paused,
    /// When a cancellation takes effect.
    Cancellation,
    /// Which discounts come off.
    Discount,
    /// Whether metered usage counts.
    Metered,
    /// Whether tax stays in.
    Tax,
    /// At which instant the day closes.
    TimeZone,
}

/// What one rule makes of the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct CausePart {
    /// Which rule.
    pub cause: DifferenceCause,
    /// What it adds.
    pub amount_10k: i64,
    /// For how many customers.
    pub customers: i64,
}

/// Two definitions in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct DifferenceTotal {
    /// ISO 4217, lower case.
    pub currency: String,
    /// MRR now by ours.
    pub ours_10k: i64,
    /// MRR now by the other.
    pub other_10k: i64,
    /// What each rule makes of the difference; they add up to it.
    pub causes: Vec<CausePart>,
    /// Customers that differ.
    pub customers: i64,
}

/// A customer that two definitions see differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct DifferenceRow {
    /// Who.
    pub payer: Payer,
    /// ISO 4217, lower case.
    pub currency: String,
    /// By ours.
    pub ours_10k: i64,
    /// By the other.
    pub other_10k: i64,
    /// What each rule makes of it.
    pub causes: Vec<CausePart>,
}

/// Our definition beside another one, now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct DifferencePage {
    /// The other one.
    pub other: MetricPreset,
    /// By currency.
    pub totals: Vec<DifferenceTotal>,
    /// By customer.
    pub rows: Vec<DifferenceRow>,
    /// For the next page; `null` at the end.
    pub next: Option<String>,
}

/// How revenue is reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(default)]
#[ts(export_to = "ipc.ts")]
pub struct Reporting {
    /// The IANA name of the zone whose midnights part the days.
    pub zone: String,
    /// Into which currency all are converted; `null` = none.
    pub currency: Option<String>,
    /// For how many days a rate may be used after its own.
    pub rate_days: u32,
}

impl Default for Reporting {
    fn default() -> Self {
        Self { zone: "UTC".to_owned(), currency: None, rate_days: 7 }
    }
}

/// An exchange rate that was supplied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct ExchangeRateRow {
    /// Of which day.
    pub day: String,
    /// From which currency.
    pub from: String,
    /// Into which.
    pub to: String,
    /// Units of `to` for one of `from`, as a decimal.
    pub rate: String,
}

/// The rates that were supplied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct RatesView {
    /// How many there are.
    pub count: i64,
    /// The latest of each pair of currencies.
    pub latest: Vec<ExchangeRateRow>,
}

/// A line of a file of rates that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct RateLineFault {
    /// Counted from 1.
    pub line: u32,
    /// What is wrong with it.
    pub problem: RateLineProblem,
    /// What stands there.
    pub text: String,
}

/// What is wrong with a line of a file of rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export_to = "ipc.ts")]
pub enum RateLineProblem {
    /// It has not the four fields `date,from,to,rate`.
    Fields,
    /// Its first field is no date.
    Date,
    /// One of its currencies has not three letters.
    Currency,
    /// Its last field is no decimal above zero.
    Rate,
    /// An earlier line has another rate for the same day and currencies.
    Twice,
}
