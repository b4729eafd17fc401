//! What time alone does to a tenant: trials, comps and grace periods end, counting periods restart.

use chrono::{DateTime, Months, Utc};
use paywall_contract::TimelineBody;
use paywall_domain::{DAY_MS, SubscriptionStatus, TenantFacts, Timestamp};

/// What happened by itself after `since`, up to and with `now`.
pub(crate) fn passed(
    facts: &TenantFacts,
    since: Timestamp,
    now: Timestamp,
) -> Vec<(Timestamp, &'static str, TimelineBody)> {
    let fell = |instant: Timestamp| since < instant && instant <= now;
    let mut happened = Vec::new();
    if let Some(trial) = facts.trial.as_ref().filter(|trial| fell(trial.ends_at)) {
        happened.push((trial.ends_at, "trial_ended", TimelineBody::TrialEnded));
    }
    if let Some(comp) = &facts.comp
        && let Some(until) = comp.until.filter(|until| fell(*until))
    {
        happened.push((until, "comp_ended", TimelineBody::CompEnded { plan: comp.plan.clone() }));
    }
    if let Some(end) = facts
        .subscription
        .as_ref()
        .filter(|it| it.status == SubscriptionStatus::PastDue)
        .and_then(|it| it.grace_ends_at)
        .filter(|end| fell(*end))
    {
        happened.push((end, "grace_ended", TimelineBody::GraceEnded));
    }
    happened.sort_by_key(|(at, ..)| *at);
    happened
}

/// A counting period: where the series of periods began, and the running one's bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Period {
    /// The start of the first period; months are counted from its day, so that a period begun on the
    /// 31st returns to the 31st after February.
    pub(crate) anchor: Timestamp,
    /// The running period's first instant.
    pub(crate) start: Timestamp,
    /// The first instant after it.
    pub(crate) end: Timestamp,
}

impl Period {
    /// The calendar month in UTC that holds `now`.
    pub(crate) fn month_of(now: Timestamp) -> Option<Self> {
        use chrono::{Datelike, NaiveDate};
        let day = DateTime::<Utc>::from_timestamp_millis(now.0)?.date_naive();
        let start = NaiveDate::from_ymd_opt(day.year(), day.month(), 1)?.and_hms_opt(0, 0, 0)?.and_utc();
        let end = start.checked_add_months(Months::new(1))?;
        let start = Timestamp(start.timestamp_millis());
        Some(Self { anchor: start, start, end: Timestamp(end.timestamp_millis()) })
    }

    /// The period that runs at `now`: this one, or a later one of its series.
    pub(crate) fn at(self, now: Timestamp) -> Self {
        if now < self.end {
            return self;
        }
        let length = self.end.ms_since(self.start).max(1);
        if (28 * DAY_MS..=31 * DAY_MS).contains(&length) {
            let month = |n: u32| {
                DateTime::<Utc>::from_timestamp_millis(self.anchor.0)
                    .and_then(|anchor| anchor.checked_add_months(Months::new(n)))
                    .map(|it| Timestamp(it.timestamp_millis()))
            };
            // Months are at most 31 days long, so this starts at or before the period sought.
            let first = u32::try_from(now.ms_since(self.anchor) / (31 * DAY_MS)).unwrap_or(0);
            let found = (first..=first.saturating_add(first / 20 + 3)).find_map(|n| {
                let (start, end) = (month(n)?, month(n + 1)?);
                (start <= now && now < end).then_some(Self { anchor: self.anchor, start, end })
            });
            if let Some(found) = found {
                return found;
            }
        }
        let whole = now.ms_since(self.start) / length;
        let start = self.start.plus_ms(whole.saturating_mul(length));
        Self { anchor: self.anchor, start, end: start.plus_ms(length) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn instant(text: &str) -> Timestamp {
        Timestamp(text.parse::<DateTime<Utc>>().unwrap().timestamp_millis())
    }

    #[test]
    fn a_period_begun_on_the_31st_returns_to_the_31st() {
        let anchor = instant("2026-01-31T00:00:00Z");
        let period = Period { anchor, start: anchor, end: instant("2026-02-28T00:00:00Z") };
        let march = period.at(instant("2026-03-01T00:00:00Z"));
        assert_eq!((march.start, march.end), (instant("2026-02-28T00:00:00Z"), instant("2026-03-31T00:00:00Z")));
        let april = march.at(instant("2026-04-15T00:00:00Z"));
        assert_eq!((april.start, april.end), (instant("2026-03-31T00:00:00Z"), instant("2026-04-30T00:00:00Z")));
    }

    proptest! {
        #[test]
        fn the_period_found_always_holds_now(start in 0_i64..2_000_000_000_000, days in 1_i64..400, later in 0_i64..400_000_000_000) {
            let start = Timestamp(start);
            let period = Period { anchor: start, start, end: start.plus_ms(days * DAY_MS) };
            let now = start.plus_ms(later);
            let found = period.at(now);
            prop_assert!(found.start <= now && now < found.end);
        }
    }
}
