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

CREATE TABLE plans (
    id TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    body TEXT NOT NULL,
    seq INTEGER NOT NULL UNIQUE
) WITHOUT ROWID;

CREATE TABLE tenants (
    id TEXT PRIMARY KEY,
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
CREATE INDEX tenants_by_trial_end ON tenants (coalesce(trial_ends_at, 9000000000000000), id);
CREATE INDEX tenants_by_trial_end_desc ON tenants (coalesce(trial_ends_at, -9000000000000000), id);
CREATE INDEX tenants_by_transition ON tenants (next_transition_at) WHERE next_transition_at IS NOT NULL;

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
    seq INTEGER NOT NULL UNIQUE
);
CREATE INDEX entries_by_tenant ON entries (tenant_id, at, id);
CREATE INDEX adjustments_by_time ON entries (at, id) WHERE kind = 'adjustment';

CREATE TABLE idempotency_keys (
    token_id TEXT NOT NULL,
    key TEXT NOT NULL,
    -- NULL where the key was settled as unused, and is void.
    request_hash BLOB,
    adjustment_id TEXT REFERENCES entries (id),
    answer TEXT,
    version INTEGER,
    at INTEGER NOT NULL,
    PRIMARY KEY (token_id, key)
) WITHOUT ROWID;

CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER
);
