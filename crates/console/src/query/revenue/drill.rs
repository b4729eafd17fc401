//! The customers behind a figure, by customer. All pages together add up to it.

use std::collections::BTreeMap;

use paywall_domain::Timestamp;
use paywall_revenue::{Cell, Day, ExchangeRates, Movement, MovementKind, Period, Unknown, Window};

use super::{Kept, ROWS, ReportedBy, aside, movements, payer};
use crate::cache::{Cache, CacheError, Result};
use crate::ipc::{DrillPage, DrillQuery, DrillRow, RevenueCell};

/// Rows of a page, how many there are in all, and what they add up to.
type Found = (Vec<(String, i64)>, i64, i64);

// The customers who are behind a cell, with their parts. Of a level (start, end, a cohort's month) those who stand
// at zero are not behind it; of movements everybody who moved is. Parameters: `?1` lens, `?2` currency, `?3` first
// day, `?4` first day after, `?5` kind or -1, `?6` cohort's first day, `?7` first day after the cohort's month.
macro_rules! amount {
    (cohort) => {
        "sum(iif(day < ?4, amount_10k, 0))"
    };
    ($cell:ident) => {
        "sum(amount_10k)"
    };
}

macro_rules! rows {
    (level) => {
        " FROM revenue_movements WHERE lens = ?1 AND currency = ?2 AND day < ?4 AND ?3 IS NOT NULL
             AND ?5 IS NOT NULL AND ?6 IS NOT NULL AND ?7 IS NOT NULL"
    };
    (moved) => {
        " FROM revenue_movements INDEXED BY revenue_movements_by_day
         WHERE lens = ?1 AND currency = ?2 AND day >= ?3 AND day < ?4 AND (?5 < 0 OR kind = ?5)
             AND ?6 IS NOT NULL AND ?7 IS NOT NULL"
    };
    (cohort) => {
        " FROM revenue_movements WHERE lens = ?1 AND currency = ?2 AND ?3 IS NOT NULL AND ?5 IS NOT NULL"
    };
}

macro_rules! each {
    (level) => {
        " GROUP BY customer HAVING sum(amount_10k) <> 0"
    };
    (moved) => {
        " GROUP BY customer"
    };
    (cohort) => {
        " GROUP BY customer HAVING min(day) >= ?6 AND min(day) < ?7 AND sum(iif(day < ?4, paying, 0)) > 0"
    };
}

macro_rules! page {
    ($cell:ident) => {
        concat!(
            "SELECT customer, ",
            amount!($cell),
            rows!($cell),
            " AND customer > ?8",
            each!($cell),
            " ORDER BY customer LIMIT ?9"
        )
    };
}

macro_rules! total {
    // The sums of days tell as much: who stands above zero is one more that pays.
    (level) => {
        "SELECT coalesce(sum(paying), 0), coalesce(sum(amount_10k), 0) FROM revenue_days
         WHERE lens = ?1 AND currency = ?2 AND day < ?4 AND ?3 IS NOT NULL AND ?5 IS NOT NULL
             AND ?6 IS NOT NULL AND ?7 IS NOT NULL"
    };
    ($cell:ident) => {
        concat!(
            "SELECT count(*), coalesce(sum(amount), 0) FROM (SELECT ",
            amount!($cell),
            " AS amount",
            rows!($cell),
            each!($cell),
            ")"
        )
    };
}

/// A cell as its statements take it.
struct Bounds {
    page: &'static str,
    total: &'static str,
    from: Day,
    to: Day,
    kind: i64,
    cohort: Window,
}

impl Cache {
    /// A page of the customers behind a figure.
    pub async fn revenue_drill(&self, query: &DrillQuery, by: &ReportedBy, now: Timestamp) -> Result<DrillPage> {
        let kept = self.kept(query.preset, now).await?;
        let window = Window { from: day(&query.from)?, to: day(&query.to)? };
        let after = query.cursor.as_deref().unwrap_or_default();
        let limit = i64::from(query.limit.clamp(1, ROWS));
        let (found, total, sum_10k) = if query.converted {
            self.parts_converted(&kept, query, window, by, after, limit).await?
        } else {
            self.parts(&kept, &query.currency, &Bounds::of(&query.cell, window)?, after, limit).await?
        };
        let next = if found.len() as i64 == limit { found.last().map(|(customer, _)| customer.clone()) } else { None };
        let ids: Vec<&str> = found.iter().map(|(customer, _)| customer.as_str()).collect();
        let payers = self.payers(&ids).await?;
        let row = |(customer, amount_10k): (String, i64)| DrillRow { payer: payer(&payers, &customer), amount_10k };
        Ok(DrillPage { rows: found.into_iter().map(row).collect(), next, total, sum_10k })
    }

    async fn parts(&self, kept: &Kept, currency: &str, cell: &Bounds, after: &str, limit: i64) -> Result<Found> {
        // Both of one moment: somebody may be counted in between.
        let mut read = self.readers().begin().await?;
        let (total, sum): (i64, i64) = sqlx::query_as(cell.total)
            .bind(kept.lens.num)
            .bind(currency)
            .bind(cell.from.number())
            .bind(cell.to.number())
            .bind(cell.kind)
            .bind(cell.cohort.from.number())
            .bind(cell.cohort.to.number())
            .fetch_one(&mut *read)
            .await?;
        let rows: Vec<(String, i64)> = sqlx::query_as(cell.page)
            .bind(kept.lens.num)
            .bind(currency)
            .bind(cell.from.number())
            .bind(cell.to.number())
            .bind(cell.kind)
            .bind(cell.cohort.from.number())
            .bind(cell.cohort.to.number())
            .bind(after)
            .bind(limit)
            .fetch_all(&mut *read)
            .await?;
        Ok((rows, total, sum))
    }

    async fn parts_converted(
        &self,
        kept: &Kept,
        query: &DrillQuery,
        window: Window,
        by: &ReportedBy,
        after: &str,
        limit: i64,
    ) -> Result<Found> {
        let movements = movements(&mut *self.readers().acquire().await?, kept.lens.num, None).await?;
        let cell = cell(&query.cell).ok_or(CacheError::NotFound)?;
        let (rates, currency, after) = (by.rates.clone(), query.currency.clone(), after.to_owned());
        aside(move || converted(&movements, &rates, &currency, window, cell, &after, limit)).await?
    }
}

/// Every customer's part of a converted figure, and a page of them.
fn converted(
    movements: &[Movement],
    rates: &ExchangeRates,
    currency: &str,
    window: Window,
    cell: Cell,
    after: &str,
    limit: i64,
) -> Result<Found> {
    let mut parts: BTreeMap<&str, i64> = BTreeMap::new();
    for theirs in movements.chunk_by(|one, other| one.customer == other.customer) {
        let part = rates.part_of(theirs, currency, window, cell);
        let part = part.map_err(|unknown| match unknown {
            Unknown::Amount(error) => CacheError::from(error),
            // Where a rate is missing there is no figure that customers could be behind.
            Unknown::Rate { .. } => CacheError::NotFound,
        })?;
        if let (Some(part), Some(first)) = (part, theirs.first()) {
            let part = i64::try_from(part).map_err(|_| paywall_revenue::RevenueError::TooLarge)?;
            parts.insert(&first.customer, part);
        }
    }
    let total = parts.len() as i64;
    let sum = parts.values().try_fold(0_i64, |sum, part| sum.checked_add(*part));
    let page = parts.into_iter().filter(|(customer, _)| *customer > after).take(usize::try_from(limit).unwrap_or(1));
    let rows = page.map(|(customer, part)| (customer.to_owned(), part)).collect();
    Ok((rows, total, sum.ok_or(paywall_revenue::RevenueError::TooLarge)?))
}

impl Bounds {
    fn of(cell: &RevenueCell, window: Window) -> Result<Self> {
        let moved = |kind: i64| Self {
            page: page!(moved),
            total: total!(moved),
            from: window.from,
            to: window.to,
            kind,
            cohort: window,
        };
        let level = |to: Day| Self {
            page: page!(level),
            total: total!(level),
            from: window.from,
            to,
            kind: -1,
            cohort: window,
        };
        Ok(match cell {
            RevenueCell::Start => level(window.from),
            RevenueCell::End => level(window.to),
            RevenueCell::Net => moved(-1),
            RevenueCell::New => moved(MovementKind::New.index() as i64),
            RevenueCell::Reactivation => moved(MovementKind::Reactivation.index() as i64),
            RevenueCell::Expansion => moved(MovementKind::Expansion.index() as i64),
            RevenueCell::Contraction => moved(MovementKind::Contraction.index() as i64),
            RevenueCell::Churn => moved(MovementKind::Churn.index() as i64),
            RevenueCell::Cohort { month, after } => {
                let month = day(month)?.start_of(Period::Month);
                let close = month.plus_months(i32::try_from(*after).unwrap_or(i32::MAX)).end_of(Period::Month);
                let cohort = Window { from: month, to: month.end_of(Period::Month) };
                Self { page: page!(cohort), total: total!(cohort), from: month, to: close, kind: -1, cohort }
            }
        })
    }
}

fn cell(cell: &RevenueCell) -> Option<Cell> {
    Some(match cell {
        RevenueCell::Start => Cell::Start,
        RevenueCell::End => Cell::End,
        RevenueCell::Net => Cell::Net,
        RevenueCell::New => Cell::Moved(MovementKind::New),
        RevenueCell::Reactivation => Cell::Moved(MovementKind::Reactivation),
        RevenueCell::Expansion => Cell::Moved(MovementKind::Expansion),
        RevenueCell::Contraction => Cell::Moved(MovementKind::Contraction),
        RevenueCell::Churn => Cell::Moved(MovementKind::Churn),
        RevenueCell::Cohort { .. } => return None,
    })
}

/// A day as the window sends it.
pub(super) fn day(text: &str) -> Result<Day> {
    text.parse().map_err(|_| CacheError::NotFound)
}

/// Every statement, for the test that prepares them all.
#[cfg(test)]
pub(in crate::query) const STATEMENTS: [&str; 6] =
    [page!(level), page!(moved), page!(cohort), total!(level), total!(moved), total!(cohort)];
