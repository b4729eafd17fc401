-- Stripe's part whole: which payment paid which invoice, credit notes, what is left out, and lists that are read
-- in windows of time side by side.

CREATE TABLE stripe_invoice_payments (
    id               TEXT PRIMARY KEY,
    created          INTEGER NOT NULL,
    invoice          TEXT,
    status           TEXT,
    currency         TEXT,
    amount_requested INTEGER,
    amount_paid      INTEGER,
    payment_intent   TEXT,
    charge           TEXT,
    reading          INTEGER NOT NULL,
    packed           BLOB NOT NULL
) STRICT;
CREATE INDEX stripe_invoice_payments_by_invoice ON stripe_invoice_payments (invoice, created);

CREATE TABLE stripe_credit_notes (
    id                  TEXT PRIMARY KEY,
    created             INTEGER NOT NULL,
    customer            TEXT,
    invoice             TEXT,
    status              TEXT,
    currency            TEXT,
    total               INTEGER,
    pre_payment_amount  INTEGER,
    post_payment_amount INTEGER,
    reading             INTEGER NOT NULL,
    packed              BLOB NOT NULL
) STRICT;
CREATE INDEX stripe_credit_notes_by_customer ON stripe_credit_notes (customer, created);
CREATE INDEX stripe_credit_notes_by_invoice ON stripe_credit_notes (invoice);

-- The reading of its list that last gave an object: one that a whole reading did not give is gone.
ALTER TABLE stripe_customers ADD COLUMN reading INTEGER NOT NULL DEFAULT 0;
ALTER TABLE stripe_products ADD COLUMN reading INTEGER NOT NULL DEFAULT 0;
ALTER TABLE stripe_prices ADD COLUMN reading INTEGER NOT NULL DEFAULT 0;
ALTER TABLE stripe_subscriptions ADD COLUMN reading INTEGER NOT NULL DEFAULT 0;
ALTER TABLE stripe_invoices ADD COLUMN reading INTEGER NOT NULL DEFAULT 0;
ALTER TABLE stripe_charges ADD COLUMN reading INTEGER NOT NULL DEFAULT 0;
ALTER TABLE stripe_refunds ADD COLUMN reading INTEGER NOT NULL DEFAULT 0;
ALTER TABLE stripe_disputes ADD COLUMN reading INTEGER NOT NULL DEFAULT 0;
ALTER TABLE streams ADD COLUMN reading INTEGER NOT NULL DEFAULT 0;

-- What an invoice's payment and a charge have in common.
ALTER TABLE stripe_charges ADD COLUMN payment_intent TEXT;
CREATE INDEX stripe_charges_by_payment ON stripe_charges (payment_intent) WHERE payment_intent IS NOT NULL;
CREATE INDEX stripe_refunds_by_charge ON stripe_refunds (charge);
CREATE INDEX stripe_disputes_by_charge ON stripe_disputes (charge);

-- A part of a list, by `created` in seconds, that is read by itself from its newest object to its oldest.
CREATE TABLE stripe_windows (
    stream  TEXT NOT NULL,
    num     INTEGER NOT NULL,
    -- Made at or after; NULL = from the first.
    lower   INTEGER,
    -- Made before; NULL = to the latest.
    upper   INTEGER,
    -- The last object read, and when it was made.
    after   TEXT,
    reached INTEGER,
    newest  INTEGER NOT NULL,
    done    INTEGER NOT NULL,
    closed  INTEGER NOT NULL,
    PRIMARY KEY (stream, num)
) STRICT, WITHOUT ROWID;

-- Customers of test clocks: they, and what is theirs, are left out.
CREATE TABLE stripe_test_customers (
    id TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Versions of Stripe's API other than ours that something came in, with the latest example.
CREATE TABLE stripe_versions (
    version TEXT NOT NULL,
    -- 'events' or 'answers'.
    seen_in TEXT NOT NULL,
    example TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (version, seen_in)
) STRICT, WITHOUT ROWID;

-- These are asked for with more than before: they are read again, and stay readable meanwhile.
UPDATE streams SET cursor = NULL
WHERE source = 'stripe' AND stream IN ('subscriptions', 'invoices', 'charges');
PRAGMA user_version = 3;
