//! Days of a reporting zone. A day begins at local midnight, so that a month is the one on the wall.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// A calendar day, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "NaiveDate", from = "NaiveDate")]
pub struct Day(i32);

/// How figures are cut in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "describe", derive(ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(rename = "RevenuePeriod", export_to = "ipc.ts"))]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// A day.
    Day,
    /// Seven days from a Monday.
    Week,
    /// A calendar month.
    #[default]
    Month,
}

impl Day {
    /// Before every day that a calendar has.
    pub const MIN: Self = Self(i32::MIN);

    /// The day of that number, counted from 1970-01-01.
    pub const fn of_number(days: i32) -> Self {
        Self(days)
    }

    /// Its number, counted from 1970-01-01.
    pub const fn number(self) -> i32 {
        self.0
    }

    /// The calendar date.
    pub fn date(self) -> NaiveDate {
        NaiveDate::from_epoch_days(self.0).unwrap_or(if self.0 < 0 { NaiveDate::MIN } else { NaiveDate::MAX })
    }

    /// So many days later, or earlier.
    #[must_use]
    pub fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// Days from `other` to this one.
    pub fn since(self, other: Self) -> i32 {
        self.0.saturating_sub(other.0)
    }

    /// The first day of the period it lies in.
    #[must_use]
    pub fn start_of(self, period: Period) -> Self {
        let date = self.date();
        match period {
            Period::Day => self,
            Period::Week => self.plus(-(date.weekday().num_days_from_monday() as i32)),
            Period::Month => date.with_day(1).unwrap_or(date).into(),
        }
    }

    /// The first day after the period it lies in.
    #[must_use]
    pub fn end_of(self, period: Period) -> Self {
        let start = self.start_of(period);
        match period {
            Period::Day => start.plus(1),
            Period::Week => start.plus(7),
            Period::Month => start.date().checked_add_months(Months::new(1)).unwrap_or(NaiveDate::MAX).into(),
        }
    }

    /// So many months later, or earlier; the day stays within the month.
    #[must_use]
    pub fn plus_months(self, months: i32) -> Self {
        let by = Months::new(months.unsigned_abs());
        let date = self.date();
        let moved = if months < 0 { date.checked_sub_months(by) } else { date.checked_add_months(by) };
        moved.unwrap_or(date).into()
    }
}

impl From<NaiveDate> for Day {
    fn from(date: NaiveDate) -> Self {
        Self(date.to_epoch_days())
    }
}

impl From<Day> for NaiveDate {
    fn from(day: Day) -> Self {
        day.date()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.date().format("%Y-%m-%d").fmt(f)
    }
}

impl FromStr for Day {
    type Err = chrono::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        NaiveDate::from_str(text).map(Self::from)
    }
}

/// The zone whose midnights part one day from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportingZone(Tz);

impl ReportingZone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(Tz::UTC);

    /// The zone of an IANA name, such as `Europe/Berlin`.
    pub fn parse(name: &str) -> Option<Self> {
        name.parse().ok().map(Self)
    }

    /// Its IANA name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// The day on which an instant lies.
    pub fn day_of(self, at_ms: i64) -> Day {
        if self == Self::UTC {
            return Day(i32::try_from(at_ms.div_euclid(crate::mrr::DAY_MS)).unwrap_or(i32::MAX));
        }
        let instant = DateTime::<Utc>::from_timestamp_millis(at_ms).unwrap_or(DateTime::<Utc>::MAX_UTC);
        self.0.from_utc_datetime(&instant.naive_utc()).date_naive().into()
    }

    /// The first instant of a day: its midnight, or where the clock skips that, the first one after.
    pub fn start_of(self, day: Day) -> i64 {
        let mut local = day.date().and_time(NaiveTime::MIN);
        let last = local.checked_add_days(Days::new(1)).unwrap_or(local);
        while local < last {
            if let Some(instant) = self.0.from_local_datetime(&local).earliest() {
                return instant.timestamp_millis();
            }
            local += TimeDelta::minutes(15);
        }
        local.and_utc().timestamp_millis()
    }
}
