//! On what terms a tenant goes to Checkout.

use paywall_domain::billing::{
    CheckoutOffer, CheckoutRefusal, CheckoutTerms, CheckoutTrial, PaywallSide, StatusWord, StripeSubscription,
    checkout_terms, may_still_buy, settle,
};
use paywall_domain::{SubscriptionStatus, Suspension, Timestamp};

use crate::world::{day, facts, paid, plan, policy, side, trial, with};

const HOUR: i64 = 3_600_000;

fn ask(
    paywall: &PaywallSide,
    stripe: &[StripeSubscription],
    price: Option<&str>,
    now: Timestamp,
) -> Result<CheckoutTerms, CheckoutRefusal> {
    let pro = plan("pro", &["price_month", "price_year"]);
    checkout_terms(&CheckoutOffer { paywall, stripe, plan: &pro, price, attempt: 1 }, &policy(), now)
}

#[test]
fn what_is_left_of_a_trial_is_kept_on_both_sides_of_stripes_48_hours() {
    let kept = |end: Timestamp, now: Timestamp| {
        let mut paywall = side(facts());
        paywall.facts.trial = Some(trial(end));
        ask(&paywall, &[], None, now).unwrap().trial
    };
    let now = day(10);
    assert_eq!(kept(day(14), now), CheckoutTrial::Until { trial_end: day(14) });
    assert_eq!(kept(now.plus_ms(49 * HOUR), now), CheckoutTrial::Until { trial_end: now.plus_ms(49 * HOUR) });
    assert_eq!(kept(now.plus_ms(49 * HOUR - 1), now), CheckoutTrial::Days { days: 3 });
    assert_eq!(kept(now.plus_ms(48 * HOUR), now), CheckoutTrial::Days { days: 2 });
    assert_eq!(kept(now.plus_ms(24 * HOUR), now), CheckoutTrial::Days { days: 1 });
    assert_eq!(kept(now.plus_ms(1), now), CheckoutTrial::Days { days: 1 });
    assert_eq!(kept(now, now), CheckoutTrial::None);
    assert_eq!(kept(day(1), now), CheckoutTrial::None);
    // Whole seconds, never fewer.
    assert_eq!(kept(day(14).plus_ms(1), now), CheckoutTrial::Until { trial_end: day(14).plus_ms(1000) });
    assert_eq!(kept(day(9_999), now), CheckoutTrial::Until { trial_end: day(740) }, "Stripe takes two years at most");
    assert_eq!(ask(&side(facts()), &[], None, now).unwrap().trial, CheckoutTrial::None);
}

#[test]
fn a_trial_is_rounded_up_once() {
    let now = day(10);
    let mut paywall = side(facts());
    let again = |paywall: &PaywallSide, before: StripeSubscription| ask(paywall, &[before], None, now).unwrap().trial;
    let ended = |trial_end| StripeSubscription { trial_end, ..with(SubscriptionStatus::Canceled) };
    paywall.facts.trial = Some(trial(now.plus_ms(48 * HOUR)));
    assert_eq!(again(&paywall, ended(None)), CheckoutTrial::Days { days: 2 }, "it never had one in Stripe");
    assert_eq!(again(&paywall, ended(Some(day(11)))), CheckoutTrial::None, "it had, and ended it");
    // What need not be rounded is kept however often.
    paywall.facts.trial = Some(trial(day(14)));
    assert_eq!(again(&paywall, ended(Some(day(14)))), CheckoutTrial::Until { trial_end: day(14) });
}

#[test]
fn asking_again_is_the_same_attempt_and_other_terms_are_another() {
    let paywall = side(facts());
    let key = |price, attempt| {
        let pro = plan("pro", &["price_month", "price_year"]);
        let offer = CheckoutOffer { paywall: &paywall, stripe: &[], plan: &pro, price, attempt };
        checkout_terms(&offer, &policy(), day(3)).unwrap().key
    };
    assert_eq!(key(None, 1), key(Some("price_month"), 1));
    assert_ne!(key(None, 1), key(Some("price_year"), 1));
    assert_ne!(key(None, 1), key(None, 2));
    let mut trying = paywall.clone();
    trying.facts.trial = Some(trial(day(30)));
    let first = ask(&trying, &[], None, day(3)).unwrap();
    assert_eq!(first, ask(&trying, &[], None, day(3).plus_ms(HOUR)).unwrap());
    trying.facts.trial = Some(trial(day(31)));
    assert_ne!(first.key, ask(&trying, &[], None, day(3)).unwrap().key);
}

#[test]
fn whoever_has_a_subscription_goes_to_the_portal_and_nobody_is_sold_two() {
    let id = || "sub_1".to_owned();
    let refused = |status: SubscriptionStatus| ask(&side(facts()), &[with(status)], None, day(3)).err();
    let subscribed = Some(CheckoutRefusal::Subscribed { subscription: id() });
    let overdue = Some(CheckoutRefusal::PaymentOverdue { subscription: id() });
    assert_eq!(refused(SubscriptionStatus::Active), subscribed);
    assert_eq!(refused(SubscriptionStatus::Trialing), subscribed);
    assert_eq!(refused(SubscriptionStatus::PastDue), overdue);
    assert_eq!(refused(SubscriptionStatus::Unpaid), overdue);
    assert_eq!(refused(SubscriptionStatus::Paused), Some(CheckoutRefusal::Paused { subscription: id() }));
    assert_eq!(refused(SubscriptionStatus::Incomplete), Some(CheckoutRefusal::PaymentOpen { subscription: id() }));
    assert_eq!(refused(SubscriptionStatus::Canceled), None);
    assert_eq!(refused(SubscriptionStatus::IncompleteExpired), None);
    let asleep = StripeSubscription { status: StatusWord::read("hibernating"), ..paid("sub_1") };
    assert_eq!(ask(&side(facts()), &[asleep], None, day(3)).err(), subscribed);
    let ending = StripeSubscription { cancel_at_period_end: true, ..paid("sub_1") };
    assert_eq!(ask(&side(facts()), &[ending], None, day(3)).err(), subscribed, "resumed in the portal");
    // On record and not in what was read: better to look than to sell twice.
    let recorded = settle(&side(facts()), &[paid("sub_1")], &policy());
    assert_eq!(ask(&recorded, &[], None, day(3)).err(), subscribed);
    assert_eq!(ask(&recorded, &[with(SubscriptionStatus::Canceled)], None, day(3)).err(), None);
    assert!([subscribed, overdue].into_iter().flatten().all(|it| it.portal()));
}

#[test]
fn what_is_open_may_be_paid_until_there_is_another_way_or_none() {
    let gone = PaywallSide { deleted_at: Some(day(1)), ..side(facts()) };
    let mut suspended = side(facts());
    suspended.facts.suspension =
        Some(Suspension { since: day(1), by: "ada".into(), reason: "abuse".into(), message: None });
    assert!(may_still_buy(&side(facts())) && !may_still_buy(&gone) && !may_still_buy(&suspended));
    for status in SubscriptionStatus::ALL {
        let recorded = settle(&side(facts()), &[with(status)], &policy());
        // A first payment that is open is made in the very session.
        let first = status == SubscriptionStatus::Incomplete;
        assert_eq!(may_still_buy(&recorded), first || !with(status).live(), "{status:?}");
    }
}

#[test]
fn deleted_and_suspended_tenants_and_prices_of_other_plans_are_refused() {
    let gone = PaywallSide { deleted_at: Some(day(1)), ..side(facts()) };
    assert_eq!(ask(&gone, &[], None, day(3)), Err(CheckoutRefusal::Deleted));
    let mut suspended = side(facts());
    suspended.facts.suspension =
        Some(Suspension { since: day(1), by: "ada".into(), reason: "abuse".into(), message: None });
    let refusal = ask(&suspended, &[], None, day(3)).unwrap_err();
    assert_eq!(refusal, CheckoutRefusal::Suspended);
    assert!(!refusal.portal());
    assert_eq!(ask(&side(facts()), &[], Some("price_team"), day(3)), Err(CheckoutRefusal::PriceOfOtherPlan));
    let paywall = side(facts());
    let free = plan("free", &[]);
    let offer = CheckoutOffer { paywall: &paywall, stripe: &[], plan: &free, price: None, attempt: 1 };
    assert_eq!(checkout_terms(&offer, &policy(), day(3)), Err(CheckoutRefusal::NoPrice));
}
