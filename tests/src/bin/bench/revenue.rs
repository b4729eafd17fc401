//! Recurring revenue of many subscriptions over two years: a page of news beside counting everything again, and
//! the screen from what the copy keeps.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use paywall_console::cache::{Cache, CacheKey, Counting, StreamProgress, StripeRow};
use paywall_console::ipc::{DrillQuery, Period, Preset, Reporting, RevenueCell, RevenueQuery, RevenueView};
use paywall_console::query::ReportedBy;
use paywall_domain::{DAY_MS, Timestamp};
use paywall_revenue::{ExchangeRates, ReportingZone};
use paywall_stripe::Stream;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::figures::{Pair, Sample, grouped, table};

/// The present of this world: 2027-01-15, 08:00 UTC.
const NOW: Timestamp = Timestamp(1_800_000_000_000);
/// How far back it goes.
const MONTHS: i64 = 24;
/// Objects in a page of Stripe's.
const PAGE: usize = 100;
/// Pages of news in a round.
const PAGES: usize = 20;
/// Questions of each kind in a round.
const QUESTIONS: usize = 20;

/// The sizes that a subscription comes in, in minor units a month.
const AMOUNTS: [i64; 4] = [1900, 4900, 9900, 24_900];

/// A subscription of this world.
#[derive(Clone, Copy)]
struct Sold {
    n: u32,
    began: i64,
    ended: Option<i64>,
    amount: i64,
    quantity: i64,
    currency: &'static str,
}

impl Sold {
    fn draw(n: u32, random: &mut StdRng) -> Self {
        let now = NOW.0 / 1000;
        let began = now - random.random_range(86_400..MONTHS * 30 * 86_400);
        let leaves = random.random_range(0..100) < 30;
        let ended = leaves.then(|| began + random.random_range(86_400..18 * 30 * 86_400)).filter(|it| *it < now);
        let currency = match random.random_range(0..10) {
            0..6 => "usd",
            6..8 => "eur",
            8 => "jpy",
            _ => "kwd",
        };
        Self { n, began, ended, amount: AMOUNTS[random.random_range(0..4)], quantity: 1, currency }
    }

    fn subscription(&self) -> StripeRow {
        let Self { n, began, ended, amount, quantity, currency } = *self;
        let price = json!({
            "id": format!("price_{currency}_{amount}"), "object": "price", "currency": currency,
            "unit_amount": amount, "unit_amount_decimal": amount.to_string(), "billing_scheme": "per_unit",
            "tax_behavior": "exclusive", "product": "prod_pro", "type": "recurring",
            "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"},
        });
        let item = json!({
            "id": format!("si_{n:07}"), "object": "subscription_item", "created": began, "quantity": quantity,
            "discounts": [], "tax_rates": [], "price": price,
        });
        let raw = json!({
            "id": format!("sub_{n:07}"), "object": "subscription", "customer": format!("cus_{n:07}"),
            "status": if ended.is_some() { "canceled" } else { "active" }, "currency": currency, "created": began,
            "start_date": began, "ended_at": ended, "canceled_at": ended, "cancel_at": null,
            "cancel_at_period_end": false, "discounts": [], "collection_method": "charge_automatically",
            "billing_cycle_anchor": began, "livemode": true, "metadata": {}, "description": null,
            "default_payment_method": "pm_card", "trial_start": null, "trial_end": null, "pause_collection": null,
            "items": {"object": "list", "has_more": false, "data": [item]},
        });
        row(raw)
    }

    /// One for each month that it ran.
    fn invoices(&self) -> impl Iterator<Item = StripeRow> {
        let Self { n, began, amount, currency, ended, .. } = *self;
        let end = ended.unwrap_or(NOW.0 / 1000);
        (0_i64..).map(move |month| (month, began + month * 30 * 86_400)).take_while(move |it| it.1 < end).map(
            move |(month, at)| {
                let line = json!({
                    "id": format!("il_{n:07}_{month:02}"), "object": "line_item", "amount": amount, "quantity": 1,
                    "currency": currency, "description": "1 × Pro", "discounts": [], "discount_amounts": [],
                    "period": {"start": at, "end": at + 30 * 86_400}, "taxes": [],
                    "pricing": {"type": "price_details", "unit_amount_decimal": amount.to_string(),
                        "price_details": {"price": format!("price_{currency}_{amount}"), "product": "prod_pro"}},
                    "parent": {"type": "subscription_item_details", "subscription_item_details": {
                        "subscription": format!("sub_{n:07}"), "subscription_item": format!("si_{n:07}"),
                        "proration": false, "proration_details": null}},
                });
                row(json!({
                    "id": format!("in_{n:07}_{month:02}"), "object": "invoice", "customer": format!("cus_{n:07}"),
                    "number": format!("{n:07}-{month:04}"), "status": "paid", "currency": currency, "created": at,
                    "total": amount, "subtotal": amount, "amount_due": amount, "amount_paid": amount,
                    "amount_remaining": 0, "attempt_count": 1, "attempted": true, "livemode": true, "metadata": {},
                    "billing_reason": "subscription_cycle", "collection_method": "charge_automatically",
                    "period_start": at, "period_end": at + 30 * 86_400, "discounts": [],
                    "status_transitions": {"finalized_at": at + 3600, "paid_at": at + 3600, "voided_at": null},
                    "parent": {"type": "subscription_details",
                        "subscription_details": {"subscription": format!("sub_{n:07}"), "metadata": {}}},
                    "lines": {"object": "list", "has_more": false, "data": [line]},
                }))
            },
        )
    }
}

fn row(raw: Value) -> StripeRow {
    let id = raw["id"].as_str().unwrap_or_default().to_owned();
    StripeRow { id, created: raw["created"].as_i64().unwrap_or(0), raw }
}

async fn load(cache: &Cache, sold: &[Sold], at: Timestamp) -> anyhow::Result<usize> {
    // As it is once every list was read to its end.
    let cursor = Some(json!({"phase": "current", "newest": at.0 / 1000}));
    let progress = StreamProgress { cursor, complete_at: Some(at), at, unreadable: Vec::new() };
    let mut invoices = 0;
    for part in sold.chunks(500) {
        let rows: Vec<StripeRow> = part.iter().map(Sold::subscription).collect();
        cache.apply_stripe_page(Stream::Subscriptions, &rows, &progress).await?;
        let rows: Vec<StripeRow> = part.iter().flat_map(Sold::invoices).collect();
        cache.apply_stripe_page(Stream::Invoices, &rows, &progress).await?;
        invoices += rows.len();
    }
    Ok(invoices)
}

/// Counts until there is nothing to count.
async fn count(cache: &Cache) -> anyhow::Result<Duration> {
    let began = Instant::now();
    for lens in cache.revenue_lenses().await? {
        while cache.count_revenue(lens, NOW).await? == Counting::More {}
    }
    Ok(began.elapsed())
}

async fn counted_anew(cache: &Cache, zone: &str) -> anyhow::Result<Duration> {
    let zone = ReportingZone::parse(zone).ok_or_else(|| anyhow::anyhow!("there is no zone {zone}"))?;
    cache.set_reporting_zone(zone).await?;
    count(cache).await
}

fn by() -> ReportedBy {
    ReportedBy { reporting: Reporting::default(), rates: Arc::new(ExchangeRates::new([], 7)) }
}

async fn view(cache: &Cache, by: &ReportedBy) -> anyhow::Result<RevenueView> {
    let query = RevenueQuery { preset: Preset::Paywall, months: MONTHS as u32, period: Period::Month };
    Ok(cache.revenue(query, by, NOW).await?)
}

/// Everything in one currency, by a rate for each day.
fn by_rates() -> ReportedBy {
    let today = ReportingZone::UTC.day_of(NOW.0);
    let line = |ago: i32| {
        let day = today.plus(-ago);
        let wobble = day.number().rem_euclid(97);
        format!("{day},eur,usd,1.08{wobble:02}\n{day},jpy,usd,0.0065{wobble:02}\n{day},kwd,usd,3.25{wobble:02}\n")
    };
    let lines: String = (0..MONTHS as i32 * 31).map(line).collect();
    let rates = paywall_revenue::parse_rates(&lines).unwrap_or_default();
    let reporting = Reporting { currency: Some("usd".to_owned()), ..Reporting::default() };
    ReportedBy { reporting, rates: Arc::new(ExchangeRates::new(rates, 7)) }
}

/// The whole of what the screen shows first, customers behind it included.
async fn shown(cache: &Cache) -> anyhow::Result<Value> {
    let view = view(cache, &by()).await?;
    let mut all = vec![serde_json::to_value(&view)?];
    for sheet in &view.sheets {
        all.push(serde_json::to_value(cache.revenue_cohorts(Preset::Paywall, &sheet.currency, NOW).await?)?);
        let mut query = drill(&sheet.currency, RevenueCell::End);
        query.limit = 500;
        loop {
            let page = cache.revenue_drill(&query, &by(), NOW).await?;
            query.cursor.clone_from(&page.next);
            all.push(serde_json::to_value(page)?);
            if query.cursor.is_none() {
                break;
            }
        }
    }
    Ok(Value::Array(all))
}

fn drill(currency: &str, cell: RevenueCell) -> DrillQuery {
    DrillQuery {
        preset: Preset::Paywall,
        currency: currency.to_owned(),
        converted: false,
        from: "2026-12-01".to_owned(),
        to: "2027-01-01".to_owned(),
        cell,
        cursor: None,
        limit: 100,
    }
}

/// Measures with so many subscriptions, and says so in Markdown.
pub(crate) async fn measure(folder: &Path, subscriptions: u32, seed: u64, rounds: u32) -> anyhow::Result<String> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut sold: Vec<Sold> = (0..subscriptions).map(|n| Sold::draw(n, &mut random)).collect();
    let cache = Cache::open(&folder.join("revenue.db"), &CacheKey::generate()?).await?;
    eprintln!("revenue: loading {subscriptions} subscriptions");
    let began = Instant::now();
    let invoices = load(&cache, &sold, Timestamp(NOW.0 - DAY_MS)).await?;
    eprintln!("revenue: {invoices} invoices in {:.0} s", began.elapsed().as_secs_f64());
    count(&cache).await?;

    let mut pair = Pair::default();
    let [mut apply, mut both, mut opening, mut cohorts, mut converted]: [Sample; 5] = Default::default();
    let in_dollars = by_rates();
    let mut drills: BTreeMap<&str, Sample> = BTreeMap::new();
    for round in 0..=rounds {
        eprintln!("revenue, round {round} of {rounds} (0 warms up)");
        let at = Timestamp(NOW.0 - DAY_MS / 2 + i64::from(round) * 60_000);
        let mut pages = Sample::default();
        for page in 0..PAGES {
            let mut rows = Vec::with_capacity(PAGE);
            for _ in 0..PAGE.min(sold.len()) {
                let one = random.random_range(0..sold.len());
                sold[one].quantity += 1;
                rows.push(sold[one].subscription());
            }
            let at = Timestamp(at.0 + page as i64 * 1000);
            let began = Instant::now();
            cache.apply_stripe_rows(Stream::Subscriptions, &rows, at, &BTreeMap::new()).await?;
            let applied = began.elapsed();
            let counted = count(&cache).await?;
            pages.push_ms(counted);
            if round > 0 {
                apply.push_ms(applied);
                both.push_ms(applied + counted);
            }
        }
        for _ in 0..QUESTIONS {
            let began = Instant::now();
            let sheets = view(&cache, &by()).await?.sheets;
            let took = began.elapsed();
            if round > 0 {
                opening.push_ms(took);
            }
            let currency = &sheets[random.random_range(0..sheets.len())].currency;
            for (name, cell) in [
                ("MRR at the end", RevenueCell::End),
                ("all movements of a month", RevenueCell::Net),
                ("a cohort's month", RevenueCell::Cohort { month: "2026-03-01".to_owned(), after: 6 }),
            ] {
                let began = Instant::now();
                cache.revenue_drill(&drill(currency, cell), &by(), NOW).await?;
                if round > 0 {
                    drills.entry(name).or_default().push_ms(began.elapsed());
                }
            }
        }
        let began = Instant::now();
        cache.revenue_cohorts(Preset::Paywall, "usd", NOW).await?;
        let took = began.elapsed();
        let began = Instant::now();
        let one = view(&cache, &in_dollars).await?;
        let in_one = began.elapsed();
        ensure!(one.converted.iter().all(|it| it.sums.is_some()), "a rate is missing");
        // By way of another zone, so that nothing of it is left.
        let bit_by_bit = shown(&cache).await?;
        let elsewhere = counted_anew(&cache, "Asia/Kolkata").await?;
        let full = counted_anew(&cache, "UTC").await?;
        ensure!(shown(&cache).await? == bit_by_bit, "page by page it is not what it is counted at once");
        if round > 0 {
            cohorts.push_ms(took);
            converted.push_ms(in_one);
            let mut whole = Sample::default();
            whole.push_ms(elsewhere);
            whole.push_ms(full);
            pair.rounds(&pages, &whole);
        }
    }
    cache.verify().await?;
    cache.close().await;

    let mut rows = vec![
        row_of("everything, anew", &pair.peer, "1x", ""),
        row_of("a page of 100 subscriptions that changed, counted", &pair.ours, &pair.fraction(), "≤ 16 ms"),
        row_of("– written into the copy before that", &apply, "", ""),
        row_of("– both", &both, "", ""),
        row_of("Revenue by month, 24 months, every currency", &opening, "", "≤ 100 ms"),
        row_of("the same, all in one currency by the rates of each day", &converted, "", ""),
        row_of("retention of one currency", &cohorts, "", ""),
    ];
    for (name, sample) in &drills {
        rows.push(row_of(&format!("100 customers behind {name}"), sample, "", ""));
    }
    Ok(format!(
        "{} subscriptions that began over {MONTHS} months, {} invoices, four currencies, in an encrypted copy; {rounds} rounds \
         of {PAGES} pages of news, {QUESTIONS} openings of the screen and two full counts, after a round to warm up. After each \
         round everything that is shown, with every customer behind MRR, was the same counted page by page and at once.\n\n{}",
        grouped(i64::from(subscriptions)),
        grouped(invoices as i64),
        table(&["what", "ms, p50 / p99", "of counting everything", "to reach"], &rows),
    ))
}

fn row_of(name: &str, sample: &Sample, ratio: &str, reach: &str) -> Vec<String> {
    vec![name.to_owned(), sample.p50_p99(), ratio.to_owned(), reach.to_owned()]
}
