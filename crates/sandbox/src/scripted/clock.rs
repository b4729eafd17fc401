//! Time: what falls due, and in which order.

use serde_json::{Value, json};

use super::state::{Fields, Settling, State};
use super::subscriptions::{FOREWARNING, INCOMPLETE};
use crate::ids::Kind;
use crate::wire::Failure;

/// Something that time alone brings about.
#[derive(Debug, Clone)]
enum Due {
    /// A trial's end is announced.
    Forewarn(String, i64),
    /// A billing period runs out.
    Renew(String),
    /// A date of cancellation comes.
    Cancel(String),
    /// A first invoice was not paid.
    Lapse(String),
    /// A draft becomes final.
    Finalize(String),
    /// A payment is tried again.
    Retry(String),
    /// A debit settles.
    Settle(Settling),
    /// A Checkout session runs out.
    Close(String),
    /// Collecting is taken up again.
    Collecting(String),
}

impl State {
    /// Moves time on by so many seconds.
    pub(crate) fn advance(&mut self, seconds: i64) {
        self.advance_to(self.now + seconds.max(0));
    }

    /// Moves time on to an instant; everything that falls due until then happens, each at its time.
    pub(crate) fn advance_to(&mut self, until: i64) {
        // Nobody asked for what time does.
        let cause = std::mem::take(&mut self.cause);
        while let Some((at, due)) = self.first_due(until) {
            self.now = self.now.max(at);
            self.happen(due);
        }
        self.now = self.now.max(until);
        let (now, clock) = (self.now, self.clock_id());
        self.change(Kind::TestClock, &clock, None, |it| it["frozen_time"] = json!(now));
        self.cause = cause;
    }

    pub(crate) fn clock_id(&self) -> String {
        self.table(Kind::TestClock).next().map(Fields::id).unwrap_or_default()
    }

    /// Stripe's way to advance a test clock.
    pub(crate) fn advance_clock(&mut self, id: &str, mut form: super::form::Form) -> Result<Value, Failure> {
        self.named(Kind::TestClock, id, "test_clock")?;
        let until = form.integer("frozen_time")?.ok_or_else(|| form.missing("frozen_time"))?;
        if until < self.now {
            return Err(form.bad("frozen_time", "You can only advance a test clock forward in time."));
        }
        form.done()?;
        self.advance_to(until);
        Ok(self.known(Kind::TestClock, id))
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Forewarn(id, end) => {
                self.forewarned.insert(id.clone(), end);
                self.tell("customer.subscription.trial_will_end", Kind::Subscription, &id);
            }
            Due::Renew(id) => self.renew(&id),
            Due::Cancel(id) => self.end_subscription(&id, None),
            Due::Lapse(id) => {
                if self.resuming.remove(&self.subscription_of(&id)).is_some() {
                    self.void(&id);
                } else {
                    self.end_subscription(&self.subscription_of(&id), None);
                }
            }
            Due::Finalize(id) => self.advance_draft(&id),
            Due::Retry(id) => self.retry(&id),
            Due::Settle(settling) => self.settle(&settling),
            Due::Close(id) => self.close_session(&id),
            Due::Collecting(id) => {
                let event = Some("customer.subscription.updated");
                self.change(Kind::Subscription, &id, event, |it| it["pause_collection"] = Value::Null);
            }
        }
    }

    /// The first thing that falls due until an instant; of several at once, the one that was there first.
    fn first_due(&self, until: i64) -> Option<(i64, Due)> {
        let mut first: Option<(i64, Due)> = None;
        let mut offer = |at: i64, due: Due| {
            if at <= until && first.as_ref().is_none_or(|(earliest, _)| at < *earliest) {
                first = Some((at, due));
            }
        };
        for it in self.table(Kind::Invoice) {
            if let (true, Some(at)) = (it.is("status", "draft"), it.int_at("automatically_finalizes_at")) {
                offer(at, Due::Finalize(it.id()));
            }
            if let (true, Some(at)) = (it.is("status", "open"), it.int_at("next_payment_attempt")) {
                offer(at, Due::Retry(it.id()));
            }
        }
        for settling in &self.settling {
            offer(settling.at, Due::Settle(settling.clone()));
        }
        for it in self.table(Kind::Subscription) {
            let id = it.id();
            let end = it.int("items/data/0/current_period_end");
            match it.text("status") {
                "canceled" | "incomplete_expired" => continue,
                "incomplete" => {
                    if self.session_of(&id).is_none() {
                        offer(it.int("created") + INCOMPLETE, Due::Lapse(it.text("latest_invoice").to_owned()));
                    }
                    continue;
                }
                "paused" => {
                    if let Some(invoice) = self.resuming.get(&id) {
                        let made = self.known(Kind::Invoice, invoice).int("created");
                        offer(made + INCOMPLETE, Due::Lapse(invoice.clone()));
                    }
                    continue;
                }
                "trialing" => {
                    let warned = self.forewarned.get(&id) == Some(&end);
                    if !warned {
                        offer((end - FOREWARNING).max(it.int("trial_start")), Due::Forewarn(id.clone(), end));
                    }
                }
                _ => {}
            }
            if let Some(at) = it.int_at("cancel_at").filter(|_| !it.flag("cancel_at_period_end")) {
                offer(at, Due::Cancel(id.clone()));
            }
            if let Some(at) = it.int_at("pause_collection/resumes_at") {
                offer(at, Due::Collecting(id.clone()));
            }
            offer(end, Due::Renew(id));
        }
        for it in self.table(Kind::CheckoutSession).filter(|it| it.is("status", "open")) {
            offer(it.int("expires_at"), Due::Close(it.id()));
        }
        first
    }
}
