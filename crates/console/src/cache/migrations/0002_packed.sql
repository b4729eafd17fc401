-- Stripe's objects are packed against a sample of their list. What was stored otherwise is fetched again.

CREATE TABLE stripe_samples (
    stream TEXT PRIMARY KEY,
    sample TEXT NOT NULL
) STRICT, WITHOUT ROWID;

DELETE FROM stripe_customers;
DELETE FROM stripe_products;
DELETE FROM stripe_prices;
DELETE FROM stripe_subscriptions;
DELETE FROM stripe_invoices;
DELETE FROM stripe_charges;
DELETE FROM stripe_refunds;
DELETE FROM stripe_disputes;
DELETE FROM stripe_events;
DELETE FROM streams WHERE source = 'stripe';

ALTER TABLE stripe_customers DROP COLUMN raw;
ALTER TABLE stripe_products DROP COLUMN raw;
ALTER TABLE stripe_prices DROP COLUMN raw;
ALTER TABLE stripe_subscriptions DROP COLUMN raw;
ALTER TABLE stripe_invoices DROP COLUMN raw;
ALTER TABLE stripe_charges DROP COLUMN raw;
ALTER TABLE stripe_refunds DROP COLUMN raw;
ALTER TABLE stripe_disputes DROP COLUMN raw;
ALTER TABLE stripe_events DROP COLUMN raw;

-- 1 where the customer has a discount of its own.
ALTER TABLE stripe_customers ADD COLUMN discounted INTEGER NOT NULL DEFAULT 0;

ALTER TABLE stripe_customers ADD COLUMN packed BLOB NOT NULL DEFAULT x'';
ALTER TABLE stripe_products ADD COLUMN packed BLOB NOT NULL DEFAULT x'';
ALTER TABLE stripe_prices ADD COLUMN packed BLOB NOT NULL DEFAULT x'';
ALTER TABLE stripe_subscriptions ADD COLUMN packed BLOB NOT NULL DEFAULT x'';
ALTER TABLE stripe_invoices ADD COLUMN packed BLOB NOT NULL DEFAULT x'';
ALTER TABLE stripe_charges ADD COLUMN packed BLOB NOT NULL DEFAULT x'';
ALTER TABLE stripe_refunds ADD COLUMN packed BLOB NOT NULL DEFAULT x'';
ALTER TABLE stripe_disputes ADD COLUMN packed BLOB NOT NULL DEFAULT x'';
-- Of an event only its id is asked for.
PRAGMA user_version = 2;
