//! What changes by staff change in Stripe.

use paywall_domain::billing::{
    BilledSubscription, CollectionPause, PaywallSide, StripePart, StripeStep, StripeSubscription, on_trial_in_stripe,
    settle, stripe_step,
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
    stripe_step(paywall, stripe, StripePart::TrialEnd, false, now)
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
fn a_trial_that_is_over_in_stripe_is_not_touched() {
    let (mut paywall, stripe) = both();
    paywall.facts.trial = Some(trial(day(20)));
    for status in SubscriptionStatus::ALL {
        let over = StripeSubscription { status: with(status).status, ..stripe.clone() };
        assert_eq!(step(&paywall, &over, day(5)).is_some(), status == SubscriptionStatus::Trialing, "{status:?}");
        let found = on_trial_in_stripe(&paywall.facts, std::slice::from_ref(&over));
        assert_eq!(found.is_some(), status == SubscriptionStatus::Trialing, "{status:?}");
    }
    let other = [paid("sub_2")];
    assert_eq!(on_trial_in_stripe(&paywall.facts, &other), None);
    assert_eq!(on_trial_in_stripe(&facts(), &[stripe]), None, "what is not on record is not followed");
}

#[test]
fn a_gift_is_not_charged_for_and_its_end_is_stripes_to_keep() {
    let (mut paywall, mut stripe) = both();
    let collection = |paywall: &PaywallSide, stripe: &StripeSubscription, here| {
        stripe_step(paywall, stripe, StripePart::Collection, here, day(5))
    };
    assert_eq!(collection(&paywall, &stripe, true), None);
    for until in [None, Some(day(30))] {
        paywall.facts.comp = Some(Comp { plan: "team".into(), since: day(5), until });
        stripe.collection_pause = None;
        let pauses = Some(StripeStep::CollectionPauses { resumes_at: until });
        assert_eq!(collection(&paywall, &stripe, false), pauses);
        stripe.collection_pause = Some(CollectionPause { behavior: "void".into(), resumes_at: until });
        assert_eq!(collection(&paywall, &stripe, true), None);
        // Another end of the gift moves it, unless the pause is somebody else's.
        paywall.facts.comp = Some(Comp { plan: "team".into(), since: day(5), until: Some(day(40)) });
        let moves = Some(StripeStep::CollectionPauses { resumes_at: Some(day(40)) });
        assert_eq!(collection(&paywall, &stripe, true), moves);
        assert_eq!(collection(&paywall, &stripe, false), None);
        // Taken back.
        paywall.facts.comp = None;
        assert_eq!(collection(&paywall, &stripe, true), Some(StripeStep::CollectionResumes));
        assert_eq!(collection(&paywall, &stripe, false), None);
    }
    // The one on record stays what it was.
    assert_eq!(paywall.billed, Some(BilledSubscription::of(&stripe)));
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
