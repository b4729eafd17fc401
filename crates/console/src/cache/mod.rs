//! The encrypted local copy of what the server and Stripe say: one `SQLCipher` file per profile.
//!
//! It is disposable: whatever is in it can be fetched again, except the changes whose answer is not
//! known, which live here until they are settled. Every write is one transaction together with the
//! cursor it belongs to, so a copy killed at any instant is whole and knows where to read on.
//!
//! Freed pages are not overwritten (`secure_delete` stays off): they hold ciphertext already.

mod billing;
mod change;
mod error;
mod feed;
mod fold;
mod key;
mod passing;
mod revenue;
mod streams;
mod stripe;
mod unsettled;
mod usage;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection};

pub(crate) use billing::BILLING;
pub use billing::{BillingKept, BillingLists};
use change::Change;
pub use error::{CacheError, Result};
pub(crate) use feed::aspect_word;
pub use feed::{FEED, FeedApplied};
pub use fold::fold;
pub use key::{CacheKey, CacheKeyError};
pub(crate) use revenue::{CONVERTED, LOST, UNDECIDED};
pub use revenue::{CUSTOMERS_AT_ONCE, Counting, KeptLens};
pub use streams::{StreamProgress, StreamState};
pub use stripe::{ReadingEnd, StripeRow, Window};
pub(crate) use usage::USAGE;

/// The newest layout that this version knows: the number of its last migration.
const LAYOUT: i64 = 11;

/// The page cache of one connection, in KiB. `SQLCipher` decrypts a page each time it is read into the
/// cache, so a cache that holds the working set is what keeps it near a plain file's speed.
const PAGE_CACHE: &str = "-98304";

/// Pages in the log after which it is folded into the file. A page of a hundred objects in a large copy changes a
/// thousand pages, many of them the same ones each time; 32 MB are still little beside such a copy.
const CHECKPOINT: &str = "8000";

/// How long closing waits for a question in SQL.
const QUESTION_ENDS: Duration = Duration::from_secs(5);

/// Connections that read at the same time.
const READERS: u32 = 3;

/// An open local copy. Clones share it; it is closed when [`Cache::close`] is called or the last is gone.
#[derive(Clone)]
pub struct Cache {
    writer: SqlitePool,
    readers: SqlitePool,
    questions: SqlitePool,
    path: Arc<Path>,
    // 0 = never limited.
    most_pages: Arc<AtomicU32>,
    // Held as long as the copy is open; the system gives it back even after a crash.
    _lock: Arc<File>,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Why a copy was replaced by an empty one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// What was wrong with the old one, in technical words without secrets.
    pub reason: String,
}

impl Cache {
    /// Opens the copy at `path`, or makes an empty one, and brings its layout up to date.
    ///
    /// Fails with [`CacheError::InUse`] where another process has it open, with [`CacheError::Newer`]
    /// where a newer version wrote it and with [`CacheError::Broken`] where the key is another one or
    /// the file is damaged; the file stays as it was in all three cases.
    pub async fn open(path: &Path, key: &CacheKey) -> Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let lock = lock(path)?;
        Self::open_locked(path, Some(key), lock).await
    }

    /// As [`Cache::open`], but the file is not encrypted: what encryption costs is measured against this.
    /// For made-up data alone; no profile opens its copy so.
    #[doc(hidden)]
    pub async fn open_unencrypted(path: &Path) -> Result<Self> {
        Self::open_locked(path, None, lock(path)?).await
    }

    /// As [`Cache::open`]; but a copy that is broken or has another key is removed and made anew, since
    /// everything in it can be fetched again. The second value then says why.
    pub async fn open_or_replace(path: &Path, key: &CacheKey) -> Result<(Self, Option<Replaced>)> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let held = lock(path)?;
        let again = held.try_clone()?;
        match Self::open_locked(path, Some(key), held).await {
            Ok(cache) => Ok((cache, None)),
            Err(CacheError::Broken(reason)) => {
                remove_data(path)?;
                Ok((Self::open_locked(path, Some(key), again).await?, Some(Replaced { reason })))
            }
            Err(error) => Err(error),
        }
    }

    async fn open_locked(path: &Path, key: Option<&CacheKey>, lock: File) -> Result<Self> {
        let options = options(path, key);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.clone().create_if_missing(true))
            .await?;
        if let Err(error) = prepare(&writer).await {
            writer.close().await;
            return Err(error);
        }
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options.clone().pragma("query_only", "ON"));
        let questions = crate::sql::pool(options);
        Ok(Self { writer, readers, questions, path: path.into(), most_pages: Arc::default(), _lock: Arc::new(lock) })
    }

    /// Closes every connection and folds the write-ahead log into the file.
    pub async fn close(&self) {
        // A question that cannot be stopped must not keep the copy, or the app, open.
        if tokio::time::timeout(QUESTION_ENDS, self.questions.close()).await.is_err() {
            tracing::warn!("a question in SQL did not end in time");
        }
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Removes the copy at `path` with everything beside it. Nothing there is fine;
    /// [`CacheError::InUse`] where it is open, here or in another process.
    pub fn wipe(path: &Path) -> Result<()> {
        if !path.parent().is_none_or(Path::exists) {
            return Ok(());
        }
        let held = lock(path)?;
        remove_data(path)?;
        remove(&beside(path, "-lock"))?;
        drop(held);
        Ok(())
    }

    /// Reads the whole file and checks every page and index. Takes seconds on a large copy.
    /// [`CacheError::Broken`] says what is wrong.
    pub async fn verify(&self) -> Result<()> {
        let verdicts: Vec<(String,)> = sqlx::query_as("PRAGMA cipher_integrity_check").fetch_all(&self.readers).await?;
        if let Some((verdict,)) = verdicts.into_iter().next() {
            return Err(CacheError::Broken(verdict));
        }
        let (verdict,): (String,) = sqlx::query_as("PRAGMA integrity_check(1)").fetch_one(&self.readers).await?;
        if verdict == "ok" { Ok(()) } else { Err(CacheError::Broken(verdict)) }
    }

    /// Lets the copy grow to so many pages of 4 KiB; `None` = as far as the disk goes. Past it every write
    /// fails with [`CacheError::DiskFull`], as on a full disk.
    pub fn limit_pages(&self, most: Option<u32>) {
        // The largest that SQLite knows is what it begins with.
        self.most_pages.store(most.unwrap_or(u32::MAX - 1), Ordering::Relaxed);
    }

    /// Bytes on disk, the write-ahead log included.
    pub fn bytes(&self) -> i64 {
        bytes(&self.path).unwrap_or_default()
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Connections that only read; statements over them are in [`crate::query`].
    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// The connection on which questions in SQL are asked; see [`crate::sql`].
    pub(crate) fn questions(&self) -> &SqlitePool {
        &self.questions
    }

    /// Begins a change. Dropped without a commit it leaves nothing behind.
    pub(crate) async fn begin(&self) -> Result<Change> {
        let most = self.most_pages.load(Ordering::Relaxed);
        Change::begin(&self.writer, (most > 0).then_some(most)).await
    }
}

/// Bytes on disk of the copy at `path`, the write-ahead log included; `None` = there is none.
pub fn bytes(path: &Path) -> Option<i64> {
    let main = std::fs::metadata(path).ok()?.len();
    let log = std::fs::metadata(beside(path, "-wal")).map_or(0, |it| it.len());
    i64::try_from(main + log).ok()
}

fn options(path: &Path, key: Option<&CacheKey>) -> SqliteConnectOptions {
    let file = SqliteConnectOptions::new().filename(path);
    // Before any other pragma: those read the file.
    let opened = match key {
        Some(key) => file.pragma("key", key.pragma()),
        None => file,
    };
    opened
        .journal_mode(SqliteJournalMode::Wal)
        // A lost power supply may cost the last pages fetched, never the file: in WAL mode the log is
        // always whole up to some commit, and the cursor lies in the same commit.
        .synchronous(SqliteSynchronous::Normal)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(10))
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", PAGE_CACHE)
        .pragma("wal_autocheckpoint", CHECKPOINT)
        .statement_cache_capacity(256)
        .disable_statement_logging()
}

async fn prepare(writer: &SqlitePool) -> Result<()> {
    let mut connection = writer.acquire().await?;
    let (found,): (i64,) = sqlx::query_as("PRAGMA user_version").fetch_one(&mut *connection).await?;
    if found > LAYOUT {
        return Err(CacheError::Newer { found, known: LAYOUT });
    }
    if found < LAYOUT {
        migrate(&mut connection).await?;
    }
    if found == 1 {
        give_back_freed(&mut connection).await;
    }
    Ok(())
}

/// Gives the disk what a migration freed. That needs room itself; where there is none the copy is whole
/// all the same, and fills the freed pages again.
async fn give_back_freed(connection: &mut SqliteConnection) {
    // The log first: it may hold as much as the file, and then once more what was written anew.
    for statement in ["PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"] {
        if let Err(error) = sqlx::query(statement).execute(&mut *connection).await {
            tracing::warn!(%error, statement, "the copy stays larger than it need be");
            return;
        }
    }
}

async fn migrate(connection: &mut SqliteConnection) -> Result<()> {
    let step = |number, title: &'static str, sql: &'static str| {
        let sql = sqlx::SqlSafeStr::into_sql_str(sql);
        Migration::new(number, title.into(), MigrationType::Simple, sql, false)
    };
    let steps = vec![
        step(1, "the local copy", include_str!("migrations/0001_copy.sql")),
        step(2, "packed objects", include_str!("migrations/0002_packed.sql")),
        step(3, "stripe's part whole", include_str!("migrations/0003_mirror.sql")),
        step(4, "billing health", include_str!("migrations/0004_billing.sql")),
        step(5, "payments and their invoices", include_str!("migrations/0005_payments.sql")),
        step(6, "revenue", include_str!("migrations/0006_revenue.sql")),
        step(7, "usage by day", include_str!("migrations/0007_usage_days.sql")),
        step(8, "invoices as facts", include_str!("migrations/0008_invoice_facts.sql")),
        step(9, "subscriptions that cannot be told", include_str!("migrations/0009_untold.sql")),
        step(10, "what was seen of a customer in one place", include_str!("migrations/0010_snapshots_by_customer.sql")),
        step(11, "what is kept of a customer in one row", include_str!("migrations/0011_accounts_whole.sql")),
    ];
    // Not `run`: its future is `Send` for one lifetime at a time only, so nothing that opens a copy could
    // move between threads.
    Migrator::with_migrations(steps).run_direct(None, connection, false).await.map_err(|error| match error {
        sqlx::migrate::MigrateError::Execute(error) | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => {
            error.into()
        }
        sqlx::migrate::MigrateError::VersionMissing(found) => CacheError::Newer { found, known: LAYOUT },
        other => CacheError::Broken(other.to_string()),
    })
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn lock(path: &Path) -> Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(beside(path, "-lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(CacheError::InUse),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

fn remove_data(path: &Path) -> Result<()> {
    for suffix in ["-wal", "-shm", "-journal", ""] {
        remove(&beside(path, suffix))?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
