-- Invoices as the facts that revenue derives from, by customer: to unpack and read Stripe's objects whenever a
-- customer is counted would cost more than all else.
CREATE TABLE revenue_invoices (
    customer TEXT NOT NULL,
    id       TEXT NOT NULL,
    facts    TEXT NOT NULL,
    PRIMARY KEY (customer, id)
) STRICT, WITHOUT ROWID;

-- 1 once its facts are kept, where it could be read. Those from before are read from the object until they come again.
ALTER TABLE stripe_invoices ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;
CREATE INDEX stripe_invoices_not_kept ON stripe_invoices (customer) WHERE kept = 0;

CREATE TRIGGER stripe_invoices_forgotten AFTER DELETE ON stripe_invoices BEGIN
    DELETE FROM revenue_invoices WHERE customer = old.customer AND id = old.id;
END;

PRAGMA user_version = 8;
