//! `RAGFlow`'s own tables, read and never written.
//!
//! Columns are named one by one, since RAGFlow adds columns; what is compared is compared as RAGFlow
//! itself compares it, in the database. Nothing here waits long: a request waits for it.

mod callers;
mod changes;
mod owners;
mod statement;
mod tenants;

use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use sqlx::mysql::{MySqlConnectOptions, MySqlDatabaseError, MySqlPool, MySqlPoolOptions, MySqlRow};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::{Executor, FromRow};
use tokio::sync::Semaphore;

use self::statement::Statement;
use super::DirectoryError;
use crate::patience::within_turns;

pub use changes::{Change, Stream};
pub use tenants::RagflowTenant;

/// How many connections answer requests, and how many the mirror has: it must not keep them waiting.
const LOOKUP_CONNECTIONS: u32 = 6;
const BULK_CONNECTIONS: u32 = 2;
/// How long a request waits for an answer, which one index gives in a millisecond.
const LOOKUPS: Limits = Limits {
    connections: LOOKUP_CONNECTIONS,
    connect: Duration::from_secs(1),
    patience: Duration::from_secs(1),
    mysql: "SET SESSION max_execution_time = 1000",
    mariadb: "SET SESSION max_statement_time = 1",
    postgres: "SET statement_timeout = 1000",
};
/// How long the mirror does.
const BULK: Limits = Limits {
    connections: BULK_CONNECTIONS,
    connect: Duration::from_secs(3),
    patience: Duration::from_secs(60),
    mysql: "SET SESSION max_execution_time = 60000",
    mariadb: "SET SESSION max_statement_time = 60",
    postgres: "SET statement_timeout = 60000",
};
/// How long nobody asks again after an outage was noticed, and then one does: else every request would
/// wait for the connection to fail, and all would come at once when it no longer does.
const OUTAGE_PAUSE: Duration = Duration::from_millis(500);
/// How often the wait for a connection is waited anew while others are answered on them: in a rush nobody is away.
const TURNS: u32 = 10;

/// `RAGFlow`'s database.
pub struct RagflowDatabase {
    lookups: Link,
    bulk: Link,
    user: String,
    database: String,
    dialect: Dialect,
    /// Until when nobody asks, and why.
    outage: Mutex<Option<(Instant, DirectoryError)>>,
}

impl std::fmt::Debug for RagflowDatabase {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RagflowDatabase")
            .field("dialect", &self.dialect)
            .field("database", &self.database)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    MySql,
    Postgres,
}

/// Connections for one kind of work, and how long an answer may take there.
struct Link {
    pool: Pool,
    /// As many as there are connections, so that whoever waits for one does so here.
    line: Semaphore,
    /// How often an answer came.
    answered: AtomicU64,
    connect: Duration,
    patience: Duration,
}

impl Link {
    fn over(pool: Pool, limits: Limits) -> Self {
        let line = Semaphore::new(limits.connections as usize);
        Self { pool, line, answered: AtomicU64::new(0), connect: limits.connect, patience: limits.patience }
    }
}

enum Pool {
    MySql(MySqlPool),
    Postgres(PgPool),
}

/// What holds for one kind of work. `MySQL` counts milliseconds, `MariaDB` seconds under another name, and
/// neither knows the other's.
#[derive(Clone, Copy)]
struct Limits {
    connections: u32,
    /// The longest wait for a connection.
    connect: Duration,
    patience: Duration,
    mysql: &'static str,
    mariadb: &'static str,
    postgres: &'static str,
}

enum Options {
    MySql(MySqlConnectOptions),
    Postgres(PgConnectOptions),
}

impl Options {
    fn read(url: &SecretString) -> Result<Self, DirectoryError> {
        let wrong = |reason: &str| DirectoryError::Setting { key: "ragflow_database_url", reason: reason.to_owned() };
        let text = url.expose_secret();
        let scheme = text.split(':').next().unwrap_or_default();
        // Not in the parser's words: they may quote the password.
        let options = match scheme {
            "mysql" | "mariadb" => MySqlConnectOptions::from_str(text).map(Self::MySql),
            "postgres" | "postgresql" => PgConnectOptions::from_str(text).map(Self::Postgres),
            _ => return Err(wrong("it must begin with mysql:// or postgres://")),
        };
        let options = options.map_err(|_| {
            wrong("it cannot be read; write it as mysql://user:password@host:3306/rag_flow, with %40 for an @ in the password")
        })?;
        let database = match &options {
            Self::MySql(options) => options.get_database(),
            Self::Postgres(options) => options.get_database(),
        };
        if database.is_none_or(str::is_empty) {
            return Err(wrong("it must end with the database's name, such as /rag_flow"));
        }
        Ok(options)
    }
}

/// A value to bind.
#[derive(Debug, Clone, Copy)]
enum Bind<'a> {
    Text(&'a str),
    Number(i64),
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Urgency {
    /// A request waits.
    Lookup,
    /// The mirror reads many rows.
    Bulk,
}

// A statement with its parameters. The types of the two databases' queries have nothing in common.
macro_rules! bound {
    ($query:expr, $binds:expr) => {
        $binds.iter().fold($query, |query, bind| match *bind {
            Bind::Text(text) => query.bind(text.to_owned()),
            Bind::Number(number) => query.bind(number),
        })
    };
}

impl RagflowDatabase {
    /// The database of a URL: `mysql://…` (`MariaDB` too) or `postgres://…`. Nothing is connected until
    /// something is asked, so that RAGFlow's database may start later than this, and restart.
    pub fn new(url: &SecretString) -> Result<Self, DirectoryError> {
        let options = Options::read(url)?;
        let [lookups, bulk] = [LOOKUPS, BULK].map(|limits| match &options {
            Options::MySql(options) => mysql(options, limits),
            Options::Postgres(options) => postgres(options, limits),
        });
        let (dialect, user, database) = match &options {
            Options::MySql(it) => (Dialect::MySql, it.get_username(), it.get_database()),
            Options::Postgres(it) => (Dialect::Postgres, it.get_username(), it.get_database()),
        };
        let (user, database) = (user.to_owned(), database.unwrap_or_default().to_owned());
        Ok(Self { lookups, bulk, user, database, dialect, outage: Mutex::new(None) })
    }

    /// Whether a URL can be used, without using it.
    pub fn check_url(url: &SecretString) -> Result<(), DirectoryError> {
        Options::read(url).map(drop)
    }

    /// Reads nothing from each table that is needed; the first thing that is wrong is the error.
    pub async fn check(&self) -> Result<(), DirectoryError> {
        for (_, statement) in changes::STREAMS {
            let nothing = [Bind::Number(i64::MAX), Bind::Number(i64::MAX), Bind::Text("")];
            self.all::<(i64, String, Option<String>)>(Urgency::Lookup, statement, &nothing).await?;
        }
        self.read_tenants("", "").await?;
        callers::check(self).await?;
        owners::check(self).await
    }

    /// The instant by the database's clock, in milliseconds.
    pub async fn now(&self) -> Result<i64, DirectoryError> {
        const NOW: Statement = Statement {
            mysql: "SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)",
            postgres: "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
        };
        let rows = self.all::<(i64,)>(Urgency::Bulk, &NOW, &[]).await?;
        rows.first()
            .map(|(now,)| *now)
            .ok_or_else(|| DirectoryError::Unreadable { reason: "the time is missing".to_owned() })
    }

    /// Lets go of every connection.
    pub async fn close(&self) {
        for link in [&self.lookups, &self.bulk] {
            match &link.pool {
                Pool::MySql(pool) => pool.close().await,
                Pool::Postgres(pool) => pool.close().await,
            }
        }
    }

    /// The rows of a statement.
    async fn all<T>(
        &self,
        urgency: Urgency,
        statement: &Statement,
        binds: &[Bind<'_>],
    ) -> Result<Vec<T>, DirectoryError>
    where
        T: for<'r> FromRow<'r, MySqlRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let looks = self.paused()?;
        let link = match urgency {
            Urgency::Lookup => &self.lookups,
            Urgency::Bulk => &self.bulk,
        };
        let rows = async {
            match &link.pool {
                Pool::MySql(pool) => bound!(sqlx::query_as(statement.mysql), binds).fetch_all(pool).await,
                Pool::Postgres(pool) => bound!(sqlx::query_as(statement.postgres), binds).fetch_all(pool).await,
            }
        };
        let answered = || link.answered.load(Ordering::Relaxed);
        let turn = within_turns(link.connect, TURNS, answered, link.line.acquire()).await;
        // What is in front of it may have noticed an outage meanwhile.
        if !looks {
            self.unless_away()?;
        }
        // The server has its own limit; this one holds where it hangs, or the network swallows the answer.
        let done = match turn {
            None => Err(DirectoryError::Slow),
            Some(_turn) => match tokio::time::timeout(link.patience + link.connect, rows).await {
                Ok(done) => done.map_err(|error| self.error(&error)),
                Err(_) => Err(DirectoryError::Slow),
            },
        };
        if done.is_ok() {
            link.answered.fetch_add(1, Ordering::Relaxed);
        }
        self.note(urgency, done.as_ref().err());
        done
    }

    /// Why nothing is asked just now. Once in a while one caller is let through to see whether it is over: then
    /// it says so.
    fn paused(&self) -> Result<bool, DirectoryError> {
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((until, error)) = outage.as_mut() else { return Ok(false) };
        let now = Instant::now();
        if now < *until {
            return Err(error.clone());
        }
        *until = now + LOOKUPS.connect;
        Ok(true)
    }

    fn unless_away(&self) -> Result<(), DirectoryError> {
        let outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        outage.as_ref().map_or(Ok(()), |(_, error)| Err(error.clone()))
    }

    fn note(&self, urgency: Urgency, error: Option<&DirectoryError>) {
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            // A long read that took too long says nothing of short ones.
            Some(DirectoryError::Slow) if urgency == Urgency::Bulk => {}
            Some(error) if error.is_outage() => *outage = Some((Instant::now() + OUTAGE_PAUSE, error.clone())),
            _ => *outage = None,
        }
    }

    /// What an error of the database means. `MySQL` tells by number, `PostgreSQL` by SQLSTATE.
    fn error(&self, error: &sqlx::Error) -> DirectoryError {
        let reason = error.to_string();
        let Some(database) = error.as_database_error() else {
            return match error {
                sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
                    DirectoryError::Unreadable { reason }
                }
                _ => DirectoryError::Away { reason },
            };
        };
        let reason = database.message().to_owned();
        if let Some(mysql) = database.try_downcast_ref::<MySqlDatabaseError>() {
            return match mysql.number() {
                1044 | 1045 | 1698 => DirectoryError::Login { reason },
                1049 => DirectoryError::NoDatabase { reason },
                1142 | 1143 => self.forbidden(reason),
                1146 | 1054 => DirectoryError::Schema { reason },
                // MySQL's and MariaDB's own limits on time.
                3024 | 1969 => DirectoryError::Slow,
                _ => DirectoryError::Away { reason },
            };
        }
        match database.code().as_deref() {
            Some("28P01" | "28000") => DirectoryError::Login { reason },
            Some("3D000") => DirectoryError::NoDatabase { reason },
            Some("42501") => self.forbidden(reason),
            Some("42P01" | "42703") => DirectoryError::Schema { reason },
            Some("57014") => DirectoryError::Slow,
            _ => DirectoryError::Away { reason },
        }
    }

    fn forbidden(&self, reason: String) -> DirectoryError {
        let table = named_table(&reason).unwrap_or("…");
        let grant = match self.dialect {
            Dialect::MySql => format!("GRANT SELECT ON `{}`.`{table}` TO '{}'@'%';", self.database, self.user),
            Dialect::Postgres => format!("GRANT SELECT ON \"{table}\" TO \"{}\";", self.user),
        };
        DirectoryError::Permission { reason, grant }
    }
}

/// The table that a refusal names: both databases end it with `for table …`, `MySQL` also with
/// `for column … in table …`, in their own quotes.
fn named_table(reason: &str) -> Option<&str> {
    let (_, named) = reason.rsplit_once("for table ").or_else(|| reason.rsplit_once("in table "))?;
    let last = named.trim().rsplit('.').next()?;
    Some(last.trim_matches(['`', '\'', '"'])).filter(|it| !it.is_empty())
}

fn mysql(options: &MySqlConnectOptions, limits: Limits) -> Link {
    let pool = MySqlPoolOptions::new()
        .max_connections(limits.connections)
        .acquire_timeout(limits.connect)
        .idle_timeout(Duration::from_secs(120))
        .max_lifetime(Duration::from_secs(1800))
        .after_connect(move |connection, _| {
            Box::pin(async move {
                connection.execute("SET SESSION TRANSACTION READ ONLY").await?;
                // Where there is neither, our own patience is the limit.
                if connection.execute(limits.mysql).await.is_err()
                    && let Err(error) = connection.execute(limits.mariadb).await
                {
                    tracing::debug!(%error, "RAGFlow's database has no limit on the time of a statement");
                }
                Ok(())
            })
        })
        .connect_lazy_with(options.clone());
    Link::over(Pool::MySql(pool), limits)
}

fn postgres(options: &PgConnectOptions, limits: Limits) -> Link {
    let pool = PgPoolOptions::new()
        .max_connections(limits.connections)
        .acquire_timeout(limits.connect)
        .idle_timeout(Duration::from_secs(120))
        .max_lifetime(Duration::from_secs(1800))
        .after_connect(move |connection, _| {
            Box::pin(async move {
                connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY").await?;
                connection.execute(limits.postgres).await?;
                Ok(())
            })
        })
        .connect_lazy_with(options.clone());
    Link::over(Pool::Postgres(pool), limits)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::statement::{statement, word};
    use super::*;

    #[test]
    fn a_refusal_names_its_table() {
        for reason in [
            "SELECT command denied to user 'paywall'@'localhost' for table 'document'",
            "SELECT command denied to user 'paywall'@'%' for table `rag_flow`.`document`",
            "SELECT command denied to user 'paywall'@'%' for column 'size' in table 'document'",
            "permission denied for table document",
        ] {
            assert_eq!(named_table(reason), Some("document"));
        }
        assert_eq!(named_table("permission denied for schema public"), None);
    }

    #[tokio::test]
    async fn a_url_that_cannot_be_used_is_not_repeated() {
        for url in
            ["oracle://paywall:s3cret@host/rag_flow", "mysql://paywall:s3cret@host", "mysql://paywall:s3cret@host:x/y"]
        {
            let error = RagflowDatabase::new(&SecretString::from(url)).unwrap_err();
            assert_eq!(error.code(), "ragflow_setting");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
        let database = RagflowDatabase::new(&SecretString::from("mysql://paywall:s3cret@host/rag_flow"));
        assert!(!format!("{database:?}").contains("s3cret"));
    }

    /// Against real servers: the session cannot write, and does not wait for ever.
    #[cfg(target_os = "linux")]
    async fn is_read_only_and_impatient(url: String, slow: Statement) {
        const WRITE: Statement = Statement {
            mysql: "INSERT INTO things VALUES (1)",
            postgres: "INSERT INTO things VALUES (1) RETURNING CAST(1 AS BIGINT)",
        };
        const COUNT: Statement =
            Statement { mysql: "SELECT COUNT(*) FROM things", postgres: "SELECT COUNT(*) FROM things" };
        let database = RagflowDatabase::new(&SecretString::from(url)).unwrap();
        for urgency in [Urgency::Lookup, Urgency::Bulk] {
            let error = database.all::<(i64,)>(urgency, &WRITE, &[]).await.unwrap_err();
            assert!(error.to_string().to_lowercase().contains("read"), "{error}");
            tokio::time::sleep(OUTAGE_PAUSE).await;
        }
        assert_eq!(database.all::<(i64,)>(Urgency::Lookup, &COUNT, &[]).await.unwrap(), [(0,)]);
        let started = Instant::now();
        let error = database.all::<(i64,)>(Urgency::Lookup, &slow, &[]).await.unwrap_err();
        assert_eq!(error.code(), "ragflow_database_slow", "{error}");
        // Stopped by the server itself, before our own patience ends.
        assert!(started.elapsed() < LOOKUPS.patience + LOOKUPS.connect, "{:?}", started.elapsed());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn mariadb_is_read_only_and_impatient() {
        let server = paywall_databases::MariaDb::start().unwrap();
        let url = server.database().unwrap();
        server.execute(url.rsplit('/').next().unwrap(), "CREATE TABLE things (number bigint)").unwrap();
        is_read_only_and_impatient(url, statement!("SELECT CAST(SLEEP(20) AS " bigint ")")).await;
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn postgres_is_read_only_and_impatient() {
        let server = paywall_databases::Postgres::start().unwrap();
        let url = server.database().unwrap();
        server.execute(url.rsplit('/').next().unwrap(), "CREATE TABLE things (number bigint)").unwrap();
        is_read_only_and_impatient(url, statement!("SELECT 1::bigint FROM pg_sleep(20)")).await;
    }
}
