//! Revenue, from what is kept of it.

mod ahead;
mod cohorts;
mod differences;
mod drill;
mod invoices;
mod left_out;
mod payments;
mod sheet;
mod trials;

use std::collections::HashMap;
use std::sync::Arc;

use paywall_domain::{TenantId, Timestamp};
use paywall_revenue::{
    Converted, Day, DayTotal, ExchangeRates, Movement, MovementKind, Objects, Period, Preset, Rate, Totals, Window,
};

use sqlx::SqliteConnection;

use super::row::tenant_id;
use crate::cache::{Cache, CacheError, KeptLens, Result};
use crate::ipc::{ConvertedSums, MovedView, MovementSums, Payer, RateView, Reporting, RevenueObjects};

pub use differences::Differences;
#[cfg(test)]
pub(super) use drill::STATEMENTS as DRILLS;
#[cfg(test)]
pub(super) use invoices::STATEMENTS as INVOICES;

/// How revenue is reported, and by which rates.
#[derive(Debug, Clone)]
pub struct ReportedBy {
    /// Zone, currency, and for how long a rate holds.
    pub reporting: Reporting,
    /// The rates that were supplied.
    pub rates: Arc<ExchangeRates>,
}

impl From<Rate> for RateView {
    fn from(rate: Rate) -> Self {
        match rate {
            Rate::Value { numerator, denominator } => Self::Value { numerator, denominator },
            Rate::TooFew { counted, of } => Self::TooFew { counted, of },
            Rate::NotEnoughData => Self::NotEnoughData,
        }
    }
}

impl From<Objects> for RevenueObjects {
    fn from(objects: Objects) -> Self {
        let Objects { subscriptions, invoices, faults, including_tax } = objects;
        Self { subscriptions, invoices, faults, including_tax }
    }
}

impl From<&Converted> for ConvertedSums {
    fn from(converted: &Converted) -> Self {
        let moved = |amount_10k| MovedView { amount_10k, movements: 0 };
        Self {
            start_10k: converted.start_10k,
            end_10k: converted.end_10k,
            moved: sums(converted.moved_10k.map(moved)),
            exchange_10k: converted.exchange_10k,
        }
    }
}

/// In the order of [`MovementKind::ALL`].
fn sums([new, reactivation, expansion, contraction, churn]: [MovedView; 5]) -> MovementSums {
    MovementSums { new, reactivation, expansion, contraction, churn }
}

/// The last so many calendar months up to the end of today, the running one counted.
fn months_up_to(today: Day, months: u32) -> Window {
    let back = i32::try_from(months.clamp(1, 60)).unwrap_or(1) - 1;
    Window { from: today.start_of(Period::Month).plus_months(-back), to: today.plus(1) }
}

/// The periods of a window that ends today, and whether each is over.
fn periods(window: Window, period: Period) -> Vec<(Window, bool)> {
    window.by(period).into_iter().map(|it| (it, it.from.end_of(period) < window.to)).collect()
}

/// The figures by a preset, and today in their zone.
struct Kept {
    lens: KeptLens,
    today: Day,
}

impl Cache {
    async fn kept(&self, preset: Preset, now: Timestamp) -> Result<Kept> {
        let lens = self.keep_lens(preset).await?;
        Ok(Kept { lens, today: lens.zone.day_of(now.0) })
    }

    /// Who these customers are, by their ids; a tenant that is no customer yet goes by its own.
    async fn payers(&self, customers: &[&str]) -> Result<HashMap<String, Payer>> {
        let rows: Vec<Known> = sqlx::query_as(
            "SELECT who.value, t.id, t.name, c.email
             FROM json_each(?1) AS who
             LEFT JOIN tenants AS t ON t.num = coalesce(
                 (SELECT num FROM tenants AS own WHERE own.stripe_customer = who.value
                  ORDER BY own.deleted_at IS NOT NULL, own.num LIMIT 1),
                 (SELECT num FROM tenants AS own WHERE own.id = who.value)
             )
             LEFT JOIN stripe_customers AS c ON c.id = who.value",
        )
        .bind(serde_json::to_string(customers)?)
        .fetch_all(self.readers())
        .await?;
        rows.into_iter()
            .map(|(customer, tenant, name, email)| {
                let tenant_id: Option<TenantId> = tenant.as_deref().map(tenant_id).transpose()?;
                let given = name.filter(|it| !it.is_empty()).or(email.filter(|it| !it.is_empty()));
                let name = given.unwrap_or_else(|| customer.clone());
                Ok((customer.clone(), Payer { customer, tenant_id, name }))
            })
            .collect()
    }
}

/// The sums of every day.
async fn totals(read: &mut SqliteConnection, lens: i64) -> Result<Totals> {
    let days: Vec<(String, i32, i64, i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT currency, day, kind, amount_10k, movements, paying, estimated
         FROM revenue_days WHERE lens = ?1 AND movements <> 0 ORDER BY currency, day, kind",
    )
    .bind(lens)
    .fetch_all(&mut *read)
    .await?;
    let rebuilt: Vec<(String, i32, i64)> =
        sqlx::query_as("SELECT currency, day, rebuilt FROM revenue_rebuilt_days WHERE lens = ?1 AND rebuilt <> 0")
            .bind(lens)
            .fetch_all(&mut *read)
            .await?;
    let mut totals: HashMap<(String, i32), DayTotal> = HashMap::new();
    for (currency, day, kind, amount, movements, paying, estimated) in days {
        let total = totals.entry((currency, day)).or_default();
        if let Some(kind) = usize::try_from(kind).ok().filter(|kind| *kind < MovementKind::ALL.len()) {
            (total.amounts[kind], total.counts[kind]) = (i128::from(amount), movements);
        }
        total.paying += paying;
        total.estimated += estimated;
    }
    for (currency, day, rebuilt) in rebuilt {
        totals.entry((currency, day)).or_default().rebuilt += rebuilt;
    }
    let objects = objects(&mut *read, lens).await?;
    Ok(Totals::from_parts(
        totals.iter().map(|((currency, day), total)| (&**currency, Day::of_number(*day), *total)),
        objects.iter().map(|(currency, objects, _)| (&**currency, *objects)),
    ))
}

/// What each currency rests on and what its subscriptions say is earned now, that with most subscriptions
/// first.
async fn objects(read: &mut SqliteConnection, lens: i64) -> Result<Vec<(String, Objects, i64)>> {
    let rows: Vec<(String, i64, i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT currency, subscriptions, invoices, faults, including_tax, now_10k FROM revenue_objects
         WHERE lens = ?1 AND (subscriptions <> 0 OR invoices <> 0) ORDER BY subscriptions DESC, currency",
    )
    .bind(lens)
    .fetch_all(&mut *read)
    .await?;
    let objects = |(currency, subscriptions, invoices, faults, including_tax, now)| {
        (currency, Objects { subscriptions, invoices, faults, including_tax }, now)
    };
    Ok(rows.into_iter().map(objects).collect())
}

/// Every movement, or every one in a currency, by customer, in order.
async fn movements(read: &mut SqliteConnection, lens: i64, currency: Option<&str>) -> Result<Vec<Movement>> {
    // One row for each customer: to hand a row over costs more than to cut it.
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT customer, group_concat(
             currency || ' ' || day || ' ' || kind || ' ' || amount_10k || ' ' || paying || ' ' || estimated, char(10)
         )
         FROM revenue_movements WHERE lens = ?1 AND (?2 IS NULL OR currency = ?2)
         GROUP BY customer ORDER BY customer",
    )
    .bind(lens)
    .bind(currency)
    .fetch_all(&mut *read)
    .await?;
    let mut names: HashMap<String, Arc<str>> = HashMap::new();
    let mut all = Vec::with_capacity(rows.len() * 2);
    for (customer, lines) in rows {
        let customer: Arc<str> = customer.into();
        let from = all.len();
        all.extend(lines.lines().filter_map(|line| movement(&customer, line, &mut names)));
        all[from..]
            .sort_unstable_by(|one: &Movement, other| (&one.currency, one.day).cmp(&(&other.currency, other.day)));
    }
    Ok(all)
}

/// A movement from its columns.
fn movement(customer: &Arc<str>, line: &str, names: &mut HashMap<String, Arc<str>>) -> Option<Movement> {
    let mut columns = line.split(' ');
    let currency = columns.next()?;
    let name = names.get(currency).cloned();
    let name = name.unwrap_or_else(|| names.entry(currency.to_owned()).or_insert_with(|| currency.into()).clone());
    Some(Movement {
        customer: customer.clone(),
        currency: name,
        day: Day::of_number(columns.next()?.parse().ok()?),
        kind: *MovementKind::ALL.get(columns.next()?.parse::<usize>().ok()?)?,
        amount_10k: columns.next()?.parse().ok()?,
        paying: columns.next()?.parse().ok()?,
        estimated: columns.next()? != "0",
    })
}

/// The most rows of a page.
const ROWS: u32 = 500;

/// A customer, its tenant's id and name, and its own address.
type Known = (String, Option<String>, Option<String>, Option<String>);

// An invoice whose payment failed at least once: as the index over them says it. Stripe counts the attempt that
// paid, too.
macro_rules! payment_failed {
    () => {
        "total > 0 AND ((status = 'paid' AND attempt_count > 1)
             OR (status IN ('open', 'uncollectible', 'void') AND attempt_count > 0))"
    };
}
use payment_failed;

/// Runs what takes its time apart from what answers.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| CacheError::Io(std::io::Error::other(error)))
}

/// Who a customer is, where nothing is known of it.
fn payer(payers: &HashMap<String, Payer>, customer: &str) -> Payer {
    payers.get(customer).cloned().unwrap_or_else(|| Payer {
        customer: customer.to_owned(),
        tenant_id: None,
        name: customer.to_owned(),
    })
}
