//! Running a question, on a connection that can only read.

use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteRow};
use sqlx::{AssertSqlSafe, Column as _, Executor as _, Row as _, SqlSafeStr as _, Sqlite, SqliteConnection};
use sqlx::{Statement as _, TypeInfo as _, ValueRef as _};
use tokio_util::sync::CancellationToken;

use super::statement::question;
use super::views::VIEWS;
use crate::cache::{Cache, CacheError};
use crate::ipc::{Failure, FailureCode, SqlAnswer, SqlRefusal, SqlValue};

/// How much one answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqlLimits {
    /// Rows at most.
    pub rows: usize,
    /// Bytes of its values at most, more or less: the window has to hold them.
    pub bytes: usize,
    /// How long it may take, waiting for the question before it included.
    pub time: Duration,
}

impl Default for SqlLimits {
    fn default() -> Self {
        Self { rows: 10_000, bytes: 16 << 20, time: Duration::from_secs(10) }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// It was not asked.
    #[error("this is not one question: {0:?}")]
    Refused(SqlRefusal),
    /// The database cannot answer it.
    #[error("{0}")]
    Failed(String),
    /// It was stopped, since it took longer than this.
    #[error("stopped after {0:?}")]
    TimedOut(Duration),
    /// It was stopped by whoever asked.
    #[error("stopped by whoever asked")]
    Cancelled,
    /// The copy itself cannot be read.
    #[error(transparent)]
    Cache(CacheError),
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        let detail = error.to_string();
        let code = match error {
            SqlError::Refused(reason) => FailureCode::SqlRefused { reason },
            SqlError::Failed(message) => FailureCode::SqlFailed { message },
            SqlError::TimedOut(after) => {
                FailureCode::SqlTimedOut { seconds: u32::try_from(after.as_secs()).unwrap_or(u32::MAX) }
            }
            SqlError::Cancelled => FailureCode::Cancelled,
            SqlError::Cache(error) => return error.into(),
        };
        Self::of(code, detail)
    }
}

/// Steps of `SQLite`'s machine between two looks at the clock: well below a millisecond.
const STEPS: i32 = 1_000;

/// A single step, such as comparing one very long text, is not interrupted. Nobody waits for it longer than this.
const GRACE: Duration = Duration::from_secs(1);

/// How long the connection is kept for the next question: with it goes what it holds of the file in memory.
const KEPT: Duration = Duration::from_secs(60);

/// `SQLite`'s code of what was interrupted.
const INTERRUPTED: &str = "9";

/// The connection that questions are asked on: it opens the file to read, sees the views in the place of the tables
/// of their names, and is held to reading a second time.
pub(crate) fn pool(options: SqliteConnectOptions) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(KEPT)
        .max_lifetime(None)
        .after_connect(|connection, _| {
            Box::pin(async move {
                for view in VIEWS {
                    connection.execute(AssertSqlSafe(view.statement())).await?;
                }
                connection.execute("PRAGMA query_only = ON").await?;
                Ok(())
            })
        })
        .connect_lazy_with(
            options.read_only(true).create_if_missing(false).statement_cache_capacity(0).row_buffer_size(16),
        )
}

impl Cache {
    /// Answers a question in SQL about the copy. It can do nothing but read; it ends when `limits` are reached or
    /// `stop` is cancelled.
    pub async fn sql(&self, text: &str, limits: SqlLimits, stop: &CancellationToken) -> Result<SqlAnswer, SqlError> {
        let asked = question(text).map_err(SqlError::Refused)?;
        let began = Instant::now();
        let until = began + limits.time;
        let waited = async {
            let mut connection = self.questions().acquire().await.map_err(failed)?;
            let answer = ask(&mut connection, asked, &limits, until, stop).await;
            // Another question must not be stopped by this one's clock.
            connection.lock_handle().await.map_err(failed)?.remove_progress_handler();
            answer
        };
        let late = tokio::time::sleep(limits.time + GRACE);
        let answer = tokio::select! {
            biased;
            answer = waited => answer,
            () = late => Err(SqlError::TimedOut(limits.time)),
            () = given_up(stop) => Err(SqlError::Cancelled),
        };
        match answer {
            // Interrupted, and not by whoever asked.
            Err(SqlError::Cancelled) if !stop.is_cancelled() => Err(SqlError::TimedOut(limits.time)),
            Ok(mut answer) => {
                answer.took_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
                Ok(answer)
            }
            Err(error) => Err(error),
        }
    }
}

/// When it is no longer waited for what was cancelled.
async fn given_up(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(GRACE).await;
}

async fn ask(
    connection: &mut PoolConnection<Sqlite>,
    asked: &str,
    limits: &SqlLimits,
    until: Instant,
    stop: &CancellationToken,
) -> Result<SqlAnswer, SqlError> {
    let connection: &mut SqliteConnection = connection;
    let token = stop.clone();
    connection
        .lock_handle()
        .await
        .map_err(failed)?
        .set_progress_handler(STEPS, move || !token.is_cancelled() && Instant::now() < until);
    // The one place where a statement is not ours: it was let through by `question`, and the connection only reads.
    let statement = connection.prepare(AssertSqlSafe(asked).into_sql_str()).await.map_err(failed)?;
    let columns = statement.columns().iter().map(|it| it.name().to_owned()).collect();
    let mut answer = SqlAnswer { columns, rows: Vec::new(), more: false, took_ms: 0 };
    let mut bytes = 0;
    let mut rows = sqlx::query(AssertSqlSafe(asked)).persistent(false).fetch(connection);
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        let (values, size) = read(&row).map_err(failed)?;
        bytes += size;
        if answer.rows.len() == limits.rows || bytes > limits.bytes {
            if answer.rows.is_empty() {
                return Err(SqlError::Failed(format!("one row is longer than {} bytes", limits.bytes)));
            }
            answer.more = true;
            break;
        }
        answer.rows.push(values);
    }
    Ok(answer)
}

/// A row's values, and about how large they are.
fn read(row: &SqliteRow) -> Result<(Vec<SqlValue>, usize), sqlx::Error> {
    let mut size = 0;
    let mut values = Vec::with_capacity(row.len());
    for at in 0..row.len() {
        let value = row.try_get_raw(at)?;
        let read = if value.is_null() {
            SqlValue::Null
        } else {
            match value.type_info().name() {
                "INTEGER" => SqlValue::Integer(row.try_get_unchecked::<i64, _>(at)?.to_string()),
                "REAL" => match row.try_get_unchecked::<f64, _>(at)? {
                    // JSON has no word for an infinite one.
                    it if it.is_finite() => SqlValue::Real(it),
                    _ => SqlValue::Null,
                },
                "TEXT" => SqlValue::Text(String::from_utf8_lossy(row.try_get_unchecked::<&[u8], _>(at)?).into_owned()),
                _ => {
                    let bytes = row.try_get_unchecked::<&[u8], _>(at)?.len();
                    SqlValue::Blob(u32::try_from(bytes).unwrap_or(u32::MAX))
                }
            }
        };
        size += 16 + if let SqlValue::Text(text) = &read { text.len() } else { 0 };
        values.push(read);
    }
    Ok((values, size))
}

/// What the database says, in its words; what concerns the copy as a whole is told apart.
fn failed(error: sqlx::Error) -> SqlError {
    if let sqlx::Error::Database(database) = &error {
        if database.code().as_deref() == Some(INTERRUPTED) {
            return SqlError::Cancelled;
        }
        let message = database.message().to_owned();
        return match CacheError::from(error) {
            // Nothing is written: what is full is the memory that the question sorts in.
            CacheError::Sql(_) | CacheError::DiskFull => SqlError::Failed(message),
            other => SqlError::Cache(other),
        };
    }
    match CacheError::from(error) {
        CacheError::Sql(error) => SqlError::Failed(error.to_string()),
        other => SqlError::Cache(other),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use sqlx::Executor as _;

    use super::*;
    use crate::cache::CacheKey;

    /// Even a statement that is not let through at all does nothing on the connection for questions.
    #[tokio::test]
    async fn the_connection_itself_only_reads() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&folder.path().join("copy.db"), &CacheKey::from([7; 32])).await.unwrap();
        let other = folder.path().join("other.db");
        let mut connection = cache.questions().acquire().await.unwrap();
        for statement in [
            "INSERT INTO main.facts VALUES ('a', 'b')",
            "CREATE TABLE main.a (b)",
            "CREATE TEMP TABLE a (b)",
            "DROP TABLE main.tenants",
            "DROP VIEW temp.tenants",
            "PRAGMA main.user_version = 99",
            "VACUUM",
        ] {
            assert!(connection.execute(statement).await.is_err(), "{statement}");
        }
        for statement in
            [format!("ATTACH '{}' AS other", other.display()), format!("VACUUM INTO '{}'", other.display())]
        {
            let _ = connection.execute(AssertSqlSafe(statement)).await;
            assert!(!other.exists() || std::fs::metadata(&other).unwrap().len() == 0);
        }
        // Without the second lock the first one holds.
        connection.execute("PRAGMA query_only = OFF").await.unwrap();
        for statement in ["INSERT INTO main.facts VALUES ('a', 'b')", "DROP TABLE main.tenants"] {
            assert!(connection.execute(statement).await.is_err(), "{statement}");
        }
        drop(connection);
        assert_eq!(cache.fact("a").await.unwrap(), None);
        cache.close().await;
    }
}
