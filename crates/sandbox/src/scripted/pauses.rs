//! Paused subscriptions, and how they are resumed.

use serde_json::{Value, json};

use super::form::Form;
use super::invoices::Collect;
use super::state::{Fields, State};
use crate::ids::Kind;
use crate::wire::Failure;

impl State {
    /// Stops a subscription: no periods, no invoices.
    pub(crate) fn pause(&mut self, id: &str, why: &str) {
        let now = self.now;
        self.change(Kind::Subscription, id, Some("customer.subscription.updated"), |it| {
            it["status"] = json!("paused");
            it["status_details"] =
                json!({"paused": {"subscription": {"type": why}, "transitioned_at": now, "type": "subscription"}});
        });
        self.tell("customer.subscription.paused", Kind::Subscription, id);
    }

    pub(crate) fn resume(&mut self, id: &str, mut form: Form) -> Result<Value, Failure> {
        let subscription = self.named(Kind::Subscription, id, "subscription")?;
        if !subscription.is("status", "paused") {
            let message =
                format!("Only paused subscriptions can be resumed. This one is {}.", subscription.text("status"));
            return Err(Failure::invalid(message, None, None));
        }
        let unchanged = form.word("billing_cycle_anchor", &["now", "unchanged"])?.is_some_and(|it| it == "unchanged");
        let words = ["resume_on_payment_attempt", "resume_on_payment_success"];
        let at_once = form.word("payment_behavior", &words)?.is_some_and(|it| it == words[1]);
        form.accept(&["proration_behavior", "proration_date"]);
        form.done()?;
        let now = self.now;
        if unchanged && subscription.int("items/data/0/current_period_end") > now {
            // The running period is paid; there is nothing to invoice.
            self.unpause(id, "active");
            return Ok(self.known(Kind::Subscription, id));
        }
        self.next_period(id, now, None, |it| {
            if !unchanged {
                it["billing_cycle_anchor"] = json!(now);
            }
        });
        let lines = self.period_lines(id);
        let invoice = self.make_invoice(id, "subscription_cycle", lines, (now, now), Collect::Never);
        self.resuming.insert(id.to_owned(), invoice.clone());
        if at_once || self.known(Kind::Invoice, &invoice).int("amount_due") == 0 {
            self.collect(&invoice, false);
        }
        Ok(self.known(Kind::Subscription, id))
    }

    fn unpause(&mut self, id: &str, status: &str) {
        self.change(Kind::Subscription, id, Some("customer.subscription.updated"), |it| {
            it["status"] = json!(status);
            if let Some(fields) = it.as_object_mut() {
                fields.remove("status_details");
            }
        });
        self.tell("customer.subscription.resumed", Kind::Subscription, id);
    }

    /// The invoice on which a paused subscription's resumption hung has come to an end.
    pub(crate) fn resumed_by(&mut self, id: &str, invoice: &str, status: &str) {
        if self.resuming.get(id).is_some_and(|it| it == invoice) {
            self.resuming.remove(id);
            self.unpause(id, status);
        }
    }

    pub(crate) fn pause_subscription(&mut self, id: &str, mut form: Form) -> Result<Value, Failure> {
        let subscription = self.named(Kind::Subscription, id, "subscription")?;
        if !matches!(subscription.text("status"), "active" | "trialing" | "past_due") {
            let message = format!("A subscription that is {} cannot be paused.", subscription.text("status"));
            return Err(Failure::invalid(message, None, None));
        }
        form.word("type", &["subscription"])?.ok_or_else(|| form.missing("type"))?;
        form.accept(&["bill_for", "invoicing_behavior"]);
        form.done()?;
        self.pause(id, "pause_requested");
        Ok(self.known(Kind::Subscription, id))
    }
}
