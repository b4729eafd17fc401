//! A small world whose figures can be told by hand.

use paywall_console::cache::Cache;
use paywall_console::ipc::{
    Cause, DrillQuery, InvoiceQuery, InvoiceState, InvoiceSum, LeftOutQuery, MovedView, Period, Preset, RateView,
    Recovery, RevenueCell, RevenueSheet, RevenueSpan, RevenueView, TrialOutcome,
};
use paywall_contract::Tenant;
use paywall_domain::{DAY_MS, Timestamp};
use paywall_revenue::ReportingZone;
use paywall_stripe::Stream;
use serde_json::{Value, json};

use crate::cache_fixtures::{Home, NOW, ago, facts, filled, home, tenant};
use crate::objects::{
    count, discount, fetched, invoice, plain, price, read, reported_in, s, subscription, unpaid, view,
};
use crate::walk::{behind, walk, walk_trials};

/// When the lists were read first: it is 2026-12-06, and `NOW` 2027-01-15, both at 08:00 UTC.
const READ: Timestamp = Timestamp(NOW.0 - 40 * DAY_MS);

fn tenants() -> Vec<Tenant> {
    let of = |n: u32, name: &str, trial_ends: Option<i64>, customer: Option<&str>| {
        let mut tenant = tenant(n, name, facts(trial_ends.map(ago)), None);
        tenant.stripe_customer = customer.map(Into::into);
        tenant
    };
    vec![
        of(1, "Acme", None, Some("cus_1")),
        of(8, "Converted", Some(30), Some("cus_80")),
        of(9, "Lost", Some(20), None),
        of(10, "Undecided", Some(-5), None),
    ]
}

fn first_read() -> Vec<Value> {
    let mut ended = subscription("3", "cus_3", "usd", 2000, ago(300));
    (ended["status"], ended["ended_at"]) = (json!("canceled"), json!(s(ago(120))));
    let mut yearly = subscription("5", "cus_5", "kwd", 12_345, ago(400));
    price(&mut yearly)["recurring"]["interval"] = json!("year");
    let mut two = subscription("6", "cus_6", "usd", 8000, ago(60));
    two["items"]["data"][0]["quantity"] = json!(2);
    let mut unreadable = subscription("7", "cus_7", "usd", 100, ago(60));
    price(&mut unreadable)["billing_scheme"] = json!("tiered");
    let mut leaving = subscription("9", "cus_9", "usd", 4000, ago(50));
    (leaving["cancel_at_period_end"], leaving["canceled_at"]) = (json!(true), json!(s(ago(45))));
    let mut half = subscription("10", "cus_10", "usd", 6000, ago(50));
    half["discounts"] = json!([discount("half", 50, Some(12), ago(50))]);
    vec![
        subscription("1", "cus_1", "usd", 9900, ago(200)),
        subscription("2", "cus_2", "eur", 5000, ago(100)),
        ended,
        subscription("4", "cus_4", "jpy", 5000, ago(45)),
        yearly,
        two,
        unreadable,
        tiered(),
        leaving,
        half,
    ]
}

/// Its tiers are not known yet.
fn tiered() -> Value {
    let mut tiered = subscription("8", "cus_8", "usd", 0, ago(60));
    let price = price(&mut tiered);
    (price["id"], price["billing_scheme"], price["tiers_mode"]) =
        (json!("price_tiers"), json!("tiered"), json!("volume"));
    (price["unit_amount"], price["unit_amount_decimal"]) = (Value::Null, Value::Null);
    tiered
}

fn invoices() -> Vec<Value> {
    let usd = |name: &str, total, days| invoice(name, "cus_1", "usd", total, ago(days));
    let mut recovered = usd("recovered", 9900, 20);
    recovered["attempt_count"] = json!(3);
    let mut yen = invoice("yen", "cus_4", "jpy", 5000, ago(20));
    yen["attempt_count"] = json!(2);
    vec![
        invoice("first", "cus_80", "usd", 9900, ago(29)),
        recovered,
        yen,
        unpaid(usd("waiting", 5000, 3), "open", 2),
        unpaid(usd("given_up", 700, 21), "uncollectible", 4),
        unpaid(usd("taken_back", 300, 22), "void", 1),
        usd("paid", 9900, 60),
        unpaid(usd("draft", 100, 0), "draft", 0),
        unpaid(usd("sent", 100, 2), "open", 0),
        unpaid(usd("free", 0, 2), "open", 1),
    ]
}

/// Everything, as it is known at `NOW`.
async fn world(home: &Home) -> Cache {
    let cache = filled(home, &tenants()).await;
    read(&cache, Stream::Subscriptions, &first_read(), READ).await;
    read(&cache, Stream::Invoices, &invoices(), READ).await;
    let customer = json!({"id": "cus_4", "created": s(ago(50)), "email": "yen@four.example", "livemode": true});
    read(&cache, Stream::Customers, &[customer], READ).await;
    count(&cache, READ).await;
    let mut expanded = subscription("1", "cus_1", "usd", 14_900, ago(200));
    expanded["items"]["data"][0]["id"] = json!("si_1");
    fetched(&cache, Stream::Subscriptions, &expanded, ago(19), ago(20)).await;
    let mut lost = subscription("2", "cus_2", "eur", 5000, ago(100));
    (lost["status"], lost["canceled_at"], lost["ended_at"]) = (json!("canceled"), json!(s(ago(12))), json!(s(ago(10))));
    fetched(&cache, Stream::Subscriptions, &lost, NOW, ago(9)).await;
    let back = subscription("33", "cus_3", "usd", 3000, ago(5));
    fetched(&cache, Stream::Subscriptions, &back, NOW, ago(5)).await;
    fetched(&cache, Stream::Subscriptions, &subscription("6", "cus_6", "usd", 8000, ago(60)), NOW, ago(3)).await;
    count(&cache, NOW).await;
    cache
}

fn sheet<'a>(view: &'a RevenueView, currency: &str) -> &'a RevenueSheet {
    view.sheets.iter().find(|it| it.currency == currency).unwrap()
}

/// What moved in a month, in minor units: new, reactivation, expansion, contraction, churn; each at most once.
fn moved(span: &RevenueSpan) -> [i64; 5] {
    let sums = span.moved;
    [sums.new, sums.reactivation, sums.expansion, sums.contraction, sums.churn].map(
        |MovedView { amount_10k, .. }| {
            assert_eq!(amount_10k % 10_000, 0);
            amount_10k / 10_000
        },
    )
}

fn month<'a>(sheet: &'a RevenueSheet, from: &str) -> &'a RevenueSpan {
    sheet.spans.iter().find(|it| it.from == from).unwrap()
}

#[tokio::test]
async fn each_currency_has_its_own_sheet_with_what_moved_by_month() {
    let home = home();
    let cache = world(&home).await;
    let shown = view(&cache, Preset::Paywall, Period::Month, &plain(), NOW).await;
    assert_eq!((shown.today.as_str(), shown.zone.as_str()), ("2027-01-15", "UTC"));
    assert_eq!(shown.sheets.iter().map(|it| it.currency.as_str()).collect::<Vec<_>>(), ["usd", "eur", "jpy", "kwd"]);
    let usd = sheet(&shown, "usd");
    assert_eq!((usd.subscriptions_10k, usd.movements_10k), (329_000_000, 329_000_000));
    let expected = [
        ("2026-02-01", [0; 5]),
        ("2026-03-01", [2000, 0, 0, 0, 0]),
        ("2026-06-01", [9900, 0, 0, 0, 0]),
        ("2026-09-01", [0, 0, 0, 0, -2000]),
        ("2026-11-01", [23_000, 0, 0, 0, 0]),
        ("2026-12-01", [0, 0, 5000, 0, 0]),
        ("2027-01-01", [0, 3000, 0, -8000, 0]),
    ];
    for (from, sums) in expected {
        assert_eq!(moved(month(usd, from)), sums, "{from}");
    }
    assert_eq!(usd.spans.iter().filter(|it| it.net_10k != 0).count(), 6);
    assert_eq!(month(usd, "2026-11-01").moved.new.movements, 3);
    let (november, january) = (month(usd, "2026-11-01"), month(usd, "2027-01-01"));
    assert_eq!((november.customers_start, november.customers_end, november.finished), (1, 4, true));
    assert_eq!((january.to.as_str(), january.finished, january.customers_end), ("2027-01-16", false, 5));
    assert_eq!((november.estimated, january.estimated), (true, false));
    assert_eq!(january.arr_10k, 12 * 329_000_000);
    assert_eq!(january.arpa, RateView::Value { numerator: 329_000_000, denominator: 5 });
    assert_eq!(january.customer_churn, RateView::TooFew { counted: 0, of: 4 });
    let before = usd.same_span_before.as_ref().unwrap();
    assert_eq!((before.from.as_str(), before.to.as_str(), before.finished), ("2026-12-01", "2026-12-16", false));
    let tile = &usd.last_30d;
    assert_eq!((tile.from.as_str(), tile.start_10k, tile.end_10k), ("2026-12-17", 329_000_000, 329_000_000));
    assert_eq!(moved(tile), [0, 3000, 5000, -8000, 0]);
    // One could never be read, and one lacks its tiers.
    assert_eq!((usd.objects.subscriptions, usd.objects.faults, usd.objects.invoices), (8, 2, 9));

    assert_eq!(moved(month(sheet(&shown, "eur"), "2027-01-01")), [0, 0, 0, 0, -5000]);
    assert_eq!((sheet(&shown, "eur").movements_10k, sheet(&shown, "jpy").movements_10k), (0, 50_000_000));
    assert_eq!(moved(month(sheet(&shown, "jpy"), "2026-12-01")), [5000, 0, 0, 0, 0]);
    // 12.345 dinars a year, of which a thousandth is the minor unit.
    assert_eq!(sheet(&shown, "kwd").movements_10k, 10_287_500);
    let basis = &shown.basis;
    assert_eq!((basis.complete, basis.seen_since, basis.pending), (true, Some(READ), 0));
    assert_eq!(basis.counted_at, Some(NOW));
    cache.verify().await.unwrap();
    cache.close().await;
}

#[tokio::test]
async fn in_another_zone_what_happened_near_midnight_moves_to_its_own_day() {
    let home = home();
    let cache = world(&home).await;
    let honolulu = ReportingZone::parse("Pacific/Honolulu").unwrap();
    let stale = cache.revenue_lenses().await.unwrap()[0];
    cache.set_reporting_zone(honolulu).await.unwrap();
    let by = plain();
    let view_now = || view(&cache, Preset::Paywall, Period::Month, &by, NOW);
    let begun = view_now().await;
    assert!(begun.sheets.is_empty() && begun.basis.counted_at.is_none() && begun.basis.pending > 0);
    // Whoever was about to count in the zone before does no harm.
    cache.count_revenue(stale, NOW).await.unwrap();
    assert_eq!(view_now().await, begun);
    count(&cache, NOW).await;
    let shown = view_now().await;
    assert_eq!((shown.today.as_str(), shown.zone.as_str()), ("2027-01-14", "Pacific/Honolulu"));
    // It began on 2026-12-01 at 08:00 UTC.
    assert_eq!(moved(month(sheet(&shown, "jpy"), "2026-11-01")), [5000, 0, 0, 0, 0]);
    assert_eq!(moved(month(sheet(&shown, "jpy"), "2026-12-01")), [0; 5]);
    assert_eq!(sheet(&shown, "usd").movements_10k, 329_000_000);
    for period in [Period::Month, Period::Week] {
        walk(&cache, Preset::Paywall, period, &plain(), NOW).await;
    }
    walk_trials(&cache, NOW).await;
    cache.close().await;
}

#[tokio::test]
async fn cohorts_show_who_stays_and_who_comes_back() {
    let home = home();
    let cache = world(&home).await;
    let cohorts = cache.revenue_cohorts(Preset::Paywall, "usd", NOW).await.unwrap();
    let told: Vec<_> = cohorts.iter().map(|it| (it.month.as_str(), it.customers, it.mrr_10k / 10_000)).collect();
    assert_eq!(told, [("2026-03-01", 1, 2000), ("2026-06-01", 1, 9900), ("2026-11-01", 3, 23_000)]);
    let mrr: Vec<i64> = cohorts[0].months.iter().map(|it| it.mrr_10k / 10_000).collect();
    assert_eq!(mrr, [2000, 2000, 2000, 2000, 2000, 2000, 0, 0, 0, 0, 3000]);
    let last = cohorts[2].months.last().unwrap();
    assert_eq!((last.customers, last.mrr_10k, last.finished), (3, 150_000_000, false));
    assert_eq!(cohorts[2].months[0].mrr_10k, 230_000_000);
    cache.close().await;
}

#[tokio::test]
async fn the_overview_says_what_revenue_says_also_once_a_discount_has_run_out() {
    let home = home();
    let cache = world(&home).await;
    let mut dollars = Vec::new();
    for now in [NOW, ago(-340)] {
        count(&cache, now).await;
        let shown = view(&cache, Preset::Paywall, Period::Month, &plain(), now).await;
        for told in cache.overview(None, now).await.unwrap().mrr.unwrap().now {
            let counted = sheet(&shown, &told.currency).subscriptions_10k;
            assert_eq!(told.amount, (counted + 5000).div_euclid(10_000), "{} at {now:?}", told.currency);
            if told.currency == "usd" {
                dollars.push(told.amount);
            }
        }
    }
    assert_eq!(dollars[1] - dollars[0], 3000);
    cache.close().await;
}

#[tokio::test]
async fn who_is_left_out_is_listed_with_the_reason_as_often_as_the_figure_says() {
    let home = home();
    let cache = world(&home).await;
    let shown = view(&cache, Preset::Paywall, Period::Month, &plain(), NOW).await;
    let faults = sheet(&shown, "usd").objects.faults;
    let (mut rows, mut cursor) = (Vec::new(), None);
    loop {
        let page = cache.left_out(&LeftOutQuery { currency: "usd".into(), cursor, limit: 1 }).await.unwrap();
        assert_eq!(page.total, faults);
        rows.extend(page.rows);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let told: Vec<(&str, &str)> = rows.iter().map(|it| (&*it.subscription, &*it.payer.customer)).collect();
    assert_eq!(told, [("sub_7", "cus_7"), ("sub_8", "cus_8")]);
    assert!(rows.iter().all(|it| it.reason.contains("tiers")), "{rows:?}");
    let none = cache.left_out(&LeftOutQuery { currency: "eur".into(), cursor: None, limit: 9 }).await.unwrap();
    assert_eq!((none.rows.len(), none.total), (0, 0));
    cache.close().await;
}

#[tokio::test]
async fn a_trial_is_converted_by_the_first_invoice_that_was_paid() {
    let home = home();
    let cache = world(&home).await;
    let conversion = cache.trial_conversion(12, NOW).await.unwrap();
    let december = conversion.cohorts.iter().find(|it| it.from == "2026-12-01").unwrap();
    assert_eq!((december.started, december.converted, december.decided, december.undecided), (2, 1, 2, 0));
    assert_eq!(december.conversion, RateView::TooFew { counted: 1, of: 2 });
    let january = conversion.cohorts.last().unwrap();
    assert_eq!((january.started, january.undecided, january.finished), (1, 1, false));
    assert_eq!(january.conversion, RateView::NotEnoughData);
    assert_eq!(
        (conversion.rolling_from.as_str(), conversion.rolling_ended, conversion.rolling_converted),
        ("2026-12-17", 1, 1)
    );
    assert_eq!(walk_trials(&cache, NOW).await, 3);
    // The one that runs is lost a day after its end, without any news; before that it is not.
    for (days, outcome) in [(5, TrialOutcome::Undecided), (7, TrialOutcome::Lost)] {
        let later = ago(-days);
        count(&cache, later).await;
        let query = paywall_console::ipc::TrialQuery {
            from: "2027-01-01".into(),
            to: "2027-02-01".into(),
            outcome: None,
            cursor: None,
            limit: 9,
        };
        let row = cache.trials_page(&query, later).await.unwrap().rows.remove(0);
        assert_eq!((row.payer.name.as_str(), row.outcome), ("Undecided", outcome));
    }
    cache.close().await;
}

#[tokio::test]
async fn a_trial_that_begins_by_a_clock_ahead_of_ours_is_there_once_it_has_begun() {
    let home = home();
    let mut ahead = tenant(1, "Ahead", facts(Some(ago(-14))), None);
    ahead.facts.trial.as_mut().unwrap().started_at = Timestamp(NOW.0 + 3000);
    let cache = filled(&home, &[ahead]).await;
    count(&cache, NOW).await;
    assert_eq!(walk_trials(&cache, NOW).await, 0);
    let then = Timestamp(NOW.0 + 3000);
    count(&cache, then).await;
    assert_eq!(walk_trials(&cache, then).await, 1);
    cache.close().await;
}

#[tokio::test]
async fn failed_payments_are_recovered_waiting_or_given_up() {
    let home = home();
    let cache = world(&home).await;
    let rows = cache.failed_payments(12, NOW).await.unwrap();
    let sum = |count, amount| InvoiceSum { count, amount };
    let december: Vec<_> = rows.iter().filter(|it| it.from == "2026-12-01").collect();
    assert_eq!(december.len(), 2);
    assert_eq!((december[0].currency.as_str(), december[0].recovered), ("usd", sum(1, 9900)));
    assert_eq!(
        (december[0].given_up, december[0].waiting, december[0].failed),
        (sum(2, 1000), sum(0, 0), sum(3, 10_900))
    );
    assert_eq!(december[0].recovery, RateView::TooFew { counted: 1, of: 3 });
    assert_eq!((december[1].currency.as_str(), december[1].recovered), ("jpy", sum(1, 5000)));
    let january = rows.last().unwrap();
    assert_eq!((january.from.as_str(), january.waiting, january.failed), ("2027-01-01", sum(1, 5000), sum(1, 5000)));
    for row in &rows {
        for (recovery, expected) in [
            (None, row.failed),
            (Some(Recovery::Recovered), row.recovered),
            (Some(Recovery::Waiting), row.waiting),
            (Some(Recovery::GivenUp), row.given_up),
        ] {
            let query = InvoiceQuery {
                failed: true,
                recovery,
                currency: Some(row.currency.clone()),
                from: Some(row.from.clone()),
                to: Some(row.to.clone()),
                limit: 1,
                ..InvoiceQuery::default()
            };
            assert_eq!(listed(&cache, query).await, expected, "{row:?} {recovery:?}");
        }
    }
    cache.close().await;
}

/// What an invoice list's pages add up to; it is checked against what its first page says.
async fn listed(cache: &Cache, mut query: InvoiceQuery) -> InvoiceSum {
    let (mut rows, mut totals) = (Vec::new(), None);
    loop {
        let page = cache.invoices_page(&query).await.unwrap();
        assert_eq!(page.totals.is_some(), query.cursor.is_none());
        totals = totals.or(page.totals);
        rows.extend(page.rows);
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    assert!(rows.is_sorted_by(|a, b| (a.billed_at, &a.id) > (b.billed_at, &b.id)));
    let totals = totals.unwrap();
    let all = InvoiceSum { count: rows.len() as i64, amount: rows.iter().map(|it| it.total).sum() };
    assert_eq!(totals.iter().map(|it| it.sum.count).sum::<i64>(), all.count);
    assert_eq!(totals.iter().map(|it| it.sum.amount).sum::<i64>(), all.amount);
    all
}

#[tokio::test]
async fn invoices_are_listed_by_status_and_day() {
    let home = home();
    let cache = world(&home).await;
    let of = |state| InvoiceQuery { state, limit: 2, ..InvoiceQuery::default() };
    assert_eq!(listed(&cache, of(None)).await.count, 10);
    for (state, count) in [
        (InvoiceState::Draft, 1),
        (InvoiceState::Open, 3),
        (InvoiceState::Paid, 4),
        (InvoiceState::Uncollectible, 1),
        (InvoiceState::Void, 1),
    ] {
        assert_eq!(listed(&cache, of(Some(state))).await.count, count, "{state:?}");
    }
    // In November only one, and none of yen.
    let (from, to) = (Some("2026-11-01".to_owned()), Some("2026-12-01".to_owned()));
    let november = InvoiceQuery { from, to, ..of(None) };
    assert_eq!(listed(&cache, november.clone()).await, InvoiceSum { count: 1, amount: 9900 });
    assert_eq!(listed(&cache, InvoiceQuery { currency: Some("jpy".into()), ..november }).await.count, 0);
    let page = cache.invoices_page(&InvoiceQuery { currency: Some("jpy".into()), ..of(None) }).await.unwrap();
    let row = &page.rows[0];
    assert_eq!((row.payer.name.as_str(), row.attempts, row.amount_paid), ("yen@four.example", 2, 5000));
    cache.close().await;
}

#[tokio::test]
async fn another_definition_beside_ours_says_which_rule_makes_which_part() {
    let home = home();
    let cache = world(&home).await;
    let (ours, theirs) = (Preset::Paywall, Preset::Stripe);
    cache.keep_lens(theirs).await.unwrap();
    count(&cache, NOW).await;
    let ours = view(&cache, ours, Period::Month, &plain(), NOW).await;
    let other = view(&cache, theirs, Period::Month, &plain(), NOW).await;
    assert_eq!(sheet(&other, "usd").movements_10k, 319_000_000);
    let differences = cache.differences(theirs, NOW).await.unwrap();
    let page = cache.differences_page(&differences, None).await.unwrap();
    let told: Vec<_> = page
        .rows
        .iter()
        .map(|it| (it.payer.customer.as_str(), it.ours_10k, it.other_10k, it.causes[0].cause))
        .collect();
    assert_eq!(
        told,
        [("cus_10", 30_000_000, 60_000_000, Cause::Discount), ("cus_9", 40_000_000, 0, Cause::Cancellation),]
    );
    assert!(page.next.is_none());
    for total in &page.totals {
        assert_eq!(total.ours_10k, sheet(&ours, &total.currency).subscriptions_10k);
        assert_eq!(total.other_10k, sheet(&other, &total.currency).subscriptions_10k);
        let causes: i64 = total.causes.iter().map(|it| it.amount_10k).sum();
        assert_eq!(total.ours_10k + causes, total.other_10k, "{total:?}");
    }
    assert_eq!(page.totals.len(), 4);
    walk(&cache, theirs, Period::Month, &plain(), NOW).await;
    // A third definition takes the place of the second, and of that nothing is left.
    cache.keep_lens(Preset::Chartmogul).await.unwrap();
    count(&cache, NOW).await;
    walk(&cache, Preset::Chartmogul, Period::Month, &plain(), NOW).await;
    cache.close().await;
}

#[tokio::test]
async fn every_cell_is_the_sum_of_the_customers_behind_it() {
    let home = home();
    let cache = world(&home).await;
    for period in [Period::Day, Period::Week, Period::Month] {
        let cells = walk(&cache, Preset::Paywall, period, &plain(), NOW).await;
        assert!(cells > 100, "{cells}");
    }
    let query = DrillQuery {
        preset: Preset::Paywall,
        currency: "usd".into(),
        converted: false,
        from: "2026-06-01".into(),
        to: "2026-07-01".into(),
        cell: RevenueCell::New,
        cursor: None,
        limit: 7,
    };
    let (rows, _) = behind(&cache, query.clone(), &plain(), NOW).await;
    assert_eq!((rows[0].payer.name.as_str(), rows[0].payer.tenant_id.is_some()), ("Acme", true));

    // Three currencies into dollars; dinars have no rate, so that only what came before them is known.
    let rates = "2026-01-01,EUR,USD,1.1\n2026-01-01,JPY,USD,0.0065\n";
    let by = reported_in("usd", rates);
    let shown = view(&cache, Preset::Paywall, Period::Month, &by, NOW).await;
    let missing = shown.converted.last().unwrap().missing.as_ref().unwrap();
    assert_eq!((missing.from.as_str(), missing.to.as_str()), ("kwd", "usd"));
    assert!(shown.converted.iter().all(|it| it.sums.is_none()));
    assert!(
        cache.revenue_drill(&DrillQuery { converted: true, cell: RevenueCell::End, ..query }, &by, NOW).await.is_err()
    );
    let by = reported_in("usd", &format!("{rates}2026-01-01,KWD,USD,3.25\n2027-01-10,JPY,USD,0.007\n"));
    let shown = view(&cache, Preset::Paywall, Period::Month, &by, NOW).await;
    let january = shown.converted.last().unwrap().sums.unwrap();
    // 329 dollars, 5,000 yen, and 1.02875 dinars.
    assert_eq!(january.end_10k, 329_000_000 + 50_000_000 / 100 * 70 + 3_343_438);
    walk(&cache, Preset::Paywall, Period::Month, &by, NOW).await;
    cache.close().await;
}

#[tokio::test]
async fn what_is_told_later_of_a_subscription_is_no_movement() {
    let home = home();
    let cache = world(&home).await;
    // The tiers come after the subscription, as does a discount of its customer that it always had.
    let mut price_tiers = price(&mut tiered()).clone();
    price_tiers["tiers"] = json!([{"up_to": null, "unit_amount": 1500, "unit_amount_decimal": "1500",
        "flat_amount": null, "flat_amount_decimal": null}]);
    read(&cache, Stream::Prices, &[price_tiers], NOW).await;
    let mut discounted = json!({"id": "cus_8", "created": s(ago(60)), "email": "a@b.example", "livemode": true});
    discounted["discount"] = discount("own", 20, None, ago(60));
    read(&cache, Stream::Customers, &[discounted], NOW).await;
    count(&cache, NOW).await;
    let shown = view(&cache, Preset::Paywall, Period::Month, &plain(), NOW).await;
    let usd = sheet(&shown, "usd");
    assert_eq!(usd.objects.faults, 1);
    assert_eq!(moved(month(usd, "2026-11-01")), [24_200, 0, 0, 0, 0]);
    assert_eq!(moved(month(usd, "2027-01-01")), [0, 3000, 0, -8000, 0]);
    // A discount from now on is a contraction, of the day on which it began.
    let mut later = json!({"id": "cus_1", "created": s(ago(60)), "email": "a@b.example", "livemode": true});
    later["discount"] = discount("later", 10, None, ago(1));
    read(&cache, Stream::Customers, &[later], NOW).await;
    count(&cache, NOW).await;
    let shown = view(&cache, Preset::Paywall, Period::Month, &plain(), NOW).await;
    assert_eq!(moved(month(sheet(&shown, "usd"), "2027-01-01")), [0, 3000, 0, -9490, 0]);
    walk(&cache, Preset::Paywall, Period::Day, &plain(), NOW).await;
    cache.close().await;
}
