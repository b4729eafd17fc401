//! What goes takes its revenue with it, and a copy from before revenue was kept.

use paywall_console::cache::{Cache, Counting, ReadingEnd, StreamProgress};
use paywall_console::ipc::{InvoiceQuery, Period, Preset, Source};
use paywall_contract::Tenant;
use paywall_domain::Timestamp;
use paywall_revenue::{Catalog, ReportingZone, SubscriptionFacts};
use paywall_stripe::Stream;
use serde_json::{Value, json};
use sqlx::ConnectOptions;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::cache_fixtures::{Home, NOW, ago, done, facts, feed_of, filled, home, key, tenant};
use crate::objects::{count, invoice, plain, read, row, subscription, view};
use crate::walk::{walk, walk_trials};

fn on_trial(n: u32, customer: Option<&str>) -> Tenant {
    let mut tenant = tenant(n, &format!("Tenant {n}"), facts(Some(ago(20))), None);
    tenant.stripe_customer = customer.map(Into::into);
    tenant
}

async fn mrr(cache: &Cache, preset: Preset) -> Vec<(String, i64, i64)> {
    let view = view(cache, preset, Period::Month, &plain(), NOW).await;
    view.sheets.into_iter().map(|it| (it.currency, it.movements_10k / 10_000, it.objects.subscriptions)).collect()
}

#[tokio::test]
async fn an_object_that_is_gone_takes_its_revenue_with_it_by_every_definition() {
    let home = home();
    let cache = filled(&home, &[on_trial(1, Some("cus_1"))]).await;
    let both = [
        subscription("1", "cus_1", "usd", 1000, ago(100)),
        subscription("2", "cus_1", "usd", 500, ago(90)),
        subscription("3", "cus_3", "jpy", 700, ago(80)),
    ];
    read(&cache, Stream::Subscriptions, &both, ago(30)).await;
    read(&cache, Stream::Invoices, &[invoice("1", "cus_1", "usd", 1000, ago(30))], ago(30)).await;
    cache.keep_lens(Preset::Stripe).await.unwrap();
    count(&cache, NOW).await;
    assert_eq!(cache.trial_conversion(12, NOW).await.unwrap().cohorts.iter().map(|it| it.converted).sum::<i64>(), 1);
    cache.delete_stripe(Stream::Subscriptions, "sub_1").await.unwrap();
    cache.delete_stripe(Stream::Subscriptions, "sub_3").await.unwrap();
    cache.delete_stripe(Stream::Invoices, "in_1").await.unwrap();
    count(&cache, NOW).await;
    for preset in [Preset::Paywall, Preset::Stripe] {
        assert_eq!(mrr(&cache, preset).await, [("usd".to_owned(), 500, 1)], "{preset:?}");
        walk(&cache, preset, Period::Month, &plain(), NOW).await;
    }
    assert_eq!(cache.trial_conversion(12, NOW).await.unwrap().cohorts.iter().map(|it| it.converted).sum::<i64>(), 0);
    assert_eq!(walk_trials(&cache, NOW).await, 1);
    cache.close().await;
}

#[tokio::test]
async fn a_copy_that_stripes_part_was_taken_from_shows_none_of_it_and_counts_to_nothing() {
    let home = home();
    let cache = filled(&home, &[on_trial(1, Some("cus_1")), on_trial(2, None)]).await;
    let page = [subscription("1", "cus_1", "usd", 1000, ago(100))];
    read(&cache, Stream::Subscriptions, &page, ago(30)).await;
    read(&cache, Stream::Invoices, &[invoice("1", "cus_1", "usd", 1000, ago(30))], ago(30)).await;
    cache.keep_lens(Preset::Stripe).await.unwrap();
    count(&cache, NOW).await;
    cache.reset_stripe_data().await.unwrap();
    for preset in [Preset::Paywall, Preset::Stripe] {
        let shown = view(&cache, preset, Period::Month, &plain(), NOW).await;
        assert!(shown.sheets.is_empty() && shown.basis.seen_since.is_none() && !shown.basis.complete);
    }
    count(&cache, NOW).await;
    assert!(mrr(&cache, Preset::Paywall).await.is_empty());
    assert!(cache.failed_payments(12, NOW).await.unwrap().is_empty());
    // Trials are the server's: they stay, and nothing is known to have paid.
    assert_eq!(walk_trials(&cache, NOW).await, 2);
    // Read again it is as before; what was counted before is not in it twice.
    read(&cache, Stream::Subscriptions, &page, ago(3)).await;
    count(&cache, NOW).await;
    assert_eq!(mrr(&cache, Preset::Stripe).await, [("usd".to_owned(), 1000, 1)]);
    cache.reset_server_data().await.unwrap();
    count(&cache, NOW).await;
    assert_eq!(walk_trials(&cache, NOW).await, 0);
    assert_eq!(mrr(&cache, Preset::Paywall).await, [("usd".to_owned(), 1000, 1)]);
    cache.verify().await.unwrap();
    cache.close().await;
}

#[tokio::test]
async fn a_trial_goes_with_its_tenant_from_the_tenant_to_its_customer() {
    let home = home();
    let cache = filled(&home, &[on_trial(1, None)]).await;
    read(&cache, Stream::Invoices, &[invoice("1", "cus_1", "usd", 1000, ago(15))], ago(10)).await;
    count(&cache, NOW).await;
    let converted = async || {
        let cohorts = cache.trial_conversion(12, NOW).await.unwrap().cohorts;
        cohorts.iter().map(|it| (it.started, it.converted)).fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1))
    };
    assert_eq!(converted().await, (1, 0));
    let paying = Tenant { seq: 2, ..on_trial(1, Some("cus_1")) };
    cache.apply_feed_page(&feed_of(std::slice::from_ref(&paying)), NOW).await.unwrap();
    count(&cache, NOW).await;
    assert_eq!(converted().await, (1, 1));
    // The same again is no news.
    cache.apply_feed_page(&feed_of(&[paying]), NOW).await.unwrap();
    read(&cache, Stream::Invoices, &[invoice("1", "cus_1", "usd", 1000, ago(15))], NOW).await;
    let lens = cache.revenue_lenses().await.unwrap()[0];
    assert_eq!(cache.count_revenue(lens, NOW).await.unwrap(), Counting::Nothing);
    assert_eq!(walk_trials(&cache, NOW).await, 1);
    cache.close().await;
}

fn steps() -> Vec<Migration> {
    let step = |number, title: &'static str, sql: &'static str| {
        Migration::new(number, title.into(), MigrationType::Simple, sqlx::SqlSafeStr::into_sql_str(sql), false)
    };
    vec![
        step(1, "the local copy", include_str!("../../src/cache/migrations/0001_copy.sql")),
        step(2, "packed objects", include_str!("../../src/cache/migrations/0002_packed.sql")),
        step(3, "stripe's part whole", include_str!("../../src/cache/migrations/0003_mirror.sql")),
        step(4, "billing health", include_str!("../../src/cache/migrations/0004_billing.sql")),
        step(5, "payments and their invoices", include_str!("../../src/cache/migrations/0005_payments.sql")),
        step(6, "revenue", include_str!("../../src/cache/migrations/0006_revenue.sql")),
        step(7, "usage by day", include_str!("../../src/cache/migrations/0007_usage_days.sql")),
        step(8, "invoices as facts", include_str!("../../src/cache/migrations/0008_invoice_facts.sql")),
        step(9, "subscriptions that cannot be told", include_str!("../../src/cache/migrations/0009_untold.sql")),
    ]
}

/// A copy as an earlier version left it, before anything is in it.
async fn copy_of_version(home: &Home, version: usize) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(&home.path).create_if_missing(true);
    let mut raw = options.pragma("key", format!("\"x'{}'\"", *key().to_hex())).connect().await.unwrap();
    let steps = steps().into_iter().take(version).collect();
    Migrator::with_migrations(steps).run(&mut raw).await.unwrap();
    raw
}

/// Packed against itself, as the only object of a list.
fn packed(raw: &Value) -> Vec<u8> {
    let text = raw.to_string();
    zstd::bulk::Compressor::with_dictionary(1, text.as_bytes()).unwrap().compress(text.as_bytes()).unwrap()
}

#[tokio::test]
async fn a_copy_from_before_revenue_was_kept_reads_its_lists_again_and_has_it_then() {
    let home = home();
    let mut raw = copy_of_version(&home, 5).await;
    let (subscription, old) =
        (subscription("1", "cus_1", "usd", 1000, ago(100)), invoice("1", "cus_1", "usd", 1000, ago(30)));
    for statement in [
        "INSERT INTO tenants (id, name, name_key, email, email_key, domain, created_at, stripe_customer, plan,
             plan_in_force, status, shelf, level, tags, trial_started_at, trial_ends_at, extensions, extended_ms,
             version, seq, as_of)
         VALUES (printf('%032x', 1), 'Acme', 'acme', '', '', '', 1, 'cus_1', 'pro', 'pro', 'active', 'active', 'full',
             '[]', ?3, ?4, 0, 0, 1, 1, 1)",
        "INSERT INTO stripe_subscriptions (id, created, customer, status, currency, started_at, cancel_at_period_end,
             payment_method, counted, mrr, mrr_lost, including_tax, packed)
         VALUES ('sub_1', 1, 'cus_1', 'active', 'usd', 1, 0, 0, 1, 10000000, 0, 0, ?1)",
        "INSERT INTO stripe_invoices (id, created, customer, status, currency, total, amount_due, amount_paid,
             amount_remaining, attempt_count, packed)
         VALUES ('in_1', 1, 'cus_1', 'paid', 'usd', 1000, 1000, 1000, 0, 1, ?2),
             ('in_gone', 1, 'cus_1', 'paid', 'usd', 1000, 1000, 1000, 0, 1, ?2)",
        "INSERT INTO stripe_samples (stream, sample) VALUES ('subscriptions', ?5), ('invoices', ?6)",
        "INSERT INTO streams (source, stream, cursor, complete_at) VALUES ('stripe', 'subscriptions', '\"at\"', 9),
             ('stripe', 'invoices', '\"at\"', 9), ('stripe', 'customers', '\"at\"', 9)",
    ] {
        let bound = sqlx::query(statement).bind(packed(&subscription)).bind(packed(&old));
        let bound = bound.bind(ago(50).0).bind(ago(36).0);
        bound.bind(subscription.to_string()).bind(old.to_string()).execute(&mut raw).await.unwrap();
    }
    sqlx::Connection::close(raw).await.unwrap();

    let cache = Cache::open(&home.path, &key()).await.unwrap();
    count(&cache, NOW).await;
    for (stream, kept) in [("subscriptions", false), ("invoices", false), ("customers", true)] {
        let state = cache.stream_state(Source::Stripe, stream).await.unwrap();
        assert_eq!((state.cursor.is_some(), state.complete_at), (kept, Some(Timestamp(9))), "{stream}");
    }
    // What was there can be read meanwhile, and trials are told by it.
    let all = InvoiceQuery { limit: 9, ..InvoiceQuery::default() };
    assert_eq!(cache.invoices_page(&all).await.unwrap().rows.len(), 2);
    assert_eq!(cache.trial_conversion(12, NOW).await.unwrap().cohorts.iter().map(|it| it.converted).sum::<i64>(), 1);

    for (stream, object) in [(Stream::Subscriptions, &subscription), (Stream::Invoices, &old)] {
        let window = cache.begin_stripe_reading(stream, &json!("reading"), NOW).await.unwrap();
        let progress = StreamProgress { cursor: Some(json!("current")), ..done(NOW) };
        for end in [ReadingEnd::NotYet, ReadingEnd::Sweep] {
            let windows = std::slice::from_ref(&window);
            cache.apply_stripe_window(stream, &[row(object)], &progress, windows, end).await.unwrap();
            // Who is counted while a list arrives would be counted over and over.
            assert_eq!(cache.revenue_lists_arrive(NOW).await.unwrap(), end == ReadingEnd::NotYet);
        }
    }
    count(&cache, NOW).await;
    assert_eq!(mrr(&cache, Preset::Paywall).await, [("usd".to_owned(), 1000, 1)]);
    let rows = cache.invoices_page(&all).await.unwrap().rows;
    assert_eq!(rows.iter().map(|it| (it.id.as_str(), it.billed_at)).collect::<Vec<_>>(), [("in_1", ago(30))]);
    walk(&cache, Preset::Paywall, Period::Month, &plain(), NOW).await;
    cache.verify().await.unwrap();
    cache.close().await;
}

#[tokio::test]
async fn what_an_earlier_version_counted_of_a_customer_is_what_the_next_news_is_added_to() {
    let home = home();
    let mut raw = copy_of_version(&home, 9).await;
    let mut one = subscription("1", "cus_1", "usd", 1000, ago(100));
    let mut facts = serde_json::to_value(SubscriptionFacts::from_stripe(&one, &NoCatalog).unwrap()).unwrap();
    // That version wrote what there is none of, too.
    facts["trial_start"] = Value::Null;
    facts["discounts"] = json!([]);
    let day = ReportingZone::UTC.day_of(ago(100).0).number();
    for statement in [
        "INSERT INTO stripe_subscriptions (id, created, customer, status, currency, started_at, cancel_at_period_end,
             payment_method, counted, mrr, mrr_lost, including_tax, mrr_fault, packed)
         VALUES ('sub_1', 1, 'cus_1', 'active', 'usd', 1, 0, 0, 1, 10000000, 0, 0, NULL, ?2),
             ('sub_2', 1, 'cus_2', 'active', 'usd', 1, 0, 0, 1, 0, 0, 0, 'no tiers', ?2)",
        "INSERT INTO stripe_samples (stream, sample) VALUES ('subscriptions', ?3)",
        "INSERT INTO revenue_snapshots (subscription, seen_at, customer, facts) VALUES ('sub_1', ?4, 'cus_1', ?5)",
        "INSERT INTO revenue_accounts (lens, customer) VALUES (0, 'cus_1')",
        // Of a customer none of whose subscriptions can be told there is nothing else.
        "INSERT INTO revenue_rests VALUES (0, 'cus_1', 'usd', 1, 0, 0, 0, 10000000), (0, 'cus_2', 'usd', 1, 0, 1, 0, 0)",
        "INSERT INTO revenue_objects VALUES (0, 'usd', 2, 0, 1, 0, 10000000)",
        "INSERT INTO revenue_rebuilt VALUES (0, 'cus_1', 'usd', ?1, 1)",
        "INSERT INTO revenue_rebuilt_days VALUES (0, 'usd', ?1, 1)",
        "INSERT INTO revenue_movements VALUES (0, 'cus_1', 'usd', ?1, 0, 10000000, 1, 1)",
        "INSERT INTO revenue_days VALUES (0, 'usd', ?1, 0, 10000000, 1, 1, 1)",
    ] {
        let bound = sqlx::query(statement).bind(day).bind(packed(&one)).bind(one.to_string()).bind(ago(10).0);
        bound.bind(facts.to_string()).execute(&mut raw).await.unwrap();
    }
    sqlx::Connection::close(raw).await.unwrap();

    let cache = Cache::open(&home.path, &key()).await.unwrap();
    // The same again is no news, whatever words that version kept it in.
    read(&cache, Stream::Subscriptions, std::slice::from_ref(&one), NOW).await;
    let lens = cache.revenue_lenses().await.unwrap()[0];
    assert_eq!(cache.count_revenue(lens, NOW).await.unwrap(), Counting::Done, "nobody is to be counted");
    one["items"]["data"][0]["quantity"] = json!(2);
    read(&cache, Stream::Subscriptions, &[one], NOW).await;
    count(&cache, NOW).await;
    let shown = view(&cache, Preset::Paywall, Period::Month, &plain(), NOW).await;
    let [usd] = &shown.sheets[..] else { panic!("{shown:?}") };
    assert_eq!((usd.objects.subscriptions, usd.objects.faults), (2, 1));
    assert_eq!((usd.subscriptions_10k, usd.movements_10k), (20_000_000, 20_000_000));
    walk(&cache, Preset::Paywall, Period::Month, &plain(), NOW).await;
    for id in ["sub_1", "sub_2"] {
        cache.delete_stripe(Stream::Subscriptions, id).await.unwrap();
    }
    count(&cache, NOW).await;
    assert_eq!(view(&cache, Preset::Paywall, Period::Month, &plain(), NOW).await.sheets, []);
    cache.verify().await.unwrap();
    cache.close().await;
}

/// Neither prices nor coupons are needed.
struct NoCatalog;

impl Catalog for NoCatalog {
    fn price(&self, _: &str) -> Option<Value> {
        None
    }

    fn coupon(&self, _: &str) -> Option<Value> {
        None
    }
}
