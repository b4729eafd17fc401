//! What changed since: the rows of each table in the order of `update_time`, a page at a time.
//!
//! `update_time` is the clock of whichever RAGFlow process wrote the row, and rows become visible when
//! they are committed, not when they were stamped. So a reader starts a while before the last row that
//! it saw, and takes the same row again as no news. A row without an `update_time`, and a row that is
//! gone, is found by the full comparison only.

use std::collections::BTreeMap;

use paywall_domain::TenantId;

use super::statement::{Statement, statement, word};
use super::{Bind, DirectoryError, RagflowDatabase, Urgency};

/// A table whose changes concern tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// `tenant`
    Tenants,
    /// `user`: names and addresses of owners and members.
    Users,
    /// `user_tenant`
    Members,
    /// `knowledgebase`; also changes with the number of its documents.
    Datasets,
    /// `document`
    Documents,
    /// `file`
    Files,
}

/// A row that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its `update_time`, in milliseconds.
    pub at: i64,
    /// Its id.
    pub id: String,
    /// The tenant that it concerns, where one can be told.
    pub tenant: Option<TenantId>,
}

/// Values: an instant, the same again, and the id after which to go on within that instant.
macro_rules! since {
    ($columns:literal, $table:tt) => {
        statement!("SELECT CAST(update_time AS " bigint "), " $columns " FROM " $table "
             WHERE update_time >= " p1 " AND (update_time > " p2 " OR id > " p3 ")
             ORDER BY update_time, id LIMIT 500")
    };
}

pub(super) const STREAMS: [(Stream, &Statement); 6] = [
    (Stream::Tenants, &since!("id, id", "tenant")),
    (
        Stream::Users,
        // A page is cut by users: a user's memberships stay together.
        &statement!(
            "SELECT CAST(u.update_time AS " bigint "), u.id, ut.tenant_id FROM
               (SELECT update_time, id FROM " user "
                WHERE update_time >= " p1 " AND (update_time > " p2 " OR id > " p3 ")
                ORDER BY update_time, id LIMIT 500) u
             LEFT JOIN user_tenant ut ON ut.user_id = u.id
             ORDER BY u.update_time, u.id"
        ),
    ),
    (Stream::Members, &since!("id, tenant_id", "user_tenant")),
    (Stream::Datasets, &since!("id, tenant_id", "knowledgebase")),
    (
        Stream::Documents,
        &statement!(
            "SELECT CAST(d.update_time AS " bigint "), d.id, kb.tenant_id FROM
               (SELECT update_time, id, kb_id FROM document
                WHERE update_time >= " p1 " AND (update_time > " p2 " OR id > " p3 ")
                ORDER BY update_time, id LIMIT 500) d
             LEFT JOIN knowledgebase kb ON kb.id = d.kb_id
             ORDER BY d.update_time, d.id"
        ),
    ),
    (Stream::Files, &since!("id, tenant_id", "file")),
];

/// The newest `update_time` of each table.
const NEWEST: Statement = statement!(
    "SELECT CAST(COALESCE(MAX(update_time), 0) AS " bigint "), 'tenants' FROM tenant
     UNION ALL SELECT CAST(COALESCE(MAX(update_time), 0) AS " bigint "), 'users' FROM " user "
     UNION ALL SELECT CAST(COALESCE(MAX(update_time), 0) AS " bigint "), 'members' FROM user_tenant
     UNION ALL SELECT CAST(COALESCE(MAX(update_time), 0) AS " bigint "), 'datasets' FROM knowledgebase
     UNION ALL SELECT CAST(COALESCE(MAX(update_time), 0) AS " bigint "), 'documents' FROM document
     UNION ALL SELECT CAST(COALESCE(MAX(update_time), 0) AS " bigint "), 'files' FROM file"
);

impl Stream {
    fn word(self) -> &'static str {
        match self {
            Self::Tenants => "tenants",
            Self::Users => "users",
            Self::Members => "members",
            Self::Datasets => "datasets",
            Self::Documents => "documents",
            Self::Files => "files",
        }
    }

    /// Every one, in the order in which they are read.
    pub const ALL: [Self; 6] =
        [Self::Tenants, Self::Users, Self::Members, Self::Datasets, Self::Documents, Self::Files];
}

impl RagflowDatabase {
    /// The newest `update_time` of each table; 0 where there is none.
    pub async fn newest(&self) -> Result<BTreeMap<Stream, i64>, DirectoryError> {
        let rows: Vec<(i64, String)> = self.all(Urgency::Bulk, &NEWEST, &[]).await?;
        let of = |stream: Stream| rows.iter().find(|(_, word)| word == stream.word()).map_or(0, |(at, _)| *at);
        Ok(Stream::ALL.into_iter().map(|stream| (stream, of(stream))).collect())
    }

    /// The rows of a table from `at` on, those of `at` itself after the id `after`: a page, in order. An
    /// empty one is the end.
    pub async fn changes(&self, stream: Stream, at: i64, after: &str) -> Result<Vec<Change>, DirectoryError> {
        let Some((_, statement)) = STREAMS.iter().find(|(it, _)| *it == stream) else { return Ok(Vec::new()) };
        let binds = [Bind::Number(at), Bind::Number(at), Bind::Text(after)];
        let rows: Vec<(i64, String, Option<String>)> = self.all(Urgency::Bulk, statement, &binds).await?;
        let change = |(at, id, tenant): (i64, String, Option<String>)| {
            // A user without memberships is still its own tenant's owner.
            let tenant = tenant.or_else(|| (stream == Stream::Users).then(|| id.clone()));
            Change { at, id, tenant: tenant.and_then(|it| TenantId::parse(&it).ok()) }
        };
        Ok(rows.into_iter().map(change).collect())
    }
}
