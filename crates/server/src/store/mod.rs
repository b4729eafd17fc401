//! What the server keeps, in `SQLite` or `PostgreSQL`: one change after the other, reads beside them.
//!
//! The code is one for both, over `sqlx::Any`: whole numbers, texts and bytes, `$1` for what is bound.
//! The few statements that have to differ are written twice, side by side ([`Dialect::pick`]).

pub(crate) mod changes;
mod connect;
pub(crate) mod credentials;
pub(crate) mod entries;
mod follow;
pub(crate) mod intake;
pub(crate) mod keys;
pub(crate) mod list;
mod migrations;
mod mirrored;
pub(crate) mod plans;
mod replicas;
mod requests;
pub(crate) mod runs;
pub(crate) mod tenants;
pub(crate) mod time;
mod tokens;
mod usage;
mod write;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Any, AnyConnection, AnyPool, Transaction};
use tokio::sync::watch;
use ulid::Ulid;

pub(crate) use changes::Place;
pub(crate) use connect::{is_postgres, shown};
pub(crate) use entries::{EntryKey, NewEntry};
pub(crate) use intake::BATCH;
pub use intake::{ImportSummary, RefusedRecord};
pub(crate) use keys::KeyRecord;
pub(crate) use list::{Filter, TenantKey};
pub(crate) use mirrored::{Seen, Terms};
pub(crate) use plans::Plans;
pub(crate) use tenants::{DayPlace, TenantRow};
pub use tokens::Revocation;
pub(crate) use tokens::TokenRow;
pub(crate) use usage::PRUNED_AT_ONCE;

use paywall_domain::Timestamp;

use self::runs::History;

/// The store cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The database is away, busy or full.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// What the database holds cannot be read.
    #[error("a stored value: {0}")]
    Stored(#[from] serde_json::Error),
    /// `PostgreSQL` could not be reached at the start, or did not let the server in.
    #[error(
        "no connection to PostgreSQL; check that it runs, and host, port, database, user and password in \
         PAYWALL_DATABASE_URL (or in the file that PAYWALL_DATABASE_URL_FILE names): {0}"
    )]
    Unreachable(#[source] sqlx::Error),
    /// The tables are missing or of an earlier version, and the role may not make them.
    #[error(
        "this version's tables are not all there, and the role in PAYWALL_DATABASE_URL may not make them; \
         run `paywall-server migrate` once with the database's owner in PAYWALL_DATABASE_URL, then start the \
         server again: {0}"
    )]
    MayNotMigrate(#[source] sqlx::migrate::MigrateError),
    /// The database cannot be brought to this version.
    #[error("migrating the database: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The folder that the database is to lie in is not there. It is not made: a slip of typing would begin
    /// an empty database elsewhere.
    #[error("there is no folder {}; make it, or correct the path of the database (PAYWALL_DATABASE_URL)", .0.display())]
    NoFolder(PathBuf),
    /// Something else than a file lies where the database is to be. It is not touched.
    #[error("{} is no file; correct the path of the database (PAYWALL_DATABASE_URL)", .0.display())]
    NoFile(PathBuf),
    /// There is no database yet, or it is empty, and what was asked for needs one. It is not made: a slip of
    /// typing would look as if everything were gone.
    #[error(
        "there is no paywall database yet; correct the address (PAYWALL_DATABASE_URL), or make one with \
         `paywall-server migrate`"
    )]
    NoDatabase,
}

/// What becomes of a database that is not there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    /// It is made.
    Made,
    /// It is an error ([`StoreError::NoDatabase`]).
    Refused,
}

/// A connection to either database.
pub(crate) type Connection = AnyConnection;
/// A view that does not change while it is read.
pub(crate) type Read = Transaction<'static, Any>;

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// One file, one process that writes most of it.
    Sqlite,
    /// Any number of servers on one database.
    Postgres,
}

impl Dialect {
    /// That of a connection.
    pub(crate) fn of(connection: &Connection) -> Self {
        if connection.backend_name() == "PostgreSQL" { Self::Postgres } else { Self::Sqlite }
    }

    /// The statement for it.
    pub(crate) fn pick(self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            Self::Sqlite => sqlite,
            Self::Postgres => postgres,
        }
    }
}

/// What a test binds.
#[cfg(test)]
enum Bound {
    Text(Option<&'static str>),
    Number(i64),
}

/// The database.
pub(crate) struct Store {
    dialect: Dialect,
    readers: AnyPool,
    writer: AnyPool,
    /// Where to listen for what other servers change.
    listen: Option<PgConnectOptions>,
    history: Arc<History>,
    changes: Arc<watch::Sender<i64>>,
    instance: String,
    place: String,
    last_id: Mutex<Ulid>,
}

impl Store {
    /// The random id of this database.
    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }

    /// Which database it is.
    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Where it lies: a file, or an address without a password.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// A view of the database that does not change while it is read.
    pub(crate) async fn read(&self) -> Result<Read, StoreError> {
        let begin = self.dialect.pick("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        begun(&self.readers, begin).await
    }

    /// A new id that sorts after those made before.
    pub(crate) fn next_id(&self, now: Timestamp) -> String {
        let mut last = self.last_id.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// How `PostgreSQL` would go about a statement with these texts and numbers bound, where it may neither read
    /// a whole table nor do what else is switched off.
    #[cfg(test)]
    #[allow(clippy::unwrap_used)]
    async fn plan_without(&self, off: &'static str, statement: &'static str, bound: Vec<Bound>) -> String {
        use sqlx::{AssertSqlSafe, Executor};
        let mut read = self.read().await.unwrap();
        read.execute(AssertSqlSafe(format!("SET LOCAL enable_seqscan = off; {off}"))).await.unwrap();
        let explained = AssertSqlSafe(format!("EXPLAIN {statement}"));
        let query = bound.into_iter().fold(sqlx::query_as::<_, (String,)>(explained), |query, bound| match bound {
            Bound::Text(text) => query.bind(text),
            Bound::Number(number) => query.bind(number),
        });
        let steps = query.fetch_all(&mut *read).await.unwrap();
        steps.into_iter().map(|(step,)| step).collect::<Vec<_>>().join("\n")
    }

    /// For what one statement reads.
    pub(crate) fn readers(&self) -> &AnyPool {
        &self.readers
    }

    /// Waits for what runs, and closes the connections.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Begins a transaction, in a task of its own: whoever waits for it may give up at any moment, and a beginning
/// that is cut off would leave its connection within a transaction that nobody ends.
async fn begun(pool: &AnyPool, statement: &'static str) -> Result<Transaction<'static, Any>, StoreError> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { pool.begin_with(statement).await });
    Ok(begun.await.map_err(|error| sqlx::Error::Io(std::io::Error::other(error)))??)
}

/// The longest that a read waits for something to be written that it can do without.
const PATIENCE: Duration = Duration::from_secs(1);

/// Does something to the database that may as well fail, without waiting long for its turn.
pub(crate) async fn with_patience<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or(Err(StoreError::Database(sqlx::Error::PoolTimedOut)))
}

/// Takes `count` numbers of the feed's sequence; answers the last one before them. Nobody else takes one
/// until this transaction ends, so a number is never seen after a higher one.
pub(crate) async fn take_seq(connection: &mut Connection, count: usize) -> Result<i64, StoreError> {
    let (last,): (i64,) = sqlx::query_as("UPDATE sequence SET last = last + $1 RETURNING last")
        .bind(count as i64)
        .fetch_one(connection)
        .await?;
    Ok(last - count as i64)
}

/// A text from elsewhere as both databases can keep and look for it: `PostgreSQL` has no NUL in texts.
pub(crate) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
