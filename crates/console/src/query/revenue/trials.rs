//! Trials and what became of them.

use paywall_domain::Timestamp;
use paywall_revenue::{Period, Rate, ReportingZone, Window};

use super::drill::day;
use super::{ROWS, months_up_to, payer, periods};
use crate::cache::{CONVERTED, Cache, CacheError, KeptLens, LOST, Result, UNDECIDED};
use crate::ipc::{TrialCohortRow, TrialConversion, TrialOutcome, TrialPage, TrialQuery, TrialRow};

impl Cache {
    /// Conversion by the month in which trials began, and on Stripe's basis.
    pub async fn trial_conversion(&self, months: u32, now: Timestamp) -> Result<TrialConversion> {
        let zone = self.zone().await?;
        let today = zone.day_of(now.0);
        let mut cohorts = Vec::new();
        for (window, finished) in periods(months_up_to(today, months), Period::Month) {
            let counts: Vec<(i64, i64)> = sqlx::query_as(
                "SELECT outcome, count(*) FROM revenue_trials INDEXED BY revenue_trials_by_start
                 WHERE started_at >= ?1 AND started_at < ?2 AND started_at <= ?3 GROUP BY outcome",
            )
            .bind(zone.start_of(window.from))
            .bind(zone.start_of(window.to))
            .bind(now.0)
            .fetch_all(self.readers())
            .await?;
            let count = |outcome: i64| counts.iter().find(|it| it.0 == outcome).map_or(0, |it| it.1);
            let started: i64 = counts.iter().map(|it| it.1).sum();
            let (converted, undecided) = (count(CONVERTED), count(UNDECIDED));
            let decided = started - undecided;
            cohorts.push(TrialCohortRow {
                from: window.from.to_string(),
                to: window.to.to_string(),
                finished,
                started,
                converted,
                decided,
                undecided,
                conversion: Rate::of_count(converted, decided)?.into(),
            });
        }
        let rolling = Window::of_days(today, 30);
        let (ended, converted): (i64, i64) = sqlx::query_as(
            "SELECT
                 (SELECT count(*) FROM revenue_trials INDEXED BY revenue_trials_by_end
                  WHERE ends_at >= ?1 AND ends_at < ?2 AND ends_at <= ?3),
                 (SELECT count(*) FROM revenue_trials INDEXED BY revenue_trials_converted
                  WHERE converted_at IS NOT NULL AND converted_at >= ?1 AND converted_at < ?2)",
        )
        .bind(zone.start_of(rolling.from))
        .bind(zone.start_of(rolling.to))
        .bind(now.0)
        .fetch_one(self.readers())
        .await?;
        Ok(TrialConversion {
            cohorts,
            rolling_from: rolling.from.to_string(),
            rolling_to: rolling.to.to_string(),
            rolling_ended: ended,
            rolling_converted: converted,
            rolling: Rate::of_count(converted, ended)?.into(),
        })
    }

    /// A page of the trials that began in a span of days, newest first.
    pub async fn trials_page(&self, query: &TrialQuery, now: Timestamp) -> Result<TrialPage> {
        let zone = self.zone().await?;
        let limit = i64::from(query.limit.clamp(1, ROWS));
        let (from, to) = (zone.start_of(day(&query.from)?), zone.start_of(day(&query.to)?));
        let outcome = query.outcome.map(|outcome| match outcome {
            TrialOutcome::Undecided => UNDECIDED,
            TrialOutcome::Converted => CONVERTED,
            TrialOutcome::Lost => LOST,
        });
        let (at, customer, num) = match &query.cursor {
            Some(cursor) => place(cursor).ok_or(CacheError::InvalidCursor)?,
            None => (i64::MAX, String::new(), 0),
        };
        let (total,): (i64,) = sqlx::query_as(
            "SELECT count(*) FROM revenue_trials
             WHERE started_at >= ?1 AND started_at < ?2 AND started_at <= ?3 AND (?4 IS NULL OR outcome = ?4)",
        )
        .bind(from)
        .bind(to)
        .bind(now.0)
        .bind(outcome)
        .fetch_one(self.readers())
        .await?;
        let rows: Vec<(String, i64, i64, i64, i64, Option<i64>)> = sqlx::query_as(
            "SELECT customer, num, started_at, ends_at, outcome, converted_at
             FROM revenue_trials INDEXED BY revenue_trials_by_start
             WHERE started_at >= ?1 AND started_at < ?2 AND started_at <= ?3 AND (?4 IS NULL OR outcome = ?4)
                 AND (started_at, customer, num) < (?5, ?6, ?7)
             ORDER BY started_at DESC, customer DESC, num DESC LIMIT ?8",
        )
        .bind(from)
        .bind(to)
        .bind(now.0)
        .bind(outcome)
        .bind(at)
        .bind(customer)
        .bind(num)
        .bind(limit)
        .fetch_all(self.readers())
        .await?;
        let next = rows.last().filter(|_| rows.len() as i64 == limit).map(|it| format!("{} {} {}", it.2, it.1, it.0));
        let ids: Vec<&str> = rows.iter().map(|it| it.0.as_str()).collect();
        let payers = self.payers(&ids).await?;
        let row =
            |(customer, _, started_at, ends_at, outcome, converted_at): (String, i64, i64, i64, i64, _)| TrialRow {
                payer: payer(&payers, &customer),
                started_at: Timestamp(started_at),
                ends_at: Timestamp(ends_at),
                outcome: match outcome {
                    UNDECIDED => TrialOutcome::Undecided,
                    CONVERTED => TrialOutcome::Converted,
                    _ => TrialOutcome::Lost,
                },
                converted_at: Option::map(converted_at, Timestamp),
            };
        Ok(TrialPage { rows: rows.into_iter().map(row).collect(), next, total })
    }

    /// The reporting zone.
    pub(super) async fn zone(&self) -> Result<ReportingZone> {
        let lenses = self.revenue_lenses().await?;
        Ok(lenses.iter().find(|it| it.num == KeptLens::OURS).map_or(ReportingZone::UTC, |it| it.zone))
    }
}

/// Where a page ended: start, number, customer.
fn place(cursor: &str) -> Option<(i64, String, i64)> {
    let mut parts = cursor.splitn(3, ' ');
    let (at, num, customer) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?);
    Some((at, customer.to_owned(), num))
}
