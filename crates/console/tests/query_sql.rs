//! Questions in SQL over the copy: what they answer, that they can do nothing else, and that they end.
#![allow(clippy::unwrap_used)]

mod cache_fixtures;

use std::time::{Duration, Instant};

use cache_fixtures::{Home, NOW, ago, facts, filled, home, id, key, put, seconds, tenant};
use paywall_console::cache::{Cache, Counting};
use paywall_console::ipc::{SqlAnswer, SqlRefusal, SqlValue, TenantQuery};
use paywall_console::sql::{SqlError, SqlLimits, described};
use paywall_contract::{DailyUsage, TenantDay, UsageDaysPage};
use paywall_domain::{DAY_MS, Meter, Timestamp};
use paywall_stripe::Stream;
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// Never ends by itself.
const ENDLESS: &str = "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

async fn ask(cache: &Cache, text: &str) -> Result<SqlAnswer, SqlError> {
    cache.sql(text, SqlLimits::default(), &CancellationToken::new()).await
}

async fn rows(cache: &Cache, text: &str) -> Vec<Vec<String>> {
    let answer = ask(cache, text).await.unwrap();
    answer.rows.into_iter().map(|row| row.into_iter().map(shown).collect()).collect()
}

fn shown(value: SqlValue) -> String {
    match value {
        SqlValue::Null => "NULL".into(),
        SqlValue::Integer(text) | SqlValue::Text(text) => text,
        SqlValue::Real(number) => format!("{number:?}"),
        SqlValue::Blob(bytes) => format!("{bytes} bytes"),
    }
}

async fn world(home: &Home) -> Cache {
    let mut acme = tenant(1, "Acme", facts(Some(ago(-5))), Some(40));
    acme.stripe_customer = Some("cus_1".into());
    acme.last_active_at = Some(Timestamp(1_799_999_999_000));
    let mut gone = tenant(2, "Gone", facts(Some(ago(30))), None);
    gone.deleted_at = Some(ago(3));
    let cache = filled(home, &[acme, gone]).await;
    let price = |amount: i64, interval: &str| {
        json!({"id": "p", "currency": "jpy", "unit_amount": amount,
            "recurring": {"interval": interval, "interval_count": 1, "usage_type": "licensed"}})
    };
    let subscription = |name: &str, amount: i64, interval: &str| {
        json!({"id": name, "created": seconds(40), "start_date": seconds(40), "customer": "cus_1", "status": "active",
            "currency": "jpy", "livemode": false, "cancel_at_period_end": false,
            "items": {"data": [{"id": "si", "quantity": 1, "current_period_end": seconds(-10),
                "price": price(amount, interval)}]}})
    };
    put(&cache, Stream::Customers, &[json!({"id": "cus_1", "created": 1, "livemode": false})]).await;
    put(&cache, Stream::Subscriptions, &[subscription("sub_1", 12_000, "month"), subscription("sub_2", 1_000, "year")])
        .await;
    put(
        &cache,
        Stream::Invoices,
        &[json!({"id": "in_1", "created": seconds(40), "customer": "cus_1", "number": "A-1", "status": "paid",
            "currency": "jpy", "total": 12_000, "amount_due": 12_000, "amount_paid": 12_000, "amount_remaining": 0,
            "attempt_count": 1, "status_transitions": {"paid_at": seconds(39)}})],
    )
    .await;
    cache
}

#[tokio::test]
async fn every_documented_view_has_the_columns_that_are_documented() {
    let home = home();
    let cache = world(&home).await;
    for view in described() {
        let answer = ask(&cache, &format!("SELECT * FROM {}", view.name)).await.unwrap();
        let documented: Vec<&str> = view.columns.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(answer.columns, documented, "{}", view.name);
        assert!(!view.doc.is_empty() && view.columns.iter().all(|it| !it.doc.is_empty()), "{}", view.name);
        for name in documented {
            // The columns are what is meant where a name is said, not what a table below has.
            ask(&cache, &format!("SELECT {name} FROM {} WHERE {name} IS NOT NULL", view.name)).await.unwrap();
        }
    }
    cache.close().await;
}

#[tokio::test]
async fn views_answer_in_the_units_that_they_promise() {
    let home = home();
    let cache = world(&home).await;
    assert_eq!(
        rows(
            &cache,
            "SELECT id, name, status, customer, last_active_at, deleted_at IS NULL FROM tenants ORDER BY name"
        )
        .await,
        [
            vec![id(1).as_str(), "Acme", "trial", "cus_1", "2027-01-15 07:59:59", "1"],
            vec![id(2).as_str(), "Gone", "expired", "NULL", "NULL", "0"],
        ]
    );
    // 1,000 yen a year is 83 1/3 a month; yen has no minor unit.
    assert_eq!(
        rows(&cache, "SELECT id, tenant_id, mrr, mrr_10k, started_at FROM subscriptions ORDER BY id").await,
        [
            vec!["sub_1", id(1).as_str(), "12000.0", "120000000", "2026-12-06 08:00:00"],
            vec!["sub_2", id(1).as_str(), "83.3333", "833333", "2026-12-06 08:00:00"],
        ]
    );
    assert_eq!(
        rows(&cache, "SELECT number, tenant_id, total, created_at, paid_at FROM invoices").await,
        [vec!["A-1", id(1).as_str(), "12000", "2026-12-06 08:00:00", "2026-12-07 08:00:00"]]
    );
    assert_eq!(
        rows(
            &cache,
            "WITH paying AS (SELECT tenant_id, sum(mrr) AS mrr FROM subscriptions GROUP BY 1)
             SELECT t.name, p.mrr FROM tenants AS t LEFT JOIN paying AS p ON p.tenant_id = t.id ORDER BY 1"
        )
        .await,
        [vec!["Acme", "12083.3333"], vec!["Gone", "NULL"]]
    );
    cache.close().await;
}

#[tokio::test]
async fn revenue_by_month_is_what_its_movements_add_up_to() {
    let home = home();
    let cache = world(&home).await;
    // A month without any movement has its row, and one of another currency does not mix with it.
    let second = json!({"id": "sub_3", "created": seconds(100), "start_date": seconds(100), "customer": "cus_2",
        "status": "active", "currency": "eur", "livemode": false, "cancel_at_period_end": false,
        "items": {"data": [{"id": "si", "quantity": 1, "price": {"id": "q", "currency": "eur", "unit_amount": 990,
            "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"}}}]}});
    put(&cache, Stream::Subscriptions, &[second]).await;
    for _ in 0..100 {
        let lens = cache.revenue_lenses().await.unwrap().remove(0);
        if cache.count_revenue(lens, NOW).await.unwrap() == Counting::Nothing {
            break;
        }
    }
    assert_eq!(
        rows(&cache, "SELECT month, currency, mrr, mrr_10k, customers, new, churn FROM mrr_by_month ORDER BY 2, 1")
            .await,
        [
            vec!["2026-10", "eur", "990.0", "9900000", "1", "990.0", "0.0"],
            vec!["2026-11", "eur", "990.0", "9900000", "1", "0.0", "0.0"],
            vec!["2026-12", "eur", "990.0", "9900000", "1", "0.0", "0.0"],
            vec!["2027-01", "eur", "990.0", "9900000", "1", "0.0", "0.0"],
            vec!["2026-12", "jpy", "12083.3333", "120833333", "1", "12083.3333", "0.0"],
            vec!["2027-01", "jpy", "12083.3333", "120833333", "1", "0.0", "0.0"],
        ]
    );
    assert_eq!(
        rows(
            &cache,
            "SELECT day, month, customer, tenant_id, kind, currency, amount, customers FROM movements ORDER BY day"
        )
        .await,
        [
            vec!["2026-10-07", "2026-10", "cus_2", "NULL", "new", "eur", "990.0", "1"],
            vec!["2026-12-06", "2026-12", "cus_1", id(1).as_str(), "new", "jpy", "12083.3333", "1"],
        ]
    );
    cache.close().await;
}

#[tokio::test]
async fn usage_by_day_is_what_the_server_counted_and_is_corrected_by_what_it_says_later() {
    let home = home();
    let cache = world(&home).await;
    let page = |messages: i64| UsageDaysPage {
        days: vec![TenantDay {
            tenant_id: id(1),
            usage: DailyUsage {
                day: Timestamp(NOW.0 - NOW.0.rem_euclid(DAY_MS)),
                amounts: [(Meter::Messages, messages), (Meter::Tokens, 9)].into(),
            },
        }],
        cursor: "c".into(),
        has_more: false,
        now: NOW,
        instance: "one".into(),
    };
    for messages in [5, 6] {
        cache.apply_usage_page(&page(messages), json!("c"), NOW).await.unwrap();
        assert_eq!(
            rows(&cache, "SELECT day, tenant_id, messages, tokens, api_requests FROM usage_by_day").await,
            [vec!["2027-01-15", id(1).as_str(), &messages.to_string(), "9", "0"]]
        );
    }
    let other = UsageDaysPage { instance: "two".into(), ..page(7) };
    assert!(cache.apply_usage_page(&other, json!("c"), NOW).await.is_err());
    cache.reset_server_data().await.unwrap();
    assert!(rows(&cache, "SELECT 1 FROM usage_by_day").await.is_empty());
    cache.close().await;
}

/// What docs/sql.md shows is answered, by views that it describes as they are.
#[tokio::test]
async fn the_documented_examples_are_answered() {
    let home = home();
    let cache = world(&home).await;
    let text = include_str!("../../../docs/sql.md");
    let examples: Vec<&str> = text.split("```sql\n").skip(1).filter_map(|it| it.split("```").next()).collect();
    assert!(examples.len() >= 5);
    for example in examples {
        ask(&cache, example).await.unwrap_or_else(|error| panic!("{error}: {example}"));
    }
    for view in described() {
        assert!(text.contains(&format!("### `{}`\n\n{}\n", view.name, view.doc)), "{}", view.name);
        for column in view.columns {
            let row = format!("| `{}` | {} |\n", column.name, column.doc);
            assert!(text.contains(&row), "docs/sql.md lacks, of {}: {row}", view.name);
        }
    }
    cache.close().await;
}

#[tokio::test]
async fn values_arrive_as_what_they_are() {
    let home = home();
    let cache = world(&home).await;
    let answer = ask(
        &cache,
        "SELECT NULL, 9223372036854775807, -1.5, 9e999, 'ä''s', x'0102', '' AS a, 'b' AS a, cast(x'ff41' AS TEXT)",
    )
    .await
    .unwrap();
    assert_eq!(
        answer.rows,
        [vec![
            SqlValue::Null,
            SqlValue::Integer("9223372036854775807".into()),
            SqlValue::Real(-1.5),
            SqlValue::Null,
            SqlValue::Text("ä's".into()),
            SqlValue::Blob(2),
            SqlValue::Text(String::new()),
            SqlValue::Text("b".into()),
            SqlValue::Text("\u{fffd}A".into()),
        ]]
    );
    // The columns are known of an empty answer too.
    let none = ask(&cache, "SELECT id, name AS called FROM tenants WHERE 0").await.unwrap();
    assert_eq!((none.columns, none.rows.len(), none.more), (vec!["id".to_owned(), "called".to_owned()], 0, false));
    let plan = ask(&cache, "EXPLAIN QUERY PLAN SELECT * FROM tenants WHERE id = 'x'").await.unwrap();
    assert_eq!(plan.columns.last().unwrap(), "detail");
    assert_eq!(rows(&cache, "VALUES (1), (2)").await, [["1"], ["2"]]);
    cache.close().await;
}

#[tokio::test]
async fn more_than_an_answer_holds_is_told() {
    let home = home();
    let cache = world(&home).await;
    let count = |n: usize| {
        format!("WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT {n}) SELECT i FROM n")
    };
    for (asked, given, more) in [(9_999, 9_999, false), (10_000, 10_000, false), (10_001, 10_000, true)] {
        let answer = ask(&cache, &count(asked)).await.unwrap();
        assert_eq!((answer.rows.len(), answer.more), (given, more));
    }
    // Endless, but it is read no further than it is shown.
    let endless = "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
    assert!(ask(&cache, endless).await.unwrap().more);
    // Nor by more bytes than a window can hold.
    let wide = "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 100)
                SELECT i, hex(zeroblob(500000)) FROM n";
    let answer = ask(&cache, wide).await.unwrap();
    assert!(answer.more && (10..=16).contains(&answer.rows.len()), "{}", answer.rows.len());
    assert!(matches!(ask(&cache, "SELECT hex(zeroblob(9000000))").await, Err(SqlError::Failed(_))));
    cache.close().await;
}

#[tokio::test]
async fn nothing_can_be_written_attached_or_loaded() {
    let home = home();
    let cache = world(&home).await;
    let other = home.folder.path().join("other.db");
    let other = other.display();
    let refused = [
        "INSERT INTO main.tenants (id) VALUES ('x')",
        "UPDATE main.tenants SET name = 'x'",
        "DELETE FROM main.tenants",
        "WITH a AS (SELECT 1) DELETE FROM main.tenants",
        "WITH a AS (SELECT 1) INSERT INTO main.facts SELECT 1, 2 FROM a",
        "WITH a AS (SELECT 1) UPDATE main.tenants SET name = 'x'",
        "REPLACE INTO main.facts VALUES ('instance', 'x')",
        "DROP TABLE main.tenants",
        "ALTER TABLE main.tenants RENAME TO x",
        "CREATE TABLE x (y)",
        "CREATE TEMP TABLE x (y)",
        "DROP VIEW tenants",
        "PRAGMA query_only = OFF",
        "PRAGMA writable_schema = ON",
        "PRAGMA key = 'x'",
        "PRAGMA rekey = 'x'",
        "EXPLAIN PRAGMA query_only = OFF",
        &format!("ATTACH '{other}' AS other"),
        "DETACH main",
        "VACUUM",
        &format!("VACUUM INTO '{other}'"),
        "BEGIN IMMEDIATE",
        "SAVEPOINT a",
        "ANALYZE",
        "REINDEX",
    ];
    for text in refused {
        let error = ask(&cache, text).await.unwrap_err();
        assert!(matches!(error, SqlError::Refused(SqlRefusal::NotAQuestion)), "{text}: {error:?}");
        let error = ask(&cache, &format!("SELECT 1; {text}")).await.unwrap_err();
        assert!(matches!(error, SqlError::Refused(SqlRefusal::Several)), "{text}: {error:?}");
    }
    let failing = [
        "SELECT load_extension('x')".to_owned(),
        "SELECT load_extension('/lib/x86_64-linux-gnu/libm.so.6', 'x')".to_owned(),
        format!("SELECT readfile('{other}')"),
        format!("SELECT writefile('{other}', 'x')"),
        "SELECT edit('x')".to_owned(),
        "SELECT * FROM fsdir('.')".to_owned(),
        "SELECT sqlcipher_export('temp')".to_owned(),
        "SELECT sqlcipher_export('main')".to_owned(),
        "SELECT sqlcipher_export('main', 'temp')".to_owned(),
        "SELECT fts3_tokenizer('x', x'00')".to_owned(),
        "SELECT * FROM pragma_query_only(0)".to_owned(),
        "SELECT * FROM pragma_key".to_owned(),
        "SELECT * FROM pragma_rekey('x')".to_owned(),
        "SELECT * FROM pragma_cipher_export".to_owned(),
        "WITH a AS (DELETE FROM main.tenants RETURNING id) SELECT * FROM a".to_owned(),
        "SELECT * FROM (UPDATE main.tenants SET name = 'x')".to_owned(),
        "SELECT nothing FROM tenants".to_owned(),
        "SELECT".to_owned(),
        format!("SELECT * FROM \"{other}\".x"),
    ];
    for text in &failing {
        let error = ask(&cache, text).await.unwrap_err();
        assert!(matches!(error, SqlError::Failed(_)), "{text}: {error:?}");
    }
    // Whatever of the settings can be asked for as a table cannot be set by it.
    for setting in rows(&cache, "SELECT name FROM pragma_pragma_list").await {
        let _ = ask(&cache, &format!("SELECT * FROM pragma_{}(1)", setting[0])).await;
    }
    assert_eq!(rows(&cache, "SELECT * FROM pragma_query_only").await, [["1"]]);
    assert_eq!(
        rows(&cache, "SELECT count(*) FROM pragma_database_list WHERE name NOT IN ('main', 'temp')").await,
        [["0"]]
    );
    assert_eq!(rows(&cache, "SELECT name FROM tenants ORDER BY 1").await, [["Acme"], ["Gone"]]);
    let names: Vec<String> = std::fs::read_dir(home.folder.path())
        .unwrap()
        .map(|it| it.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|it| !it.starts_with("copy.db"))
        .collect();
    assert!(names.is_empty(), "{names:?}");
    // What else the copy is for goes on as before.
    let page = cache.tenants_page(&TenantQuery { limit: 10, ..TenantQuery::default() }, NOW).await.unwrap();
    assert_eq!(page.rows[0].name, "Acme");
    put(&cache, Stream::Customers, &[json!({"id": "cus_9", "created": 1, "livemode": false})]).await;
    cache.verify().await.unwrap();
    cache.close().await;
}

#[tokio::test]
async fn what_does_not_end_is_stopped_in_time_and_the_next_question_is_answered() {
    let home = home();
    let cache = world(&home).await;
    let cross = "SELECT count(*) FROM (SELECT a.type FROM main.sqlite_master AS a, main.sqlite_master AS b,
        main.sqlite_master AS c, main.sqlite_master AS d, main.sqlite_master AS e, main.sqlite_master AS f)";
    let sorted = "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT i FROM n ORDER BY i DESC";
    for text in [ENDLESS, cross, sorted] {
        let limits = SqlLimits { time: Duration::from_millis(150), ..SqlLimits::default() };
        let began = Instant::now();
        let error = cache.sql(text, limits, &CancellationToken::new()).await.unwrap_err();
        assert!(matches!(error, SqlError::TimedOut(after) if after == limits.time), "{text}: {error:?}");
        let took = began.elapsed();
        assert!(took >= limits.time && took < Duration::from_millis(900), "{text}: {took:?}");
        assert_eq!(rows(&cache, "SELECT count(*) FROM tenants").await, [["2"]]);
    }
    cache.close().await;
}

#[tokio::test]
async fn a_question_ends_when_it_is_cancelled_also_while_it_waits_for_its_turn() {
    let home = home();
    let cache = world(&home).await;
    let (first, second) = (CancellationToken::new(), CancellationToken::new());
    let running = [&first, &second].map(|stop| {
        let (cache, stop) = (cache.clone(), stop.clone());
        tokio::spawn(async move { cache.sql(ENDLESS, SqlLimits::default(), &stop).await })
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    second.cancel();
    first.cancel();
    for it in running {
        let error = it.await.unwrap().unwrap_err();
        assert!(matches!(error, SqlError::Cancelled), "{error:?}");
    }
    assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
    assert_eq!(rows(&cache, "SELECT count(*) FROM tenants").await, [["2"]]);
    // Cancelled before it begins, it does not begin.
    assert!(matches!(cache.sql(ENDLESS, SqlLimits::default(), &first).await, Err(SqlError::Cancelled)));
    cache.close().await;
}

#[tokio::test]
async fn questions_are_answered_while_the_copy_is_written_and_see_each_change() {
    let home = home();
    let cache = world(&home).await;
    let running = {
        let cache = cache.clone();
        let limits = SqlLimits { time: Duration::from_millis(500), ..SqlLimits::default() };
        tokio::spawn(async move { cache.sql(ENDLESS, limits, &CancellationToken::new()).await })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    put(
        &cache,
        Stream::Invoices,
        &[json!({"id": "in_2", "created": seconds(1), "customer": "cus_1", "status": "open",
        "currency": "jpy", "total": 1, "amount_due": 1, "amount_paid": 0, "amount_remaining": 1, "attempt_count": 0})],
    )
    .await;
    assert!(began.elapsed() < Duration::from_millis(400), "a question must not hold up who writes");
    assert!(matches!(running.await.unwrap(), Err(SqlError::TimedOut(_))));
    assert_eq!(rows(&cache, "SELECT id FROM invoices ORDER BY 1").await, [["in_1"], ["in_2"]]);
    cache.close().await;
    drop(cache);
    // Nothing holds the file any more.
    Cache::wipe(&home.path).unwrap();
    let empty = Cache::open(&home.path, &key()).await.unwrap();
    assert_eq!(rows(&empty, "SELECT count(*) FROM tenants").await, [["0"]]);
    empty.close().await;
}
