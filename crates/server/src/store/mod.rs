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
use std::path::{Path, PathBuf};
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
pub use tokens::Revocation;
pub(crate) use tokens::TokenRow;

use paywall_domain::Timestamp;

use crate::private;

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
    /// The folder that the database is to lie in is not there. It is not made: a slip of typing would begin
    /// an empty database elsewhere.
    #[error("there is no folder {}; make it, or correct the path of the database (PAYWALL_DATABASE_URL)", .0.display())]
    NoFolder(PathBuf),
}

pub(crate) type Read = Transaction<'static, Sqlite>;
pub(crate) type Write = Transaction<'static, Sqlite>;

/// The database.
pub(crate) struct Store {
    readers: SqlitePool,
    writer: SqlitePool,
    instance: String,
    file: PathBuf,
    last_id: Mutex<Ulid>,
}

impl Store {
    /// Opens the database and brings it to this version. Where there is none it is made, in a folder that is
    /// there.
    pub(crate) async fn open(url: &str) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An answered change is on the disk, also when the power goes.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10));
        let file = if url.contains(":memory:") || url.contains("mode=memory") {
            options.get_filename().to_owned()
        } else {
            let file = std::path::absolute(options.get_filename()).map_err(sqlx::Error::Io)?;
            prepare(&file)?;
            file
        };
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
        Ok(Self { readers, writer, instance, file, last_id: Mutex::new(Ulid::nil()) })
    }

    /// The random id of this database.
    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }

    /// Where it lies.
    pub(crate) fn file(&self) -> &Path {
        &self.file
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

/// Makes the file, or takes away what others may do with it: it holds customers' addresses. `SQLite` gives
/// the files that it makes beside it the same mode.
fn prepare(file: &Path) -> Result<(), StoreError> {
    let folder = file.parent().unwrap_or(file);
    if !folder.is_dir() {
        return Err(StoreError::NoFolder(folder.to_owned()));
    }
    if private::make_file(file).map_err(sqlx::Error::Io)? {
        tracing::info!(path = %file.display(), "a new, empty database was made");
        return Ok(());
    }
    for beside in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(beside);
        private::close_to_others(Path::new(&name));
    }
    Ok(())
}

fn migrator() -> Migrator {
    let migration = |version, what, statements| {
        let statements = SqlStr::from_static(statements);
        Migration::new(version, Cow::Borrowed(what), MigrationType::Simple, statements, false)
    };
    Migrator::with_migrations(vec![
        migration(1, "tenants, plans, entries, runs, keys, tokens", include_str!("schema_1.sql")),
        migration(2, "tokens are revoked", include_str!("schema_2.sql")),
    ])
}
