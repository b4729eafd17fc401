//! What the server keeps, in `SQLite`: one writer, several readers.

pub(crate) mod changes;
pub(crate) mod entries;
mod intake;
pub(crate) mod keys;
pub(crate) mod list;
pub(crate) mod plans;
pub(crate) mod runs;
pub(crate) mod tenants;
pub(crate) mod time;
mod tokens;

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::Mutex;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{SqlStr, Sqlite, SqliteConnection, Transaction};
use ulid::Ulid;

pub(crate) use changes::Place;
pub(crate) use entries::{EntryKey, NewEntry};
pub(crate) use intake::BATCH;
pub use intake::{ImportSummary, RefusedRecord};
pub(crate) use keys::KeyRecord;
pub(crate) use list::{Filter, TenantKey};
pub(crate) use plans::Plans;
pub(crate) use tenants::TenantRow;
pub(crate) use tokens::TokenRow;

use paywall_domain::Timestamp;

/// The store cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The database is away, busy or full.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// What the database holds cannot be read.
    #[error("a stored value: {0}")]
    Stored(#[from] serde_json::Error),
    /// The database cannot be brought to this version.
    #[error("migrating the database: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
}

pub(crate) type Read = Transaction<'static, Sqlite>;
pub(crate) type Write = Transaction<'static, Sqlite>;

/// The database.
pub(crate) struct Store {
    readers: SqlitePool,
    writer: SqlitePool,
    instance: String,
    last_id: Mutex<Ulid>,
}

impl Store {
    /// Opens the database, made where there is none, and brings it to this version.
    pub(crate) async fn open(url: &str) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An answered change is on the disk, also when the power goes.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10));
        if let Some(folder) = options.get_filename().parent().filter(|it| !it.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(sqlx::Error::Io)?;
        }
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        {
            // Not `run`: its future is `Send` for one lifetime at a time only, so that whoever opens a
            // store could not move between threads.
            let mut connection = writer.acquire().await?;
            migrator().run_direct(None, &mut *connection, false).await?;
            runs::begin(&mut connection).await?;
        }
        let readers = SqlitePoolOptions::new().max_connections(4).connect_with(options.read_only(true)).await?;
        sqlx::query("INSERT INTO meta (key, value) VALUES ('instance', ?1) ON CONFLICT (key) DO NOTHING")
            .bind(hex::encode(rand::random::<[u8; 16]>()))
            .execute(&writer)
            .await?;
        let (instance,): (String,) =
            sqlx::query_as("SELECT value FROM meta WHERE key = 'instance'").fetch_one(&writer).await?;
        Ok(Self { readers, writer, instance, last_id: Mutex::new(Ulid::nil()) })
    }

    /// The random id of this database.
    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }

    /// A view of the database that does not change while it is read.
    pub(crate) async fn read(&self) -> Result<Read, StoreError> {
        Ok(self.readers.begin().await?)
    }

    /// The one write transaction. Dropped without `commit`, nothing of it happened.
    pub(crate) async fn write(&self) -> Result<Write, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// A new id that sorts after those made before.
    pub(crate) fn next_id(&self, now: Timestamp) -> String {
        let mut last = self.last_id.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let fresh = Ulid::from_parts(u64::try_from(now.0).unwrap_or(0), rand::random());
        *last = if fresh.timestamp_ms() > last.timestamp_ms() { fresh } else { last.increment().unwrap_or(fresh) };
        last.to_string()
    }

    /// Whether the database answers.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT last FROM sequence").fetch_one(&self.readers).await?;
        Ok(())
    }

    /// How `SQLite` would go about a statement, a step per line.
    #[cfg(test)]
    #[allow(clippy::unwrap_used)]
    async fn plan(&self, statement: &'static str) -> String {
        let explained = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let steps: Vec<(i64, i64, i64, String)> = sqlx::query_as(explained).fetch_all(&self.readers).await.unwrap();
        steps.into_iter().map(|(.., step)| step).collect::<Vec<_>>().join("\n")
    }

    /// Waits for what runs, and closes the files.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// The longest that a read waits for something to be written that it can do without.
const PATIENCE: Duration = Duration::from_secs(1);

/// Does something to the database that may as well fail, without waiting long for its turn.
pub(crate) async fn with_patience<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or(Err(StoreError::Database(sqlx::Error::PoolTimedOut)))
}

/// Takes `count` numbers of the feed's sequence; answers the last one before them.
async fn take_seq(connection: &mut SqliteConnection, count: usize) -> Result<i64, StoreError> {
    let (last,): (i64,) = sqlx::query_as("UPDATE sequence SET last = last + ?1 RETURNING last")
        .bind(count as i64)
        .fetch_one(connection)
        .await?;
    Ok(last - count as i64)
}

fn migrator() -> Migrator {
    Migrator::with_migrations(vec![Migration::new(
        1,
        Cow::Borrowed("tenants, plans, entries, runs, keys, tokens"),
        MigrationType::Simple,
        SqlStr::from_static(include_str!("schema_1.sql")),
        false,
    )])
}
