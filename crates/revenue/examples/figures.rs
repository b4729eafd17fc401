//! Revenue from a shell: Stripe objects in, one JSON object per line, figures out as one JSON document.
//!
//! ```text
//! figures --policy paywall|stripe|chartmogul|baremetrics|profitwell --at INSTANT [--from INSTANT] [--zone IANA]
//! ```
//!
//! An instant is RFC 3339, a date (its midnight in the zone) or Unix seconds. Objects can come in any order:
//! customers, prices, coupons, subscriptions, invoices, and events about them. A plain object holds as it
//! was at `--at`, one inside an event as it was when the event was created; other objects are skipped.
//! Amounts are in 1/10,000 of the currency's minor unit: 433333 is 43 1/3 cents.
//!
//! ```text
//! {
//!   "policy": "paywall", "rules": {…}, "at": "…Z", "from": "2026-01-01", "to": "2026-02-01", "zone": "UTC",
//!   "mrr": {"usd": {"amount_10k": 0, "including_tax": false}},
//!   "subscriptions": [{"id": "sub_…", "customer": "cus_…", "currency": "usd", "mrr_10k": 0, "counts": true}],
//!   "movements": [{"customer": "cus_…", "currency": "usd", "day": "2026-01-03", "kind": "new",
//!                  "amount_10k": 0, "estimated": false}],
//!   "figures": [{"currency": "usd", "window": {"from": …, "to": …}, "start_10k": 0, "end_10k": 0,
//!                "moved": [{"amount_10k": 0, "movements": 0}, …new, reactivation, expansion, contraction, churn],
//!                "net_10k": 0, "arr_10k": 0, "customers_start": 0, "customers_end": 0,
//!                "customer_churn": RATE, "gross_mrr_churn": RATE, "net_mrr_churn": RATE, "nrr": RATE,
//!                "quick_ratio": RATE, "arpa": RATE, "ltv": RATE, "estimated": false,
//!                "objects": {"subscriptions": 0, "invoices": 0, "faults": 0, "including_tax": 0}}],
//!   "trials": {"started": {"started": 0, "converted": 0, "decided": 0, "undecided": 0, "conversion": RATE},
//!              "ended": {"ended": 0, "converted": 0, "conversion": RATE}},
//!   "payments": [{"currency": "usd", "failed": [NUMBER, MINOR], "recovered": …, "waiting": …, "given_up": …,
//!                 "recovery": RATE}],
//!   "headline": {"usd": {"subscriptions_10k": 0, "movements_10k": 0}},
//!   "faults": [{"customer": "cus_…", "subscription": "sub_…", "problem": "…"}],
//!   "unreadable": [{"line": 1, "problem": "…"}], "skipped": 0
//! }
//! ```
//!
//! RATE is `{"value": {"numerator": 1, "denominator": 12}}`, `{"too_few": {"counted": 1, "of": 3}}` where
//! there are fewer than ten cases, or `"not_enough_data"`. Movements, rates, trials and payments are those
//! from `--from` to the day of `--at`; without it, all movements and the rest of the last 30 days.
//!
//! What cannot be read is named by its line on standard error and in `unreadable`; the exit code is 1 then,
//! and the figures are those of the rest.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, anyhow};
use chrono::{DateTime, Utc};
use clap::Parser;
use paywall_revenue::{
    Catalog, Day, Fact, InvoiceFacts, Ledger, Lens, Preset, ReportingZone, Snapshot, SubscriptionFacts, Window,
};
use serde_json::{Value, json};

#[derive(Parser)]
#[command(about = "Revenue figures from Stripe objects on standard input, one per line")]
struct Arguments {
    /// Whose rules: paywall, stripe, chartmogul, baremetrics or profitwell.
    #[arg(long, default_value = "paywall")]
    policy: String,
    /// The last instant that is looked at.
    #[arg(long)]
    at: String,
    /// The window's first instant.
    #[arg(long)]
    from: Option<String>,
    /// Where days begin.
    #[arg(long, default_value = "UTC")]
    zone: String,
    /// Say on standard error how long it took; the last so many objects are taken in as a page of their own.
    #[arg(long, value_name = "PAGE")]
    timings: Option<usize>,
}

/// What other objects only name.
#[derive(Default)]
struct Known {
    prices: HashMap<String, Value>,
    coupons: HashMap<String, Value>,
    customers: HashMap<String, Value>,
}

impl Catalog for Known {
    fn price(&self, id: &str) -> Option<Value> {
        self.prices.get(id).cloned()
    }
    fn coupon(&self, id: &str) -> Option<Value> {
        self.coupons.get(id).cloned()
    }
}

/// A subscription, for when all that it may name is known.
struct Waiting {
    line: usize,
    seen_at: i64,
    object: Value,
}

#[derive(Default)]
struct Input {
    known: Known,
    facts: Vec<Fact>,
    waiting: Vec<Waiting>,
    unreadable: Vec<(usize, String)>,
    skipped: usize,
}

impl Input {
    fn read(&mut self, source: impl BufRead, at: i64) -> anyhow::Result<()> {
        for (n, line) in source.lines().enumerate() {
            let line = line.with_context(|| format!("line {}", n + 1))?;
            if line.trim().is_empty() {
                continue;
            }
            match serde_json::from_str::<Value>(&line) {
                Ok(object) => self.take(n + 1, at, object),
                Err(error) => self.unreadable.push((n + 1, error.to_string())),
            }
        }
        Ok(())
    }

    fn take(&mut self, line: usize, seen_at: i64, mut object: Value) {
        let id = object["id"].as_str().unwrap_or_default().to_owned();
        match object["object"].as_str() {
            Some("event") => {
                let Some(created) = object["created"].as_i64() else {
                    return self.unreadable.push((line, "created is missing".to_owned()));
                };
                let inner = object["data"]["object"].take();
                if object["type"] == "customer.deleted" {
                    let id = inner["id"].as_str().unwrap_or_default().into();
                    self.facts.push(Fact::Customer { id, deleted_at: Some(created.saturating_mul(1000)) });
                } else {
                    self.take(line, created.saturating_mul(1000), inner);
                }
            }
            Some("price") => drop(self.known.prices.insert(id, object)),
            Some("coupon") => drop(self.known.coupons.insert(id, object)),
            Some("customer") => {
                self.facts.push(Fact::Customer { id: id.as_str().into(), deleted_at: None });
                if object["discount"].is_object() {
                    self.known.customers.insert(id, object);
                }
            }
            Some("subscription") => self.waiting.push(Waiting { line, seen_at, object }),
            Some("invoice") => match InvoiceFacts::from_stripe(&object) {
                Ok(invoice) => self.facts.push(Fact::Invoice { seen_at, invoice }),
                Err(error) => self.unreadable.push((line, format!("{}: {error}", object["id"]))),
            },
            Some(_) => self.skipped += 1,
            None => self.unreadable.push((line, "object is missing".to_owned())),
        }
    }

    /// All facts, now that everything is known.
    fn facts(&mut self) -> Vec<Fact> {
        for waiting in std::mem::take(&mut self.waiting) {
            match self.known.fact(&waiting) {
                Ok(fact) => self.facts.push(fact),
                Err(error) => self.unreadable.push((waiting.line, format!("{}: {error}", waiting.object["id"]))),
            }
        }
        std::mem::take(&mut self.facts)
    }
}

impl Known {
    fn fact(&self, Waiting { seen_at, object, .. }: &Waiting) -> anyhow::Result<Fact> {
        let customer = object["customer"].as_str().or_else(|| object["customer"]["id"].as_str());
        let customer = customer.ok_or_else(|| anyhow!("customer is missing"))?;
        let mut facts = SubscriptionFacts::from_stripe(object, self)?;
        if let Some(known) = self.customers.get(customer) {
            facts = facts.with_customer(known, self)?;
        }
        let snapshot = Snapshot { seen_at: *seen_at, facts: Arc::new(facts) };
        Ok(Fact::Subscription { customer: customer.into(), snapshot })
    }
}

/// An instant in milliseconds.
fn instant(text: &str, zone: ReportingZone) -> anyhow::Result<i64> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Ok(seconds.saturating_mul(1000));
    }
    if let Ok(day) = text.parse::<Day>() {
        return Ok(zone.start_of(day));
    }
    let instant = DateTime::parse_from_rfc3339(text)
        .map_err(|error| anyhow!("{text} is no instant ({error}): give RFC 3339, a date or Unix seconds"))?;
    Ok(instant.timestamp_millis())
}

fn document(ledger: &Ledger, lens: &Lens, preset: Preset, from: Option<Day>, input: &Input) -> anyhow::Result<Value> {
    let to = lens.zone.day_of(lens.until).plus(1);
    let window = Window { from: from.unwrap_or(to.plus(-30)), to };
    let mut mrr = BTreeMap::new();
    let mut subscriptions = Vec::new();
    for (customer, id, level) in ledger.subscriptions_now() {
        let (sum, including_tax) = mrr.entry(level.currency.clone()).or_insert((0_i64, false));
        *sum = sum.checked_add(level.amount_10k).ok_or_else(|| anyhow!("the sum is too large"))?;
        *including_tax |= level.including_tax;
        subscriptions.push(json!({"id": &**id, "customer": &**customer, "currency": level.currency,
            "mrr_10k": level.amount_10k, "counts": level.counts}));
    }
    let movements: Vec<Value> = ledger
        .movements()
        .filter(|it| from.is_none_or(|from| from <= it.day) && it.day < to)
        .map(|it| {
            json!({"customer": &*it.customer, "currency": &*it.currency, "day": it.day, "kind": it.kind,
                "amount_10k": it.amount_10k, "estimated": it.estimated})
        })
        .collect();
    let mrr: BTreeMap<_, _> = mrr
        .into_iter()
        .map(|(currency, (amount, tax))| (currency, json!({"amount_10k": amount, "including_tax": tax})))
        .collect();
    let headline: BTreeMap<String, _> =
        ledger.headline()?.into_iter().map(|(currency, headline)| (currency.to_string(), headline)).collect();
    let faults: Vec<Value> = ledger
        .faults()
        .map(
            |it| json!({"customer": &*it.customer, "subscription": &*it.subscription, "problem": it.error.to_string()}),
        )
        .collect();
    let trials = ledger.trial_cohorts(&[window])?;
    let unreadable: Vec<Value> =
        input.unreadable.iter().map(|(line, problem)| json!({"line": line, "problem": problem})).collect();
    Ok(json!({"policy": preset, "rules": lens.policy, "zone": lens.zone.name(),
        "at": DateTime::<Utc>::from_timestamp_millis(lens.until), "from": window.from, "to": window.to,
        "mrr": mrr, "subscriptions": subscriptions, "movements": movements, "figures": ledger.figures(window)?,
        "trials": {"started": trials.first(), "ended": ledger.trials_ended(window)?},
        "payments": ledger.payment_recovery(window)?,
        "headline": headline, "faults": faults, "unreadable": unreadable, "skipped": input.skipped}))
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let preset = Preset::parse(&arguments.policy)
        .ok_or_else(|| anyhow!("{} is no policy: {}", arguments.policy, Preset::ALL.map(Preset::as_str).join(", ")))?;
    let zone =
        ReportingZone::parse(&arguments.zone).ok_or_else(|| anyhow!("{} is no IANA time zone", arguments.zone))?;
    let until = instant(&arguments.at, zone)?;
    let from = arguments.from.as_deref().map(|text| instant(text, zone)).transpose()?.map(|at| zone.day_of(at));
    let lens = Lens { policy: preset.policy(), zone, until };
    let mut errors = std::io::stderr().lock();

    let began = Instant::now();
    let mut input = Input::default();
    input.read(std::io::stdin().lock(), until)?;
    let mut facts = input.facts();
    let read = began.elapsed();
    let count = facts.len();
    let page = facts.split_off(count - arguments.timings.unwrap_or(0).min(count));
    let mut ledger = Ledger::new();
    let began = Instant::now();
    ledger.extend(facts);
    let taken = began.elapsed();
    let began = Instant::now();
    ledger.refresh(&lens);
    let full = began.elapsed();
    let began = Instant::now();
    let in_page = page.len();
    ledger.extend(page);
    let changed = ledger.refresh(&lens).len();
    let increment = began.elapsed();
    if arguments.timings.is_some() {
        writeln!(errors, "read {count} facts: {read:.1?}; take them in: {taken:.1?}; full pass: {full:.1?}")?;
        writeln!(errors, "a page of {in_page} facts, {changed} customers changed: {increment:.1?}")?;
    }

    input.unreadable.sort();
    for (line, problem) in &input.unreadable {
        writeln!(errors, "line {line}: {problem}")?;
    }
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &document(&ledger, &lens, preset, from, &input)?)?;
    writeln!(out)?;
    Ok(if input.unreadable.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            // Nothing is left to tell it to where standard error is closed.
            let _ = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::from(2)
        }
    }
}
