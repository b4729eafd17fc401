//! What holds for whatever Stripe and the paywall say.

use paywall_domain::billing::{
    CheckoutOffer, CheckoutTrial, CollectionPause, PaywallSide, Repair, StandingAccess, StatusWord, StripeSubscription,
    checkout_terms, choose, compare, counts, derive, settle, standing, upcoming,
};
use paywall_domain::{Operation, Plan, Status, SubscriptionStatus, TenantFacts, Timestamp, Usage, decide, status};
use proptest::prelude::*;

use crate::world::{day, days, facts, plan, policy, sides, subscription, subscriptions};

fn open(facts: &TenantFacts, now: Timestamp) -> bool {
    decide(facts, &plan("pro", &[]), &Usage::default(), Operation::Generate, now).allowed()
}

/// What Stripe and the paywall are once a repair was made, the way the server makes it.
fn repaired(
    paywall: &PaywallSide,
    stripe: &[StripeSubscription],
    repair: &Repair,
    now: Timestamp,
) -> (PaywallSide, Vec<StripeSubscription>) {
    let change = |id: &str, change: &dyn Fn(&mut StripeSubscription)| {
        let mut stripe = stripe.to_vec();
        stripe.iter_mut().filter(|it| it.id == id).for_each(change);
        (paywall.clone(), stripe)
    };
    match repair {
        Repair::ApplyStripe => (settle(paywall, stripe, &policy()), stripe.to_vec()),
        Repair::SetTrialEndInStripe { subscription, trial_end } => change(subscription, &|it| {
            it.trial_end = Some(*trial_end.max(&now));
            if *trial_end <= now {
                it.status = StatusWord::Known(SubscriptionStatus::Active);
            }
        }),
        Repair::SetCollectionInStripe { subscription, paused, resumes_at } => change(subscription, &|it| {
            let pause = CollectionPause { behavior: "void".into(), resumes_at: *resumes_at, by_comp: true };
            it.collection_pause = paused.then_some(pause);
        }),
        Repair::CancelSubscription { subscription } => change(subscription, &|it| {
            it.status = StatusWord::Known(SubscriptionStatus::Canceled);
            it.ended_at = Some(now);
        }),
        other => panic!("{other:?} is the account's"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_order_of_subscriptions_and_their_repetition_do_not_matter(
        paywall in sides(),
        (stripe, shuffled) in subscriptions().prop_flat_map(|list| {
            let doubled: Vec<_> = list.iter().chain(&list).cloned().collect();
            (Just(list), Just(doubled).prop_shuffle())
        }),
        now in days(),
    ) {
        let policy = policy();
        prop_assert_eq!(settle(&paywall, &stripe, &policy), settle(&paywall, &shuffled, &policy));
        prop_assert_eq!(compare(&paywall, &stripe, &policy, now), compare(&paywall, &shuffled, &policy, now));
    }

    #[test]
    fn items_and_invoices_may_come_in_any_order(subscription in subscription(), now in days()) {
        let mut turned = subscription.clone();
        turned.items.reverse();
        turned.open_invoices.reverse();
        let policy = policy();
        prop_assert_eq!(derive(&subscription, policy.grace), derive(&turned, policy.grace));
        prop_assert_eq!(policy.prices.plan_of(&subscription), policy.prices.plan_of(&turned));
        prop_assert_eq!(subscription.monthly(), turned.monthly());
        prop_assert_eq!(standing(&subscription, policy.grace, now), standing(&turned, policy.grace, now));
        prop_assert_eq!(upcoming(&subscription, policy.grace, now), upcoming(&turned, policy.grace, now));
    }

    #[test]
    fn taking_over_twice_is_taking_over_once(paywall in sides(), stripe in subscriptions()) {
        let once = settle(&paywall, &stripe, &policy());
        prop_assert_eq!(settle(&once, &stripe, &policy()), once);
    }

    #[test]
    fn nothing_is_left_to_take_over_once_it_was(paywall in sides(), stripe in subscriptions(), now in days()) {
        let settled = settle(&paywall, &stripe, &policy());
        for drift in compare(&settled, &stripe, &policy(), now) {
            prop_assert_ne!(&drift.repair, &Repair::ApplyStripe, "{:?}", drift);
        }
    }

    #[test]
    fn repairs_end_with_nothing_to_repair_whichever_is_made_first(
        paywall in sides(), stripe in subscriptions(), now in days(), picks in prop::collection::vec(any::<usize>(), 12),
    ) {
        let (mut paywall, mut stripe) = (paywall, stripe);
        let mut left = Vec::new();
        for pick in picks {
            left = compare(&paywall, &stripe, &policy(), now);
            let repairs: Vec<_> =
                left.iter().map(|it| it.repair.clone()).filter(|it| !matches!(it, Repair::None { .. })).collect();
            let Some(repair) = repairs.get(pick % repairs.len().max(1)) else { return Ok(()) };
            (paywall, stripe) = repaired(&paywall, &stripe, repair, now);
        }
        prop_assert!(false, "still not repaired: {left:?}");
    }

    #[test]
    fn what_drifts_is_told_apart_and_no_drift_is_told_twice(
        paywall in sides(), stripe in subscriptions(), now in days(),
    ) {
        let mut subjects: Vec<_> =
            compare(&paywall, &stripe, &policy(), now).iter().map(paywall_domain::billing::Drift::subject).collect();
        let told = subjects.len();
        subjects.sort();
        subjects.dedup();
        prop_assert_eq!(subjects.len(), told);
    }

    #[test]
    fn who_pays_is_not_locked_out_by_taking_over_and_who_does_not_is(
        paywall in sides(), stripe in subscriptions(), now in days(),
    ) {
        let policy = policy();
        let settled = settle(&paywall, &stripe, &policy);
        let pays = stripe.iter().filter(|it| counts(&paywall, it, &policy)).any(|it| {
            standing(it, policy.grace, now).access() == StandingAccess::Keeps
        });
        if pays {
            prop_assert!(settled.facts.suspension.is_some() || open(&settled.facts, now));
        }
        // What staff gave or took stays as it was.
        prop_assert_eq!(&settled.facts.comp, &paywall.facts.comp);
        prop_assert_eq!(&settled.facts.suspension, &paywall.facts.suspension);
        prop_assert_eq!(&settled.facts.overrides, &paywall.facts.overrides);
        let alone = TenantFacts { subscription: settled.facts.subscription.clone(), ..facts() };
        let known = choose(&paywall, &stripe, &policy).is_some_and(|it| it.subscription.status.known().is_some());
        if let Some(chosen) = choose(&paywall, &stripe, &policy).filter(|_| known) {
            let access = standing(chosen.subscription, policy.grace, now).access();
            prop_assert_eq!(open(&alone, now), access != StandingAccess::Denies);
        }
    }

    #[test]
    fn standing_and_decision_never_disagree(subscription in subscription(), now in days()) {
        let policy = policy();
        let stands = standing(&subscription, policy.grace, now);
        let Some(derived) = derive(&subscription, policy.grace) else {
            prop_assert_eq!(stands.access(), StandingAccess::Unchanged);
            return Ok(());
        };
        let facts = TenantFacts { subscription: Some(derived), ..facts() };
        let decision = decide(&facts, &plan("pro", &[]), &Usage::default(), Operation::Generate, now);
        prop_assert_eq!(stands.access() == StandingAccess::Denies, !decision.allowed());
        prop_assert_eq!(stands.access() == StandingAccess::Grace, status(&facts, now) == Status::PastDue);
        prop_assert_eq!(stands.refused_with(), decision.denials.first().map(paywall_domain::Denial::code));
    }

    #[test]
    fn nobody_is_sold_a_second_subscription_and_nobody_loses_trial_time(
        paywall in sides(), stripe in subscriptions(), now in days(), attempt in 0_u32..9,
    ) {
        let policy = policy();
        let pro: Plan = plan("pro", &["price_month", "price_year"]);
        let offer = CheckoutOffer { paywall: &paywall, stripe: &stripe, plan: &pro, price: None, attempt };
        let terms = checkout_terms(&offer, &policy, now);
        prop_assert_eq!(&terms, &checkout_terms(&offer, &policy, now));
        let open = stripe.iter().any(|it| {
            let first = it.status.known() == Some(SubscriptionStatus::Incomplete);
            counts(&paywall, it, &policy) && (it.live() || first)
        });
        match terms {
            Ok(terms) => {
                prop_assert!(!open);
                prop_assert!(terms.key.len() <= 255);
                let end = paywall.facts.trial.as_ref().map(|it| it.ends_at).filter(|end| *end > now);
                match (terms.trial, end) {
                    (CheckoutTrial::None, None) => {}
                    // Rounded up once, and not again.
                    (CheckoutTrial::None, Some(end)) => {
                        prop_assert!(end.ms_since(now) < 49 * 3_600_000);
                        prop_assert!(stripe.iter().any(|it| it.trial_end.is_some()));
                    }
                    (CheckoutTrial::Until { trial_end }, Some(end)) => {
                        prop_assert!(trial_end >= end && trial_end.ms_since(end) < 1000);
                        prop_assert!(trial_end.ms_since(now) >= 48 * 3_600_000);
                    }
                    (CheckoutTrial::Days { days }, Some(end)) => {
                        prop_assert!(!stripe.iter().any(|it| counts(&paywall, it, &policy) && it.trial_end.is_some()));
                        prop_assert!(now.plus_days(days) >= end && now.plus_days(days - 1) < end);
                    }
                    (trial, None) => prop_assert!(false, "{trial:?} out of nothing"),
                }
            }
            Err(refusal) => prop_assert!(
                open || paywall.deleted_at.is_some()
                    || paywall.facts.suspension.is_some()
                    || paywall.facts.subscription.as_ref().map(|it| &*it.id) == refusal.subscription()
            ),
        }
    }

    #[test]
    fn what_is_stored_is_read_back(paywall in sides(), stripe in subscriptions(), now in days()) {
        let drifts = compare(&paywall, &stripe, &policy(), now);
        let text = serde_json::to_string(&(&paywall, &stripe, &drifts)).unwrap();
        prop_assert_eq!(serde_json::from_str::<(_, _, _)>(&text).unwrap(), (paywall, stripe, drifts));
    }

    #[test]
    fn what_comes_next_lies_ahead_in_order(subscription in subscription(), now in days()) {
        let changes = upcoming(&subscription, policy().grace, now);
        prop_assert!(changes.iter().all(|it| it.at() > now));
        prop_assert!(changes.windows(2).all(|it| it[0].at() <= it[1].at()));
        if subscription.status.known() == Some(SubscriptionStatus::Canceled) {
            prop_assert_eq!(changes, vec![]);
        }
    }
}

#[test]
fn a_hundred_thousand_tenants_in_order_have_no_drift() {
    let policy = policy();
    for n in 0..100_000_u32 {
        let mut subscription = crate::world::paid(&format!("sub_{n}"));
        subscription.items[0].quantity = Some(1 + i64::from(n % 3));
        subscription.currency = ["usd", "eur", "jpy"][n as usize % 3].into();
        subscription.cancel_at_period_end = n % 7 == 0;
        subscription.status = StatusWord::Known(SubscriptionStatus::ALL[n as usize % 8]);
        let clean = settle(&crate::world::side(facts()), std::slice::from_ref(&subscription), &policy);
        assert_eq!(compare(&clean, &[subscription], &policy, day(10)), [], "{n}");
    }
}
