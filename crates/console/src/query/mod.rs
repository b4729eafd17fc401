//! Everything that a screen shows, by SQL over the local copy, a page at a time.
//!
//! Statements are static; every order has its index, and pages are cut by key, so that the last page of
//! a million rows costs what the first does.

mod billing;
mod counts;
mod cursor;
mod detail;
mod entries;
mod money;
mod needle;
mod overview;
mod payments;
#[cfg(test)]
mod plans;
mod revenue;
mod row;
mod search;
mod statements;
mod subscription;
mod tenants;

use paywall_domain::{DAY_MS, Plan, Timestamp};

use crate::cache::{Cache, Result};
use crate::ipc::{PriceRow, Source};

pub use needle::normalise;
pub use revenue::{Differences, ReportedBy};

/// For how long a refused request makes a tenant count as blocked, and one of any kind as active.
pub const RECENT_MS: i64 = 7 * DAY_MS;

/// How soon a trial ends that "ends soon".
pub const ENDING_MS: i64 = 3 * DAY_MS;

/// For how long an ended trial is listed as lapsed.
pub const LAPSED_MS: i64 = 14 * DAY_MS;

impl Cache {
    /// Every plan, by name.
    pub async fn plans(&self) -> Result<Vec<Plan>> {
        let rows: Vec<(String,)> =
            sqlx::query_as("SELECT body FROM plans ORDER BY name, id").fetch_all(self.readers()).await?;
        rows.into_iter().map(|(body,)| Ok(serde_json::from_str(&body)?)).collect()
    }

    /// The prices at which the server's plans are sold, as far as Stripe's list of them is here.
    pub async fn plan_prices(&self) -> Result<Vec<PriceRow>> {
        let ids: Vec<String> = self.plans().await?.into_iter().flat_map(|it| it.stripe_prices).collect();
        let raw = self.stripe_raw(paywall_stripe::Stream::Prices, &ids).await?;
        Ok(raw.iter().filter_map(subscription::price).collect())
    }

    /// The instant for which the server's data is complete; `None` = it never was.
    pub async fn server_as_of(&self) -> Result<Option<Timestamp>> {
        Ok(self.stream_state(Source::Server, crate::cache::FEED).await?.complete_at)
    }

    /// Whether a list of Stripe's has arrived completely once.
    pub(crate) async fn stripe_complete(&self, stream: paywall_stripe::Stream) -> Result<bool> {
        let found: Option<(i64,)> = sqlx::query_as(
            "SELECT complete_at FROM streams
             WHERE source = 'stripe' AND stream = ?1 AND complete_at IS NOT NULL",
        )
        .bind(stream.name())
        .fetch_optional(self.readers())
        .await?;
        Ok(found.is_some())
    }
}
