//! The statements behind lists of tenants, one for each view, order and direction.
//!
//! Parameters: `?1` now, `?2` and `?3` the place (value and number), `?4` the plan or NULL, `?5` the text
//! (NULL, a text to look for in each row, or a match expression), `?6` how many rows.

use super::row::columns;
use crate::ipc::{TenantColumn, TenantView};

/// How the text of a query is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextMode {
    /// There is none, or it is in so many rows that walking in order finds a page soon.
    Walk,
    /// The index over texts gives few rows; these are sorted.
    Match,
}

/// Which part of the order a page is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Rows whose value is known.
    Known,
    /// Rows whose value is unknown; they come last in both directions.
    Unknown,
}

// Which rows a view has. What time alone changed is derived anew every few seconds; until then a trial whose
// end has passed by the clock does not run, whatever the copy says.
macro_rules! rows_of {
    (all) => {
        "t.deleted_at IS NULL"
    };
    (blocked) => {
        "t.deleted_at IS NULL AND t.last_refused_at >= ?1 - 604800000"
    };
    (trial) => {
        "t.shelf = 'trial' AND t.runs_until > ?1"
    };
    (active) => {
        "t.shelf = 'active'"
    };
    (past_due) => {
        "t.shelf = 'past_due'"
    };
    (expired) => {
        "t.shelf = 'expired'"
    };
    (suspended) => {
        "t.shelf = 'suspended'"
    };
    (ending) => {
        "t.shelf = 'trial' AND t.runs_until > ?1 AND t.runs_until <= ?1 + 259200000"
    };
    (lapsed) => {
        "t.deleted_at IS NULL AND t.lapse_at > ?1 - 1209600000 AND t.lapse_at <= ?1"
    };
    (extended) => {
        "t.deleted_at IS NULL AND t.extensions > 0 AND t.lapse_at > ?1 - 1209600000"
    };
    (locked) => {
        "t.deleted_at IS NULL AND t.lockout_at <= ?1 AND t.last_active_at >= ?1 - 604800000"
    };
    (quota) => {
        "t.deleted_at IS NULL AND t.quota_meters IS NOT NULL"
    };
    (paying) => {
        "t.deleted_at IS NULL AND t.stripe_customer IS NOT NULL AND EXISTS (
             SELECT 1 FROM stripe_subscriptions AS s INDEXED BY stripe_subscriptions_paying
             WHERE s.customer = t.stripe_customer AND s.counted = 1
         )"
    };
    (cohort) => {
        "t.trial_started_at >= ?1 - 10368000000 AND t.trial_started_at < ?1 - 2592000000"
    };
    (deleted) => {
        "t.shelf = 'deleted'"
    };
}

// Where an order's rows lie: (view, column) to an index that has them, in that order where the view is large.
macro_rules! walk {
    (all, $column:ident) => { walk!(@alive $column) };
    (blocked, $column:ident) => { "tenants AS t INDEXED BY tenants_refused" };
    (ending, $column:ident) => { "tenants AS t INDEXED BY tenants_running" };
    (lapsed, $column:ident) => { "tenants AS t INDEXED BY tenants_lapsing" };
    (extended, $column:ident) => { "tenants AS t INDEXED BY tenants_extended" };
    (locked, $column:ident) => { "tenants AS t INDEXED BY tenants_lockable" };
    (quota, $column:ident) => { "tenants AS t INDEXED BY tenants_quota" };
    (paying, $column:ident) => { walk!(@alive $column) };
    (cohort, $column:ident) => { "tenants AS t INDEXED BY tenants_by_trial_start" };
    ($shelf:ident, $column:ident) => { walk!(@shelf $column) };
    (@alive name_key) => { "tenants AS t INDEXED BY tenants_alive_name" };
    (@alive trial_ends_at) => { "tenants AS t INDEXED BY tenants_alive_trial_end" };
    (@alive used_percent) => { "tenants AS t INDEXED BY tenants_alive_used" };
    (@alive last_active_at) => { "tenants AS t INDEXED BY tenants_alive_active" };
    (@alive created_at) => { "tenants AS t INDEXED BY tenants_alive_created" };
    (@shelf name_key) => { "tenants AS t INDEXED BY tenants_shelf_name" };
    (@shelf trial_ends_at) => { "tenants AS t INDEXED BY tenants_shelf_trial_end" };
    (@shelf used_percent) => { "tenants AS t INDEXED BY tenants_shelf_used" };
    (@shelf last_active_at) => { "tenants AS t INDEXED BY tenants_shelf_active" };
    (@shelf created_at) => { "tenants AS t INDEXED BY tenants_shelf_created" };
}

macro_rules! matched {
    () => {
        "(SELECT rowid AS num FROM tenant_search WHERE tenant_search MATCH ?5) AS hit
         CROSS JOIN tenants AS t ON t.num = hit.num"
    };
}

macro_rules! contains {
    () => {
        " AND (?5 IS NULL OR EXISTS (SELECT 1 FROM tenant_texts AS x WHERE x.num = t.num AND instr(x.lines, ?5) > 0))"
    };
}

macro_rules! page {
    ($from:expr, $view:ident, $text:expr, $place:expr, $order:expr) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM ",
            $from,
            " LEFT JOIN plans AS p ON p.id = t.plan WHERE ",
            rows_of!($view),
            " AND ",
            $place,
            " AND (?4 IS NULL OR t.plan = ?4)",
            $text,
            " ORDER BY ",
            $order,
            " LIMIT ?6"
        )
    };
}

macro_rules! of_column {
    ($view:ident, $column:ident, $mode:expr, $descending:expr, $part:expr) => {
        match ($mode, $descending, $part) {
            (TextMode::Walk, false, Part::Known) => page!(
                walk!($view, $column),
                $view,
                contains!(),
                concat!("(t.", stringify!($column), ", t.num) > (?2, ?3)"),
                concat!("t.", stringify!($column), ", t.num")
            ),
            (TextMode::Walk, true, Part::Known) => page!(
                walk!($view, $column),
                $view,
                contains!(),
                concat!("(t.", stringify!($column), ", t.num) < (?2, ?3)"),
                concat!("t.", stringify!($column), " DESC, t.num DESC")
            ),
            (TextMode::Walk, false, Part::Unknown) => page!(
                walk!($view, $column),
                $view,
                contains!(),
                concat!("?2 IS NULL AND t.", stringify!($column), " IS NULL AND t.num > ?3"),
                "t.num"
            ),
            (TextMode::Walk, true, Part::Unknown) => page!(
                walk!($view, $column),
                $view,
                contains!(),
                concat!("?2 IS NULL AND t.", stringify!($column), " IS NULL AND t.num < ?3"),
                "t.num DESC"
            ),
            (TextMode::Match, false, Part::Known) => page!(
                matched!(),
                $view,
                "",
                concat!("(t.", stringify!($column), ", t.num) > (?2, ?3)"),
                concat!("t.", stringify!($column), ", t.num")
            ),
            (TextMode::Match, true, Part::Known) => page!(
                matched!(),
                $view,
                "",
                concat!("(t.", stringify!($column), ", t.num) < (?2, ?3)"),
                concat!("t.", stringify!($column), " DESC, t.num DESC")
            ),
            (TextMode::Match, false, Part::Unknown) => page!(
                matched!(),
                $view,
                "",
                concat!("?2 IS NULL AND t.", stringify!($column), " IS NULL AND t.num > ?3"),
                "t.num"
            ),
            (TextMode::Match, true, Part::Unknown) => page!(
                matched!(),
                $view,
                "",
                concat!("?2 IS NULL AND t.", stringify!($column), " IS NULL AND t.num < ?3"),
                "t.num DESC"
            ),
        }
    };
}

macro_rules! of_view {
    ($view:ident, $sort:expr, $mode:expr, $descending:expr, $part:expr) => {
        match $sort {
            TenantColumn::Name => of_column!($view, name_key, $mode, $descending, $part),
            TenantColumn::TrialEndsAt => of_column!($view, trial_ends_at, $mode, $descending, $part),
            TenantColumn::Used => of_column!($view, used_percent, $mode, $descending, $part),
            TenantColumn::LastActiveAt => of_column!($view, last_active_at, $mode, $descending, $part),
            TenantColumn::CreatedAt => of_column!($view, created_at, $mode, $descending, $part),
        }
    };
}

macro_rules! by_view {
    ($view:expr, $with:ident $(, $argument:expr)*) => {
        match $view {
            TenantView::All => $with!(all $(, $argument)*),
            TenantView::Blocked => $with!(blocked $(, $argument)*),
            TenantView::Trial => $with!(trial $(, $argument)*),
            TenantView::Active => $with!(active $(, $argument)*),
            TenantView::PastDue => $with!(past_due $(, $argument)*),
            TenantView::Expired => $with!(expired $(, $argument)*),
            TenantView::Suspended => $with!(suspended $(, $argument)*),
            TenantView::TrialEnding => $with!(ending $(, $argument)*),
            TenantView::TrialLapsed => $with!(lapsed $(, $argument)*),
            TenantView::TrialExtended => $with!(extended $(, $argument)*),
            TenantView::LockedOutActive => $with!(locked $(, $argument)*),
            TenantView::QuotaBlocked => $with!(quota $(, $argument)*),
            TenantView::Paying => $with!(paying $(, $argument)*),
            TenantView::TrialCohort => $with!(cohort $(, $argument)*),
            TenantView::Deleted => $with!(deleted $(, $argument)*),
        }
    };
}

/// A page of a view in an order.
pub(super) fn page(view: TenantView, sort: TenantColumn, descending: bool, part: Part, mode: TextMode) -> &'static str {
    by_view!(view, of_view, sort, mode, descending, part)
}

macro_rules! count_all {
    ($view:ident) => {
        concat!("SELECT count(*) FROM tenants AS t WHERE ?1 IS NOT NULL AND ", rows_of!($view))
    };
}
macro_rules! count_plan {
    ($view:ident) => {
        concat!("SELECT count(*) FROM tenants AS t WHERE ", rows_of!($view), " AND t.plan = ?2 AND ?1 IS NOT NULL")
    };
}
macro_rules! count_matched {
    ($view:ident) => {
        concat!(
            "SELECT count(*) FROM (SELECT rowid AS num FROM tenant_search WHERE tenant_search MATCH ?3) AS hit
             CROSS JOIN tenants AS t ON t.num = hit.num WHERE ",
            rows_of!($view),
            " AND (?2 IS NULL OR t.plan = ?2) AND ?1 IS NOT NULL"
        )
    };
}

/// How many rows a view has. `?1` now.
pub(super) fn count(view: TenantView) -> &'static str {
    by_view!(view, count_all)
}

/// How many rows of a plan a view has. `?1` now, `?2` the plan.
pub(super) fn count_of_plan(view: TenantView) -> &'static str {
    by_view!(view, count_plan)
}

/// How many rows of a view match. `?1` now, `?2` the plan or NULL, `?3` the match expression.
pub(super) fn count_of_match(view: TenantView) -> &'static str {
    by_view!(view, count_matched)
}
