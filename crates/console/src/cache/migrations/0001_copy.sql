-- The local copy of what the server and Stripe say. `num` names a row within this file only.

CREATE TABLE plans (
    id   TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE tenants (
    num              INTEGER PRIMARY KEY,
    id               TEXT NOT NULL UNIQUE,
    name             TEXT NOT NULL,
    name_key         TEXT NOT NULL,
    email            TEXT NOT NULL,
    email_key        TEXT NOT NULL,
    domain           TEXT NOT NULL,
    created_at       INTEGER NOT NULL,
    deleted_at       INTEGER,
    stripe_customer  TEXT,
    plan             TEXT NOT NULL,
    plan_in_force    TEXT NOT NULL,
    status           TEXT NOT NULL,
    -- `deleted`, else the status: where a list by status finds it.
    shelf            TEXT NOT NULL,
    level            TEXT NOT NULL,
    tags             TEXT NOT NULL,
    trial_started_at INTEGER,
    trial_ends_at    INTEGER,
    -- First instant at which a tenant with status trial no longer has it by the clock alone.
    runs_until       INTEGER,
    -- The end of a trial that nothing followed: to come while it runs, past once it lapsed.
    lapse_at         INTEGER,
    -- Since when, or from when on, it is locked out by an ended trial, an ended subscription or an overdue payment.
    lockout_at       INTEGER,
    extensions       INTEGER NOT NULL,
    extended_ms      INTEGER NOT NULL,
    used_percent     INTEGER,
    used_meter       TEXT,
    -- Exhausted meters, where nothing but quotas denies.
    quota_meters     TEXT,
    last_active_at   INTEGER,
    last_refused_at  INTEGER,
    holds_until      INTEGER,
    overdue_since    INTEGER,
    version          INTEGER NOT NULL,
    seq              INTEGER NOT NULL,
    -- The instant for which this machine derived the row anew; NULL = as the server said.
    derived_at       INTEGER,
    as_of            INTEGER NOT NULL
) STRICT;

CREATE INDEX tenants_by_customer ON tenants (stripe_customer, deleted_at) WHERE stripe_customer IS NOT NULL;
CREATE INDEX tenants_by_email ON tenants (email_key);
CREATE INDEX tenants_by_domain ON tenants (domain);
CREATE INDEX tenants_by_name ON tenants (name_key);
CREATE INDEX tenants_by_trial_start ON tenants (trial_started_at, trial_ends_at, deleted_at, stripe_customer)
    WHERE trial_started_at IS NOT NULL;

CREATE INDEX tenants_alive_name ON tenants (name_key) WHERE deleted_at IS NULL;
CREATE INDEX tenants_alive_trial_end ON tenants (trial_ends_at) WHERE deleted_at IS NULL;
CREATE INDEX tenants_alive_used ON tenants (used_percent) WHERE deleted_at IS NULL;
CREATE INDEX tenants_alive_active ON tenants (last_active_at) WHERE deleted_at IS NULL;
CREATE INDEX tenants_alive_created ON tenants (created_at) WHERE deleted_at IS NULL;

CREATE INDEX tenants_shelf_name ON tenants (shelf, name_key);
CREATE INDEX tenants_shelf_trial_end ON tenants (shelf, trial_ends_at);
CREATE INDEX tenants_shelf_used ON tenants (shelf, used_percent);
CREATE INDEX tenants_shelf_active ON tenants (shelf, last_active_at);
CREATE INDEX tenants_shelf_created ON tenants (shelf, created_at);

CREATE INDEX tenants_running ON tenants (runs_until) WHERE shelf = 'trial';
CREATE INDEX tenants_refused ON tenants (last_refused_at) WHERE deleted_at IS NULL AND last_refused_at IS NOT NULL;
CREATE INDEX tenants_lapsing ON tenants (lapse_at) WHERE deleted_at IS NULL AND lapse_at IS NOT NULL;
CREATE INDEX tenants_extended ON tenants (lapse_at) WHERE deleted_at IS NULL AND extensions > 0;
CREATE INDEX tenants_lockable ON tenants (last_active_at, lockout_at) WHERE deleted_at IS NULL AND lockout_at IS NOT NULL;
CREATE INDEX tenants_derived ON tenants (derived_at) WHERE derived_at IS NOT NULL;
CREATE INDEX tenants_holding ON tenants (holds_until) WHERE holds_until IS NOT NULL;
CREATE INDEX tenants_quota ON tenants (quota_meters) WHERE deleted_at IS NULL AND quota_meters IS NOT NULL;

-- The tenant in full, as the server sent it; apart, so that lists read narrow rows.
CREATE TABLE tenant_bodies (
    num  INTEGER PRIMARY KEY REFERENCES tenants (num) ON DELETE CASCADE,
    body TEXT NOT NULL
) STRICT;

-- What a tenant is found by, folded, one line each: name, address, domain, id, customer, members' addresses.
CREATE TABLE tenant_texts (
    num   INTEGER PRIMARY KEY REFERENCES tenants (num) ON DELETE CASCADE,
    lines TEXT NOT NULL
) STRICT;

CREATE VIRTUAL TABLE tenant_search USING fts5 (
    lines, content = 'tenant_texts', content_rowid = 'num', tokenize = 'trigram', columnsize = 0
);
CREATE TRIGGER tenant_texts_insert AFTER INSERT ON tenant_texts BEGIN
    INSERT INTO tenant_search (rowid, lines) VALUES (new.num, new.lines);
END;
CREATE TRIGGER tenant_texts_delete AFTER DELETE ON tenant_texts BEGIN
    INSERT INTO tenant_search (tenant_search, rowid, lines) VALUES ('delete', old.num, old.lines);
END;
CREATE TRIGGER tenant_texts_update AFTER UPDATE ON tenant_texts WHEN new.lines <> old.lines BEGIN
    INSERT INTO tenant_search (tenant_search, rowid, lines) VALUES ('delete', old.num, old.lines);
    INSERT INTO tenant_search (rowid, lines) VALUES (new.num, new.lines);
END;

CREATE TABLE entries (
    num       INTEGER PRIMARY KEY,
    id        TEXT NOT NULL UNIQUE,
    tenant_id TEXT NOT NULL,
    at        INTEGER NOT NULL,
    -- The actor of an adjustment; NULL for what happened by itself.
    actor     TEXT,
    -- The part of the facts that an adjustment touched; NULL for a note and for what happened by itself.
    aspect    TEXT,
    undoes    TEXT,
    undone_by TEXT,
    -- Folded: the tenant's name and id, the actor, the reason, the ticket.
    lines     TEXT NOT NULL
) STRICT;
CREATE INDEX entries_by_tenant ON entries (tenant_id, at, id);
CREATE INDEX entries_by_time ON entries (at, id);
CREATE INDEX entries_by_staff ON entries (at, id) WHERE actor IS NOT NULL;
CREATE INDEX entries_by_system ON entries (at, id) WHERE actor IS NULL;
CREATE INDEX entries_by_actor ON entries (actor, at, id) WHERE actor IS NOT NULL;
CREATE INDEX entries_standing ON entries (tenant_id, aspect, at, id)
    WHERE aspect IS NOT NULL AND undoes IS NULL AND undone_by IS NULL;

CREATE TABLE entry_bodies (
    num  INTEGER PRIMARY KEY REFERENCES entries (num) ON DELETE CASCADE,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE stripe_customers (
    id             TEXT PRIMARY KEY,
    created        INTEGER NOT NULL,
    email          TEXT,
    -- 1 where the customer itself names a way to pay.
    payment_method INTEGER NOT NULL,
    livemode       INTEGER NOT NULL,
    deleted        INTEGER NOT NULL,
    raw            TEXT NOT NULL
) STRICT;

CREATE TABLE stripe_products (
    id      TEXT PRIMARY KEY,
    created INTEGER NOT NULL,
    name    TEXT,
    active  INTEGER,
    raw     TEXT NOT NULL
) STRICT;

CREATE TABLE stripe_prices (
    id          TEXT PRIMARY KEY,
    created     INTEGER NOT NULL,
    product     TEXT,
    currency    TEXT,
    unit_amount INTEGER,
    active      INTEGER,
    raw         TEXT NOT NULL
) STRICT;

CREATE TABLE stripe_subscriptions (
    id                   TEXT PRIMARY KEY,
    created              INTEGER NOT NULL,
    customer             TEXT,
    status               TEXT NOT NULL,
    currency             TEXT NOT NULL,
    started_at           INTEGER,
    ended_at             INTEGER,
    current_period_end   INTEGER,
    cancel_at_period_end INTEGER NOT NULL,
    payment_method       INTEGER NOT NULL,
    -- Whether it counts towards recurring revenue now.
    counted              INTEGER NOT NULL,
    -- Recurring revenue per month in 1/10,000 of the minor unit; 0 while it does not count.
    mrr                  INTEGER NOT NULL,
    -- The same at its end, for one that ended.
    mrr_lost             INTEGER NOT NULL,
    including_tax        INTEGER NOT NULL,
    -- Why the revenue cannot be told, where it cannot.
    mrr_fault            TEXT,
    raw                  TEXT NOT NULL
) STRICT;
CREATE INDEX stripe_subscriptions_by_customer ON stripe_subscriptions (customer, created);
CREATE INDEX stripe_subscriptions_counted ON stripe_subscriptions (currency, mrr, including_tax) WHERE counted = 1;
CREATE INDEX stripe_subscriptions_paying ON stripe_subscriptions (customer) WHERE counted = 1;
CREATE INDEX stripe_subscriptions_faulty ON stripe_subscriptions (status, id) WHERE mrr_fault IS NOT NULL;
CREATE INDEX stripe_subscriptions_started ON stripe_subscriptions (started_at, currency, mrr) WHERE counted = 1;
CREATE INDEX stripe_subscriptions_ended ON stripe_subscriptions (ended_at, currency, mrr_lost) WHERE ended_at IS NOT NULL;

CREATE TABLE stripe_invoices (
    id               TEXT PRIMARY KEY,
    created          INTEGER NOT NULL,
    customer         TEXT,
    subscription     TEXT,
    number           TEXT,
    number_key       TEXT,
    status           TEXT NOT NULL,
    currency         TEXT NOT NULL,
    total            INTEGER NOT NULL,
    amount_due       INTEGER NOT NULL,
    amount_paid      INTEGER NOT NULL,
    amount_remaining INTEGER NOT NULL,
    attempt_count    INTEGER NOT NULL,
    paid_at          INTEGER,
    raw              TEXT NOT NULL
) STRICT;
CREATE INDEX stripe_invoices_by_customer ON stripe_invoices (customer, created);
CREATE INDEX stripe_invoices_paid ON stripe_invoices (customer) WHERE amount_paid > 0;
CREATE INDEX stripe_invoices_by_number ON stripe_invoices (number_key) WHERE number_key IS NOT NULL;

CREATE TABLE stripe_charges (
    id              TEXT PRIMARY KEY,
    created         INTEGER NOT NULL,
    customer        TEXT,
    status          TEXT,
    currency        TEXT,
    amount          INTEGER,
    amount_refunded INTEGER,
    paid            INTEGER,
    raw             TEXT NOT NULL
) STRICT;
CREATE INDEX stripe_charges_by_customer ON stripe_charges (customer, created);

CREATE TABLE stripe_refunds (
    id       TEXT PRIMARY KEY,
    created  INTEGER NOT NULL,
    charge   TEXT,
    status   TEXT,
    currency TEXT,
    amount   INTEGER,
    raw      TEXT NOT NULL
) STRICT;

CREATE TABLE stripe_disputes (
    id       TEXT PRIMARY KEY,
    created  INTEGER NOT NULL,
    charge   TEXT,
    status   TEXT,
    reason   TEXT,
    currency TEXT,
    amount   INTEGER,
    raw      TEXT NOT NULL
) STRICT;

CREATE TABLE stripe_events (
    id      TEXT PRIMARY KEY,
    created INTEGER NOT NULL,
    type    TEXT,
    object  TEXT,
    raw     TEXT NOT NULL
) STRICT;
CREATE INDEX stripe_events_by_time ON stripe_events (created, id);

-- How far each list of each source is.
CREATE TABLE streams (
    source          TEXT NOT NULL,
    stream          TEXT NOT NULL,
    cursor          TEXT,
    complete_at     INTEGER,
    last_success_at INTEGER,
    last_failure    TEXT,
    missing         TEXT,
    unreadable      TEXT NOT NULL DEFAULT '[]',
    PRIMARY KEY (source, stream)
) STRICT, WITHOUT ROWID;

-- Single facts, such as the id of the server's database.
CREATE TABLE facts (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Changes that were sent and whose answer is not known.
CREATE TABLE unsettled (
    key         TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL,
    tenant_name TEXT NOT NULL,
    change      TEXT NOT NULL,
    sent_at     INTEGER NOT NULL,
    -- The server's database that it was sent to; NULL where that was not known yet.
    instance    TEXT,
    -- The adjustment that it was to undo.
    undoes      TEXT
) STRICT;

PRAGMA user_version = 1;
