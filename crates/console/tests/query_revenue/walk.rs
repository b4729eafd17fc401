//! Every figure that customers are behind, against the pages of these customers.

use paywall_console::cache::Cache;
use paywall_console::ipc::{
    DrillQuery, DrillRow, MovementSums, Period, Preset, RevenueCell, RevenueQuery, RevenueSpan, TrialOutcome,
    TrialQuery,
};
use paywall_console::query::ReportedBy;
use paywall_domain::Timestamp;

/// So that lists take several pages.
const PAGE: u32 = 7;

/// Every customer behind a figure; what the pages say of the whole is checked.
pub(crate) async fn behind(cache: &Cache, query: DrillQuery, by: &ReportedBy, now: Timestamp) -> (Vec<DrillRow>, i64) {
    let (mut rows, mut query) = (Vec::<DrillRow>::new(), DrillQuery { cursor: None, limit: PAGE, ..query });
    loop {
        let page = cache.revenue_drill(&query, by, now).await.unwrap();
        assert!(page.rows.len() <= PAGE as usize);
        rows.extend(page.rows);
        query.cursor = page.next;
        if query.cursor.is_none() {
            assert_eq!(rows.len() as i64, page.total, "{query:?}");
            assert_eq!(rows.iter().map(|it| it.amount_10k).sum::<i64>(), page.sum_10k, "{query:?}");
            assert!(rows.is_sorted_by(|a, b| a.payer.customer < b.payer.customer), "{query:?}");
            return (rows, page.sum_10k);
        }
    }
}

fn moved(sums: &MovementSums) -> [(RevenueCell, i64, i64); 5] {
    let cell = |cell, it: paywall_console::ipc::MovedView| (cell, it.amount_10k, it.movements);
    [
        cell(RevenueCell::New, sums.new),
        cell(RevenueCell::Reactivation, sums.reactivation),
        cell(RevenueCell::Expansion, sums.expansion),
        cell(RevenueCell::Contraction, sums.contraction),
        cell(RevenueCell::Churn, sums.churn),
    ]
}

/// Walks every tile and cell of a view. How many were walked.
pub(crate) async fn walk(cache: &Cache, preset: Preset, period: Period, by: &ReportedBy, now: Timestamp) -> usize {
    let mut cells = 0;
    let view = cache.revenue(RevenueQuery { preset, months: 12, period }, by, now).await.unwrap();
    for sheet in &view.sheets {
        assert_eq!(sheet.subscriptions_10k, sheet.movements_10k, "{} {preset:?}", sheet.currency);
        let tiles = [Some(&sheet.last_30d), Some(&sheet.before_30d), sheet.same_span_before.as_ref()];
        let mut before: Option<&RevenueSpan> = None;
        for span in &sheet.spans {
            assert!(before.is_none_or(|it| it.end_10k == span.start_10k && it.to == span.from && it.finished));
            before = Some(span);
        }
        assert_eq!(before.unwrap().end_10k, sheet.movements_10k);
        for span in tiles.into_iter().flatten().chain(&sheet.spans) {
            assert_eq!(span.start_10k + span.net_10k, span.end_10k, "{span:?}");
            assert_eq!(moved(&span.moved).iter().map(|it| it.1).sum::<i64>(), span.net_10k, "{span:?}");
            let query = |cell: RevenueCell| DrillQuery {
                preset,
                currency: sheet.currency.clone(),
                converted: false,
                from: span.from.clone(),
                to: span.to.clone(),
                cell,
                cursor: None,
                limit: 0,
            };
            for (cell, figure, paying) in [
                (RevenueCell::Start, span.start_10k, Some(span.customers_start)),
                (RevenueCell::End, span.end_10k, Some(span.customers_end)),
                (RevenueCell::Net, span.net_10k, None),
            ] {
                let (rows, sum) = behind(cache, query(cell), by, now).await;
                assert_eq!(sum, figure, "{} {span:?}", sheet.currency);
                assert!(paying.is_none_or(|it| it == rows.len() as i64), "{} {span:?}", sheet.currency);
                cells += 1;
            }
            for (cell, figure, movements) in moved(&span.moved) {
                let (rows, sum) = behind(cache, query(cell.clone()), by, now).await;
                assert_eq!(sum, figure, "{} {cell:?} {span:?}", sheet.currency);
                assert!(rows.len() as i64 <= movements && (rows.is_empty()) == (movements == 0), "{cell:?} {span:?}");
                cells += 1;
            }
        }
        cells += walk_cohorts(cache, preset, &sheet.currency, by, now).await;
    }
    for span in &view.converted {
        let Some(sums) = &span.sums else { continue };
        let net: i64 = moved(&sums.moved).iter().map(|it| it.1).sum();
        assert_eq!(sums.start_10k + net + sums.exchange_10k, sums.end_10k, "{span:?}");
        let figures = [(RevenueCell::Start, sums.start_10k), (RevenueCell::End, sums.end_10k), (RevenueCell::Net, net)];
        for (cell, figure) in figures.into_iter().chain(moved(&sums.moved).map(|it| (it.0, it.1))) {
            let query = DrillQuery {
                preset,
                currency: view.reporting_currency.clone().unwrap(),
                converted: true,
                from: span.from.clone(),
                to: span.to.clone(),
                cell,
                cursor: None,
                limit: 0,
            };
            assert_eq!(behind(cache, query.clone(), by, now).await.1, figure, "{query:?}");
            cells += 1;
        }
    }
    cells
}

async fn walk_cohorts(cache: &Cache, preset: Preset, currency: &str, by: &ReportedBy, now: Timestamp) -> usize {
    let mut cells = 0;
    for cohort in cache.revenue_cohorts(preset, currency, now).await.unwrap() {
        assert!(cohort.months[0].customers <= cohort.customers);
        for (after, cell) in (0..).zip(&cohort.months) {
            let query = DrillQuery {
                preset,
                currency: currency.into(),
                converted: false,
                from: cohort.month.clone(),
                to: cohort.month.clone(),
                cell: RevenueCell::Cohort { month: cohort.month.clone(), after },
                cursor: None,
                limit: 0,
            };
            let (rows, sum) = behind(cache, query, by, now).await;
            assert_eq!((rows.len() as i64, sum), (cell.customers, cell.mrr_10k), "{cohort:?} {after}");
            cells += 1;
        }
    }
    cells
}

/// Walks the counts of every cohort of trials. How many trials there are in all.
pub(crate) async fn walk_trials(cache: &Cache, now: Timestamp) -> i64 {
    let mut all = 0;
    for cohort in cache.trial_conversion(12, now).await.unwrap().cohorts {
        assert_eq!(cohort.decided + cohort.undecided, cohort.started, "{cohort:?}");
        for (outcome, count) in [
            (None, cohort.started),
            (Some(TrialOutcome::Converted), cohort.converted),
            (Some(TrialOutcome::Lost), cohort.decided - cohort.converted),
            (Some(TrialOutcome::Undecided), cohort.undecided),
        ] {
            let (from, to) = (cohort.from.clone(), cohort.to.clone());
            let mut query = TrialQuery { from, to, outcome, cursor: None, limit: 2 };
            let mut rows = Vec::new();
            loop {
                let page = cache.trials_page(&query, now).await.unwrap();
                assert_eq!(page.total, count, "{query:?}");
                rows.extend(page.rows);
                query.cursor = page.next;
                if query.cursor.is_none() {
                    break;
                }
            }
            assert_eq!(rows.len() as i64, count, "{query:?}");
            assert!(rows.is_sorted_by(|a, b| a.started_at >= b.started_at));
            assert!(rows.iter().all(|it| outcome.is_none_or(|outcome| it.outcome == outcome)));
        }
        all += cohort.started;
    }
    all
}
