//! How revenue is reported: zone, currency and rates, and our definition beside another one.

use paywall_revenue::{Cause, Preset};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::Payer;

/// What one rule makes of the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export_to = "ipc.ts")]
pub struct CausePart {
    /// Which rule.
    pub cause: Cause,
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
    pub other: Preset,
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
