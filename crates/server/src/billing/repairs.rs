//! Repairs of the account: who made them, and what was answered under their keys.

use paywall_domain::Timestamp;

use crate::store::{Connection, StoreError, storable};

/// A repair as it was made.
pub(crate) struct Made<'a> {
    pub(crate) key: &'a str,
    pub(crate) hash: &'a [u8],
    pub(crate) drift: &'a str,
    pub(crate) actor: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) answer: &'a str,
}

/// The hash of the request made under a key, and what was answered.
pub(crate) async fn get(connection: &mut Connection, key: &str) -> Result<Option<(Vec<u8>, String)>, StoreError> {
    Ok(sqlx::query_as("SELECT request_hash, answer FROM billing_repairs WHERE key = $1")
        .bind(key)
        .fetch_optional(connection)
        .await?)
}

/// Keeps a repair; the first under a key stays.
pub(crate) async fn put(connection: &mut Connection, made: &Made<'_>, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO billing_repairs (key, request_hash, drift, actor, reason, at, answer)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (key) DO NOTHING",
    )
    .bind(made.key)
    .bind(made.hash)
    .bind(made.drift)
    .bind(storable(made.actor))
    .bind(storable(made.reason))
    .bind(now.0)
    .bind(storable(made.answer))
    .execute(connection)
    .await?;
    Ok(())
}
