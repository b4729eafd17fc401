//! A tenant in full.

use paywall_contract::Tenant;
use paywall_domain::billing::StripeSubscription;
use paywall_domain::{Plan, PlanId, TenantId, Timestamp};
use paywall_stripe::Stream;
use sqlx::Row;

use super::money::money;
use super::subscription::upcoming_of;
use crate::cache::{Cache, CacheError, Result};
use crate::ipc::{Billing, InvoiceRow, Money, SubscriptionRow, TenantDetail};

impl Cache {
    /// The tenant as the server last gave it; `None` = not in the copy.
    pub async fn tenant(&self, id: &TenantId) -> Result<Option<Tenant>> {
        let found: Option<(String,)> =
            sqlx::query_as("SELECT b.body FROM tenants AS t JOIN tenant_bodies AS b ON b.num = t.num WHERE t.id = ?1")
                .bind(id.as_str())
                .fetch_optional(self.readers())
                .await?;
        found.map(|(body,)| Ok(serde_json::from_str(&body)?)).transpose()
    }

    /// A tenant with its plans and what Stripe says of it. [`CacheError::NotFound`] where the copy has none.
    /// What was to happen before `now` is not announced.
    pub async fn tenant_detail(&self, id: &TenantId, now: Timestamp) -> Result<TenantDetail> {
        let tenant = self.tenant(id).await?.ok_or(CacheError::NotFound)?;
        let plan = self.plan(&tenant.facts.plan).await?;
        let plan_in_force = self.plan(&tenant.plan_in_force).await?;
        let billing = match &tenant.stripe_customer {
            Some(customer) => self.billing(&tenant, customer, now).await?,
            None => None,
        };
        let stripe_known = self.stripe_complete(Stream::Customers).await?;
        Ok(TenantDetail { tenant, plan, plan_in_force, billing, stripe_known, as_of: self.server_as_of().await? })
    }

    async fn plan(&self, id: &PlanId) -> Result<Option<Plan>> {
        let found: Option<(String,)> = sqlx::query_as("SELECT body FROM plans WHERE id = ?1")
            .bind(id.as_str())
            .fetch_optional(self.readers())
            .await?;
        found.map(|(body,)| Ok(serde_json::from_str(&body)?)).transpose()
    }

    async fn billing(&self, tenant: &Tenant, customer: &str, now: Timestamp) -> Result<Option<Billing>> {
        let known: Option<(bool, bool, bool)> =
            sqlx::query_as("SELECT deleted, payment_method, livemode FROM stripe_customers WHERE id = ?1")
                .bind(customer)
                .fetch_optional(self.readers())
                .await?;
        let Some((deleted, own_method, livemode)) = known else { return Ok(None) };
        let rows = sqlx::query(
            "SELECT id, status, mrr, mrr_fault, currency, current_period_end, cancel_at_period_end, payment_method
             FROM stripe_subscriptions WHERE customer = ?1 ORDER BY created DESC, id DESC",
        )
        .bind(customer)
        .fetch_all(self.readers())
        .await?;
        let read = self.subscriptions(customer, &rows).await?;
        let mut pays = own_method;
        let mut subscriptions = Vec::with_capacity(rows.len());
        for row in rows {
            pays |= row.try_get::<bool, _>("payment_method")?;
            let id: String = row.try_get("id")?;
            let found = read.iter().find(|it| it.id == id);
            let told = row.try_get::<Option<String>, _>("mrr_fault")?.is_none();
            subscriptions.push(SubscriptionRow {
                status: row.try_get("status")?,
                mrr: if told { Some(money(row.try_get("mrr")?, row.try_get("currency")?)) } else { None },
                monthly: found
                    .and_then(StripeSubscription::monthly)
                    .map(|it| Money { amount: it.minor, currency: it.currency }),
                items: found.map(|it| it.items.clone()).unwrap_or_default(),
                current_period_end: row.try_get::<Option<i64>, _>("current_period_end")?.map(Timestamp),
                cancel_at_period_end: row.try_get("cancel_at_period_end")?,
                id,
            });
        }
        // A card may hang on the subscription alone: without that list, none at the customer says nothing.
        let all_known = self.stripe_complete(Stream::Subscriptions).await?;
        Ok(Some(Billing {
            customer: customer.to_owned(),
            deleted,
            payment_method: if pays { Some(true) } else { all_known.then_some(false) },
            dashboard_url: format!(
                "https://dashboard.stripe.com/{}customers/{customer}",
                if livemode { "" } else { "test/" }
            ),
            subscriptions: all_known.then_some(subscriptions),
            invoices: if self.stripe_complete(Stream::Invoices).await? {
                Some(self.invoices(customer).await?)
            } else {
                None
            },
            livemode,
            payments: self.payments(customer).await?,
            refunds: self.refunds(customer).await?,
            disputes: self.disputes(customer).await?,
            credit_notes: self.credit_notes(customer).await?,
            upcoming: if all_known {
                upcoming_of(tenant, &self.plans().await?, &read, livemode, now)
            } else {
                Vec::new()
            },
        }))
    }

    async fn invoices(&self, customer: &str) -> Result<Vec<InvoiceRow>> {
        let rows = sqlx::query(
            "SELECT id, number, status, total, amount_remaining, currency, created, attempt_count
             FROM stripe_invoices WHERE customer = ?1 ORDER BY created DESC, id DESC LIMIT 13",
        )
        .bind(customer)
        .fetch_all(self.readers())
        .await?;
        rows.iter()
            .map(|row| {
                let currency: String = row.try_get("currency")?;
                Ok(InvoiceRow {
                    id: row.try_get("id")?,
                    number: row.try_get("number")?,
                    status: row.try_get("status")?,
                    total: Money { amount: row.try_get("total")?, currency: currency.clone() },
                    remaining: Money { amount: row.try_get("amount_remaining")?, currency },
                    created_at: Timestamp(row.try_get::<i64, _>("created")?.saturating_mul(1000)),
                    attempts: row.try_get("attempt_count")?,
                })
            })
            .collect()
    }
}
