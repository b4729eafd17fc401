//! Lists of tenants, a page at a time by key.

use paywall_contract::TenantSort;
use paywall_domain::{PlanId, Status, Timestamp, status};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::tenants::{TenantRow, columns};
use super::time::rolled;
use super::{Connection, Dialect, Read, StoreError, storable};

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

/// A list's statements in a dialect: from the start and after a key, for each way to look for a text.
type Statements = [[&'static str; 2]; 3];

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

/// One statement. The row's place in the order is `$6`, its id `$7`. A row whose status is stored for another instant than now comes along whatever the
/// status asked for: which it has now is only known once it is derived.
macro_rules! statement {
    ($text:expr, $place:expr, $order:expr) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM tenants",
            " WHERE ($1 IS NULL OR status = $1 OR next_transition_at <= $5 OR derived_at > $5)",
            " AND ($2 IS NULL OR plan = $2)",
            $text,
            $place,
            " ORDER BY ",
            $order,
            " LIMIT $4"
        )
    };
}

/// The statements of one order, with what has to come after a key.
macro_rules! statements {
    (sqlite, $after:expr, $order:expr) => {
        statements!(
            $after,
            $order,
            " AND num IN (SELECT rowid FROM tenants_search WHERE tenants_search MATCH $3)",
            " AND instr(search, $3) > 0"
        )
    };
    (postgres, $after:expr, $order:expr) => {
        statements!($after, $order, " AND search LIKE $3", " AND strpos(search, $3) > 0")
    };
    ($after:expr, $order:expr, $index:literal, $scan:literal) => {
        [
            [statement!("", "", $order), statement!("", $after, $order)],
            [statement!($index, "", $order), statement!($index, $after, $order)],
            [statement!($scan, "", $order), statement!($scan, $after, $order)],
        ]
    };
}

/// The statements of an order by one column and the id, in one direction.
macro_rules! by {
    ($dialect:ident, $key:literal) => {
        statements!($dialect, concat!(" AND (", $key, ", id) > ($6, $7)"), concat!($key, ", id"))
    };
    ($dialect:ident, $key:literal, DESC) => {
        statements!($dialect, concat!(" AND (", $key, ", id) < ($6, $7)"), concat!($key, " DESC, id DESC"))
    };
}

fn statement(dialect: Dialect, sort: TenantSort, search: Search, after: bool) -> &'static str {
    let statements: Statements = match (dialect, sort) {
        (Dialect::Sqlite, TenantSort::Name) => by!(sqlite, "name_key"),
        (Dialect::Sqlite, TenantSort::NameDesc) => by!(sqlite, "name_key", DESC),
        (Dialect::Sqlite, TenantSort::CreatedAt) => by!(sqlite, "created_at"),
        (Dialect::Sqlite, TenantSort::CreatedAtDesc) => by!(sqlite, "created_at", DESC),
        (Dialect::Sqlite, TenantSort::TrialEndsAt) => by!(sqlite, "trial_end_asc"),
        (Dialect::Sqlite, TenantSort::TrialEndsAtDesc) => by!(sqlite, "trial_end_desc", DESC),
        // Its index holds the beginnings of names only.
        (Dialect::Postgres, TenantSort::Name) => statements!(
            postgres,
            " AND (left(name_key, 256), name_key, id) > (left($6, 256), $6, $7)",
            "left(name_key, 256), name_key, id"
        ),
        (Dialect::Postgres, TenantSort::NameDesc) => statements!(
            postgres,
            " AND (left(name_key, 256), name_key, id) < (left($6, 256), $6, $7)",
            "left(name_key, 256) DESC, name_key DESC, id DESC"
        ),
        (Dialect::Postgres, TenantSort::CreatedAt) => by!(postgres, "created_at"),
        (Dialect::Postgres, TenantSort::CreatedAtDesc) => by!(postgres, "created_at", DESC),
        (Dialect::Postgres, TenantSort::TrialEndsAt) => by!(postgres, "trial_end_asc"),
        (Dialect::Postgres, TenantSort::TrialEndsAtDesc) => by!(postgres, "trial_end_desc", DESC),
    };
    statements[search as usize][usize::from(after)]
}

/// How to look for a text, and what to bind for it.
fn search(dialect: Dialect, text: Option<&str>) -> (Search, Option<String>) {
    match text.map(storable) {
        None => (Search::Nothing, None),
        Some(text) if text.chars().count() < INDEXED_CHARS => (Search::Scan, Some(text)),
        Some(text) => {
            let pattern = match dialect {
                Dialect::Sqlite => format!("\"{}\"", text.replace('"', "\"\"")),
                Dialect::Postgres => {
                    let plain = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
                    format!("%{plain}%")
                }
            };
            (Search::Index, Some(pattern))
        }
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
    let connection: &mut Connection = read;
    let dialect = Dialect::of(connection);
    let (search, text) = search(dialect, filter.text.as_deref());
    let query = sqlx::query(statement(dialect, sort, search, after.is_some()))
        .bind(filter.status.map(Status::as_str))
        .bind(filter.plan.as_ref().map(|plan| storable(plan.as_str())))
        .bind(text)
        .bind(limit as i64 + 1)
        .bind(now.0);
    let query = match after {
        None => query,
        Some(key) if matches!(sort, TenantSort::Name | TenantSort::NameDesc) => {
            query.bind(storable(&key.text)).bind(storable(&key.id))
        }
        Some(key) => query.bind(key.number).bind(storable(&key.id)),
    };
    let found: Vec<AnyRow> = query.fetch_all(&mut *connection).await?;
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
    use crate::store::{Bound, Store};

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
                    let plan = store.plan(statement(Dialect::Sqlite, sort, search, after)).await;
                    let step = if after { "SEARCH tenants USING INDEX" } else { "SCAN tenants USING INDEX" };
                    assert!(plan.contains(step), "{sort:?} {search:?} after {after}: {plan}");
                    assert!(!plan.contains("TEMP B-TREE"), "{sort:?} {search:?} after {after}: {plan}");
                }
                let plan = store.plan(statement(Dialect::Sqlite, sort, Search::Index, after)).await;
                assert!(plan.contains("SCAN tenants_search VIRTUAL TABLE INDEX"), "{sort:?}: {plan}");
                assert!(plan.contains("SEARCH tenants USING INTEGER PRIMARY KEY"), "{sort:?} after {after}: {plan}");
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn so_it_is_on_postgres() {
        let server = paywall_databases::Postgres::shared().unwrap();
        let store = Store::open(&server.database().unwrap()).await.unwrap();
        for (sort, index) in SORTS.into_iter().zip([
            "tenants_by_name",
            "tenants_by_name",
            "tenants_by_created_at",
            "tenants_by_created_at",
            "tenants_by_trial_end_asc",
            "tenants_by_trial_end_desc",
        ]) {
            for after in [false, true] {
                let plan = async |off, search| {
                    let number = Bound::Number(0);
                    let place = if index == "tenants_by_name" { Bound::Text(Some("")) } else { number };
                    let mut bound = vec![Bound::Text(None), Bound::Text(None), Bound::Text(Some("%abc%"))];
                    bound.extend([Bound::Number(10), Bound::Number(0)]);
                    bound.extend(after.then_some([place, Bound::Text(Some(""))]).into_iter().flatten());
                    store.plan_without(off, statement(Dialect::Postgres, sort, search, after), bound).await
                };
                for search in [Search::Nothing, Search::Scan] {
                    let plan = plan("SET LOCAL enable_bitmapscan = off", search).await;
                    assert!(plan.contains(&format!("using {index} on tenants")), "{sort:?} after {after}: {plan}");
                    assert!(!plan.lines().any(|line| line.trim_start().starts_with("Sort  ")), "{sort:?}: {plan}");
                    assert_eq!(plan.contains("Index Cond"), after, "{sort:?}: {plan}");
                }
                // After a key, an empty table has it go by the order's index.
                let plan = plan("SET LOCAL enable_indexscan = off", Search::Index).await;
                assert!(after || plan.contains("Bitmap Index Scan on tenants_search"), "{sort:?}: {plan}");
            }
        }
    }

    #[test]
    fn a_text_is_quoted_for_the_index_and_short_ones_are_not_looked_up_there() {
        for dialect in [Dialect::Sqlite, Dialect::Postgres] {
            assert!(matches!(search(dialect, None), (Search::Nothing, None)));
            assert!(matches!(search(dialect, Some("ab")), (Search::Scan, Some(text)) if text == "ab"));
        }
        let sqlite = |text| search(Dialect::Sqlite, Some(text));
        assert!(matches!(sqlite("会社の"), (Search::Index, Some(text)) if text == "\"会社の\""));
        assert!(matches!(sqlite("a\"b"), (Search::Index, Some(text)) if text == "\"a\"\"b\""));
        assert!(matches!(sqlite("a\0bc"), (Search::Index, Some(text)) if text == "\"a\u{fffd}bc\""));
        let postgres = |text| search(Dialect::Postgres, Some(text));
        assert!(matches!(postgres("10% _\\"), (Search::Index, Some(text)) if text == "%10\\% \\_\\\\%"));
    }
}
