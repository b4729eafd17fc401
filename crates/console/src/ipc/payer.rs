//! Who is behind a figure of revenue, and who began to pay when. Amounts and days as in [`super::RevenueView`].

use paywall_domain::TenantId;
use paywall_revenue::Preset;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

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
    pub preset: Preset,
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
