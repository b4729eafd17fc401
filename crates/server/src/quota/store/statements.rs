//! The statements of the lease store. What is bound as `$1` is a JSON array of rows; that alone is read
//! differently by the two databases.

use crate::store::Dialect;

/// Two spellings of one statement.
#[derive(Clone, Copy)]
pub(super) struct Statement {
    sqlite: &'static str,
    postgres: &'static str,
}

impl Statement {
    pub(super) fn of(self, dialect: Dialect) -> &'static str {
        dialect.pick(self.sqlite, self.postgres)
    }
}

/// `$before ROWS $after`, where `ROWS` is the table of `$1`'s rows, of one column `value`.
macro_rules! rows {
    ($before:literal, $after:literal) => {
        rows!($before, $after, $after)
    };
    ($before:literal, $sqlite:literal, $postgres:literal) => {
        Statement {
            sqlite: concat!($before, " json_each($1) AS given ", $sqlite),
            postgres: concat!($before, " json_array_elements(CAST($1 AS json)) AS given (value) ", $postgres),
        }
    };
}

/// Answers those that are new.
pub(super) const INSERT_EVENTS: Statement = rows!(
    "INSERT INTO usage_events (source, id, tenant_id, period_start, at, messages, tokens, api_requests, tokens_from)
     SELECT value ->> 0, value ->> 1, value ->> 2, CAST(value ->> 3 AS BIGINT), CAST(value ->> 4 AS BIGINT),
            CAST(value ->> 5 AS BIGINT), CAST(value ->> 6 AS BIGINT), CAST(value ->> 7 AS BIGINT), value ->> 8 FROM",
    "WHERE true ON CONFLICT (source, id) DO NOTHING RETURNING source, id"
);

/// Locks the allotments, in one order for everybody.
pub(super) const LOCK_TOTALS: Statement = rows!(
    "SELECT tenant_id, meter, period_start, counted FROM",
    "CROSS JOIN usage_totals
     WHERE tenant_id = value ->> 0 AND meter = value ->> 1 AND period_start = CAST(value ->> 2 AS BIGINT)",
    "CROSS JOIN usage_totals
     WHERE tenant_id = value ->> 0 AND meter = value ->> 1 AND period_start = CAST(value ->> 2 AS BIGINT)
     ORDER BY tenant_id, meter, period_start FOR UPDATE OF usage_totals"
);

/// A new allotment begins with what the tenant's days hold already, as an import brought it.
pub(super) const INSERT_TOTALS: Statement = rows!(
    "INSERT INTO usage_totals (tenant_id, meter, period_start, period_end, counted, unpublished)
     SELECT value ->> 0, value ->> 1, CAST(value ->> 2 AS BIGINT), CAST(value ->> 3 AS BIGINT),
            CAST(coalesce((SELECT sum(CASE value ->> 1 WHEN 'messages' THEN messages WHEN 'tokens' THEN tokens
                                      ELSE api_requests END)
                           FROM usage_days WHERE usage_days.tenant_id = value ->> 0
                             AND day >= CAST(value ->> 2 AS BIGINT) AND day < CAST(value ->> 3 AS BIGINT)), 0)
                 AS BIGINT), 0 FROM",
    "WHERE true ON CONFLICT (tenant_id, meter, period_start) DO NOTHING"
);

pub(super) const ADD_TOTALS: Statement = rows!(
    "INSERT INTO usage_totals (tenant_id, meter, period_start, period_end, counted, unpublished)
     SELECT value ->> 0, value ->> 1, CAST(value ->> 2 AS BIGINT), CAST(value ->> 3 AS BIGINT),
            CAST(value ->> 4 AS BIGINT), 1 FROM",
    "WHERE true ON CONFLICT (tenant_id, meter, period_start)
     DO UPDATE SET counted = usage_totals.counted + excluded.counted, unpublished = 1"
);

/// Only of tenants that are known: one may be deleted while its last answers end.
pub(super) const ADD_DAYS: Statement = rows!(
    "INSERT INTO usage_days (tenant_id, day, messages, tokens, api_requests)
     SELECT value ->> 0, CAST(value ->> 1 AS BIGINT), CAST(value ->> 2 AS BIGINT), CAST(value ->> 3 AS BIGINT),
            CAST(value ->> 4 AS BIGINT) FROM",
    "WHERE EXISTS (SELECT 1 FROM tenants WHERE tenants.id = value ->> 0)
     ON CONFLICT (tenant_id, day) DO UPDATE SET messages = usage_days.messages + excluded.messages,
            tokens = usage_days.tokens + excluded.tokens,
            api_requests = usage_days.api_requests + excluded.api_requests"
);

pub(super) const LEASES: Statement = rows!(
    "SELECT quota_leases.tenant_id, quota_leases.meter, quota_leases.period_start, quota_leases.holder, revision,
            covered, spare, wanted, coalesce(seen_at, 0) AS seen_at FROM",
    "CROSS JOIN quota_leases LEFT JOIN quota_holders ON quota_holders.holder = quota_leases.holder
     WHERE tenant_id = value ->> 0 AND meter = value ->> 1 AND period_start = CAST(value ->> 2 AS BIGINT)"
);

pub(super) const PUT_LEASES: Statement = rows!(
    "INSERT INTO quota_leases (tenant_id, meter, period_start, holder, revision, covered, spare, wanted)
     SELECT value ->> 0, value ->> 1, CAST(value ->> 2 AS BIGINT), $2, CAST(value ->> 3 AS BIGINT),
            CAST(value ->> 4 AS BIGINT), CAST(value ->> 5 AS BIGINT), 0 FROM",
    "WHERE true ON CONFLICT (tenant_id, meter, period_start, holder)
     DO UPDATE SET revision = excluded.revision, covered = excluded.covered, spare = excluded.spare, wanted = 0"
);

pub(super) const SET_WANTED: Statement = rows!(
    "UPDATE quota_leases SET wanted = 1 FROM",
    "WHERE tenant_id = value ->> 0 AND meter = value ->> 1 AND period_start = CAST(value ->> 2 AS BIGINT)
       AND holder <> $2 AND spare > 0"
);

/// Not at every commit.
pub(super) const SEE_HOLDER: &str = "INSERT INTO quota_holders (holder, seen_at) VALUES ($1, $2)
     ON CONFLICT (holder) DO UPDATE SET seen_at = excluded.seen_at
     WHERE quota_holders.seen_at < excluded.seen_at - 1000 OR quota_holders.seen_at > excluded.seen_at";

pub(super) const WANTED: &str = "SELECT tenant_id, meter, period_start, period_end
     FROM quota_leases JOIN usage_totals USING (tenant_id, meter, period_start)
     WHERE holder = $1 AND wanted = 1";

pub(super) const GONE: &str = "SELECT holder FROM quota_holders WHERE seen_at < $1 ORDER BY seen_at LIMIT 1";

pub(super) const LEASES_OF: &str = "SELECT tenant_id, meter, period_start, period_end
     FROM quota_leases JOIN usage_totals USING (tenant_id, meter, period_start) WHERE holder = $1";

pub(super) const DELETE_LEASES: &str = "DELETE FROM quota_leases WHERE holder = $1
     AND NOT EXISTS (SELECT 1 FROM quota_holders WHERE holder = $1 AND seen_at >= $2)
     RETURNING tenant_id, meter, period_start, covered";

pub(super) const DELETE_HOLDER: &str = "DELETE FROM quota_holders WHERE holder = $1 AND seen_at < $2
     AND NOT EXISTS (SELECT 1 FROM quota_leases WHERE holder = $1)";

/// The database's own clock.
pub(super) const NOW: &str = "SELECT CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS BIGINT)";

pub(super) const UNPUBLISHED: &str = "SELECT DISTINCT tenant_id FROM usage_totals WHERE unpublished = 1 LIMIT $1";

pub(super) const PUBLISHED: &str = "UPDATE usage_totals SET unpublished = 0 WHERE tenant_id = $1 AND unpublished = 1";
