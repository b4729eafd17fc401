//! Lists, search, and what is brought in.

use paywall_contract::{IntakeRecord, Page, Tenant};
use paywall_domain::Role;
use reqwest::Method;

use crate::app::{Database, NOW, TestApp, id, trying};

on_each_database! {
    a_nul_is_kept_as_a_mark_and_found,
    pages_make_the_whole_list_in_every_order_under_ties,
    search_finds_what_is_written_and_nothing_else,
    the_same_import_again_changes_nothing,
    what_is_unknown_is_not_zero,
}

async fn whole(app: &TestApp, sort: &str, limit: u32) -> Vec<Tenant> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/admin/v1/tenants?sort={sort}&limit={limit}{cursor}");
        let page: Page<Tenant> = serde_json::from_value(app.get(&path).await).unwrap();
        all.extend(page.items);
        match page.next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

async fn pages_make_the_whole_list_in_every_order_under_ties(on: Database) {
    let names = ["Same", "same", "SAME", "Ärger", "東京", "a", "Same"];
    let tenants: Vec<_> = (0..43_u32)
        .map(|n| {
            let mut tenant = trying(n + 1, names[n as usize % names.len()], i64::from(n % 4));
            if n % 5 == 0 {
                tenant.facts.trial = None;
            }
            tenant
        })
        .collect();
    let app = on.with(tenants).await;
    for sort in ["name", "-name", "created_at", "-created_at", "trial_ends_at", "-trial_ends_at"] {
        let at_once = whole(&app, sort, 500).await;
        assert_eq!(at_once.len(), 43, "{sort}");
        for limit in [1, 2, 7] {
            let ids = |list: &[Tenant]| list.iter().map(|it| it.id.clone()).collect::<Vec<_>>();
            assert_eq!(ids(&whole(&app, sort, limit).await), ids(&at_once), "{sort} by {limit}");
        }
        if sort.ends_with("trial_ends_at") {
            let without: Vec<bool> = at_once.iter().map(|it| it.facts.trial.is_none()).collect();
            assert!(without.is_sorted(), "tenants without a trial come last in {sort}");
        }
    }
    app.stop().await;
}

async fn search_finds_what_is_written_and_nothing_else(on: Database) {
    let long = "Ünïcode ".repeat(500);
    let mut percent = trying(2, "100% _Sure\\", 3);
    "sales@Big-Corp.example".clone_into(&mut percent.email);
    let app = on.with(vec![trying(1, "Plain", 3), percent, trying(3, &long, 3), trying(4, "株式会社テスト", 3)]).await;
    let found = async |text: &str| -> Vec<u32> {
        let response = app
            .request(Role::Viewer, Method::GET, "/admin/v1/tenants")
            .query(&[("text", text)])
            .send()
            .await
            .unwrap()
            .json::<Page<Tenant>>()
            .await
            .unwrap();
        response.items.iter().map(|it| u32::from_str_radix(it.id.as_str(), 16).unwrap()).collect()
    };
    assert_eq!(found("%").await, [2]);
    assert_eq!(found("0% _s").await, [2]);
    assert_eq!(found("\\").await, [2]);
    assert_eq!(found("big-corp").await, [2]);
    assert_eq!(found("ÜNÏCODE").await, [3]);
    assert_eq!(found("会社").await, [4]);
    assert_eq!(found("member1@partner").await, [1]);
    assert_eq!(found("cus_00000004").await, [4]);
    assert_eq!(found(id(1).as_str()).await, [1]);
    assert_eq!(found("nobody").await, [0_u32; 0]);
    assert_eq!(app.tenant(3).await.name, long);
    app.stop().await;
}

async fn the_same_import_again_changes_nothing(on: Database) {
    let app = on.start().await;
    let tenants = || (1..=2_500_u32).map(|n| IntakeRecord::Tenant(Box::new(trying(n, "T", 5))));
    let first = app.server.import(tenants()).await.unwrap();
    assert_eq!((first.added, first.changed, first.unchanged), (2_500, 0, 0));
    let end = app.changes(None, 1_000).await;
    let second = app.server.import(tenants()).await.unwrap();
    assert_eq!((second.added, second.changed, second.unchanged), (0, 0, 2_500));
    assert_eq!(app.changes(None, 1_000).await.cursor, end.cursor);

    let mut odd = trying(9_000, "Odd", 1);
    odd.facts.plan = "nowhere".into();
    let summary = app.server.import([IntakeRecord::Tenant(Box::new(odd))]).await.unwrap();
    assert_eq!(summary.refused[0].number, 1);
    assert!(summary.refused[0].reason.contains("nowhere"));
    app.stop().await;
}

async fn what_is_unknown_is_not_zero(on: Database) {
    let mut unmeasured = trying(1, "One", 5);
    (unmeasured.usage, unmeasured.measured_at) = (None, None);
    unmeasured.gauges.clear();
    let app = on.with(vec![unmeasured]).await;
    let tenant = app.tenant(1).await;
    assert!(tenant.meters.iter().all(|reading| reading.used.is_none() && reading.resets_at.is_none()));
    let days = app.get(&format!("/admin/v1/tenants/{}/usage?to={}", id(1), NOW.0)).await;
    assert_eq!(days["days"], serde_json::json!([]));
    app.stop().await;
}

/// `PostgreSQL` cannot keep one, and nothing shall read otherwise on one database than on the other.
async fn a_nul_is_kept_as_a_mark_and_found(on: Database) {
    let app = on.with(vec![trying(1, "A\0corn", 5), trying(2, "Plain", 5)]).await;
    assert_eq!(app.tenant(1).await.name, "A\u{fffd}corn");
    for (query, found) in [("text=a%00corn", 1), ("text=%00", 1), ("text=b%00corn", 0), ("plan=starter%00", 0)] {
        let list = app.get(&format!("/admin/v1/tenants?{query}")).await;
        assert_eq!(list["items"].as_array().unwrap().len(), found, "{query}");
    }
    let path = "/admin/v1/adjustments/a%00b/undo";
    let response = app.request(Role::Owner, Method::POST, path).header("Idempotency-Key", "k").send().await;
    assert_eq!(response.unwrap().status(), reqwest::StatusCode::NOT_FOUND);
    app.stop().await;
}
