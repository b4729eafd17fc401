//! Questions and saved queries of the profile that is open.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use paywall_console::ipc::{FailureCode, Mode, ProfileDraft, SavedQuery, SqlRefusal, SqlValue, WriteMode};
use paywall_console::observer::Unobserved;
use paywall_console::vault::Vault;
use paywall_console::{Console, ConsoleOptions, Home};

const ENDLESS: &str = "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

/// A console with a profile that is open and reaches nobody.
async fn console(home: &std::path::Path) -> (Console, String) {
    let options = ConsoleOptions {
        home: Home::at(home),
        app_id: "unused".into(),
        version: "1.0.0".into(),
        observer: Arc::new(Unobserved),
    };
    let vault = Vault::with_store("test", keyring_core::mock::Store::new().unwrap());
    let console = Console::start_with_vault(options, vault).await.unwrap();
    let token = format!("pwt_{}", "a".repeat(43));
    let draft = ProfileDraft {
        id: None,
        name: "Staging".into(),
        mode: Mode::Test,
        write_mode: WriteMode::Review,
        server_url: "http://127.0.0.1:9".into(),
        server_token: Some(format!("{token}{}", paywall_contract::token::checksum(&token))),
        stripe_url: None,
        stripe_key: None,
        session_only: false,
        accepted: vec![],
    };
    let id = console.profile_save(draft).await.unwrap().id;
    (console, id)
}

fn query(name: &str, sql: &str) -> SavedQuery {
    SavedQuery { name: name.into(), sql: sql.into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_cancelled_by_its_id_and_ends_with_its_profile() {
    let home = tempfile::tempdir().unwrap();
    let (console, id) = console(home.path()).await;
    assert_eq!(console.sql_run(1, "SELECT 1").await.unwrap_err().code, FailureCode::NoProfile);
    console.profile_open(&id).await.unwrap();
    assert_eq!(console.sql_views().len(), 6);
    let answer = console.sql_run(1, "SELECT count(*) AS n FROM tenants").await.unwrap();
    assert_eq!((answer.columns, answer.rows), (vec!["n".to_owned()], vec![vec![SqlValue::Integer("0".into())]]));
    let refused = console.sql_run(1, "DELETE FROM tenants").await.unwrap_err();
    assert_eq!(refused.code, FailureCode::SqlRefused { reason: SqlRefusal::NotAQuestion });
    let failed = console.sql_run(1, "SELECT x FROM tenants").await.unwrap_err();
    assert_eq!(failed.code, FailureCode::SqlFailed { message: "no such column: x".into() });

    let endless = |id: u64| {
        let console = console.clone();
        tokio::spawn(async move { console.sql_run(id, ENDLESS).await })
    };
    let running = endless(7);
    tokio::time::sleep(Duration::from_millis(100)).await;
    console.sql_cancel(8).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!running.is_finished(), "another one's id stops nothing");
    console.sql_cancel(7).await;
    assert_eq!(running.await.unwrap().unwrap_err().code, FailureCode::Cancelled);

    // Whoever empties the copy, or closes the profile, does not wait for a question.
    for closes in [true, false] {
        let running = endless(9);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let began = Instant::now();
        if closes {
            console.cache_clear(&id).await.unwrap();
        } else {
            console.shutdown().await;
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert_eq!(running.await.unwrap().unwrap_err().code, FailureCode::Cancelled);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn saved_queries_outlive_a_cleared_copy_and_a_broken_file_is_put_aside() {
    let home = tempfile::tempdir().unwrap();
    let (console, id) = console(home.path()).await;
    console.profile_open(&id).await.unwrap();
    assert_eq!(console.saved_queries().await.unwrap(), []);
    console.saved_query_put(query("Blocked", "SELECT 1")).await.unwrap();
    console.saved_query_put(query(" apart ", "SELECT 2")).await.unwrap();
    let all = console.saved_query_put(query("Blocked", "SELECT 3")).await.unwrap();
    assert_eq!(all, [query("apart", "SELECT 2"), query("Blocked", "SELECT 3")]);
    for (wrong, reason) in [
        (query("  ", "SELECT 1"), SqlRefusal::Empty),
        (query("a", " "), SqlRefusal::Empty),
        (query("a", &"x".repeat(100_001)), SqlRefusal::TooLong),
    ] {
        assert_eq!(console.saved_query_put(wrong).await.unwrap_err().code, FailureCode::SqlRefused { reason });
    }
    console.cache_clear(&id).await.unwrap();
    assert_eq!(console.saved_queries().await.unwrap(), all);
    assert_eq!(console.saved_query_delete("apart").await.unwrap(), [query("Blocked", "SELECT 3")]);
    assert_eq!(console.saved_query_delete("apart").await.unwrap().len(), 1);

    let file = home.path().join("profiles").join(&id).join("queries.json");
    for action in ["read", "put"] {
        std::fs::write(&file, "{ half a fi").unwrap();
        let failure = match action {
            "read" => console.saved_queries().await.unwrap_err(),
            _ => console.saved_query_put(query("a", "SELECT 1")).await.unwrap_err(),
        };
        let FailureCode::QueriesUnreadable { kept_as } = failure.code else { panic!("{failure:?}") };
        assert_eq!(std::fs::read_to_string(kept_as).unwrap(), "{ half a fi");
        assert_eq!(console.saved_queries().await.unwrap(), []);
    }
    // One of a newer version is left as it is.
    std::fs::write(&file, r#"{"version": 2, "queries": {}}"#).unwrap();
    assert_eq!(console.saved_query_put(query("a", "SELECT 1")).await.unwrap_err().code, FailureCode::Internal);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), r#"{"version": 2, "queries": {}}"#);
    console.shutdown().await;
}
