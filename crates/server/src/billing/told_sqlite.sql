-- Whether an event's subject is a customer, whatever its id looks like.
ALTER TABLE stripe_inbox ADD COLUMN of_customer INTEGER NOT NULL DEFAULT 0;

-- Whether Stripe could not deliver an event when it was last asked.
ALTER TABLE stripe_inbox ADD COLUMN undelivered INTEGER NOT NULL DEFAULT 0;
CREATE INDEX stripe_inbox_undelivered ON stripe_inbox (id) WHERE undelivered = 1;

-- Charges that are disputed and were told of: also those of older invoices than the latest.
CREATE TABLE stripe_disputes (
    charge TEXT PRIMARY KEY,
    customer TEXT NOT NULL,
    subscription TEXT NOT NULL,
    since INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX stripe_disputes_by_customer ON stripe_disputes (customer);
