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
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) last_used_at: Option<Timestamp>,
}

impl Store {
    pub(crate) async fn add_token(&self, token: &TokenRow, now: Timestamp) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO tokens (id, name, role, hash, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .bind(&token.id)
        .bind(&token.name)
        .bind(token.role.as_str())
        .bind(&token.hash)
        .bind(now.0)
        .bind(token.expires_at.map(|it| it.0))
        .execute(&mut *write)
        .await?;
        Ok(write.commit().await?)
    }

    pub(crate) async fn token(&self, hash: &[u8]) -> Result<Option<TokenRow>, StoreError> {
        type Columns = (String, String, String, Vec<u8>, Option<i64>, Option<i64>);
        let row: Option<Columns> =
            sqlx::query_as("SELECT id, name, role, hash, expires_at, last_used_at FROM tokens WHERE hash = ?1")
                .bind(hash)
                .fetch_optional(&self.readers)
                .await?;
        Ok(row.map(|(id, name, role, hash, expires_at, last_used_at)| TokenRow {
            id,
            name,
            // A role that this version does not know may not do more than read.
            role: Role::parse(&role).unwrap_or(Role::Viewer),
            hash,
            expires_at: expires_at.map(Timestamp),
            last_used_at: last_used_at.map(Timestamp),
        }))
    }

    pub(crate) async fn token_used(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query("UPDATE tokens SET last_used_at = ?2 WHERE id = ?1")
            .bind(id)
            .bind(now.0)
            .execute(&mut *write)
            .await?;
        Ok(write.commit().await?)
    }
}
