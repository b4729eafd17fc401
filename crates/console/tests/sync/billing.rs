//! How billing is, as the sync hears it, keeps it and lists it.

use std::time::Duration;

use crate::billing_fixtures::{drift, event, health, stuck, tenant_id, undelivered};
use crate::fakes::{Copy, Fake, Served, by_hand, pass, quick, source};
use paywall_console::ipc::{BillingCopy, DriftQuery, EventQuery, FailureCode, Source, SourceState};
use paywall_console::sync::SyncEngine;
use paywall_contract::{InboxEvent, InboxState, KnownDrift, StuckAt, StuckConversion};
use paywall_domain::billing::DriftKind;
use serde_json::json;

fn tell(fake: &mut Fake, drifts: &[KnownDrift], events: &[InboxEvent], stuck: &[StuckConversion]) {
    fake.billing = Some(health(drifts, events, stuck));
    let list = |rows: serde_json::Value| rows.as_array().unwrap().clone();
    fake.billing_lists.insert("drifts".into(), list(json!(drifts)));
    fake.billing_lists.insert("events".into(), list(json!(events)));
    fake.billing_lists.insert("conversions".into(), list(json!(stuck)));
}

/// Waits until the copy says so, for at most a minute: the machine may be busy.
async fn until(copy: &Copy, what: &str, holds: impl Fn(&paywall_console::ipc::BillingView) -> bool) {
    let begun = std::time::Instant::now();
    loop {
        let view = copy.cache.billing_view().await.unwrap();
        if holds(&view) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{what} never came: {view:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn opened(server: &Served, copy: &Copy) -> SyncEngine {
    let engine = copy.engine(Some(server), None, by_hand()).await;
    until(copy, "billing", |view| view.copy != BillingCopy::Never).await;
    engine
}

#[tokio::test(flavor = "multi_thread")]
async fn all_pages_of_every_list_come_and_stay_offline_with_their_age() {
    let server = Served::start().await;
    // More than two pages; the oldest last, to see the order.
    let mut drifts: Vec<KnownDrift> = (1..=1203).map(|n| drift(n, 10_000 - i64::from(n))).collect();
    drifts.push(undelivered(1));
    let events = [
        event(1, InboxState::Parked, 50),
        event(2, InboxState::Failed, 70),
        event(3, InboxState::Failed, 60),
        // One that only waits for its turn needs nobody.
        event(4, InboxState::Pending, 80),
    ];
    let conversions = [
        stuck(1, StuckAt::PaidNotUnblocked, 9, Some("drift_1")),
        stuck(2, StuckAt::PaidNotUnblocked, 5, None),
        stuck(3, StuckAt::CheckoutOpen, 7, None),
    ];
    server.with(|fake| tell(fake, &drifts, &events, &conversions));
    let copy = Copy::new().await;
    let engine = opened(&server, &copy).await;

    let view = copy.cache.billing_view().await.unwrap();
    assert_eq!((view.copy, view.failure), (BillingCopy::Known, None));
    assert_eq!((view.drifts, view.parked, view.failed, view.conversions), (1204, 1, 2, 3));
    assert_eq!(view.paid_unnoticed, 1, "who is paid and locked out without a drift");
    assert_eq!(view.as_of, view.health.map(|it| it.as_of));
    assert!(server.count("/admin/v1/billing/drifts") >= 3);

    // Page by page, each drift once, the gravest kind first and of it the oldest.
    let (mut ids, mut cursor) = (Vec::new(), None);
    loop {
        let query = DriftQuery { cursor: cursor.clone(), limit: 500, kind: None };
        let page = copy.cache.drifts_page(&query).await.unwrap();
        assert_eq!(page.total, cursor.is_none().then_some(1204));
        ids.extend(page.rows.into_iter().map(|it| it.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((ids.len(), ids.first().unwrap().as_str()), (1204, "drift_1203"));
    assert_eq!(ids.last().unwrap(), "drift_undelivered", "the account's kind comes after the graver one");
    let only = DriftQuery { kind: Some(DriftKind::UndeliveredEvents), limit: 10, cursor: None };
    assert_eq!(copy.cache.drifts_page(&only).await.unwrap().total, Some(1));

    let all = EventQuery { limit: 2, ..EventQuery::default() };
    let first = copy.cache.billing_events_page(&all).await.unwrap();
    assert_eq!(first.rows.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["evt_2", "evt_3"]);
    let rest = copy.cache.billing_events_page(&EventQuery { cursor: first.next, ..all }).await.unwrap();
    assert_eq!((rest.rows.len(), rest.next), (1, None));
    let failed = EventQuery { state: Some(InboxState::Failed), limit: 10, cursor: None };
    assert_eq!(copy.cache.billing_events_page(&failed).await.unwrap().total, Some(2));
    let stuck = copy.cache.conversions_page(None, 10).await.unwrap();
    assert_eq!(stuck.rows.iter().map(|it| it.since.0).collect::<Vec<_>>(), [5, 7, 9]);

    let own = copy.cache.tenant_billing_view(&tenant_id(1)).await.unwrap();
    assert_eq!((own.drifts.len(), own.conversions.len(), own.told), (1, 1, None));
    engine.stop().await;

    // Offline it is all still here, with the age that it had.
    let offline = copy.engine(None, None, by_hand()).await;
    let later = copy.cache.billing_view().await.unwrap();
    assert_eq!((later.drifts, later.as_of), (1204, view.as_of));
    offline.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_at_the_server_goes_here_and_screens_are_told() {
    let server = Served::start().await;
    let all = [drift(1, 5), drift(2, 6)];
    server.with(|fake| tell(fake, &all, &[event(1, InboxState::Failed, 5)], &[]));
    let copy = Copy::new().await;
    let engine = opened(&server, &copy).await;
    let told = copy.counter.data.load(std::sync::atomic::Ordering::SeqCst);

    server.with(|fake| tell(fake, &all[1..], &[], &[stuck(2, StuckAt::CheckoutOpen, 3, None)]));
    pass(&engine, Source::Server).await;
    until(&copy, "the news", |view| view.drifts == 1 && view.failed == 0 && view.conversions == 1).await;
    assert!(copy.cache.drift("drift_1").await.unwrap().is_none());
    let begun = std::time::Instant::now();
    while copy.counter.data.load(std::sync::atomic::Ordering::SeqCst) == told {
        assert!(begun.elapsed() < Duration::from_secs(60), "nobody was told");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_not_read_again_while_they_count_the_same() {
    let server = Served::start().await;
    server.with(|fake| tell(fake, &[drift(1, 5)], &[], &[]));
    let copy = Copy::new().await;
    let engine = copy.engine(Some(&server), None, quick()).await;
    until(&copy, "billing", |view| view.drifts == 1).await;
    let begun = std::time::Instant::now();
    while server.count("/admin/v1/billing?")
        + server.with(|it| it.asked.iter().filter(|at| *at == "/admin/v1/billing").count())
        < 4
    {
        assert!(begun.elapsed() < Duration::from_secs(60), "no further pass");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.count("/admin/v1/billing/drifts"), 1);
    assert_eq!(server.count("/admin/v1/billing/events"), 0, "what is empty is not asked for");
    // Another one: the counts differ, and the list is read at once.
    server.with(|fake| tell(fake, &[drift(1, 5), drift(2, 6)], &[], &[]));
    until(&copy, "the second", |view| view.drifts == 2).await;
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_billing_is_no_failure() {
    let server = Served::start().await;
    let copy = Copy::new().await;
    let engine = opened(&server, &copy).await;
    let view = copy.cache.billing_view().await.unwrap();
    assert_eq!((view.copy, view.failure, view.health), (BillingCopy::NotOffered, None, None));
    assert_eq!(source(&engine, Source::Server).failure, None);

    // Updated, and not given a key yet.
    server.with(|fake| {
        tell(fake, &[], &[], &[]);
        fake.billing.as_mut().unwrap()["stripe"] = json!({"state": "not_configured"});
    });
    pass(&engine, Source::Server).await;
    until(&copy, "its word", |view| view.copy == BillingCopy::NotConfigured).await;
    assert_eq!(server.count("/admin/v1/billing/"), 0, "nothing is listed where nobody bills");

    // And with one; then the key is taken away again: what was listed goes.
    server.with(|fake| tell(fake, &[drift(1, 5)], &[], &[]));
    pass(&engine, Source::Server).await;
    until(&copy, "a drift", |view| view.copy == BillingCopy::Known && view.drifts == 1).await;
    server.with(|fake| fake.billing.as_mut().unwrap()["stripe"] = json!({"state": "not_configured"}));
    pass(&engine, Source::Server).await;
    until(&copy, "its end", |view| view.copy == BillingCopy::NotConfigured && view.drifts == 0).await;
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_keeps_what_was_and_says_why() {
    let server = Served::start().await;
    server.with(|fake| tell(fake, &[drift(1, 5)], &[], &[]));
    let copy = Copy::new().await;
    let engine = opened(&server, &copy).await;
    let before = copy.cache.billing_view().await.unwrap();

    // The health comes, a list does not: nothing of the lists is written.
    let problem = json!({"type": "urn:paywall:problem:internal", "title": "internal", "status": 500,
        "code": "internal", "detail": "no", "request_id": "req_1"});
    server.with(|fake| {
        tell(fake, &[drift(1, 5), drift(2, 6)], &[], &[]);
        fake.spoilt.insert("/admin/v1/billing/drifts".into(), (500, problem));
    });
    pass(&engine, Source::Server).await;
    until(&copy, "the failure", |view| view.failure.is_some()).await;
    let view = copy.cache.billing_view().await.unwrap();
    assert_eq!(view.failure.unwrap().code, FailureCode::ServerFault);
    assert_eq!((view.drifts, before.health.unwrap().drifts[0].count), (1, 1), "the list that was read stays");
    // How billing is was said all the same.
    assert_eq!(view.health.unwrap().drifts[0].count, 2);
    // The server itself is read all the same.
    assert_eq!(source(&engine, Source::Server).state, SourceState::Current);

    server.with(|fake| fake.spoilt.clear());
    pass(&engine, Source::Server).await;
    until(&copy, "the recovery", |view| view.failure.is_none() && view.drifts == 2).await;
    engine.stop().await;

    // Another database answers: what this one said of billing is not its.
    server.with(|fake| {
        fake.instance = "two".into();
        tell(fake, &[], &[], &[]);
    });
    let engine = copy.engine(Some(&server), None, by_hand()).await;
    pass(&engine, Source::Server).await;
    until(&copy, "the other's word", |view| view.copy == BillingCopy::Known && view.drifts == 0).await;
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_proxy_says_nothing_of_what_the_server_has() {
    let server = Served::start().await;
    server.with(|fake| tell(fake, &[drift(1, 5)], &[], &[]));
    let copy = Copy::new().await;
    let engine = opened(&server, &copy).await;

    // The server is exchanged for a newer one, and whoever stands before it answers meanwhile.
    server.with(|fake| {
        fake.spoilt.insert("/admin/v1/billing".into(), (404, json!("<html>no such page</html>")));
    });
    pass(&engine, Source::Server).await;
    until(&copy, "the failure", |view| view.failure.is_some()).await;
    let view = copy.cache.billing_view().await.unwrap();
    assert_eq!((view.copy, view.drifts), (BillingCopy::Known, 1));
    assert_eq!(view.failure.unwrap().code, FailureCode::NotPaywallServer);
    server.with(|fake| fake.spoilt.clear());

    // One that says itself that it has none is older; what it said before is here again once it is back.
    server.with(|fake| fake.billing = None);
    pass(&engine, Source::Server).await;
    until(&copy, "its word", |view| view.copy == BillingCopy::NotOffered).await;
    assert_eq!(copy.cache.tenant_billing_view(&tenant_id(1)).await.unwrap().drifts, []);
    server.with(|fake| tell(fake, &[drift(1, 5)], &[], &[]));
    pass(&engine, Source::Server).await;
    until(&copy, "billing", |view| view.copy == BillingCopy::Known && view.drifts == 1).await;
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_of_a_newer_server_costs_its_row_and_nothing_else() {
    let server = Served::start().await;
    server.with(|fake| {
        tell(fake, &[drift(1, 5)], &[], &[]);
        let counts = fake.billing.as_mut().unwrap()["drifts"].as_array_mut().unwrap();
        counts.push(json!({"kind": "moon_phase_differs", "count": 1, "oldest_since": 5, "at_stake": []}));
        let mut newer = json!(drift(2, 5));
        newer["drift"]["body"] = json!({"kind": "moon_phase_differs", "moon": "full"});
        fake.billing_lists.get_mut("drifts").unwrap().push(newer);
    });
    let copy = Copy::new().await;
    let engine = opened(&server, &copy).await;
    until(&copy, "the one that is known", |view| view.drifts == 1).await;
    let view = copy.cache.billing_view().await.unwrap();
    assert_eq!((view.copy, view.failure, view.unknown), (BillingCopy::Known, None, 1));
    assert_eq!(view.health.unwrap().drifts.len(), 1);
    engine.stop().await;
    copy.cache.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_do_not_get_on_are_listed_too() {
    let server = Served::start().await;
    let events = [event(1, InboxState::Pending, 50), event(2, InboxState::Failed, 70)];
    let waiting = |minutes: i64| {
        let events = events.clone();
        move |fake: &mut Fake| {
            tell(fake, &[], &events, &[]);
            let health = fake.billing.as_mut().unwrap();
            health["inbox"]["pending"] = json!(1);
            health["inbox"]["oldest_pending_at"] = json!(chrono::Utc::now().timestamp_millis() - minutes * 60_000);
        }
    };
    server.with(waiting(2));
    let copy = Copy::new().await;
    let engine = opened(&server, &copy).await;
    until(&copy, "the failed one", |view| view.failed == 1).await;
    assert_eq!(copy.cache.billing_view().await.unwrap().waiting, 0, "it is not its turn yet");
    server.with(waiting(30));
    pass(&engine, Source::Server).await;
    until(&copy, "the one that waits", |view| view.waiting == 1).await;
    let query = EventQuery { state: Some(InboxState::Pending), limit: 10, cursor: None };
    assert_eq!(copy.cache.billing_events_page(&query).await.unwrap().rows[0].id, "evt_1");
    server.with(waiting(2));
    pass(&engine, Source::Server).await;
    until(&copy, "its turn", |view| view.waiting == 0 && view.failed == 1).await;
    engine.stop().await;
    copy.cache.close().await;
}
