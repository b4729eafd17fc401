//! The sample world's revenue, as the console shows it after a sync, against a slow computation written from the
//! definitions alone: day by day, over the objects that the sample Stripe serves.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../../crates/console/tests/query_revenue/walk.rs"]
mod walk;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use paywall_console::admin_client::AdminClient;
use paywall_console::cache::{Cache, CacheKey, Counting};
use paywall_console::ipc::{
    DrillQuery, FailedPaymentsRow, Period, Preset, Reporting, RevenueCell, RevenueQuery, RevenueSpan, RevenueView,
    Source, SourceFreshness,
};
use paywall_console::observer::Unobserved;
use paywall_console::query::ReportedBy;
use paywall_console::sync::{SyncEngine, SyncOptions};
use paywall_contract::IntakeRecord;
use paywall_domain::{DAY_MS, Role, Timestamp};
use paywall_revenue::{Day, ExchangeRates};
use paywall_sandbox::{Cursor, Filter, Kind, Rules, StripeHistory, World, WorldSpec, stripe_api};
use paywall_server::{Config, Server, TestClock};
use paywall_stripe::{Client, Limits, StripeKey};
use serde_json::Value;
use tokio::net::TcpListener;

/// The world's present, and when its revenue is looked at.
const AS_OF: Timestamp = Timestamp(1_793_491_200_000);
const NOW: Timestamp = Timestamp(AS_OF.0 + 3_600_000);

const KINDS: [&str; 5] = ["new", "reactivation", "expansion", "contraction", "churn"];

fn given(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn world() -> World {
    let (seed, size) = (given("PAYWALL_SEED").unwrap_or(7), given("PAYWALL_SIZE").unwrap_or(240));
    eprintln!("PAYWALL_SEED={seed} PAYWALL_SIZE={size}");
    World::generate(WorldSpec { seed, tenants: u32::try_from(size).unwrap(), as_of: AS_OF })
}

/// A copy of the world, read from a server and the sample Stripe, and counted.
async fn copied(world: &World, folder: &std::path::Path) -> Cache {
    let database_url = format!("sqlite://{}", folder.join("server.db").display());
    let config = Config { database_url, ..Config::default() };
    let server = Server::open(config, Arc::new(TestClock::at(AS_OF))).await.unwrap();
    server.import(world.intake()).await.unwrap();
    let token = server.create_token("Revenue", Role::Viewer, None).await.unwrap();
    let mut addresses = Vec::new();
    for app in [server.router(), stripe_api::router(world.stripe(), Rules::default())] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        addresses.push(format!("http://{}", listener.local_addr().unwrap()));
        tokio::spawn(async move { axum::serve(listener, app).await });
    }
    let cache = Cache::open(&folder.join("copy.db"), &CacheKey::generate().unwrap()).await.unwrap();
    let admin = || AdminClient::new(&addresses[0], token.clone().into()).unwrap();
    let stripe = Client::new(&addresses[1], StripeKey::new(&world.keys().restricted), Limits::NONE).unwrap();
    // The server first, by whose clock Stripe's objects are dated then.
    for stripe in [None, Some(stripe)] {
        let options = SyncOptions { interval: Duration::from_mins(30), ..SyncOptions::default() };
        let (of, begun) = (stripe.is_some(), Instant::now());
        let engine =
            SyncEngine::start(cache.clone(), Some(admin()), stripe, Arc::new(Unobserved), options).await.unwrap();
        let read = |it: &SourceFreshness| it.source == Source::Server || it.as_of.is_some() || !of;
        while engine.freshness().as_of.is_none() || !engine.freshness().sources.iter().all(read) {
            assert!(begun.elapsed() < Duration::from_secs(120), "{:#?}", engine.freshness());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        engine.stop().await;
    }
    cache.keep_lens(Preset::Stripe).await.unwrap();
    for lens in cache.revenue_lenses().await.unwrap() {
        while cache.count_revenue(lens, NOW).await.unwrap() == Counting::More {}
    }
    cache
}

fn plain() -> ReportedBy {
    ReportedBy { reporting: Reporting::default(), rates: Arc::new(ExchangeRates::new([], 7)) }
}

async fn shown(cache: &Cache) -> RevenueView {
    let query = RevenueQuery { preset: Preset::Paywall, months: 30, period: Period::Month };
    cache.revenue(query, &plain(), NOW).await.unwrap()
}

// What follows knows nothing of how the product counts.

/// All objects of a kind, as they are served.
fn served(history: &StripeHistory, kind: Kind) -> Vec<Value> {
    let filter = Filter { status: (kind == Kind::Subscription).then(|| "all".to_owned()), ..Filter::default() };
    let (mut all, mut last) = (Vec::<Value>::new(), None::<String>);
    loop {
        let cursor = last.as_deref().map_or(Cursor::Start, Cursor::After);
        let (page, more) = history.list(kind, &filter, cursor, 100).unwrap();
        all.extend(page);
        if !more {
            return all;
        }
        last = all.last().map(|it| it["id"].as_str().unwrap().to_owned());
    }
}

/// Months in a price's interval.
fn months(price: &Value) -> i64 {
    assert_eq!((&price["recurring"]["usage_type"], &price["tiers_mode"]), (&"licensed".into(), &Value::Null));
    let count = price["recurring"]["interval_count"].as_i64().unwrap();
    match price["recurring"]["interval"].as_str().unwrap() {
        "month" => count,
        "year" => 12 * count,
        other => panic!("the world has no price by {other}"),
    }
}

/// In 1/1,200 of a minor unit a month: months, years and whole percents stay exact in it.
type Exact = i64;

/// 1/10,000 of a minor unit, half to even.
fn stored(exact: Exact) -> i64 {
    let (scaled, unit) = (exact * 10_000, 1200);
    let (whole, rest) = (scaled / unit, scaled % unit);
    whole + i64::from(rest * 2 > unit || (rest * 2 == unit && whole % 2 == 1))
}

struct Line {
    span: (i64, i64),
    paid: bool,
    monthly: Exact,
}

struct Subscription {
    customer: String,
    currency: String,
    raw: Value,
    lines: Vec<Line>,
    /// What it costs by the month as it stands, before discounts.
    list: Exact,
    discounts: Vec<Value>,
}

impl Subscription {
    fn at(&self, field: &str) -> Option<i64> {
        self.raw[field].as_i64()
    }

    /// What recurs at an instant, in seconds; `seen` where it is that of the reading and not before it.
    fn worth(&self, at: i64, seen: bool) -> i64 {
        let over = [self.at("ended_at"), self.at("cancel_at")].into_iter().flatten().any(|end| end <= at);
        let on_trial = self.at("trial_start").is_some_and(|from| from <= at) && self.at("trial_end").unwrap() > at;
        if at < self.at("start_date").unwrap() || over || on_trial {
            return 0;
        }
        let status = self.raw["status"].as_str().unwrap();
        let stands = matches!(status, "active" | "past_due") || status == "canceled" && self.at("ended_at").is_some();
        let covering: Vec<&Line> =
            self.lines.iter().filter(|it| it.span.0 <= at && at < it.span.1 && (it.paid || stands)).collect();
        if !seen && !covering.is_empty() {
            return stored(covering.iter().map(|it| it.monthly).sum());
        }
        if !stands {
            return 0;
        }
        let mut worth = self.list;
        for discount in &self.discounts {
            let coupon = &discount["source"]["coupon"];
            let holds =
                discount["start"].as_i64().unwrap() <= at && discount["end"].as_i64().is_none_or(|end| at < end);
            if holds && coupon["duration"] != "once" {
                worth = worth / 100 * (100 - coupon["percent_off"].as_i64().unwrap());
            }
        }
        stored(worth)
    }
}

fn subscriptions(history: &StripeHistory) -> Vec<Subscription> {
    let prices: HashMap<String, i64> = served(history, Kind::Price)
        .iter()
        .map(|price| (price["id"].as_str().unwrap().to_owned(), months(price)))
        .collect();
    let mut lines: HashMap<String, Vec<Line>> = HashMap::new();
    for invoice in served(history, Kind::Invoice) {
        let status = invoice["status"].as_str().unwrap();
        if !matches!(status, "open" | "paid" | "uncollectible") {
            continue;
        }
        for line in history.parts(Kind::Invoice, invoice["id"].as_str().unwrap()).unwrap() {
            let of = &line["parent"]["subscription_item_details"];
            if of["proration"] == true {
                continue;
            }
            let off: i64 =
                line["discount_amounts"].as_array().unwrap().iter().map(|it| it["amount"].as_i64().unwrap()).sum();
            let months = prices[line["pricing"]["price_details"]["price"].as_str().unwrap()];
            lines.entry(of["subscription"].as_str().unwrap().to_owned()).or_default().push(Line {
                span: (line["period"]["start"].as_i64().unwrap(), line["period"]["end"].as_i64().unwrap()),
                paid: status == "paid",
                monthly: (line["amount"].as_i64().unwrap() - off) * 1200 / months,
            });
        }
    }
    let subscription = |raw: Value| {
        let id = raw["id"].as_str().unwrap().to_owned();
        let items = history.parts(Kind::Subscription, &id).unwrap();
        let item = |it: &Value| {
            let amount: i64 = it["price"]["unit_amount_decimal"].as_str().unwrap().parse().unwrap();
            amount * it["quantity"].as_i64().unwrap() * 1200 / months(&it["price"])
        };
        Subscription {
            customer: raw["customer"].as_str().unwrap().to_owned(),
            currency: raw["currency"].as_str().unwrap().to_owned(),
            lines: lines.remove(&id).unwrap_or_default(),
            list: items.iter().map(item).sum(),
            discounts: history.discounts(Kind::Subscription, &id, true),
            raw,
        }
    };
    served(history, Kind::Subscription).into_iter().map(subscription).collect()
}

/// What moved in a month in a currency, by kind: how much, how often.
type Months = BTreeMap<(String, String), [(i64, i64); 5]>;

/// Where a currency stands at a day's close: how much, how many pay.
type Closes = BTreeMap<(String, Day), (i64, i64)>;

/// Goes through every customer's days.
fn day_by_day(subscriptions: &[Subscription]) -> (Months, Closes) {
    let today = Day::of_number(i32::try_from(NOW.0 / DAY_MS).unwrap());
    let mut customers: BTreeMap<&str, Vec<&Subscription>> = BTreeMap::new();
    for it in subscriptions {
        customers.entry(&it.customer).or_default().push(it);
    }
    let (mut months, mut closes) = (Months::new(), Closes::new());
    for theirs in customers.values() {
        let first = theirs.iter().map(|it| it.at("start_date").unwrap() / 86_400).min().unwrap();
        let currencies: BTreeSet<&str> = theirs.iter().map(|it| it.currency.as_str()).collect();
        let (mut before, mut paid_before): (BTreeMap<&str, i64>, bool) = (BTreeMap::new(), false);
        for number in first..=i64::from(today.number()) {
            let day = Day::of_number(i32::try_from(number).unwrap());
            let close = if day == today { NOW.0 / 1000 } else { (number + 1) * 86_400 - 1 };
            let mut pays = false;
            for currency in &currencies {
                let own = theirs.iter().filter(|it| it.currency == *currency);
                let worth: i64 = own.map(|it| it.worth(close, day == today)).sum();
                let last = before.insert(currency, worth).unwrap_or(0);
                let kind = match (last, worth) {
                    (0, 0) => None,
                    (0, _) => Some(usize::from(paid_before)),
                    (_, 0) => Some(4),
                    _ if worth > last => Some(2),
                    _ if worth < last => Some(3),
                    _ => None,
                };
                if let Some(kind) = kind {
                    let month = day.to_string()[..7].to_owned();
                    let sum = &mut months.entry(((*currency).to_owned(), month)).or_default()[kind];
                    (sum.0, sum.1) = (sum.0 + worth - last, sum.1 + 1);
                }
                let close = closes.entry(((*currency).to_owned(), day)).or_default();
                (close.0, close.1) = (close.0 + worth, close.1 + i64::from(worth > 0));
                pays |= worth > 0;
            }
            paid_before |= pays;
        }
    }
    (months, closes)
}

fn moved(span: &RevenueSpan) -> [(i64, i64); 5] {
    let sums = span.moved;
    [sums.new, sums.reactivation, sums.expansion, sums.contraction, sums.churn].map(|it| (it.amount_10k, it.movements))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_shows_what_the_definitions_say_of_the_sample_world() {
    let (world, folder) = (world(), tempfile::tempdir().unwrap());
    let cache = copied(&world, folder.path()).await;
    let view = shown(&cache).await;
    assert!(view.basis.complete, "{:?}", view.basis);
    let subscriptions = subscriptions(&world.stripe());
    let (months, closes) = day_by_day(&subscriptions);
    let currencies: BTreeSet<&str> = subscriptions.iter().map(|it| it.currency.as_str()).collect();
    assert_eq!(view.sheets.iter().map(|it| it.currency.as_str()).collect::<BTreeSet<_>>(), currencies);
    for sheet in &view.sheets {
        let currency = sheet.currency.clone();
        let own = subscriptions.iter().filter(|it| it.currency == currency);
        assert_eq!(sheet.objects.subscriptions, own.clone().count() as i64);
        assert_eq!(sheet.objects.faults, 0);
        let mut expected: BTreeMap<&str, i64> = BTreeMap::new();
        for it in own.clone() {
            *expected.entry(&it.customer).or_default() += it.worth(NOW.0 / 1000, true);
        }
        expected.retain(|_, worth| *worth != 0);
        let query = DrillQuery {
            preset: Preset::Paywall,
            currency: currency.clone(),
            converted: false,
            from: view.today.clone(),
            to: sheet.last_30d.to.clone(),
            cell: RevenueCell::End,
            cursor: None,
            limit: 0,
        };
        let (rows, _) = walk::behind(&cache, query, &plain(), NOW).await;
        let told: BTreeMap<&str, i64> = rows.iter().map(|it| (it.payer.customer.as_str(), it.amount_10k)).collect();
        assert_eq!(told, expected, "{currency}");
        assert_eq!(sheet.subscriptions_10k, own.map(|it| it.worth(NOW.0 / 1000, true)).sum::<i64>(), "{currency} now");
        assert_eq!(sheet.movements_10k, sheet.subscriptions_10k);
        let closed = |day: Day| closes.get(&(currency.clone(), day)).copied().unwrap_or_default();
        for span in &sheet.spans {
            let expected = months.get(&(currency.clone(), span.from[..7].to_owned())).copied().unwrap_or_default();
            for (kind, (told, expected)) in KINDS.iter().zip(moved(span).into_iter().zip(expected)) {
                assert_eq!(told, expected, "{currency} {} {kind}", span.from);
            }
            let (from, to): (Day, Day) = (span.from.parse().unwrap(), span.to.parse().unwrap());
            assert_eq!((span.start_10k, span.customers_start), closed(from.plus(-1)), "{currency} {}", span.from);
            assert_eq!((span.end_10k, span.customers_end), closed(to.plus(-1)), "{currency} {}", span.to);
        }
        // Nothing lies before what is shown.
        assert_eq!(sheet.spans[0].start_10k, 0);
        let churned: i64 = sheet.spans.iter().map(|it| it.moved.churn.movements).sum();
        let ended = months.iter().filter(|it| it.0.0 == currency).map(|it| it.1[4].1).sum::<i64>();
        assert_eq!(churned, ended);
    }
    for preset in [Preset::Paywall, Preset::Stripe] {
        let cells = walk::walk(&cache, preset, Period::Month, &plain(), NOW).await;
        assert!(cells > 1000, "{cells}");
    }
    walk::walk_trials(&cache, NOW).await;
    cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trials_convert_by_the_month_they_began_in_as_the_definitions_say() {
    let (world, folder) = (world(), tempfile::tempdir().unwrap());
    let cache = copied(&world, folder.path()).await;
    let history = world.stripe();
    let mut invoices: HashMap<String, Vec<Value>> = HashMap::new();
    for invoice in served(&history, Kind::Invoice) {
        invoices.entry(invoice["customer"].as_str().unwrap().to_owned()).or_default().push(invoice);
    }
    let mut customers: HashMap<String, String> = HashMap::new();
    for customer in served(&history, Kind::Customer) {
        let id = customer["id"].as_str().unwrap().to_owned();
        customers.insert(customer["metadata"]["tenant_id"].as_str().unwrap().to_owned(), id);
    }
    // Began, ends, and the invoices that can convert it.
    let mut trials: Vec<(i64, i64, Vec<Value>)> = Vec::new();
    let mut kept = BTreeSet::new();
    for record in world.intake() {
        let IntakeRecord::Tenant(tenant) = record else { continue };
        let customer = tenant.stripe_customer.clone();
        if let Some(trial) = &tenant.facts.trial {
            let theirs = customer.as_ref().and_then(|it| invoices.get(it)).cloned().unwrap_or_default();
            trials.push((trial.started_at.0, trial.ends_at.0, theirs));
            kept.extend(customer);
        }
    }
    for it in subscriptions(&history).iter().filter(|it| !kept.contains(&it.customer)) {
        let (Some(from), Some(to)) = (it.at("trial_start"), it.at("trial_end")) else { continue };
        let theirs = invoices.get(&it.customer).cloned().unwrap_or_default();
        trials.push((from * 1000, to * 1000, theirs));
    }
    let mut cohorts: BTreeMap<String, [i64; 3]> = BTreeMap::new();
    for (began, ends, theirs) in &trials {
        let billed = |it: &&Value| it["total"].as_i64().unwrap() > 0;
        let paid = |it: &Value| it["status_transitions"]["paid_at"].as_i64().map(|at| at * 1000);
        let converted = theirs.iter().filter(billed).filter_map(paid).any(|at| at >= *began && at <= NOW.0);
        let waits = |it: &Value| it["status"] == "open" && it["created"].as_i64().unwrap() * 1000 >= *began;
        let decided = NOW.0 >= ends + DAY_MS && !theirs.iter().filter(billed).any(waits);
        let outcome = if converted { 1 } else { usize::from(decided) * 2 };
        let month = Day::of_number(i32::try_from(began.div_euclid(DAY_MS)).unwrap()).to_string()[..7].to_owned();
        cohorts.entry(month).or_default()[outcome] += 1;
    }
    let told = cache.trial_conversion(12, NOW).await.unwrap().cohorts;
    assert_eq!(told.len(), 12);
    for cohort in &told {
        let [undecided, converted, lost] = cohorts.get(&cohort.from[..7]).copied().unwrap_or_default();
        let counts = (cohort.started, cohort.undecided, cohort.converted, cohort.decided);
        assert_eq!(counts, (undecided + converted + lost, undecided, converted, converted + lost), "{}", cohort.from);
    }
    assert!(told.iter().filter(|it| it.started > 0).count() > 9);
    cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_year_the_sample_world_has_something_to_show_on_every_tab() {
    let folder = tempfile::tempdir().unwrap();
    // As sample data is shown, whatever size the others are tested with.
    let world = World::generate(WorldSpec { seed: 7, tenants: 240, as_of: AS_OF });
    let cache = copied(&world, folder.path()).await;
    let view = shown(&cache).await;
    let dollars = &view.sheets[0];
    assert_eq!(dollars.currency, "usd");
    let year = &dollars.spans[dollars.spans.len() - 12..];
    let months = |kind: usize| year.iter().filter(|it| moved(it)[kind].1 > 0).count();
    let seen: Vec<usize> = (0..5).map(months).collect();
    let enough = [10, 4, 5, 4, 8];
    assert!(
        seen.iter().zip(enough).all(|(seen, enough)| *seen >= enough),
        "{seen:?} of 12 months, at least {enough:?}"
    );
    let others: BTreeSet<&str> =
        view.sheets[1..].iter().filter(|it| it.movements_10k > 0).map(|it| &*it.currency).collect();
    assert_eq!(others, ["eur", "gbp", "jpy", "kwd"].into());
    let failed = cache.failed_payments(12, NOW).await.unwrap();
    let months = |has: fn(&FailedPaymentsRow) -> bool| {
        failed.iter().filter(|it| has(it)).map(|it| &it.from).collect::<BTreeSet<_>>().len()
    };
    let (recovered, given_up, waiting) =
        (months(|it| it.recovered.count > 0), months(|it| it.given_up.count > 0), months(|it| it.waiting.count > 0));
    assert!(recovered >= 6 && given_up >= 3 && waiting >= 1, "{recovered} {given_up} {waiting}");
    let cohorts = cache.revenue_cohorts(Preset::Paywall, "usd", NOW).await.unwrap();
    assert!(cohorts.len() >= 18 && cohorts.iter().any(|it| it.months.last().unwrap().customers < it.customers));
    let trials = cache.trial_conversion(12, NOW).await.unwrap();
    assert!(trials.cohorts.iter().filter(|it| it.converted > 0 && it.converted < it.decided).count() >= 4);
    let ahead = cache.revenue_ahead(Preset::Paywall, NOW).await.unwrap();
    assert!(ahead[0].committed.iter().any(|it| it.trials_payable_10k > 0), "a trial ends with something to be paid by");
    let differences = cache.differences(Preset::Stripe, NOW).await.unwrap();
    let page = cache.differences_page(&differences, None).await.unwrap();
    assert!(page.rows.len() >= 5 && page.totals.iter().any(|it| !it.causes.is_empty()), "{:?}", page.totals);
    cache.close().await;
}
