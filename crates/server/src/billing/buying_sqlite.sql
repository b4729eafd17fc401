-- What a Checkout was asked for with, so that asking again asks for the same.
ALTER TABLE checkout_sessions ADD COLUMN request TEXT;

-- What changes by staff still change in Stripe. Written with the change, sent once.
CREATE TABLE stripe_outbox (
    -- The adjustment's.
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    subscription TEXT NOT NULL,
    -- Which part of the subscription follows.
    part TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    -- What was sent, where something had to be.
    sent TEXT,
    error TEXT,
    done_at INTEGER
) WITHOUT ROWID;
CREATE INDEX stripe_outbox_due ON stripe_outbox (next_attempt_at, id) WHERE state = 'pending';
CREATE INDEX stripe_outbox_by_subscription ON stripe_outbox (subscription, id) WHERE state = 'pending';
