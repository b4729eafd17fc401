//! Subscriptions as they were seen over time.

use std::collections::HashMap;

use paywall_domain::Timestamp;
use paywall_revenue::SubscriptionFacts;
use serde_json::json;
use sqlx::SqliteConnection;

use super::pending;
use crate::cache::Result;

/// A subscription as it was read.
pub(in crate::cache) struct Seen<'a> {
    /// Whose.
    pub(in crate::cache) customer: &'a str,
    /// What it says.
    pub(in crate::cache) facts: &'a SubscriptionFacts,
    /// When it became so, as far as is known: never later than when it was read.
    pub(in crate::cache) since: Timestamp,
}

/// Keeps what changed of subscriptions since they were last seen, and has their customers counted again.
pub(in crate::cache) async fn put_snapshots(tx: &mut SqliteConnection, seen: &[Seen<'_>]) -> Result<()> {
    if seen.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = seen.iter().map(|it| it.facts.id.as_str()).collect();
    // The facts are those of the row with the latest instant.
    let known: Vec<(String, i64, String, String)> = sqlx::query_as(
        "SELECT subscription, max(seen_at), customer, facts FROM revenue_snapshots
         WHERE subscription IN (SELECT value FROM json_each(?1)) GROUP BY subscription",
    )
    .bind(serde_json::to_string(&ids)?)
    .fetch_all(&mut *tx)
    .await?;
    let known: HashMap<String, (i64, String, String)> =
        known.into_iter().map(|(id, at, customer, facts)| (id, (at, customer, facts))).collect();
    let (mut rows, mut customers) = (Vec::new(), Vec::new());
    for it in seen {
        let facts = serde_json::to_string(it.facts)?;
        let last = known.get(&it.facts.id);
        if last.is_some_and(|(_, customer, known)| *known == facts && customer == it.customer) {
            continue;
        }
        // What is read now is newer than what was read before, whenever it changed.
        let seen_at = last.map_or(it.since.0, |(at, ..)| it.since.0.max(at.saturating_add(1)));
        rows.push(json!([it.facts.id, seen_at, it.customer, facts]));
        customers.push(it.customer);
    }
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO revenue_snapshots (subscription, seen_at, customer, facts)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?1) WHERE true
         ON CONFLICT (subscription, seen_at) DO UPDATE SET customer = excluded.customer, facts = excluded.facts",
    )
    .bind(serde_json::Value::Array(rows).to_string())
    .execute(&mut *tx)
    .await?;
    pending(tx, &customers).await
}
