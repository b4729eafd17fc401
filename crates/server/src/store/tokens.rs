//! Access tokens.

use paywall_domain::{Role, Timestamp};

use super::{Store, StoreError};

/// A token without its secret.
#[derive(Debug, Clone)]
pub(crate) struct TokenRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) hash: Vec<u8>,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) last_used_at: Option<Timestamp>,
    pub(crate) revoked_at: Option<Timestamp>,
}

/// What revoking a token came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// It works no more.
    Revoked,
    /// It was revoked before, at this instant.
    Already(Timestamp),
}

type Columns = (String, String, String, Vec<u8>, i64, Option<i64>, Option<i64>, Option<i64>);

impl From<Columns> for TokenRow {
    fn from((id, name, role, hash, created_at, expires_at, last_used_at, revoked_at): Columns) -> Self {
        Self {
            id,
            name,
            // A role that this version does not know may not do more than read.
            role: Role::parse(&role).unwrap_or(Role::Viewer),
            hash,
            created_at: Timestamp(created_at),
            expires_at: expires_at.map(Timestamp),
            last_used_at: last_used_at.map(Timestamp),
            revoked_at: revoked_at.map(Timestamp),
        }
    }
}

impl Store {
    pub(crate) async fn add_token(&self, token: &TokenRow) -> Result<(), StoreError> {
        let mut write = self.write_beside().await?;
        sqlx::query(
            "INSERT INTO tokens (id, name, role, hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&token.id)
        .bind(&token.name)
        .bind(token.role.as_str())
        .bind(&token.hash)
        .bind(token.created_at.0)
        .bind(token.expires_at.map(|it| it.0))
        .execute(&mut *write)
        .await?;
        Ok(write.commit().await?)
    }

    pub(crate) async fn token(&self, hash: &[u8]) -> Result<Option<TokenRow>, StoreError> {
        let row: Option<Columns> = sqlx::query_as(
            "SELECT id, name, role, hash, created_at, expires_at, last_used_at, revoked_at \
             FROM tokens WHERE hash = $1",
        )
        .bind(hash)
        .fetch_optional(&self.readers)
        .await?;
        Ok(row.map(TokenRow::from))
    }

    /// Every token, the oldest first; also those that are over or revoked.
    pub(crate) async fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT id, name, role, hash, created_at, expires_at, last_used_at, revoked_at \
             FROM tokens ORDER BY created_at, id",
        )
        .fetch_all(&self.readers)
        .await?;
        Ok(rows.into_iter().map(TokenRow::from).collect())
    }

    pub(crate) async fn token_used(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut write = self.write_beside().await?;
        sqlx::query("UPDATE tokens SET last_used_at = $2 WHERE id = $1")
            .bind(id)
            .bind(now.0)
            .execute(&mut *write)
            .await?;
        Ok(write.commit().await?)
    }

    /// Revokes a token, unless it is revoked; `None` = no such token.
    pub(crate) async fn revoke_token(&self, id: &str, now: Timestamp) -> Result<Option<Revocation>, StoreError> {
        let mut write = self.write().await?;
        let before: Option<(Option<i64>,)> =
            sqlx::query_as("SELECT revoked_at FROM tokens WHERE id = $1").bind(id).fetch_optional(&mut *write).await?;
        let Some((before,)) = before else { return Ok(None) };
        if let Some(at) = before {
            return Ok(Some(Revocation::Already(Timestamp(at))));
        }
        sqlx::query("UPDATE tokens SET revoked_at = $2 WHERE id = $1")
            .bind(id)
            .bind(now.0)
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(Some(Revocation::Revoked))
    }
}
