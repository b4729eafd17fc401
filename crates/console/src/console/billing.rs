//! Billing: read from the copy of the open profile, repaired through its desk.

use paywall_contract::{CheckoutLink, InboxEvent, PortalLink};
use paywall_domain::TenantId;

use super::Console;
use crate::ipc::{
    BillingView, CheckoutOrder, ConversionPage, DriftPage, DriftQuery, EventPage, EventQuery, Failure, RepairDone,
    RepairOrder, RepairPreview, TenantBillingView,
};

impl Console {
    /// How billing is.
    pub async fn billing_health(&self) -> Result<BillingView, Failure> {
        let open = self.require_open()?;
        open.read(open.cache.billing_view().await)
    }

    /// A page of drifts.
    pub async fn drifts_page(&self, query: &DriftQuery) -> Result<DriftPage, Failure> {
        let open = self.require_open()?;
        open.read(open.cache.drifts_page(query).await)
    }

    /// A page of events that were not acted on.
    pub async fn events_page(&self, query: &EventQuery) -> Result<EventPage, Failure> {
        let open = self.require_open()?;
        open.read(open.cache.billing_events_page(query).await)
    }

    /// A page of who is stuck on the way to paid.
    pub async fn conversions_page(&self, cursor: Option<&str>, limit: u32) -> Result<ConversionPage, Failure> {
        let open = self.require_open()?;
        open.read(open.cache.conversions_page(cursor, limit).await)
    }

    /// A tenant's billing: by the copy, or, where `ask`, by the server's word of now.
    pub async fn tenant_billing(&self, id: &TenantId, ask: bool) -> Result<TenantBillingView, Failure> {
        self.require_open()?.desk.tenant_billing(id, ask).await
    }

    /// What the repair of a drift would do.
    pub async fn repair_preview(&self, drift_id: &str) -> Result<RepairPreview, Failure> {
        self.require_open()?.desk.preview_repair(drift_id).await
    }

    /// Repairs a drift. [`crate::ipc::FailureCode::Unsettled`] where its outcome is not known yet; any other failure
    /// means that it was not made.
    pub async fn repair_apply(&self, order: &RepairOrder) -> Result<RepairDone, Failure> {
        let open = self.require_open()?;
        let done = open.desk.repair(order).await;
        self.after_change(&open);
        done
    }

    /// What became of a repair whose answer was lost.
    pub async fn repair_settle(&self, key: &str) -> Result<RepairDone, Failure> {
        let open = self.require_open()?;
        let done = open.desk.settle_repair(key).await;
        self.after_change(&open);
        done
    }

    /// Has an event tried again.
    pub async fn event_retry(&self, id: &str) -> Result<InboxEvent, Failure> {
        let open = self.require_open()?;
        let event = open.desk.retry_event(id).await;
        self.after_change(&open);
        event
    }

    /// A link by which a tenant pays for a plan.
    pub async fn checkout_link(&self, order: &CheckoutOrder) -> Result<CheckoutLink, Failure> {
        self.require_open()?.desk.checkout_link(order).await
    }

    /// A link to a tenant's portal in Stripe.
    pub async fn portal_link(&self, id: &TenantId) -> Result<PortalLink, Failure> {
        self.require_open()?.desk.portal_link(id).await
    }
}
