//! Runs: which stretch of the feed's numbers a place belongs to.
//!
//! A database put back from a backup gives out numbers again that it gave out before, for other
//! changes. So a place names the run that it lies in, and holds only where this database's own history
//! passed through it. A run begins before the first change of each writing connection, and where a writer
//! finds the sequence behind what it has seen, or another table in its place: whatever takes a history back
//! does one of these. A run that begins without need takes nothing from a place: it begins where the
//! sequence stands, and no place given out before lies further.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Connection, StoreError, storable};

/// What this process knows of the history that it writes on.
#[derive(Debug, Default)]
pub(super) struct History {
    /// How many writing connections were made.
    connections: AtomicU64,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    last: i64,
    table: String,
    /// The writing connection of the newest run.
    connection: u64,
}

impl History {
    /// Notes that the writing connection is a new one.
    pub(super) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::SeqCst);
    }

    /// Which writing connection is in use. To be asked by whoever holds it: there is one at a time.
    pub(super) fn connection(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    /// Whether a change made now needs a run of its own: the history may be another than before.
    pub(super) fn may_be_another(&self, last: i64, table: &str) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        self.connection() != seen.connection || last < seen.last || table != seen.table
    }

    /// Notes that a run began here, by this connection.
    pub(super) fn begun(&self, last: i64, table: String, connection: u64) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen { last, table, connection };
    }

    /// Notes that the history went on to here.
    pub(super) fn went_on(&self, last: i64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.last = seen.last.max(last);
    }
}

/// Begins a run where the sequence stands.
pub(super) async fn begin(connection: &mut Connection) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO runs (number, id, first_seq)
         SELECT (SELECT coalesce(max(number), 0) + 1 FROM runs), $1, last FROM sequence",
    )
    .bind(hex::encode(rand::random::<[u8; 16]>()))
    .execute(connection)
    .await?;
    Ok(())
}

/// The run that a place of this database lies in: the newest that had begun there.
pub(crate) async fn of(connection: &mut Connection, seq: i64) -> Result<String, StoreError> {
    let (id,): (String,) =
        sqlx::query_as("SELECT id FROM runs WHERE first_seq <= $1 ORDER BY first_seq DESC, number DESC LIMIT 1")
            .bind(seq)
            .fetch_one(connection)
            .await?;
    Ok(id)
}

/// Whether the place `seq` of that run is one of this database's history: the run is known, and neither
/// the next one had begun before the place, nor has the sequence yet to reach it.
pub(crate) async fn passed_through(connection: &mut Connection, run: &str, seq: i64) -> Result<bool, StoreError> {
    let row: Option<(i64,)> = sqlx::query_as(
        "SELECT CASE WHEN $2 BETWEEN 0 AND coalesce(
             (SELECT next.first_seq FROM runs AS next WHERE next.number > runs.number ORDER BY next.number LIMIT 1),
             (SELECT last FROM sequence)) THEN 1 ELSE 0 END
         FROM runs WHERE id = $1",
    )
    .bind(storable(run))
    .bind(seq)
    .fetch_optional(connection)
    .await?;
    Ok(row == Some((1,)))
}
