//! What changes by staff change in Stripe.

use paywall_domain::billing::{
    BilledSubscription, CollectionPause, DriftBody, PaywallSide, Repair, StripePart, StripeStep, StripeSubscription,
    compare, ends_too_soon, followed, settle, stripe_step,
};
use paywall_domain::{Change, Comp, SubscriptionStatus, Timestamp, TrialTarget};

use crate::world::{day, facts, paid, policy, side, trial, with};

/// A trial that Stripe runs to day 10, the same on both sides.
fn both() -> (PaywallSide, StripeSubscription) {
    let stripe = StripeSubscription { trial_end: Some(day(10)), ..with(SubscriptionStatus::Trialing) };
    let known = side(facts());
    (settle(&known, std::slice::from_ref(&stripe), &policy()), stripe)
}

fn step(paywall: &PaywallSide, stripe: &StripeSubscription, now: Timestamp) -> Option<StripeStep> {
    stripe_step(paywall, stripe, StripePart::TrialEnd, now)
}

#[test]
fn whichever_side_is_changed_the_other_follows_and_then_nothing_is_left_to_do() {
    let (before, mut stripe) = both();
    assert_eq!(step(&before, &stripe, day(5)), None);
    // Here first: a whole second, never an earlier one.
    let mut extended = before.clone();
    extended.facts.trial = Some(trial(day(20).plus_ms(1)));
    let ahead = day(20).plus_ms(1_000);
    assert_eq!(step(&extended, &stripe, day(5)), Some(StripeStep::TrialEnds { at: ahead }));
    stripe.trial_end = Some(ahead);
    assert_eq!(step(&extended, &stripe, day(5)), None, "the same second is the same end");
    // In Stripe first: the paywall takes it over, and nothing goes back.
    let (before, mut stripe) = both();
    stripe.trial_end = Some(day(7));
    assert_eq!(step(&before, &stripe, day(5)), None);
    let after = settle(&before, std::slice::from_ref(&stripe), &policy());
    assert_eq!(after.facts.trial.as_ref().map(|it| it.ends_at), Some(day(7)));
    assert_eq!(step(&after, &stripe, day(5)), None);
}

#[test]
fn an_end_that_has_passed_ends_it_at_once() {
    let (mut paywall, stripe) = both();
    paywall.facts.trial = Some(trial(day(5)));
    assert_eq!(step(&paywall, &stripe, day(5)), Some(StripeStep::TrialEndsNow));
    // Also where nothing was taken over of the subscription yet: staff said so.
    paywall.billed = None;
    assert_eq!(step(&paywall, &stripe, day(5)), Some(StripeStep::TrialEndsNow));
}

#[test]
fn where_both_sides_changed_the_later_end_holds() {
    let (before, mut stripe) = both();
    for (here, there, step_there) in [
        (day(20), day(15), Some(StripeStep::TrialEnds { at: day(20) })),
        (day(12), day(15), None),
        // Ended here while it was extended there: time is not taken away.
        (day(5), day(15), None),
    ] {
        let mut paywall = before.clone();
        paywall.facts.trial = Some(trial(here));
        stripe.trial_end = Some(there);
        assert_eq!(step(&paywall, &stripe, day(5)), step_there, "{here:?} {there:?}");
        let end = settle(&paywall, std::slice::from_ref(&stripe), &policy()).facts.trial.unwrap().ends_at;
        assert_eq!(end, here.max(there));
    }
}

#[test]
fn an_extension_on_the_way_to_checkout_is_told_to_stripe() {
    let stripe = StripeSubscription { trial_end: Some(day(10)), ..with(SubscriptionStatus::Trialing) };
    let mut paywall = side(facts());
    let mut sold = |end, known: bool| {
        paywall.facts.trial = Some(trial(end));
        paywall.billed = known.then(|| BilledSubscription::of(&stripe));
        ends_too_soon(&paywall, &stripe)
    };
    assert!(sold(day(17), false));
    assert!(!sold(day(10), false) && !sold(day(9), false), "the later end is Stripe's");
    assert!(!sold(day(17), true), "that change was told when it was made");
}

#[test]
fn a_trial_that_is_over_in_stripe_is_not_touched() {
    let (mut paywall, stripe) = both();
    paywall.facts.trial = Some(trial(day(20)));
    for status in SubscriptionStatus::ALL {
        let over = StripeSubscription { status: with(status).status, ..stripe.clone() };
        assert_eq!(step(&paywall, &over, day(5)).is_some(), status == SubscriptionStatus::Trialing, "{status:?}");
        let found = followed(&paywall.facts, std::slice::from_ref(&over), StripePart::TrialEnd);
        assert_eq!(found.is_some(), status == SubscriptionStatus::Trialing, "{status:?}");
    }
    let other = [paid("sub_2")];
    assert_eq!(followed(&paywall.facts, &other, StripePart::TrialEnd), None);
    assert_eq!(followed(&facts(), &[stripe], StripePart::TrialEnd), None, "what is not on record is not followed");
}

fn pause(resumes_at: Option<Timestamp>, by_comp: bool) -> CollectionPause {
    CollectionPause { behavior: "void".into(), resumes_at, by_comp }
}

fn comp(until: Option<Timestamp>) -> Comp {
    Comp { plan: "team".into(), since: day(5), until }
}

#[test]
fn a_gift_is_not_charged_for_and_its_end_is_stripes_to_keep() {
    let (mut paywall, mut stripe) = both();
    let collection = |paywall: &PaywallSide, stripe: &StripeSubscription| {
        stripe_step(paywall, stripe, StripePart::Collection, day(5))
    };
    for until in [None, Some(day(30))] {
        paywall.facts.comp = Some(comp(until));
        stripe.collection_pause = None;
        assert_eq!(collection(&paywall, &stripe), Some(StripeStep::CollectionPauses { resumes_at: until }));
        stripe.collection_pause = Some(pause(until, true));
        assert_eq!(collection(&paywall, &stripe), None);
        // Another end of the gift moves it, unless the pause is somebody else's.
        paywall.facts.comp = Some(comp(Some(day(40))));
        let moves = Some(StripeStep::CollectionPauses { resumes_at: Some(day(40)) });
        assert_eq!(collection(&paywall, &stripe), moves);
        stripe.collection_pause = Some(pause(until, false));
        assert_eq!(collection(&paywall, &stripe), None);
        // Taken back.
        paywall.facts.comp = None;
        assert_eq!(collection(&paywall, &stripe), None);
        stripe.collection_pause = Some(pause(until, true));
        assert_eq!(collection(&paywall, &stripe), Some(StripeStep::CollectionResumes));
    }
    // The one on record stays what it was.
    assert_eq!(paywall.billed, Some(BilledSubscription::of(&stripe)));
}

#[test]
fn a_gift_is_followed_for_as_long_as_its_pause_lasts_and_a_payers_is_not() {
    let payer = paid("sub_1");
    let paywall = settle(&side(facts()), std::slice::from_ref(&payer), &policy());
    let follows = |pause: Option<CollectionPause>| {
        let stripe = [StripeSubscription { collection_pause: pause, ..payer.clone() }];
        let part = |part| followed(&paywall.facts, &stripe, part).is_some();
        assert!(!part(StripePart::TrialEnd), "there is no trial");
        part(StripePart::Collection)
    };
    assert!(follows(Some(pause(None, true))), "the trial is over, and nothing is charged");
    assert!(!follows(Some(pause(None, false))), "what somebody paused in Stripe is theirs");
    assert!(!follows(None), "whoever pays and gets more pays on");
}

#[test]
fn a_pause_without_its_gift_and_a_gift_without_its_pause_are_told() {
    let (before, trialing) = both();
    let drift = |gift: Option<Comp>, stripe: &StripeSubscription, now: Timestamp| {
        let mut paywall = settle(&before, std::slice::from_ref(stripe), &policy());
        paywall.facts.comp = gift;
        let found = compare(&paywall, std::slice::from_ref(stripe), &policy(), now);
        assert!(found.iter().all(|it| matches!(it.body, DriftBody::CollectionDiffers { .. })), "{found:?}");
        found.into_iter().next().map(|it| it.repair)
    };
    let set =
        |paused, resumes_at| Some(Repair::SetCollectionInStripe { subscription: "sub_1".into(), paused, resumes_at });
    let active = StripeSubscription { trial_end: Some(day(10)), ..paid("sub_1") };
    let with = |it: &StripeSubscription, pause| StripeSubscription { collection_pause: pause, ..it.clone() };
    // Taken back here, and Stripe did not hear.
    for subscription in [&trialing, &active] {
        assert_eq!(drift(None, &with(subscription, Some(pause(None, true))), day(6)), set(false, None));
        assert_eq!(drift(None, &with(subscription, Some(pause(None, false))), day(6)), None);
        assert_eq!(drift(Some(comp(None)), &with(subscription, Some(pause(None, true))), day(6)), None);
        // Given on the trial, and charged for all the same.
        assert_eq!(drift(Some(comp(None)), subscription, day(6)), set(true, None));
        assert_eq!(drift(Some(comp(Some(day(40)))), subscription, day(6)), set(true, Some(day(40))));
        assert_eq!(
            drift(Some(comp(Some(day(40)))), &with(subscription, Some(pause(Some(day(30)), true))), day(6)),
            set(true, Some(day(40)))
        );
        let leaving = StripeSubscription { cancel_at_period_end: true, ..subscription.clone() };
        assert_eq!(drift(Some(comp(None)), &leaving, day(6)), None, "nothing will be charged");
    }
    // A payer's gift pauses nothing, and one that is over goes with its pause.
    assert_eq!(drift(Some(comp(None)), &paid("sub_1"), day(6)), None);
    let over = with(&active, Some(pause(Some(day(8)), true)));
    assert_eq!(drift(Some(comp(Some(day(8).plus_ms(-1)))), &over, day(8).plus_ms(-1)), None);
    assert_eq!(drift(Some(comp(Some(day(8)))), &over, day(9)), None);
}

#[test]
fn only_what_is_about_the_trial_or_its_price_is_followed() {
    let extend = Change::ExtendTrial { target: TrialTarget::Days(3) };
    assert_eq!(extend.stripe_part(), Some(StripePart::TrialEnd));
    assert_eq!(Change::EndTrial.stripe_part(), Some(StripePart::TrialEnd));
    let comp = Change::Comp { plan: "pro".into(), until: None };
    assert_eq!(comp.stripe_part(), Some(StripePart::Collection));
    for untouched in [Change::Suspend { message: None }, Change::Reinstate, Change::Note] {
        assert_eq!(untouched.stripe_part(), None);
    }
    for part in [StripePart::TrialEnd, StripePart::Collection] {
        assert_eq!(StripePart::parse(part.as_str()), Some(part));
    }
}
