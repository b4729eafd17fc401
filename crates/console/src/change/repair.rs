//! Repairs of drifts, and what else of billing goes through the server: events tried again, links for a customer.
//!
//! A repair is settled as a change is: noted before it is sent, sent again under the same key, and asked about by
//! it. Where no tenant changed there is no adjustment to tell that it was made; then the drift itself tells.

use paywall_contract::{
    CheckoutLink, CheckoutRequest, InboxEvent, PortalLink, ProblemCode, RepairOutcome, RepairRequest, Settlement,
};
use paywall_domain::TenantId;
use paywall_domain::billing::Repair;

use super::{Desk, sent_again};
use crate::admin_client::{AdminClient, AdminError};
use crate::ipc::{
    CheckoutOrder, Failure, FailureCode, RepairDone, RepairOrder, RepairPreview, TenantBillingView, UnsettledRepair,
};

/// Whether the server knows nothing by that id (any more).
fn unknown(error: &AdminError) -> bool {
    error.problem().is_some_and(|it| it.code == ProblemCode::NotFound)
}

impl Desk {
    /// What the repair of a drift would do, by the server's word of now.
    pub async fn preview_repair(&self, drift: &str) -> Result<RepairPreview, Failure> {
        self.writable()?;
        let outcome = self.look(self.admin()?, drift).await?;
        if outcome.gone {
            self.cache.remove_drift(drift).await?;
        }
        Ok(RepairPreview { outcome, checked_at: self.now() })
    }

    /// The server's preview. A drift that it does not know any more is gone.
    async fn look(&self, admin: &AdminClient, drift: &str) -> Result<RepairOutcome, AdminError> {
        match admin.preview_repair(drift).await {
            Err(error) if unknown(&error) => Ok(RepairOutcome {
                before: None,
                after: None,
                stripe_writes: Vec::new(),
                adjustment: None,
                gone: true,
                now: self.now(),
            }),
            other => other,
        }
    }

    /// Repairs a drift, once, however often this order comes. [`FailureCode::Unsettled`] where its outcome is not
    /// known yet; any other failure means that it was not made.
    pub async fn repair(&self, order: &RepairOrder) -> Result<RepairDone, Failure> {
        self.writable()?;
        let admin = self.admin()?;
        let Some(drift) = self.cache.drift(&order.drift_id).await? else {
            let detail = format!("the local copy has no drift {}", order.drift_id);
            return Err(Failure::of(FailureCode::NotFound, detail));
        };
        let _under_way = self.mark(&order.key);
        let note = UnsettledRepair {
            key: order.key.clone(),
            drift_id: order.drift_id.clone(),
            kind: drift.drift.kind(),
            tenant_id: drift.drift.tenant.clone(),
            tenant_name: drift.tenant_name.clone(),
            sent_at: self.now(),
            instance: self.cache.instance().await?,
        };
        // A repair under this key may be in doubt from before: then the first answer is not the whole truth.
        let doubted = self.cache.unsettled_repairs().await?.iter().any(|it| it.key == order.key);
        self.cache.insert_unsettled_repair(&note).await?;
        let why = RepairRequest { reason: order.reason.clone(), ticket: order.ticket.clone() };
        let last = match admin.repair(&order.drift_id, &why, &order.key).await {
            Ok(outcome) => return Ok(self.repaired(&note, outcome).await),
            Err(error) => error,
        };
        // To take over what Stripe says changes nothing there, and nothing here before Stripe has answered.
        let not_begun = drift.drift.repair == Repair::ApplyStripe
            && last.problem().is_some_and(|it| it.code == ProblemCode::StripeUnavailable);
        if !doubted && (not_begun || !last.may_have_been_made) {
            self.forget_repair(&order.key).await;
            if unknown(&last) {
                self.cache.remove_drift(&order.drift_id).await?;
                return Ok(RepairDone::Gone);
            }
            return Err(last.into());
        }
        if let Ok(outcome) = sent_again(last, || admin.repair(&order.drift_id, &why, &order.key)).await {
            return Ok(self.repaired(&note, outcome).await);
        }
        self.what_became(admin, &note).await.map_err(|failure| {
            let code = FailureCode::Unsettled { key: order.key.clone() };
            Failure { code, ..failure }
        })
    }

    /// What became of the repair under that key. Asking settles it for good.
    pub async fn settle_repair(&self, key: &str) -> Result<RepairDone, Failure> {
        let admin = self.admin()?;
        if self.is_under_way(key) {
            let code = FailureCode::Unsettled { key: key.to_owned() };
            return Err(Failure::of(code, "the repair is still being sent"));
        }
        let doubts = self.cache.unsettled_repairs().await?;
        let Some(note) = doubts.into_iter().find(|it| it.key == key) else {
            return Err(Failure::of(FailureCode::NotFound, "no repair of that key is in doubt: it has been settled"));
        };
        self.what_became(admin, &note).await
    }

    /// Settles every repair in doubt that is not under way. How many were; the failure of the first that could not
    /// be comes beside.
    pub async fn settle_repairs(&self) -> Result<(usize, Option<Failure>), Failure> {
        let (mut settled, mut failed) = (0, None);
        for note in self.cache.unsettled_repairs().await? {
            if self.is_under_way(&note.key) {
                continue;
            }
            match self.what_became(self.admin()?, &note).await {
                Ok(_) => settled += 1,
                Err(failure) => failed = failed.or(Some(failure)),
            }
        }
        Ok((settled, failed))
    }

    async fn what_became(&self, admin: &AdminClient, note: &UnsettledRepair) -> Result<RepairDone, Failure> {
        let done = match admin.settle(&note.key, note.instance.as_deref()).await {
            Ok(Settlement { adjustment: Some(adjustment), .. }) => {
                self.made(adjustment, true).await;
                RepairDone::Made { repair: None }
            }
            // The key makes nothing from now on; what was made by it without changing a tenant is told by the drift.
            Ok(Settlement { adjustment: None, .. }) => {
                if self.look(admin, &note.drift_id).await?.gone {
                    RepairDone::Made { repair: None }
                } else {
                    RepairDone::NotMade
                }
            }
            Err(error) if error.problem().is_some_and(|it| it.code == ProblemCode::OtherInstance) => {
                RepairDone::OtherDatabase
            }
            Err(error) => return Err(error.into()),
        };
        self.forget_repair(&note.key).await;
        if matches!(done, RepairDone::Made { .. }) {
            self.drift_is_gone(&note.drift_id).await;
        }
        Ok(done)
    }

    async fn repaired(&self, note: &UnsettledRepair, outcome: RepairOutcome) -> RepairDone {
        self.forget_repair(&note.key).await;
        self.drift_is_gone(&note.drift_id).await;
        if outcome.gone {
            return RepairDone::Gone;
        }
        if let Some(adjustment) = outcome.adjustment.clone() {
            self.made(adjustment, false).await;
        }
        RepairDone::Made { repair: Some(Box::new(outcome)) }
    }

    /// The outcome is known whether or not the copy can take it: the copy catches up by itself.
    async fn drift_is_gone(&self, id: &str) {
        if let Err(error) = self.cache.remove_drift(id).await {
            tracing::warn!(%error, "a repaired drift was not taken out of the copy at once");
        }
    }

    async fn forget_repair(&self, key: &str) {
        if let Err(error) = self.cache.remove_unsettled_repair(key).await {
            tracing::warn!(%error, "a settled repair was not taken off the list of those in doubt");
        }
    }

    /// Has an event tried again at once. Doing it twice does no harm: it acts on what Stripe says now.
    pub async fn retry_event(&self, id: &str) -> Result<InboxEvent, Failure> {
        self.writable()?;
        let event = self.admin()?.retry_event(id).await?;
        self.cache.apply_billing_event(&event).await?;
        Ok(event)
    }

    /// A tenant's billing: as the copy has it, or, where `ask`, as the server says now.
    pub async fn tenant_billing(&self, id: &TenantId, ask: bool) -> Result<TenantBillingView, Failure> {
        let view = self.cache.tenant_billing_view(id).await?;
        // A server that has none would only answer that it has not.
        if !ask || view.copy != crate::ipc::BillingCopy::Known {
            return Ok(view);
        }
        let told = self.admin()?.tenant_billing(id).await?;
        self.cache.apply_tenant_billing(&told).await?;
        Ok(self.cache.tenant_billing_view(id).await?)
    }

    /// A link by which a tenant pays for a plan.
    pub async fn checkout_link(&self, order: &CheckoutOrder) -> Result<CheckoutLink, Failure> {
        self.writable()?;
        let wanted = CheckoutRequest { plan: order.plan.clone(), price: order.price.clone() };
        let admin = self.admin()?;
        let link = admin.checkout_link(&order.tenant_id, &wanted).await?;
        // The tenant's open session is another one now. The link is made whether or not that can be read.
        match admin.tenant_billing(&order.tenant_id).await {
            Ok(told) => {
                if let Err(error) = self.cache.apply_tenant_billing(&told).await {
                    tracing::warn!(%error, "the copy did not take a tenant's billing at once");
                }
            }
            Err(error) => tracing::debug!(error = %error.failure.detail, "a tenant's billing was not read anew"),
        }
        Ok(link)
    }

    /// A link to a tenant's portal in Stripe.
    pub async fn portal_link(&self, id: &TenantId) -> Result<PortalLink, Failure> {
        self.writable()?;
        Ok(self.admin()?.portal_link(id).await?)
    }
}
