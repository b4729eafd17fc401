-- Whether an event's subject is a customer, whatever its id looks like.
ALTER TABLE stripe_inbox ADD COLUMN of_customer BIGINT NOT NULL DEFAULT 0;

-- Whether Stripe could not deliver an event when it was last asked.
ALTER TABLE stripe_inbox ADD COLUMN undelivered BIGINT NOT NULL DEFAULT 0;
CREATE INDEX stripe_inbox_undelivered ON stripe_inbox (id) WHERE undelivered = 1;

-- Charges that are disputed and were told of: also those of older invoices than the latest.
CREATE TABLE stripe_disputes (
    charge TEXT COLLATE "C" PRIMARY KEY,
    customer TEXT COLLATE "C" NOT NULL,
    subscription TEXT COLLATE "C" NOT NULL,
    since BIGINT NOT NULL
);
CREATE INDEX stripe_disputes_by_customer ON stripe_disputes (customer);
