//! What is written: once however often it is fed, never older over newer, always with its cursor.
#![allow(clippy::unwrap_used)]

mod cache_fixtures;

use std::collections::BTreeMap;

use cache_fixtures::{NOW, adjustment, ago, done, extend, facts, feed, feed_of, filled, home, id, key, tenant};
use paywall_console::cache::{Cache, CacheError, FeedApplied, ReadingEnd, StreamProgress, StripeRow, Window};
use paywall_console::ipc::{Failure, FailureCode, Source, SqlAnswer, TenantQuery, UnsettledChange};
use paywall_console::sql::SqlLimits;
use paywall_contract::ChangeRecord;
use paywall_domain::Timestamp;
use paywall_stripe::Stream;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

fn all() -> TenantQuery {
    TenantQuery { limit: 100, ..TenantQuery::default() }
}

#[tokio::test]
async fn feeding_a_page_again_changes_nothing() {
    let home = home();
    let tenants = [tenant(1, "Acme", facts(None), Some(5)), tenant(2, "Bolt", facts(None), None)];
    let cache = filled(&home, &tenants).await;
    let mut page = feed_of(&tenants);
    let entry = adjustment("a1", 1, ago(1), "Mia", extend(), facts(None));
    page.changes.push(ChangeRecord::Entry(Box::new(entry)));
    cache.apply_feed_page(&page, NOW).await.unwrap();
    let before = (
        cache.tenants_page(&all(), NOW).await.unwrap(),
        cache.timeline_page(&id(1), None, None).await.unwrap(),
        cache.tenant_counts(NOW).await.unwrap(),
    );
    let applied = cache.apply_feed_page(&page, NOW).await.unwrap();
    assert_eq!(applied, FeedApplied { plans: 1, tenants: 2, entries: 1, stale: 0, paid: false });
    let after = (
        cache.tenants_page(&all(), NOW).await.unwrap(),
        cache.timeline_page(&id(1), None, None).await.unwrap(),
        cache.tenant_counts(NOW).await.unwrap(),
    );
    assert_eq!(before, after);
    assert_eq!(cache.plans().await.unwrap(), [cache_fixtures::plan()]);
    cache.verify().await.unwrap();
    cache.close().await;
}

#[tokio::test]
async fn an_older_tenant_never_overwrites_a_newer_one() {
    let home = home();
    let mut newer = tenant(1, "New name", facts(None), None);
    newer.seq = 3;
    let cache = filled(&home, &[newer.clone()]).await;
    let mut older = tenant(1, "Old name", facts(None), None);
    older.seq = 2;
    // The feed's order decides: a clock may have been set back.
    older.as_of = Timestamp(NOW.0 + 1);
    assert!(!cache.apply_tenant(&older).await.unwrap());
    assert_eq!(cache.apply_feed_page(&feed_of(&[older]), NOW).await.unwrap().stale, 1);
    let mut measured_before = newer.clone();
    measured_before.name = "Older measure".into();
    measured_before.as_of = Timestamp(NOW.0 - 1);
    assert!(!cache.apply_tenant(&measured_before).await.unwrap());
    assert_eq!(cache.tenant(&id(1)).await.unwrap().unwrap(), newer);
    let mut measured_after = newer;
    measured_after.name = "Newer measure".into();
    measured_after.as_of = Timestamp(NOW.0 + 1);
    assert!(cache.apply_tenant(&measured_after).await.unwrap());
    assert_eq!(cache.tenants_page(&all(), NOW).await.unwrap().rows[0].name, "Newer measure");
    cache.close().await;
}

#[tokio::test]
async fn another_database_is_refused_until_its_predecessor_is_forgotten() {
    let home = home();
    let cache = filled(&home, &[tenant(1, "Acme", facts(None), None)]).await;
    let mut other = feed_of(&[tenant(2, "Bolt", facts(None), None)]);
    other.instance = "two".into();
    let error = cache.apply_feed_page(&other, NOW).await.unwrap_err();
    assert!(matches!(&error, CacheError::OtherInstance { known, found } if known == "one" && found == "two"));
    assert_eq!(error.code(), FailureCode::ServerChanged);
    assert_eq!(cache.tenants_page(&all(), NOW).await.unwrap().rows[0].name, "Acme");
    cache.insert_unsettled(&unsettled("k1", ago(0))).await.unwrap();
    cache.reset_server_data().await.unwrap();
    assert_eq!(cache.instance().await.unwrap(), None);
    assert!(cache.search("acme", NOW).await.unwrap().hits.is_empty());
    cache.apply_feed_page(&other, NOW).await.unwrap();
    assert_eq!(cache.tenants_page(&all(), NOW).await.unwrap().rows[0].name, "Bolt");
    assert_eq!(cache.unsettled_changes().await.unwrap().len(), 1);
    cache.verify().await.unwrap();
    cache.close().await;
}

#[tokio::test]
async fn the_feed_is_complete_only_with_its_last_page() {
    let home = home();
    let cache = Cache::open(&home.path, &key()).await.unwrap();
    let mut page = feed(vec![]);
    page.has_more = true;
    cache.apply_feed_page(&page, NOW).await.unwrap();
    assert_eq!(cache.server_as_of().await.unwrap(), None);
    page.has_more = false;
    page.cursor = "c2".into();
    cache.apply_feed_page(&page, NOW).await.unwrap();
    assert_eq!(cache.server_as_of().await.unwrap(), Some(NOW));
    let state = cache.stream_state(Source::Server, "changes").await.unwrap();
    assert_eq!(state.cursor, Some(Value::String("c2".into())));
    cache.close().await;
}

fn unsettled(key: &str, sent_at: Timestamp) -> UnsettledChange {
    UnsettledChange {
        key: key.into(),
        tenant_id: id(1),
        tenant_name: "Acme".into(),
        change: extend(),
        sent_at,
        instance: Some("one".into()),
        undoes: None,
    }
}

#[tokio::test]
async fn unsettled_changes_survive_a_crash() {
    let home = home();
    let cache = Cache::open(&home.path, &key()).await.unwrap();
    cache.insert_unsettled(&unsettled("k1", ago(2))).await.unwrap();
    cache.insert_unsettled(&unsettled("k2", ago(1))).await.unwrap();
    cache.insert_unsettled(&unsettled("k2", ago(1))).await.unwrap();
    // A crash leaves the file and its log as they are now.
    let copy = cache_fixtures::home();
    for suffix in ["", "-wal"] {
        let name = format!("copy.db{suffix}");
        std::fs::copy(home.folder.path().join(&name), copy.folder.path().join(&name)).unwrap();
    }
    let after = Cache::open(&copy.path, &key()).await.unwrap();
    assert_eq!(after.unsettled_changes().await.unwrap(), [unsettled("k2", ago(1)), unsettled("k1", ago(2))]);
    assert!(after.remove_unsettled("k1").await.unwrap());
    assert!(!after.remove_unsettled("k1").await.unwrap());
    let first = after.activity_page(paywall_console::ipc::ActivityView::All, "", None, None).await.unwrap();
    assert_eq!(first.unsettled, [unsettled("k2", ago(1))]);
    cache.close().await;
}

#[tokio::test]
async fn a_list_remembers_where_it_is_and_what_went_wrong() {
    let home = home();
    let cache = Cache::open(&home.path, &key()).await.unwrap();
    let failure = |detail: &str| Failure {
        code: FailureCode::StripeRateLimited,
        detail: detail.into(),
        request_id: None,
        at: NOW,
    };
    let row = StripeRow { id: "prod_1".into(), created: 1, raw: json!({"id": "prod_1", "name": "Pro"}) };
    let mut progress = StreamProgress {
        cursor: Some(json!({"after": "prod_1"})),
        complete_at: Some(ago(1)),
        at: ago(1),
        unreadable: vec!["prod_x".into()],
    };
    cache.apply_stripe_page(Stream::Products, &[row], &progress).await.unwrap();
    cache.set_stream_failure(Source::Stripe, "products", &failure("slow")).await.unwrap();
    cache.set_stream_missing(Source::Stripe, "charges", Some(&failure("no permission"))).await.unwrap();
    let state = cache.stream_state(Source::Stripe, "products").await.unwrap();
    assert_eq!(state.cursor, progress.cursor);
    assert_eq!(state.complete_at, Some(ago(1)));
    assert_eq!(state.last_failure, Some(failure("slow")));
    assert_eq!(state.unreadable, ["prod_x"]);
    progress.complete_at = None;
    progress.at = NOW;
    progress.unreadable = vec!["prod_x".into(), "prod_y".into()];
    cache.set_stream_progress(Source::Stripe, "products", &progress).await.unwrap();
    let state = cache.stream_state(Source::Stripe, "products").await.unwrap();
    assert_eq!((state.complete_at, state.last_success_at), (Some(ago(1)), Some(NOW)));
    assert_eq!((state.last_failure, state.unreadable), (None, vec!["prod_x".to_owned(), "prod_y".to_owned()]));
    cache.clear_unreadable(Source::Stripe, "products", &["prod_x".into()]).await.unwrap();
    assert_eq!(cache.stream_state(Source::Stripe, "products").await.unwrap().unreadable, ["prod_y"]);
    let states = cache.stream_states(Source::Stripe).await.unwrap();
    assert_eq!(states.iter().map(|it| it.0.as_str()).collect::<Vec<_>>(), ["charges", "products"]);
    assert_eq!(states[0].1.missing, Some(failure("no permission")));
    cache.reset_stripe_data().await.unwrap();
    assert!(cache.stream_states(Source::Stripe).await.unwrap().is_empty());
    cache.close().await;
}

#[tokio::test]
async fn a_deleted_customer_keeps_what_was_known_of_it() {
    let home = home();
    let mut acme = tenant(1, "Acme", facts(None), None);
    acme.stripe_customer = Some("cus_1".into());
    let cache = filled(&home, &[acme]).await;
    assert_eq!(cache.tenant_detail(&id(1), NOW).await.unwrap().billing, None);
    let raw = json!({"id": "cus_1", "livemode": false, "created": 5, "email": "a@b.example",
        "invoice_settings": {"default_payment_method": "pm_1"}});
    let row = |raw: Value| StripeRow { id: "cus_1".into(), created: 5, raw };
    cache.apply_stripe_page(Stream::Customers, &[row(raw.clone())], &done(NOW)).await.unwrap();
    let billing = cache.tenant_detail(&id(1), NOW).await.unwrap().billing.unwrap();
    assert_eq!((billing.deleted, billing.payment_method), (false, Some(true)));
    assert_eq!(billing.dashboard_url, "https://dashboard.stripe.com/test/customers/cus_1");
    let gone = json!({"id": "cus_1", "object": "customer", "deleted": true});
    cache.apply_stripe_rows(Stream::Customers, &[row(gone)], NOW, &BTreeMap::new()).await.unwrap();
    assert!(cache.tenant_detail(&id(1), NOW).await.unwrap().billing.unwrap().deleted);
    assert_eq!(cache.stripe_raw(Stream::Customers, &["cus_1".into()]).await.unwrap(), [raw]);
    cache.close().await;
}

fn row(id: &str, raw: &Value) -> StripeRow {
    let mut raw = raw.clone();
    raw["id"] = json!(id);
    StripeRow { id: id.into(), created: NOW.0 / 1000, raw }
}

async fn mrr(cache: &Cache) -> i64 {
    cache.overview(None, NOW).await.unwrap().mrr.unwrap().now[0].amount
}

#[tokio::test]
async fn a_discount_that_ends_counts_no_longer() {
    let home = home();
    let cache = Cache::open(&home.path, &key()).await.unwrap();
    let subscription = json!({"object": "subscription", "customer": "cus_1", "status": "active", "currency": "usd",
        "created": 1, "start_date": 1, "discounts": [], "items": {"has_more": false, "data": [{"id": "si_1", "quantity": 1,
        "price": {"id": "price_1", "currency": "usd", "unit_amount": 1000, "billing_scheme": "per_unit",
            "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"}}}]}});
    let discount = json!({"object": "discount", "start": 1, "end": null, "source": {"coupon":
        {"id": "half", "percent_off": 50, "duration": "forever"}}});
    cache
        .apply_stripe_rows(Stream::Customers, &[row("cus_1", &json!({"discount": discount}))], NOW, &BTreeMap::new())
        .await
        .unwrap();
    let progress = StreamProgress { cursor: None, complete_at: Some(NOW), at: NOW, unreadable: Vec::new() };
    cache.apply_stripe_page(Stream::Subscriptions, &[row("sub_1", &subscription)], &progress).await.unwrap();
    assert_eq!(mrr(&cache).await, 500);
    cache
        .apply_stripe_rows(Stream::Customers, &[row("cus_1", &json!({"discount": null}))], NOW, &BTreeMap::new())
        .await
        .unwrap();
    assert_eq!(mrr(&cache).await, 1000);
    cache.close().await;
}

#[tokio::test]
async fn two_stripe_accounts_do_not_mix() {
    let home = home();
    let cache = Cache::open(&home.path, &key()).await.unwrap();
    let rows = [row("cus_1", &json!({"email": "a@a.example"}))];
    let progress = StreamProgress { cursor: None, complete_at: Some(NOW), at: NOW, unreadable: Vec::new() };
    cache.keep_stripe_of("one").await.unwrap();
    cache.apply_stripe_page(Stream::Customers, &rows, &progress).await.unwrap();
    cache.keep_stripe_of("one").await.unwrap();
    let ids = ["cus_1".to_owned()];
    assert_eq!(cache.stripe_raw(Stream::Customers, &ids).await.unwrap().len(), 1);
    cache.keep_stripe_of("two").await.unwrap();
    assert!(cache.stripe_raw(Stream::Customers, &ids).await.unwrap().is_empty());
    assert_eq!(cache.stream_state(Source::Stripe, "customers").await.unwrap().complete_at, None);
    cache.close().await;
}

/// Objects lie packed against the first of their list; whatever comes later must read back word for word.
#[tokio::test]
async fn objects_that_resemble_nothing_read_back_as_they_came() {
    let home = home();
    let cache = Cache::open(&home.path, &key()).await.unwrap();
    let small = row("cus_a", &json!({"email": "a@a.example"}));
    let long: Vec<Value> = (0..5000).map(|n| json!({"n": n, "word": "株式会社 \u{0} \"", "amount": -n})).collect();
    let large = row("cus_b", &json!({"metadata": long, "name": null}));
    let bare = row("cus_c", &json!({}));
    cache.apply_stripe_rows(Stream::Customers, std::slice::from_ref(&small), NOW, &BTreeMap::new()).await.unwrap();
    cache.apply_stripe_rows(Stream::Customers, &[large.clone(), bare.clone()], NOW, &BTreeMap::new()).await.unwrap();
    let ids = ["cus_a", "cus_b", "cus_c"].map(str::to_owned);
    assert_eq!(cache.stripe_raw(Stream::Customers, &ids).await.unwrap(), [small.raw, large.raw, bare.raw]);
    cache.close().await;
}

#[tokio::test]
async fn events_that_stripe_forgot_are_forgotten_here() {
    let home = home();
    let cache = Cache::open(&home.path, &key()).await.unwrap();
    let old = StripeRow { created: ago(32).0 / 1000, ..row("evt_old", &json!({"type": "a"})) };
    cache
        .apply_stripe_rows(Stream::Events, &[old, row("evt_new", &json!({"type": "b"}))], NOW, &BTreeMap::new())
        .await
        .unwrap();
    let ids = ["evt_old".to_owned(), "evt_new".to_owned()];
    let seen = cache.events_seen(&ids).await.unwrap();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["evt_new"]);
    cache.close().await;
}

#[tokio::test]
async fn what_could_not_be_read_anew_stays_as_it_was() {
    let home = home();
    let cache = filled(&home, &[]).await;
    let customer = |id: &str| row(id, &json!({"id": id, "created": 1, "livemode": false}));
    cache
        .apply_stripe_page(Stream::Customers, &[customer("cus_1"), customer("cus_2"), customer("cus_3")], &done(NOW))
        .await
        .unwrap();
    // Read again: the second comes and cannot be read, the third is not listed any more.
    let window = cache.begin_stripe_reading(Stream::Customers, &json!({}), NOW).await.unwrap();
    let progress = StreamProgress { unreadable: vec!["cus_2".into()], ..done(NOW) };
    cache
        .apply_stripe_window(
            Stream::Customers,
            &[customer("cus_1")],
            &progress,
            &[Window { closed: true, ..window }],
            ReadingEnd::Sweep,
        )
        .await
        .unwrap();
    for (id, deleted) in [("cus_1", false), ("cus_2", false), ("cus_3", true)] {
        let mut it = tenant(1, "Acme", facts(None), None);
        it.stripe_customer = Some(id.into());
        it.version += 1;
        cache.apply_feed_page(&feed_of(&[it.clone()]), NOW).await.unwrap();
        let told = cache.tenant_detail(&it.id, NOW).await.unwrap().billing.unwrap().deleted;
        assert_eq!(told, deleted, "{id}");
    }
    cache.close().await;
}

/// What the copy says of every subscription.
async fn subscriptions_of(cache: &Cache) -> SqlAnswer {
    let all = "SELECT * FROM subscriptions ORDER BY id";
    let answer = cache.sql(all, SqlLimits::default(), &CancellationToken::new()).await.unwrap();
    SqlAnswer { took_ms: 0, ..answer }
}

#[tokio::test]
async fn a_subscription_that_came_before_is_as_one_that_came_first_now_also_from_one_page() {
    let price = json!({"id": "price_1", "currency": "usd", "unit_amount": 1000, "billing_scheme": "per_unit",
        "tax_behavior": "exclusive", "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"}});
    let before = json!({"object": "subscription", "customer": "cus_1", "status": "active", "currency": "usd",
        "created": 1, "start_date": 1, "discounts": [], "cancel_at_period_end": false,
        "items": {"has_more": false, "data": [{"id": "si_1", "quantity": 1, "price": price, "current_period_end": 50}]}});
    let mut ended = before.clone();
    for (field, value) in [
        ("status", json!("canceled")),
        ("currency", json!("eur")),
        ("created", json!(3)),
        ("start_date", json!(4)),
        ("ended_at", json!(NOW.0 / 1000 - 9)),
        ("cancel_at_period_end", json!(true)),
        ("default_payment_method", json!("pm_1")),
    ] {
        ended[field] = value;
    }
    let item = &mut ended["items"]["data"][0];
    (item["quantity"], item["current_period_end"]) = (json!(3), json!(90));
    (item["price"]["currency"], item["price"]["tax_behavior"]) = (json!("eur"), json!("inclusive"));
    let mut untold = before.clone();
    untold["items"]["data"][0]["price"]["billing_scheme"] = json!("tiered");
    let row = |raw: &Value| StripeRow { created: raw["created"].as_i64().unwrap(), ..row("sub_1", raw) };
    let progress = StreamProgress { cursor: None, complete_at: Some(NOW), at: NOW, unreadable: Vec::new() };
    for now in [&ended, &untold, &before] {
        let mut answers = Vec::new();
        let pages: [&[&[&Value]]; 3] =
            [&[&[now]], &[&[&ended], &[&untold], &[&before], &[now]], &[&[&ended, &untold, &before, now]]];
        for pages in pages {
            let home = home();
            let cache = Cache::open(&home.path, &key()).await.unwrap();
            for page in pages {
                let rows: Vec<StripeRow> = page.iter().map(|raw| row(raw)).collect();
                cache.apply_stripe_page(Stream::Subscriptions, &rows, &progress).await.unwrap();
            }
            answers.push(subscriptions_of(&cache).await);
            cache.close().await;
        }
        assert_eq!(answers[0].rows.len(), 1);
        assert_eq!(answers[1], answers[0], "after all others");
        assert_eq!(answers[2], answers[0], "last of a page");
    }
}
