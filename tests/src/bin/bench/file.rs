//! The cache's file opened past the console, for the peers' statements and for copies of it.

use std::path::Path;

use anyhow::Context as _;
use paywall_console::cache::CacheKey;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};

/// Opens the file with its key, or a plain one, with the settings that the console's own connections have.
pub(crate) async fn open(path: &Path, key: Option<&CacheKey>) -> anyhow::Result<SqliteConnection> {
    // What is attached later is opened as this one was, and may be new.
    let mut options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    if let Some(key) = key {
        options = options.pragma("key", format!("\"x'{}'\"", *key.to_hex()));
    }
    let options = options.pragma("temp_store", "MEMORY").pragma("cache_size", "-98304").disable_statement_logging();
    options.connect().await.with_context(|| format!("cannot open {}", path.display()))
}

/// Copies everything into a new file, so that the copy with a key and the one without lie on disk alike.
pub(crate) async fn export(from: &mut SqliteConnection, to: &Path, key: Option<&CacheKey>) -> anyhow::Result<()> {
    let path = to.to_str().context("the path is no text")?;
    match key {
        Some(key) => sqlx::query("ATTACH DATABASE ?1 AS copy KEY ?2").bind(path).bind(format!("x'{}'", *key.to_hex())),
        None => sqlx::query("ATTACH DATABASE ?1 AS copy KEY ''").bind(path),
    }
    .execute(&mut *from)
    .await?;
    sqlx::query("SELECT sqlcipher_export('copy')").fetch_one(&mut *from).await?;
    // The layout's number is no content, so the export leaves it behind.
    let (layout,): (i64,) = sqlx::query_as("PRAGMA main.user_version").fetch_one(&mut *from).await?;
    let statement = sqlx::AssertSqlSafe(format!("PRAGMA copy.user_version = {layout}"));
    sqlx::query(statement).execute(&mut *from).await?;
    sqlx::query("DETACH DATABASE copy").execute(&mut *from).await?;
    Ok(())
}

/// How many rows a table has.
pub(crate) async fn count(connection: &mut SqliteConnection, table: &str) -> anyhow::Result<i64> {
    let statement = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    let (count,): (i64,) = sqlx::query_as(statement).fetch_one(connection).await?;
    Ok(count)
}
