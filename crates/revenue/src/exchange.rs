//! Sums in one currency, by dated rates that somebody supplies. An unknown rate makes the sum unknown; it is
//! never taken for one to one.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::ToPrimitive;
use rust_decimal::Decimal;
use serde::Serialize;

use crate::amount::{even, half_to_even, minor_digits};
use crate::figures::fit;
use crate::mrr::{exact, whole};
use crate::{Cell, Day, Ledger, Movement, RevenueError, Window};

/// What one unit of a currency was worth in another on a day: of 2026-01-31, 1 EUR is 1.08 USD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeRate {
    /// The day.
    pub day: Day,
    /// ISO 4217 code in lower case.
    pub from: String,
    /// ISO 4217 code in lower case.
    pub to: String,
    /// Units, not minor units; above zero.
    pub rate: Decimal,
}

/// A line of a file of rates that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct RateFault {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: RateProblem,
}

/// What is wrong with a line of a file of rates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RateProblem {
    /// It has not four fields.
    #[error("expected date,from,to,rate")]
    Fields,
    /// Its first field is no date.
    #[error("{0} is no date such as 2026-01-31")]
    Date(String),
    /// One of its currencies has not three letters.
    #[error("{0} is no currency of three letters")]
    Currency(String),
    /// Its last field is no decimal above zero.
    #[error("{0} is no rate above zero")]
    Rate(String),
    /// An earlier line has another rate for the same day and currencies.
    #[error("another rate for that day and these currencies came before")]
    Twice,
}

/// Rates, and for how many days each may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeRates {
    rates: BTreeMap<(String, String), BTreeMap<Day, Decimal>>,
    max_age_days: u32,
}

/// Why a sum in one currency is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// There is no rate that is recent enough.
    #[error("no rate from {from} to {to} for {day}")]
    Rate {
        /// From which currency.
        from: String,
        /// Into which.
        to: String,
        /// Of which day.
        day: Day,
    },
    /// The sum cannot be held.
    #[error(transparent)]
    Amount(#[from] RevenueError),
}

/// The figures of a window in one currency, all others converted. Amounts are in 1/10,000 of its minor unit.
///
/// Movements are converted by the rate of their day, the start and the end by the rate of the window's last
/// day, each customer's amount by itself and rounded once, so that rows add up. Rates move nothing: what is
/// left between the start with its movements and the end is `exchange_10k`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Converted {
    /// ISO 4217 code in lower case.
    pub currency: String,
    /// Which days.
    pub window: Window,
    /// MRR at the close of the day before the window.
    pub start_10k: i64,
    /// MRR at the close of its last day.
    pub end_10k: i64,
    /// Movements by kind, in the order of [`crate::MovementKind::ALL`].
    pub moved_10k: [i64; 5],
    /// End - start - movements: what the rates did.
    pub exchange_10k: i64,
}

/// Reads lines of `date,from,to,rate`, with or without a first line that says so. Empty lines are left out.
/// Either all of them can be read, or every one that cannot is named.
pub fn parse_rates(csv: &str) -> Result<Vec<ExchangeRate>, Vec<RateFault>> {
    let (mut rates, mut faults) = (Vec::<ExchangeRate>::new(), Vec::new());
    let mut known: BTreeMap<(Day, String, String), Decimal> = BTreeMap::new();
    for (n, line) in csv.lines().enumerate() {
        let line = line.trim_start_matches('\u{feff}').trim();
        let header = n == 0 && line.to_lowercase().replace(' ', "") == "date,from,to,rate";
        if line.is_empty() || header {
            continue;
        }
        let read = rate(line).and_then(|rate| {
            let key = (rate.day, rate.from.clone(), rate.to.clone());
            match known.insert(key, rate.rate) {
                Some(other) if other != rate.rate => Err(RateProblem::Twice),
                _ => Ok(rate),
            }
        });
        match read {
            Ok(rate) => rates.push(rate),
            Err(problem) => faults.push(RateFault { line: n + 1, problem }),
        }
    }
    if faults.is_empty() { Ok(rates) } else { Err(faults) }
}

fn rate(line: &str) -> Result<ExchangeRate, RateProblem> {
    let fields: Vec<&str> = line.split(',').map(|field| field.trim().trim_matches('"')).collect();
    let [day, from, to, rate] = fields[..] else { return Err(RateProblem::Fields) };
    let currency = |code: &str| {
        let known = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
        known.then(|| code.to_ascii_lowercase()).ok_or_else(|| RateProblem::Currency(code.to_owned()))
    };
    Ok(ExchangeRate {
        day: day.parse().map_err(|_| RateProblem::Date(day.to_owned()))?,
        from: currency(from)?,
        to: currency(to)?,
        rate: Decimal::from_str_exact(rate)
            .ok()
            .filter(|rate| *rate > Decimal::ZERO)
            .ok_or_else(|| RateProblem::Rate(rate.to_owned()))?,
    })
}

impl ExchangeRates {
    /// These rates, each good for so many days after its own. Of two for the same day and currencies, the
    /// later in the list holds; those that are not above zero are left out.
    pub fn new(rates: impl IntoIterator<Item = ExchangeRate>, max_age_days: u32) -> Self {
        let mut known: BTreeMap<(String, String), BTreeMap<Day, Decimal>> = BTreeMap::new();
        for rate in rates.into_iter().filter(|rate| rate.rate > Decimal::ZERO) {
            known.entry((rate.from, rate.to)).or_default().insert(rate.day, rate.rate);
        }
        Self { rates: known, max_age_days }
    }

    /// An amount of `from` on a day in `to`, in 1/10,000 of either's minor unit, rounded half to even. The
    /// latest rate on or before the day counts; where there is none, the latest the other way round does.
    pub fn convert(&self, amount_10k: i64, from: &str, to: &str, day: Day) -> Result<i64, Unknown> {
        if from == to || amount_10k == 0 {
            return Ok(amount_10k);
        }
        let known = self.latest(from, to, day).map(|rate| (rate, false));
        let known = known.or_else(|| self.latest(to, from, day).map(|rate| (rate, true)));
        let (rate, inverse) = known.ok_or_else(|| Unknown::Rate { from: from.to_owned(), to: to.to_owned(), day })?;
        if let Some(converted) = in_128_bits(amount_10k, rate, inverse, minor_digits(from), minor_digits(to)) {
            return i64::try_from(converted).map_err(|_| Unknown::Amount(RevenueError::TooLarge));
        }
        let rate = if inverse { exact(rate).recip() } else { exact(rate) };
        let ten = |digits: u32| BigRational::from_integer(BigInt::from(10_u32).pow(digits));
        let converted = whole(amount_10k) * rate * ten(minor_digits(to)) / ten(minor_digits(from));
        half_to_even(&converted).to_i64().ok_or(Unknown::Amount(RevenueError::TooLarge))
    }

    fn latest(&self, from: &str, to: &str, day: Day) -> Option<Decimal> {
        let rates = self.rates.get(&(from.to_owned(), to.to_owned()))?;
        let (dated, rate) = rates.range(..=day).next_back()?;
        (i64::from(day.since(*dated)) <= i64::from(self.max_age_days)).then_some(*rate)
    }
}

/// A currency, a day, a kind of movement by its number, and an amount.
type Moved<'a> = (&'a str, Day, usize, i64);

/// The same as with exact rationals, which are a hundred times slower; `None` where a product does not fit.
fn in_128_bits(amount_10k: i64, rate: Decimal, inverse: bool, from_digits: u32, to_digits: u32) -> Option<i128> {
    let (mantissa, scale) = (rate.mantissa(), 10_i128.checked_pow(rate.scale())?);
    let (above, below) = if inverse { (scale, mantissa) } else { (mantissa, scale) };
    let above = i128::from(amount_10k).checked_mul(above)?.checked_mul(10_i128.checked_pow(to_digits)?)?;
    Some(even(above, below.checked_mul(10_i128.checked_pow(from_digits)?)?))
}

impl ExchangeRates {
    /// The figures of windows over all currencies, in one, from the movements of each customer in order. The
    /// windows follow one another; each has its figures, or a rate that is missing for them.
    ///
    /// What is worth the same on the same day is converted once: amounts repeat, as prices do. Of several rates
    /// that are missing the one named is of the first currency by the alphabet among those at the start, else at
    /// the end, else of movements.
    pub fn converted<'a>(
        &self,
        customers: impl IntoIterator<Item = &'a [Movement]>,
        to: &str,
        windows: &[Window],
    ) -> Result<Vec<Result<Converted, Unknown>>, RevenueError> {
        // Where windows begin and end, in order.
        let edges: Vec<Day> = windows.iter().flat_map(|it| [it.from, it.to]).collect();
        // How many more customers are at a level from an edge on.
        let mut changes: Vec<HashMap<(&str, i64), i64>> = vec![HashMap::new(); edges.len() + 1];
        // How often an amount moved on a day, by window.
        let mut moved: Vec<BTreeMap<Moved<'_>, i64>> = vec![BTreeMap::new(); windows.len()];
        let mut levels: Vec<(&str, i64)> = Vec::new();
        for movements in customers {
            levels.clear();
            for Movement { currency, day, kind, amount_10k, .. } in movements {
                let edge = edges.partition_point(|edge| edge <= day);
                if let (1, Some(moved)) = (edge % 2, moved.get_mut(edge / 2)) {
                    *moved.entry((currency, *day, kind.index(), *amount_10k)).or_default() += 1;
                }
                let known = levels.iter().position(|it| it.0 == &**currency).unwrap_or_else(|| {
                    levels.push((currency, 0));
                    levels.len() - 1
                });
                let level = &mut levels[known].1;
                *changes[edge].entry((currency, *level)).or_default() -= 1;
                *level = level.checked_add(*amount_10k).ok_or(RevenueError::TooLarge)?;
                *changes[edge].entry((currency, *level)).or_default() += 1;
            }
        }
        let mut held: BTreeMap<(&str, i64), i64> = BTreeMap::new();
        let mut changes = changes.into_iter();
        let mut at_next_edge = |day: Day| {
            for (worth, change) in changes.next().into_iter().flatten() {
                *held.entry(worth).or_default() += change;
            }
            held.retain(|_, count| *count != 0);
            self.sum(to, held.iter().map(|((currency, level), count)| (*currency, day, *level, *count)))
        };
        let figures = windows.iter().zip(moved).map(|(window, moved)| {
            let last = window.to.plus(-1);
            let (start, end) = (at_next_edge(last), at_next_edge(last));
            let (start, end) = (start?, end?);
            let (mut moved_10k, mut all) = ([0; 5], 0);
            for (index, amount) in moved_10k.iter_mut().enumerate() {
                let of_kind = moved.iter().filter(|it| it.0.2 == index);
                let sum =
                    self.sum(to, of_kind.map(|((currency, day, _, amount), n)| (*currency, *day, *amount, *n)))?;
                (*amount, all) = (fit(sum)?, all + sum);
            }
            let (start_10k, end_10k, exchange_10k) = (fit(start)?, fit(end)?, fit(end - start - all)?);
            Ok(Converted { currency: to.to_owned(), window: *window, start_10k, end_10k, moved_10k, exchange_10k })
        });
        Ok(figures.collect())
    }

    /// Amounts of a currency on a day, each so many times, in `to`.
    fn sum<'a>(&self, to: &str, parts: impl Iterator<Item = (&'a str, Day, i64, i64)>) -> Result<i128, Unknown> {
        let mut sum = 0;
        for (currency, day, amount, count) in parts {
            sum += i128::from(self.convert(amount, currency, to, day)?) * i128::from(count);
        }
        Ok(sum)
    }

    /// What a customer with these movements brings to a cell of [`ExchangeRates::converted`]; `None` where it
    /// is not behind it.
    pub fn part_of(
        &self,
        movements: &[Movement],
        to: &str,
        window: Window,
        cell: Cell,
    ) -> Result<Option<i128>, Unknown> {
        let last = window.to.plus(-1);
        let mut part = None;
        match cell {
            Cell::Start | Cell::End => {
                let mut levels: BTreeMap<&str, i64> = BTreeMap::new();
                let until = if matches!(cell, Cell::Start) { window.from } else { window.to };
                for movement in movements.iter().filter(|it| it.day < until) {
                    let level = levels.entry(&movement.currency).or_default();
                    *level = level.checked_add(movement.amount_10k).ok_or(RevenueError::TooLarge)?;
                }
                for (currency, level) in levels.into_iter().filter(|it| it.1 != 0) {
                    *part.get_or_insert(0) += i128::from(self.convert(level, currency, to, last)?);
                }
            }
            Cell::Net | Cell::Moved(_) => {
                for movement in movements.iter().filter(|it| window.contains(it.day)) {
                    if !matches!(cell, Cell::Moved(kind) if kind != movement.kind) {
                        let amount = self.convert(movement.amount_10k, &movement.currency, to, movement.day)?;
                        *part.get_or_insert(0) += i128::from(amount);
                    }
                }
            }
        }
        Ok(part)
    }
}

impl Ledger {
    /// The figures of a window over all currencies, in one.
    pub fn converted(&self, to: &str, rates: &ExchangeRates, window: Window) -> Result<Converted, Unknown> {
        let customers = self.accounts.values().map(|account| &account.outcome.movements[..]);
        let figures = rates.converted(customers, to, &[window])?.pop();
        figures.unwrap_or(Err(Unknown::Amount(RevenueError::TooLarge)))
    }

    /// The customers behind a cell of [`Ledger::converted`], as [`Ledger::customers_of`] gives them.
    pub fn customers_converted(
        &self,
        to: &str,
        rates: &ExchangeRates,
        window: Window,
        cell: Cell,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(Arc<str>, i64)>, Unknown> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.accounts
            .range::<str, _>((from, Bound::Unbounded))
            .filter_map(|(customer, account)| {
                let part = rates.part_of(&account.outcome.movements, to, window, cell).transpose()?;
                Some(part.and_then(|part| Ok((customer.clone(), fit(part)?))))
            })
            .take(limit)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_short_way_gives_what_exact_rationals_do(
            amount in -9_000_000_000_000_i64..9_000_000_000_000, mantissa in 1_i64..10_000_000, scale in 0_u32..8,
            inverse: bool, from in 0_u32..4, to in 0_u32..4,
        ) {
            let rate = Decimal::new(mantissa, scale);
            let factor = if inverse { exact(rate).recip() } else { exact(rate) };
            let ten = |digits: u32| BigRational::from_integer(BigInt::from(10_u32).pow(digits));
            let slow = half_to_even(&(whole(amount) * factor * ten(to) / ten(from)));
            prop_assert_eq!(in_128_bits(amount, rate, inverse, from, to).map(BigInt::from), Some(slow));
        }
    }
}
