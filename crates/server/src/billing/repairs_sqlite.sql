-- Repairs in Stripe that were begun, with all that recording their end needs. A row is gone once that is recorded: one that is
-- there may have been done.
CREATE TABLE stripe_repairs (
    key TEXT PRIMARY KEY,
    request_hash BLOB NOT NULL,
    begun_at INTEGER NOT NULL,
    body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX stripe_repairs_by_age ON stripe_repairs (begun_at);
