//! Write transactions.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use sqlx::{Any, Transaction};
use tokio::sync::watch;

use super::runs::{self, History};
use super::{Connection, Dialect, Store, StoreError, follow};

/// The one write transaction of the whole database: also other servers wait. Dropped without `commit`,
/// nothing of it happened.
pub(crate) struct Write {
    transaction: Transaction<'static, Any>,
    /// Where the sequence stood when it began.
    began: i64,
    history: Arc<History>,
    changes: Arc<watch::Sender<i64>>,
}

impl Write {
    /// Makes it so, and tells those who watch the changes.
    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        // Where numbers were taken, every server is told of the last one, by the commit.
        let tell = Dialect::of(&self.transaction).pick(
            "SELECT last FROM sequence WHERE last > $1",
            "SELECT last, pg_notify('paywall_changed', CAST(last AS TEXT)) FROM sequence WHERE last > $1",
        );
        let last: Option<(i64,)> = sqlx::query_as(tell).bind(self.began).fetch_optional(&mut *self.transaction).await?;
        self.transaction.commit().await?;
        if let Some((last,)) = last {
            self.history.went_on(last);
            follow::told(&self.changes, last);
        }
        Ok(())
    }
}

impl Deref for Write {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.transaction
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.transaction
    }
}

impl Store {
    /// The one write transaction. Its view is of after it got its turn: whatever was committed before is seen.
    pub(crate) async fn write(&self) -> Result<Write, StoreError> {
        loop {
            let mut transaction = self.begin(&self.writer).await?;
            // The sequence, locked (SQLite has one writer anyway), and what tells its table from one put in
            // its place.
            let lock = self.dialect.pick(
                "SELECT last, '' FROM sequence",
                "SELECT last,
                        CAST(pg_relation_filenode('sequence') AS TEXT) || CAST(pg_postmaster_start_time() AS TEXT)
                 FROM sequence FOR UPDATE",
            );
            let (last, table): (i64, String) = sqlx::query_as(lock).fetch_one(&mut *transaction).await?;
            if !self.history.may_be_another(last, &table) {
                let (history, changes) = (Arc::clone(&self.history), Arc::clone(&self.changes));
                return Ok(Write { transaction, began: last, history, changes });
            }
            // By itself, so that it stays where the change fails.
            let connection = self.history.connection();
            runs::begin(&mut transaction).await?;
            transaction.commit().await?;
            self.history.begun(last, table, connection);
        }
    }

    /// A transaction for what is not in the feed. Others write at the same time, except on `SQLite`.
    pub(crate) async fn write_beside(&self) -> Result<Transaction<'static, Any>, StoreError> {
        self.begin(match self.dialect {
            Dialect::Sqlite => &self.writer,
            Dialect::Postgres => &self.readers,
        })
        .await
    }

    async fn begin(&self, pool: &sqlx::AnyPool) -> Result<Transaction<'static, Any>, StoreError> {
        // Each statement sees what was committed before it, whatever the database's default.
        super::begun(pool, self.dialect.pick("BEGIN IMMEDIATE", "BEGIN ISOLATION LEVEL READ COMMITTED")).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::task::Poll;
    use std::time::Duration;

    use sqlx::Connection as _;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whoever_gives_up_while_it_begins_leaves_no_transaction_behind() {
        let server = paywall_databases::Postgres::shared().unwrap();
        let url = server.database().unwrap();
        let store = Store::open(&url).await.unwrap();
        let mut beside = Connection::connect(&url).await.unwrap();
        for looks in (1..60).chain(1..60) {
            given_up(store.read(), looks).await;
            // A transaction that nobody ends stays; those that are being ended do not.
            for look in 0.. {
                let (open,): (i64,) = sqlx::query_as(
                    "SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND state LIKE 'idle in transaction%'",
                )
                .fetch_one(&mut beside)
                .await
                .unwrap();
                if open == 0 {
                    break;
                }
                assert!(look < 100, "given up after {looks} looks, {open} transactions are open");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Looks so often whether something is done, and then gives up.
    async fn given_up<T>(work: impl Future<Output = T>, looks: usize) {
        let mut work = std::pin::pin!(work);
        for _ in 0..looks {
            if std::future::poll_fn(|context| Poll::Ready(work.as_mut().poll(context).is_ready())).await {
                return;
            }
            // The other thread goes on meanwhile, and the database answers.
            std::thread::sleep(Duration::from_micros(20));
        }
    }
}
