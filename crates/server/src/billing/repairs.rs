//! Repairs of the account: who made them, and what was answered under their keys. And repairs in Stripe that were begun.

use paywall_domain::Timestamp;

use crate::store::{Connection, Store, StoreError, storable};

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

/// A repair in Stripe that was begun, and whose end is not recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) key: String,
    pub(crate) hash: Vec<u8>,
    pub(crate) since: Timestamp,
    /// Who asked for it, why, and what.
    pub(crate) body: String,
}

type Columns = (String, Vec<u8>, i64, String);

fn read((key, hash, begun_at, body): Columns) -> Begun {
    Begun { key, hash, since: Timestamp(begun_at), body }
}

/// Keeps that a repair was begun.
pub(crate) async fn begin(connection: &mut Connection, begun: &Begun) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO stripe_repairs (key, request_hash, begun_at, body) VALUES ($1, $2, $3, $4)")
        .bind(&begun.key)
        .bind(&begun.hash)
        .bind(begun.since.0)
        .bind(storable(&begun.body))
        .execute(connection)
        .await?;
    Ok(())
}

/// What was begun under a key.
pub(crate) async fn begun(connection: &mut Connection, key: &str) -> Result<Option<Begun>, StoreError> {
    let row: Option<Columns> =
        sqlx::query_as("SELECT key, request_hash, begun_at, body FROM stripe_repairs WHERE key = $1")
            .bind(key)
            .fetch_optional(connection)
            .await?;
    Ok(row.map(read))
}

/// Forgets that a repair was begun: its end is known.
pub(crate) async fn forget(connection: &mut Connection, key: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM stripe_repairs WHERE key = $1").bind(key).execute(connection).await?;
    Ok(())
}

impl Store {
    /// Repairs that were begun up to an instant, the oldest first.
    pub(crate) async fn repairs_left(&self, up_to: Timestamp, most: i64) -> Result<Vec<Begun>, StoreError> {
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT key, request_hash, begun_at, body FROM stripe_repairs WHERE begun_at <= $1 ORDER BY begun_at LIMIT $2",
        )
        .bind(up_to.0)
        .bind(most)
        .fetch_all(self.readers())
        .await?;
        Ok(rows.into_iter().map(read).collect())
    }
}
