//! The world itself: the same every time, whole, and in agreement with its Stripe account.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use paywall_contract::{IntakeRecord, TenantIntake};
use paywall_domain::{AccessLevel, DenyCode, Limit, Meter, Plan, Status, Timestamp, Usage, assess, status};
use paywall_sandbox::{Cursor, Filter, Kind, Role, StripeHistory, World, WorldSpec};
use serde_json::Value;
use sha2::{Digest, Sha256};

const AS_OF: Timestamp = Timestamp(1_764_000_000_000 / 86_400_000 * 86_400_000);

fn world(tenants: u32) -> World {
    World::generate(WorldSpec { seed: 7, tenants, as_of: AS_OF })
}

fn tenants(world: &World) -> Vec<TenantIntake> {
    world
        .intake()
        .filter_map(|it| match it {
            IntakeRecord::Tenant(tenant) => Some(*tenant),
            IntakeRecord::Plan(_) => None,
        })
        .collect()
}

fn all(history: &StripeHistory, kind: Kind) -> Vec<Value> {
    let filter = Filter { status: (kind == Kind::Subscription).then(|| "all".to_owned()), ..Filter::default() };
    let mut objects: Vec<Value> = Vec::new();
    loop {
        let last = objects.last().map(|it| it["id"].as_str().unwrap().to_owned());
        let cursor = last.as_deref().map_or(Cursor::Start, Cursor::After);
        let (page, more) = history.list(kind, &filter, cursor, 100).unwrap();
        objects.extend(page);
        if !more {
            return objects;
        }
    }
}

/// What the paywall makes of a tenant at the world's present.
fn access(plans: &[Plan], tenant: &TenantIntake) -> paywall_domain::Access {
    let mut used: BTreeMap<Meter, i64> = tenant.gauges.clone();
    let period = tenant.period.unwrap();
    for day in tenant.usage.iter().flatten().filter(|it| it.day >= period.0 && it.day < period.1) {
        for (meter, amount) in &day.amounts {
            *used.entry(*meter).or_insert(0) += amount;
        }
    }
    let plan = plans.iter().find(|it| it.id == *tenant.facts.plan_in_force(AS_OF)).unwrap();
    assess(&tenant.facts, plan, &Usage { used, resets_at: Some(period.1) }, AS_OF)
}

fn digest(world: &World) -> String {
    let mut hash = Sha256::new();
    for record in world.intake() {
        hash.update(serde_json::to_vec(&record).unwrap());
    }
    let history = world.stripe();
    for kind in Kind::LISTED {
        for object in all(&history, kind) {
            hash.update(object.to_string());
        }
    }
    hex::encode(hash.finalize())
}

#[test]
fn a_spec_gives_the_same_bytes_forever() {
    let digest = digest(&world(80));
    assert_eq!(
        digest, "a7a95741a77ae11a429007353b18d980e963414a61b2833438004c217c0a8446",
        "changing the sample world on purpose means changing this digest"
    );
}

#[test]
fn another_seed_gives_another_world_with_the_same_cast() {
    let other = World::generate(WorldSpec { seed: 8, tenants: 60, as_of: AS_OF });
    let ours: BTreeSet<String> = tenants(&world(60)).into_iter().map(|it| it.id.to_string()).collect();
    assert!(tenants(&other).iter().all(|it| !ours.contains(it.id.as_str())));
    assert_eq!(other.cast().locked_out.email, "jane@acme.example");
    assert_ne!(other.keys(), world(60).keys());
}

#[test]
fn a_tenant_does_not_depend_on_how_many_others_there_are() {
    let (small, large) = (tenants(&world(60)), tenants(&world(90)));
    assert_eq!(small.len(), 60);
    assert_eq!(small[..], large[..60]);
}

#[test]
fn every_status_occurs_and_most_tenants_pay() {
    let tenants = tenants(&world(2_000));
    let mut counts = BTreeMap::new();
    for tenant in &tenants {
        *counts.entry(status(&tenant.facts, AS_OF)).or_insert(0_usize) += 1;
    }
    let share = |status| counts.get(&status).copied().unwrap_or(0) * 100 / tenants.len();
    assert!((55..=68).contains(&share(Status::Active)), "{counts:?}");
    assert!((12..=20).contains(&share(Status::Trial)), "{counts:?}");
    assert!((10..=20).contains(&share(Status::Expired)), "{counts:?}");
    assert!(counts.contains_key(&Status::PastDue) && counts.contains_key(&Status::Suspended), "{counts:?}");
    let subscriptions: BTreeSet<String> = tenants
        .iter()
        .filter_map(|it| it.facts.subscription.as_ref())
        .map(|it| serde_json::to_value(it.status).unwrap().as_str().unwrap().to_owned())
        .collect();
    assert_eq!(subscriptions.len(), 8, "{subscriptions:?}");
}

#[test]
fn ids_and_addresses_are_unique_and_nobody_is_real() {
    let tenants = tenants(&world(1_000));
    let ids: BTreeSet<&str> = tenants.iter().map(|it| it.id.as_str()).collect();
    let emails: BTreeSet<&str> = tenants.iter().map(|it| it.email.as_str()).collect();
    assert_eq!((ids.len(), emails.len()), (1_000, 1_000));
    for tenant in &tenants {
        assert!(tenant.members.iter().all(|it| it.email.ends_with(".example")), "{}", tenant.email);
        assert_eq!(tenant.members[0].user_id, tenant.id.as_str(), "the owner comes first");
        let entries: BTreeSet<&str> = tenant.timeline.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(entries.len(), tenant.timeline.len());
        assert!(tenant.timeline.iter().all(|it| it.at <= AS_OF && it.at >= tenant.created_at), "{}", tenant.name);
    }
}

#[test]
fn the_cast_plays_its_parts_under_any_seed() {
    for seed in 0..20 {
        the_cast_plays_its_parts(&World::generate(WorldSpec { seed, tenants: 60, as_of: AS_OF }));
    }
}

fn the_cast_plays_its_parts(world: &World) {
    let (plans, tenants, cast) = (world.plans(), tenants(world), world.cast());
    assert_eq!(cast.members().len(), Role::ALL.len());
    for (role, member) in cast.members() {
        let tenant = &tenants[member.index as usize];
        assert_eq!((&tenant.id, &tenant.name, &tenant.email), (&member.id, &member.name, &member.email), "{role:?}");
    }
    let of = |member: &paywall_sandbox::Member| &tenants[member.index as usize];
    let see = |member: &paywall_sandbox::Member| access(&plans, of(member));
    let codes = |member: &paywall_sandbox::Member| {
        see(member).denials.iter().map(paywall_domain::Denial::code).collect::<Vec<_>>()
    };

    assert_eq!(cast.locked_out.name, "Acme GmbH");
    assert_eq!(codes(&cast.locked_out), [DenyCode::TrialEnded]);
    assert_eq!(see(&cast.locked_out).since, Some(Timestamp(AS_OF.0 - 2 * 86_400_000)));
    let refusal = of(&cast.locked_out).last_refusal.clone().unwrap();
    assert_eq!(
        (refusal.method.as_str(), refusal.path.as_str(), refusal.http_status),
        ("POST", "/api/v1/chat/completions", 402)
    );
    assert_eq!(refusal.at, Timestamp(AS_OF.0 - 6 * 60_000));

    assert_eq!(codes(&cast.two_rules), [DenyCode::TrialEnded, DenyCode::QuotaExhausted]);
    assert_eq!(of(&cast.two_rules).gauges[&Meter::Documents], 500);
    assert_eq!(of(&cast.extended_before).facts.trial.as_ref().unwrap().extensions, 2);
    let extensions = of(&cast.extended_before).timeline.iter().filter(|it| {
        matches!(&it.body, paywall_contract::TimelineBody::Adjustment { adjustment }
            if adjustment.change.kind() == paywall_domain::ChangeKind::ExtendTrial && adjustment.actor == "Mia")
    });
    assert_eq!(extensions.count(), 2);
    assert!(of(&cast.comped).facts.comp.as_ref().unwrap().in_force(AS_OF));
    assert!(!of(&cast.comp_ended).facts.comp.as_ref().unwrap().in_force(AS_OF));
    let overrides = &of(&cast.overridden).facts.overrides;
    assert_eq!(
        (overrides[&Meter::Messages].in_force(AS_OF), overrides[&Meter::Documents].in_force(AS_OF)),
        (true, false)
    );
    assert_eq!(status(&of(&cast.suspended).facts, AS_OF), Status::Suspended);
    assert_eq!(see(&cast.past_due_in_grace).level, AccessLevel::Grace);
    assert_eq!(codes(&cast.overdue), [DenyCode::PaymentOverdue]);
    assert_eq!(codes(&cast.unpaid), [DenyCode::PaymentOverdue]);
    assert_eq!(codes(&cast.canceled), [DenyCode::SubscriptionEnded]);
    assert_eq!(codes(&cast.paused), [DenyCode::SubscriptionEnded]);
    assert_eq!(see(&cast.quota_partial).level, AccessLevel::Partial);
    assert!(
        plans
            .iter()
            .find(|it| it.id == of(&cast.unlimited).facts.plan)
            .unwrap()
            .limits
            .values()
            .all(|it| *it == Limit::Unlimited)
    );
    assert!(of(&cast.unknown_usage).usage.is_none() && of(&cast.unknown_usage).gauges.is_empty());
    let zero = plans.iter().find(|it| it.id == of(&cast.zero_limit).facts.plan).unwrap();
    assert_eq!(zero.limit(Meter::Messages), Limit::AtMost(0));
    assert!(cast.very_long_name.name.chars().count() > 200);
    for (member, hours) in [(&cast.trial_ends_in_2h, 2), (&cast.trial_ends_in_1d, 24), (&cast.trial_ends_in_3d, 72)] {
        assert_eq!(of(member).facts.trial.as_ref().unwrap().ends_at, Timestamp(AS_OF.0 + hours * 3_600_000));
    }
    assert_eq!((of(&cast.owner_only).members.len(), of(&cast.many_members).members.len()), (1, 300));
    assert!(of(&cast.deleted_account).deleted_at.is_some());
}

#[test]
fn facts_agree_with_stripe() {
    let world = world(600);
    let history = world.stripe();
    let plans = world.plans();
    let mut subscribed = 0;
    for tenant in tenants(&world) {
        let customer = tenant.stripe_customer.as_ref().map(|id| history.retrieve(Kind::Customer, id).unwrap());
        if let Some(customer) = customer.filter(|it| it["deleted"].is_null()) {
            assert_eq!(customer["metadata"]["tenant_id"], tenant.id.as_str());
            assert_eq!(
                (customer["name"].as_str(), customer["email"].as_str()),
                (Some(&*tenant.name), Some(&*tenant.email))
            );
        }
        let Some(facts) = &tenant.facts.subscription else { continue };
        subscribed += 1;
        let sub = history.retrieve(Kind::Subscription, &facts.id).unwrap();
        assert_eq!(sub["status"], serde_json::to_value(facts.status).unwrap(), "{}", tenant.name);
        assert_eq!(sub["customer"].as_str(), tenant.stripe_customer.as_deref());
        let ms = |value: &Value| value.as_i64().map(|it| Timestamp(it * 1000));
        assert_eq!(ms(&sub["items"]["data"][0]["current_period_end"]), facts.current_period_end);
        assert_eq!(sub["cancel_at_period_end"], facts.cancel_at_period_end);
        if facts.status != paywall_domain::SubscriptionStatus::Paused {
            assert_eq!(ms(&sub["ended_at"]), facts.ended_at);
        }
        let price = sub["items"]["data"][0]["price"]["id"].as_str().unwrap();
        let plan = plans.iter().find(|it| it.stripe_prices.iter().any(|it| it == price)).unwrap();
        assert_eq!(plan.id, tenant.facts.plan, "{}", tenant.name);
        let filter =
            Filter { subscription: Some(facts.id.clone()), status: Some("open".to_owned()), ..Filter::default() };
        let (open, _) = history.list(Kind::Invoice, &filter, Cursor::Start, 100).unwrap();
        assert_eq!(facts.overdue_since.is_some(), facts.grace_ends_at.is_some() || sub["status"] == "unpaid");
        if let Some(since) = facts.overdue_since {
            assert_eq!(open.iter().filter_map(|it| ms(&it["created"])).min(), Some(since));
        }
    }
    assert!(subscribed > 300);
}

#[test]
fn money_adds_up() {
    let history = world(400).stripe();
    let invoices = all(&history, Kind::Invoice);
    let mut currencies = BTreeSet::new();
    for invoice in &invoices {
        let number = |field: &str| invoice[field].as_i64().unwrap();
        currencies.insert(invoice["currency"].as_str().unwrap());
        assert!(number("total") >= 0);
        assert_eq!(number("amount_due"), number("amount_paid") + number("amount_remaining"));
        let lines = history.parts(Kind::Invoice, invoice["id"].as_str().unwrap()).unwrap();
        assert_eq!(lines.iter().map(|it| it["amount"].as_i64().unwrap()).sum::<i64>(), number("subtotal"));
        assert_eq!(invoice["lines"]["has_more"], lines.len() > 10);
        if invoice["currency"] == "kwd" {
            assert_eq!(number("total") % 10, 0, "dinars are charged in tens of fils");
        }
    }
    assert_eq!(currencies.len(), 5);
    let refunds: i64 = all(&history, Kind::Refund).iter().map(|it| it["amount"].as_i64().unwrap()).sum();
    let charges = all(&history, Kind::Charge);
    assert!(refunds > 0);
    assert_eq!(refunds, charges.iter().map(|it| it["amount_refunded"].as_i64().unwrap()).sum::<i64>());
    assert_eq!(
        all(&history, Kind::Dispute).len(),
        charges.iter().filter(|it| it["disputed"] == true).count(),
        "a disputed charge has its dispute"
    );
}

#[test]
fn nothing_happens_in_the_future() {
    let world = world(400);
    let history = world.stripe();
    let now = AS_OF.0 / 1000;
    for kind in Kind::LISTED {
        let objects = all(&history, kind);
        assert!(!objects.is_empty(), "{kind:?}");
        assert!(objects.iter().all(|it| it["created"].as_i64().unwrap() <= now), "{kind:?}");
        if kind == Kind::Event {
            assert!(objects.iter().all(|it| it["created"].as_i64().unwrap() >= now - 30 * 86_400));
        }
    }
}

#[test]
fn a_large_world_is_made_within_reason() {
    let size = if cfg!(debug_assertions) { 5_000 } else { 100_000 };
    let began = std::time::Instant::now();
    let world = world(size);
    let history = world.stripe();
    assert_eq!(world.intake().count(), size as usize + world.plans().len());
    let made = began.elapsed();
    assert!(made < std::time::Duration::from_mins(1), "{size} tenants took {made:?}");
    // A page deep inside costs as much as the first.
    let filter = Filter { to: Some(AS_OF.0 / 1000 - 200 * 86_400), ..Filter::default() };
    let began = std::time::Instant::now();
    let (page, more) = history.list(Kind::Invoice, &filter, Cursor::Start, 100).unwrap();
    assert!(page.len() == 100 && more);
    assert!(began.elapsed() < std::time::Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn events_are_found_by_their_type() {
    let history = world(400).stripe();
    let events = all(&history, Kind::Event);
    let types: BTreeSet<&str> = events.iter().map(|it| it["type"].as_str().unwrap()).collect();
    assert!(types.len() > 10, "{types:?}");
    for kind in types {
        let filter = Filter { types: vec![kind.to_owned()], ..Filter::default() };
        let (found, _) = history.list(Kind::Event, &filter, Cursor::Start, 100_000).unwrap();
        assert_eq!(found.len(), events.iter().filter(|it| it["type"] == kind).count(), "{kind}");
    }
}
