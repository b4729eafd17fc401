//! Generated tenants, plans and usage. Instants are few and close together, so that the cases
//! "exactly at the end" and "at the same instant" come up often.

use std::collections::BTreeMap;

use paywall_domain::{
    Change, Comp, Limit, Meter, Override, Plan, PlanId, Subscription, SubscriptionStatus, Suspension, TenantFacts,
    Timestamp, Trial, TrialTarget, Usage,
};
use proptest::collection::btree_map;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

/// The words of every subscription status.
pub const STATUSES: [SubscriptionStatus; 8] = [
    SubscriptionStatus::Incomplete,
    SubscriptionStatus::IncompleteExpired,
    SubscriptionStatus::Trialing,
    SubscriptionStatus::Active,
    SubscriptionStatus::PastDue,
    SubscriptionStatus::Unpaid,
    SubscriptionStatus::Canceled,
    SubscriptionStatus::Paused,
];

/// An instant between 0 and 60.
pub fn instants() -> impl Strategy<Value = Timestamp> {
    (0_i64..=60).prop_map(Timestamp)
}

pub fn limits() -> impl Strategy<Value = Limit> {
    of(0_i64..4).prop_map(Limit::from)
}

pub fn meters() -> impl Strategy<Value = Meter> {
    select(Meter::ALL.to_vec())
}

pub fn plans() -> impl Strategy<Value = Plan> {
    btree_map(meters(), limits(), 0..7).prop_map(|limits| Plan {
        id: "pro".into(),
        name: "Pro".into(),
        limits,
        stripe_prices: vec!["price_1".into()],
        trial_days: 14,
    })
}

pub fn usages() -> impl Strategy<Value = Usage> {
    (btree_map(meters(), 0_i64..4, 0..7), of(instants())).prop_map(|(used, resets_at)| Usage { used, resets_at })
}

pub fn plan_ids() -> impl Strategy<Value = PlanId> {
    select(vec!["free", "pro", "gone"]).prop_map(PlanId::from)
}

fn trials() -> impl Strategy<Value = Trial> {
    (instants(), instants(), 0_u32..3, 0_i64..50).prop_map(|(started_at, ends_at, extensions, extended_ms)| Trial {
        started_at,
        ends_at,
        extensions,
        extended_ms,
    })
}

fn subscriptions() -> impl Strategy<Value = Subscription> {
    (select(STATUSES.to_vec()), of(instants()), of(instants()), of(instants()), of(instants()), any::<bool>()).prop_map(
        |(status, current_period_end, overdue_since, grace_ends_at, ended_at, cancel_at_period_end)| Subscription {
            id: "sub_1".into(),
            status,
            current_period_end,
            overdue_since,
            grace_ends_at,
            ended_at,
            cancel_at_period_end,
        },
    )
}

pub fn facts() -> impl Strategy<Value = TenantFacts> {
    let comp = (plan_ids(), instants(), of(instants())).prop_map(|(plan, since, until)| Comp { plan, since, until });
    let suspension = (instants(), of(Just("Please call us.".to_owned()))).prop_map(|(since, message)| Suspension {
        since,
        by: "ada".into(),
        reason: "abuse".into(),
        message,
    });
    let one = (limits(), of(instants())).prop_map(|(limit, expires_at)| Override {
        limit,
        expires_at,
        reason: "migration".into(),
    });
    let overrides = btree_map(meters(), one, 0..4);
    (plan_ids(), of(trials()), of(comp), of(suspension), of(subscriptions()), overrides).prop_map(
        |(plan, trial, comp, suspension, subscription, overrides): (_, _, _, _, _, BTreeMap<_, _>)| TenantFacts {
            plan,
            trial,
            comp,
            suspension,
            subscription,
            overrides,
        },
    )
}

pub fn changes() -> impl Strategy<Value = Change> {
    let target = prop_oneof![(0_u32..400).prop_map(TrialTarget::Days), instants().prop_map(TrialTarget::Until)];
    prop_oneof![
        target.prop_map(|target| Change::ExtendTrial { target }),
        Just(Change::EndTrial),
        (meters(), limits(), of(instants())).prop_map(|(meter, limit, expires_at)| Change::OverrideQuota {
            meter,
            limit,
            expires_at
        }),
        meters().prop_map(|meter| Change::RemoveOverride { meter }),
        (plan_ids(), of(instants())).prop_map(|(plan, until)| Change::Comp { plan, until }),
        of(Just("Paused by us.".to_owned())).prop_map(|message| Change::Suspend { message }),
        Just(Change::Reinstate),
        plan_ids().prop_map(|plan| Change::ChangePlan { plan }),
        Just(Change::Note),
    ]
}
