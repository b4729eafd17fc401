//! How many tenants each view has.

use paywall_domain::Timestamp;

use super::statements;
use crate::cache::{Cache, Result};
use crate::ipc::{TenantView, ViewCount};

/// Every view, in the order of the tabs.
pub(super) const VIEWS: [TenantView; 13] = [
    TenantView::All,
    TenantView::Blocked,
    TenantView::Trial,
    TenantView::Active,
    TenantView::PastDue,
    TenantView::Expired,
    TenantView::Suspended,
    TenantView::TrialEnding,
    TenantView::TrialLapsed,
    TenantView::TrialExtended,
    TenantView::LockedOutActive,
    TenantView::QuotaBlocked,
    TenantView::Deleted,
];

impl Cache {
    /// How many tenants each view has, in the order of the tabs.
    pub async fn tenant_counts(&self, now: Timestamp) -> Result<Vec<ViewCount>> {
        let mut counts = Vec::with_capacity(VIEWS.len());
        for view in VIEWS {
            counts.push(ViewCount { view, count: self.view_count(view, now).await? });
        }
        Ok(counts)
    }

    pub(super) async fn view_count(&self, view: TenantView, now: Timestamp) -> Result<i64> {
        let (count,): (i64,) = sqlx::query_as(statements::count(view)).bind(now.0).fetch_one(self.readers()).await?;
        Ok(count)
    }
}
