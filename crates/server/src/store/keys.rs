//! Idempotency keys: what was answered under them, or that they are void.

use paywall_domain::Timestamp;
use sqlx::SqliteConnection;

use super::StoreError;

/// What is known of a key.
#[derive(Debug)]
pub(crate) enum KeyRecord {
    /// Settled as unused: no change will be made under it.
    Void,
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

pub(crate) async fn get(
    connection: &mut SqliteConnection,
    token_id: &str,
    key: &str,
) -> Result<Option<KeyRecord>, StoreError> {
    type Columns = (Option<Vec<u8>>, Option<String>, Option<String>, Option<i64>);
    let row: Option<Columns> = sqlx::query_as(
        "SELECT request_hash, adjustment_id, answer, version FROM idempotency_keys WHERE token_id = ?1 AND key = ?2",
    )
    .bind(token_id)
    .bind(key)
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|columns| match columns {
        (Some(request_hash), Some(adjustment_id), Some(answer), Some(version)) => {
            KeyRecord::Made { request_hash, adjustment_id, answer, version }
        }
        _ => KeyRecord::Void,
    }))
}

/// Writes what became of a key that was not known before.
pub(crate) async fn put(
    connection: &mut SqliteConnection,
    token_id: &str,
    key: &str,
    record: &KeyRecord,
    now: Timestamp,
) -> Result<(), StoreError> {
    let query = sqlx::query(
        "INSERT INTO idempotency_keys (token_id, key, at, request_hash, adjustment_id, answer, version)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )
    .bind(token_id)
    .bind(key)
    .bind(now.0);
    let query = match record {
        KeyRecord::Void => query.bind(None::<Vec<u8>>).bind(None::<String>).bind(None::<String>).bind(None::<i64>),
        KeyRecord::Made { request_hash, adjustment_id, answer, version } => {
            query.bind(request_hash).bind(adjustment_id).bind(answer).bind(version)
        }
    };
    query.execute(connection).await?;
    Ok(())
}
