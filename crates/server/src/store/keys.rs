//! Idempotency keys: what was answered under them, or that they are void.

use paywall_domain::{DAY_MS, Timestamp};

use super::{Connection, Store, StoreError};

/// How long a key is kept: far longer than a console stays away with a change in doubt.
const KEPT_MS: i64 = 90 * DAY_MS;

/// Keys removed in one transaction.
const BATCH: i64 = 500;

/// What is known of a key.
#[derive(Debug)]
pub(crate) enum KeyRecord {
    /// Settled as unused: no change will be made under it.
    Void,
    /// A repair in Stripe was begun under it, and what came of it is not recorded yet.
    Begun {
        /// The hash of the request that began it.
        request_hash: Vec<u8>,
    },
    /// A change was made under it.
    Made {
        /// The hash of the request that made it.
        request_hash: Vec<u8>,
        /// The adjustment that it made.
        adjustment_id: String,
        /// The body that was answered.
        answer: String,
        /// The tenant's version after it.
        version: i64,
    },
}

pub(crate) async fn get(connection: &mut Connection, key: &str) -> Result<Option<KeyRecord>, StoreError> {
    type Columns = (Option<Vec<u8>>, Option<String>, Option<String>, Option<i64>);
    let row: Option<Columns> =
        sqlx::query_as("SELECT request_hash, adjustment_id, answer, version FROM idempotency_keys WHERE key = $1")
            .bind(key)
            .fetch_optional(connection)
            .await?;
    Ok(row.map(|columns| match columns {
        (Some(request_hash), Some(adjustment_id), Some(answer), Some(version)) => {
            KeyRecord::Made { request_hash, adjustment_id, answer, version }
        }
        (Some(request_hash), None, None, None) => KeyRecord::Begun { request_hash },
        _ => KeyRecord::Void,
    }))
}

/// Writes what became of a key that was not known before.
pub(crate) async fn put(
    connection: &mut Connection,
    key: &str,
    record: &KeyRecord,
    now: Timestamp,
) -> Result<(), StoreError> {
    let query = sqlx::query(
        "INSERT INTO idempotency_keys (key, at, request_hash, adjustment_id, answer, version)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(key)
    .bind(now.0);
    let query = match record {
        KeyRecord::Begun { request_hash } => {
            query.bind(request_hash).bind(None::<String>).bind(None::<String>).bind(None::<i64>)
        }
        KeyRecord::Void => query.bind(None::<Vec<u8>>).bind(None::<String>).bind(None::<String>).bind(None::<i64>),
        KeyRecord::Made { request_hash, adjustment_id, answer, version } => {
            query.bind(request_hash).bind(adjustment_id).bind(answer).bind(version)
        }
    };
    query.execute(connection).await?;
    Ok(())
}

/// Writes what became of a key under which something was begun; `None` = nothing that is to be known.
pub(crate) async fn replace(
    connection: &mut Connection,
    key: &str,
    record: Option<&KeyRecord>,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM idempotency_keys WHERE key = $1").bind(key).execute(&mut *connection).await?;
    match record {
        Some(record) => put(connection, key, record, now).await,
        None => Ok(()),
    }
}

impl Store {
    /// Forgets keys that are older than any change in doubt; answers how many, a batch at most.
    pub(crate) async fn prune_keys(&self, now: Timestamp) -> Result<u64, StoreError> {
        let before = now.plus_ms(-KEPT_MS).0;
        // Most of the time there is none, and finding that out must not wait for the writer.
        let old: Option<(i64,)> = sqlx::query_as("SELECT 1 FROM idempotency_keys WHERE at < $1 LIMIT 1")
            .bind(before)
            .fetch_optional(&self.readers)
            .await?;
        if old.is_none() {
            return Ok(0);
        }
        let mut write = self.write().await?;
        let done = sqlx::query(
            "DELETE FROM idempotency_keys WHERE key IN (SELECT key FROM idempotency_keys WHERE at < $1 LIMIT $2)",
        )
        .bind(before)
        .bind(BATCH)
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(done.rows_affected())
    }
}
