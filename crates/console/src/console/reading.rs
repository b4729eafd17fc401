//! What screens show, from the copy of the open profile.

use paywall_domain::TenantId;

use super::{Console, now};
use crate::ipc::{
    ActivityView, EntryPage, Failure, Overview, SearchResult, TenantDetail, TenantPage, TenantQuery, ViewCount,
};

impl Console {
    /// The Overview.
    pub async fn overview(&self) -> Result<Overview, Failure> {
        let open = self.require_open()?;
        Ok(open.cache.overview(self.actor(&open.profile).as_deref(), now()).await?)
    }

    /// A page of tenants.
    pub async fn tenants_page(&self, query: &TenantQuery) -> Result<TenantPage, Failure> {
        Ok(self.cache()?.tenants_page(query, now()).await?)
    }

    /// How many tenants each view has.
    pub async fn tenant_counts(&self) -> Result<Vec<ViewCount>, Failure> {
        Ok(self.cache()?.tenant_counts(now()).await?)
    }

    /// A tenant in full.
    pub async fn tenant_detail(&self, id: &TenantId) -> Result<TenantDetail, Failure> {
        Ok(self.cache()?.tenant_detail(id).await?)
    }

    /// A page of a tenant's timeline, newest first.
    pub async fn timeline_page(&self, id: &TenantId, cursor: Option<&str>) -> Result<EntryPage, Failure> {
        let open = self.require_open()?;
        Ok(open.cache.timeline_page(id, self.actor(&open.profile).as_deref(), cursor).await?)
    }

    /// A page of Activity, newest first.
    pub async fn activity_page(
        &self,
        view: ActivityView,
        text: &str,
        cursor: Option<&str>,
    ) -> Result<EntryPage, Failure> {
        let open = self.require_open()?;
        Ok(open.cache.activity_page(view, text, self.actor(&open.profile).as_deref(), cursor).await?)
    }

    /// Searches the copy.
    pub async fn search(&self, text: &str) -> Result<SearchResult, Failure> {
        Ok(self.cache()?.search(text, now()).await?)
    }

    /// The name under which this profile's token makes changes, as far as the server has said.
    pub(super) fn actor(&self, profile: &str) -> Option<String> {
        self.kept().get(profile)?.caller.as_ref().map(|caller| caller.name.clone())
    }
}
