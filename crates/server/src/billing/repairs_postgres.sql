-- Repairs in Stripe that were begun, with all that recording their end needs. A row is gone once that is recorded: one that is
-- there may have been done.
CREATE TABLE stripe_repairs (
    key TEXT COLLATE "C" PRIMARY KEY,
    request_hash BYTEA NOT NULL,
    begun_at BIGINT NOT NULL,
    body TEXT COLLATE "C" NOT NULL
);
CREATE INDEX stripe_repairs_by_age ON stripe_repairs (begun_at);
