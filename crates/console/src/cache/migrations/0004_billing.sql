-- How billing is, as the server last said: what differs, what was not acted on, and who is stuck.

CREATE TABLE billing_drifts (
    id        TEXT PRIMARY KEY,
    kind      TEXT NOT NULL,
    -- The place of its kind among all, the gravest first.
    gravity   INTEGER NOT NULL,
    tenant_id TEXT,
    since     INTEGER NOT NULL,
    body      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX billing_drifts_by_gravity ON billing_drifts (gravity, since, id);
CREATE INDEX billing_drifts_by_tenant ON billing_drifts (tenant_id, gravity, since, id) WHERE tenant_id IS NOT NULL;

-- Only those that are parked or failed.
CREATE TABLE billing_events (
    id    TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    at    INTEGER NOT NULL,
    body  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX billing_events_by_time ON billing_events (at, id);
CREATE INDEX billing_events_by_state ON billing_events (state, at, id);

CREATE TABLE billing_conversions (
    session   TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    -- 1 where it is paid, not unblocked, and no drift says so.
    unnoticed INTEGER NOT NULL,
    since     INTEGER NOT NULL,
    body      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX billing_conversions_by_age ON billing_conversions (since, session);
CREATE INDEX billing_conversions_by_tenant ON billing_conversions (tenant_id);

-- A tenant's billing as the server said when it was last asked for it.
CREATE TABLE billing_tenants (
    tenant_id TEXT PRIMARY KEY,
    body      TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Repairs that were sent and whose answer is not known.
CREATE TABLE unsettled_repairs (
    key     TEXT PRIMARY KEY,
    sent_at INTEGER NOT NULL,
    body    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 4;
