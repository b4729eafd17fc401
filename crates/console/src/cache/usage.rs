//! What tenants used by day, a page at a time.

use paywall_contract::UsageDaysPage;
use paywall_domain::{Meter, Timestamp};
use serde_json::Value;
use sqlx::SqliteConnection;

use super::streams::{self, StreamProgress};
use super::{Cache, CacheError, Result};
use crate::ipc::Source;

/// Their name among the server's lists.
pub(crate) const USAGE: &str = "usage_days";

impl Cache {
    /// Writes a page of days together with the place to read on from. `at` is when it was asked for.
    ///
    /// [`CacheError::OtherInstance`] where the page comes from another database than the copy: nothing is written.
    pub async fn apply_usage_page(&self, page: &UsageDaysPage, place: Value, at: Timestamp) -> Result<()> {
        let rows: Vec<(i64, &str, i64, i64, i64)> = page
            .days
            .iter()
            .map(|it| {
                let amount = |meter| it.usage.amounts.get(&meter).copied().unwrap_or(0);
                let (messages, tokens) = (amount(Meter::Messages), amount(Meter::Tokens));
                (it.usage.day.0, it.tenant_id.as_str(), messages, tokens, amount(Meter::ApiRequests))
            })
            .collect();
        let mut tx = self.begin().await?;
        let known: Option<(String,)> =
            sqlx::query_as("SELECT value FROM facts WHERE name = 'instance'").fetch_optional(&mut *tx).await?;
        if let Some((known,)) = known
            && known != page.instance
        {
            return Err(CacheError::OtherInstance { known, found: page.instance.clone() });
        }
        sqlx::query(
            "INSERT INTO usage_days (day, tenant_id, messages, tokens, api_requests)
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?1) WHERE true
             ON CONFLICT (day, tenant_id) DO UPDATE SET messages = excluded.messages, tokens = excluded.tokens,
                 api_requests = excluded.api_requests",
        )
        .bind(serde_json::to_string(&rows)?)
        .execute(&mut *tx)
        .await?;
        let progress = StreamProgress {
            cursor: Some(place),
            complete_at: (!page.has_more).then_some(at),
            at,
            unreadable: Vec::new(),
        };
        streams::advance(&mut tx, Source::Server, USAGE, &progress, &[]).await?;
        tx.commit().await
    }

    /// Forgets every day, and how far they were read.
    pub(crate) async fn forget_usage(&self) -> Result<()> {
        let mut tx = self.begin().await?;
        forget(&mut tx).await?;
        sqlx::query("DELETE FROM streams WHERE source = 'server' AND stream = ?1")
            .bind(USAGE)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }
}

/// Takes every day out.
pub(super) async fn forget(tx: &mut SqliteConnection) -> Result<()> {
    sqlx::query("DELETE FROM usage_days").execute(tx).await?;
    Ok(())
}
