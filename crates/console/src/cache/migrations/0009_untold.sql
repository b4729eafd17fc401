-- Subscriptions that cannot be told, by customer: whoever counts a customer asks for them, and there are few, so that the
-- wide rows of all others need not be read for it.
CREATE INDEX stripe_subscriptions_untold ON stripe_subscriptions (customer, currency, id) WHERE mrr_fault IS NOT NULL;

PRAGMA user_version = 9;
