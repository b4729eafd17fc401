//! Sums in one currency, and the same facts under two sets of rules.

use paywall_revenue::{
    Cause, Cell, DiscountRule, ExchangeRate, ExchangeRates, Ledger, Lens, MetricPolicy, MovementKind, Preset,
    RateProblem, ReportingZone, Unknown, parse_rates,
};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::facts::{day, ended, ledger, lens, ms, subscription, units, window, with};
use crate::random::{BEGIN, DAYS, HOUR, books, cases, policies, zones};

fn rates(csv: &str, max_age_days: u32) -> ExchangeRates {
    ExchangeRates::new(parse_rates(csv).unwrap(), max_age_days)
}

fn priced(id: &str, start: &str, currency: &str, minor: i64) -> Value {
    let mut value = with(subscription(id, start, minor, "month"), &json!({"currency": currency}));
    value["items"]["data"][0]["price"]["currency"] = json!(currency);
    value
}

#[test]
fn an_amount_is_converted_by_the_latest_rate_with_either_currencys_decimals() {
    let rates = rates(
        "Date, From, To, Rate\n2026-01-01,EUR,USD,1.10\n\n2026-01-05,eur,usd,1.20\n2026-01-01,usd,jpy,150\n2026-01-01,kwd,usd,3.25",
        10,
    );
    let convert = |amount, from: &str, to: &str, day: &str| rates.convert(amount, from, to, day.parse().unwrap());
    assert_eq!(convert(units(10), "eur", "usd", "2026-01-04"), Ok(units(11)));
    assert_eq!(convert(units(10), "eur", "usd", "2026-01-05"), Ok(units(12)));
    assert_eq!(convert(units(12), "usd", "eur", "2026-01-05"), Ok(units(10)), "the other way round");
    assert_eq!(convert(units(10), "usd", "jpy", "2026-01-04"), Ok(1500 * 10_000), "yen have no decimals");
    assert_eq!(convert(1000 * 10_000, "kwd", "usd", "2026-01-04"), Ok(325 * 10_000), "dinars have three");
    assert_eq!(convert(units(7), "usd", "usd", "1999-01-01"), Ok(units(7)), "itself needs no rate");
    let unknown = |from: &str, to: &str, day: &str| {
        Err(Unknown::Rate { from: from.into(), to: to.into(), day: day.parse().unwrap() })
    };
    assert_eq!(convert(1, "eur", "usd", "2025-12-31"), unknown("eur", "usd", "2025-12-31"), "before the first");
    assert_eq!(convert(1, "eur", "usd", "2026-01-16"), unknown("eur", "usd", "2026-01-16"), "too old");
    assert_eq!(convert(1, "eur", "jpy", "2026-01-04"), unknown("eur", "jpy", "2026-01-04"), "no detour");
}

#[test]
fn every_line_of_a_file_of_rates_that_cannot_be_read_is_named() {
    let csv = "date,from,to,rate\n2026-01-01,eur,usd\n2026-13-01,eur,usd,1\n2026-01-01,euro,usd,1\n2026-01-01,eur,usd,0\n\
        2026-01-02,eur,usd,1.1\n2026-01-02,EUR,USD,1.2\n2026-01-02,eur,usd,1.2";
    let faults: Vec<_> = parse_rates(csv).unwrap_err().into_iter().map(|it| (it.line, it.problem)).collect();
    assert_eq!(
        faults,
        [
            (2, RateProblem::Fields),
            (3, RateProblem::Date("2026-13-01".into())),
            (4, RateProblem::Currency("euro".into())),
            (5, RateProblem::Rate("0".into())),
            (7, RateProblem::Twice),
        ]
    );
}

#[test]
fn stripes_growth_with_foreign_exchange_apart() {
    // Start 1,000, net movements 50, and exchange -5 make 45.
    let dollars = priced("sub_1", "2026-01-01", "usd", 90_000);
    let euros = priced("sub_2", "2026-01-01", "eur", 10_000);
    let new = priced("sub_3", "2026-02-10", "eur", 5000);
    let mut ledger =
        ledger(&[("cus_1", "2026-01-01", &dollars), ("cus_2", "2026-01-01", &euros), ("cus_3", "2026-02-10", &new)]);
    ledger.refresh(&lens(MetricPolicy::default(), "2026-02-28"));
    let rates = rates("2026-01-31,eur,usd,1\n2026-02-28,eur,usd,0.9", 31);
    let february = window("2026-02-01", "2026-03-01");
    let figures = ledger.converted("usd", &rates, february).unwrap();
    assert_eq!((figures.start_10k, figures.end_10k), (units(990), units(1035)));
    assert_eq!(figures.moved_10k[MovementKind::New.index()], units(50), "by the rate of its day");
    assert_eq!(figures.exchange_10k, units(-5));
    let unknown = ledger.converted("jpy", &rates, february).unwrap_err();
    assert_eq!(unknown.to_string(), "no rate from eur to jpy for 2026-02-28");
}

#[test]
fn a_customers_difference_has_its_causes_and_they_add_up() {
    let coupon = json!({"id": "co", "percent_off": 50, "duration": "repeating", "duration_in_months": 3});
    let half = with(
        subscription("sub_1", "2026-01-10", 1000, "month"),
        &json!({"discounts": [{"start": day("2026-01-10"), "source": {"coupon": coupon}}]}),
    );
    let told = json!({"cancel_at_period_end": true, "canceled_at": day("2026-01-20"), "cancel_at": day("2026-02-10")});
    let leaving = with(subscription("sub_2", "2026-01-10", 2000, "month"), &told);
    let both = with(half.clone(), &told);
    let both = with(both, &json!({"id": "sub_3"}));
    let same = subscription("sub_4", "2026-01-10", 3000, "month");
    let ends = ended(subscription("sub_5", "2026-01-10", 4000, "month"), "2026-01-31");
    let ends = with(
        ends,
        &json!({"ended_at": day("2026-01-31") + 86_400 + 3600, "canceled_at": day("2026-01-31") + 86_400 + 3600}),
    );
    let ledger = ledger(&[
        ("cus_1", "2026-01-31", &half),
        ("cus_2", "2026-01-31", &leaving),
        ("cus_3", "2026-01-31", &both),
        ("cus_4", "2026-01-31", &same),
        ("cus_5", "2026-02-05", &ends),
    ]);
    let ours = lens(MetricPolicy::default(), "2026-01-31");
    let stripes = lens(Preset::Stripe.policy(), "2026-01-31");
    let found: Vec<_> = ledger
        .differences(&ours, &stripes)
        .unwrap()
        .into_iter()
        .map(|it| (it.customer.to_string(), it.one_10k, it.other_10k, it.causes))
        .collect();
    assert_eq!(
        found,
        [
            ("cus_1".to_owned(), units(5), units(10), vec![(Cause::Discount, units(5))]),
            ("cus_2".to_owned(), units(20), 0, vec![(Cause::Cancellation, units(-20))]),
            ("cus_3".to_owned(), units(5), 0, vec![(Cause::Cancellation, units(-5))]),
        ]
    );
    // New York closes the day five hours later, when one more has ended.
    let zone = ReportingZone::parse("America/New_York").unwrap();
    let later = Lens { policy: ours.policy.clone(), zone, until: zone.start_of("2026-02-01".parse().unwrap()) - 1 };
    let found = ledger.differences(&ours, &later).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((&*found[0].customer, &found[0].causes), ("cus_5", &vec![(Cause::TimeZone, units(-40))]));
}

fn daily(from: &str, to: &str, rate: Decimal) -> Vec<ExchangeRate> {
    (-10..4 * DAYS)
        .map(|day| ExchangeRate {
            day: ReportingZone::UTC.day_of(BEGIN + day * 24 * HOUR),
            from: from.into(),
            to: to.into(),
            rate: rate + Decimal::new(day % 7, 3),
        })
        .collect()
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn converted_rows_add_up_and_an_unknown_rate_makes_the_sum_unknown(
        facts in books(4),
        policy in policies(),
        zone in zones(),
        rate in 1_i64..100_000,
    ) {
        let lens = Lens { policy, zone, until: BEGIN + 2 * DAYS * 24 * HOUR };
        let mut ledger = Ledger::new();
        ledger.extend(facts);
        ledger.refresh(&lens);
        let window = window("2026-01-20", "2026-04-01");
        let known = ExchangeRates::new(daily("jpy", "usd", Decimal::new(rate, 3)), 0);
        let sums = ledger.converted("usd", &known, window).unwrap();
        let mut cells = vec![(Cell::Start, sums.start_10k), (Cell::End, sums.end_10k)];
        cells.push((Cell::Net, sums.moved_10k.iter().sum()));
        cells.extend(MovementKind::ALL.map(|kind| (Cell::Moved(kind), sums.moved_10k[kind.index()])));
        for (cell, expected) in cells {
            let rows = ledger.customers_converted("usd", &known, window, cell, None, usize::MAX).unwrap();
            prop_assert_eq!(rows.iter().map(|row| row.1).sum::<i64>(), expected, "{:?}", cell);
        }
        let plain = ledger.figures(window).unwrap();
        let foreign = plain.iter().any(|it| {
            it.currency != "usd" && (it.end_10k != 0 || it.start_10k != 0 || it.moved.iter().any(|it| it.movements > 0))
        });
        let none = ExchangeRates::new([], u32::MAX);
        prop_assert_eq!(ledger.converted("usd", &none, window).is_err(), foreign);
        if !foreign {
            let usd = plain.iter().find(|it| it.currency == "usd");
            prop_assert_eq!(sums.end_10k, usd.map_or(0, |it| it.end_10k));
            prop_assert_eq!(sums.exchange_10k, 0);
        }
    }

    #[test]
    fn differences_are_those_of_two_ledgers_and_their_causes_add_up(
        facts in books(4),
        rules in (policies(), policies()),
        until in 0_i64..DAYS * 24,
    ) {
        let until = BEGIN + until * HOUR;
        let through = |policy: &MetricPolicy| Lens { policy: policy.clone(), zone: ReportingZone::UTC, until };
        let (one, other) = (through(&rules.0), through(&rules.1));
        let levels = |lens: &Lens| {
            let mut ledger = Ledger::new();
            ledger.extend(facts.iter().cloned());
            ledger.refresh(lens);
            let mut levels = std::collections::BTreeMap::new();
            for (customer, _, level) in ledger.subscriptions_now() {
                *levels.entry((customer.to_string(), level.currency)).or_insert(0) += level.amount_10k;
            }
            (ledger, levels)
        };
        let ((ledger, ours), (_, theirs)) = (levels(&one), levels(&other));
        let found = ledger.differences(&one, &other).unwrap();
        for row in &found {
            let key = (row.customer.to_string(), row.currency.clone());
            prop_assert_eq!((ours[&key], theirs[&key]), (row.one_10k, row.other_10k));
            prop_assert_eq!(row.causes.iter().map(|it| it.1).sum::<i64>(), row.other_10k - row.one_10k);
        }
        prop_assert_eq!(found.len(), ours.iter().filter(|(key, level)| theirs[*key] != **level).count());
    }
}

#[test]
fn rules_that_say_the_same_make_no_difference() {
    let value = subscription("sub_1", "2026-01-10", 1000, "month");
    let ledger = ledger(&[("cus_1", "2026-01-31", &value)]);
    let ours = lens(MetricPolicy::default(), "2026-01-31");
    let theirs = lens(MetricPolicy { discounts: DiscountRule::All, ..MetricPolicy::default() }, "2026-01-31");
    assert_eq!(ledger.differences(&ours, &theirs), Ok(Vec::new()));
    assert_eq!(ours.until, ms("2026-02-01") - 1);
}
