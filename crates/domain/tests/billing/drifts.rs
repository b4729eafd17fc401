//! Each kind of drift: produced, seen, repaired, gone. And what is none.

use paywall_domain::billing::{
    AccountSide, ByHand, Drift, DriftBody, DriftKind, Money, PaywallSide, Repair, StatusWord, StripeSubscription,
    WEBHOOK_EVENTS, WebhookEndpoint, account_drifts, choose, compare, settle,
};
use paywall_domain::{SubscriptionStatus, Suspension, TenantFacts};

use crate::table::documented_repair;
use crate::world::{day, facts, item, paid, policy, side, tenant, trial, with};

/// A tenant that took over its paid subscription.
fn payer() -> PaywallSide {
    settle(&side(facts()), &[paid("sub_1")], &policy())
}

fn word(repair: &Repair) -> String {
    serde_json::to_value(repair).unwrap()["action"].as_str().unwrap().to_owned()
}

/// The one drift that there is, of that kind, with the repair that the docs promise.
fn only(paywall: &PaywallSide, stripe: &[StripeSubscription], kind: DriftKind) -> Drift {
    let drifts = compare(paywall, stripe, &policy(), day(2));
    let [drift] = &drifts[..] else { panic!("{kind:?}: {drifts:?}") };
    documented(drift, kind);
    assert_eq!(drift.tenant, Some(tenant(1)));
    drift.clone()
}

fn documented(drift: &Drift, kind: DriftKind) {
    assert_eq!(drift.kind(), kind, "{drift:?}");
    assert!(documented_repair(kind).contains(&word(&drift.repair)), "{drift:?}");
    assert_eq!(serde_json::to_value(&drift.body).unwrap()["kind"], kind.as_str());
}

/// As [`only`], and gone once the paywall took over what Stripe says.
fn applied(paywall: &PaywallSide, stripe: &[StripeSubscription], kind: DriftKind) -> PaywallSide {
    let drift = only(paywall, stripe, kind);
    assert_eq!(drift.repair, Repair::ApplyStripe);
    let settled = settle(paywall, stripe, &policy());
    assert_eq!(compare(&settled, stripe, &policy(), day(2)), []);
    settled
}

#[test]
fn a_payer_that_is_blocked_is_the_gravest_and_names_what_hangs_on_it() {
    let mut blocked = side(TenantFacts { plan: "free".into(), ..facts() });
    blocked.facts.trial = Some(trial(day(1)));
    let drift = only(&blocked, &[paid("sub_1")], DriftKind::PaidButBlocked);
    assert_eq!(drift.at_stake, Some(Money::new(4900, "usd")));
    assert_eq!(drift.subscription.as_deref(), Some("sub_1"));
    let settled = applied(&blocked, &[paid("sub_1")], DriftKind::PaidButBlocked);
    assert_eq!(settled.facts.plan.as_str(), "pro", "one repair, the plan with it");
    // Recorded as over, and renewed since.
    let lapsed = settle(&payer(), &[with(SubscriptionStatus::Canceled)], &policy());
    applied(&lapsed, &[paid("sub_2")], DriftKind::PaidButBlocked);
}

#[test]
fn access_by_a_subscription_that_is_over_or_not_there_is_a_drift() {
    applied(&payer(), &[with(SubscriptionStatus::Canceled)], DriftKind::AccessWithoutSubscription);
    let drift = only(&payer(), &[], DriftKind::AccessWithoutSubscription);
    assert_eq!((drift.subscription.as_deref(), drift.at_stake), (Some("sub_1"), None));
    let settled = settle(&payer(), &[], &policy());
    assert_eq!((settled.facts.subscription, settled.billed), (None, None));
}

#[test]
fn a_status_that_differs_without_a_difference_in_access_is_named_so() {
    applied(&payer(), &[with(SubscriptionStatus::PastDue)], DriftKind::StatusDiffers);
    let canceling = StripeSubscription { cancel_at_period_end: true, ..paid("sub_1") };
    applied(&payer(), &[canceling], DriftKind::StatusDiffers);
    applied(&payer(), &[paid("sub_2")], DriftKind::StatusDiffers);
    // Open by the trial or a comp, whatever becomes of the subscription.
    let mut trying = payer();
    trying.facts.trial = Some(trial(day(9)));
    applied(&trying, &[with(SubscriptionStatus::Canceled)], DriftKind::StatusDiffers);
    // Shut by staff, whatever is paid.
    let mut suspended = side(facts());
    suspended.facts.suspension =
        Some(Suspension { since: day(1), by: "ada".into(), reason: "abuse".into(), message: None });
    applied(&suspended, &[paid("sub_1")], DriftKind::StatusDiffers);
    let asleep = StripeSubscription { status: StatusWord::read("hibernating"), ..paid("sub_1") };
    let drift = only(&payer(), &[asleep], DriftKind::StatusDiffers);
    assert_eq!(drift.repair, Repair::None { by_hand: ByHand::UpdateServer });
}

#[test]
fn plan_price_quantity_currency_and_customer_are_told_apart() {
    let mut other = payer();
    other.facts.plan = "team".into();
    applied(&other, &[paid("sub_1")], DriftKind::PlanDiffers);
    let upgraded = StripeSubscription { items: vec![item("price_team", 1)], ..paid("sub_1") };
    assert_eq!(applied(&payer(), &[upgraded], DriftKind::PlanDiffers).facts.plan.as_str(), "team");
    let yearly = StripeSubscription { items: vec![item("price_year", 1)], ..paid("sub_1") };
    applied(&payer(), &[yearly], DriftKind::PriceDiffers);
    let seats = StripeSubscription { items: vec![item("price_month", 5)], ..paid("sub_1") };
    let drift = only(&payer(), std::slice::from_ref(&seats), DriftKind::QuantityDiffers);
    assert_eq!(drift.body, DriftBody::QuantityDiffers { paywall: 1, stripe: 5 });
    assert_eq!(settle(&payer(), &[seats], &policy()).billed.unwrap().quantity, 5);
    let euros = StripeSubscription { currency: "eur".into(), ..paid("sub_1") };
    assert_eq!(only(&payer(), &[euros], DriftKind::CurrencyDiffers).at_stake, Some(Money::new(4900, "eur")));
    let moved = StripeSubscription { customer: "cus_2".into(), ..paid("sub_1") };
    assert_eq!(applied(&payer(), &[moved], DriftKind::CustomerDiffers).customer.as_deref(), Some("cus_2"));
    let unmapped = PaywallSide { customer: None, ..payer() };
    applied(&unmapped, &[paid("sub_1")], DriftKind::CustomerDiffers);
}

#[test]
fn the_end_of_a_trial_is_taken_from_the_side_that_changed_it() {
    let trialing = |end| StripeSubscription { trial_end: Some(end), ..with(SubscriptionStatus::Trialing) };
    let mut paywall = side(facts());
    paywall.facts.trial = Some(trial(day(10)));
    let paywall = settle(&paywall, &[trialing(day(10))], &policy());
    // In Stripe, also to an earlier end.
    for end in [day(20), day(5)] {
        let settled = applied(&paywall, &[trialing(end)], DriftKind::TrialEndDiffers);
        assert_eq!(settled.facts.trial.unwrap().ends_at, end);
    }
    // By staff, also to an earlier end; what is taken over meanwhile does not undo it.
    for end in [day(20), day(1)] {
        let mut changed = paywall.clone();
        changed.facts.trial = Some(trial(end));
        let changed = settle(&changed, &[trialing(day(10))], &policy());
        let drift = only(&changed, &[trialing(day(10))], DriftKind::TrialEndDiffers);
        assert_eq!(drift.repair, Repair::SetTrialEndInStripe { subscription: "sub_1".into(), trial_end: end });
    }
    // By both: the later.
    let mut both = paywall.clone();
    both.facts.trial = Some(trial(day(15)));
    assert_eq!(settle(&both, &[trialing(day(12))], &policy()).facts.trial.unwrap().ends_at, day(15));
    assert_eq!(settle(&both, &[trialing(day(18))], &policy()).facts.trial.unwrap().ends_at, day(18));
    // Stripe counts in seconds.
    assert_eq!(compare(&paywall, &[trialing(day(10).plus_ms(999))], &policy(), day(2)), []);
    // A trial that only Stripe knows of.
    let fresh = settle(&side(facts()), &[trialing(day(10))], &policy());
    assert_eq!(fresh.facts.trial.unwrap().ends_at, day(10));
}

#[test]
fn a_second_subscription_is_cancelled_and_never_the_one_that_counts() {
    let newer = StripeSubscription { created: day(1), ..paid("sub_2") };
    let both = [paid("sub_1"), newer.clone()];
    let paywall = settle(&payer(), &both, &policy());
    assert_eq!(paywall.facts.subscription.as_ref().unwrap().id, "sub_2", "among equals the newest");
    let drift = only(&paywall, &both, DriftKind::TwoSubscriptions);
    assert_eq!(drift.repair, Repair::CancelSubscription { subscription: "sub_1".into() });
    let over = [with(SubscriptionStatus::Canceled), newer.clone()];
    assert_eq!(compare(&paywall, &over, &policy(), day(2)), []);
    // One that is to end is left to end, and the one that goes on counts, old as it is.
    let ending = StripeSubscription { cancel_at_period_end: true, ..newer };
    let both = [paid("sub_1"), ending];
    let paywall = settle(&payer(), &both, &policy());
    assert_eq!(paywall.facts.subscription.as_ref().unwrap().id, "sub_1");
    assert_eq!(compare(&paywall, &both, &policy(), day(2)), []);
    // A renewed attempt that was never paid does not stand before a subscription that ran.
    let attempt = StripeSubscription { created: day(1), id: "sub_2".into(), ..with(SubscriptionStatus::Incomplete) };
    let stripe = [attempt, with(SubscriptionStatus::Canceled)];
    assert_eq!(choose(&payer(), &stripe, &policy()).unwrap().subscription.id, "sub_1");
}

#[test]
fn a_deleted_tenant_that_goes_on_paying_is_a_drift_until_its_subscription_is_to_end() {
    let gone = PaywallSide { deleted_at: Some(day(1)), ..side(facts()) };
    let drift = only(&gone, &[paid("sub_1")], DriftKind::DeletedCustomerSubscription);
    assert_eq!(drift.repair, Repair::CancelSubscription { subscription: "sub_1".into() });
    let ending = StripeSubscription { cancel_at_period_end: true, ..paid("sub_1") };
    for fine in [with(SubscriptionStatus::Canceled), with(SubscriptionStatus::IncompleteExpired), ending] {
        assert_eq!(compare(&gone, &[fine], &policy(), day(2)), []);
    }
}

#[test]
fn the_other_half_of_the_account_gives_no_access_and_is_told() {
    let live = StripeSubscription { livemode: true, ..paid("sub_1") };
    let drift = only(&side(facts()), std::slice::from_ref(&live), DriftKind::ModeMixed);
    assert_eq!(drift.repair, Repair::None { by_hand: ByHand::CheckMode });
    assert_eq!(settle(&side(facts()), &[live], &policy()), side(facts()));
}

#[test]
fn a_price_that_sells_no_plan_keeps_a_payer_in_and_lets_no_stranger_in() {
    let custom = StripeSubscription { items: vec![item("price_deal", 1)], ..paid("sub_1") };
    let settled = settle(&payer(), std::slice::from_ref(&custom), &policy());
    assert_eq!(settled.facts.plan.as_str(), "pro");
    let drift = only(&settled, std::slice::from_ref(&custom), DriftKind::UnknownPrice);
    assert_eq!(drift.repair, Repair::None { by_hand: ByHand::AddPriceToPlan });
    // Made by hand in the dashboard, or to another product of the same account.
    let stranger = StripeSubscription { tenant: None, ..custom };
    assert_eq!(settle(&side(facts()), std::slice::from_ref(&stranger), &policy()), side(facts()));
    only(&side(facts()), std::slice::from_ref(&stranger), DriftKind::UnknownPrice);
    let beside = [paid("sub_2"), stranger];
    assert_eq!(compare(&settle(&side(facts()), &beside, &policy()), &beside, &policy(), day(2)), []);
    // A price that is taken out of the settings later locks nobody out who is on record.
    let unsold = StripeSubscription { tenant: None, items: vec![item("price_old", 1)], ..paid("sub_1") };
    assert!(settle(&payer(), &[unsold], &policy()).facts.subscription.is_some());
}

#[test]
fn another_tenants_subscription_of_the_same_customer_is_not_this_ones() {
    let others = StripeSubscription { tenant: Some(tenant(2)), ..paid("sub_1") };
    assert_eq!(compare(&side(facts()), std::slice::from_ref(&others), &policy(), day(2)), []);
    assert!(choose(&side(facts()), &[others], &policy()).is_none());
}

#[test]
fn an_extra_beside_the_plan_does_not_choose_it() {
    let mut subscription = paid("sub_1");
    let mut extra = item("price_extra", 1);
    extra.unit_amount = Some(99_000);
    subscription.items = vec![extra, item("price_month", 1), item("price_team", 2)];
    assert_eq!(policy().prices.plan_of(&subscription).unwrap().as_str(), "team", "the greater amount");
}

fn endpoint(id: &str, events: &[&str]) -> WebhookEndpoint {
    WebhookEndpoint {
        id: id.into(),
        url: "https://Paywall.example.com/stripe/webhook".into(),
        enabled: true,
        livemode: false,
        events: events.iter().map(ToString::to_string).collect(),
    }
}

fn about_endpoints(endpoints: &[WebhookEndpoint]) -> Vec<Drift> {
    let account = AccountSide {
        webhook_url: Some("https://paywall.example.com/stripe/webhook"),
        endpoints: Some(endpoints),
        ..AccountSide::default()
    };
    account_drifts(&account, &policy())
}

#[test]
fn an_endpoint_that_is_missing_off_or_deaf_is_told_with_its_repair() {
    let only = |endpoints: &[WebhookEndpoint], kind| {
        let drifts = about_endpoints(endpoints);
        let [drift] = &drifts[..] else { panic!("{kind:?}: {drifts:?}") };
        documented(drift, kind);
        drift.repair.clone()
    };
    let all = endpoint("we_1", &WEBHOOK_EVENTS);
    assert_eq!(about_endpoints(std::slice::from_ref(&all)), []);
    assert_eq!(about_endpoints(&[endpoint("we_1", &["*"])]), []);
    let elsewhere = WebhookEndpoint { url: "https://other.example.com/stripe/webhook".into(), ..all.clone() };
    let slash = WebhookEndpoint { url: "https://paywall.example.com/stripe/webhook/".into(), ..all.clone() };
    let live = WebhookEndpoint { livemode: true, ..all.clone() };
    for wrong in [elsewhere, slash, live] {
        only(&[wrong], DriftKind::WebhookEndpointMissing);
    }
    let off = WebhookEndpoint { enabled: false, id: "we_0".into(), ..all.clone() };
    let repair = only(std::slice::from_ref(&off), DriftKind::WebhookEndpointDisabled);
    assert_eq!(repair, Repair::EnableEndpoint { endpoint: "we_0".into() });
    assert_eq!(about_endpoints(&[off, all]), [], "one that works is enough");
    let deaf = endpoint("we_1", &WEBHOOK_EVENTS[2..]);
    let events = WEBHOOK_EVENTS[..2].iter().map(ToString::to_string).collect();
    let repair = only(&[deaf], DriftKind::WebhookEventsMissing);
    assert_eq!(repair, Repair::AddEvents { endpoint: "we_1".into(), events });
    assert_eq!(account_drifts(&AccountSide::default(), &policy()), [], "not known is not missing");
}

#[test]
fn undelivered_events_and_payers_of_no_tenant_are_told() {
    let known = StripeSubscription { tenant: None, ..paid("sub_1") };
    let other_product = StripeSubscription { items: vec![item("price_other", 1)], ..known.clone() };
    let over = StripeSubscription { tenant: None, ..with(SubscriptionStatus::Canceled) };
    let orphans = [known, other_product, over];
    let account = AccountSide { undelivered: Some(3), orphans: &orphans, ..AccountSide::default() };
    let drifts = account_drifts(&account, &policy());
    let [events, customer] = &drifts[..] else { panic!("{drifts:?}") };
    documented(events, DriftKind::UndeliveredEvents);
    documented(customer, DriftKind::UnknownCustomer);
    assert_eq!(customer.at_stake, Some(Money::new(4900, "usd")));
    assert_ne!(events.subject(), customer.subject());
    assert_eq!(account_drifts(&AccountSide { undelivered: Some(0), ..AccountSide::default() }, &policy()), []);
}
