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

/// Keeps what changed of subscriptions since they were last seen, and has their customers counted again. What is
/// told of a subscription by objects that are read after it, tiers of its prices and a discount of its customer,
/// is no change: it held when the subscription was seen, and is put beside what is kept.
pub(in crate::cache) async fn put_snapshots(tx: &mut SqliteConnection, seen: &[Seen<'_>]) -> Result<()> {
    if seen.is_empty() {
        return Ok(());
    }
    let keys: Vec<[&str; 2]> = seen.iter().map(|it| [it.customer, it.facts.id.as_str()]).collect();
    // The facts are those of the row with the latest instant.
    let known: Vec<(String, i64, String)> = sqlx::query_as(
        "SELECT seen.subscription, max(seen.seen_at), seen.facts
         FROM json_each(?1) AS who CROSS JOIN revenue_snapshots AS seen
             ON seen.customer = who.value ->> 0 AND seen.subscription = who.value ->> 1
         GROUP BY seen.customer, seen.subscription",
    )
    .bind(serde_json::to_string(&keys)?)
    .fetch_all(&mut *tx)
    .await?;
    let known: HashMap<String, (i64, String)> = known.into_iter().map(|(id, at, facts)| (id, (at, facts))).collect();
    let (mut rows, mut customers) = (Vec::new(), Vec::new());
    for it in seen {
        let facts = serde_json::to_string(it.facts)?;
        let last = known.get(&it.facts.id);
        let told = match last {
            Some((_, known)) if *known != facts && tells(it.facts) => tell(tx, it).await?,
            _ => None,
        };
        if told.is_some() {
            customers.push(it.customer);
        }
        // An earlier version may have written the same facts in other words.
        let same = |known: &String| {
            let known = told.as_ref().unwrap_or(known);
            *known == facts || serde_json::from_str::<SubscriptionFacts>(known).is_ok_and(|known| known == *it.facts)
        };
        if last.is_some_and(|(_, known)| same(known)) {
            continue;
        }
        // What is read now is newer than what was read before, whenever it changed.
        let seen_at = last.map_or(it.since.0, |(at, _)| it.since.0.max(at.saturating_add(1)));
        rows.push(json!([it.customer, it.facts.id, seen_at, facts]));
        customers.push(it.customer);
    }
    if rows.is_empty() {
        return pending(tx, &customers).await;
    }
    sqlx::query(
        "INSERT INTO revenue_snapshots (customer, subscription, seen_at, facts)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?1) WHERE true
         ON CONFLICT (customer, subscription, seen_at) DO UPDATE SET facts = excluded.facts",
    )
    .bind(serde_json::Value::Array(rows).to_string())
    .execute(&mut *tx)
    .await?;
    pending(tx, &customers).await
}

/// Whether there is something in it that other objects told.
fn tells(facts: &SubscriptionFacts) -> bool {
    facts.customer_discount.is_some() || facts.items.iter().any(|it| it.price.tiers.is_some())
}

/// Puts what other objects tell beside what is kept of a subscription, where that lacks it. The facts last kept
/// as they are then, where something was lacking.
async fn tell(tx: &mut SqliteConnection, now: &Seen<'_>) -> Result<Option<String>> {
    let kept: Vec<(i64, String)> = sqlx::query_as(
        "SELECT seen_at, facts FROM revenue_snapshots WHERE customer = ?1 AND subscription = ?2 ORDER BY seen_at",
    )
    .bind(now.customer)
    .bind(&now.facts.id)
    .fetch_all(&mut *tx)
    .await?;
    let (mut last, mut lacked) = (None, false);
    for (seen_at, text) in kept {
        let mut facts: SubscriptionFacts = serde_json::from_str(&text)?;
        if put_beside(&mut facts, now.facts) {
            let text = serde_json::to_string(&facts)?;
            sqlx::query(
                "UPDATE revenue_snapshots SET facts = ?4
                 WHERE customer = ?1 AND subscription = ?2 AND seen_at = ?3",
            )
            .bind(now.customer)
            .bind(&now.facts.id)
            .bind(seen_at)
            .bind(&text)
            .execute(&mut *tx)
            .await?;
            (last, lacked) = (Some(text), true);
        } else {
            last = Some(text);
        }
    }
    Ok(last.filter(|_| lacked))
}

/// The tiers of a price never change, and a discount says itself since when it holds.
fn put_beside(kept: &mut SubscriptionFacts, now: &SubscriptionFacts) -> bool {
    let mut lacked = false;
    for price in
        kept.items.iter_mut().map(|it| &mut it.price).filter(|it| it.tiers_mode.is_some() && it.tiers.is_none())
    {
        price.tiers = now.items.iter().find(|it| it.price.id == price.id).and_then(|it| it.price.tiers.clone());
        lacked |= price.tiers.is_some();
    }
    if kept.customer_discount.is_none() && now.customer_discount.is_some() {
        kept.customer_discount.clone_from(&now.customer_discount);
        kept.has_payment_method |= now.has_payment_method;
        lacked = true;
    }
    lacked
}
