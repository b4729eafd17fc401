-- What a Checkout was asked for with, so that asking again asks for the same.
ALTER TABLE checkout_sessions ADD COLUMN request TEXT COLLATE "C";

-- What changes by staff still change in Stripe. Written with the change, sent once.
CREATE TABLE stripe_outbox (
    -- The adjustment's.
    id TEXT COLLATE "C" PRIMARY KEY,
    tenant_id TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    subscription TEXT COLLATE "C" NOT NULL,
    -- Which part of the subscription follows.
    part TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    -- What was sent, where something had to be.
    sent TEXT COLLATE "C",
    error TEXT COLLATE "C",
    done_at BIGINT
);
CREATE INDEX stripe_outbox_due ON stripe_outbox (next_attempt_at, id) WHERE state = 'pending';
CREATE INDEX stripe_outbox_by_subscription ON stripe_outbox (subscription, id) WHERE state = 'pending';
