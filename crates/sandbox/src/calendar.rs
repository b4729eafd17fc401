//! Billing dates, in seconds since 1970 as Stripe counts them.

use chrono::{DateTime, Datelike, Months, NaiveTime};

pub(crate) const HOUR: i64 = 3_600;
pub(crate) const DAY: i64 = 86_400;

/// `months` calendar months later at the same time of day; a day that the month does not have
/// becomes its last one.
pub(crate) fn add_months(at: i64, months: u32) -> i64 {
    shift(at, |date| date.checked_add_months(Months::new(months)))
}

/// `months` calendar months earlier.
pub(crate) fn sub_months(at: i64, months: u32) -> i64 {
    shift(at, |date| date.checked_sub_months(Months::new(months)))
}

fn shift(at: i64, by: impl Fn(DateTime<chrono::Utc>) -> Option<DateTime<chrono::Utc>>) -> i64 {
    DateTime::from_timestamp(at, 0).and_then(by).map_or(at, |date| date.timestamp())
}

/// The first instant of the month of `at`.
pub(crate) fn month_start(at: i64) -> i64 {
    DateTime::from_timestamp(at, 0)
        .and_then(|date| date.date_naive().with_day(1))
        .map_or(at, |date| date.and_time(NaiveTime::MIN).and_utc().timestamp())
}

/// The first instant of the day of `at`.
pub(crate) fn day_start(at: i64) -> i64 {
    at - at.rem_euclid(DAY)
}

/// Whether `at` falls on a Saturday or Sunday.
pub(crate) fn weekend(at: i64) -> bool {
    // 1970-01-01 was a Thursday.
    matches!((at.div_euclid(DAY) + 4).rem_euclid(7), 0 | 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_calendar_months() {
        let jan_31 = 1_738_281_600; // 2025-01-31T00:00:00Z
        assert_eq!(add_months(jan_31, 1), 1_740_700_800, "February has no 31st");
        assert_eq!(add_months(jan_31, 2), 1_743_379_200, "but March has");
        assert_eq!(sub_months(jan_31, 1), 1_735_603_200);
        assert_eq!(month_start(jan_31 + 7), 1_735_689_600);
        assert!(!weekend(jan_31) && weekend(jan_31 + DAY) && weekend(jan_31 + 2 * DAY));
    }
}
