//! Which processes serve from this database. Not in the feed: nobody mirrors it.

use paywall_contract::Replica;
use paywall_domain::{DAY_MS, Timestamp};

use super::{Store, StoreError};

/// How long a process that died without a word is remembered.
const REMEMBERED_MS: i64 = DAY_MS;

/// Each process writes its own row alone, so no two wait for each other.
const BEAT: &str = "INSERT INTO replicas (id, version, started_at, seen_at) VALUES ($1, $2, $3, $4)
     ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at";

const FORGET: &str = "DELETE FROM replicas WHERE seen_at < $1";

const LEAVE: &str = "DELETE FROM replicas WHERE id = $1";

const ALL: &str = "SELECT id, version, started_at, seen_at FROM replicas WHERE seen_at >= $1 ORDER BY started_at, id";

impl Store {
    /// Says that a process runs, and forgets those that have not said so for a day.
    pub(crate) async fn beat(&self, replica: &Replica) -> Result<(), StoreError> {
        let mut write = self.write_beside().await?;
        sqlx::query(BEAT)
            .bind(&replica.id)
            .bind(&replica.version)
            .bind(replica.started_at.0)
            .bind(replica.seen_at.0)
            .execute(&mut *write)
            .await?;
        sqlx::query(FORGET).bind(replica.seen_at.0 - REMEMBERED_MS).execute(&mut *write).await?;
        Ok(write.commit().await?)
    }

    /// Says that a process has stopped.
    pub(crate) async fn leave(&self, replica: &str) -> Result<(), StoreError> {
        let mut write = self.write_beside().await?;
        sqlx::query(LEAVE).bind(replica).execute(&mut *write).await?;
        Ok(write.commit().await?)
    }

    /// The processes that were heard of within a day before `now`, the oldest first.
    pub(crate) async fn replicas(&self, now: Timestamp) -> Result<Vec<Replica>, StoreError> {
        let rows: Vec<(String, String, i64, i64)> =
            sqlx::query_as(ALL).bind(now.0 - REMEMBERED_MS).fetch_all(&self.readers).await?;
        let replica = |(id, version, started_at, seen_at)| Replica {
            id,
            version,
            started_at: Timestamp(started_at),
            seen_at: Timestamp(seen_at),
        };
        Ok(rows.into_iter().map(replica).collect())
    }
}
