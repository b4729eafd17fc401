//! Billing by the admin API.

use paywall_contract::{
    BillingHealth, CheckoutLink, CheckoutRequest, ConversionsQuery, DriftsQuery, IDEMPOTENCY_KEY, InboxEvent,
    InboxQuery, KnownDrift, Page, PortalLink, RepairOutcome, RepairRequest, StuckConversion, TenantBilling,
};
use paywall_domain::TenantId;
use reqwest::Method;

use super::{AdminClient, AdminError};

impl AdminClient {
    /// How billing is; `None` = the server is too old to say.
    pub async fn billing(&self) -> Result<Option<BillingHealth>, AdminError> {
        let answer = self.ask(self.request(Method::GET, &["billing"])).await?;
        if answer.status == 404 { Ok(None) } else { self.taken(&answer).map(Some) }
    }

    /// A page of drifts, the gravest kind first, then the oldest.
    pub async fn drifts(&self, query: &DriftsQuery) -> Result<Page<KnownDrift>, AdminError> {
        self.read(self.request(Method::GET, &["billing", "drifts"]).query(query)).await
    }

    /// A page of events, the newest first.
    pub async fn billing_events(&self, query: &InboxQuery) -> Result<Page<InboxEvent>, AdminError> {
        self.read(self.request(Method::GET, &["billing", "events"]).query(query)).await
    }

    /// A page of who is stuck on the way to paid, the longest stuck first.
    pub async fn conversions(&self, query: &ConversionsQuery) -> Result<Page<StuckConversion>, AdminError> {
        self.read(self.request(Method::GET, &["billing", "conversions"]).query(query)).await
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
