//! Every tenant's usage by day, to mirror from.

use std::collections::BTreeMap;

use paywall_contract::{DailyUsage, UsageDaysPage};
use paywall_domain::{DAY_MS, Meter, Role, Timestamp};
use reqwest::{Method, StatusCode};

use crate::app::{Database, NOW, TestApp, id, trying};

on_each_database! {
    pages_make_every_tenants_days_and_a_cursor_what_changed_since,
    the_cursor_of_another_database_is_refused,
}

const TODAY: i64 = NOW.0 - NOW.0 % DAY_MS;

/// Messages by tenant and day.
type Days = BTreeMap<(String, i64), i64>;

fn used(number: u32, messages: &[(i64, i64)]) -> paywall_contract::TenantIntake {
    let mut tenant = trying(number, "T", 5);
    tenant.usage = Some(
        messages
            .iter()
            .map(|(days_ago, amount)| DailyUsage {
                day: Timestamp(TODAY - days_ago * DAY_MS),
                amounts: BTreeMap::from([(Meter::Messages, *amount), (Meter::Tokens, amount * 100)]),
            })
            .collect(),
    );
    tenant
}

/// Reads on to the end; answers what came, and where it ends.
async fn read_on(app: &TestApp, after: Option<String>, more: &str) -> (Days, String) {
    let mut days = Days::new();
    let mut after = after;
    loop {
        let cursor = after.map(|it| format!("&after={it}")).unwrap_or_default();
        let page = app.get(&format!("/admin/v1/usage/days?{more}{cursor}")).await;
        let page: UsageDaysPage = serde_json::from_value(page).unwrap();
        assert!(!page.has_more || !page.days.is_empty());
        for it in page.days {
            let amounts = &it.usage.amounts;
            assert_eq!(amounts[&Meter::Tokens], amounts[&Meter::Messages] * 100);
            assert_eq!(amounts[&Meter::ApiRequests], 0);
            let key = (it.tenant_id.to_string(), (TODAY - it.usage.day.0) / DAY_MS);
            assert!(days.insert(key, amounts[&Meter::Messages]).is_none(), "a day came twice in one reading");
        }
        if !page.has_more {
            return (days, page.cursor);
        }
        after = Some(page.cursor);
    }
}

fn day(number: u32, days_ago: i64, messages: i64) -> ((String, i64), i64) {
    ((id(number).to_string(), days_ago), messages)
}

async fn pages_make_every_tenants_days_and_a_cursor_what_changed_since(on: Database) {
    let tenants = (1..=20).map(|n| used(n, &[(0, 1), (1, i64::from(n)), (40, 3)])).collect();
    let app = on.with(tenants).await;
    app.bring_in(vec![used(21, &[])]).await;
    let (all, end) = read_on(&app, None, "").await;
    assert_eq!(all.len(), 60);
    assert_eq!(all[&day(7, 1, 0).0], 7);
    for limit in [1, 7, 60] {
        assert_eq!(read_on(&app, None, &format!("limit={limit}")).await.0, all, "by {limit}");
    }
    let (recent, _) = read_on(&app, None, &format!("limit=9&from={}", TODAY - DAY_MS)).await;
    assert!(recent.len() == 40 && recent.keys().all(|(_, days_ago)| *days_ago <= 1));

    assert_eq!(read_on(&app, Some(end.clone()), "").await, (Days::new(), end.clone()));
    app.bring_in(vec![used(7, &[(0, 5), (1, 7), (40, 3)]), used(9, &[(0, 6)])]).await;
    let (changed, next) = read_on(&app, Some(end), &format!("limit=1&from={}", TODAY - DAY_MS)).await;
    assert_eq!(changed, Days::from([day(7, 0, 5), day(7, 1, 7), day(9, 0, 6), day(9, 1, 9)]));
    assert!(read_on(&app, Some(next), "").await.0.is_empty());
    app.stop().await;
}

async fn the_cursor_of_another_database_is_refused(on: Database) {
    let app = on.with(vec![used(1, &[(0, 1)])]).await;
    let (_, end) = read_on(&app, None, "").await;
    let other = on.with(vec![used(1, &[(0, 1)])]).await;
    let response = other.request(Role::Viewer, Method::GET, &format!("/admin/v1/usage/days?after={end}")).send().await;
    let response = response.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(response.json::<serde_json::Value>().await.unwrap()["code"], "invalid_cursor");
    other.stop().await;
    app.stop().await;
}
