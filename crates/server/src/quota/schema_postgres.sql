-- The tables of schema_sqlite.sql.

-- What was used, once and for good. The id is time-ordered where the gate makes it, so that rows are appended.
CREATE TABLE usage_events (
    source TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    tenant_id TEXT COLLATE "C" NOT NULL,
    period_start BIGINT NOT NULL,
    at BIGINT NOT NULL,
    messages BIGINT NOT NULL,
    tokens BIGINT NOT NULL,
    api_requests BIGINT NOT NULL,
    tokens_from TEXT COLLATE "C",
    PRIMARY KEY (source, id)
);

-- The sums of the events, and what else was known to be used when the first event or lease came.
CREATE TABLE usage_totals (
    tenant_id TEXT COLLATE "C" NOT NULL,
    meter TEXT COLLATE "C" NOT NULL,
    period_start BIGINT NOT NULL,
    period_end BIGINT NOT NULL,
    counted BIGINT NOT NULL,
    -- Whether the feed does not tell of it yet.
    unpublished BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, meter, period_start)
);
CREATE INDEX usage_totals_unpublished ON usage_totals (tenant_id) WHERE unpublished = 1;

-- Processes that hold leases.
CREATE TABLE quota_holders (
    holder TEXT COLLATE "C" PRIMARY KEY,
    seen_at BIGINT NOT NULL
);

-- Units of a limit that are a holder's to use. Read and written under the lock of their row of usage_totals.
CREATE TABLE quota_leases (
    tenant_id TEXT COLLATE "C" NOT NULL,
    meter TEXT COLLATE "C" NOT NULL,
    period_start BIGINT NOT NULL,
    holder TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    covered BIGINT NOT NULL CHECK (covered >= 0),
    spare BIGINT NOT NULL,
    wanted BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, meter, period_start, holder)
);
CREATE INDEX quota_leases_by_holder ON quota_leases (holder);
CREATE INDEX quota_leases_wanted ON quota_leases (holder) WHERE wanted = 1;
