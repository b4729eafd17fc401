//! Changes that were sent and whose answer is not known.

use paywall_domain::{TenantId, Timestamp};
use sqlx::Row;

use super::{Cache, CacheError, Result};
use crate::ipc::UnsettledChange;

impl Cache {
    /// Notes a change before it is sent, so that a crash does not forget it. Noting it again changes nothing.
    pub async fn insert_unsettled(&self, change: &UnsettledChange) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO unsettled (key, tenant_id, tenant_name, change, sent_at, instance, undoes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (key) DO NOTHING",
        )
        .bind(&change.key)
        .bind(change.tenant_id.as_str())
        .bind(&change.tenant_name)
        .bind(serde_json::to_string(&change.change)?)
        .bind(change.sent_at.0)
        .bind(&change.instance)
        .bind(&change.undoes)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Forgets a change once its answer is known. Whether it was noted.
    pub async fn remove_unsettled(&self, key: &str) -> Result<bool> {
        let mut tx = self.begin().await?;
        let done = sqlx::query("DELETE FROM unsettled WHERE key = ?1").bind(key).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// Every change whose answer is not known, latest first.
    pub async fn unsettled_changes(&self) -> Result<Vec<UnsettledChange>> {
        let rows = sqlx::query(
            "SELECT key, tenant_id, tenant_name, change, sent_at, instance, undoes FROM unsettled
             ORDER BY sent_at DESC, key DESC",
        )
        .fetch_all(self.readers())
        .await?;
        rows.iter()
            .map(|row| {
                let tenant: String = row.try_get("tenant_id")?;
                let change: String = row.try_get("change")?;
                Ok(UnsettledChange {
                    key: row.try_get("key")?,
                    tenant_id: TenantId::parse(&tenant).map_err(|error| CacheError::Broken(error.to_string()))?,
                    tenant_name: row.try_get("tenant_name")?,
                    change: serde_json::from_str(&change)?,
                    undoes: row.try_get("undoes")?,
                    sent_at: Timestamp(row.try_get("sent_at")?),
                    instance: row.try_get("instance")?,
                })
            })
            .collect()
    }
}
