//! Exchange rates that a person supplied, kept beside the profile's copy as the lines that they came in: they
//! cannot be fetched again, and outlive a copy that is cleared.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use paywall_revenue::{Day, ExchangeRate, ExchangeRates, RateFault, RateProblem, parse_rates};

use crate::home::replace_file;
use crate::ipc::{ExchangeRateRow, Failure, FailureCode, RateLineFault, RateLineProblem, RatesView};

/// How many lines that cannot be read are named.
const FAULTS: usize = 20;

/// The rates by day and pair of currencies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SuppliedRates(BTreeMap<(Day, String, String), ExchangeRate>);

impl SuppliedRates {
    /// Those of a profile's file; none where there is none.
    pub(crate) fn load(path: &Path) -> Result<Self, Failure> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failure(&error)),
        };
        let mut rates = Self::default();
        rates.take_in(&text)?;
        Ok(rates)
    }

    /// Takes in a file's lines, those of a day and pair that is known in its place; all of them or none.
    pub(crate) fn take_in(&mut self, csv: &str) -> Result<(), Failure> {
        let rates = parse_rates(csv).map_err(|faults| unreadable(csv, &faults))?;
        for rate in rates {
            self.0.insert((rate.day, rate.from.clone(), rate.to.clone()), rate);
        }
        Ok(())
    }

    /// Writes them into a profile's file as a whole; none leaves no file.
    pub(crate) fn store(&self, path: &Path) -> Result<(), Failure> {
        if self.0.is_empty() {
            return match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failure(&error)),
                _ => Ok(()),
            };
        }
        let mut text = String::from("date,from,to,rate\n");
        for ExchangeRate { day, from, to, rate } in self.0.values() {
            _ = writeln!(text, "{day},{from},{to},{rate}");
        }
        replace_file(path, text.as_bytes()).map_err(|error| failure(&error))
    }

    /// As sums are converted by them.
    pub(crate) fn good_for(&self, days: u32) -> ExchangeRates {
        ExchangeRates::new(self.0.values().cloned(), days)
    }

    /// As the window shows them.
    pub(crate) fn view(&self) -> RatesView {
        let mut latest: BTreeMap<(&str, &str), &ExchangeRate> = BTreeMap::new();
        for rate in self.0.values() {
            latest.insert((&rate.from, &rate.to), rate);
        }
        let row = |rate: &&ExchangeRate| ExchangeRateRow {
            day: rate.day.to_string(),
            from: rate.from.clone(),
            to: rate.to.clone(),
            rate: rate.rate.to_string(),
        };
        RatesView { count: self.0.len() as i64, latest: latest.values().map(row).collect() }
    }
}

fn failure(error: &io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::StorageFull => FailureCode::DiskFull,
        _ => FailureCode::Internal,
    };
    Failure::of(code, format!("the exchange rates: {error}"))
}

fn unreadable(csv: &str, faults: &[RateFault]) -> Failure {
    let lines: Vec<&str> = csv.lines().collect();
    let named = faults.iter().take(FAULTS).map(|fault| RateLineFault {
        line: u32::try_from(fault.line).unwrap_or(u32::MAX),
        problem: match fault.problem {
            RateProblem::Fields => RateLineProblem::Fields,
            RateProblem::Date(_) => RateLineProblem::Date,
            RateProblem::Currency(_) => RateLineProblem::Currency,
            RateProblem::Rate(_) => RateLineProblem::Rate,
            RateProblem::Twice => RateLineProblem::Twice,
        },
        text: lines.get(fault.line - 1).map(|line| line.chars().take(200).collect()).unwrap_or_default(),
    });
    let detail = format!("{} lines of the exchange rates cannot be read", faults.len());
    Failure::of(FailureCode::RatesUnreadable { faults: named.collect() }, detail)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rates_are_kept_as_they_came_and_a_later_file_replaces_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rates.csv");
        let mut rates = SuppliedRates::load(&path).unwrap();
        rates.take_in("date,from,to,rate\n2026-01-30,EUR,USD,1.08\n2026-01-31,eur,usd,1.09\n").unwrap();
        rates.take_in("2026-01-31,EUR,USD,1.10\r\n2026-01-31,JPY,USD,0.0065\r\n").unwrap();
        rates.store(&path).unwrap();
        let again = SuppliedRates::load(&path).unwrap();
        assert_eq!(again, rates);
        let view = again.view();
        assert_eq!(view.count, 3);
        let latest: Vec<String> = view.latest.iter().map(|it| format!("{} {} {}", it.day, it.from, it.rate)).collect();
        assert_eq!(latest, ["2026-01-31 eur 1.10", "2026-01-31 jpy 0.0065"]);
        SuppliedRates::default().store(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_file_with_a_fault_is_not_taken_in_at_all_and_says_where() {
        let mut rates = SuppliedRates::default();
        let failure =
            rates.take_in("2026-01-31,EUR,USD,1.10\nyesterday,EUR,USD,1\n2026-01-31,EUR,USD,0\n").unwrap_err();
        let FailureCode::RatesUnreadable { faults } = failure.code else { panic!("{failure:?}") };
        let told: Vec<_> = faults.iter().map(|it| (it.line, it.problem, it.text.as_str())).collect();
        assert_eq!(
            told,
            [(2, RateLineProblem::Date, "yesterday,EUR,USD,1"), (3, RateLineProblem::Rate, "2026-01-31,EUR,USD,0")]
        );
        assert_eq!(rates, SuppliedRates::default());
    }
}
