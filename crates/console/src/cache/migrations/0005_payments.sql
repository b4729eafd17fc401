-- Which invoice a charge paid, and which disputes wait for an answer.

CREATE INDEX stripe_invoice_payments_by_charge ON stripe_invoice_payments (charge, created) WHERE charge IS NOT NULL;
CREATE INDEX stripe_invoice_payments_by_payment ON stripe_invoice_payments (payment_intent, created)
    WHERE payment_intent IS NOT NULL;
CREATE INDEX stripe_disputes_by_status ON stripe_disputes (status);

PRAGMA user_version = 5;
