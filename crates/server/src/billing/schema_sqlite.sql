-- What Stripe told, and what still has to be done about it. An event is kept once, by its id.
CREATE TABLE stripe_inbox (
    id TEXT PRIMARY KEY,
    type TEXT NOT NULL,
    -- The id of the object that the event is about.
    object TEXT NOT NULL,
    -- Whose: the customer's id, or the object's where the customer has to be looked up.
    subject TEXT NOT NULL,
    -- The tenant that it waits for, where Stripe names one that is not known here yet.
    tenant_id TEXT,
    created INTEGER NOT NULL,
    api_version TEXT,
    livemode INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    source TEXT NOT NULL,
    -- How often it came again.
    repeats INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    error TEXT,
    done_at INTEGER
) WITHOUT ROWID;
CREATE INDEX stripe_inbox_due ON stripe_inbox (next_attempt_at, subject) WHERE state IN ('pending', 'parked');
CREATE INDEX stripe_inbox_waiting ON stripe_inbox (subject) WHERE state IN ('pending', 'parked');
CREATE INDEX stripe_inbox_by_receipt ON stripe_inbox (received_at, id);
CREATE INDEX stripe_inbox_by_state ON stripe_inbox (state, received_at, id);

-- Whose turn it is to read a customer of Stripe: one reader at a time, and of two readings only the one that
-- was begun last is kept.
CREATE TABLE stripe_subjects (
    id TEXT PRIMARY KEY,
    tenant_id TEXT REFERENCES tenants (id),
    -- Grows with each reading that is begun.
    fence INTEGER NOT NULL,
    leased_until INTEGER NOT NULL,
    -- When the reading was begun that is kept; NULL = none is.
    read_at INTEGER,
    deleted INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX stripe_customers_by_tenant ON stripe_subjects (tenant_id);

-- Every subscription as it was last read.
CREATE TABLE stripe_subscriptions (
    id TEXT PRIMARY KEY,
    customer TEXT NOT NULL,
    tenant_id TEXT REFERENCES tenants (id),
    fetched_at INTEGER NOT NULL,
    body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX stripe_subscriptions_by_customer ON stripe_subscriptions (customer);
CREATE INDEX stripe_subscriptions_by_tenant ON stripe_subscriptions (tenant_id);

-- What was last taken over of the subscription that counts for a tenant: the ground on which later differences
-- are told.
CREATE TABLE billed_subscriptions (
    tenant_id TEXT PRIMARY KEY REFERENCES tenants (id),
    body TEXT NOT NULL
) WITHOUT ROWID;

-- Differences between Stripe and here, while they last and after.
CREATE TABLE stripe_drifts (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    tenant_id TEXT REFERENCES tenants (id),
    first_seen_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    gone_at INTEGER,
    at_stake INTEGER,
    currency TEXT,
    body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX stripe_drifts_open ON stripe_drifts (kind, first_seen_at, id) WHERE gone_at IS NULL;
CREATE INDEX stripe_drifts_by_time ON stripe_drifts (first_seen_at, id) WHERE gone_at IS NULL;
CREATE INDEX stripe_drifts_by_tenant ON stripe_drifts (tenant_id) WHERE gone_at IS NULL;

-- Checkouts that were opened, one attempt of a tenant after the other.
CREATE TABLE checkout_sessions (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    attempt INTEGER NOT NULL,
    -- NULL until Stripe has answered.
    session TEXT UNIQUE,
    url TEXT,
    plan TEXT NOT NULL,
    price TEXT NOT NULL,
    state TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    expires_at INTEGER,
    completed_at INTEGER,
    unblocked_at INTEGER,
    PRIMARY KEY (tenant_id, attempt)
) WITHOUT ROWID;
CREATE INDEX checkout_sessions_unfinished ON checkout_sessions (opened_at, tenant_id, attempt)
    WHERE unblocked_at IS NULL;

-- What is done every now and then, by one server at a time.
CREATE TABLE billing_duties (
    name TEXT PRIMARY KEY,
    due_at INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    leased_until INTEGER NOT NULL,
    -- Where it goes on.
    cursor TEXT,
    done_at INTEGER,
    error TEXT,
    -- What it found.
    body TEXT
) WITHOUT ROWID;

-- Counts of an hour each.
CREATE TABLE billing_counts (
    name TEXT PRIMARY KEY,
    hour INTEGER NOT NULL,
    count INTEGER NOT NULL
) WITHOUT ROWID;

-- Repairs that are no tenant's: who made them, and under which key.
CREATE TABLE billing_repairs (
    key TEXT PRIMARY KEY,
    request_hash BLOB NOT NULL,
    drift TEXT NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    at INTEGER NOT NULL,
    answer TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX tenants_by_stripe_customer ON tenants (stripe_customer) WHERE stripe_customer IS NOT NULL;
