//! No statement of a list or of the search walks through every tenant.
#![allow(clippy::unwrap_used)]

use sqlx::AssertSqlSafe;

use super::statements::{self, Part, TextMode};
use super::{counts, search, tenants};
use crate::cache::{Cache, CacheKey};
use crate::ipc::TenantColumn;

const COLUMNS: [TenantColumn; 5] = [
    TenantColumn::Name,
    TenantColumn::TrialEndsAt,
    TenantColumn::Used,
    TenantColumn::LastActiveAt,
    TenantColumn::CreatedAt,
];

async fn plan(cache: &Cache, statement: &str) -> Vec<String> {
    let rows: Vec<(i64, i64, i64, String)> = sqlx::query_as(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")))
        .fetch_all(cache.readers())
        .await
        .unwrap();
    rows.into_iter().map(|row| row.3).collect()
}

/// A copy to ask. A test closes it: SQLCipher's threads must be gone before the process takes its libraries down.
async fn cache() -> (tempfile::TempDir, Cache) {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(&folder.path().join("copy.db"), &CacheKey::from([1; 32])).await.unwrap();
    (folder, cache)
}

/// A walk in index order stops at the page's end, so `SCAN t USING INDEX` would be no walk through all
/// either; but every view has a condition that its index answers, and so not even that is needed.
fn walks_all(step: &str) -> bool {
    step.starts_with("SCAN t") && !step.contains("INDEX")
}

#[tokio::test]
async fn pages_go_by_index_and_large_views_need_no_sorting() {
    let (_folder, cache) = cache().await;
    for view in counts::VIEWS {
        for sort in COLUMNS {
            for descending in [false, true] {
                for part in [Part::Known, Part::Unknown] {
                    if part == Part::Unknown && !tenants::nullable(sort) {
                        continue;
                    }
                    for mode in [TextMode::Walk, TextMode::Match] {
                        let statement = statements::page(view, sort, descending, part, mode);
                        let steps = plan(&cache, statement).await;
                        assert!(!steps.iter().any(|it| walks_all(it)), "{view:?} {sort:?} {steps:?}\n{statement}");
                        let large = statement.contains("tenants_alive_") || statement.contains("tenants_shelf_");
                        if large && mode == TextMode::Walk {
                            assert!(!steps.iter().any(|it| it.contains("TEMP B-TREE")), "{view:?} {sort:?} {steps:?}");
                            assert!(steps.iter().any(|it| it.starts_with("SEARCH t USING INDEX")), "{steps:?}");
                        }
                    }
                }
            }
        }
    }
    cache.close().await;
}

#[tokio::test]
async fn counts_read_an_index_and_no_tenant() {
    let (_folder, cache) = cache().await;
    for view in counts::VIEWS {
        let steps = plan(&cache, statements::count(view)).await;
        assert!(steps.iter().all(|it| it.contains("INDEX")), "{view:?} {steps:?}");
        assert!(!plan(&cache, statements::count_of_match(view)).await.iter().any(|it| walks_all(it)));
    }
    cache.close().await;
}

#[tokio::test]
async fn the_search_goes_by_index() {
    let (_folder, cache) = cache().await;
    for statement in search::STATEMENTS {
        let steps = plan(&cache, statement).await;
        let walks =
            steps.iter().any(|it| it.starts_with("SCAN") && !it.contains("VIRTUAL TABLE") && !it.contains("hit"));
        assert!(!walks, "{steps:?}\n{statement}");
        assert!(!steps.iter().any(|it| it.contains("TEMP B-TREE FOR ORDER")), "{steps:?}\n{statement}");
    }
    cache.close().await;
}

/// Every statement of revenue is understood, and a page of invoices goes by its index without sorting.
#[tokio::test]
async fn pages_of_invoices_and_of_customers_behind_a_figure_are_prepared() {
    let (_folder, cache) = cache().await;
    for (page, totals) in super::revenue::INVOICES {
        let steps = plan(&cache, page).await;
        assert!(!steps.iter().any(|it| it.contains("TEMP B-TREE")), "{steps:?}\n{page}");
        plan(&cache, totals).await;
    }
    for statement in super::revenue::DRILLS {
        let steps = plan(&cache, statement).await;
        let found = |table: &str| steps.iter().any(|it| it.starts_with(&format!("SEARCH {table} USING")));
        assert!(found("revenue_movements") || found("revenue_days"), "{steps:?}\n{statement}");
        // A page of customers ends where it is full, unless it is found by day.
        let by_customer = steps.iter().any(|it| it.contains("revenue_movements USING PRIMARY KEY"));
        assert!(!by_customer || !steps.iter().any(|it| it.contains("TEMP B-TREE")), "{steps:?}\n{statement}");
    }
    cache.close().await;
}
