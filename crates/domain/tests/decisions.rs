//! Who may do what, checked against a second, naive telling of the rules.
#![allow(clippy::unwrap_used, unreachable_pub, dead_code, missing_docs)]

mod facts;

use facts::{facts, instants, plans, usages};
use paywall_domain::{
    AccessLevel, Denial, DenyCode, Limit, Meter, Operation, Plan, Status, Subscription, SubscriptionStatus,
    TenantFacts, Timestamp, Trial, Usage, assess, decide, holds_until, readings, status,
};
use proptest::prelude::*;

/// The limit in force, told naively.
fn limit(facts: &TenantFacts, plan: &Plan, meter: Meter, now: i64) -> Option<i64> {
    match facts.overrides.get(&meter) {
        Some(own) if own.expires_at.is_none() || own.expires_at.unwrap().0 > now => own.limit.into(),
        _ => plan.limits.get(&meter).and_then(|limit| (*limit).into()),
    }
}

fn comped(facts: &TenantFacts, now: i64) -> bool {
    matches!(&facts.comp, Some(comp) if comp.until.is_none() || comp.until.unwrap().0 > now)
}

fn subscribed(facts: &TenantFacts, now: i64) -> Option<SubscriptionStatus> {
    let subscription = facts.subscription.as_ref()?;
    match subscription.status {
        SubscriptionStatus::Active | SubscriptionStatus::Trialing => Some(subscription.status),
        SubscriptionStatus::PastDue if subscription.grace_ends_at.is_none_or(|end| end.0 > now) => {
            Some(subscription.status)
        }
        _ => None,
    }
}

fn trying(facts: &TenantFacts, now: i64) -> bool {
    matches!(&facts.trial, Some(trial) if trial.ends_at.0 > now)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_rule_that_denies_is_reported_and_no_other(
        facts in facts(), plan in plans(), usage in usages(), now in instants(),
    ) {
        for operation in Operation::ALL {
            let decision = decide(&facts, &plan, &usage, operation, now);
            let mut expected = Vec::new();
            if facts.suspension.is_some() {
                expected.push((DenyCode::Suspended, None));
            }
            if !comped(&facts, now.0) && subscribed(&facts, now.0).is_none() && !trying(&facts, now.0) {
                let code = match facts.subscription.as_ref().map(|it| (it.status, it.ended_at)) {
                    Some((SubscriptionStatus::PastDue | SubscriptionStatus::Unpaid, _)) => DenyCode::PaymentOverdue,
                    Some((SubscriptionStatus::Canceled | SubscriptionStatus::Paused, ended)) => {
                        match (ended, &facts.trial) {
                            (Some(ended), Some(trial)) if ended < trial.ends_at => DenyCode::TrialEnded,
                            _ => DenyCode::SubscriptionEnded,
                        }
                    }
                    _ => DenyCode::TrialEnded,
                };
                expected.push((code, None));
            }
            for meter in Meter::ALL {
                if let (Some(used), Some(limit)) = (usage.used.get(&meter), limit(&facts, &plan, meter, now.0))
                    && *used >= limit && operation.meters().contains(&meter)
                {
                    expected.push((DenyCode::QuotaExhausted, Some(meter)));
                }
            }
            let told: Vec<_> = decision.denials.iter().map(|denial| (denial.code(), match denial {
                Denial::QuotaExhausted { meter, .. } => Some(*meter),
                _ => None,
            })).collect();
            prop_assert_eq!(&told, &expected, "{:?}", operation);
            prop_assert_eq!(decision.allowed(), expected.is_empty());
        }
    }

    #[test]
    fn the_status_is_the_first_that_holds(facts in facts(), now in instants()) {
        let expected = if facts.suspension.is_some() {
            Status::Suspended
        } else if comped(&facts, now.0) {
            Status::Active
        } else {
            match subscribed(&facts, now.0) {
                Some(SubscriptionStatus::PastDue) => Status::PastDue,
                Some(SubscriptionStatus::Trialing) => Status::Trial,
                Some(_) => Status::Active,
                None if trying(&facts, now.0) => Status::Trial,
                None => Status::Expired,
            }
        };
        prop_assert_eq!(status(&facts, now), expected);
    }

    #[test]
    fn nothing_changes_by_time_alone_before_holds_until(
        facts in facts(), plan in plans(), usage in usages(), now in instants(),
    ) {
        let (state, access) = (status(&facts, now), assess(&facts, &plan, &usage, now));
        prop_assert_eq!(access.holds_until, holds_until(&facts, &usage, now));
        prop_assert!(access.holds_until.is_none_or(|end| end > now));
        let end = access.holds_until.map_or(200, |end| end.0);
        for later in (now.0..end).map(Timestamp) {
            prop_assert_eq!(status(&facts, later), state);
            prop_assert_eq!(&assess(&facts, &plan, &usage, later), &access, "at {:?}", later);
            prop_assert_eq!(facts.plan_in_force(later), facts.plan_in_force(now));
        }
    }

    #[test]
    fn the_level_says_what_the_denials_say(facts in facts(), plan in plans(), usage in usages(), now in instants()) {
        let access = assess(&facts, &plan, &usage, now);
        let shut = access.denials.iter().any(|denial| denial.code() != DenyCode::QuotaExhausted);
        let expected = match (access.denied.len(), status(&facts, now)) {
            (6, _) => AccessLevel::Locked,
            (0, Status::PastDue) => AccessLevel::Grace,
            (0, _) => AccessLevel::Full,
            _ => AccessLevel::Partial,
        };
        prop_assert_eq!(access.level, expected);
        prop_assert!(!shut || access.denied == Operation::ALL);
        prop_assert_eq!(access.denied.is_empty(), access.denials.is_empty());
        prop_assert_eq!(matches!(status(&facts, now), Status::Suspended | Status::Expired), shut);
        prop_assert!(shut || access.since.is_none());
        for operation in Operation::ALL {
            let decision = decide(&facts, &plan, &usage, operation, now);
            prop_assert_eq!(access.denied.contains(&operation), !decision.allowed());
            prop_assert!(decision.denials.iter().all(|denial| access.denials.contains(denial)));
        }
    }

    #[test]
    fn nothing_was_open_between_the_instant_of_the_lockout_and_now(
        facts in facts(), plan in plans(), now in instants(),
    ) {
        let access = assess(&facts, &plan, &Usage::default(), now);
        if let Some(since) = access.since.filter(|since| *since <= now) {
            for later in (since.0..=now.0).map(Timestamp) {
                let unsuspended = TenantFacts { suspension: None, ..facts.clone() };
                let suspended = facts.suspension.as_ref().is_some_and(|it| it.since <= later);
                prop_assert!(suspended || status(&unsuspended, later) == Status::Expired, "open at {later:?}");
            }
        }
    }

    #[test]
    fn unlimited_never_blocks_unknown_never_blocks_and_zero_always_does(
        facts in facts(), plan in plans(), usage in usages(), now in instants(),
    ) {
        for reading in readings(&facts, &plan, &usage, now) {
            match (reading.limit, reading.used) {
                (Limit::Unlimited, _) | (_, None) => prop_assert!(!reading.exhausted),
                (Limit::AtMost(0), Some(_)) => prop_assert!(reading.exhausted),
                (Limit::AtMost(most), Some(used)) => prop_assert_eq!(reading.exhausted, used >= most),
            }
        }
    }
}

#[test]
fn an_answer_holds_exactly_until_the_end_that_changes_it() {
    let usage = Usage { resets_at: Some(Timestamp(90)), ..Usage::default() };
    let mut facts = lapsed(SubscriptionStatus::PastDue, None, 50);
    facts.subscription.as_mut().unwrap().grace_ends_at = Some(Timestamp(70));
    facts.comp = Some(paywall_domain::Comp { plan: "pro".into(), since: Timestamp(0), until: Some(Timestamp(30)) });
    let steps = [
        (0, Some(30), Status::Active),
        (29, Some(30), Status::Active),
        (30, Some(50), Status::PastDue),
        (50, Some(70), Status::PastDue),
        (69, Some(70), Status::PastDue),
        (70, Some(90), Status::Expired),
        (90, None, Status::Expired),
    ];
    for (now, until, expected) in steps {
        assert_eq!(holds_until(&facts, &usage, Timestamp(now)), until.map(Timestamp), "at {now}");
        assert_eq!(status(&facts, Timestamp(now)), expected, "at {now}");
    }
}

fn lapsed(status: SubscriptionStatus, ended_at: Option<i64>, trial_end: i64) -> TenantFacts {
    TenantFacts {
        plan: "pro".into(),
        trial: Some(Trial { started_at: Timestamp(0), ends_at: Timestamp(trial_end), extensions: 0, extended_ms: 0 }),
        comp: None,
        suspension: None,
        subscription: Some(Subscription {
            id: "sub_1".into(),
            status,
            current_period_end: None,
            overdue_since: None,
            grace_ends_at: None,
            ended_at: ended_at.map(Timestamp),
            cancel_at_period_end: false,
        }),
        overrides: std::collections::BTreeMap::new(),
    }
}

#[test]
fn a_lapsed_customer_is_told_what_it_had_last() {
    let plan = Plan {
        id: "pro".into(),
        name: "Pro".into(),
        limits: std::collections::BTreeMap::new(),
        stripe_prices: vec![],
        trial_days: 14,
    };
    let told = |facts: &TenantFacts| {
        let access = assess(facts, &plan, &Usage::default(), Timestamp(100));
        (access.denials[0].code(), access.since.map(|it| it.0))
    };
    let trial_first = lapsed(SubscriptionStatus::Canceled, Some(50), 14);
    assert_eq!(told(&trial_first), (DenyCode::SubscriptionEnded, Some(50)));
    let extended_after = lapsed(SubscriptionStatus::Canceled, Some(50), 70);
    assert_eq!(told(&extended_after), (DenyCode::TrialEnded, Some(70)));
    let never_paid = lapsed(SubscriptionStatus::IncompleteExpired, Some(50), 14);
    assert_eq!(told(&never_paid), (DenyCode::TrialEnded, Some(14)));
    let mut comped_after = trial_first;
    comped_after.comp =
        Some(paywall_domain::Comp { plan: "pro".into(), since: Timestamp(50), until: Some(Timestamp(80)) });
    assert_eq!(told(&comped_after), (DenyCode::SubscriptionEnded, Some(80)), "the comp covered until 80");
    let unknown = lapsed(SubscriptionStatus::Paused, None, 14);
    assert_eq!(told(&unknown), (DenyCode::SubscriptionEnded, None), "unknown is not the trial's end");
}
