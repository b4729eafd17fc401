-- What was seen of a customer's subscriptions lies together: who counts the customer reads it from one place, and a
-- change of a subscription is written to one. A subscription is one customer's for good.
CREATE TABLE revenue_seen (
    customer     TEXT NOT NULL,
    subscription TEXT NOT NULL,
    seen_at      INTEGER NOT NULL,
    facts        TEXT NOT NULL,
    PRIMARY KEY (customer, subscription, seen_at)
) STRICT, WITHOUT ROWID;
INSERT INTO revenue_seen (customer, subscription, seen_at, facts)
    SELECT customer, subscription, seen_at, facts FROM revenue_snapshots ORDER BY customer, subscription, seen_at;
DROP TRIGGER stripe_subscriptions_gone;
DROP TABLE revenue_snapshots;
ALTER TABLE revenue_seen RENAME TO revenue_snapshots;
CREATE INDEX revenue_snapshots_by_time ON revenue_snapshots (seen_at);
CREATE TRIGGER stripe_subscriptions_gone AFTER DELETE ON stripe_subscriptions BEGIN
    DELETE FROM revenue_snapshots WHERE customer = old.customer AND subscription = old.id;
    INSERT INTO revenue_pending (lens, customer) SELECT num, old.customer FROM revenue_lenses
        WHERE old.customer IS NOT NULL ON CONFLICT DO NOTHING;
END;

PRAGMA user_version = 10;
