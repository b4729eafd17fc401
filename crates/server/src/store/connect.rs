//! Opening either database.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AnyPool, Connection, Executor};
use tokio::sync::watch;
use ulid::Ulid;
use url::Url;

use super::runs::History;
use super::{Absent, Dialect, Store, StoreError, migrations};
use crate::private;

/// The longest that anybody waits for a connection to `PostgreSQL`, also while it is away.
const TURN: Duration = Duration::from_secs(2);

/// The longest that a change waits for those before it, in this process.
const WRITER_TURN: Duration = Duration::from_secs(10);

/// Set of each writing connection to `SQLite`. An answered change is on the disk, also when the power goes.
const SQLITE_WRITER: &str = "PRAGMA busy_timeout = 10000; PRAGMA foreign_keys = ON; PRAGMA journal_mode = WAL;
     PRAGMA synchronous = FULL";

/// Set of each reading connection to `SQLite`.
const SQLITE_READER: &str = "PRAGMA busy_timeout = 10000";

/// Set of each connection to `PostgreSQL`: nothing waits long for a lock, nothing runs on for a caller who
/// has gone, and a server that hangs within a change, or is cut off, lets go of what others wait for.
pub(super) const POSTGRES: &str = "SET lock_timeout = '10s'; SET statement_timeout = '30s';
     SET idle_in_transaction_session_timeout = '30s'; SET tcp_keepalives_idle = 30;
     SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3; SET client_min_messages = 'warning'";

/// The most links that lead from one to the next; Linux follows as many.
const LINKS: usize = 40;

/// Where a database lies and how to come there.
struct Target {
    dialect: Dialect,
    readers: AnyConnectOptions,
    writer: AnyConnectOptions,
    listen: Option<PgConnectOptions>,
    place: String,
    /// The database's file, if it lies in one of its own.
    file: Option<PathBuf>,
}

impl Store {
    /// Opens the database and brings it to this version. A file that is not there is made, in a folder that
    /// is; a database of a server has to be there.
    pub(crate) async fn open(url: &str) -> Result<Self, StoreError> {
        Self::open_or(url, Absent::Made).await
    }

    /// Like [`Store::open`], with a word for the case that there is no database.
    pub(crate) async fn open_or(url: &str, absent: Absent) -> Result<Self, StoreError> {
        install_default_drivers();
        let target = if is_postgres(url) { postgres(url, absent).await? } else { sqlite(url, absent)? };
        let Target { dialect, readers, writer, listen, place, file } = target;
        let turn = match file {
            Some(file) => Some(turn_to_migrate(file).await?),
            None => None,
        };
        let history = Arc::new(History::default());
        let writer = writer_pool(dialect, writer, &history).await?;
        migrations::run(&writer, dialect).await?;
        drop(turn);
        let readers = reader_pool(dialect, readers).await?;
        sqlx::query("INSERT INTO meta (key, value) VALUES ('instance', $1) ON CONFLICT (key) DO NOTHING")
            .bind(hex::encode(rand::random::<[u8; 16]>()))
            .execute(&writer)
            .await?;
        let (instance,): (String,) =
            sqlx::query_as("SELECT value FROM meta WHERE key = 'instance'").fetch_one(&writer).await?;
        let changes = Arc::new(watch::Sender::new(0));
        let last_id = Mutex::new(Ulid::nil());
        let store = Self { dialect, readers, writer, listen, history, changes, instance, place, last_id };
        // Begins the run of this start, though nothing is written.
        drop(store.write().await?);
        store.look().await?;
        Ok(store)
    }
}

/// The writers' pool: of one connection, so that those of one process wait for their turn here and in order.
async fn writer_pool(
    dialect: Dialect,
    options: AnyConnectOptions,
    history: &Arc<History>,
) -> Result<AnyPool, StoreError> {
    let history = Arc::clone(history);
    let pool = AnyPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(WRITER_TURN)
        // Each new connection begins a run.
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(move |connection, _| {
            let history = Arc::clone(&history);
            Box::pin(async move {
                connection.execute(dialect.pick(SQLITE_WRITER, POSTGRES)).await?;
                history.connected();
                Ok(())
            })
        });
    Ok(pool.connect_with(options).await?)
}

async fn reader_pool(dialect: Dialect, options: AnyConnectOptions) -> Result<AnyPool, StoreError> {
    let (most, turn) = match dialect {
        Dialect::Sqlite => (4, WRITER_TURN),
        Dialect::Postgres => (8, TURN),
    };
    let pool = AnyPoolOptions::new().max_connections(most).acquire_timeout(turn).after_connect(move |connection, _| {
        Box::pin(async move {
            connection.execute(dialect.pick(SQLITE_READER, POSTGRES)).await?;
            Ok(())
        })
    });
    Ok(pool.connect_with(options).await?)
}

/// Whether a URL names a database of `PostgreSQL`.
pub(crate) fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres:") || url.starts_with("postgresql:")
}

/// A database's URL as it may be shown: without the password.
pub(crate) fn shown(url: &str) -> String {
    if !is_postgres(url) {
        return url.to_owned();
    }
    // A URL that cannot be read may hold one anywhere.
    let Ok(mut url) = Url::parse(url) else { return "postgres://…".to_owned() };
    // It has no password where it can have none.
    let _ = url.set_password(None);
    // What follows may name one too, and files of keys.
    url.set_query(None);
    url.into()
}

async fn postgres(url: &str, absent: Absent) -> Result<Target, StoreError> {
    let listen = PgConnectOptions::from_str(url)?;
    // A pool would go on trying, and then say no more than that it waited.
    let tried = tokio::time::timeout(WRITER_TURN, PgConnection::connect_with(&listen)).await;
    let mut tried = tried.unwrap_or_else(|_| Err(timed_out())).map_err(StoreError::Unreachable)?;
    let empty = "SELECT to_regclass('_sqlx_migrations') IS NULL";
    if absent == Absent::Refused && sqlx::query_scalar(empty).fetch_one(&mut tried).await? {
        return Err(StoreError::NoDatabase);
    }
    tried.close().await?;
    let options = AnyConnectOptions::from_str(url)?;
    Ok(Target {
        dialect: Dialect::Postgres,
        readers: options.clone(),
        writer: options,
        listen: Some(listen),
        place: shown(url),
        file: None,
    })
}

/// Nobody answered, as where a firewall drops what is sent.
fn timed_out() -> sqlx::Error {
    let waited = format!("no answer within {} s", WRITER_TURN.as_secs());
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, waited))
}

fn sqlite(url: &str, absent: Absent) -> Result<Target, StoreError> {
    let options = SqliteConnectOptions::from_str(url)?;
    let (path, parameters) = url.split_once('?').unwrap_or((url, ""));
    let in_memory = path.contains(":memory:") || parameters.contains("mode=memory");
    let file = if in_memory {
        options.get_filename().to_owned()
    } else {
        let file = std::path::absolute(options.get_filename()).map_err(sqlx::Error::Io)?;
        prepare(&file, absent)?
    };
    // As one encoded path: what `Any` takes has to be a URL by the book, and a file's name need not be.
    let encoded = format!("sqlite:{}", encoded(&file.to_string_lossy()));
    let with = |mode: &str| {
        let mode = if in_memory { format!("mode=memory&cache=shared&{mode}") } else { mode.to_owned() };
        AnyConnectOptions::from_str(&format!("{encoded}?{mode}"))
    };
    Ok(Target {
        dialect: Dialect::Sqlite,
        readers: with("mode=ro")?,
        writer: with("mode=rwc")?,
        listen: None,
        place: file.display().to_string(),
        file: (!in_memory).then_some(file),
    })
}

fn encoded(path: &str) -> String {
    path.bytes().fold(String::with_capacity(path.len()), |mut text, byte| {
        use std::fmt::Write;
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

/// Makes the file, or takes away what others may do with it: it holds customers' addresses. `SQLite` gives
/// the files that it makes beside it the same mode. Answers the file that a link leads to: beside that one,
/// and not beside the link, lie the others.
fn prepare(named: &Path, absent: Absent) -> Result<PathBuf, StoreError> {
    let file = followed(named).map_err(sqlx::Error::Io)?;
    let folder = file.parent().unwrap_or(&file);
    if file.is_dir() {
        return Err(StoreError::NoFile(file));
    }
    if !folder.is_dir() {
        return Err(StoreError::NoFolder(folder.to_owned()));
    }
    // An empty one is what somebody made who was interrupted.
    if absent == Absent::Refused && file.metadata().map_or(true, |it| it.is_file() && it.len() == 0) {
        return Err(StoreError::NoDatabase);
    }
    if private::make_file(&file).map_err(sqlx::Error::Io)? {
        tracing::info!(path = %file.display(), "a new, empty database was made");
        return Ok(file);
    }
    if !file.metadata().map_err(sqlx::Error::Io)?.is_file() {
        return Err(StoreError::NoFile(file));
    }
    for name in ["", "-wal", "-shm", "-lock"].map(|it| beside(&file, it)) {
        if name.is_file() {
            private::close_to_others(&name);
        }
    }
    Ok(file)
}

/// Where the links end that a path may be, also if nothing is there yet.
fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        if !path.is_symlink() {
            return Ok(path);
        }
        let target = std::fs::read_link(&path)?;
        // A target that begins at the root replaces the whole.
        path.pop();
        path.push(target);
    }
    Err(io::Error::other(format!("{} is a link in a circle", path.display())))
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Waits until no other process brings the database in this file to its version: `SQLite` itself knows no
/// turns for that. The turn ends with what is answered, also when the process dies.
async fn turn_to_migrate(file: PathBuf) -> Result<File, StoreError> {
    let wait = move || {
        let lock = private::open(&beside(&file, "-lock"))?;
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => {}
        }
        tracing::info!(path = %file.display(), "waiting for another process that opens this database");
        lock.lock()?;
        Ok(lock)
    };
    let waited = tokio::task::spawn_blocking(wait).await.map_err(io::Error::other);
    Ok(waited.flatten().map_err(sqlx::Error::Io)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_file_may_have_any_name_and_its_pragmas_are_set() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["server.db", "a b#c.db", "100%25 ü.db"] {
            let url = format!("sqlite://{}", folder.path().join(name).display());
            let store = Store::open(&url).await.unwrap();
            let file = folder.path().join(name.replace("%25", "%"));
            assert!(file.is_file(), "{}", file.display());
            assert_eq!(store.place(), file.display().to_string());
            let pragma = async |pool: &AnyPool, name: &'static str| -> String {
                let value: i64 = sqlx::query_scalar(name).fetch_one(pool).await.unwrap();
                value.to_string()
            };
            assert_eq!(pragma(&store.writer, "PRAGMA synchronous").await, "2");
            assert_eq!(pragma(&store.writer, "PRAGMA foreign_keys").await, "1");
            assert_eq!(pragma(&store.writer, "PRAGMA busy_timeout").await, "10000");
            assert_eq!(pragma(&store.readers, "PRAGMA busy_timeout").await, "10000");
            let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&store.writer).await.unwrap();
            assert_eq!(mode, "wal");
            let refused = sqlx::query("DELETE FROM meta").execute(&store.readers).await.unwrap_err();
            assert!(refused.to_string().contains("readonly"), "{refused}");
            store.close().await;
        }
    }

    #[tokio::test]
    async fn a_database_in_memory_is_one_for_readers_and_writer() {
        let store = Store::open("sqlite::memory:").await.unwrap();
        store.ping().await.unwrap();
        assert_eq!(store.read().await.unwrap().backend_name(), "SQLite");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn only_a_file_is_opened_and_anything_else_stays_as_it_is() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("folder");
        std::fs::create_dir(&other).unwrap();
        std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o755)).unwrap();
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for path in [&other, &socket] {
            let before = path.metadata().unwrap().permissions();
            let Err(error) = Store::open(&format!("sqlite://{}", path.display())).await else { panic!("opened") };
            assert!(matches!(&error, StoreError::NoFile(it) if it == path), "{error}");
            assert_eq!(path.metadata().unwrap().permissions(), before);
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_link_is_followed_before_anything_is_closed_to_others() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("real")).unwrap();
        symlink("real/server.db", at("second.db")).unwrap();
        symlink(at("second.db"), at("link.db")).unwrap();
        let url = format!("sqlite://{}", at("link.db").display());
        let mode = |name: &str| at(name).metadata().unwrap().permissions().mode() & 0o777;

        let store = Store::open(&url).await.unwrap();
        assert_eq!(store.place(), at("real/server.db").display().to_string());
        let files = ["", "-lock", "-shm", "-wal"].map(|it| format!("real/server.db{it}"));
        for name in &files {
            assert_eq!(mode(name), 0o600, "{name}");
            std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(0o644)).unwrap();
        }
        Store::open(&url).await.unwrap().close().await;
        assert!(files.iter().filter(|it| at(it).exists()).all(|it| mode(it) == 0o600));
        store.close().await;

        symlink("circle.db", at("circle.db")).unwrap();
        assert!(Store::open(&format!("sqlite://{}", at("circle.db").display())).await.is_err());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_new_database_may_be_opened_several_times_at_once() {
        for _ in 0..10 {
            let folder = tempfile::tempdir().unwrap();
            let url = format!("sqlite://{}", folder.path().join("server.db").display());
            let opening: Vec<_> = (0..4)
                .map(|_| {
                    let url = url.clone();
                    tokio::spawn(async move { Store::open(&url).await.map_err(|error| error.to_string()) })
                })
                .collect();
            for opened in opening {
                opened.await.unwrap().unwrap().close().await;
            }
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(
            shown("postgres://me:secret@db.example:5433/paywall?sslkey=x"),
            "postgres://me@db.example:5433/paywall"
        );
        assert_eq!(
            shown("postgres://me:sec ret@db.example/paywall?password=secret"),
            "postgres://me@db.example/paywall"
        );
        assert!(!shown("postgres://me:secret@[broken/paywall").contains("secret"));
        assert_eq!(shown("sqlite:///var/lib/server.db"), "sqlite:///var/lib/server.db");
    }
}
