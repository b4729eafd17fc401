-- What is kept of a customer beside its movements is one row: it is read and written together.
ALTER TABLE revenue_accounts ADD COLUMN rests TEXT NOT NULL DEFAULT '[]';
ALTER TABLE revenue_accounts ADD COLUMN rebuilt TEXT NOT NULL DEFAULT '[]';
INSERT INTO revenue_accounts (lens, customer) SELECT DISTINCT lens, customer FROM revenue_rests WHERE true
    ON CONFLICT DO NOTHING;
UPDATE revenue_accounts SET
    -- By currency: subscriptions, invoices, those that cannot be told, those with tax in them, and what the
    -- subscriptions themselves say is earned now, in 1/10,000 of the minor unit.
    rests = (
        SELECT json_group_array(json_array(currency, subscriptions, invoices, faults, including_tax, now_10k))
        FROM revenue_rests AS r WHERE r.lens = revenue_accounts.lens AND r.customer = revenue_accounts.customer
    ),
    -- By currency and day: how many more subscriptions count by what was rebuilt rather than seen.
    rebuilt = (
        SELECT json_group_array(json_array(currency, day, rebuilt))
        FROM revenue_rebuilt AS r WHERE r.lens = revenue_accounts.lens AND r.customer = revenue_accounts.customer
    );
DROP TABLE revenue_rests;
DROP TABLE revenue_rebuilt;

PRAGMA user_version = 11;
