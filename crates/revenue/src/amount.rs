//! Amounts of recurring revenue: how they are rounded, added and shown.

use std::collections::BTreeMap;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};
use serde::{Deserialize, Serialize};

use crate::RevenueError;

/// Parts of a minor unit in which amounts are stored.
pub const AMOUNT_SCALE: i64 = 10_000;

/// Monthly recurring revenue in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mrr {
    /// ISO 4217 code in lower case, as Stripe writes it.
    pub currency: String,
    /// In 1/10,000 of the currency's minor unit: $43.33 1/3 is 43,333,333.
    pub amount_10k: i64,
    /// Whether tax that cannot be told apart is part of it.
    pub including_tax: bool,
}

/// `exact` minor units in 1/10,000 of the minor unit, rounded half to even.
pub(crate) fn stored(exact: &BigRational) -> Result<i64, RevenueError> {
    let small = exact.numer().to_i64().zip(exact.denom().to_i64());
    let rounded = match small {
        // Nearly all amounts are small, and then need no allocation.
        Some((numer, denom)) => even(i128::from(numer) * i128::from(AMOUNT_SCALE), i128::from(denom)).to_i64(),
        None => half_to_even(&(exact * BigRational::from_integer(BigInt::from(AMOUNT_SCALE)))).to_i64(),
    };
    rounded.ok_or(RevenueError::TooLarge)
}

/// A quotient rounded half to even; `by` is above zero.
pub(crate) fn even(value: i128, by: i128) -> i128 {
    let (whole, rest) = (value.div_euclid(by), value.rem_euclid(by));
    match rest.cmp(&(by - rest)) {
        std::cmp::Ordering::Less => whole,
        std::cmp::Ordering::Equal if whole % 2 == 0 => whole,
        _ => whole + 1,
    }
}

/// A stored amount in whole minor units, rounded half to even: for display only. Adding such values
/// does not give the headline; add the stored ones.
pub fn display_minor(amount_10k: i64) -> i64 {
    even(i128::from(amount_10k), i128::from(AMOUNT_SCALE)) as i64
}

/// How many decimal places a currency's minor unit has in Stripe's amounts, by its ISO 4217 code in lower
/// case. Stripe writes the Icelandic króna and the Ugandan shilling with two, though they have none.
pub fn minor_digits(currency: &str) -> u32 {
    match currency {
        "bif" | "clp" | "djf" | "gnf" | "jpy" | "kmf" | "krw" | "mga" | "pyg" | "rwf" | "vnd" | "vuv" | "xaf"
        | "xof" | "xpf" => 0,
        "bhd" | "jod" | "kwd" | "omr" | "tnd" => 3,
        _ => 2,
    }
}

/// The sum per currency. Currencies are never added to one another. A sum includes tax where one of
/// its parts does.
pub fn totals<'a>(rows: impl IntoIterator<Item = &'a Mrr>) -> Result<BTreeMap<String, Mrr>, RevenueError> {
    let mut totals: BTreeMap<String, Mrr> = BTreeMap::new();
    for row in rows {
        let total = totals.entry(row.currency.clone()).or_insert_with(|| Mrr {
            currency: row.currency.clone(),
            amount_10k: 0,
            including_tax: false,
        });
        total.amount_10k = total.amount_10k.checked_add(row.amount_10k).ok_or(RevenueError::TooLarge)?;
        total.including_tax |= row.including_tax;
    }
    Ok(totals)
}

pub(crate) fn half_to_even(value: &BigRational) -> BigInt {
    let floor = value.floor().to_integer();
    let above = value - BigRational::from_integer(floor.clone());
    let twice = above + (value - BigRational::from_integer(floor.clone()));
    let odd = !(&floor % 2_i32).abs().is_zero();
    match twice.cmp(&BigRational::one()) {
        std::cmp::Ordering::Less => floor,
        std::cmp::Ordering::Equal if !odd => floor,
        _ => floor + 1_i32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_amount_is_rounded_half_to_even() {
        let tenth = |n: i64| BigRational::new(BigInt::from(n), BigInt::from(20_000));
        assert_eq!(stored(&tenth(1)), Ok(0));
        assert_eq!(stored(&tenth(3)), Ok(2));
        assert_eq!(stored(&tenth(5)), Ok(2));
        assert_eq!(stored(&tenth(-1)), Ok(0));
        assert_eq!(stored(&tenth(-3)), Ok(-2));
        assert_eq!(stored(&BigRational::new(BigInt::from(13_000), BigInt::from(3))), Ok(43_333_333));
        let large = |n: i64| BigRational::new(BigInt::from(i64::MAX) * n, BigInt::from(AMOUNT_SCALE) * i64::MAX * 2);
        assert_eq!((stored(&large(3)), stored(&large(5))), (Ok(2), Ok(2)), "too long for 64 bits until it is reduced");
        let long = BigRational::new(BigInt::from(i64::MAX) * 3 + 1, BigInt::from(i64::MAX) * 4);
        assert_eq!(stored(&long), Ok(7500));
        assert_eq!(stored(&BigRational::from_integer(BigInt::from(i64::MAX))), Err(RevenueError::TooLarge));
    }

    #[test]
    fn a_shown_amount_is_rounded_half_to_even_on_both_sides_of_zero() {
        for (stored, shown) in [
            (0, 0),
            (4_999, 0),
            (5_000, 0),
            (5_001, 1),
            (15_000, 2),
            (25_000, 2),
            (-5_000, 0),
            (-5_001, -1),
            (-15_000, -2),
        ] {
            assert_eq!(display_minor(stored), shown, "{stored}");
        }
        assert_eq!(display_minor(i64::MAX), i64::MAX / AMOUNT_SCALE + 1);
    }

    #[test]
    fn currencies_stay_apart_and_a_sum_too_large_is_refused() {
        let row =
            |currency: &str, amount_10k, including_tax| Mrr { currency: currency.into(), amount_10k, including_tax };
        let rows = [row("usd", 5, false), row("eur", 7, true), row("usd", 6, false)];
        let sums = totals(&rows).unwrap_or_default();
        assert_eq!(sums.into_values().collect::<Vec<_>>(), [row("eur", 7, true), row("usd", 11, false)]);
        assert_eq!(totals(&[row("usd", i64::MAX, false), row("usd", 1, false)]), Err(RevenueError::TooLarge));
    }
}
