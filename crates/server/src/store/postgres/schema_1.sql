-- The tables of ../schema_1.sql and ../schema_2.sql. Texts compare byte by byte, as in SQLite and in Rust.

CREATE TABLE meta (
    key TEXT COLLATE "C" PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);

-- The one counter that orders the changes feed. Whoever changes something holds this row from the
-- transaction's first statement to its commit, so a change is never seen after one with a higher number.
CREATE TABLE sequence (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    last BIGINT NOT NULL
) WITH (fillfactor = 10);
INSERT INTO sequence (one, last) VALUES (1, 0);

-- Stretches of the feed's numbers, in order: where the sequence stood when each began (runs.rs).
CREATE TABLE runs (
    number BIGINT PRIMARY KEY,
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    first_seq BIGINT NOT NULL
);
CREATE INDEX runs_by_first_seq ON runs (first_seq, number);

CREATE TABLE plans (
    id TEXT COLLATE "C" PRIMARY KEY,
    position BIGINT NOT NULL,
    body TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL UNIQUE
);

CREATE TABLE tenants (
    id TEXT COLLATE "C" PRIMARY KEY,
    seq BIGINT NOT NULL UNIQUE,
    version BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    name_key TEXT COLLATE "C" NOT NULL,
    email TEXT COLLATE "C" NOT NULL,
    domain TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    deleted_at BIGINT,
    stripe_customer TEXT COLLATE "C",
    facts TEXT COLLATE "C" NOT NULL,
    -- Taken from facts, for filters and orders.
    plan TEXT COLLATE "C" NOT NULL REFERENCES plans (id),
    comp_plan TEXT COLLATE "C" REFERENCES plans (id),
    trial_ends_at BIGINT,
    -- Tenants without a trial come last in either order.
    trial_end_asc BIGINT NOT NULL GENERATED ALWAYS AS (coalesce(trial_ends_at, 9000000000000000)) STORED,
    trial_end_desc BIGINT NOT NULL GENERATED ALWAYS AS (coalesce(trial_ends_at, -9000000000000000)) STORED,
    -- Derived at derived_at; holds until next_transition_at.
    status TEXT COLLATE "C" NOT NULL,
    derived_at BIGINT NOT NULL,
    next_transition_at BIGINT,
    members TEXT COLLATE "C" NOT NULL,
    gauges TEXT COLLATE "C" NOT NULL,
    -- NULL where the counters are unknown.
    counters TEXT COLLATE "C",
    period_anchor BIGINT,
    period_start BIGINT,
    period_end BIGINT,
    measured_at BIGINT,
    last_active_at BIGINT,
    last_refusal TEXT COLLATE "C",
    -- Lower case: name, addresses, domain, ids.
    search TEXT COLLATE "C" NOT NULL,
    intake_hash BYTEA
);
-- An index takes no text of more than some 2,700 bytes. Where names share their beginning, the rest decides
-- without it.
CREATE INDEX tenants_by_name ON tenants (left(name_key, 256));
CREATE INDEX tenants_by_created_at ON tenants (created_at, id);
CREATE INDEX tenants_by_trial_end_asc ON tenants (trial_end_asc, id);
CREATE INDEX tenants_by_trial_end_desc ON tenants (trial_end_desc, id);
CREATE INDEX tenants_by_transition ON tenants (next_transition_at) WHERE next_transition_at IS NOT NULL;
-- For rows derived at an instant that is still to come: the clock was put back.
CREATE INDEX tenants_by_derived_at ON tenants (derived_at);

-- Finds any three characters or more of `search`. Where the extension may not be had, the same is found by
-- reading every row.
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX tenants_search ON tenants USING gin (search gin_trgm_ops);
EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported OR undefined_object THEN
    RAISE WARNING 'pg_trgm is not available, so searching reads every tenant: %', SQLERRM;
END
$$;

CREATE TABLE usage_days (
    tenant_id TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    day BIGINT NOT NULL,
    messages BIGINT NOT NULL,
    tokens BIGINT NOT NULL,
    api_requests BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, day)
);

CREATE TABLE entries (
    id TEXT COLLATE "C" PRIMARY KEY,
    tenant_id TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    at BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    -- The part of the facts that an adjustment touched.
    aspect TEXT COLLATE "C",
    body TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL UNIQUE,
    -- The sequence when it was first written: unlike `seq` it stays, and unlike `at` no clock orders it.
    place BIGINT NOT NULL
);
CREATE INDEX entries_by_tenant ON entries (tenant_id, at, id);
CREATE INDEX adjustments_by_time ON entries (at, id) WHERE kind = 'adjustment';

-- A key is the server's, whoever sends it: a token may be replaced while a change is in doubt.
CREATE TABLE idempotency_keys (
    key TEXT COLLATE "C" PRIMARY KEY,
    -- NULL where the key was settled as unused, and is void.
    request_hash BYTEA,
    adjustment_id TEXT COLLATE "C" REFERENCES entries (id),
    answer TEXT COLLATE "C",
    version BIGINT,
    at BIGINT NOT NULL
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (at);

CREATE TABLE tokens (
    id TEXT COLLATE "C" PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    hash BYTEA NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    -- A token that was taken back stays, so that taking it back again is not an error and the list tells of it.
    revoked_at BIGINT
);
