//! Who owns a resource, and so pays for its use.

use paywall_domain::TenantId;

use super::statement::{Statement, statement, word};
use super::{Bind, DirectoryError, RagflowDatabase, Urgency};
use crate::gate::Resource;

/// RAGFlow's ids have 32 characters; what is longer names nothing.
const LONGEST_ID: usize = 64;

const DATASET: Statement = statement!("SELECT tenant_id FROM knowledgebase WHERE id = " p1 " LIMIT 1");
const DOCUMENT: Statement = statement!(
    "SELECT kb.tenant_id FROM document d JOIN knowledgebase kb ON kb.id = d.kb_id WHERE d.id = " p1 " LIMIT 1"
);
const DIALOG: Statement = statement!("SELECT tenant_id FROM dialog WHERE id = " p1 " LIMIT 1");
const AGENT: Statement = statement!("SELECT user_id FROM user_canvas WHERE id = " p1 " LIMIT 1");
const SEARCH: Statement = statement!("SELECT tenant_id FROM search WHERE id = " p1 " LIMIT 1");
const MEMORY: Statement = statement!("SELECT tenant_id FROM memory WHERE id = " p1 " LIMIT 1");
const SESSION: Statement = statement!(
    "SELECT d.tenant_id FROM conversation c JOIN dialog d ON d.id = c.dialog_id WHERE c.id = " p1 " LIMIT 1"
);
/// Sessions of API keys and of agents: `dialog_id` is a dialog's or an agent's.
const API_SESSION: Statement = statement!(
    "SELECT COALESCE(d.tenant_id, a.user_id) FROM api_4_conversation c
     LEFT JOIN dialog d ON d.id = c.dialog_id LEFT JOIN user_canvas a ON a.id = c.dialog_id
     WHERE c.id = " p1 " LIMIT 1"
);

impl RagflowDatabase {
    /// The tenant that owns a resource; `None` = there is none such, or it has no owner.
    pub async fn owner(&self, resource: Resource, id: &str) -> Result<Option<TenantId>, DirectoryError> {
        if id.is_empty() || id.len() > LONGEST_ID || id.contains('\0') {
            return Ok(None);
        }
        let statements: &[&Statement] = match resource {
            Resource::Dataset => &[&DATASET],
            Resource::Document => &[&DOCUMENT],
            Resource::Dialog => &[&DIALOG],
            Resource::Agent => &[&AGENT],
            Resource::Search => &[&SEARCH],
            Resource::Memory => &[&MEMORY],
            Resource::Session => &[&SESSION, &API_SESSION],
            Resource::Tenant => return Ok(TenantId::parse(id).ok()),
            Resource::Other => return Ok(None),
        };
        for statement in statements {
            match self.all::<(Option<String>,)>(Urgency::Lookup, statement, &[Bind::Text(id)]).await {
                Ok(rows) => {
                    if let Some(tenant) = rows.into_iter().find_map(|(id,)| TenantId::parse(&id?).ok()) {
                        return Ok(Some(tenant));
                    }
                }
                // Tables of newer versions: without them there is nothing such to own.
                Err(DirectoryError::Schema { .. }) if matches!(resource, Resource::Search | Resource::Memory) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

pub(super) async fn check(database: &RagflowDatabase) -> Result<(), DirectoryError> {
    for resource in [
        Resource::Dataset,
        Resource::Document,
        Resource::Dialog,
        Resource::Agent,
        Resource::Search,
        Resource::Memory,
        Resource::Session,
    ] {
        database.owner(resource, "-").await?;
    }
    Ok(())
}
