//! Tenants with their members and gauges.

use std::collections::BTreeMap;

use paywall_contract::{Member, MemberRole};
use paywall_domain::{Meter, TenantId, Timestamp};

use super::statement::{Statement, statement, word};
use super::{Bind, DirectoryError, RagflowDatabase, Urgency};

/// A tenant as `RAGFlow` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RagflowTenant {
    /// Its id, which is its owner's.
    pub id: TenantId,
    /// The tenant's name.
    pub name: String,
    /// The owner's e-mail address.
    pub email: String,
    /// When its owner registered, where that is known.
    pub registered_at: Option<Timestamp>,
    /// Members, the owner first.
    pub members: Vec<Member>,
    /// Levels by gauge: all of them.
    pub gauges: BTreeMap<Meter, i64>,
}

// All take the first and the last id of a stretch, so that one tenant and a page of them are read alike,
// by the indexes on `tenant_id` and `kb_id`. What is compared through COALESCE is so for a second reason:
// RAGFlow has an index on nearly every column, and one on a column of few values must not be taken.

const TENANTS: Statement = statement!(
    "SELECT t.id, COALESCE(t.name, ''), u.email, COALESCE(u.nickname, ''), CAST(COALESCE(u.create_time, 0) AS " bigint ")
     FROM tenant t JOIN " user " u ON u.id = t.id WHERE t.id >= " p1 " AND t.id <= " p2 " ORDER BY t.id"
);
const MEMBERS: Statement = statement!(
    "SELECT ut.tenant_id, ut.user_id, COALESCE(ut.role, ''), COALESCE(u.nickname, ''), u.email
     FROM user_tenant ut JOIN " user " u ON u.id = ut.user_id
     WHERE ut.tenant_id >= " p1 " AND ut.tenant_id <= " p2 " AND ut.status = '1'"
);
const DATASETS: Statement = statement!(
    "SELECT kb.tenant_id, CAST(COUNT(*) AS " bigint ") FROM knowledgebase kb
     WHERE kb.tenant_id >= " p1 " AND kb.tenant_id <= " p2 " AND kb.status = '1' GROUP BY kb.tenant_id"
);
/// A document made of a stored file lies where the file lies, so its bytes are the file's. Every document
/// that was uploaded has a file row as well, of the kind `knowledgebase`: that one is not counted.
const DOCUMENTS: Statement = statement!(
    "SELECT kb.tenant_id, CAST(COUNT(*) AS " bigint "), CAST(COALESCE(SUM(CASE WHEN EXISTS
         (SELECT 1 FROM file2document l JOIN file f ON f.id = l.file_id
          WHERE l.document_id = d.id AND COALESCE(f.source_type, '') <> 'knowledgebase') THEN 0 ELSE d.size END), 0) AS " bigint ")
     FROM knowledgebase kb JOIN document d ON d.kb_id = kb.id
     WHERE kb.tenant_id >= " p1 " AND kb.tenant_id <= " p2 " AND kb.status = '1' GROUP BY kb.tenant_id"
);
const FILES: Statement = statement!(
    "SELECT tenant_id, CAST(COALESCE(SUM(size), 0) AS " bigint ") FROM file
     WHERE tenant_id >= " p1 " AND tenant_id <= " p2 " AND COALESCE(type, '') <> 'folder'
           AND COALESCE(source_type, '') <> 'knowledgebase'
     GROUP BY tenant_id"
);
const PAGE: Statement = statement!("SELECT id FROM tenant WHERE id > " p1 " ORDER BY id LIMIT 200");
const PRESENT: Statement = statement!(
    "SELECT t.id FROM tenant t JOIN " user " u ON u.id = t.id WHERE t.id >= " p1 " AND t.id <= " p2
);

impl RagflowDatabase {
    /// One tenant; `None` = RAGFlow has none such.
    pub async fn tenant(&self, id: &TenantId) -> Result<Option<RagflowTenant>, DirectoryError> {
        Ok(self.read_tenants(id.as_str(), id.as_str()).await?.into_iter().next())
    }

    /// A page of tenants in the order of their ids, after one (`""` = from the start), and the id to go on
    /// after; `None` = that was the end.
    pub async fn tenants_after(&self, after: &str) -> Result<(Vec<RagflowTenant>, Option<String>), DirectoryError> {
        let ids: Vec<(String,)> = self.all(Urgency::Bulk, &PAGE, &[Bind::Text(after)]).await?;
        let (Some((first,)), Some((last,))) = (ids.first(), ids.last()) else { return Ok((Vec::new(), None)) };
        Ok((self.read_tenants(first, last).await?, Some(last.clone())))
    }

    /// The ids of the tenants in a stretch of ids, both ends included.
    pub async fn tenants_present(&self, first: &TenantId, last: &TenantId) -> Result<Vec<TenantId>, DirectoryError> {
        let ends = [Bind::Text(first.as_str()), Bind::Text(last.as_str())];
        let ids: Vec<(String,)> = self.all(Urgency::Bulk, &PRESENT, &ends).await?;
        Ok(ids.iter().filter_map(|(id,)| TenantId::parse(id).ok()).collect())
    }

    pub(super) async fn read_tenants(&self, first: &str, last: &str) -> Result<Vec<RagflowTenant>, DirectoryError> {
        let ends = [Bind::Text(first), Bind::Text(last)];
        let tenants: Vec<(String, String, String, String, i64)> = self.all(Urgency::Bulk, &TENANTS, &ends).await?;
        let members: Vec<(String, String, String, String, String)> = self.all(Urgency::Bulk, &MEMBERS, &ends).await?;
        let datasets: Vec<(String, i64)> = self.all(Urgency::Bulk, &DATASETS, &ends).await?;
        let documents: Vec<(String, i64, i64)> = self.all(Urgency::Bulk, &DOCUMENTS, &ends).await?;
        let files: Vec<(String, i64)> = self.all(Urgency::Bulk, &FILES, &ends).await?;

        let mut by_id = BTreeMap::new();
        for (id, name, email, nickname, created) in tenants {
            let Ok(parsed) = TenantId::parse(&id) else {
                tracing::warn!(id, "RAGFlow has a tenant whose id is none; it is left out");
                continue;
            };
            let name = [name, nickname].into_iter().find(|it| !it.trim().is_empty()).unwrap_or_else(|| email.clone());
            let gauges =
                [Meter::Documents, Meter::StorageBytes, Meter::Datasets, Meter::Seats].map(|it| (it, 0)).into();
            let registered_at = (created > 0).then_some(Timestamp(created));
            by_id.insert(id, RagflowTenant { id: parsed, name, email, registered_at, members: Vec::new(), gauges });
        }
        let mut add = |id: &str, meter: Meter, amount: i64| {
            if let Some(level) = by_id.get_mut(id).and_then(|it| it.gauges.get_mut(&meter)) {
                *level = level.saturating_add(amount.max(0));
            }
        };
        for (id, count) in &datasets {
            add(id, Meter::Datasets, *count);
        }
        for (id, count, bytes) in &documents {
            add(id, Meter::Documents, *count);
            add(id, Meter::StorageBytes, *bytes);
        }
        for (id, bytes) in &files {
            add(id, Meter::StorageBytes, *bytes);
        }
        for (id, user_id, role, name, email) in members {
            let Some(tenant) = by_id.get_mut(&id) else { continue };
            let role = role_of(&role);
            // An invitation takes no seat before it is accepted.
            if role != MemberRole::Invite {
                tenant.gauges.entry(Meter::Seats).and_modify(|seats| *seats += 1);
            }
            tenant.members.push(Member { user_id, name, email, role });
        }
        for tenant in by_id.values_mut() {
            tenant.members.sort_by(|a, b| (rank(a.role), &a.email).cmp(&(rank(b.role), &b.email)));
        }
        Ok(by_id.into_values().collect())
    }
}

fn role_of(word: &str) -> MemberRole {
    match word {
        "owner" => MemberRole::Owner,
        "admin" => MemberRole::Admin,
        "invite" => MemberRole::Invite,
        _ => MemberRole::Normal,
    }
}

fn rank(role: MemberRole) -> u8 {
    match role {
        MemberRole::Owner => 0,
        MemberRole::Admin => 1,
        MemberRole::Normal => 2,
        MemberRole::Invite => 3,
    }
}
