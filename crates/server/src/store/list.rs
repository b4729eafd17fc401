//! Lists of tenants, a page at a time by key.

use paywall_contract::TenantSort;
use paywall_domain::{PlanId, Status};
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::tenants::{TenantRow, columns};
use super::{Read, StoreError};

/// Where a page ended: the row's place in the order, and its id to tell ties apart.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TenantKey {
    pub(crate) sort: TenantSort,
    pub(crate) text: String,
    pub(crate) number: i64,
    pub(crate) id: String,
}

/// What to list.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) status: Option<Status>,
    pub(crate) plan: Option<PlanId>,
    pub(crate) text: Option<String>,
}

/// The statements of one order: from the start, and after a key.
macro_rules! statements {
    ($key:literal, $comparison:literal, $direction:literal) => {
        (
            concat!(
                "SELECT ",
                columns!(),
                " FROM tenants WHERE (?1 IS NULL OR status = ?1) AND (?2 IS NULL OR plan = ?2)",
                " AND (?3 IS NULL OR instr(search, ?3) > 0)",
                " ORDER BY ",
                $key,
                $direction,
                ", id",
                $direction,
                " LIMIT ?4"
            ),
            concat!(
                "SELECT ",
                columns!(),
                " FROM tenants WHERE (?1 IS NULL OR status = ?1) AND (?2 IS NULL OR plan = ?2)",
                " AND (?3 IS NULL OR instr(search, ?3) > 0)",
                " AND (",
                $key,
                ", id) ",
                $comparison,
                " (?5, ?6)",
                " ORDER BY ",
                $key,
                $direction,
                ", id",
                $direction,
                " LIMIT ?4"
            ),
        )
    };
}

fn statements(sort: TenantSort) -> (&'static str, &'static str) {
    match sort {
        TenantSort::Name => statements!("name_key", ">", ""),
        TenantSort::NameDesc => statements!("name_key", "<", " DESC"),
        TenantSort::CreatedAt => statements!("created_at", ">", ""),
        TenantSort::CreatedAtDesc => statements!("created_at", "<", " DESC"),
        TenantSort::TrialEndsAt => statements!("coalesce(trial_ends_at, 9000000000000000)", ">", ""),
        TenantSort::TrialEndsAtDesc => statements!("coalesce(trial_ends_at, -9000000000000000)", "<", " DESC"),
    }
}

/// The key of a row in an order.
pub(crate) fn key_of(row: &TenantRow, sort: TenantSort) -> TenantKey {
    let trial_end = row.facts.trial.as_ref().map(|trial| trial.ends_at.0);
    let (text, number) = match sort {
        TenantSort::Name | TenantSort::NameDesc => (row.name.to_lowercase(), 0),
        TenantSort::CreatedAt | TenantSort::CreatedAtDesc => (String::new(), row.created_at.0),
        TenantSort::TrialEndsAt => (String::new(), trial_end.unwrap_or(9_000_000_000_000_000)),
        TenantSort::TrialEndsAtDesc => (String::new(), trial_end.unwrap_or(-9_000_000_000_000_000)),
    };
    TenantKey { sort, text, number, id: row.id.as_str().to_owned() }
}

/// A page of tenants.
pub(crate) async fn page(
    read: &mut Read,
    filter: &Filter,
    sort: TenantSort,
    after: Option<&TenantKey>,
    limit: usize,
) -> Result<Vec<TenantRow>, StoreError> {
    let connection: &mut SqliteConnection = read;
    let (first, next) = statements(sort);
    let query = sqlx::query(if after.is_some() { next } else { first })
        .bind(filter.status.map(Status::as_str))
        .bind(filter.plan.as_ref().map(PlanId::as_str))
        .bind(filter.text.as_deref())
        .bind(limit as i64);
    let query = match after {
        None => query,
        Some(key) if matches!(sort, TenantSort::Name | TenantSort::NameDesc) => query.bind(&key.text).bind(&key.id),
        Some(key) => query.bind(key.number).bind(&key.id),
    };
    let rows: Vec<SqliteRow> = query.fetch_all(connection).await?;
    rows.iter().map(TenantRow::read).collect()
}
