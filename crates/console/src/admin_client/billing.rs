//! Billing by the admin API.

use paywall_contract::{
    BillingHealth, CheckoutLink, CheckoutRequest, ConversionsQuery, DriftCount, DriftsQuery, IDEMPOTENCY_KEY,
    InboxEvent, InboxQuery, KnownDrift, Page, PortalLink, RepairOutcome, RepairRequest, StuckConversion, TenantBilling,
};
use paywall_domain::TenantId;
use reqwest::{Method, RequestBuilder};
use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{AdminClient, AdminError};

/// A page of a list, but for rows in words that this version does not know: a newer server has more of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRows<T> {
    /// What could be read.
    pub items: Vec<T>,
    /// How many rows could not.
    pub unknown: usize,
    /// For the next page; `None` = it was the last.
    pub next: Option<String>,
}

impl AdminClient {
    /// How billing is; `None` = the server is too old to say. Kinds of drift that this version does not know are
    /// left out of it.
    pub async fn billing(&self) -> Result<Option<BillingHealth>, AdminError> {
        let answer = self.ask(self.request(Method::GET, &["billing"])).await?;
        if answer.not_offered() {
            return Ok(None);
        }
        let mut said: Value = self.taken(&answer)?;
        if let Some(Value::Array(drifts)) = said.get_mut("drifts") {
            drifts.retain(|it| DriftCount::deserialize(it).is_ok());
        }
        serde_json::from_value(said).map(Some).map_err(|error| AdminError::foreign(answer.status, &error))
    }

    /// A page of drifts, the gravest kind first, then the oldest.
    pub async fn drifts(&self, query: &DriftsQuery) -> Result<KnownRows<KnownDrift>, AdminError> {
        self.rows(self.request(Method::GET, &["billing", "drifts"]).query(query)).await
    }

    /// A page of events, the newest first.
    pub async fn billing_events(&self, query: &InboxQuery) -> Result<KnownRows<InboxEvent>, AdminError> {
        self.rows(self.request(Method::GET, &["billing", "events"]).query(query)).await
    }

    /// A page of who is stuck on the way to paid.
    pub async fn conversions(&self, query: &ConversionsQuery) -> Result<KnownRows<StuckConversion>, AdminError> {
        self.rows(self.request(Method::GET, &["billing", "conversions"]).query(query)).await
    }

    async fn rows<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<KnownRows<T>, AdminError> {
        let page: Page<Value> = self.read(request).await?;
        let all = page.items.len();
        let items: Vec<T> = page.items.into_iter().filter_map(|it| serde_json::from_value(it).ok()).collect();
        Ok(KnownRows { unknown: all - items.len(), items, next: page.next })
    }

    /// What the server knows of a tenant's billing.
    pub async fn tenant_billing(&self, id: &TenantId) -> Result<TenantBilling, AdminError> {
        self.read(self.request(Method::GET, &["tenants", id.as_str(), "billing"])).await
    }

    /// What the repair of a drift would do. Nothing is changed.
    pub async fn preview_repair(&self, drift: &str) -> Result<RepairOutcome, AdminError> {
        let request = self.request(Method::POST, &["billing", "drifts", drift, "repair"]);
        self.read(request.query(&[("dry_run", "true")]).json(&RepairRequest::default())).await
    }

    /// Repairs a drift, once per `key`.
    pub async fn repair(&self, drift: &str, why: &RepairRequest, key: &str) -> Result<RepairOutcome, AdminError> {
        let request = self.request(Method::POST, &["billing", "drifts", drift, "repair"]);
        self.read(request.header(IDEMPOTENCY_KEY, key).json(why)).await
    }

    /// Has an event processed again at once.
    pub async fn retry_event(&self, id: &str) -> Result<InboxEvent, AdminError> {
        self.read(self.request(Method::POST, &["billing", "events", id, "retry"])).await
    }

    /// A link by which a tenant pays for a plan.
    pub async fn checkout_link(&self, id: &TenantId, wanted: &CheckoutRequest) -> Result<CheckoutLink, AdminError> {
        self.read(self.request(Method::POST, &["tenants", id.as_str(), "checkout"]).json(wanted)).await
    }

    /// A link to a tenant's portal in Stripe.
    pub async fn portal_link(&self, id: &TenantId) -> Result<PortalLink, AdminError> {
        self.read(self.request(Method::POST, &["tenants", id.as_str(), "portal"])).await
    }
}
