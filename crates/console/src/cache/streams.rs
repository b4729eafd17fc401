//! How far each list of each source is: its cursor, its health, and what of it could not be read.

use paywall_domain::Timestamp;
use serde_json::Value;
use sqlx::{Row, SqliteConnection};

use super::{Cache, Result};
use crate::ipc::{Failure, Source};

/// How many ids of unreadable objects are kept per list.
const UNREADABLE_MAX: usize = 1000;

/// How far a list is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamState {
    /// Where to read on, in the words of whoever reads it.
    pub cursor: Option<Value>,
    /// The instant for which the list is complete in the copy; `None` = it never was.
    pub complete_at: Option<Timestamp>,
    /// When it was last read without a failure.
    pub last_success_at: Option<Timestamp>,
    /// Why it could not be read the last time; a success takes it away.
    pub last_failure: Option<Failure>,
    /// Why the source does not give it at all; a success takes it away.
    pub missing: Option<Failure>,
    /// Objects that could not be read and were left out, by id; the first 1,000.
    pub unreadable: Vec<String>,
}

/// What one page moves forward. It is stored in the page's own transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamProgress {
    /// Where to read on after this page.
    pub cursor: Option<Value>,
    /// The instant for which the list is complete with this page; `None` = it is not yet, and what was
    /// said before stays.
    pub complete_at: Option<Timestamp>,
    /// When the page was read.
    pub at: Timestamp,
    /// Ids of objects in this page that could not be read.
    pub unreadable: Vec<String>,
}

/// The word for a source in storage.
pub(super) fn source_word(source: Source) -> &'static str {
    match source {
        Source::Server => "server",
        Source::Stripe => "stripe",
    }
}

/// Which reading of one of Stripe's lists is the latest that began; 0 = none did.
pub(super) async fn reading(tx: &mut SqliteConnection, stream: &str) -> Result<i64> {
    let found: Option<(i64,)> = sqlx::query_as("SELECT reading FROM streams WHERE source = 'stripe' AND stream = ?1")
        .bind(stream)
        .fetch_optional(tx)
        .await?;
    Ok(found.map_or(0, |(reading,)| reading))
}

/// Stores what a page moved forward, within the page's transaction. `read` are the objects that it brought.
pub(super) async fn advance(
    tx: &mut SqliteConnection,
    source: Source,
    stream: &str,
    progress: &StreamProgress,
    read: &[&str],
) -> Result<()> {
    let known: Option<(String,)> = sqlx::query_as("SELECT unreadable FROM streams WHERE source = ?1 AND stream = ?2")
        .bind(source_word(source))
        .bind(stream)
        .fetch_optional(&mut *tx)
        .await?;
    let mut unreadable: Vec<String> = known.map(|(text,)| serde_json::from_str(&text)).transpose()?.unwrap_or_default();
    unreadable.retain(|id| !read.contains(&id.as_str()));
    for id in &progress.unreadable {
        if unreadable.len() < UNREADABLE_MAX && !unreadable.contains(id) {
            unreadable.push(id.clone());
        }
    }
    sqlx::query(
        "INSERT INTO streams (source, stream, cursor, complete_at, last_success_at, unreadable)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (source, stream) DO UPDATE SET
             cursor = excluded.cursor,
             complete_at = coalesce(excluded.complete_at, complete_at),
             last_success_at = excluded.last_success_at,
             last_failure = NULL,
             missing = NULL,
             unreadable = excluded.unreadable",
    )
    .bind(source_word(source))
    .bind(stream)
    .bind(progress.cursor.as_ref().map(Value::to_string))
    .bind(progress.complete_at.map(|it| it.0))
    .bind(progress.at.0)
    .bind(serde_json::to_string(&unreadable)?)
    .execute(tx)
    .await?;
    Ok(())
}

/// What a reading of one of Stripe's lists gave and could not be read, as a JSON array of ids; `None` = there is
/// more of it than is noted.
pub(super) async fn unreadable(tx: &mut SqliteConnection, stream: &str) -> Result<Option<String>> {
    let known: Option<(String,)> =
        sqlx::query_as("SELECT unreadable FROM streams WHERE source = 'stripe' AND stream = ?1")
            .bind(stream)
            .fetch_optional(tx)
            .await?;
    let Some((text,)) = known else { return Ok(Some("[]".to_owned())) };
    let ids: Vec<String> = serde_json::from_str(&text)?;
    Ok((ids.len() < UNREADABLE_MAX).then_some(text))
}

impl Cache {
    /// How far a list is; all unknown for one that was never read.
    pub async fn stream_state(&self, source: Source, stream: &str) -> Result<StreamState> {
        let row = sqlx::query(
            "SELECT stream, cursor, complete_at, last_success_at, last_failure, missing, unreadable FROM streams
             WHERE source = ?1 AND stream = ?2",
        )
        .bind(source_word(source))
        .bind(stream)
        .fetch_optional(self.readers())
        .await?;
        row.map_or_else(|| Ok(StreamState::default()), |row| state(&row))
    }

    /// Every list of a source that was ever tried, by name.
    pub async fn stream_states(&self, source: Source) -> Result<Vec<(String, StreamState)>> {
        let rows = sqlx::query(
            "SELECT stream, cursor, complete_at, last_success_at, last_failure, missing, unreadable FROM streams
             WHERE source = ?1 ORDER BY stream",
        )
        .bind(source_word(source))
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(|row| Ok((row.try_get("stream")?, state(row)?))).collect()
    }

    /// Notes that a list is as far as `progress` says without a page: for a pass that found nothing new.
    pub async fn set_stream_progress(&self, source: Source, stream: &str, progress: &StreamProgress) -> Result<()> {
        let mut tx = self.begin().await?;
        advance(&mut tx, source, stream, progress, &[]).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Notes why a list could not be read. Its cursor and rows stay.
    pub async fn set_stream_failure(&self, source: Source, stream: &str, failure: &Failure) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO streams (source, stream, last_failure) VALUES (?1, ?2, ?3)
             ON CONFLICT (source, stream) DO UPDATE SET last_failure = excluded.last_failure",
        )
        .bind(source_word(source))
        .bind(stream)
        .bind(serde_json::to_string(failure)?)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Notes that the source does not give a list, and why; `None` = it does again. One that is not given is read
    /// from its beginning when it is: nobody can say what changed in it meanwhile.
    pub async fn set_stream_missing(&self, source: Source, stream: &str, failure: Option<&Failure>) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO streams (source, stream, missing) VALUES (?1, ?2, ?3)
             ON CONFLICT (source, stream) DO UPDATE SET missing = excluded.missing, last_failure = NULL,
                 cursor = iif(excluded.missing IS NULL, cursor, NULL)",
        )
        .bind(source_word(source))
        .bind(stream)
        .bind(failure.map(serde_json::to_string).transpose()?)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Forgets objects that could not be read, after they were.
    pub async fn clear_unreadable(&self, source: Source, stream: &str, ids: &[String]) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE streams SET unreadable = (
                 SELECT json_group_array(value) FROM json_each(streams.unreadable)
                 WHERE value NOT IN (SELECT value FROM json_each(?3))
             ) WHERE source = ?1 AND stream = ?2",
        )
        .bind(source_word(source))
        .bind(stream)
        .bind(serde_json::to_string(ids)?)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// The id of the server's database that the copy came from; `None` = nothing of it has arrived.
    pub async fn instance(&self) -> Result<Option<String>> {
        self.fact("instance").await
    }

    /// A single fact by its name.
    pub(crate) async fn fact(&self, name: &str) -> Result<Option<String>> {
        let found: Option<(String,)> =
            sqlx::query_as("SELECT value FROM facts WHERE name = ?1").bind(name).fetch_optional(self.readers()).await?;
        Ok(found.map(|(value,)| value))
    }

    /// Forgets a single fact. None by that name is fine.
    pub(crate) async fn drop_fact(&self, name: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM facts WHERE name = ?1").bind(name).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Keeps a single fact.
    pub(crate) async fn set_fact(&self, name: &str, value: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO facts (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .bind(name)
        .bind(value)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }
}

fn state(row: &sqlx::sqlite::SqliteRow) -> Result<StreamState> {
    let text = |name: &str| row.try_get::<Option<String>, _>(name);
    Ok(StreamState {
        cursor: text("cursor")?.map(|it| serde_json::from_str(&it)).transpose()?,
        complete_at: row.try_get::<Option<i64>, _>("complete_at")?.map(Timestamp),
        last_success_at: row.try_get::<Option<i64>, _>("last_success_at")?.map(Timestamp),
        last_failure: text("last_failure")?.map(|it| serde_json::from_str(&it)).transpose()?,
        missing: text("missing")?.map(|it| serde_json::from_str(&it)).transpose()?,
        unreadable: serde_json::from_str(&row.try_get::<String, _>("unreadable")?)?,
    })
}
