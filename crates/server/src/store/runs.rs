//! Runs: which stretch of the feed's numbers a place belongs to.
//!
//! A database put back from a backup gives out numbers again that it gave out before, for other
//! changes. Each start of a process therefore begins a run; a place names the run that it lies in, and
//! holds only where this database's own history passed through it.

use sqlx::SqliteConnection;

use super::StoreError;

/// Begins a run where the sequence stands.
pub(super) async fn begin(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO runs (id, first_seq) SELECT ?1, last FROM sequence")
        .bind(hex::encode(rand::random::<[u8; 16]>()))
        .execute(connection)
        .await?;
    Ok(())
}

/// The run that a place of this database lies in: the newest that had begun there.
pub(crate) async fn of(connection: &mut SqliteConnection, seq: i64) -> Result<String, StoreError> {
    let (id,): (String,) =
        sqlx::query_as("SELECT id FROM runs WHERE first_seq <= ?1 ORDER BY first_seq DESC, number DESC LIMIT 1")
            .bind(seq)
            .fetch_one(connection)
            .await?;
    Ok(id)
}

/// Whether the place `seq` of that run is one of this database's history: the run is known, and neither
/// the next one had begun before the place, nor has the sequence yet to reach it.
pub(crate) async fn passed_through(connection: &mut SqliteConnection, run: &str, seq: i64) -> Result<bool, StoreError> {
    let row: Option<(bool,)> = sqlx::query_as(
        "SELECT ?2 BETWEEN 0 AND coalesce(
             (SELECT next.first_seq FROM runs AS next WHERE next.number > runs.number ORDER BY next.number LIMIT 1),
             (SELECT last FROM sequence))
         FROM runs WHERE id = ?1",
    )
    .bind(run)
    .bind(seq)
    .fetch_optional(connection)
    .await?;
    Ok(row.is_some_and(|(passed,)| passed))
}
