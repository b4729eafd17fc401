//! The figures by period and currency.

use paywall_domain::Timestamp;
use paywall_revenue::{Converted, Figures, Movement, Totals, Unknown, Window};
use paywall_stripe::Stream;
use sqlx::SqliteConnection;

use super::{Kept, ReportedBy, aside, months_up_to, movements, objects, periods, sums, totals};
use crate::cache::{Cache, Result};
use crate::ipc::{
    ConvertedSpan, MissingRate, MovedView, RevenueBasis, RevenueObjects, RevenueQuery, RevenueSheet, RevenueSpan,
    RevenueView,
};

/// The lists that revenue rests on.
const RESTS_ON: [Stream; 3] = [Stream::Subscriptions, Stream::Invoices, Stream::Customers];

impl Cache {
    /// Revenue by a definition; one that is looked at first is counted from now on, and nothing of it is here yet.
    pub async fn revenue(&self, query: RevenueQuery, by: &ReportedBy, now: Timestamp) -> Result<RevenueView> {
        let kept = self.kept(query.preset, now).await?;
        // All of one moment: customers may be counted meanwhile, and then the sums would not agree.
        let mut read = self.readers().begin().await?;
        let totals = totals(&mut read, kept.lens.num).await?;
        let objects = objects(&mut read, kept.lens.num).await?;
        let basis = basis(&mut read, &kept, now).await?;
        let movements = match &by.reporting.currency {
            Some(_) => movements(&mut read, kept.lens.num, None).await?,
            None => Vec::new(),
        };
        drop(read);
        let window = months_up_to(kept.today, query.months);
        let mut sheets = Vec::with_capacity(objects.len());
        for (currency, objects, subscriptions_10k) in objects {
            sheets.push(RevenueSheet {
                objects: objects.into(),
                subscriptions_10k,
                ..sheet(&kept, &totals, &currency, window, query)?
            });
        }
        let converted = match &by.reporting.currency {
            Some(currency) => converted(movements, currency, by, window, query).await?,
            None => Vec::new(),
        };
        Ok(RevenueView {
            preset: query.preset,
            zone: kept.lens.zone.name().to_owned(),
            today: kept.today.to_string(),
            sheets,
            reporting_currency: by.reporting.currency.clone(),
            converted,
            basis,
        })
    }
}

async fn converted(
    movements: Vec<Movement>,
    currency: &str,
    by: &ReportedBy,
    window: Window,
    query: RevenueQuery,
) -> Result<Vec<ConvertedSpan>> {
    let (currency, rates) = (currency.to_owned(), by.rates.clone());
    let spans = periods(window, query.period);
    let convert = move || {
        let customers = movements.chunk_by(|one, other| one.customer == other.customer);
        let windows: Vec<Window> = spans.iter().map(|(window, _)| *window).collect();
        let figures = rates.converted(customers, &currency, &windows)?.into_iter().zip(spans);
        let span = |(figures, (window, finished)): (Result<Converted, Unknown>, (Window, bool))| {
            let (sums, missing) = match figures {
                Ok(converted) => (Some((&converted).into()), None),
                Err(Unknown::Rate { from, to, day }) => (None, Some(MissingRate { from, to, day: day.to_string() })),
                Err(Unknown::Amount(error)) => return Err(error.into()),
            };
            Ok(ConvertedSpan { from: window.from.to_string(), to: window.to.to_string(), finished, sums, missing })
        };
        figures.map(span).collect::<Result<Vec<_>>>()
    };
    aside(convert).await?
}

async fn basis(read: &mut SqliteConnection, kept: &Kept, now: Timestamp) -> Result<RevenueBasis> {
    let mut unread = Vec::new();
    for stream in RESTS_ON {
        // A copy of an earlier version has whole lists that are to be read again.
        let (whole,): (bool,) = sqlx::query_as(
            "SELECT EXISTS (
                     SELECT 1 FROM streams WHERE source = 'stripe' AND stream = ?1 AND complete_at IS NOT NULL
                         AND NOT (?1 = 'subscriptions' AND cursor ->> 'phase' IS NOT 'current' AND EXISTS (
                             SELECT 1 FROM stripe_subscriptions AS s WHERE mrr_fault IS NULL AND customer IS NOT NULL
                                 AND NOT EXISTS (
                                     SELECT 1 FROM revenue_snapshots AS seen
                                     WHERE seen.customer = s.customer AND seen.subscription = s.id
                                 )
                         ))
                 )",
        )
        .bind(stream.name())
        .fetch_one(&mut *read)
        .await?;
        if !whole {
            unread.push(stream.name().to_owned());
        }
    }
    let (seen_since,): (Option<i64>,) =
        sqlx::query_as("SELECT min(seen_at) FROM revenue_snapshots INDEXED BY revenue_snapshots_by_time")
            .fetch_one(&mut *read)
            .await?;
    let (pending, customers): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM revenue_pending WHERE lens = ?1),
                 (SELECT count(*) FROM revenue_accounts WHERE lens = ?1)",
    )
    .bind(kept.lens.num)
    .fetch_one(read)
    .await?;
    // Where nobody waits, what was counted then holds now.
    let counted_at = kept.lens.counted_at.map(|at| if pending == 0 { now } else { at });
    Ok(RevenueBasis {
        complete: unread.is_empty(),
        unread,
        seen_since: seen_since.map(Timestamp),
        customers,
        pending,
        counted_at,
    })
}

fn sheet(kept: &Kept, totals: &Totals, currency: &str, window: Window, query: RevenueQuery) -> Result<RevenueSheet> {
    let base = kept.lens.preset.policy().churn_base;
    let span = |window: Window, finished: bool| -> Result<RevenueSpan> {
        let figures = totals.figures_of(currency, window, base)?;
        Ok(span_of(&figures, finished))
    };
    let cut = periods(window, query.period);
    let mut same_span_before = None;
    if let Some((running, false)) = cut.last() {
        // What is asked for can begin in the middle of a week.
        let began = running.from.start_of(query.period);
        let before = began.plus(-1).start_of(query.period);
        let from = before.plus(running.from.since(began));
        let to = before.plus(running.to.since(began)).min(began);
        same_span_before = Some(span(Window { from, to }, to == began)?);
    }
    let last_30d = Window::of_days(kept.today, 30);
    let everything = Window { from: paywall_revenue::Day::MIN, to: kept.today.plus(1) };
    let movements_10k = span(everything, false)?.end_10k;
    Ok(RevenueSheet {
        currency: currency.to_owned(),
        last_30d: span(last_30d, true)?,
        before_30d: span(Window::of_days(kept.today.plus(-30), 30), true)?,
        spans: cut.into_iter().map(|(window, finished)| span(window, finished)).collect::<Result<_>>()?,
        same_span_before,
        subscriptions_10k: 0,
        movements_10k,
        objects: RevenueObjects::default(),
    })
}

fn span_of(figures: &Figures, finished: bool) -> RevenueSpan {
    let moved = |it: paywall_revenue::Moved| MovedView { amount_10k: it.amount_10k, movements: it.movements };
    RevenueSpan {
        from: figures.window.from.to_string(),
        to: figures.window.to.to_string(),
        finished,
        estimated: figures.estimated,
        start_10k: figures.start_10k,
        end_10k: figures.end_10k,
        moved: sums(figures.moved.map(moved)),
        net_10k: figures.net_10k,
        arr_10k: figures.arr_10k,
        customers_start: figures.customers_start,
        customers_end: figures.customers_end,
        customer_churn: figures.customer_churn.into(),
        gross_mrr_churn: figures.gross_mrr_churn.into(),
        net_mrr_churn: figures.net_mrr_churn.into(),
        nrr: figures.nrr.into(),
        quick_ratio: figures.quick_ratio.into(),
        arpa: figures.arpa.into(),
        ltv: figures.ltv.into(),
    }
}
