//! Trials, cohorts, failed payments, and what lies ahead.

use paywall_revenue::{
    Cohort, CohortMonth, Committed, Day, Fact, InvoiceStatus, Ledger, MetricPolicy, Period, Rate, Recovery, TrialFacts,
    TrialOutcome, Window,
};
use serde_json::{Value, json};

use crate::facts::{billed, day, ended, invoice, ledger, lens, ms, seen, subscription, units, window, with};

fn date(text: &str) -> Day {
    text.parse().unwrap()
}

/// An invoice of a subscription and customer.
fn of(value: Value, customer: &str, subscription: &str) -> Fact {
    let mut value = with(value, &json!({"customer": customer}));
    value["parent"]["subscription_details"]["subscription"] = json!(subscription);
    value["lines"]["data"][0]["parent"]["subscription_item_details"]["subscription"] = json!(subscription);
    Fact::Invoice { seen_at: ms("2026-04-01"), invoice: billed(&value) }
}

/// A trial of two weeks from a day on, as the subscription shows it now.
fn trial(n: usize, start: &str, status: &str) -> (String, Fact) {
    let id = format!("sub_{n}");
    let times = json!({"status": status, "trial_start": day(start), "trial_end": day(start) + 14 * 86_400});
    let value = with(subscription(&id, start, 1000, "month"), &times);
    (id, Fact::Subscription { customer: format!("cus_{n}").into(), snapshot: seen("2026-04-01", &value) })
}

#[test]
fn chartmoguls_ten_trials_of_which_five_paid() {
    let mut ledger = Ledger::new();
    for n in 0..10 {
        let paid = n < 5;
        let (id, fact) = trial(n, "2026-01-10", if paid { "active" } else { "canceled" });
        ledger.put(fact);
        let mut first = invoice(&format!("in_{n}_0"), "2026-01-10", "2026-01-24", 0);
        first["amount_paid"] = json!(0);
        ledger.put(of(first, &format!("cus_{n}"), &id));
        if paid {
            ledger.put(of(invoice(&format!("in_{n}"), "2026-01-24", "2026-02-24", 1000), &format!("cus_{n}"), &id));
        }
    }
    let (_, running) = trial(10, "2026-01-25", "trialing");
    ledger.put(running);
    ledger.refresh(&lens(MetricPolicy::default(), "2026-01-31"));
    let cohort = ledger.trial_cohorts(&[window("2026-01-01", "2026-02-01")]).unwrap()[0];
    assert_eq!((cohort.started, cohort.decided, cohort.converted, cohort.undecided), (11, 10, 5, 1));
    assert_eq!(cohort.conversion, Rate::Value { numerator: 5, denominator: 10 });
    let ended = ledger.trials_ended(Window::of_days(date("2026-01-31"), 30)).unwrap();
    assert_eq!((ended.ended, ended.converted), (10, 5));
    let ended = ledger.trials_ended(window("2026-01-25", "2026-02-24")).unwrap();
    assert_eq!((ended.ended, ended.conversion), (0, Rate::NotEnoughData), "the one that runs has not ended");
    ledger.refresh(&lens(MetricPolicy::default(), "2026-01-20"));
    let cohort = ledger.trial_cohorts(&[window("2026-01-01", "2026-02-01")]).unwrap()[0];
    assert_eq!((cohort.started, cohort.undecided, cohort.conversion), (10, 10, Rate::NotEnoughData));
}

#[test]
fn a_trial_is_not_lost_while_its_first_invoice_waits_for_its_payment() {
    let (id, fact) = trial(1, "2026-01-10", "past_due");
    let mut ledger = Ledger::new();
    ledger.put(fact);
    let outcome = |ledger: &mut Ledger, last: &str| {
        ledger.refresh(&lens(MetricPolicy::default(), last));
        ledger.trials()[0].outcome
    };
    assert_eq!(outcome(&mut ledger, "2026-01-24"), TrialOutcome::Undecided, "Stripe bills it about an hour later");
    assert_eq!(outcome(&mut ledger, "2026-01-25"), TrialOutcome::Lost);
    let mut open = invoice("in_1", "2026-01-24", "2026-02-24", 1000);
    open["status"] = json!("open");
    open["amount_paid"] = json!(0);
    ledger.put(of(open.clone(), "cus_1", &id));
    assert_eq!(outcome(&mut ledger, "2026-02-05"), TrialOutcome::Undecided);
    let paid = with(
        open,
        &json!({"status": "paid", "amount_paid": 1000,
        "status_transitions": {"finalized_at": day("2026-01-24"), "paid_at": day("2026-02-03")}}),
    );
    let Fact::Invoice { invoice, .. } = of(paid, "cus_1", &id) else { unreachable!() };
    ledger.put(Fact::Invoice { seen_at: ms("2026-04-02"), invoice });
    assert_eq!(outcome(&mut ledger, "2026-02-05"), TrialOutcome::Converted(ms("2026-02-03")));
}

#[test]
fn a_trial_kept_outside_of_stripe_goes_before_the_subscriptions() {
    let (id, fact) = trial(1, "2026-01-20", "active");
    let mut ledger = Ledger::new();
    ledger.put(fact);
    ledger.put(of(invoice("in_1", "2026-02-03", "2026-03-03", 1000), "cus_1", &id));
    let mut kept = TrialFacts {
        id: "t".into(),
        customer: "cus_1".into(),
        started_at: ms("2026-01-01"),
        ends_at: ms("2026-01-15"),
    };
    assert!(ledger.put(Fact::Trial { seen_at: 1, trial: kept.clone() }));
    kept.ends_at = ms("2026-01-20");
    assert!(ledger.put(Fact::Trial { seen_at: 2, trial: kept.clone() }), "it was extended");
    assert!(!ledger.put(Fact::Trial { seen_at: 2, trial: kept }));
    ledger.refresh(&lens(MetricPolicy::default(), "2026-02-28"));
    let trials = ledger.trials();
    assert_eq!(trials.len(), 1);
    assert_eq!((trials[0].ends_at, trials[0].outcome), (ms("2026-01-20"), TrialOutcome::Converted(ms("2026-02-03"))));
}

#[test]
fn a_tenants_trial_goes_with_the_tenant_when_it_becomes_a_customer() {
    let of = |customer: &str| TrialFacts {
        id: "t".into(),
        customer: customer.into(),
        started_at: ms("2026-01-01"),
        ends_at: ms("2026-01-15"),
    };
    let mut ledger = Ledger::new();
    ledger.put(of_customer_paid());
    ledger.put(Fact::Trial { seen_at: 2, trial: of("cus_1") });
    assert!(!ledger.put(Fact::Trial { seen_at: 1, trial: of("tenant") }), "read earlier, told later");
    ledger.refresh(&lens(MetricPolicy::default(), "2026-02-28"));
    let found: Vec<_> = ledger.trials().into_iter().map(|it| (it.customer.to_string(), it.outcome)).collect();
    assert_eq!(found, [("cus_1".to_owned(), TrialOutcome::Converted(ms("2026-01-15")))]);
}

fn of_customer_paid() -> Fact {
    of(invoice("in_1", "2026-01-15", "2026-02-15", 1000), "cus_1", "sub_1")
}

#[test]
fn cohorts_follow_those_who_began_in_a_month() {
    let old = subscription("sub_1", "2026-01-05", 1000, "month");
    let dearer = subscription("sub_1", "2026-01-05", 1500, "month");
    let left = subscription("sub_2", "2026-01-20", 2000, "month");
    let over = ended(left.clone(), "2026-01-25");
    let back = subscription("sub_3", "2026-03-02", 500, "month");
    let late = subscription("sub_4", "2026-02-10", 700, "month");
    let mut ledger = ledger(&[
        ("cus_1", "2026-01-05", &old),
        ("cus_1", "2026-02-20", &dearer),
        ("cus_2", "2026-01-20", &left),
        ("cus_2", "2026-01-25", &over),
        ("cus_2", "2026-03-02", &back),
        ("cus_4", "2026-02-11", &late),
    ]);
    ledger.refresh(&lens(MetricPolicy::default(), "2026-03-15"));
    let month = |customers, amount, finished| CohortMonth { customers, mrr_10k: units(amount), finished };
    let expected = [
        Cohort {
            month: date("2026-01-01"),
            customers: 2,
            mrr_10k: units(30),
            months: vec![month(1, 10, true), month(1, 15, true), month(2, 20, false)],
            estimated: false,
        },
        Cohort {
            month: date("2026-02-01"),
            customers: 1,
            mrr_10k: units(7),
            months: vec![month(1, 7, true), month(1, 7, false)],
            estimated: true,
        },
    ];
    assert_eq!(ledger.cohorts("usd").unwrap(), expected);
    ledger.refresh(&lens(MetricPolicy::default(), "2026-03-31"));
    assert!(ledger.cohorts("usd").unwrap()[0].months[2].finished, "the month is over with its last instant");
    assert_eq!(ledger.cohorts("eur").unwrap(), []);
}

#[test]
fn failed_payments_are_recovered_waiting_or_given_up() {
    let mut ledger = Ledger::new();
    for (n, (status, attempts)) in
        [("paid", 1), ("paid", 3), ("open", 2), ("open", 0), ("uncollectible", 4), ("void", 1), ("draft", 0)]
            .into_iter()
            .enumerate()
    {
        let value = with(
            invoice(&format!("in_{n}"), "2026-01-10", "2026-02-10", 1000 + n as i64),
            &json!({"status": status, "attempt_count": attempts}),
        );
        ledger.put(of(value, "cus_1", "sub_1"));
    }
    ledger.refresh(&lens(MetricPolicy::default(), "2026-01-31"));
    let sums = &ledger.payment_recovery(window("2026-01-01", "2026-02-01")).unwrap()[0];
    assert_eq!((sums.failed, sums.recovered), ((4, 4012), (1, 1001)));
    assert_eq!((sums.waiting, sums.given_up), ((1, 1002), (2, 2009)));
    assert_eq!(sums.recovery, Rate::TooFew { counted: 1, of: 3 });
    let rows = ledger.failed_payments(window("2026-01-01", "2026-02-01"));
    assert_eq!(rows.iter().map(|row| row.total).sum::<i64>(), sums.failed.1);
    assert_eq!(rows[0].recovery, Recovery::Recovered);
    assert!(ledger.failed_payments(window("2026-02-01", "2026-03-01")).is_empty());
    let mut facts = billed(&invoice("in_1", "2026-01-10", "2026-02-10", 0));
    facts.status = InvoiceStatus::Open;
    assert_eq!(facts.recovery(), None, "nothing was to be paid");
}

#[test]
fn what_is_agreed_ahead_knows_cancellations_discounts_and_trials_that_end() {
    let coupon = json!({"id": "co", "percent_off": 50, "duration": "repeating", "duration_in_months": 3});
    let half = with(
        subscription("sub_1", "2026-01-10", 1000, "month"),
        &json!({"discounts": [{"start": day("2026-01-10"), "source": {"coupon": coupon}}]}),
    );
    let leaving = with(
        subscription("sub_2", "2026-01-05", 2000, "month"),
        &json!({"cancel_at_period_end": true, "canceled_at": day("2026-01-20"), "cancel_at": day("2026-03-05")}),
    );
    let on_trial = |id: &str, method: Value| {
        with(
            subscription(id, "2026-01-25", 3000, "month"),
            &json!({"status": "trialing", "trial_start": day("2026-01-25"), "trial_end": day("2026-02-08"),
                "default_payment_method": method}),
        )
    };
    let mut ledger = ledger(&[
        ("cus_1", "2026-01-31", &half),
        ("cus_2", "2026-01-31", &leaving),
        ("cus_3", "2026-01-31", &on_trial("sub_3", json!("pm_1"))),
        ("cus_4", "2026-01-31", &on_trial("sub_4", Value::Null)),
    ]);
    ledger.refresh(&lens(MetricPolicy::default(), "2026-01-31"));
    let committed = |amount, payable, other| Committed {
        amount_10k: units(amount),
        trials_payable_10k: units(payable),
        trials_other_10k: units(other),
    };
    let expected = vec![
        (date("2026-01-31"), committed(25, 0, 0)),
        (date("2026-02-28"), committed(25, 30, 30)),
        (date("2026-03-31"), committed(5, 30, 30)),
        (date("2026-04-30"), committed(10, 30, 30)),
    ];
    assert_eq!(ledger.committed(4).unwrap()["usd"], expected);
}

#[test]
fn a_forecast_goes_on_as_the_last_full_months_did_and_says_so() {
    let values: Vec<(String, Value)> =
        [("2025-12-10", 1000), ("2026-01-10", 2000), ("2026-02-10", 3500), ("2026-03-10", 9900)]
            .iter()
            .enumerate()
            .map(|(n, (start, minor))| ((*start).to_owned(), subscription(&format!("sub_{n}"), start, *minor, "month")))
            .collect();
    let facts: Vec<_> = values.iter().map(|(start, value)| ("cus_1", start.as_str(), value)).collect();
    let mut ledger = ledger(&facts);
    ledger.refresh(&lens(MetricPolicy::default(), "2026-03-15"));
    let forecast = &ledger.forecast(3, 2).unwrap()[0];
    let expected =
        vec![(date("2025-12-01"), units(10)), (date("2026-01-01"), units(20)), (date("2026-02-01"), units(35))];
    assert_eq!(forecast.assumption.months, expected, "the month under way is no full one");
    assert_eq!(forecast.assumption.monthly_net_10k, 21_666_667);
    // From the close of February, 65, by 65 / 3 a month.
    assert_eq!(forecast.months, [(date("2026-03-31"), 86_666_667), (date("2026-04-30"), 108_333_333)]);
    assert!(ledger.forecast(4, 2).unwrap().is_empty(), "four full months are not there");
    assert!(ledger.forecast(0, 2).unwrap().is_empty());
}

#[test]
fn a_window_is_cut_at_months_weeks_and_days() {
    let whole = window("2026-01-30", "2026-03-02");
    let starts = |period| whole.by(period).iter().map(|it| it.from.to_string()).collect::<Vec<_>>();
    assert_eq!(starts(Period::Month), ["2026-01-30", "2026-02-01", "2026-03-01"]);
    assert_eq!(starts(Period::Week), ["2026-01-30", "2026-02-02", "2026-02-09", "2026-02-16", "2026-02-23"]);
    assert_eq!(starts(Period::Day).len(), 31);
    assert_eq!(whole.by(Period::Month).last().unwrap().to, whole.to);
}
