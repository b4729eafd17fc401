//! From Stripe's subscription to what the copy stores of its revenue.

use std::collections::HashMap;

use paywall_domain::Timestamp;
use paywall_revenue::{Catalog, MetricPolicy, RevenueError, SubscriptionFacts, mrr};
use serde_json::Value;
use sqlx::SqliteConnection;

use super::packing::Unpacking;
use super::rows::reference;
use crate::cache::Result;
use crate::cache::revenue::Seen;

/// A subscription's revenue, computed when it is written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Revenue {
    /// Whether it counts now.
    pub(super) counted: bool,
    /// Per month in 1/10,000 of the minor unit, now.
    pub(super) mrr: i64,
    /// The same just before it ended; 0 for one that did not end.
    pub(super) lost: i64,
    /// Whether tax is in it.
    pub(super) including_tax: bool,
    /// Why it cannot be told, where it cannot. It is left out of every sum then.
    pub(super) fault: Option<String>,
}

/// A subscription's revenue, and the facts that it derives from.
pub(super) struct Counted {
    pub(super) revenue: Revenue,
    customer: Option<String>,
    facts: Option<SubscriptionFacts>,
}

impl Counted {
    /// As it is kept for revenue's history; `None` where it cannot be told or is nobody's.
    pub(super) fn seen(&self, since: Timestamp) -> Option<Seen<'_>> {
        Some(Seen { customer: self.customer.as_deref()?, facts: self.facts.as_ref()?, since })
    }

    /// Whose it is, where its worth cannot be told.
    pub(super) fn faulty(&self) -> Option<&str> {
        self.customer.as_deref().filter(|_| self.revenue.fault.is_some())
    }
}

/// Prices of the copy that subscriptions only name.
struct Prices(HashMap<String, Value>);

impl Catalog for Prices {
    fn price(&self, id: &str) -> Option<Value> {
        self.0.get(id).cloned()
    }
    // Coupons come expanded with their discounts; Stripe does not list those that are gone.
    fn coupon(&self, _: &str) -> Option<Value> {
        None
    }
}

/// Those of these customers that have a discount of their own, by id.
pub(super) async fn discounted(tx: &mut SqliteConnection, ids: &[&str]) -> Result<HashMap<String, Value>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let stored: Vec<(String, String, Vec<u8>)> = sqlx::query_as(
        "SELECT id, sample, packed FROM stripe_customers, stripe_samples
         WHERE stream = 'customers' AND discounted = 1 AND id IN (SELECT value FROM json_each(?1))",
    )
    .bind(serde_json::to_string(ids)?)
    .fetch_all(tx)
    .await?;
    let Some(unpacking) = stored.first().map(|(_, sample, _)| Unpacking::by(sample)) else {
        return Ok(HashMap::new());
    };
    stored.into_iter().map(|(id, _, packed)| Ok((id, unpacking.unpack(&packed)?))).collect()
}

/// The revenue of a subscription as read at `at`, with what the copy knows of its prices, and with its customer
/// where that has a discount of its own.
pub(super) async fn counted(
    tx: &mut SqliteConnection,
    raw: &Value,
    customer: Option<&Value>,
    at: Timestamp,
) -> Result<Counted> {
    let mut prices = HashMap::new();
    for price in raw.pointer("/items/data").and_then(Value::as_array).into_iter().flatten().map(|item| &item["price"]) {
        let tiers_missing = price["billing_scheme"] == "tiered" && !price["tiers"].is_array();
        if let (true, Some(id)) = (tiers_missing || price.is_string(), price.as_str().or_else(|| price["id"].as_str()))
        {
            let stored: Option<(String, Vec<u8>)> = sqlx::query_as(
                "SELECT sample, packed FROM stripe_prices, stripe_samples WHERE stream = 'prices' AND id = ?1",
            )
            .bind(id)
            .fetch_optional(&mut *tx)
            .await?;
            if let Some((sample, packed)) = stored {
                prices.insert(id.to_owned(), Unpacking::by(&sample).unpack(&packed)?);
            }
        }
    }
    let whose = reference(raw, "/customer").map(str::to_owned);
    let fault = |error: RevenueError| Revenue { fault: Some(error.to_string()), ..Revenue::default() };
    Ok(match facts(raw, customer, &Prices(prices)) {
        Ok(facts) => {
            let revenue = revenue(raw, &facts, at).unwrap_or_else(fault);
            Counted { revenue, customer: whose, facts: Some(facts) }
        }
        Err(error) => Counted { revenue: fault(error), customer: whose, facts: None },
    })
}

fn facts(raw: &Value, customer: Option<&Value>, prices: &Prices) -> Result<SubscriptionFacts, RevenueError> {
    let facts = SubscriptionFacts::from_stripe(raw, prices)?;
    match customer {
        Some(customer) => facts.with_customer(customer, prices),
        None => Ok(facts),
    }
}

fn revenue(raw: &Value, facts: &SubscriptionFacts, at: Timestamp) -> Result<Revenue, RevenueError> {
    let policy = MetricPolicy::default();
    let now = mrr(facts, &policy, at.0)?;
    let lost = match facts.ended_at {
        Some(end) => mrr(facts, &policy, end - 1)?.amount_10k,
        None => 0,
    };
    let status = raw["status"].as_str();
    Ok(Revenue {
        counted: now.amount_10k > 0 || matches!(status, Some("active" | "past_due")),
        mrr: now.amount_10k,
        lost,
        including_tax: now.including_tax,
        fault: None,
    })
}
