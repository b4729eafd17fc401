//! The file itself: encrypted, exclusive, versioned, replaceable, and whole when the disk is full.
#![allow(clippy::unwrap_used)]

mod cache_fixtures;

use cache_fixtures::{NOW, facts, feed_of, filled, home, key, tenant};
use paywall_console::cache::{Cache, CacheError, CacheKey};
use paywall_console::ipc::{Source, TenantQuery};
use paywall_stripe::Stream;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|it| it == text.as_bytes())
}

fn all() -> TenantQuery {
    TenantQuery { limit: 100, ..TenantQuery::default() }
}

#[tokio::test]
async fn nothing_readable_lies_on_disk() {
    let home = home();
    let cache = filled(&home, &[tenant(1, "Zebrafish Laboratories", facts(None), None)]).await;
    // While it is open, the rows lie in the log; once closed, in the file.
    let log = std::fs::read(home.path.with_file_name("copy.db-wal")).unwrap();
    assert!(log.len() > 4096 && !contains(&log, "Zebrafish") && !contains(&log, "zebrafish"));
    cache.close().await;
    let file = std::fs::read(&home.path).unwrap();
    assert!(file.len() > 4096 && !contains(&file, "SQLite format 3"));
    assert!(!contains(&file, "Zebrafish") && !contains(&file, "zebrafish") && !contains(&file, "CREATE TABLE"));
    drop(cache);
    let again = Cache::open(&home.path, &key()).await.unwrap();
    assert_eq!(again.tenants_page(&all(), NOW).await.unwrap().rows[0].name, "Zebrafish Laboratories");
    again.verify().await.unwrap();
    again.close().await;
}

#[tokio::test]
async fn another_key_is_refused_and_the_file_stays() {
    let home = home();
    let cache = filled(&home, &[tenant(1, "Acme", facts(None), None)]).await;
    cache.close().await;
    drop(cache);
    let before = std::fs::read(&home.path).unwrap();
    let error = Cache::open(&home.path, &CacheKey::from([8; 32])).await.unwrap_err();
    assert!(matches!(error, CacheError::Broken(_)), "{error:?}");
    assert_eq!(std::fs::read(&home.path).unwrap(), before);
    let back = Cache::open(&home.path, &key()).await.unwrap();
    assert_eq!(back.tenants_page(&all(), NOW).await.unwrap().rows.len(), 1);
    back.close().await;
}

#[tokio::test]
async fn a_copy_with_another_key_is_replaced_by_an_empty_one_and_says_so() {
    let home = home();
    let cache = filled(&home, &[tenant(1, "Acme", facts(None), None)]).await;
    cache.close().await;
    drop(cache);
    let (cache, replaced) = Cache::open_or_replace(&home.path, &CacheKey::from([8; 32])).await.unwrap();
    assert!(replaced.is_some());
    assert_eq!(cache.tenants_page(&all(), NOW).await.unwrap().rows.len(), 0);
    cache.apply_feed_page(&feed_of(&[tenant(2, "Bolt", facts(None), None)]), NOW).await.unwrap();
    cache.close().await;
    drop(cache);
    let (cache, replaced) = Cache::open_or_replace(&home.path, &CacheKey::from([8; 32])).await.unwrap();
    assert_eq!(replaced, None);
    cache.close().await;
}

#[tokio::test]
async fn damage_is_found_and_the_copy_made_anew() {
    let home = home();
    let tenants: Vec<_> = (0..200).map(|n| tenant(n, "Acme", facts(None), None)).collect();
    let cache = filled(&home, &tenants).await;
    cache.close().await;
    drop(cache);
    let whole = std::fs::read(&home.path).unwrap();

    let mut middle = whole.clone();
    let pages = middle.len() / 4096;
    for page in 1..pages {
        middle[page * 4096 + 100] ^= 0x55;
    }
    std::fs::write(&home.path, &middle).unwrap();
    let found = match Cache::open(&home.path, &key()).await {
        Ok(cache) => {
            let error = cache.verify().await.unwrap_err();
            cache.close().await;
            error
        }
        Err(error) => error,
    };
    assert!(matches!(found, CacheError::Broken(_)), "{found:?}");

    let mut head = whole;
    head[200] ^= 0x55;
    std::fs::write(&home.path, &head).unwrap();
    let (cache, replaced) = Cache::open_or_replace(&home.path, &key()).await.unwrap();
    assert!(replaced.is_some());
    cache.apply_feed_page(&feed_of(&tenants), NOW).await.unwrap();
    cache.verify().await.unwrap();
    cache.close().await;
}

#[tokio::test]
async fn a_copy_of_a_newer_version_is_refused_untouched() {
    let home = home();
    let cache = filled(&home, &[tenant(1, "Acme", facts(None), None)]).await;
    cache.close().await;
    drop(cache);
    let mut raw = SqliteConnectOptions::new()
        .filename(&home.path)
        .pragma("key", format!("\"x'{}'\"", hex_of(&key())))
        .connect()
        .await
        .unwrap();
    sqlx::query("PRAGMA user_version = 99").execute(&mut raw).await.unwrap();
    raw.close().await.unwrap();
    let before = std::fs::read(&home.path).unwrap();
    for error in [
        Cache::open(&home.path, &key()).await.unwrap_err(),
        Cache::open_or_replace(&home.path, &key()).await.map(|_| ()).unwrap_err(),
    ] {
        assert!(matches!(error, CacheError::Newer { found: 99, .. }), "{error:?}");
    }
    assert_eq!(std::fs::read(&home.path).unwrap(), before);
}

#[tokio::test]
async fn a_copy_of_the_first_version_keeps_the_servers_part_and_fetches_stripes_anew() {
    let home = home();
    let mut raw = SqliteConnectOptions::new()
        .filename(&home.path)
        .create_if_missing(true)
        .pragma("key", format!("\"x'{}'\"", hex_of(&key())))
        .connect()
        .await
        .unwrap();
    let sql = sqlx::SqlSafeStr::into_sql_str(include_str!("../src/cache/migrations/0001_copy.sql"));
    let first = Migration::new(1, "the local copy".into(), MigrationType::Simple, sql, false);
    Migrator::with_migrations(vec![first]).run(&mut raw).await.unwrap();
    for statement in [
        "INSERT INTO plans (id, name, body) VALUES ('trial', 'Trial', '{}')",
        "INSERT INTO stripe_customers (id, created, payment_method, livemode, deleted, raw)
         VALUES ('cus_1', 1, 0, 0, 0, '{}')",
        "INSERT INTO streams (source, stream, cursor) VALUES ('stripe', 'customers', '\"cus_1\"')",
        "INSERT INTO streams (source, stream, cursor) VALUES ('server', 'changes', '\"c7\"')",
    ] {
        sqlx::query(statement).execute(&mut raw).await.unwrap();
    }
    // Some megabytes of Stripe's objects, which that version kept whole.
    sqlx::query(
        "INSERT INTO stripe_events (id, created, raw)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
         SELECT 'evt_' || i, i, hex(randomblob(1000)) FROM n",
    )
    .execute(&mut raw)
    .await
    .unwrap();
    raw.close().await.unwrap();
    let before = paywall_console::cache::bytes(&home.path).unwrap();
    assert!(before > 8_000_000, "{before}");
    let cache = Cache::open(&home.path, &key()).await.unwrap();
    // What is freed goes back to the disk at once, and not only when the app is left.
    assert!(cache.bytes() < 1_000_000, "{} of {before}", cache.bytes());
    let cursor = async |source, stream| cache.stream_state(source, stream).await.unwrap().cursor;
    assert_eq!(cursor(Source::Server, "changes").await, Some("c7".into()));
    assert_eq!(cursor(Source::Stripe, "customers").await, None);
    assert!(cache.stripe_raw(Stream::Customers, &["cus_1".into()]).await.unwrap().is_empty());
    cache.verify().await.unwrap();
    cache.close().await;
}

fn hex_of(key: &CacheKey) -> String {
    key.to_hex().to_string()
}

#[tokio::test]
async fn only_one_opener_at_a_time() {
    let home = home();
    let cache = Cache::open(&home.path, &key()).await.unwrap();
    assert!(matches!(Cache::open(&home.path, &key()).await, Err(CacheError::InUse)));
    assert!(matches!(Cache::open_or_replace(&home.path, &key()).await, Err(CacheError::InUse)));
    assert!(matches!(Cache::wipe(&home.path), Err(CacheError::InUse)));
    cache.close().await;
    drop(cache);
    Cache::open(&home.path, &key()).await.unwrap().close().await;
}

#[tokio::test]
async fn wiping_leaves_nothing() {
    let home = home();
    let cache = filled(&home, &[tenant(1, "Acme", facts(None), None)]).await;
    cache.close().await;
    drop(cache);
    Cache::wipe(&home.path).unwrap();
    assert_eq!(std::fs::read_dir(home.folder.path()).unwrap().count(), 0);
    Cache::wipe(&home.path).unwrap();
}

#[tokio::test]
async fn a_full_disk_is_said_loses_nothing_and_passes() {
    let home = home();
    let cache = filled(&home, &[tenant(0, "First", facts(None), None)]).await;
    cache.limit_pages(Some(120));
    let many: Vec<_> = (1..3000).map(|n| tenant(n, "Acme", facts(None), None)).collect();
    let mut page = feed_of(&many);
    page.cursor = "c2".into();
    let error = cache.apply_feed_page(&page, NOW).await.unwrap_err();
    assert!(matches!(error, CacheError::DiskFull), "{error:?}");
    assert_eq!(cache.tenants_page(&all(), NOW).await.unwrap().total, Some(1), "nothing half applied");
    let state = cache.stream_state(Source::Server, "changes").await.unwrap();
    assert_eq!(state.cursor, Some("c1".into()), "the cursor stays with its page");
    cache.verify().await.unwrap();
    cache.limit_pages(None);
    cache.apply_feed_page(&page, NOW).await.unwrap();
    assert_eq!(cache.tenants_page(&all(), NOW).await.unwrap().total, Some(3000));
    cache.close().await;
}
