-- What Stripe told, and what still has to be done about it. An event is kept once, by its id.
CREATE TABLE stripe_inbox (
    id TEXT COLLATE "C" PRIMARY KEY,
    type TEXT COLLATE "C" NOT NULL,
    -- The id of the object that the event is about.
    object TEXT COLLATE "C" NOT NULL,
    -- Whose: the customer's id, or the object's where the customer has to be looked up.
    subject TEXT COLLATE "C" NOT NULL,
    -- The tenant that it waits for, where Stripe names one that is not known here yet.
    tenant_id TEXT COLLATE "C",
    created BIGINT NOT NULL,
    api_version TEXT COLLATE "C",
    livemode BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    -- How often it came again.
    repeats BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    attempts BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    error TEXT COLLATE "C",
    done_at BIGINT
);
CREATE INDEX stripe_inbox_due ON stripe_inbox (next_attempt_at, subject) WHERE state IN ('pending', 'parked');
CREATE INDEX stripe_inbox_waiting ON stripe_inbox (subject) WHERE state IN ('pending', 'parked');
CREATE INDEX stripe_inbox_by_receipt ON stripe_inbox (received_at, id);
CREATE INDEX stripe_inbox_by_state ON stripe_inbox (state, received_at, id);

-- Whose turn it is to read a customer of Stripe: one reader at a time, and of two readings only the one that
-- was begun last is kept.
CREATE TABLE stripe_subjects (
    id TEXT COLLATE "C" PRIMARY KEY,
    tenant_id TEXT COLLATE "C" REFERENCES tenants (id),
    -- Grows with each reading that is begun.
    fence BIGINT NOT NULL,
    leased_until BIGINT NOT NULL,
    -- When the reading was begun that is kept; NULL = none is.
    read_at BIGINT,
    deleted BIGINT NOT NULL
);
CREATE INDEX stripe_customers_by_tenant ON stripe_subjects (tenant_id);

-- Every subscription as it was last read.
CREATE TABLE stripe_subscriptions (
    id TEXT COLLATE "C" PRIMARY KEY,
    customer TEXT COLLATE "C" NOT NULL,
    tenant_id TEXT COLLATE "C" REFERENCES tenants (id),
    fetched_at BIGINT NOT NULL,
    body TEXT COLLATE "C" NOT NULL
);
CREATE INDEX stripe_subscriptions_by_customer ON stripe_subscriptions (customer);
CREATE INDEX stripe_subscriptions_by_tenant ON stripe_subscriptions (tenant_id);

-- What was last taken over of the subscription that counts for a tenant: the ground on which later differences
-- are told.
CREATE TABLE billed_subscriptions (
    tenant_id TEXT COLLATE "C" PRIMARY KEY REFERENCES tenants (id),
    body TEXT COLLATE "C" NOT NULL
);

-- Differences between Stripe and here, while they last and after.
CREATE TABLE stripe_drifts (
    id TEXT COLLATE "C" PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    tenant_id TEXT COLLATE "C" REFERENCES tenants (id),
    first_seen_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    gone_at BIGINT,
    at_stake BIGINT,
    currency TEXT COLLATE "C",
    body TEXT COLLATE "C" NOT NULL
);
CREATE INDEX stripe_drifts_open ON stripe_drifts (kind, first_seen_at, id) WHERE gone_at IS NULL;
CREATE INDEX stripe_drifts_by_time ON stripe_drifts (first_seen_at, id) WHERE gone_at IS NULL;
CREATE INDEX stripe_drifts_by_tenant ON stripe_drifts (tenant_id) WHERE gone_at IS NULL;

-- Checkouts that were opened, one attempt of a tenant after the other.
CREATE TABLE checkout_sessions (
    tenant_id TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    attempt BIGINT NOT NULL,
    -- NULL until Stripe has answered.
    session TEXT COLLATE "C" UNIQUE,
    url TEXT COLLATE "C",
    plan TEXT COLLATE "C" NOT NULL,
    price TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    opened_at BIGINT NOT NULL,
    expires_at BIGINT,
    completed_at BIGINT,
    unblocked_at BIGINT,
    PRIMARY KEY (tenant_id, attempt)
);
CREATE INDEX checkout_sessions_unfinished ON checkout_sessions (opened_at, tenant_id, attempt)
    WHERE unblocked_at IS NULL;

-- What is done every now and then, by one server at a time.
CREATE TABLE billing_duties (
    name TEXT COLLATE "C" PRIMARY KEY,
    due_at BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    leased_until BIGINT NOT NULL,
    -- Where it goes on.
    cursor TEXT COLLATE "C",
    done_at BIGINT,
    error TEXT COLLATE "C",
    -- What it found.
    body TEXT COLLATE "C"
);

-- Counts of an hour each.
CREATE TABLE billing_counts (
    name TEXT COLLATE "C" PRIMARY KEY,
    hour BIGINT NOT NULL,
    count BIGINT NOT NULL
);

-- Repairs that are no tenant's: who made them, and under which key.
CREATE TABLE billing_repairs (
    key TEXT COLLATE "C" PRIMARY KEY,
    request_hash BYTEA NOT NULL,
    drift TEXT COLLATE "C" NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    answer TEXT COLLATE "C" NOT NULL
);

CREATE INDEX tenants_by_stripe_customer ON tenants (stripe_customer) WHERE stripe_customer IS NOT NULL;
