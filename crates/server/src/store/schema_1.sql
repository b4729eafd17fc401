CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- The one counter that orders the changes feed. It grows inside the write transaction, so a change
-- is never seen after one with a higher number.
CREATE TABLE sequence (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    last INTEGER NOT NULL
);
INSERT INTO sequence (only, last) VALUES (1, 0);

-- One row per start of a process, in order: where the sequence stood then. A database put back from a
-- backup goes on under a new run, which tells its numbers from those given out before.
CREATE TABLE runs (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    first_seq INTEGER NOT NULL
);
CREATE INDEX runs_by_first_seq ON runs (first_seq, number);

CREATE TABLE plans (
    id TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    body TEXT NOT NULL,
    seq INTEGER NOT NULL UNIQUE
) WITHOUT ROWID;

CREATE TABLE tenants (
    -- Names the row in the index of texts.
    num INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    seq INTEGER NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    email TEXT NOT NULL,
    domain TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER,
    stripe_customer TEXT,
    facts TEXT NOT NULL,
    -- Taken from facts, for filters and orders.
    plan TEXT NOT NULL REFERENCES plans (id),
    comp_plan TEXT REFERENCES plans (id),
    trial_ends_at INTEGER,
    -- Tenants without a trial come last in either order.
    trial_end_asc INTEGER NOT NULL AS (coalesce(trial_ends_at, 9000000000000000)),
    trial_end_desc INTEGER NOT NULL AS (coalesce(trial_ends_at, -9000000000000000)),
    -- Derived at derived_at; holds until next_transition_at.
    status TEXT NOT NULL,
    derived_at INTEGER NOT NULL,
    next_transition_at INTEGER,
    members TEXT NOT NULL,
    gauges TEXT NOT NULL,
    -- NULL where the counters are unknown.
    counters TEXT,
    period_anchor INTEGER,
    period_start INTEGER,
    period_end INTEGER,
    measured_at INTEGER,
    last_active_at INTEGER,
    last_refusal TEXT,
    -- Lower case: name, addresses, domain, ids.
    search TEXT NOT NULL,
    intake_hash BLOB
);
CREATE INDEX tenants_by_name ON tenants (name_key, id);
CREATE INDEX tenants_by_created_at ON tenants (created_at, id);
CREATE INDEX tenants_by_trial_end_asc ON tenants (trial_end_asc, id);
CREATE INDEX tenants_by_trial_end_desc ON tenants (trial_end_desc, id);
CREATE INDEX tenants_by_transition ON tenants (next_transition_at) WHERE next_transition_at IS NOT NULL;
-- For rows derived at an instant that is still to come: the clock was put back.
CREATE INDEX tenants_by_derived_at ON tenants (derived_at);

-- Finds any three characters or more of `search`. Both sides are in lower case already.
CREATE VIRTUAL TABLE tenants_search USING fts5 (
    search, content = 'tenants', content_rowid = 'num', tokenize = 'trigram case_sensitive 1', columnsize = 0
);
CREATE TRIGGER tenants_search_insert AFTER INSERT ON tenants BEGIN
    INSERT INTO tenants_search (rowid, search) VALUES (new.num, new.search);
END;
CREATE TRIGGER tenants_search_update AFTER UPDATE OF search ON tenants WHEN new.search <> old.search BEGIN
    INSERT INTO tenants_search (tenants_search, rowid, search) VALUES ('delete', old.num, old.search);
    INSERT INTO tenants_search (rowid, search) VALUES (new.num, new.search);
END;

CREATE TABLE usage_days (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    day INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    api_requests INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, day)
) WITHOUT ROWID;

CREATE TABLE entries (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    -- The part of the facts that an adjustment touched.
    aspect TEXT,
    body TEXT NOT NULL,
    seq INTEGER NOT NULL UNIQUE,
    -- The sequence when it was first written: unlike `seq` it stays, and unlike `at` no clock orders it.
    place INTEGER NOT NULL
);
CREATE INDEX entries_by_tenant ON entries (tenant_id, at, id);
CREATE INDEX adjustments_by_time ON entries (at, id) WHERE kind = 'adjustment';

-- A key is the server's, whoever sends it: a token may be replaced while a change is in doubt.
CREATE TABLE idempotency_keys (
    key TEXT PRIMARY KEY,
    -- NULL where the key was settled as unused, and is void.
    request_hash BLOB,
    adjustment_id TEXT REFERENCES entries (id),
    answer TEXT,
    version INTEGER,
    at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (at);

CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER
);
