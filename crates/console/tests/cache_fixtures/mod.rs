//! Tenants, entries and pages to fill a copy with.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, missing_docs)]

use std::path::PathBuf;

use paywall_console::cache::{Cache, CacheKey, StreamProgress, StripeRow};
use paywall_contract::{
    Adjustment, ChangeRecord, ChangesPage, Member, MemberRole, Refusal, Snapshot, Tag, Tenant, TimelineBody,
    TimelineEntry,
};
use paywall_domain::{
    Change, DAY_MS, DenyCode, Limit, Meter, Operation, Plan, PlanId, Role, TenantFacts, TenantId, Timestamp, Trial,
    TrialTarget, Usage, assess, readings, status,
};
use paywall_stripe::Stream;
use serde_json::Value;

pub const NOW: Timestamp = Timestamp(1_800_000_000_000);

pub fn ago(days: i64) -> Timestamp {
    Timestamp(NOW.0 - days * DAY_MS)
}

/// As Stripe counts.
pub fn seconds(days_ago: i64) -> i64 {
    ago(days_ago).0 / 1000
}

/// Writes objects of Stripe's into a copy.
pub async fn put(cache: &Cache, stream: Stream, objects: &[Value]) {
    let rows: Vec<StripeRow> = objects
        .iter()
        .map(|raw| StripeRow {
            id: raw["id"].as_str().unwrap().into(),
            created: raw["created"].as_i64().unwrap_or(1),
            raw: raw.clone(),
        })
        .collect();
    cache.apply_stripe_page(stream, &rows, &done(NOW)).await.unwrap();
}

pub fn id(n: u32) -> TenantId {
    TenantId::parse(&format!("{n:032x}")).unwrap()
}

pub fn plan() -> Plan {
    Plan {
        id: PlanId::from("pro"),
        name: "Pro".into(),
        limits: [(Meter::Messages, Limit::AtMost(100)), (Meter::Documents, Limit::AtMost(10))].into(),
        stripe_prices: vec![],
        trial_days: 14,
    }
}

pub fn facts(trial_ends_at: Option<Timestamp>) -> TenantFacts {
    TenantFacts {
        plan: PlanId::from("pro"),
        trial: trial_ends_at.map(|ends_at| Trial {
            started_at: Timestamp(ends_at.0 - 14 * DAY_MS),
            ends_at,
            extensions: 0,
            extended_ms: 0,
        }),
        comp: None,
        suspension: None,
        subscription: None,
        overrides: std::collections::BTreeMap::new(),
    }
}

/// A tenant as a server derives it from these facts at `NOW`.
pub fn tenant(n: u32, name: &str, facts: TenantFacts, used: Option<i64>) -> Tenant {
    tenant_at(n, name, facts, used, NOW)
}

pub fn tenant_at(n: u32, name: &str, facts: TenantFacts, used: Option<i64>, at: Timestamp) -> Tenant {
    let usage = Usage { used: used.map(|used| (Meter::Messages, used)).into_iter().collect(), resets_at: None };
    let access = assess(&facts, &plan(), &usage, at);
    let email = format!("owner{n}@company{n}.example");
    Tenant {
        id: id(n),
        name: name.into(),
        domain: format!("company{n}.example"),
        created_at: ago(100),
        deleted_at: None,
        stripe_customer: None,
        plan_in_force: facts.plan.clone(),
        status: status(&facts, at),
        tags: if facts.trial.as_ref().is_some_and(|it| it.extensions > 0) { vec![Tag::Extended] } else { vec![] },
        meters: readings(&facts, &plan(), &usage, at),
        access,
        facts,
        measured_at: Some(at),
        members: vec![Member {
            user_id: id(n).to_string(),
            name: "Owner".into(),
            email: email.clone(),
            role: MemberRole::Owner,
        }],
        email,
        last_active_at: None,
        last_refusal: None,
        version: 1,
        seq: 1,
        as_of: at,
    }
}

pub fn refused(at: Timestamp) -> Refusal {
    Refusal {
        at,
        operation: Operation::Generate,
        code: DenyCode::TrialEnded,
        method: "POST".into(),
        path: "/v1/chat".into(),
        http_status: 402,
    }
}

pub fn feed(changes: Vec<ChangeRecord>) -> ChangesPage {
    ChangesPage { changes, cursor: "c1".into(), has_more: false, remaining: 0, now: NOW, instance: "one".into() }
}

pub fn feed_of(tenants: &[Tenant]) -> ChangesPage {
    let mut changes = vec![ChangeRecord::Plan(plan())];
    changes.extend(tenants.iter().cloned().map(|it| ChangeRecord::Tenant(Box::new(it))));
    feed(changes)
}

pub fn adjustment(name: &str, n: u32, at: Timestamp, actor: &str, change: Change, after: TenantFacts) -> TimelineEntry {
    let side = |facts: TenantFacts| Snapshot {
        status: status(&facts, at),
        access: assess(&facts, &plan(), &Usage::default(), at),
        meters: vec![],
        facts,
    };
    TimelineEntry {
        id: name.into(),
        tenant_id: id(n),
        tenant_name: format!("Tenant {n}"),
        at,
        body: TimelineBody::Adjustment {
            adjustment: Box::new(Adjustment {
                id: name.into(),
                tenant_id: id(n),
                at,
                actor: actor.into(),
                actor_role: Role::Support,
                change,
                reason: "Customer asked".into(),
                ticket: None,
                before: side(facts(None)),
                after: side(after),
                undoes: None,
                undone_by: None,
                request_id: "r".into(),
            }),
        },
    }
}

pub fn extend() -> Change {
    Change::ExtendTrial { target: TrialTarget::Days(7) }
}

pub fn done(at: Timestamp) -> StreamProgress {
    StreamProgress { cursor: None, complete_at: Some(at), at, unreadable: vec![] }
}

pub fn key() -> CacheKey {
    CacheKey::from([7; 32])
}

pub struct Home {
    pub folder: tempfile::TempDir,
    pub path: PathBuf,
}

pub fn home() -> Home {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copy.db");
    Home { folder, path }
}

pub async fn filled(home: &Home, tenants: &[Tenant]) -> Cache {
    let cache = Cache::open(&home.path, &key()).await.unwrap();
    cache.apply_feed_page(&feed_of(tenants), NOW).await.unwrap();
    cache
}
