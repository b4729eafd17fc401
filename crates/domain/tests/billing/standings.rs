//! Each state that dunning knows, from Stripe's object to what the tenant is told.

use paywall_domain::billing::{
    CollectionPause, Grace, Invoice, InvoiceState, PaymentFailure, Standing, StandingAccess, StatusWord, StripePause,
    StripeSubscription, UpcomingChange, derive, settle, standing, upcoming,
};
use paywall_domain::{
    DenyCode, Plan, Status, SubscriptionStatus, Suspension, TenantFacts, Timestamp, Usage, assess, status,
};

use crate::world::{day, facts, item, owed, paid, plan, policy, side, trial, with};

const GRACE: Grace = Grace::days(7);

fn overdue(since: Timestamp, change: impl FnOnce(&mut Invoice)) -> StripeSubscription {
    let mut invoice = owed("in_1", since);
    change(&mut invoice);
    StripeSubscription { latest_invoice: Some(invoice), ..with(SubscriptionStatus::PastDue) }
}

fn failed(code: &str, decline: Option<&str>) -> PaymentFailure {
    PaymentFailure { code: code.into(), decline_code: decline.map(Into::into) }
}

/// What the tenant has by that subscription alone: its status, the first refusal, and since when.
fn told(subscription: &StripeSubscription, now: Timestamp) -> (Status, Option<DenyCode>, Option<Timestamp>) {
    let facts = settle(&side(facts()), std::slice::from_ref(subscription), &policy()).facts;
    let pro: Plan = plan("pro", &[]);
    let access = assess(&facts, &pro, &Usage::default(), now);
    (status(&facts, now), access.denials.first().map(paywall_domain::Denial::code), access.since)
}

#[test]
fn each_state_stands_where_the_table_says() {
    let reason = |it: &str| Some(StripePause { since: Some(day(3)), resumes_at: None, reason: Some(it.into()) });
    let paused = |it: &str| StripeSubscription { pause: reason(it), ..with(SubscriptionStatus::Paused) };
    let gift = Some(CollectionPause { behavior: "void".into(), resumes_at: None, by_comp: false });
    let cases = [
        (paid("sub_1"), Standing::Paid),
        (with(SubscriptionStatus::Trialing), Standing::Trialing),
        (StripeSubscription { cancel_at_period_end: true, ..paid("sub_1") }, Standing::Canceling),
        (StripeSubscription { cancel_at: Some(day(90)), ..paid("sub_1") }, Standing::Canceling),
        (StripeSubscription { cancel_at_period_end: true, ..with(SubscriptionStatus::Trialing) }, Standing::Canceling),
        (StripeSubscription { collection_pause: gift.clone(), ..paid("sub_1") }, Standing::CollectionPaused),
        (StripeSubscription { collection_pause: gift, ..overdue(day(1), |_| ()) }, Standing::PastDue),
        (StripeSubscription { refunded_at: Some(day(1)), ..paid("sub_1") }, Standing::Refunded),
        (StripeSubscription { disputed_since: Some(day(1)), ..paid("sub_1") }, Standing::Disputed),
        (StripeSubscription { disputed_since: Some(day(1)), ..overdue(day(1), |_| ()) }, Standing::PastDue),
        (StripeSubscription { disputed_since: Some(day(1)), ..with(SubscriptionStatus::Canceled) }, Standing::Canceled),
        (
            overdue(day(1), |it| it.failure = Some(failed("card_declined", Some("insufficient_funds")))),
            Standing::PastDue,
        ),
        (overdue(day(1), |it| it.failure = Some(failed("expired_card", None))), Standing::CardExpired),
        (overdue(day(1), |it| it.failure = Some(failed("card_declined", Some("expired_card")))), Standing::CardExpired),
        (overdue(day(1), |it| it.failure = Some(failed("authentication_required", None))), Standing::ActionRequired),
        (
            overdue(day(1), |it| it.failure = Some(failed("card_declined", Some("authentication_required")))),
            Standing::ActionRequired,
        ),
        (overdue(day(1), |it| it.action_required = true), Standing::ActionRequired),
        (overdue(day(-4), |it| it.action_required = true), Standing::GraceOver),
        (with(SubscriptionStatus::Unpaid), Standing::Unpaid),
        (paused("pause_requested"), Standing::Paused),
        (paused("trial_end_without_payment_method"), Standing::CardMissing),
        (with(SubscriptionStatus::Paused), Standing::Paused),
        (with(SubscriptionStatus::Incomplete), Standing::Incomplete),
        (with(SubscriptionStatus::IncompleteExpired), Standing::IncompleteExpired),
        (with(SubscriptionStatus::Canceled), Standing::Canceled),
        (StripeSubscription { status: StatusWord::read("hibernating"), ..paid("sub_1") }, Standing::Unknown),
    ];
    for (subscription, expected) in &cases {
        assert_eq!(standing(subscription, GRACE, day(3)), *expected, "{subscription:?}");
    }
    let reached: Vec<_> = Standing::ALL.into_iter().filter(|it| cases.iter().all(|(_, other)| other != it)).collect();
    assert_eq!(reached, [], "no case for these");
}

#[test]
fn access_stays_to_the_last_instant_of_grace_and_not_one_longer() {
    let subscription = overdue(day(1), |_| ());
    assert_eq!(told(&subscription, day(8).plus_ms(-1)), (Status::PastDue, None, None));
    assert_eq!(told(&subscription, day(8)), (Status::Expired, Some(DenyCode::PaymentOverdue), Some(day(8))));
    assert_eq!(standing(&subscription, Grace::days(0), day(1)), Standing::GraceOver);
    assert_eq!(Grace::default(), Grace::days(14));
}

#[test]
fn grace_counts_from_the_oldest_invoice_so_that_the_next_one_does_not_start_it_anew() {
    let weekly = StripeSubscription {
        latest_invoice: Some(owed("in_3", day(15))),
        open_invoices: vec![owed("in_3", day(15)), owed("in_1", day(1)), owed("in_2", day(8))],
        ..with(SubscriptionStatus::PastDue)
    };
    assert_eq!(derive(&weekly, GRACE).unwrap().overdue_since, Some(day(1)));
    assert_eq!(standing(&weekly, GRACE, day(16)), Standing::GraceOver);
    // Written off, voided, paid, or nothing left to pay: not owed.
    for state in [InvoiceState::Uncollectible, InvoiceState::Void, InvoiceState::Paid, InvoiceState::Draft] {
        let mut settled = weekly.clone();
        settled.open_invoices[1].state = state;
        assert_eq!(derive(&settled, GRACE).unwrap().overdue_since, Some(day(8)), "{state:?}");
    }
    let mut credited = weekly;
    credited.open_invoices[1].amount_remaining = Some(0);
    assert_eq!(derive(&credited, GRACE).unwrap().overdue_since, Some(day(8)));
}

#[test]
fn an_invoice_that_was_sent_is_overdue_from_its_due_date() {
    let sent = overdue(day(1), |it| it.due_at = Some(day(31)));
    assert_eq!(derive(&sent, GRACE).unwrap().grace_ends_at, Some(day(38)));
    let unfinished = overdue(day(1), |it| it.finalized_at = None);
    assert_eq!(derive(&unfinished, GRACE).unwrap().overdue_since, Some(day(1).plus_ms(-3_600_000)));
}

#[test]
fn without_an_invoice_the_unpaid_period_counts_and_without_that_nobody_is_locked_out() {
    let mut subscription = with(SubscriptionStatus::PastDue);
    assert_eq!(told(&subscription, day(9_000)), (Status::PastDue, None, None));
    subscription.items[0].current_period_start = Some(day(2));
    assert_eq!(told(&subscription, day(9)), (Status::Expired, Some(DenyCode::PaymentOverdue), Some(day(9))));
}

#[test]
fn unpaid_is_locked_out_since_the_last_attempt_or_the_end_of_grace() {
    let gave_up = |at| StripeSubscription {
        latest_invoice: Some(Invoice { state: InvoiceState::Draft, ..owed("in_2", day(31)) }),
        open_invoices: vec![Invoice { last_attempt_at: at, ..owed("in_1", day(1)) }],
        ..with(SubscriptionStatus::Unpaid)
    };
    let overdue = |since| (Status::Expired, Some(DenyCode::PaymentOverdue), since);
    assert_eq!(told(&gave_up(Some(day(4))), day(20)), overdue(Some(day(4))));
    assert_eq!(told(&gave_up(Some(day(15))), day(20)), overdue(Some(day(8))));
    assert_eq!(told(&gave_up(None), day(20)), overdue(None), "unknown is not the end of grace");
}

#[test]
fn what_is_over_is_over_since_its_instant_and_what_ends_later_is_not() {
    let canceled = StripeSubscription {
        canceled_at: Some(day(2)),
        ended_at: Some(day(5)),
        cancel_at_period_end: true,
        ..with(SubscriptionStatus::Canceled)
    };
    assert_eq!(told(&canceled, day(6)), (Status::Expired, Some(DenyCode::SubscriptionEnded), Some(day(5))));
    assert!(!canceled.canceling());
    let pause = Some(StripePause { since: Some(day(3)), resumes_at: Some(day(9)), reason: None });
    let paused = StripeSubscription { pause, ..with(SubscriptionStatus::Paused) };
    assert_eq!(told(&paused, day(6)), (Status::Expired, Some(DenyCode::SubscriptionEnded), Some(day(3))));
    assert_eq!(upcoming(&paused, GRACE, day(6)), [UpcomingChange::Resumes { at: day(9) }]);

    let canceling = StripeSubscription { cancel_at_period_end: true, ..paid("sub_1") };
    assert_eq!(told(&canceling, day(29)), (Status::Active, None, None));
    assert!(derive(&canceling, GRACE).unwrap().cancel_at_period_end);
    // The portal of newer accounts sets the instant instead.
    let dated = StripeSubscription { cancel_at: Some(day(30)), ..paid("sub_1") };
    assert!(derive(&dated, GRACE).unwrap().cancel_at_period_end);
    let in_a_year = StripeSubscription { cancel_at: Some(day(365)), ..paid("sub_1") };
    assert!(!derive(&in_a_year, GRACE).unwrap().cancel_at_period_end);
    assert_eq!(
        upcoming(&in_a_year, GRACE, day(1)),
        [UpcomingChange::Renews { at: day(30) }, UpcomingChange::Ends { at: day(365) }]
    );
    assert_eq!(upcoming(&canceling, GRACE, day(1)), [UpcomingChange::Ends { at: day(30) }]);
}

#[test]
fn a_first_payment_that_is_open_takes_nothing_from_a_running_trial() {
    let mut paywall = side(facts());
    paywall.facts.trial = Some(trial(day(10)));
    let settled = settle(&paywall, &[with(SubscriptionStatus::Incomplete)], &policy());
    assert_eq!(status(&settled.facts, day(9)), Status::Trial);
    assert_eq!(status(&settled.facts, day(10)), Status::Expired);
    assert_eq!(settled.facts.trial, Some(trial(day(10))));
}

#[test]
fn comp_and_suspension_stand_above_whatever_stripe_says() {
    let mut paywall = side(facts());
    paywall.facts.comp = Some(paywall_domain::Comp { plan: "team".into(), since: day(0), until: Some(day(20)) });
    for subscription in SubscriptionStatus::ALL.map(with) {
        let settled = settle(&paywall, &[subscription], &policy());
        assert_eq!(status(&settled.facts, day(19)), Status::Active);
        assert_eq!(settled.facts.plan_in_force(day(19)).as_str(), "team");
    }
    paywall.facts.suspension =
        Some(Suspension { since: day(1), by: "ada".into(), reason: "abuse".into(), message: None });
    let settled = settle(&paywall, &[paid("sub_1")], &policy());
    assert_eq!(status(&settled.facts, day(2)), Status::Suspended);
}

#[test]
fn a_word_that_is_not_known_neither_opens_nor_shuts() {
    let asleep = StripeSubscription { status: StatusWord::read("hibernating"), ..paid("sub_1") };
    assert_eq!(standing(&asleep, GRACE, day(1)).access(), StandingAccess::Unchanged);
    assert_eq!(settle(&side(facts()), std::slice::from_ref(&asleep), &policy()), side(facts()));
    let payer = settle(&side(facts()), &[paid("sub_1")], &policy());
    assert_eq!(settle(&payer, std::slice::from_ref(&asleep), &policy()), payer);
    assert_eq!(upcoming(&asleep, GRACE, day(1)), []);
    assert_eq!(serde_json::to_value(&asleep).unwrap()["status"], "hibernating");
}

#[test]
fn what_comes_next_tells_the_end_of_grace_and_the_next_attempt() {
    let subscription = overdue(day(1), |it| it.next_attempt_at = Some(day(4)));
    assert_eq!(
        upcoming(&subscription, GRACE, day(2)),
        [
            UpcomingChange::PaymentRetried { at: day(4) },
            UpcomingChange::GraceEnds { at: day(8) },
            UpcomingChange::Renews { at: day(30) },
        ]
    );
    let trialing = StripeSubscription { trial_end: Some(day(30)), ..with(SubscriptionStatus::Trialing) };
    assert_eq!(upcoming(&trialing, GRACE, day(2)), [UpcomingChange::TrialEnds { at: day(30) }]);
}

#[test]
fn an_amount_per_month_is_rounded_once_and_unknown_where_the_price_does_not_tell() {
    use paywall_domain::billing::{Interval, Money};
    let monthly = |interval, count, amount: i64, quantity| {
        let mut subscription = paid("sub_1");
        let mut one = item("price_month", quantity);
        (one.unit_amount, one.interval, one.interval_count) = (Some(amount), Some(interval), Some(count));
        subscription.items = vec![one];
        subscription.monthly().map(|it| it.minor)
    };
    assert_eq!(monthly(Interval::Month, 1, 4900, 3), Some(14_700));
    assert_eq!(monthly(Interval::Month, 3, 1000, 1), Some(333));
    assert_eq!(monthly(Interval::Year, 1, 49_000, 1), Some(4083));
    assert_eq!(monthly(Interval::Year, 1, 6, 1), Some(1), "half up");
    assert_eq!(monthly(Interval::Week, 1, 300, 1), Some(1300));
    assert_eq!(monthly(Interval::Day, 1, 12, 1), Some(365));
    let mut metered = paid("sub_1");
    metered.items[0].unit_amount = None;
    assert_eq!(metered.monthly(), None);
    metered.mrr = Some(Money::new(700, "EUR"));
    assert_eq!(metered.monthly(), Some(Money { minor: 700, currency: "eur".into() }));
    assert_eq!(StripeSubscription { items: vec![], ..paid("sub_1") }.monthly(), None);
}

#[test]
fn a_summary_that_was_stored_before_a_field_was_added_can_be_read() {
    let least = r#"{"id":"sub_1","customer":"cus_1","livemode":false,"status":"active","created":0,"currency":"usd",
        "items":[{"price":"price_month"}],"latest_invoice":{"id":"in_1","state":"reopened","created":0}}"#;
    let read: StripeSubscription = serde_json::from_str(least).unwrap();
    assert_eq!(read.status, StatusWord::Known(SubscriptionStatus::Active));
    assert_eq!(read.latest_invoice.unwrap().state, InvoiceState::Other);
    let facts = TenantFacts { plan: "pro".into(), ..facts() };
    let stored = serde_json::to_string(&side(facts.clone())).unwrap();
    assert_eq!(serde_json::from_str::<paywall_domain::billing::PaywallSide>(&stored).unwrap().facts, facts);
}
