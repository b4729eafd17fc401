//! Recurring revenue from what the copy stores of it.

use std::collections::HashMap;

use paywall_revenue::display_minor;

use super::row::Found;
use crate::cache::{Cache, Result};
use crate::ipc::{Money, TenantRow};
use paywall_stripe::Stream;

/// A sum in 1/10,000 of the minor unit as it is shown.
pub(super) fn money(amount_10k: i64, currency: String) -> Money {
    Money { amount: display_minor(amount_10k), currency }
}

impl Cache {
    /// Rows with their revenue, where Stripe's data is here.
    pub(super) async fn with_revenue(&self, found: Vec<Found>) -> Result<Vec<TenantRow>> {
        let known = self.stripe_complete(Stream::Subscriptions).await?;
        let mut by_customer: HashMap<String, Vec<Money>> = HashMap::new();
        let customers: Vec<&str> = found.iter().filter_map(|it| it.customer.as_deref()).collect();
        if known && !customers.is_empty() {
            let sums: Vec<(String, String, i64)> = sqlx::query_as(
                "SELECT s.customer, s.currency, sum(s.mrr)
                 FROM json_each(?1) AS wanted CROSS JOIN stripe_subscriptions AS s ON s.customer = wanted.value
                 WHERE s.mrr > 0 GROUP BY s.customer, s.currency ORDER BY s.customer, s.currency",
            )
            .bind(serde_json::to_string(&customers)?)
            .fetch_all(self.readers())
            .await?;
            for (customer, currency, sum) in sums {
                by_customer.entry(customer).or_default().push(money(sum, currency));
            }
        }
        Ok(found
            .into_iter()
            .map(|mut it| {
                let sums = || it.customer.as_ref().and_then(|id| by_customer.get(id)).cloned().unwrap_or_default();
                it.row.mrr = known.then(sums);
                it.row
            })
            .collect())
    }
}
