//! What staff can change, and take back.
#![allow(clippy::unwrap_used, unreachable_pub, dead_code, missing_docs)]

mod facts;

use facts::{changes, facts, instants};
use paywall_domain::{
    Change, DAY_MS, EXTENSION_DAYS_MAX, Limit, Timestamp, TrialTarget, apply, check_undo, extended_end, undo,
};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn an_extension_never_shortens_a_trial_and_always_ends_in_the_future(
        facts in facts(), days in 1..=EXTENSION_DAYS_MAX, now in instants(), until in instants(),
    ) {
        for target in [TrialTarget::Days(days), TrialTarget::Until(until)] {
            let change = Change::ExtendTrial { target };
            match apply(&facts, &change, "ada", "call", now, |_| true) {
                Ok(after) => {
                    let trial = after.trial.unwrap();
                    prop_assert!(trial.ends_at > now);
                    let before = facts.trial.as_ref();
                    prop_assert!(before.is_none_or(|it| trial.ends_at > it.ends_at));
                    prop_assert_eq!(trial.extensions, before.map_or(0, |it| it.extensions) + 1);
                    prop_assert!(trial.extended_ms > before.map_or(0, |it| it.extended_ms));
                }
                Err(_) => prop_assert!(matches!(target, TrialTarget::Until(_)), "days in range are never refused"),
            }
        }
    }

    #[test]
    fn undo_restores_the_part_that_was_changed_and_leaves_what_came_between(
        before in facts(), change in changes(), now in instants(), meanwhile in changes(),
    ) {
        let Ok(after) = apply(&before, &change, "ada", "call", now, |plan| plan.as_str() != "gone") else { return Ok(()) };
        let aspect = change.aspect();
        prop_assert!(check_undo(aspect, &after, &after));
        prop_assert_eq!(undo(aspect, &after, &before), before.clone());

        let Ok(current) = apply(&after, &meanwhile, "bob", "later", now, |plan| plan.as_str() != "gone") else {
            return Ok(());
        };
        if meanwhile.aspect() == aspect {
            let stands = check_undo(aspect, &current, &after);
            prop_assert_eq!(stands, current == after, "a later change of the same part stands in the way");
        } else {
            prop_assert!(check_undo(aspect, &current, &after));
            let undone = undo(aspect, &current, &before);
            let alone = apply(&before, &meanwhile, "bob", "later", now, |plan| plan.as_str() != "gone").unwrap();
            prop_assert_eq!(undone, alone);
        }
    }

    #[test]
    fn facts_and_changes_survive_the_wire(facts in facts(), change in changes()) {
        let text = serde_json::to_string(&(&facts, &change)).unwrap();
        prop_assert_eq!(serde_json::from_str::<(_, _)>(&text).unwrap(), (facts, change));
    }
}

#[test]
fn a_day_is_24_hours_across_month_ends_leap_days_and_clock_changes() {
    assert_eq!(DAY_MS, 24 * 60 * 60 * 1000);
    // 2028-02-28T12:00Z + 2 days, over the leap day; 2026-03-28T12:00Z + 1, over Europe's clock change.
    assert_eq!(extended_end(Timestamp(1_835_352_000_000), 2, Timestamp(0)), Timestamp(1_835_524_800_000));
    assert_eq!(extended_end(Timestamp(0), 1, Timestamp(1_774_699_200_000)), Timestamp(1_774_785_600_000));
}

#[test]
fn a_limit_that_was_forgotten_is_an_error_and_not_unlimited() {
    let parse = |limit: &str| {
        serde_json::from_str::<Change>(&format!(
            r#"{{"kind":"override_quota","meter":"seats"{limit},"expires_at":null}}"#
        ))
    };
    let limit = |limit: &str| match parse(limit).unwrap() {
        Change::OverrideQuota { limit, .. } => limit,
        other => panic!("{other:?}"),
    };
    assert_eq!(limit(r#","limit":null"#), Limit::Unlimited);
    assert_eq!(limit(r#","limit":0"#), Limit::AtMost(0));
    assert!(parse("").unwrap_err().to_string().contains("missing field `limit`"));
    for wrong in [r#","limit":1.5"#, r#","limit":"5""#, r#","limit":9223372036854775808"#] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}
