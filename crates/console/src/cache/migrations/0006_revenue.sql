-- Revenue: subscriptions as they were seen over time, and what follows from them and from invoices through a lens,
-- kept so that figures are there before any fact is read.

-- A subscription as it was read, where it had changed since; what was read is kept as the facts that revenue
-- derives from.
CREATE TABLE revenue_snapshots (
    subscription TEXT NOT NULL,
    seen_at      INTEGER NOT NULL,
    customer     TEXT NOT NULL,
    facts        TEXT NOT NULL,
    PRIMARY KEY (subscription, seen_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX revenue_snapshots_by_customer ON revenue_snapshots (customer, subscription, seen_at);
CREATE INDEX revenue_snapshots_by_time ON revenue_snapshots (seen_at);

-- Through which rules and in which zone it is counted: 0 is ours, 1 the other that was looked at last.
CREATE TABLE revenue_lenses (
    num        INTEGER PRIMARY KEY,
    preset     TEXT NOT NULL,
    zone       TEXT NOT NULL,
    -- Up to when everything was counted; NULL = never yet.
    counted_at INTEGER
) STRICT;
INSERT INTO revenue_lenses (num, preset, zone) VALUES (0, 'paywall', 'UTC');

-- Customers of whom something is known that is not counted yet. A tenant that is no customer yet goes by its id.
CREATE TABLE revenue_pending (
    lens     INTEGER NOT NULL,
    customer TEXT NOT NULL,
    PRIMARY KEY (lens, customer)
) STRICT, WITHOUT ROWID;

-- Customers that are counted, and when something changes by itself.
CREATE TABLE revenue_accounts (
    lens     INTEGER NOT NULL,
    customer TEXT NOT NULL,
    due      INTEGER,
    PRIMARY KEY (lens, customer)
) STRICT, WITHOUT ROWID;
CREATE INDEX revenue_accounts_due ON revenue_accounts (lens, due) WHERE due IS NOT NULL;

-- Amounts are in 1/10,000 of the minor unit; days are counted from 1970-01-01 in the lens's zone.
CREATE TABLE revenue_movements (
    lens       INTEGER NOT NULL,
    customer   TEXT NOT NULL,
    currency   TEXT NOT NULL,
    day        INTEGER NOT NULL,
    -- 0 new, 1 reactivation, 2 expansion, 3 contraction, 4 churn.
    kind       INTEGER NOT NULL,
    amount_10k INTEGER NOT NULL,
    -- How many more customers pay after it: 1, 0 or -1.
    paying     INTEGER NOT NULL,
    estimated  INTEGER NOT NULL,
    PRIMARY KEY (lens, customer, currency, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX revenue_movements_by_day ON revenue_movements (lens, currency, day, kind, customer, amount_10k);

-- The same added up by day and kind.
CREATE TABLE revenue_days (
    lens       INTEGER NOT NULL,
    currency   TEXT NOT NULL,
    day        INTEGER NOT NULL,
    kind       INTEGER NOT NULL,
    amount_10k INTEGER NOT NULL,
    movements  INTEGER NOT NULL,
    paying     INTEGER NOT NULL,
    estimated  INTEGER NOT NULL,
    PRIMARY KEY (lens, currency, day, kind)
) STRICT, WITHOUT ROWID;

-- How many more subscriptions count by what was rebuilt rather than seen, by customer and in all.
CREATE TABLE revenue_rebuilt (
    lens     INTEGER NOT NULL,
    customer TEXT NOT NULL,
    currency TEXT NOT NULL,
    day      INTEGER NOT NULL,
    rebuilt  INTEGER NOT NULL,
    PRIMARY KEY (lens, customer, currency, day)
) STRICT, WITHOUT ROWID;
CREATE TABLE revenue_rebuilt_days (
    lens     INTEGER NOT NULL,
    currency TEXT NOT NULL,
    day      INTEGER NOT NULL,
    rebuilt  INTEGER NOT NULL,
    PRIMARY KEY (lens, currency, day)
) STRICT, WITHOUT ROWID;

-- What it rests on, and what the subscriptions themselves say is earned now, by customer and in all.
CREATE TABLE revenue_rests (
    lens          INTEGER NOT NULL,
    customer      TEXT NOT NULL,
    currency      TEXT NOT NULL,
    subscriptions INTEGER NOT NULL,
    invoices      INTEGER NOT NULL,
    faults        INTEGER NOT NULL,
    including_tax INTEGER NOT NULL,
    now_10k       INTEGER NOT NULL,
    PRIMARY KEY (lens, customer, currency)
) STRICT, WITHOUT ROWID;
CREATE TABLE revenue_objects (
    lens          INTEGER NOT NULL,
    currency      TEXT NOT NULL,
    subscriptions INTEGER NOT NULL,
    invoices      INTEGER NOT NULL,
    faults        INTEGER NOT NULL,
    including_tax INTEGER NOT NULL,
    now_10k       INTEGER NOT NULL,
    PRIMARY KEY (lens, currency)
) STRICT, WITHOUT ROWID;

-- Trials and what became of them.
CREATE TABLE revenue_trials (
    customer     TEXT NOT NULL,
    num          INTEGER NOT NULL,
    started_at   INTEGER NOT NULL,
    ends_at      INTEGER NOT NULL,
    -- 0 undecided, 1 converted, 2 lost.
    outcome      INTEGER NOT NULL,
    converted_at INTEGER,
    PRIMARY KEY (customer, num)
) STRICT, WITHOUT ROWID;
CREATE INDEX revenue_trials_by_start ON revenue_trials (started_at, customer, num);
CREATE INDEX revenue_trials_by_end ON revenue_trials (ends_at);
CREATE INDEX revenue_trials_converted ON revenue_trials (converted_at) WHERE converted_at IS NOT NULL;

-- When an invoice became final, else was made: it is billed then.
ALTER TABLE stripe_invoices ADD COLUMN billed_at INTEGER NOT NULL DEFAULT 0;
-- Whole in the index, what sums read: the rows themselves are wide.
UPDATE stripe_invoices SET billed_at = created * 1000;
CREATE INDEX stripe_invoices_by_time ON stripe_invoices (billed_at, id, status, currency, total);
CREATE INDEX stripe_invoices_by_status ON stripe_invoices (status, billed_at, id, currency, total);
-- Those whose payment failed at least once. Stripe counts the attempt that paid, too.
CREATE INDEX stripe_invoices_failed ON stripe_invoices (billed_at, id)
    WHERE total > 0 AND ((status = 'paid' AND attempt_count > 1)
        OR (status IN ('open', 'uncollectible', 'void') AND attempt_count > 0));

-- Who lost an object is counted again, by every lens.
CREATE TRIGGER stripe_subscriptions_gone AFTER DELETE ON stripe_subscriptions BEGIN
    DELETE FROM revenue_snapshots WHERE subscription = old.id;
    INSERT INTO revenue_pending (lens, customer) SELECT num, old.customer FROM revenue_lenses
        WHERE old.customer IS NOT NULL ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER stripe_invoices_gone AFTER DELETE ON stripe_invoices BEGIN
    INSERT INTO revenue_pending (lens, customer) SELECT num, old.customer FROM revenue_lenses
        WHERE old.customer IS NOT NULL ON CONFLICT DO NOTHING;
END;

-- What was stored before has no snapshots and not that instant: it is read again, and stays readable meanwhile.
UPDATE streams SET cursor = NULL WHERE source = 'stripe' AND stream IN ('subscriptions', 'invoices');
INSERT INTO revenue_pending (lens, customer) SELECT DISTINCT 0, coalesce(stripe_customer, id) FROM tenants
    WHERE trial_started_at IS NOT NULL;

PRAGMA user_version = 6;
