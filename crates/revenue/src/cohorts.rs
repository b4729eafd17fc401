//! Retention: of the customers who began to pay in one month, who pays how much in each month since.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::figures::fit;
use crate::{Day, Ledger, Movement, Period, ReportingZone, RevenueError};

/// The customers whose first payment in a currency lies in one month. Amounts are in 1/10,000 of the
/// minor unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cohort {
    /// The month's first day.
    pub month: Day,
    /// How many began, those lost within the month too.
    pub customers: i64,
    /// What they began with.
    pub mrr_10k: i64,
    /// Where they stand at the close of that month and each one after it, up to the lens's last day.
    pub months: Vec<CohortMonth>,
    /// Whether any of it lies before what was seen.
    pub estimated: bool,
}

/// Where a cohort stands at a month's close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct CohortMonth {
    /// How many pay.
    pub customers: i64,
    /// How much, in all.
    pub mrr_10k: i64,
    /// Whether the month is over. The last one can be under way.
    pub finished: bool,
}

#[derive(Default)]
struct Sums {
    customers: i64,
    mrr: i128,
    months: Vec<(i64, i128)>,
    estimated: bool,
}

impl Ledger {
    /// The cohorts of a currency by month, as of the last [`Ledger::refresh`]; see [`cohorts`].
    pub fn cohorts(&self, currency: &str) -> Result<Vec<Cohort>, RevenueError> {
        let Some(lens) = &self.lens else { return Ok(Vec::new()) };
        cohorts(self.accounts.values().map(|account| &account.outcome.movements[..]), currency, lens.zone, lens.until)
    }
}

/// The cohorts of a currency by month, from the movements of each customer in order, up to the instant
/// `until`. A customer begins with the first movement from zero, so one who had paid in another currency only
/// begins here too.
pub fn cohorts<'a>(
    customers: impl IntoIterator<Item = &'a [Movement]>,
    currency: &str,
    zone: ReportingZone,
    until: i64,
) -> Result<Vec<Cohort>, RevenueError> {
    let last = zone.day_of(until);
    let whole = until == zone.start_of(last.plus(1)) - 1;
    let mut cohorts: BTreeMap<Day, Sums> = BTreeMap::new();
    for movements in customers {
        let own: Vec<&Movement> = movements.iter().filter(|it| *it.currency == *currency).collect();
        let Some(first) = own.first() else { continue };
        cohorts.entry(first.day.start_of(Period::Month)).or_default().add(&own, last);
    }
    let mut rows = Vec::with_capacity(cohorts.len());
    for (month, sums) in cohorts {
        let mut months = Vec::with_capacity(sums.months.len());
        let mut close = month;
        for (customers, mrr) in sums.months {
            close = close.end_of(Period::Month);
            let finished = close <= last || (whole && close == last.plus(1));
            months.push(CohortMonth { customers, mrr_10k: fit(mrr)?, finished });
        }
        let (customers, mrr_10k, estimated) = (sums.customers, fit(sums.mrr)?, sums.estimated);
        rows.push(Cohort { month, customers, mrr_10k, months, estimated });
    }
    Ok(rows)
}

impl Sums {
    /// Adds a customer, whose movements are in order.
    fn add(&mut self, movements: &[&Movement], last: Day) {
        let Some(first) = movements.first() else { return };
        self.customers += 1;
        self.mrr += i128::from(first.amount_10k);
        let (mut amount, mut pays, mut at) = (0_i128, 0_i64, 0);
        let (mut n, mut close) = (0, first.day.end_of(Period::Month));
        loop {
            while let Some(movement) = movements.get(at).filter(|it| it.day < close) {
                amount += i128::from(movement.amount_10k);
                pays += i64::from(movement.paying);
                self.estimated |= movement.estimated;
                at += 1;
            }
            if self.months.len() <= n {
                self.months.push((0, 0));
            }
            self.months[n].0 += pays;
            self.months[n].1 += amount;
            if close > last {
                break;
            }
            n += 1;
            close = close.end_of(Period::Month);
        }
    }
}
