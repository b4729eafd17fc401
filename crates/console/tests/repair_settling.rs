//! Repairs of drifts: made once, and never in doubt for long, also where their answer is lost on the way.
#![allow(clippy::unwrap_used, clippy::duplicate_mod)]

mod billing_fixtures;
mod broken_line;
mod cache_fixtures;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use billing_fixtures::{drift, event, health, tenant_id};
use broken_line::{Line, broken, problem};
use cache_fixtures::{NOW, ago, facts, filled, home, tenant};
use paywall_console::admin_client::AdminClient;
use paywall_console::cache::{BillingKept, BillingLists, Cache};
use paywall_console::change::Desk;
use paywall_console::ipc::{
    ActivityView, CheckoutOrder, FailureCode, RepairDone, RepairOrder, UnsettledRepair, WriteMode,
};
use paywall_contract::{
    Adjustment, InboxState, KnownDrift, ProblemCode, RepairOutcome, RepairRequest, Settlement, Tenant, TenantBilling,
    TimelineBody,
};
use paywall_domain::Timestamp;
use paywall_domain::billing::DriftKind;
use secrecy::SecretString;
use serde_json::{Value, json};

#[derive(Default)]
struct Server {
    tenant: Option<Tenant>,
    drifts: BTreeSet<String>,
    /// What was made under each key; `None` = without an adjustment, in Stripe alone.
    made: BTreeMap<String, Option<Adjustment>>,
    void: BTreeSet<String>,
    lines: VecDeque<Line>,
    settling_breaks: bool,
    /// Whether a repair changes the tenant.
    adjusts: bool,
    reasons: Vec<RepairRequest>,
    sent: usize,
    stripe_away: bool,
}

type Shared = Arc<Mutex<Server>>;
type Params = Query<BTreeMap<String, String>>;

fn outcome(adjustment: Option<Adjustment>, gone: bool) -> RepairOutcome {
    RepairOutcome {
        before: adjustment.as_ref().map(|it| it.before.clone()),
        after: adjustment.as_ref().map(|it| it.after.clone()),
        stripe_writes: Vec::new(),
        adjustment,
        gone,
        now: NOW,
    }
}

fn adjustment() -> Adjustment {
    let entry = cache_fixtures::adjustment("adj_1", 1, NOW, "Mia", cache_fixtures::extend(), facts(None));
    match entry.body {
        TimelineBody::Adjustment { adjustment } => *adjustment,
        _ => unreachable!(),
    }
}

async fn repair(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Query(query): Params,
    headers: HeaderMap,
    Json(why): Json<RepairRequest>,
) -> Response {
    let mut server = shared.lock().unwrap();
    if query.contains_key("dry_run") {
        return if server.drifts.contains(&id) {
            Json(outcome(None, false)).into_response()
        } else {
            problem(404, "not_found")
        };
    }
    server.sent += 1;
    if server.stripe_away {
        return problem(503, "stripe_unavailable");
    }
    let key = headers["Idempotency-Key"].to_str().unwrap().to_owned();
    if server.void.contains(&key) {
        return problem(422, "idempotency_key_void");
    }
    let line = server.lines.pop_front();
    if line == Some(Line::BreaksBefore) {
        return broken();
    }
    let known = server.made.get(&key).cloned();
    let made = match known {
        Some(made) => made,
        None if !server.drifts.contains(&id) => return problem(404, "not_found"),
        None => {
            server.drifts.remove(&id);
            let made = server.adjusts.then(adjustment);
            server.reasons.push(why);
            server.made.insert(key, made.clone());
            made
        }
    };
    if line == Some(Line::BreaksAfter) { broken() } else { Json(outcome(made, false)).into_response() }
}

async fn settle(State(shared): State<Shared>, Path(key): Path<String>, Query(query): Params) -> Response {
    let mut server = shared.lock().unwrap();
    if server.settling_breaks {
        return broken();
    }
    if query.get("instance").is_some_and(|instance| instance != "one") {
        return problem(409, "other_instance");
    }
    let adjustment = server.made.get(&key).cloned().flatten();
    if !server.made.contains_key(&key) {
        server.void.insert(key);
    }
    Json(Settlement { adjustment }).into_response()
}

fn told(drifts: Vec<KnownDrift>) -> TenantBilling {
    TenantBilling {
        tenant_id: tenant_id(1),
        customer: Some("cus_1".into()),
        customer_url: None,
        subscriptions: Vec::new(),
        standing: None,
        upcoming: Vec::new(),
        sessions: Vec::new(),
        drifts,
        checkout_refusal: None,
        as_of: NOW,
    }
}

fn router(shared: Shared) -> axum::Router {
    axum::Router::new()
        .route("/admin/v1/billing/drifts/{id}/repair", post(repair))
        .route("/admin/v1/keys/{key}/settle", post(settle))
        .route(
            "/admin/v1/billing/events/{id}/retry",
            post(|Path(id): Path<String>| async move {
                assert_eq!(id, "evt_1");
                Json(event(1, InboxState::Pending, 5))
            }),
        )
        .route("/admin/v1/tenants/{id}/billing", get(|| async { Json(told(vec![drift(2, 9)])) }))
        .route(
            "/admin/v1/tenants/{id}/checkout",
            post(|Json(wanted): Json<Value>| async move {
                assert_eq!(wanted, json!({"plan": "pro", "price": "price_1"}));
                Json(json!({"url": "https://checkout.example/c", "expires_at": 77}))
            }),
        )
        .route("/admin/v1/tenants/{id}/portal", post(|| async { Json(json!({"url": "https://portal.example/p"})) }))
        .route(
            "/admin/v1/tenants/{id}",
            get(|State(it): State<Shared>| async move { Json(it.lock().unwrap().tenant.clone()) }),
        )
        .with_state(shared)
}

struct Stage {
    _home: cache_fixtures::Home,
    cache: Cache,
    server: Shared,
    desk: Desk,
}

async fn stage(write_mode: WriteMode) -> Stage {
    let home = home();
    let acme = tenant(1, "Acme", facts(Some(ago(1))), Some(3));
    let cache = filled(&home, std::slice::from_ref(&acme)).await;
    let drifts = vec![drift(1, 5)];
    let events = vec![event(1, InboxState::Failed, 5)];
    let kept = BillingKept {
        health: Some(serde_json::from_value(health(&drifts, &events, &[])).unwrap()),
        as_of: NOW,
        lists_at: NOW,
        unknown: 0,
    };
    cache.apply_billing(&kept, Some(&BillingLists { drifts, events, ..BillingLists::default() })).await.unwrap();
    let server = Shared::default();
    {
        let mut it = server.lock().unwrap();
        it.tenant = Some(acme);
        it.drifts.insert("drift_1".into());
        it.adjusts = true;
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router(server.clone())).into_future());
    let admin = AdminClient::new(&address, SecretString::from("pwt_test".to_owned())).unwrap();
    let desk = Desk::new(cache.clone(), Some(admin), write_mode);
    Stage { _home: home, cache, server, desk }
}

fn order(key: &str) -> RepairOrder {
    RepairOrder { drift_id: "drift_1".into(), reason: "Billing differed".into(), ticket: None, key: key.into() }
}

async fn known(stage: &Stage) -> bool {
    stage.cache.drift("drift_1").await.unwrap().is_some()
}

#[tokio::test]
async fn a_repair_shows_at_once_and_leaves_nothing_in_doubt() {
    let stage = stage(WriteMode::Review).await;
    assert!(!stage.desk.preview_repair("drift_1").await.unwrap().outcome.gone);
    assert!(known(&stage).await, "looking repairs nothing");
    let done = stage.desk.repair(&order("k1")).await.unwrap();
    let RepairDone::Made { repair: Some(made) } = done else { panic!("{done:?}") };
    assert!(made.adjustment.is_some());
    assert!(!known(&stage).await);
    assert!(stage.cache.unsettled_repairs().await.unwrap().is_empty());
    let activity = stage.cache.activity_page(ActivityView::Staff, "", None, None).await.unwrap();
    assert_eq!(activity.rows[0].entry.id, "adj_1");
    assert_eq!(stage.server.lock().unwrap().reasons[0].reason, "Billing differed");
    stage.cache.close().await;
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_under_the_same_key_and_the_repair_made_once() {
    let stage = stage(WriteMode::Review).await;
    stage.server.lock().unwrap().lines = [Line::BreaksAfter, Line::BreaksBefore].into();
    let done = stage.desk.repair(&order("k1")).await.unwrap();
    assert!(matches!(done, RepairDone::Made { repair: Some(_) }), "{done:?}");
    {
        let server = stage.server.lock().unwrap();
        assert_eq!((server.made.len(), server.sent), (1, 3));
    }
    stage.cache.close().await;
}

#[tokio::test]
async fn what_changed_no_tenant_is_told_by_the_drift_itself() {
    let stage = stage(WriteMode::Review).await;
    {
        let mut server = stage.server.lock().unwrap();
        server.adjusts = false;
        server.lines = [Line::BreaksAfter, Line::BreaksBefore, Line::BreaksBefore, Line::BreaksBefore].into();
        server.settling_breaks = true;
    }
    let failure = stage.desk.repair(&order("k1")).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::Unsettled { key: "k1".into() });
    let doubts = stage.cache.unsettled_repairs().await.unwrap();
    assert_eq!((doubts.len(), doubts[0].drift_id.as_str(), doubts[0].kind), (1, "drift_1", DriftKind::PaidButBlocked));

    // The server answers again: the drift is gone, so it was made.
    stage.server.lock().unwrap().settling_breaks = false;
    assert_eq!(stage.desk.settle_repair("k1").await.unwrap(), RepairDone::Made { repair: None });
    assert!(!known(&stage).await);
    assert!(stage.cache.unsettled_repairs().await.unwrap().is_empty());
    let again = stage.desk.settle_repair("k1").await.unwrap_err();
    assert_eq!(again.code, FailureCode::NotFound);
    stage.cache.close().await;
}

#[tokio::test]
async fn what_never_arrived_is_void_and_the_drift_stays() {
    let stage = stage(WriteMode::Review).await;
    stage.server.lock().unwrap().lines = vec![Line::BreaksBefore; 4].into();
    assert_eq!(stage.desk.repair(&order("k1")).await.unwrap(), RepairDone::NotMade);
    assert!(known(&stage).await);
    assert!(stage.server.lock().unwrap().void.contains("k1"), "a request still on its way makes nothing");
    let done = stage.desk.repair(&order("k2")).await.unwrap();
    assert!(matches!(done, RepairDone::Made { repair: Some(_) }), "{done:?}");
    stage.cache.close().await;
}

#[tokio::test]
async fn doubts_of_before_are_settled_with_the_next_contact() {
    let stage = stage(WriteMode::Review).await;
    let doubt = |key: &str, instance: &str| UnsettledRepair {
        key: key.into(),
        drift_id: "drift_1".into(),
        kind: DriftKind::PaidButBlocked,
        tenant_id: Some(tenant_id(1)),
        tenant_name: Some("Acme".into()),
        sent_at: Timestamp(5),
        instance: Some(instance.into()),
    };
    for it in [doubt("k1", "one"), doubt("k2", "another")] {
        stage.cache.insert_unsettled_repair(&it).await.unwrap();
    }
    stage.server.lock().unwrap().settling_breaks = true;
    let (settled, failed) = stage.desk.settle_repairs().await.unwrap();
    assert!(settled == 0 && failed.is_some());
    stage.server.lock().unwrap().settling_breaks = false;
    let (settled, failed) = stage.desk.settle_repairs().await.unwrap();
    assert_eq!((settled, failed), (2, None));
    assert!(stage.cache.unsettled_repairs().await.unwrap().is_empty());
    assert!(known(&stage).await, "neither was made");
    stage.cache.close().await;
}

#[tokio::test]
async fn a_drift_that_is_gone_is_no_failure() {
    let stage = stage(WriteMode::Review).await;
    stage.server.lock().unwrap().drifts.clear();
    assert!(stage.desk.preview_repair("drift_1").await.unwrap().outcome.gone);
    assert!(!known(&stage).await);
    // Gone between the preview and the order.
    stage.cache.apply_tenant_billing(&told(vec![drift(1, 5)])).await.unwrap();
    assert_eq!(stage.desk.repair(&order("k1")).await.unwrap(), RepairDone::Gone);
    assert!(!known(&stage).await);
    stage.cache.close().await;
}

#[tokio::test]
async fn what_stripe_did_not_answer_for_was_not_taken_over_and_is_in_no_doubt() {
    let stage = stage(WriteMode::Review).await;
    stage.server.lock().unwrap().stripe_away = true;
    let failure = stage.desk.repair(&order("k1")).await.unwrap_err();
    let FailureCode::Refused { problem } = failure.code else { panic!("{failure:?}") };
    assert_eq!(problem.code, ProblemCode::StripeUnavailable);
    assert_eq!(stage.server.lock().unwrap().sent, 1, "it is no lost answer, which would be sent again");
    assert_eq!(stage.cache.unsettled_repairs().await.unwrap(), []);
    assert!(known(&stage).await);
    // The same order is made as soon as Stripe answers.
    stage.server.lock().unwrap().stripe_away = false;
    assert!(matches!(stage.desk.repair(&order("k1")).await.unwrap(), RepairDone::Made { .. }));
    stage.cache.close().await;
}

#[tokio::test]
async fn a_profile_that_only_reads_changes_nothing() {
    let stage = stage(WriteMode::ReadOnly).await;
    let link = CheckoutOrder { tenant_id: tenant_id(1), plan: "pro".into(), price: None };
    for failure in [
        stage.desk.repair(&order("k1")).await.unwrap_err(),
        stage.desk.retry_event("evt_1").await.unwrap_err(),
        stage.desk.checkout_link(&link).await.unwrap_err(),
        stage.desk.portal_link(&tenant_id(1)).await.unwrap_err(),
    ] {
        assert_eq!(failure.code, FailureCode::ReadOnly);
    }
    assert_eq!(stage.server.lock().unwrap().sent, 0);
    stage.cache.close().await;
}

#[tokio::test]
async fn events_links_and_a_tenants_billing_come_from_the_server() {
    let stage = stage(WriteMode::Review).await;
    assert_eq!(stage.desk.retry_event("evt_1").await.unwrap().state, InboxState::Pending);
    assert_eq!(stage.cache.billing_view().await.unwrap().failed, 0, "it waits for its turn now");
    assert_eq!(stage.desk.portal_link(&tenant_id(1)).await.unwrap().url, "https://portal.example/p");

    let copy = stage.desk.tenant_billing(&tenant_id(1), false).await.unwrap();
    assert!(copy.told.is_none() && copy.drifts[0].id == "drift_1");
    let asked = stage.desk.tenant_billing(&tenant_id(1), true).await.unwrap();
    assert_eq!(asked.told.unwrap().customer.as_deref(), Some("cus_1"));
    assert!(asked.drifts.is_empty(), "the server knows no more of the one that was here");
    // What was asked for stays, with its age.
    assert_eq!(stage.desk.tenant_billing(&tenant_id(1), false).await.unwrap().told.unwrap().as_of, NOW);
    stage.cache.close().await;
}

#[tokio::test]
async fn with_a_link_to_checkout_the_tenants_sessions_are_read_anew() {
    let stage = stage(WriteMode::Review).await;
    let link = CheckoutOrder { tenant_id: tenant_id(1), plan: "pro".into(), price: Some("price_1".into()) };
    assert_eq!(stage.desk.checkout_link(&link).await.unwrap().expires_at, Timestamp(77));
    let copy = stage.desk.tenant_billing(&tenant_id(1), false).await.unwrap();
    assert!(copy.told.is_some(), "the copy would say that the one before is open");
    stage.cache.close().await;
}
