-- What was used, once and for good. The id is time-ordered where the gate makes it, so that rows are appended.
CREATE TABLE usage_events (
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    period_start INTEGER NOT NULL,
    at INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    api_requests INTEGER NOT NULL,
    tokens_from TEXT,
    PRIMARY KEY (source, id)
) WITHOUT ROWID;

-- The sums of the events, and what else was known to be used when the first event or lease came.
CREATE TABLE usage_totals (
    tenant_id TEXT NOT NULL,
    meter TEXT NOT NULL,
    period_start INTEGER NOT NULL,
    period_end INTEGER NOT NULL,
    counted INTEGER NOT NULL,
    -- Whether the feed does not tell of it yet.
    unpublished INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, meter, period_start)
) WITHOUT ROWID;
CREATE INDEX usage_totals_unpublished ON usage_totals (tenant_id) WHERE unpublished = 1;

-- Processes that hold leases.
CREATE TABLE quota_holders (
    holder TEXT PRIMARY KEY,
    seen_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Units of a limit that are a holder's to use. Read and written under the lock of their row of usage_totals.
CREATE TABLE quota_leases (
    tenant_id TEXT NOT NULL,
    meter TEXT NOT NULL,
    period_start INTEGER NOT NULL,
    holder TEXT NOT NULL,
    revision INTEGER NOT NULL,
    covered INTEGER NOT NULL CHECK (covered >= 0),
    spare INTEGER NOT NULL,
    wanted INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, meter, period_start, holder)
) WITHOUT ROWID;
CREATE INDEX quota_leases_by_holder ON quota_leases (holder);
CREATE INDEX quota_leases_wanted ON quota_leases (holder) WHERE wanted = 1;
