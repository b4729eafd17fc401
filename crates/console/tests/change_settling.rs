//! Changes whose answer is lost on the way: made once, and never in doubt for long.
#![allow(clippy::unwrap_used, clippy::duplicate_mod)]

mod broken_line;
mod cache_fixtures;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use broken_line::{Line, broken, problem};
use cache_fixtures::{NOW, ago, extend, facts, filled, home, id, tenant};
use paywall_console::admin_client::AdminClient;
use paywall_console::cache::Cache;
use paywall_console::change::Desk;
use paywall_console::ipc::{
    ActivityView, ChangeOrder, FailureCode, Mode, PreviewRequest, ProfileDraft, Settled, Source, UndoOrder,
    UnsettledChange, WriteMode,
};
use paywall_console::observer::Unobserved;
use paywall_console::vault::Vault;
use paywall_console::{Console, ConsoleOptions, Home};
use paywall_contract::{Adjustment, AdjustmentOutcome, Settlement, Tenant, TimelineBody};
use paywall_domain::{Change, Trial};
use secrecy::SecretString;
use serde_json::{Value, json};

#[derive(Default)]
struct Server {
    tenant: Option<Tenant>,
    made: BTreeMap<String, Adjustment>,
    void: BTreeSet<String>,
    lines: VecDeque<Line>,
    settling_breaks: bool,
    asked: Vec<String>,
}

type Shared = Arc<Mutex<Server>>;

impl Server {
    fn outcome(&self, adjustment: Option<Adjustment>) -> AdjustmentOutcome {
        let made = adjustment.clone().unwrap_or_else(|| self.adjustment(extend()));
        let version = self.tenant.as_ref().unwrap().version;
        AdjustmentOutcome {
            adjustment,
            before: made.before,
            after: made.after,
            stripe_writes: vec![],
            version,
            seq: version,
            now: NOW,
        }
    }

    fn adjustment(&self, change: Change) -> Adjustment {
        let after = self.tenant.as_ref().unwrap().facts.clone();
        let name = format!("adj_{}", self.made.len() + 1);
        let entry = cache_fixtures::adjustment(&name, 1, NOW, "Mia", change, after);
        match entry.body {
            TimelineBody::Adjustment { adjustment } => *adjustment,
            _ => unreachable!(),
        }
    }

    fn make(&mut self, key: &str, undoes: Option<String>) -> Adjustment {
        let tenant = self.tenant.as_mut().unwrap();
        tenant.version += 1;
        let trial =
            tenant.facts.trial.get_or_insert(Trial { started_at: NOW, ends_at: NOW, extensions: 0, extended_ms: 0 });
        trial.extensions += 1;
        let adjustment = Adjustment { undoes, ..self.adjustment(extend()) };
        self.made.insert(key.to_owned(), adjustment.clone());
        adjustment
    }
}

fn change(shared: &Shared, query: &BTreeMap<String, String>, headers: &HeaderMap, undoes: Option<String>) -> Response {
    let mut server = shared.lock().unwrap();
    if query.contains_key("dry_run") {
        return Json(server.outcome(None)).into_response();
    }
    let key = headers["Idempotency-Key"].to_str().unwrap().to_owned();
    server.asked.push(format!("change {key}"));
    if server.void.contains(&key) {
        return problem(422, "idempotency_key_void");
    }
    let line = server.lines.pop_front();
    if line == Some(Line::BreaksBefore) {
        return broken();
    }
    let adjustment = match server.made.get(&key) {
        Some(known) => known.clone(),
        None => server.make(&key, undoes),
    };
    if line == Some(Line::BreaksAfter) { broken() } else { Json(server.outcome(Some(adjustment))).into_response() }
}

fn router(shared: Shared) -> axum::Router {
    type Params = Query<BTreeMap<String, String>>;
    axum::Router::new()
        .route(
            "/admin/v1/tenants/{id}/adjustments",
            post(|State(it): State<Shared>, Query(query): Params, headers: HeaderMap, _: Json<Value>| async move {
                change(&it, &query, &headers, None)
            }),
        )
        .route(
            "/admin/v1/adjustments/{id}/undo",
            post(
                |State(it): State<Shared>, Path(id): Path<String>, Query(query): Params, headers: HeaderMap| async move {
                    change(&it, &query, &headers, Some(id))
                },
            ),
        )
        .route(
            "/admin/v1/me",
            get(|| async {
                Json(json!({"product": "paywall-server", "version": "0.1.0", "api_version": "1.0", "instance": "one",
                    "now": NOW, "token_id": "t1", "name": "Mia", "role": "support", "expires_at": null}))
            }),
        )
        .route(
            "/admin/v1/changes",
            get(|State(it): State<Shared>| async move {
                Json(cache_fixtures::feed_of(&[it.lock().unwrap().tenant.clone().unwrap()]))
            }),
        )
        .route(
            "/admin/v1/tenants/{id}",
            get(|State(it): State<Shared>| async move { Json(it.lock().unwrap().tenant.clone()) }),
        )
        .route(
            "/admin/v1/keys/{key}/settle",
            post(|State(it): State<Shared>, Path(key): Path<String>, Query(query): Query<BTreeMap<String, String>>| async move {
                let mut server = it.lock().unwrap();
                server.asked.push(format!("settle {key}"));
                if server.settling_breaks {
                    return broken();
                }
                if query.get("instance").is_some_and(|instance| instance != "one") {
                    return problem(409, "other_instance");
                }
                let adjustment = server.made.get(&key).cloned();
                if adjustment.is_none() {
                    server.void.insert(key);
                }
                Json(Settlement { adjustment }).into_response()
            }),
        )
        .with_state(shared)
}

struct Stage {
    address: String,
    _home: cache_fixtures::Home,
    cache: Cache,
    server: Shared,
    desk: Desk,
}

fn client(address: &str) -> AdminClient {
    AdminClient::new(address, SecretString::from("pwt_test".to_owned())).unwrap()
}

async fn stage(write_mode: WriteMode) -> Stage {
    let home = home();
    let acme = tenant(1, "Acme", facts(Some(ago(1))), Some(3));
    let cache = filled(&home, std::slice::from_ref(&acme)).await;
    let server = Shared::default();
    server.lock().unwrap().tenant = Some(acme);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router(server.clone())).into_future());
    let desk = Desk::new(cache.clone(), Some(client(&address)), write_mode);
    Stage { address, _home: home, cache, server, desk }
}

fn order(key: &str) -> ChangeOrder {
    ChangeOrder {
        tenant_id: id(1),
        change: extend(),
        reason: "evaluation delayed".into(),
        ticket: None,
        version: 1,
        key: key.into(),
    }
}

fn unsettled(key: &str) -> UnsettledChange {
    UnsettledChange {
        key: key.into(),
        tenant_id: id(1),
        tenant_name: "Acme".into(),
        change: extend(),
        sent_at: NOW,
        instance: None,
        undoes: None,
    }
}

#[tokio::test]
async fn a_change_shows_in_the_copy_at_once() {
    let stage = stage(WriteMode::Review).await;
    let preview = stage.desk.preview(&PreviewRequest { tenant_id: id(1), change: extend() }).await.unwrap();
    assert!(!preview.changed_since_copy);
    let done = stage.desk.apply(&order("k1")).await.unwrap();
    assert!(!done.settled);
    let copied = stage.cache.tenant(&id(1)).await.unwrap().unwrap();
    assert_eq!(
        copied.facts.trial.unwrap().extensions,
        stage.server.lock().unwrap().tenant.clone().unwrap().facts.trial.unwrap().extensions
    );
    let page = stage.cache.timeline_page(&id(1), Some("Mia"), None).await.unwrap();
    assert_eq!(page.rows[0].entry.id, done.adjustment.id);
    assert!(stage.cache.unsettled_changes().await.unwrap().is_empty());

    // The same order again, as a second click sends it, changes nothing more.
    let again = stage.desk.apply(&order("k1")).await.unwrap();
    assert_eq!(again.adjustment.id, done.adjustment.id);
    assert_eq!(stage.server.lock().unwrap().made.len(), 1);

    let undo = UndoOrder { adjustment_id: done.adjustment.id.clone(), reason: String::new(), key: "k2".into() };
    let undone = stage.desk.undo(&undo).await.unwrap();
    assert_eq!(undone.adjustment.undoes, Some(done.adjustment.id));
    stage.cache.close().await;
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_and_the_change_is_made_once() {
    for lines in [vec![Line::BreaksAfter], vec![Line::BreaksBefore], vec![Line::BreaksAfter; 3]] {
        let stage = stage(WriteMode::Review).await;
        stage.server.lock().unwrap().lines = lines.into();
        let done = stage.desk.apply(&order("k1")).await.unwrap();
        assert!(done.settled);
        assert_eq!(stage.server.lock().unwrap().made.len(), 1);
        assert!(stage.cache.unsettled_changes().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_line_that_stays_broken_is_settled_by_the_key() {
    let stage = stage(WriteMode::Review).await;
    stage.server.lock().unwrap().lines = vec![Line::BreaksAfter; 4].into();
    let done = stage.desk.apply(&order("k1")).await.unwrap();
    assert!(done.settled);
    assert_eq!(stage.server.lock().unwrap().made.len(), 1);

    stage.server.lock().unwrap().lines = vec![Line::BreaksBefore; 4].into();
    let refused = stage.desk.apply(&order("k2")).await.unwrap_err();
    assert_eq!(refused.code, FailureCode::NotMade);
    let (void, made) = {
        let server = stage.server.lock().unwrap();
        (server.void.contains("k2"), server.made.len())
    };
    assert!(void, "what is still on its way cannot make it later");
    assert_eq!(made, 1);
    stage.cache.close().await;
}

#[tokio::test]
async fn what_cannot_be_settled_stays_noted_and_is_settled_at_the_next_contact() {
    let stage = stage(WriteMode::Review).await;
    stage.server.lock().unwrap().lines = vec![Line::BreaksAfter; 4].into();
    stage.server.lock().unwrap().settling_breaks = true;
    let doubt = stage.desk.apply(&order("k1")).await.unwrap_err();
    assert_eq!(doubt.code, FailureCode::Unsettled { key: "k1".into() });
    assert_eq!(stage.cache.unsettled_changes().await.unwrap()[0].key, "k1");
    let (settled, failed) = stage.desk.settle_pending().await.unwrap();
    assert!(settled.is_empty() && failed.is_some());
    assert_eq!(stage.cache.unsettled_changes().await.unwrap().len(), 1);

    stage.server.lock().unwrap().settling_breaks = false;
    let (settled, failed) = stage.desk.settle_pending().await.unwrap();
    assert!(matches!(settled[0].settled, Settled::Made { .. }) && failed.is_none());
    assert!(stage.cache.unsettled_changes().await.unwrap().is_empty());
    assert_eq!(stage.server.lock().unwrap().made.len(), 1);
    let page = stage.cache.timeline_page(&id(1), None, None).await.unwrap();
    assert_eq!(page.rows.len(), 1, "the change that was in doubt shows");
    stage.cache.close().await;
}

#[tokio::test]
async fn a_doubt_that_a_killed_process_left_is_settled_not_sent_again() {
    let stage = stage(WriteMode::Review).await;
    stage.server.lock().unwrap().make("reached", None);
    stage.cache.insert_unsettled(&unsettled("reached")).await.unwrap();
    stage.cache.insert_unsettled(&unsettled("never")).await.unwrap();
    assert_eq!(stage.desk.settle_pending().await.unwrap().0.len(), 2);
    {
        let server = stage.server.lock().unwrap();
        assert!(server.asked.iter().all(|it| it.starts_with("settle")), "{:?}", server.asked);
        assert_eq!(server.made.len(), 1);
    }
    // What is settled is not asked again: it was told, and without its note nobody knows whom to ask.
    assert_eq!(stage.desk.settle("never").await.unwrap_err().code, FailureCode::NotFound);
    stage.cache.insert_unsettled(&unsettled("reached")).await.unwrap();
    assert!(matches!(stage.desk.settle("reached").await.unwrap(), Settled::Made { .. }));
    stage.cache.close().await;
}

#[tokio::test]
async fn what_was_sent_to_another_database_is_not_called_unmade() {
    let stage = stage(WriteMode::Review).await;
    let elsewhere = UnsettledChange { instance: Some("another".into()), ..unsettled("k1") };
    stage.cache.insert_unsettled(&elsewhere).await.unwrap();
    let (settled, failed) = stage.desk.settle_pending().await.unwrap();
    assert_eq!((settled[0].settled.clone(), failed), (Settled::OtherDatabase, None));
    assert!(stage.server.lock().unwrap().void.is_empty(), "the key says nothing there");
    assert!(stage.cache.unsettled_changes().await.unwrap().is_empty());
    stage.cache.close().await;
}

#[tokio::test]
async fn a_refusal_is_told_and_leaves_no_doubt() {
    let stage = stage(WriteMode::Review).await;
    stage.server.lock().unwrap().void.insert("old".into());
    let refused = stage.desk.apply(&order("old")).await.unwrap_err();
    assert!(matches!(refused.code, FailureCode::Refused { .. }), "{refused:?}");
    assert!(stage.cache.unsettled_changes().await.unwrap().is_empty());
    stage.cache.close().await;
}

#[tokio::test]
async fn a_profile_that_only_reads_changes_nothing() {
    let stage = stage(WriteMode::ReadOnly).await;
    assert_eq!(stage.desk.apply(&order("k1")).await.unwrap_err().code, FailureCode::ReadOnly);
    let request = PreviewRequest { tenant_id: id(1), change: extend() };
    assert_eq!(stage.desk.preview(&request).await.unwrap_err().code, FailureCode::ReadOnly);
    let undo = UndoOrder { adjustment_id: "adj_1".into(), reason: String::new(), key: "k2".into() };
    assert_eq!(stage.desk.undo(&undo).await.unwrap_err().code, FailureCode::ReadOnly);
    assert!(stage.server.lock().unwrap().asked.is_empty());
    stage.cache.close().await;
}

#[tokio::test]
async fn offline_a_change_is_refused_and_nothing_is_queued() {
    let stage = stage(WriteMode::Review).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let desk = Desk::new(stage.cache.clone(), Some(client(&address)), WriteMode::Review);
    let refused = desk.apply(&order("k1")).await.unwrap_err();
    assert_eq!(refused.code, FailureCode::Unreachable { source: Source::Server });
    assert!(stage.cache.unsettled_changes().await.unwrap().is_empty());
    stage.cache.close().await;
}

/// A console over a home, with a profile that leads to `address`; opened.
async fn console(home: &std::path::Path, vault: &Vault, address: &str) -> Console {
    let options = ConsoleOptions {
        home: Home::at(home),
        app_id: "unused".into(),
        version: "1.0.0".into(),
        observer: Arc::new(Unobserved),
    };
    let console = Console::start_with_vault(options, vault.clone()).await.unwrap();
    if console.app_state().await.profiles.is_empty() {
        let body = format!("pwt_{}", "a".repeat(43));
        let draft = ProfileDraft {
            id: None,
            name: "Staging".into(),
            mode: Mode::Test,
            write_mode: WriteMode::Review,
            server_url: address.to_owned(),
            server_token: Some(format!("{body}{}", paywall_contract::token::checksum(&body))),
            stripe_url: None,
            stripe_key: None,
            session_only: false,
            accepted: vec![],
        };
        let saved = console.profile_save(draft).await.unwrap();
        console.profile_open(&saved.id).await.unwrap();
    } else {
        console.open_last().await;
    }
    console
}

async fn until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    for _ in 0..500 {
        if holds().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("it never came that {what}");
}

#[tokio::test]
async fn a_console_settles_by_itself_what_an_earlier_one_left_in_doubt() {
    let stage = stage(WriteMode::Review).await;
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::with_store("test", keyring_core::mock::Store::new().unwrap());
    let first = console(folder.path(), &vault, &stage.address).await;
    until("the tenant is in the copy", || async { first.tenant_detail(&id(1)).await.is_ok() }).await;
    until("the token's name is known", || async { first.app_state().await.profiles[0].caller.is_some() }).await;
    stage.server.lock().unwrap().lines = vec![Line::BreaksAfter; 4].into();
    stage.server.lock().unwrap().settling_breaks = true;
    let doubt = first.change_apply(&order("k1")).await.unwrap_err();
    assert_eq!(doubt.code, FailureCode::Unsettled { key: "k1".into() });
    let shown = first.activity_page(ActivityView::All, "", None).await.unwrap();
    assert_eq!(shown.unsettled[0].key, "k1");
    // An emptied copy is no way to forget it.
    let open = first.app_state().await.open.unwrap();
    first.cache_clear(&open).await.unwrap();
    assert_eq!(first.activity_page(ActivityView::All, "", None).await.unwrap().unsettled[0].key, "k1");
    first.shutdown().await;
    drop(first);

    stage.server.lock().unwrap().settling_breaks = false;
    let second = console(folder.path(), &vault, &stage.address).await;
    until("nothing is in doubt", || async {
        second.activity_page(ActivityView::All, "", None).await.unwrap().unsettled.is_empty()
    })
    .await;
    assert_eq!(stage.server.lock().unwrap().made.len(), 1);
    let shown = second.timeline_page(&id(1), None).await.unwrap();
    assert!(shown.rows[0].mine, "the change shows as this token's own");
    second.shutdown().await;
    stage.cache.close().await;
}
