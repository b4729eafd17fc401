//! Random histories: read three times, in any order and pages of any size, some of it twice, counted now and then;
//! against the same read at once and counted once, and against a ledger of the same facts.

use std::collections::BTreeMap;
use std::sync::Arc;

use paywall_console::cache::{Cache, StripeRow};
use paywall_console::ipc::{DrillQuery, Period, Preset, RevenueCell, RevenueSpan, TrialOutcome as Told, TrialQuery};
use paywall_contract::Tenant;
use paywall_domain::{DAY_MS, Timestamp};
use paywall_revenue::{
    Catalog, Cell, Fact, InvoiceFacts, Ledger, Lens, MovementKind, ReportingZone, Snapshot, SubscriptionFacts,
    TrialFacts, TrialOutcome, Window,
};
use paywall_stripe::Stream;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::cache_fixtures::{NOW, ago, done, facts, feed_of, home, key, tenant};
use crate::objects::{count, discount, invoice, plain, price, row, s, subscription, unpaid, view};
use crate::walk::{behind, walk, walk_trials};

/// When the lists are read.
const READ: [Timestamp; 3] =
    [Timestamp(NOW.0 - 60 * DAY_MS), Timestamp(NOW.0 - 25 * DAY_MS), Timestamp(NOW.0 - DAY_MS / 3)];

/// What one reading brings.
#[derive(Default, Clone)]
struct Reading {
    pages: BTreeMap<&'static str, (Stream, Vec<Value>)>,
    /// Since when subscriptions are as they were read, where that is known.
    changed: BTreeMap<String, Timestamp>,
}

/// A company's history.
struct Books {
    readings: [Reading; 3],
    tenants: Vec<Tenant>,
    /// Every subscription as it was seen, with when it became so.
    seen: Vec<(String, Timestamp, Value)>,
    invoices: BTreeMap<String, Value>,
    prices: BTreeMap<String, Value>,
    customers: BTreeMap<String, Value>,
}

struct Draw(StdRng);

impl Draw {
    fn chance(&mut self, percent: u32) -> bool {
        self.0.random_range(0..100) < percent
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        *all.choose(&mut self.0).unwrap()
    }

    fn days_ago(&mut self, from: i64, to: i64) -> Timestamp {
        let hours = self.0.random_range(from * 24..to * 24);
        // At times on a midnight, in any zone.
        Timestamp(NOW.0 / DAY_MS * DAY_MS - if self.chance(30) { hours / 24 * 24 } else { hours } * 3_600_000)
    }
}

impl Reading {
    fn put(&mut self, stream: Stream, object: Value) {
        self.pages.entry(stream.name()).or_insert((stream, Vec::new())).1.push(object);
    }
}

impl Books {
    fn draw(draw: &mut Draw) -> Self {
        let mut books = Self {
            readings: Default::default(),
            tenants: Vec::new(),
            seen: Vec::new(),
            invoices: BTreeMap::new(),
            prices: BTreeMap::new(),
            customers: BTreeMap::new(),
        };
        for n in 1..=draw.0.random_range(1..9) {
            books.customer(draw, n);
        }
        books
    }

    fn customer(&mut self, draw: &mut Draw, n: u32) {
        let customer = format!("cus_{n}");
        if draw.chance(60) {
            let ends = draw.days_ago(1, 120);
            let ends = if draw.chance(20) { ago(-6) } else { ends };
            let mut tenant = tenant(n, &format!("Tenant {n}"), facts(Some(ends)), None);
            tenant.stripe_customer = draw.chance(70).then(|| customer.clone());
            self.tenants.push(tenant);
        }
        let mut object = json!({"id": customer, "created": s(ago(300)), "email": "a@b.example", "livemode": true});
        if draw.chance(20) {
            object["discount"] = discount(&customer, draw.of(&[10, 33, 100]), None, draw.days_ago(0, 200));
        }
        let known = usize::from(object.get("discount").is_some() && draw.chance(50));
        self.readings[known].put(Stream::Customers, object.clone());
        self.customers.insert(customer.clone(), object);
        let currency = draw.of(&["usd", "usd", "eur", "jpy", "kwd"]);
        for m in 0..draw.0.random_range(0..4) {
            let currency = if draw.chance(10) { draw.of(&["usd", "eur"]) } else { currency };
            self.subscription(draw, &format!("{n}_{m}"), &customer, currency);
        }
    }

    fn subscription(&mut self, draw: &mut Draw, name: &str, customer: &str, currency: &str) {
        let began = draw.days_ago(1, 250);
        let mut raw = subscription(name, customer, currency, draw.of(&[0, 500, 1000, 1999, 12_345]), began);
        let (interval, every) =
            draw.of(&[("month", 1), ("month", 1), ("month", 3), ("year", 1), ("week", 1), ("day", 7)]);
        price(&mut raw)["recurring"]["interval"] = json!(interval);
        price(&mut raw)["recurring"]["interval_count"] = json!(every);
        price(&mut raw)["id"] = json!(format!("price_{name}"));
        raw["items"]["data"][0]["quantity"] = json!(draw.0.random_range(0..4));
        if draw.chance(15) {
            self.tiers(&mut raw);
        }
        if draw.chance(20) {
            let until = Timestamp(began.0 + draw.0.random_range(1..40) * DAY_MS);
            (raw["trial_start"], raw["trial_end"]) = (json!(s(began)), json!(s(until)));
        }
        let mut last: Option<Value> = None;
        for (n, at) in READ.into_iter().enumerate().filter(|it| began < it.1) {
            Self::change(draw, &mut raw, began, at);
            if draw.chance(30) && last.is_some() {
                // It was not read this time.
                continue;
            }
            self.readings[n].put(Stream::Subscriptions, raw.clone());
            let mut since = at;
            if let Some(before) = n.checked_sub(1).map(|n| READ[n]).filter(|_| draw.chance(40)) {
                since = Timestamp(draw.0.random_range(before.0.max(began.0) / 1000 + 1..at.0 / 1000) * 1000);
                self.readings[n].changed.insert(format!("sub_{name}"), since);
            }
            if last.as_ref() != Some(&raw) {
                self.seen.push((customer.to_owned(), since, raw.clone()));
                last = Some(raw.clone());
            }
        }
        self.bill(draw, &raw, customer, currency, began);
    }

    /// Its price has tiers, of which only the list of prices tells.
    fn tiers(&mut self, raw: &mut Value) {
        let price = price(raw);
        (price["billing_scheme"], price["tiers_mode"]) = (json!("tiered"), json!("graduated"));
        (price["unit_amount"], price["unit_amount_decimal"]) = (Value::Null, Value::Null);
        let mut known = price.clone();
        let tier = |up_to: Value, amount: i64| {
            json!({"up_to": up_to, "unit_amount": amount, "unit_amount_decimal": amount.to_string(),
                "flat_amount": null, "flat_amount_decimal": null})
        };
        known["tiers"] = json!([tier(json!(1), 900), tier(Value::Null, 700)]);
        self.readings[0].put(Stream::Prices, known.clone());
        self.prices.insert(known["id"].as_str().unwrap().to_owned(), known);
    }

    /// What becomes of a subscription until it is read at `at`.
    fn change(draw: &mut Draw, raw: &mut Value, began: Timestamp, at: Timestamp) {
        if raw["status"] == "canceled" {
            return;
        }
        let in_trial = raw["trial_end"].as_i64().is_some_and(|end| end > s(at));
        let status = draw.of(&["active", "active", "active", "past_due", "unpaid", "paused", "canceled"]);
        raw["status"] = json!(if in_trial && status != "canceled" { "trialing" } else { status });
        let moment = |draw: &mut Draw| draw.0.random_range(began.0 / 1000..s(at));
        if status == "canceled" {
            let (one, other) = (moment(draw), moment(draw));
            (raw["canceled_at"], raw["ended_at"]) = (json!(one.min(other)), json!(one.max(other)));
        } else if draw.chance(15) {
            (raw["cancel_at_period_end"], raw["canceled_at"]) = (json!(true), json!(moment(draw)));
            raw["cancel_at"] = json!(s(at) + draw.0.random_range(-5..40) * 86_400);
        }
        if draw.chance(30) {
            raw["items"]["data"][0]["quantity"] = json!(draw.0.random_range(0..4));
        }
        if draw.chance(25) {
            let months = draw.of(&[None, Some(1), Some(3)]);
            raw["discounts"] =
                json!([discount("own", draw.of(&[15, 50, 100]), months, Timestamp(moment(draw) * 1000))]);
        }
        raw["pause_collection"] =
            if draw.chance(8) { json!({"behavior": "void", "resumes_at": s(NOW) + 86_400}) } else { Value::Null };
    }

    /// Invoices of it, each read at one time or another and perhaps again.
    fn bill(&mut self, draw: &mut Draw, raw: &Value, customer: &str, currency: &str, began: Timestamp) {
        for n in 0..draw.0.random_range(0..6) {
            let billed = Timestamp(began.0 + n * 31 * DAY_MS);
            let name = format!("{}_{n}", raw["id"].as_str().unwrap());
            let total = draw.of(&[0, 500, 1000, 1999]);
            let mut object = invoice(&name, customer, currency, total, billed);
            object["parent"] = json!({"subscription_details": {"subscription": raw["id"]}});
            object["lines"]["data"] = json!([{"amount": total, "quantity": 1,
                "period": {"start": s(billed), "end": s(billed) + 31 * 86_400}, "discounts": [],
                "pricing": {"price_details": {"price": price(&mut raw.clone())["id"]}},
                "parent": {"subscription_item_details": {"subscription": raw["id"], "proration": draw.chance(10),
                    "subscription_item": raw["items"]["data"][0]["id"]}}}]);
            for reading in &mut self.readings {
                let status = draw.of(&["paid", "paid", "open", "uncollectible", "void", "draft"]);
                let now = if status == "paid" { object.clone() } else { unpaid(object.clone(), status, 1) };
                if draw.chance(50) {
                    reading.put(Stream::Invoices, now.clone());
                    self.invoices.insert(now["id"].as_str().unwrap().to_owned(), now);
                }
            }
        }
    }

    /// The same facts without a copy.
    fn ledger(&self, lens: &Lens) -> Ledger {
        let mut ledger = Ledger::new();
        for (customer, since, raw) in &self.seen {
            let facts = SubscriptionFacts::from_stripe(raw, self).unwrap();
            let facts = facts.with_customer(&self.customers[customer], self).unwrap();
            let snapshot = Snapshot { seen_at: since.0, facts: Arc::new(facts) };
            ledger.put(Fact::Subscription { customer: customer.as_str().into(), snapshot });
        }
        for raw in self.invoices.values() {
            ledger.put(Fact::Invoice { seen_at: 0, invoice: InvoiceFacts::from_stripe(raw).unwrap() });
        }
        for tenant in &self.tenants {
            let trial = tenant.facts.trial.as_ref().unwrap();
            let customer = tenant.stripe_customer.as_deref().unwrap_or(tenant.id.as_str()).into();
            let (id, started_at, ends_at) = (tenant.id.as_str().into(), trial.started_at.0, trial.ends_at.0);
            ledger.put(Fact::Trial { seen_at: 0, trial: TrialFacts { id, customer, started_at, ends_at } });
        }
        ledger.refresh(lens);
        ledger
    }
}

impl Catalog for Books {
    fn price(&self, id: &str) -> Option<Value> {
        self.prices.get(id).cloned()
    }
    fn coupon(&self, _: &str) -> Option<Value> {
        None
    }
}

async fn feed(cache: &Cache, stream: Stream, objects: &[Value], reading: &Reading, at: Timestamp) {
    let rows: Vec<StripeRow> = objects.iter().map(row).collect();
    if stream == Stream::Subscriptions {
        cache.apply_stripe_rows(stream, &rows, at, &reading.changed).await.unwrap();
    } else {
        cache.apply_stripe_page(stream, &rows, &done(at)).await.unwrap();
    }
}

/// Everything at once, counted once.
async fn at_once(cache: &Cache, books: &Books) {
    for (reading, at) in books.readings.iter().zip(READ) {
        for (stream, objects) in reading.pages.values() {
            feed(cache, *stream, objects, reading, at).await;
        }
    }
    cache.apply_feed_page(&feed_of(&books.tenants), NOW).await.unwrap();
}

/// In pages of any size and any order, some twice, counted in between.
async fn bit_by_bit(cache: &Cache, books: &Books, draw: &mut Draw) {
    let tenants_at = draw.0.random_range(0..3);
    for (n, (reading, at)) in books.readings.iter().zip(READ).enumerate() {
        let mut pages: Vec<(Stream, Vec<Value>)> = Vec::new();
        for (stream, objects) in reading.pages.values() {
            let mut objects: Vec<Value> = objects.clone();
            objects.shuffle(&mut draw.0);
            let size = draw.0.random_range(1..6);
            pages.extend(objects.chunks(size).map(|page| (*stream, page.to_vec())));
        }
        let again: Vec<_> = pages.iter().filter(|_| draw.chance(30)).cloned().collect();
        pages.extend(again);
        pages.shuffle(&mut draw.0);
        if n == tenants_at {
            for tenant in &books.tenants {
                cache.apply_feed_page(&feed_of(std::slice::from_ref(tenant)), at).await.unwrap();
            }
        }
        for (stream, objects) in pages {
            feed(cache, stream, &objects, reading, at).await;
            if draw.chance(30) {
                let lens = cache.revenue_lenses().await.unwrap();
                let now = Timestamp(at.0 + draw.0.random_range(0..10) * DAY_MS).min(NOW);
                cache.count_revenue(draw.of(&lens), now).await.unwrap();
            }
            if draw.chance(3) {
                cache.keep_lens(draw.of(&Preset::ALL)).await.unwrap();
            }
            if draw.chance(3) {
                let zone = ReportingZone::parse(draw.of(&["UTC", "Asia/Kolkata", "America/New_York"])).unwrap();
                cache.set_reporting_zone(zone).await.unwrap();
            }
        }
    }
}

/// All that is shown of revenue by some rules.
async fn shown(cache: &Cache, preset: Preset) -> Value {
    let by = plain();
    let mut all = Vec::new();
    for period in [Period::Month, Period::Week] {
        let view = view(cache, preset, period, &by, NOW).await;
        all.push(serde_json::to_value(&view).unwrap());
        for sheet in view.sheets {
            let cohorts = cache.revenue_cohorts(preset, &sheet.currency, NOW).await.unwrap();
            all.push(serde_json::to_value(cohorts).unwrap());
            for cell in [RevenueCell::End, RevenueCell::Net, RevenueCell::New, RevenueCell::Churn] {
                let query = DrillQuery {
                    preset,
                    currency: sheet.currency.clone(),
                    converted: false,
                    from: sheet.spans[3].from.clone(),
                    to: sheet.last_30d.to.clone(),
                    cell,
                    cursor: None,
                    limit: 0,
                };
                all.push(serde_json::to_value(behind(cache, query, &by, NOW).await.0).unwrap());
            }
        }
    }
    all.push(serde_json::to_value(cache.trial_conversion(12, NOW).await.unwrap()).unwrap());
    all.push(serde_json::to_value(cache.failed_payments(12, NOW).await.unwrap()).unwrap());
    all.push(serde_json::to_value(cache.revenue_ahead(preset, NOW).await.unwrap()).unwrap());
    let differences = cache.differences(Preset::Stripe, NOW).await.unwrap();
    all.push(serde_json::to_value(cache.differences_page(&differences, None).await.unwrap()).unwrap());
    Value::Array(all)
}

/// Names the first place where they differ.
fn same(one: &Value, other: &Value, place: &str) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) if one.keys().eq(other.keys()) => {
            one.iter().for_each(|(key, value)| same(value, &other[key], &format!("{place}.{key}")));
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            one.iter().zip(other).enumerate().for_each(|(n, it)| same(it.0, it.1, &format!("{place}[{n}]")));
        }
        _ => assert_eq!(one, other, "{place}"),
    }
}

/// What is shown, against the ledger's own figures.
async fn same_as_ledger(cache: &Cache, ledger: &Ledger, lens: &Lens, preset: Preset) {
    let by = plain();
    let shown = view(cache, preset, Period::Month, &by, NOW).await;
    let headline = ledger.headline().unwrap();
    for sheet in &shown.sheets {
        let figures = |span: &RevenueSpan| {
            let window = Window { from: span.from.parse().unwrap(), to: span.to.parse().unwrap() };
            ledger.totals().figures_of(&sheet.currency, window, lens.policy.churn_base).unwrap()
        };
        for span in sheet.spans.iter().chain([&sheet.last_30d, &sheet.before_30d]) {
            let expected = figures(span);
            let sums = [
                (MovementKind::New, span.moved.new),
                (MovementKind::Reactivation, span.moved.reactivation),
                (MovementKind::Expansion, span.moved.expansion),
                (MovementKind::Contraction, span.moved.contraction),
                (MovementKind::Churn, span.moved.churn),
            ];
            for (kind, sum) in sums {
                let moved = expected.moved[kind.index()];
                assert_eq!((sum.amount_10k, sum.movements), (moved.amount_10k, moved.movements), "{kind:?} {span:?}");
            }
            assert_eq!((span.start_10k, span.end_10k), (expected.start_10k, expected.end_10k));
            assert_eq!((span.customers_start, span.customers_end), (expected.customers_start, expected.customers_end));
            assert_eq!(span.estimated, expected.estimated, "{span:?}");
        }
        let rests = ledger.totals().objects().find(|it| it.0 == sheet.currency).unwrap().1;
        let objects = sheet.objects;
        assert_eq!(
            (objects.subscriptions, objects.invoices, objects.faults, objects.including_tax),
            (rests.subscriptions, rests.invoices, rests.faults, rests.including_tax)
        );
        let told = headline.get(sheet.currency.as_str()).copied().unwrap_or_default();
        assert_eq!((sheet.subscriptions_10k, sheet.movements_10k), (told.subscriptions_10k, told.movements_10k));
        let cohorts = cache.revenue_cohorts(preset, &sheet.currency, NOW).await.unwrap();
        let expected = ledger.cohorts(&sheet.currency).unwrap();
        assert_eq!(cohorts.len(), expected.len());
        for (cohort, expected) in cohorts.iter().zip(&expected) {
            assert_eq!(cohort.month, expected.month.to_string());
            let cells = cohort.months.iter().map(|it| (it.customers, it.mrr_10k, it.finished));
            assert!(cells.eq(expected.months.iter().map(|it| (it.customers, it.mrr_10k, it.finished))));
        }
        let (from, to) = (sheet.spans[6].from.parse().unwrap(), sheet.last_30d.to.parse().unwrap());
        let window = Window { from, to };
        let expected = ledger.customers_of(&sheet.currency, window, Cell::Net, None, 99).unwrap();
        let query = DrillQuery {
            preset,
            currency: sheet.currency.clone(),
            converted: false,
            from: from.to_string(),
            to: to.to_string(),
            cell: RevenueCell::Net,
            cursor: None,
            limit: 0,
        };
        let rows = behind(cache, query, &by, NOW).await.0;
        assert!(
            rows.iter().map(|it| (&*it.payer.customer, it.amount_10k)).eq(expected.iter().map(|it| (&*it.0, it.1)))
        );
    }
    assert!(headline.keys().all(|it| shown.sheets.iter().any(|sheet| sheet.currency == **it)));
}

async fn same_trials(cache: &Cache, ledger: &Ledger, zone: ReportingZone) {
    let first = zone.day_of(NOW.0).start_of(Period::Month).plus_months(-11);
    let query = TrialQuery {
        from: first.to_string(),
        to: zone.day_of(NOW.0).plus(1).to_string(),
        outcome: None,
        cursor: None,
        limit: 500,
    };
    let page = cache.trials_page(&query, NOW).await.unwrap();
    let mut told: Vec<_> =
        page.rows.iter().map(|it| (it.payer.customer.clone(), it.started_at.0, it.outcome, it.converted_at)).collect();
    let outcome = |outcome| match outcome {
        TrialOutcome::Undecided => (Told::Undecided, None),
        TrialOutcome::Converted(at) => (Told::Converted, Some(Timestamp(at))),
        TrialOutcome::Lost => (Told::Lost, None),
    };
    let mut expected: Vec<_> = ledger
        .trials()
        .into_iter()
        .map(|it| (it.customer.to_string(), it.started_at, outcome(it.outcome).0, outcome(it.outcome).1))
        .collect();
    told.sort_by(|a, b| (&a.0, a.1, a.3).cmp(&(&b.0, b.1, b.3)));
    expected.sort_by(|a, b| (&a.0, a.1, a.3).cmp(&(&b.0, b.1, b.3)));
    assert_eq!(told, expected);
}

fn given(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[tokio::test]
async fn however_the_facts_came_the_figures_are_the_same() {
    let (seed, cases) = (given("PAYWALL_SEED").unwrap_or(7), given("PAYWALL_SIZE").unwrap_or(60));
    let mut walked = 0;
    for case in 0..cases {
        eprintln!("PAYWALL_SEED={} PAYWALL_SIZE=1", seed + case);
        let mut draw = Draw(StdRng::seed_from_u64(seed + case));
        let books = Books::draw(&mut draw);
        let zone = ReportingZone::parse(draw.of(&["UTC", "Asia/Kolkata", "America/New_York"])).unwrap();
        let other = draw.of(&[Preset::Stripe, Preset::Chartmogul, Preset::Baremetrics, Preset::Profitwell]);
        let homes = [home(), home()];
        let copies =
            [Cache::open(&homes[0].path, &key()).await.unwrap(), Cache::open(&homes[1].path, &key()).await.unwrap()];
        at_once(&copies[0], &books).await;
        bit_by_bit(&copies[1], &books, &mut draw).await;
        for cache in &copies {
            cache.set_reporting_zone(zone).await.unwrap();
            cache.keep_lens(other).await.unwrap();
            count(cache, NOW).await;
        }
        for preset in [Preset::Paywall, other] {
            let (one, other) = (shown(&copies[1], preset).await, shown(&copies[0], preset).await);
            same(&one, &other, &format!("{preset:?}"));
            let lens = Lens { policy: preset.policy(), zone, until: NOW.0 };
            let ledger = books.ledger(&lens);
            same_as_ledger(&copies[1], &ledger, &lens, preset).await;
            same_trials(&copies[1], &ledger, zone).await;
        }
        if case % 10 == 0 {
            walked += walk(&copies[1], other, Period::Month, &plain(), NOW).await;
            walk_trials(&copies[1], NOW).await;
        }
        for cache in copies {
            cache.close().await;
        }
    }
    eprintln!("{walked} cells");
}
