//! Whose credentials changed, told to every server in the feed's own order. Nobody mirrors it.

use paywall_domain::TenantId;

use super::{Connection, Dialect, Read, Store, StoreError, take_seq};

impl Store {
    /// Tells every server that sessions or keys of these users changed. `changes_watch` tells of it.
    pub(crate) async fn tell_credentials(&self, users: &[TenantId]) -> Result<(), StoreError> {
        if users.is_empty() {
            return Ok(());
        }
        let mut write = self.write().await?;
        let first = take_seq(&mut write, users.len()).await? + 1;
        let rows: Vec<(&str, i64)> = users.iter().map(TenantId::as_str).zip(first..).collect();
        let statement = Dialect::of(&write).pick(
            "INSERT INTO credential_changes (tenant_id, seq)
                 SELECT value ->> 0, value ->> 1 FROM json_each($1) WHERE true
                 ON CONFLICT (tenant_id) DO UPDATE SET seq = excluded.seq",
            "INSERT INTO credential_changes (tenant_id, seq)
                 SELECT value ->> 0, CAST(value ->> 1 AS bigint) FROM json_array_elements(CAST($1 AS json))
                 ON CONFLICT (tenant_id) DO UPDATE SET seq = excluded.seq",
        );
        sqlx::query(statement).bind(serde_json::to_string(&rows)?).execute(&mut *write).await?;
        write.commit().await
    }
}

/// Whose credentials changed after a place, with the place of each, in order; at most `limit`.
pub(crate) async fn after(read: &mut Read, place: i64, limit: i64) -> Result<Vec<(TenantId, i64)>, StoreError> {
    let connection: &mut Connection = read;
    let rows: Vec<(String, i64)> =
        sqlx::query_as("SELECT tenant_id, seq FROM credential_changes WHERE seq > $1 ORDER BY seq LIMIT $2")
            .bind(place)
            .bind(limit)
            .fetch_all(connection)
            .await?;
    Ok(rows.into_iter().filter_map(|(id, seq)| Some((TenantId::parse(&id).ok()?, seq))).collect())
}
