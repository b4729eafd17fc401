//! Payments of invoices: payment intents, charges, failures and retries.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::cards::{Card, Outcome, Refusal};
use super::settings::AfterRetries;
use super::state::{Fields, Settling, State};
use crate::ids::Kind;
use crate::wire::Failure;

/// How an attempt at a payment came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    /// By Stripe's schedule, of which it is a step.
    Automatic,
    /// By hand; only the first one counts.
    Manual { present: bool },
}

impl State {
    /// Makes the payment intent of an invoice that has become final.
    pub(crate) fn intend(&mut self, invoice: &str) {
        let of = self.known(Kind::Invoice, invoice);
        let (intent, payment) = (self.new_id(Kind::PaymentIntent), self.new_id(Kind::InvoicePayment));
        let secret = format!("{intent}_secret_{}", self.token(25));
        let due = of.int("amount_remaining");
        let record = json!({
            "id": intent, "object": "payment_intent", "amount": due, "amount_capturable": 0, "amount_details": {"tip": {}},
            "amount_received": 0, "application": null, "application_fee_amount": null, "automatic_payment_methods": null, "canceled_at": null,
            "cancellation_reason": null, "capture_method": "automatic", "client_secret": secret, "confirmation_method": "automatic",
            "created": self.now, "currency": of["currency"], "customer": of["customer"], "customer_account": null,
            "description": "Subscription update", "last_payment_error": null, "latest_charge": null, "livemode": false, "metadata": {},
            "next_action": null, "on_behalf_of": null, "payment_method": null, "payment_method_configuration_details": null,
            "payment_method_options": {}, "payment_method_types": ["card", "sepa_debit"], "processing": null, "receipt_email": null,
            "review": null, "setup_future_usage": "off_session", "shipping": null, "source": null, "statement_descriptor": null,
            "statement_descriptor_suffix": null, "status": "requires_payment_method", "transfer_data": null, "transfer_group": null,
        });
        self.insert(Kind::PaymentIntent, record, Some("payment_intent.created"));
        let record = json!({
            "id": payment, "object": "invoice_payment", "amount_paid": null, "amount_requested": due, "created": self.now,
            "currency": of["currency"], "invoice": invoice, "is_default": true, "livemode": false,
            "payment": {"payment_intent": intent, "type": "payment_intent"}, "status": "open",
            "status_transitions": {"canceled_at": null, "paid_at": null},
        });
        self.insert(Kind::InvoicePayment, record, None);
    }

    /// The payments that Stripe lists with an invoice.
    pub(crate) fn payments_of(&self, invoice: &str) -> Vec<Value> {
        self.table(Kind::InvoicePayment).filter(|it| it.is("invoice", invoice)).cloned().collect()
    }

    fn intent_of(&self, invoice: &str) -> (String, String) {
        let payment = self.payments_of(invoice).pop().unwrap_or_default();
        (payment.id(), payment.text("payment/payment_intent").to_owned())
    }

    /// An open invoice owes less: so does its payment; nothing left to pay is paid.
    pub(crate) fn lessen(&mut self, invoice: &str, by: i64) {
        let (payment, intent) = self.intent_of(invoice);
        self.change(Kind::InvoicePayment, &payment, None, |it| {
            it["amount_requested"] = json!(it.int("amount_requested") - by);
        });
        if self.known(Kind::Invoice, invoice).int("amount_remaining") == 0 {
            self.drop_payment(invoice);
            self.paid(invoice, None);
        } else {
            self.change(Kind::PaymentIntent, &intent, None, |it| it["amount"] = json!(it.int("amount") - by));
        }
    }

    /// Gives up on the payment of an invoice.
    pub(crate) fn drop_payment(&mut self, invoice: &str) {
        let (payment, intent) = self.intent_of(invoice);
        let now = self.now;
        self.change(Kind::InvoicePayment, &payment, None, |it| {
            it["status"] = json!("canceled");
            it["status_transitions"]["canceled_at"] = json!(now);
        });
        self.change(Kind::PaymentIntent, &intent, Some("payment_intent.canceled"), |it| {
            it["status"] = json!("canceled");
            it["canceled_at"] = json!(now);
            it["cancellation_reason"] = json!("void_invoice");
            it["next_action"] = Value::Null;
        });
        self.settling.retain(|it| it.invoice != invoice);
    }

    /// Collects an open invoice because somebody asked for it.
    pub(crate) fn collect(&mut self, invoice: &str, present: bool) {
        self.attempt(invoice, Attempt::Manual { present }, None);
    }

    /// Collects an open invoice from a card that is given for it alone.
    pub(crate) fn collect_from(&mut self, invoice: &str, card: Card) {
        let customer = self.known(Kind::Invoice, invoice).text("customer").to_owned();
        let method = self.attach(&customer, card);
        self.attempt(invoice, Attempt::Manual { present: true }, Some(method));
    }

    /// Tries an invoice again by the schedule.
    pub(crate) fn retry(&mut self, invoice: &str) {
        self.attempt(invoice, Attempt::Automatic, None);
    }

    fn attempt(&mut self, invoice: &str, how: Attempt, given: Option<String>) {
        let of = self.known(Kind::Invoice, invoice);
        if !matches!(of.text("status"), "open" | "uncollectible")
            || self.settling.iter().any(|it| it.invoice == invoice)
        {
            return;
        }
        if of.int("amount_remaining") == 0 {
            self.paid(invoice, None);
            return;
        }
        let subscription = self.known(Kind::Subscription, of.text("parent/subscription_details/subscription"));
        let counts = how == Attempt::Automatic || of.int("attempt_count") == 0;
        let Some(method) = given.or_else(|| self.method_of(&subscription)) else {
            self.failed(invoice, None, None, counts);
            return;
        };
        let (_, intent) = self.intent_of(invoice);
        let before = self.known(Kind::PaymentIntent, &intent);
        let barred =
            before.text("last_payment_error/advice_code") == "do_not_try_again" && before.is("payment_method", &method);
        if how == Attempt::Automatic && barred {
            // The schedule goes on, yet nothing is tried until there is another payment method.
            self.failed(invoice, None, None, true);
            return;
        }
        let card = self.cards.get(&method).copied().unwrap_or(Card::Declined);
        let outcome = card.charge(how == Attempt::Manual { present: true });
        match outcome {
            Outcome::Paid { disputed } => {
                let charge = self.charge(&of, &intent, &method, card, outcome);
                self.paid(invoice, Some((&charge, &method)));
                if disputed {
                    self.dispute(&charge, "fraudulent");
                }
            }
            Outcome::Refused(refusal) => {
                let charge = self.charge(&of, &intent, &method, card, outcome);
                self.failed(invoice, Some((refusal, &method)), Some(&charge), counts);
            }
            Outcome::ActionRequired => {
                let charge = self.charge(&of, &intent, &method, card, outcome);
                self.failed(invoice, Some((Refusal::authentication(), &method)), Some(&charge), counts);
            }
            Outcome::Processing { fails } => {
                let charge = self.charge(&of, &intent, &method, card, outcome);
                self.change(Kind::PaymentIntent, &intent, Some("payment_intent.processing"), |it| {
                    it["status"] = json!("processing");
                    it["payment_method"] = json!(method);
                    it["latest_charge"] = json!(charge);
                });
                self.change(Kind::Invoice, invoice, Some("invoice.updated"), |it| {
                    it["attempted"] = json!(true);
                    it["attempt_count"] = json!(it.int("attempt_count") + i64::from(counts));
                    it["next_payment_attempt"] = Value::Null;
                });
                let at = self.now + self.settings.settling.as_secs() as i64;
                self.settling.push(Settling { at, invoice: invoice.to_owned(), charge, fails });
                if subscription.is("status", "incomplete") {
                    let event = Some("customer.subscription.updated");
                    self.change(Kind::Subscription, &subscription.id(), event, |it| it["status"] = json!("active"));
                }
            }
        }
    }

    fn charge(&mut self, invoice: &Value, intent: &str, method: &str, card: Card, outcome: Outcome) -> String {
        let id = self.new_id(Kind::Charge);
        let customer = self.known(Kind::Customer, invoice.text("customer"));
        let amount = invoice.int("amount_remaining");
        let refusal = match outcome {
            Outcome::Refused(refusal) => Some(refusal),
            Outcome::ActionRequired => Some(Refusal::authentication()),
            _ => None,
        };
        let paid = matches!(outcome, Outcome::Paid { .. });
        let (status, event) = match outcome {
            Outcome::Paid { .. } => ("succeeded", "charge.succeeded"),
            Outcome::Processing { .. } => ("pending", "charge.pending"),
            _ => ("failed", "charge.failed"),
        };
        let balance = paid.then(|| self.new_id(Kind::BalanceTransaction));
        let record = json!({
            "id": id, "object": "charge", "amount": amount, "amount_captured": if refusal.is_none() { amount } else { 0 }, "amount_refunded": 0,
            "application": null, "application_fee": null, "application_fee_amount": null, "balance_transaction": balance,
            "billing_details": {
                "address": crate::render::empty_address(), "email": customer["email"], "name": customer["name"], "phone": null, "tax_id": null,
            },
            "calculated_statement_descriptor": "PAYWALL SAMPLE", "captured": refusal.is_none(), "created": self.now,
            "currency": invoice["currency"], "customer": invoice["customer"], "description": "Subscription", "disputed": false,
            "failure_balance_transaction": null, "failure_code": refusal.map(|it| it.code), "failure_message": refusal.map(|it| it.message),
            "fraud_details": {}, "livemode": false, "metadata": {}, "on_behalf_of": null, "outcome": outcome_of(refusal, status),
            "paid": paid, "payment_intent": intent, "payment_method": method, "payment_method_details": card.details(),
            "receipt_email": null, "receipt_number": null, "receipt_url": null, "refunded": false, "review": null, "shipping": null,
            "source_transfer": null, "statement_descriptor": null, "statement_descriptor_suffix": null, "status": status,
            "transfer_data": null, "transfer_group": null,
        });
        self.insert(Kind::Charge, record, Some(event))
    }

    /// An invoice is paid, by a charge or since nothing is due.
    fn paid(&mut self, invoice: &str, by: Option<(&str, &str)>) {
        let now = self.now;
        if let Some((charge, method)) = by {
            let (payment, intent) = self.intent_of(invoice);
            self.change(Kind::PaymentIntent, &intent, Some("payment_intent.succeeded"), |it| {
                it["status"] = json!("succeeded");
                it["amount_received"] = it["amount"].clone();
                it["payment_method"] = json!(method);
                it["latest_charge"] = json!(charge);
                it["last_payment_error"] = Value::Null;
                it["next_action"] = Value::Null;
            });
            self.change(Kind::InvoicePayment, &payment, Some("invoice_payment.paid"), |it| {
                it["status"] = json!("paid");
                it["amount_paid"] = it["amount_requested"].clone();
                it["status_transitions"]["paid_at"] = json!(now);
            });
        }
        self.change(Kind::Invoice, invoice, None, |it| {
            it["status"] = json!("paid");
            it["amount_paid"] = it["amount_due"].clone();
            it["amount_remaining"] = json!(0);
            it["attempted"] = json!(true);
            if it.int("attempt_count") == 0 && by.is_some() {
                it["attempt_count"] = json!(1);
            }
            it["auto_advance"] = json!(false);
            it["next_payment_attempt"] = Value::Null;
            it["status_transitions"]["paid_at"] = json!(now);
        });
        for event in ["invoice.paid", "invoice.payment_succeeded"] {
            self.tell(event, Kind::Invoice, invoice);
        }
        let subscription = self.subscription_of(invoice);
        self.resumed_by(&subscription, invoice, "active");
        self.settle_standing(&subscription);
        self.reckon_delinquency(invoice);
    }

    /// An invoice could not be collected.
    fn failed(&mut self, invoice: &str, refused: Option<(Refusal, &str)>, charge: Option<&str>, counts: bool) {
        let (_, intent) = self.intent_of(invoice);
        let action = refused.is_some_and(|(refusal, _)| refusal == Refusal::authentication());
        if let Some((refusal, method)) = refused {
            let event = if action { "payment_intent.requires_action" } else { "payment_intent.payment_failed" };
            self.change(Kind::PaymentIntent, &intent, Some(event), |it| {
                it["status"] = json!(if action { "requires_action" } else { "requires_payment_method" });
                it["next_action"] =
                    if action { json!({"type": "use_stripe_sdk", "use_stripe_sdk": {}}) } else { Value::Null };
                it["payment_method"] = json!(method);
                it["latest_charge"] = json!(charge);
                it["last_payment_error"] = error_of(&refusal, charge);
            });
        }
        let subscription = self.known(Kind::Subscription, &self.subscription_of(invoice));
        let of = self.known(Kind::Invoice, invoice);
        let attempts = of.int("attempt_count") + i64::from(counts);
        let began = subscription.is("status", "incomplete") || subscription.is("status", "paused");
        let retry = self.settings.payment_retries.get((attempts.max(1) - 1) as usize).filter(|_| !began);
        let next = retry.map(|after| self.now + after.as_secs() as i64);
        self.change(Kind::Invoice, invoice, Some("invoice.updated"), |it| {
            it["attempted"] = json!(true);
            if counts {
                it["attempt_count"] = json!(attempts);
                it["next_payment_attempt"] = json!(next);
            }
        });
        self.tell("invoice.payment_failed", Kind::Invoice, invoice);
        if action {
            self.tell("invoice.payment_action_required", Kind::Invoice, invoice);
        }
        if subscription.is("status", "paused") {
            self.resumed_by(&subscription.id(), invoice, "past_due");
        }
        if subscription.is("status", "active") && subscription.is("latest_invoice", invoice) {
            let event = Some("customer.subscription.updated");
            self.change(Kind::Subscription, &subscription.id(), event, |it| it["status"] = json!("past_due"));
        }
        if !began {
            self.reckon_delinquency(invoice);
        }
        // An older invoice that nobody pays ends nothing as long as the latest one is paid.
        let overdue = self.known(Kind::Subscription, &subscription.id()).is("status", "past_due");
        if counts && next.is_none() && overdue {
            self.give_up(&subscription.id());
        }
    }

    /// What the owner wants after the last retry.
    fn give_up(&mut self, subscription: &str) {
        match self.settings.after_retries {
            AfterRetries::Cancel => self.end_subscription(subscription, Some("payment_failed")),
            AfterRetries::MarkUnpaid => {
                let event = Some("customer.subscription.updated");
                self.change(Kind::Subscription, subscription, event, |it| it["status"] = json!("unpaid"));
            }
            AfterRetries::LeavePastDue => {}
        }
    }

    /// A customer is delinquent while its latest invoice is overdue.
    fn reckon_delinquency(&mut self, invoice: &str) {
        let of = self.known(Kind::Invoice, invoice);
        let delinquent = !of.is("status", "paid");
        let customer = of.text("customer");
        if self.get(Kind::Customer, customer).is_some_and(|it| !it.flag("deleted")) {
            self.change(Kind::Customer, customer, Some("customer.updated"), |it| it["delinquent"] = json!(delinquent));
        }
    }

    /// A debit has settled, or bounced.
    pub(crate) fn settle(&mut self, settling: &Settling) {
        self.settling.retain(|it| it.charge != settling.charge);
        let of = self.known(Kind::Invoice, &settling.invoice);
        if !of.is("status", "open") {
            return;
        }
        let method = self.known(Kind::Charge, &settling.charge).text("payment_method").to_owned();
        if settling.fails {
            let refusal = Refusal::bounced();
            self.change(Kind::Charge, &settling.charge, Some("charge.failed"), |it| {
                it["status"] = json!("failed");
                it["failure_code"] = json!(refusal.code);
                it["failure_message"] = json!(refusal.message);
                it["amount_captured"] = json!(0);
                it["captured"] = json!(false);
                it["outcome"] = outcome_of(Some(refusal), "failed");
            });
            if of.is("billing_reason", "subscription_create") {
                // Stripe voids the first invoice, and leaves the subscription active.
                self.tell("invoice.payment_failed", Kind::Invoice, &settling.invoice);
                self.void(&settling.invoice);
            } else {
                self.failed(&settling.invoice, Some((refusal, &method)), Some(&settling.charge), false);
                self.schedule_retry(&settling.invoice);
            }
        } else {
            let balance = self.new_id(Kind::BalanceTransaction);
            self.change(Kind::Charge, &settling.charge, Some("charge.succeeded"), |it| {
                it["status"] = json!("succeeded");
                it["paid"] = json!(true);
                it["balance_transaction"] = json!(balance);
            });
            self.paid(&settling.invoice, Some((&settling.charge, &method)));
        }
        self.session_settled(&settling.invoice, !settling.fails);
    }

    fn schedule_retry(&mut self, invoice: &str) {
        let attempts = self.known(Kind::Invoice, invoice).int("attempt_count").max(1) - 1;
        let next = self.settings.payment_retries.get(attempts as usize).map(|after| self.now + after.as_secs() as i64);
        self.change(Kind::Invoice, invoice, Some("invoice.updated"), |it| it["next_payment_attempt"] = json!(next));
        if next.is_none() {
            self.give_up(&self.subscription_of(invoice));
        }
    }

    /// The error with which a request to pay an invoice is answered.
    pub(crate) fn payment_failure(&self, invoice: &str) -> Option<Failure> {
        let (_, intent) = self.intent_of(invoice);
        let intent = self.known(Kind::PaymentIntent, &intent);
        if self.settling.iter().any(|it| it.invoice == invoice) {
            return None;
        }
        let error = match &intent["last_payment_error"] {
            Value::Null => {
                let message = "This customer has no attached payment source or default payment method.";
                return Some(Failure::invalid(message, None, Some("missing")));
            }
            error => error.clone(),
        };
        Some(Failure { status: StatusCode::PAYMENT_REQUIRED, body: json!({"error": error}), retry: None })
    }
}

fn outcome_of(refusal: Option<Refusal>, status: &str) -> Value {
    let (network, kind, message) = match (refusal, status) {
        (None, "pending") => ("not_sent_to_network", "authorized", "Payment pending."),
        (None, _) => ("approved_by_network", "authorized", "Payment complete."),
        (Some(_), _) => ("declined_by_network", "issuer_declined", "The bank declined the payment."),
    };
    json!({
        "advice_code": refusal.filter(Refusal::is_hard).map(|_| "do_not_try_again"), "network_advice_code": null,
        "network_decline_code": null, "network_status": network,
        "reason": refusal.map(|it| it.decline.unwrap_or(it.code)), "seller_message": message, "type": kind,
    })
}

fn error_of(refusal: &Refusal, charge: Option<&str>) -> Value {
    let mut error = json!({
        "type": "card_error", "code": refusal.code, "message": refusal.message, "charge": charge,
        "doc_url": format!("https://stripe.com/docs/error-codes/{}", refusal.code.replace('_', "-")),
    });
    if let Some(decline) = refusal.decline {
        error["decline_code"] = json!(decline);
    }
    if refusal.is_hard() {
        error["advice_code"] = json!("do_not_try_again");
    }
    error
}
