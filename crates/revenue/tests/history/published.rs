//! Movements and rates that others published: Stripe's glossary, `ChartMogul`, Ghost.

use paywall_revenue::{BriefRule, Cell, FreeRule, Ledger, MetricPolicy, MovementKind, Preset, Rate};
use serde_json::{Value, json};

use crate::facts::{day, ended, ledger, lens, subscription, units, window, with};

/// The movements as (date, kind, amount in 1/10,000 of the minor unit).
fn moves(ledger: &Ledger) -> Vec<(String, MovementKind, i64)> {
    let mut moves: Vec<_> = ledger.movements().map(|it| (it.day.to_string(), it.kind, it.amount_10k)).collect();
    moves.sort_by(|a, b| a.0.cmp(&b.0));
    moves
}

fn moved(date: &str, kind: MovementKind, amount: i64) -> (String, MovementKind, i64) {
    (date.to_owned(), kind, amount)
}

/// `n` customers who pay so many minor units a month from a day on.
struct Book {
    facts: Vec<(String, String, Value)>,
}

impl Book {
    fn new() -> Self {
        Self { facts: Vec::new() }
    }

    fn see(mut self, customers: std::ops::Range<usize>, at: &str, minor: i64, change: &Value) -> Self {
        for n in customers {
            let value = with(subscription(&format!("sub_{n}"), "2026-01-01", minor, "month"), change);
            self.facts.push((format!("cus_{n:03}"), at.to_owned(), value));
        }
        self
    }

    fn ledger(&self) -> Ledger {
        let facts: Vec<_> = self.facts.iter().map(|(customer, at, value)| (&**customer, &**at, value)).collect();
        let mut ledger = ledger(&facts);
        ledger.refresh(&lens(MetricPolicy::default(), "2026-03-31"));
        ledger
    }
}

fn gone(at: &str) -> Value {
    json!({"status": "canceled", "ended_at": day(at), "canceled_at": day(at)})
}

#[test]
fn stripes_growth_of_a_month() {
    // Start 1,000; +100 new, +50 expansion, -40 contraction, -60 churn. Foreign exchange is no movement here.
    let started = json!({"created": day("2026-02-10"), "start_date": day("2026-02-10")});
    let book = Book::new()
        .see(0..10, "2026-01-01", 10_000, &json!({}))
        .see(10..11, "2026-02-10", 10_000, &started)
        .see(0..1, "2026-02-11", 15_000, &json!({}))
        .see(1..2, "2026-02-12", 6000, &json!({}))
        .see(2..3, "2026-01-02", 6000, &json!({}))
        .see(2..3, "2026-02-13", 6000, &gone("2026-02-13"))
        .see(3..4, "2026-01-02", 14_000, &json!({}));
    let ledger = book.ledger();
    let figures = &ledger.figures(window("2026-02-01", "2026-03-01")).unwrap()[0];
    assert_eq!((figures.start_10k, figures.end_10k, figures.net_10k), (units(1000), units(1050), units(50)));
    let amounts = figures.moved.map(|it| it.amount_10k);
    assert_eq!(amounts, [units(100), 0, units(50), units(-40), units(-60)]);
    assert_eq!(figures.arr_10k, units(12 * 1050));
    assert_eq!(figures.arpa, Rate::Value { numerator: units(1050), denominator: 10 });
}

#[test]
fn stripes_churned_revenue_is_what_was_lost_and_what_shrank() {
    let yearly = subscription("sub_1", "2026-01-01", 12_000, "year");
    let (fifty, less) =
        (subscription("sub_2", "2026-01-01", 5000, "month"), subscription("sub_2", "2026-01-01", 2500, "month"));
    let over = ended(yearly.clone(), "2026-02-10");
    let mut ledger = ledger(&[
        ("cus_1", "2026-01-01", &yearly),
        ("cus_1", "2026-02-10", &over),
        ("cus_2", "2026-01-01", &fifty),
        ("cus_2", "2026-02-11", &less),
    ]);
    ledger.refresh(&lens(MetricPolicy::default(), "2026-02-28"));
    let figures = &ledger.figures(window("2026-02-01", "2026-03-01")).unwrap()[0];
    let [_, _, _, contraction, churn] = figures.moved.map(|it| it.amount_10k);
    assert_eq!((contraction, churn), (units(-25), units(-10)));
    assert_eq!(figures.gross_mrr_churn, Rate::TooFew { counted: 2, of: 2 }, "two customers are too few for a rate");
}

#[test]
fn stripes_cohort_retains_97_and_a_half_percent() {
    // The page prints 102.5 %; 1,000 - 100 + 5 x 15 is 975.
    let book = Book::new()
        .see(0..100, "2026-01-01", 1000, &json!({}))
        .see(0..10, "2026-02-10", 1000, &gone("2026-02-10"))
        .see(10..15, "2026-02-11", 2500, &json!({}));
    let ledger = book.ledger();
    let figures = &ledger.figures(window("2026-02-01", "2026-03-01")).unwrap()[0];
    assert_eq!(figures.nrr, Rate::Value { numerator: units(975), denominator: units(1000) });
    assert_eq!(figures.customer_churn, Rate::Value { numerator: 10, denominator: 100 });
    assert_eq!(figures.quick_ratio, Rate::Value { numerator: units(75), denominator: units(100) });
    // 975 / 90 customers, at a tenth of them lost: 108 1/3.
    assert_eq!(figures.ltv, Rate::Value { numerator: 108_333_333, denominator: 1 });
}

#[test]
fn chartmoguls_gross_churn_is_20_percent_and_its_net_churn_10() {
    let book = Book::new()
        .see(0..10, "2026-01-01", 1000, &json!({}))
        .see(0..1, "2026-02-10", 1000, &gone("2026-02-10"))
        .see(1..3, "2026-02-10", 500, &json!({}))
        .see(3..4, "2026-02-10", 2000, &json!({}));
    let ledger = book.ledger();
    let figures = &ledger.figures(window("2026-02-01", "2026-03-01")).unwrap()[0];
    assert_eq!(figures.gross_mrr_churn, Rate::Value { numerator: units(20), denominator: units(100) });
    assert_eq!(figures.net_mrr_churn, Rate::Value { numerator: units(10), denominator: units(100) });
}

#[test]
fn chartmoguls_life_of_a_customer() {
    let mut gold = subscription("sub_gold", "2025-01-10", 50_000, "year");
    gold["items"]["data"][0]["quantity"] = json!(4);
    let mut silver = subscription("sub_silver", "2025-01-15", 3000, "month");
    silver["items"]["data"][0]["quantity"] = json!(2);
    let silver_over = ended(silver.clone(), "2025-01-29");
    let told = json!({"cancel_at_period_end": true, "canceled_at": day("2025-12-20"), "cancel_at": day("2026-01-10")});
    let gold_told = with(gold.clone(), &told);
    let gold_over = with(gold_told.clone(), &json!({"status": "canceled", "ended_at": day("2026-01-10")}));
    let mut again = subscription("sub_again", "2026-03-01", 5000, "month");
    again["items"]["data"][0]["quantity"] = json!(3);
    let mut ledger = ledger(&[
        ("cus_1", "2025-01-10", &gold),
        ("cus_1", "2025-01-15", &silver),
        ("cus_1", "2025-01-29", &silver_over),
        ("cus_1", "2025-12-20", &gold_told),
        ("cus_1", "2026-01-11", &gold_over),
        ("cus_1", "2026-03-01", &again),
    ]);
    ledger.refresh(&lens(Preset::Chartmogul.policy(), "2026-03-31"));
    let yearly = 166_666_667;
    assert_eq!(
        moves(&ledger),
        [
            moved("2025-01-10", MovementKind::New, yearly),
            moved("2025-01-15", MovementKind::Expansion, units(60)),
            moved("2025-01-29", MovementKind::Contraction, units(-60)),
            moved("2026-01-10", MovementKind::Churn, -yearly),
            moved("2026-03-01", MovementKind::Reactivation, units(150)),
        ]
    );
    ledger.refresh(&lens(Preset::Stripe.policy(), "2026-03-31"));
    assert_eq!(moves(&ledger)[3], moved("2025-12-20", MovementKind::Churn, -yearly), "Stripe counts the call");
    let months = MetricPolicy { reactivation_days: Some(30), ..MetricPolicy::default() };
    ledger.refresh(&lens(months, "2026-03-31"));
    assert_eq!(moves(&ledger)[4], moved("2026-03-01", MovementKind::New, units(150)), "too long ago to come back");
}

#[test]
fn ghosts_discount_given_later_and_its_cancellation() {
    let full = subscription("sub_1", "2026-01-01", 500, "month");
    let coupon = json!({"id": "co", "percent_off": 20, "duration": "forever"});
    let less = with(full.clone(), &json!({"discounts": [{"start": day("2026-02-01"), "source": {"coupon": coupon}}]}));
    let over = ended(full.clone(), "2026-02-01");
    let mut discounted = ledger(&[("cus_1", "2026-01-01", &full), ("cus_1", "2026-02-01", &less)]);
    discounted.refresh(&lens(MetricPolicy::default(), "2026-02-28"));
    assert_eq!(moves(&discounted)[1], moved("2026-02-01", MovementKind::Contraction, -100 * 10_000));
    let mut cancelled = ledger(&[("cus_1", "2026-01-01", &full), ("cus_1", "2026-02-01", &over)]);
    cancelled.refresh(&lens(MetricPolicy::default(), "2026-02-28"));
    assert_eq!(moves(&cancelled)[1], moved("2026-02-01", MovementKind::Churn, -500 * 10_000));
}

#[test]
fn a_coupon_that_runs_out_is_expansion_and_going_on_for_free_is_the_policys_matter() {
    let coupon = json!({"id": "co", "percent_off": 100, "duration": "repeating", "duration_in_months": 1});
    let full = subscription("sub_1", "2026-01-01", 1000, "month");
    let free = with(full.clone(), &json!({"discounts": [{"start": day("2026-02-01"), "source": {"coupon": coupon}}]}));
    let mut ledger = ledger(&[("cus_1", "2026-01-01", &full), ("cus_1", "2026-02-01", &free)]);
    ledger.refresh(&lens(MetricPolicy::default(), "2026-03-31"));
    let kinds = |ledger: &Ledger| moves(ledger).into_iter().map(|it| it.1).collect::<Vec<_>>();
    assert_eq!(kinds(&ledger), [MovementKind::New, MovementKind::Churn, MovementKind::Reactivation]);
    let stays = MetricPolicy { free: FreeRule::Contraction, ..MetricPolicy::default() };
    ledger.refresh(&lens(stays, "2026-03-31"));
    assert_eq!(kinds(&ledger), [MovementKind::New, MovementKind::Contraction, MovementKind::Expansion]);
    let figures = &ledger.figures(window("2026-02-01", "2026-03-01")).unwrap()[0];
    assert_eq!((figures.customers_start, figures.customers_end), (1, 0), "who pays nothing is no paying customer");
    assert_eq!(ledger.paying_customers("2026-01-31".parse().unwrap()), 1);
    assert_eq!(ledger.paying_customers("2026-02-01".parse().unwrap()), 0);
}

#[test]
fn a_customer_of_less_than_a_month_is_new_and_churn_or_never_was() {
    let start = subscription("sub_1", "2026-01-05", 1000, "month");
    let over = ended(start.clone(), "2026-01-25");
    let again = subscription("sub_2", "2026-02-01", 1000, "month");
    let mut ledger =
        ledger(&[("cus_1", "2026-01-05", &start), ("cus_1", "2026-01-25", &over), ("cus_1", "2026-02-01", &again)]);
    ledger.refresh(&lens(Preset::Profitwell.policy(), "2026-02-28"));
    assert_eq!(moves(&ledger), [moved("2026-02-01", MovementKind::New, units(10))]);
    let counted = MetricPolicy { brief: BriefRule::Counted, ..Preset::Profitwell.policy() };
    ledger.refresh(&lens(counted, "2026-02-28"));
    let kinds: Vec<_> = moves(&ledger).into_iter().map(|it| it.1).collect();
    assert_eq!(kinds, [MovementKind::New, MovementKind::Churn, MovementKind::Reactivation]);
}

#[test]
fn a_level_first_seen_other_than_it_was_rebuilt_is_an_estimated_movement() {
    let paused = with(subscription("sub_1", "2026-01-05", 1000, "month"), &json!({"status": "paused"}));
    let mut ledger = ledger(&[("cus_1", "2026-01-20", &paused)]);
    let paid = crate::facts::billed(&crate::facts::invoice("in_1", "2026-01-05", "2026-02-05", 1000));
    ledger.put(paywall_revenue::Fact::Invoice { seen_at: 0, invoice: paid });
    ledger.refresh(&lens(MetricPolicy::default(), "2026-01-31"));
    let found: Vec<_> = ledger.movements().map(|it| (it.day.to_string(), it.kind, it.estimated)).collect();
    let expected = [("2026-01-05".into(), MovementKind::New, true), ("2026-01-20".into(), MovementKind::Churn, true)];
    assert_eq!(found, expected, "when it was paused between the two nobody knows");
}

#[test]
fn currencies_stay_apart_with_their_own_decimals() {
    let price = |id: &str, currency: &str, minor: i64| {
        let mut value = with(subscription(id, "2026-01-01", minor, "year"), &json!({"currency": currency}));
        value["items"]["data"][0]["price"]["currency"] = json!(currency);
        value
    };
    let (yen, dinar, euro) =
        (price("sub_1", "jpy", 12_000), price("sub_2", "kwd", 12_500), price("sub_3", "eur", 9999));
    let mut ledger =
        ledger(&[("cus_1", "2026-01-01", &yen), ("cus_1", "2026-01-01", &dinar), ("cus_2", "2026-01-01", &euro)]);
    ledger.refresh(&lens(MetricPolicy::default(), "2026-01-31"));
    let figures = ledger.figures(window("2026-01-01", "2026-02-01")).unwrap();
    let ends: Vec<_> = figures.iter().map(|it| (it.currency.as_str(), it.end_10k)).collect();
    // 99.99 euro / 12 = 8.3325; 12.500 dinar / 12 = 1.041 666 67; 12,000 yen / 12 = 1,000.
    assert_eq!(ends, [("eur", 8_332_500), ("jpy", 10_000_000), ("kwd", 10_416_667)]);
    assert!(moves(&ledger).iter().all(|it| it.1 == MovementKind::New), "begun on one day, each is new in its currency");
    assert_eq!(ledger.paying_customers("2026-01-01".parse().unwrap()), 2);
    let rows = ledger.customers_of("jpy", window("2026-01-01", "2026-02-01"), Cell::End, None, 10).unwrap();
    assert_eq!(rows, [("cus_1".into(), 10_000_000)]);
}
