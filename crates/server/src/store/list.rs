//! Lists of tenants, a page at a time by key.

use paywall_contract::TenantSort;
use paywall_domain::{PlanId, Status, Timestamp, status};
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::tenants::{TenantRow, columns};
use super::time::rolled;
use super::{Read, StoreError};

/// The least number of characters that the index of texts can look up.
const INDEXED_CHARS: usize = 3;

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

/// How a text is looked for.
#[derive(Debug, Clone, Copy)]
enum Search {
    /// Not at all.
    Nothing,
    /// In the index.
    Index,
    /// Row by row: too short for the index.
    Scan,
}

/// One statement. A row whose status is stored for another instant than now comes along whatever the
/// status asked for: which it has now is only known once it is derived.
macro_rules! statement {
    ($text:expr, $place:expr, $key:literal, $direction:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM tenants",
            " WHERE (?1 IS NULL OR status = ?1 OR next_transition_at <= ?5 OR derived_at > ?5)",
            " AND (?2 IS NULL OR plan = ?2)",
            $text,
            $place,
            " ORDER BY ",
            $key,
            $direction,
            ", id",
            $direction,
            " LIMIT ?4"
        )
    };
}

/// The statements of one order: from the start and after a key, for each way to look for a text.
macro_rules! statements {
    ($key:literal, $comparison:literal, $direction:literal) => {
        statements!(
            $key,
            $direction,
            concat!(" AND (", $key, ", id) ", $comparison, " (?6, ?7)"),
            " AND num IN (SELECT rowid FROM tenants_search WHERE tenants_search MATCH ?3)",
            " AND instr(search, ?3) > 0"
        )
    };
    ($key:literal, $direction:literal, $after:expr, $index:literal, $scan:literal) => {
        [
            [statement!("", "", $key, $direction), statement!("", $after, $key, $direction)],
            [statement!($index, "", $key, $direction), statement!($index, $after, $key, $direction)],
            [statement!($scan, "", $key, $direction), statement!($scan, $after, $key, $direction)],
        ]
    };
}

fn statement(sort: TenantSort, search: Search, after: bool) -> &'static str {
    let statements: [[&'static str; 2]; 3] = match sort {
        TenantSort::Name => statements!("name_key", ">", ""),
        TenantSort::NameDesc => statements!("name_key", "<", " DESC"),
        TenantSort::CreatedAt => statements!("created_at", ">", ""),
        TenantSort::CreatedAtDesc => statements!("created_at", "<", " DESC"),
        TenantSort::TrialEndsAt => statements!("trial_end_asc", ">", ""),
        TenantSort::TrialEndsAtDesc => statements!("trial_end_desc", "<", " DESC"),
    };
    statements[search as usize][usize::from(after)]
}

/// How to look for a text, and what to bind for it.
fn search(text: Option<&str>) -> (Search, Option<String>) {
    match text {
        None => (Search::Nothing, None),
        // A NUL ends what the index reads of a text.
        Some(text) if text.chars().count() >= INDEXED_CHARS && !text.contains('\0') => {
            (Search::Index, Some(format!("\"{}\"", text.replace('"', "\"\""))))
        }
        Some(text) => (Search::Scan, Some(text.to_owned())),
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

/// A page of tenants as they are at `now`, and the key to go on from where there may be more.
pub(crate) async fn page(
    read: &mut Read,
    filter: &Filter,
    sort: TenantSort,
    after: Option<&TenantKey>,
    limit: usize,
    now: Timestamp,
) -> Result<(Vec<TenantRow>, Option<TenantKey>), StoreError> {
    let connection: &mut SqliteConnection = read;
    let (search, text) = search(filter.text.as_deref());
    let query = sqlx::query(statement(sort, search, after.is_some()))
        .bind(filter.status.map(Status::as_str))
        .bind(filter.plan.as_ref().map(PlanId::as_str))
        .bind(text)
        .bind(limit as i64 + 1)
        .bind(now.0);
    let query = match after {
        None => query,
        Some(key) if matches!(sort, TenantSort::Name | TenantSort::NameDesc) => query.bind(&key.text).bind(&key.id),
        Some(key) => query.bind(key.number).bind(&key.id),
    };
    let found: Vec<SqliteRow> = query.fetch_all(&mut *connection).await?;
    let mut rows = found.iter().take(limit).map(TenantRow::read).collect::<Result<Vec<_>, _>>()?;
    let next = rows.last().filter(|_| found.len() > limit).map(|row| key_of(row, sort));
    rows.retain(|row| filter.status.is_none_or(|wanted| status(&row.facts, now) == wanted));
    let mut page = Vec::with_capacity(rows.len());
    for row in rows {
        page.push(rolled(&mut *connection, row, now).await?);
    }
    Ok((page, next))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::store::Store;

    const SORTS: [TenantSort; 6] = [
        TenantSort::Name,
        TenantSort::NameDesc,
        TenantSort::CreatedAt,
        TenantSort::CreatedAtDesc,
        TenantSort::TrialEndsAt,
        TenantSort::TrialEndsAtDesc,
    ];

    #[tokio::test]
    async fn every_order_seeks_its_index_and_every_longer_text_the_index_of_texts() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite://{}", folder.path().join("server.db").display())).await.unwrap();
        for sort in SORTS {
            for after in [false, true] {
                for search in [Search::Nothing, Search::Scan] {
                    let plan = store.plan(statement(sort, search, after)).await;
                    let step = if after { "SEARCH tenants USING INDEX" } else { "SCAN tenants USING INDEX" };
                    assert!(plan.contains(step), "{sort:?} {search:?} after {after}: {plan}");
                    assert!(!plan.contains("TEMP B-TREE"), "{sort:?} {search:?} after {after}: {plan}");
                }
                let plan = store.plan(statement(sort, Search::Index, after)).await;
                assert!(plan.contains("SCAN tenants_search VIRTUAL TABLE INDEX"), "{sort:?}: {plan}");
                assert!(plan.contains("SEARCH tenants USING INTEGER PRIMARY KEY"), "{sort:?} after {after}: {plan}");
            }
        }
    }

    #[test]
    fn a_text_is_quoted_for_the_index_and_short_ones_are_not_looked_up_there() {
        assert!(matches!(search(None), (Search::Nothing, None)));
        assert!(matches!(search(Some("ab")), (Search::Scan, Some(text)) if text == "ab"));
        assert!(matches!(search(Some("a\0bc")), (Search::Scan, _)));
        assert!(matches!(search(Some("会社の")), (Search::Index, Some(text)) if text == "\"会社の\""));
        assert!(matches!(search(Some("a\"b")), (Search::Index, Some(text)) if text == "\"a\"\"b\""));
    }
}
