//! What screens show, from the copy of the open profile.

use paywall_domain::{Plan, TenantId};

use super::Console;
use crate::ipc::{
    ActivityView, EntryPage, Failure, Overview, PriceRow, SearchResult, TenantDetail, TenantPage, TenantQuery,
    ViewCount,
};

impl Console {
    /// The Overview.
    pub async fn overview(&self) -> Result<Overview, Failure> {
        let open = self.require_open()?;
        open.read(open.cache.overview(self.actor(&open.profile).as_deref(), open.now()).await)
    }

    /// A page of tenants.
    pub async fn tenants_page(&self, query: &TenantQuery) -> Result<TenantPage, Failure> {
        let open = self.require_open()?;
        open.read(open.cache.tenants_page(query, open.now()).await)
    }

    /// How many tenants each view has.
    pub async fn tenant_counts(&self) -> Result<Vec<ViewCount>, Failure> {
        let open = self.require_open()?;
        open.read(open.cache.tenant_counts(open.now()).await)
    }

    /// Every plan that the server has, by name.
    pub async fn plans(&self) -> Result<Vec<Plan>, Failure> {
        let open = self.require_open()?;
        open.read(open.cache.plans().await)
    }

    /// The prices at which plans are sold, as far as the copy of Stripe has them.
    pub async fn plan_prices(&self) -> Result<Vec<PriceRow>, Failure> {
        let open = self.require_open()?;
        open.read(open.cache.plan_prices().await)
    }

    /// A tenant in full.
    pub async fn tenant_detail(&self, id: &TenantId) -> Result<TenantDetail, Failure> {
        let open = self.require_open()?;
        open.read(open.cache.tenant_detail(id, open.now()).await)
    }

    /// A page of a tenant's timeline, newest first.
    pub async fn timeline_page(&self, id: &TenantId, cursor: Option<&str>) -> Result<EntryPage, Failure> {
        let open = self.require_open()?;
        open.read(open.cache.timeline_page(id, self.actor(&open.profile).as_deref(), cursor).await)
    }

    /// A page of Activity, newest first.
    pub async fn activity_page(
        &self,
        view: ActivityView,
        text: &str,
        cursor: Option<&str>,
    ) -> Result<EntryPage, Failure> {
        let open = self.require_open()?;
        open.read(open.cache.activity_page(view, text, self.actor(&open.profile).as_deref(), cursor).await)
    }

    /// Searches the copy.
    pub async fn search(&self, text: &str) -> Result<SearchResult, Failure> {
        let open = self.require_open()?;
        open.read(open.cache.search(text, open.now()).await)
    }

    /// The name under which this profile's token makes changes, as far as the server has said.
    pub(super) fn actor(&self, profile: &str) -> Option<String> {
        self.kept().get(profile)?.caller.as_ref().map(|caller| caller.name.clone())
    }
}
