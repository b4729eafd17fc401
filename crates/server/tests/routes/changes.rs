//! The feed misses nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use paywall_contract::{ChangeRecord, Tenant};
use serde_json::json;

use crate::app::{Database, Place, TestApp, extend, id, trying};

on_each_database! {
    nothing_is_missed_under_sixteen_writers,
    an_undone_adjustment_and_a_passed_trial_come_again,
    the_cursor_of_another_database_is_refused,
    a_cursor_of_what_a_backup_does_not_know_is_refused,
    a_tenant_carries_its_place_in_the_feed_everywhere,
}

#[derive(Default)]
pub(crate) struct Mirror {
    pub(crate) tenants: BTreeMap<String, Tenant>,
    pub(crate) entries: BTreeSet<String>,
    plans: BTreeSet<String>,
    pub(crate) cursor: Option<String>,
}

impl Mirror {
    pub(crate) async fn read_on(&mut self, app: &TestApp, limit: u32) {
        loop {
            let page = app.changes(self.cursor.as_deref(), limit).await;
            for record in page.changes {
                match record {
                    ChangeRecord::Plan(plan) => {
                        self.plans.insert(plan.id.as_str().to_owned());
                    }
                    ChangeRecord::Tenant(tenant) => {
                        let before = self.tenants.get(tenant.id.as_str()).map_or(0, |it| it.seq);
                        assert!(tenant.seq > before, "what comes again is newer");
                        assert!(self.plans.contains(tenant.facts.plan.as_str()), "plans come first");
                        self.tenants.insert(tenant.id.as_str().to_owned(), *tenant);
                    }
                    ChangeRecord::Entry(entry) => {
                        self.entries.insert(entry.id);
                    }
                }
            }
            self.cursor = Some(page.cursor);
            if !page.has_more {
                assert_eq!(page.remaining, 0);
                return;
            }
        }
    }
}

async fn nothing_is_missed_under_sixteen_writers(on: Database) {
    let app = Arc::new(on.with((1..=64).map(|n| trying(n, "T", 5)).collect()).await);
    let writers: Vec<_> = (0..16_u32)
        .map(|writer| {
            let app = app.clone();
            tokio::spawn(async move {
                for round in 0..8_u32 {
                    let number = (writer * 7 + round * 13) % 64 + 1;
                    let key = format!("{writer}-{round}");
                    loop {
                        let version = app.tenant(number).await.version;
                        if app.change_at(number, &key, version, extend(1)).await.status().is_success() {
                            break;
                        }
                    }
                }
            })
        })
        .collect();
    let mut mirror = Mirror::default();
    while writers.iter().any(|writer| !writer.is_finished()) {
        mirror.read_on(&app, 7).await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    mirror.read_on(&app, 7).await;
    assert_eq!(mirror.entries.len(), 16 * 8);
    assert_eq!(mirror.tenants.len(), 64);
    for number in 1..=64 {
        assert_eq!(mirror.tenants[id(number).as_str()].facts, app.tenant(number).await.facts);
    }
}

async fn an_undone_adjustment_and_a_passed_trial_come_again(on: Database) {
    let app = on.with(vec![trying(1, "One", 2)]).await;
    let mut mirror = Mirror::default();
    mirror.read_on(&app, 1).await;
    assert_eq!(mirror.plans.len(), 3);
    assert_eq!(mirror.tenants.len(), 1);

    let made: serde_json::Value = app.change(1, "k1", json!({"kind": "note"})).await.json().await.unwrap();
    let page = app.changes(mirror.cursor.as_deref(), 10).await;
    assert_eq!(page.changes.len(), 1, "a note changes no tenant");
    app.undo(made["adjustment"]["id"].as_str().unwrap(), "k2").await;
    let page = app.changes(Some(&page.cursor), 10).await;
    assert_eq!(page.changes.len(), 2, "the undo, and the note marked as undone");

    app.clock.advance_ms(3 * paywall_domain::DAY_MS);
    let page = app.changes(Some(&page.cursor), 10).await;
    assert!(
        page.changes
            .iter()
            .any(|it| matches!(it, ChangeRecord::Tenant(tenant) if tenant.status == paywall_domain::Status::Expired))
    );
    assert!(page.changes.iter().any(|it| matches!(it, ChangeRecord::Entry(_))));
    assert_eq!(app.changes(Some(&page.cursor), 10).await.changes, []);
    app.stop().await;
}

async fn the_cursor_of_another_database_is_refused(on: Database) {
    let (one, two) = (on.start().await, on.start().await);
    let cursor = one.changes(None, 10).await.cursor;
    let path = format!("/admin/v1/changes?after={cursor}");
    let response = two.request(paywall_domain::Role::Viewer, reqwest::Method::GET, &path).send().await.unwrap();
    assert_eq!(response.json::<serde_json::Value>().await.unwrap()["code"], "invalid_cursor");
    one.stop().await;
    two.stop().await;
}

pub(crate) async fn refused(app: &TestApp, cursor: &str) -> bool {
    let path = format!("/admin/v1/changes?after={cursor}");
    let response = app.request(paywall_domain::Role::Viewer, reqwest::Method::GET, &path).send().await.unwrap();
    match response.status().as_u16() {
        200 => false,
        _ => response.json::<serde_json::Value>().await.unwrap()["code"] == "invalid_cursor",
    }
}

async fn a_cursor_of_what_a_backup_does_not_know_is_refused(on: Database) {
    let app = on.with(vec![trying(1, "One", 2), trying(2, "Two", 2)]).await;
    let backed_up = app.changes(None, 100).await.cursor;
    let app = app.restart(Place::back_up).await;
    assert!(!refused(&app, &backed_up).await, "a restart alone is nothing to a cursor");
    for key in ["k1", "k2"] {
        assert!(app.change(1, key, extend(1)).await.status().is_success());
    }
    let lost = app.changes(Some(&backed_up), 100).await;
    assert_eq!(lost.changes.len(), 3);
    assert!(!refused(&app, &lost.cursor).await);

    let app = app.restart(Place::put_back).await;
    assert!(refused(&app, &lost.cursor).await, "the feed has not come there yet");
    for key in 0..5 {
        assert!(app.change(2, &format!("other {key}"), extend(1)).await.status().is_success());
    }
    assert!(refused(&app, &lost.cursor).await, "the feed came there another way");
    let mut mirror = Mirror { cursor: Some(backed_up), ..Mirror::default() };
    mirror.plans.extend(["starter".to_owned(), "pro".to_owned()]);
    mirror.read_on(&app, 2).await;
    assert_eq!(mirror.entries.len(), 5, "both know what the backup knew");
    let app = app.restart(|_| ()).await;
    assert!(!refused(&app, mirror.cursor.as_deref().unwrap()).await);
    app.stop().await;
}

async fn a_tenant_carries_its_place_in_the_feed_everywhere(on: Database) {
    let app = on.with(vec![trying(1, "One", 2)]).await;
    let made: serde_json::Value = app.change(1, "k1", extend(1)).await.json().await.unwrap();
    let seq = app.tenant(1).await.seq;
    assert_eq!(made["seq"], seq);
    assert_eq!(app.get("/admin/v1/tenants").await["items"][0]["seq"], seq);
    let mut mirror = Mirror::default();
    mirror.read_on(&app, 100).await;
    assert_eq!(mirror.tenants[id(1).as_str()].seq, seq);
    let note: serde_json::Value = app.change(1, "k2", json!({"kind": "note"})).await.json().await.unwrap();
    assert_eq!(note["seq"], seq, "a note changes no tenant");
    app.stop().await;
}
