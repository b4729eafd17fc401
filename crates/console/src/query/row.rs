//! A tenant as a row.

use paywall_domain::{Meter, Status, TenantId, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};

use crate::cache::{CacheError, Result};
use crate::ipc::TenantRow;

/// The columns that [`Found`] reads, of `tenants AS t` and `plans AS p`.
macro_rules! columns {
    () => {
        "t.num, t.id, t.name, t.email, t.stripe_customer, t.status, t.level, t.tags, t.trial_ends_at, t.extensions,
         t.extended_ms, t.used_percent, t.used_meter, t.last_active_at, t.last_refused_at, t.holds_until, t.name_key,
         t.created_at, t.deleted_at, coalesce(p.name, t.plan) AS plan_name"
    };
}
pub(super) use columns;

/// A tenant as it was found, before its revenue is added.
pub(super) struct Found {
    pub(super) num: i64,
    pub(super) customer: Option<String>,
    pub(super) name_key: String,
    pub(super) created_at: i64,
    pub(super) deleted: bool,
    pub(super) row: TenantRow,
}

/// A word back into what serde wrote as that word.
pub(super) fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    Ok(serde_json::from_value(serde_json::Value::String(text.to_owned()))?)
}

/// An id as it is stored.
pub(super) fn tenant_id(text: &str) -> Result<TenantId> {
    TenantId::parse(text).map_err(|error| CacheError::Broken(error.to_string()))
}

impl FromRow<'_, SqliteRow> for Found {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Self::read(row).map_err(|error| match error {
            CacheError::Sql(error) => error,
            other => sqlx::Error::Decode(Box::new(other)),
        })
    }
}

impl Found {
    fn read(row: &SqliteRow) -> Result<Self> {
        let instant = |name: &str| row.try_get::<Option<i64>, _>(name).map(|it| it.map(Timestamp));
        Ok(Self {
            num: row.try_get("num")?,
            customer: row.try_get("stripe_customer")?,
            name_key: row.try_get("name_key")?,
            created_at: row.try_get("created_at")?,
            deleted: row.try_get::<Option<i64>, _>("deleted_at")?.is_some(),
            row: TenantRow {
                id: tenant_id(row.try_get("id")?)?,
                name: row.try_get("name")?,
                email: row.try_get("email")?,
                plan_name: row.try_get("plan_name")?,
                status: word::<Status>(row.try_get("status")?)?,
                level: word(row.try_get("level")?)?,
                tags: serde_json::from_str(row.try_get("tags")?)?,
                trial_ends_at: instant("trial_ends_at")?,
                extensions: row.try_get("extensions")?,
                extended_ms: row.try_get("extended_ms")?,
                used_percent: row.try_get("used_percent")?,
                used_meter: row.try_get::<Option<&str>, _>("used_meter")?.and_then(Meter::parse),
                last_active_at: instant("last_active_at")?,
                last_refused_at: instant("last_refused_at")?,
                mrr: None,
                holds_until: instant("holds_until")?,
            },
        })
    }

    /// Whether it was refused since `cutoff`.
    pub(super) fn blocked_since(&self, cutoff: i64) -> bool {
        self.row.last_refused_at.is_some_and(|at| at.0 >= cutoff)
    }
}
