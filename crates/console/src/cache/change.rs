//! One change of the copy: all of it or nothing.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqlitePool;
use sqlx::{Sqlite, SqliteConnection};

use super::Result;

/// A running transaction on the connection that writes.
///
/// `SQLite` ends a transaction by itself where the disk is full or the file is damaged, which a
/// transaction that counts its own nesting does not notice. So a change that is not committed gives its
/// connection up, and the next change begins on a new one.
pub(crate) struct Change {
    connection: PoolConnection<Sqlite>,
    committed: bool,
}

impl Change {
    pub(super) async fn begin(writer: &SqlitePool, most_pages: Option<u32>) -> Result<Self> {
        let mut change = Self { connection: writer.acquire().await?, committed: false };
        if let Some(pages) = most_pages {
            // A pragma takes no parameter; a number cannot carry a statement.
            sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"))).execute(&mut *change).await?;
        }
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *change).await?;
        Ok(change)
    }

    pub(super) async fn commit(mut self) -> Result<()> {
        sqlx::query("COMMIT").execute(&mut *self).await?;
        self.committed = true;
        Ok(())
    }
}

impl Deref for Change {
    type Target = SqliteConnection;
    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Change {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        if !self.committed {
            self.connection.close_on_drop();
        }
    }
}
