//! Updates of a subscription: trial, cancellation, items with proration, paused collection.

use serde_json::{Value, json};

use super::form::Form;
use super::invoices::Collect;
use super::state::{Fields, State};
use super::subscriptions::read_end_behavior;
use crate::ids::Kind;
use crate::wire::Failure;

const UPDATED: Option<&str> = Some("customer.subscription.updated");

impl State {
    pub(crate) fn update_subscription(&mut self, id: &str, mut form: Form) -> Result<Value, Failure> {
        let subscription = self.named(Kind::Subscription, id, "id")?;
        let metadata = form.metadata(&subscription["metadata"])?;
        if matches!(subscription.text("status"), "canceled" | "incomplete_expired") {
            if ["items", "trial_end", "cancel_at_period_end", "cancel_at", "pause_collection"]
                .iter()
                .any(|it| form.has(it))
            {
                let message = "A canceled subscription can only update its cancellation_details and metadata.";
                return Err(Failure::invalid(message, None, None));
            }
            self.cancellation_details(id, &mut form)?;
            form.done()?;
            self.change(Kind::Subscription, id, UPDATED, |it| it["metadata"] = metadata);
            return Ok(self.known(Kind::Subscription, id));
        }
        if subscription.is("status", "incomplete") && self.session_of(id).is_some() {
            let message = "You can't update the subscription or its invoice while its Checkout Session is open.";
            return Err(Failure::invalid(message, None, None));
        }
        // Everything is read before anything is done.
        let trial_end = match form.text("trial_end")?.as_deref() {
            None | Some("") => None,
            Some("now") => Some(self.now),
            Some(text) => Some(self.trial_instant(text, "trial_end")?),
        };
        let at_period_end = form.boolean("cancel_at_period_end")?;
        let cancel_at = form.text("cancel_at")?;
        if at_period_end.is_some() && cancel_at.is_some() {
            return Err(form.bad("cancel_at", "You cannot set both `cancel_at` and `cancel_at_period_end`."));
        }
        let cancel_at = match cancel_at.as_deref() {
            None => None,
            Some("") => Some(None),
            Some(text) => Some(Some(self.trial_instant(text, "cancel_at")?)),
        };
        let behavior = form.word("proration_behavior", &["create_prorations", "always_invoice", "none"])?;
        let items = self.read_changes(&subscription, &mut form)?;
        let collection = if form.has("pause_collection") { Some(read_pause(&mut form)?) } else { None };
        let method = form.text("default_payment_method")?;
        if let Some(method) = method.as_deref().filter(|it| !it.is_empty()) {
            self.named(Kind::PaymentMethod, method, "default_payment_method")?;
        }
        let end_behavior = read_end_behavior(&mut form)?;
        self.cancellation_details(id, &mut form)?;
        form.accept(&[
            "payment_behavior",
            "off_session",
            "payment_settings",
            "description",
            "proration_date",
            "automatic_tax",
        ]);
        form.done()?;

        let (now, period_end) = (self.now, subscription.int("items/data/0/current_period_end"));
        self.change(Kind::Subscription, id, UPDATED, |it| {
            it["metadata"] = metadata;
            if let Some(method) = method {
                it["default_payment_method"] = if method.is_empty() { Value::Null } else { json!(method) };
            }
            if let Some(pause) = collection {
                it["pause_collection"] = pause;
            }
            if let Some(word) = end_behavior {
                it["trial_settings"]["end_behavior"]["missing_payment_method"] = json!(word);
            }
            let end = match (at_period_end, cancel_at) {
                (Some(true), _) => Some(Some(period_end)),
                (Some(false), _) => Some(None),
                (None, at) => at,
            };
            if let Some(end) = end {
                it["cancel_at_period_end"] = json!(at_period_end == Some(true));
                it["cancel_at"] = json!(end);
                it["canceled_at"] = json!(end.map(|_| now));
                it["cancellation_details"]["reason"] = json!(end.map(|_| "cancellation_requested"));
            }
        });
        let behavior = behavior.as_deref().unwrap_or("create_prorations");
        if let Some(items) = items {
            self.exchange(id, items, behavior);
        }
        match trial_end {
            Some(at) if at <= now => self.end_trial_now(id),
            Some(at) => self.move_trial(id, at, behavior),
            None => {}
        }
        Ok(self.known(Kind::Subscription, id))
    }

    /// The items as they will be: (item, its price, its quantity); an item that is not there yet has no id.
    fn read_changes(&self, subscription: &Value, form: &mut Form) -> Result<Option<Vec<Value>>, Failure> {
        let forms = form.list("items")?;
        if forms.is_empty() {
            return Ok(None);
        }
        let mut items = subscription.list("items/data").to_vec();
        for mut item in forms {
            let id = item.text("id")?;
            let price = item.text("price")?;
            if let Some(price) = &price {
                let found = self.named(Kind::Price, price, &item.name("price"))?;
                if found.text("currency") != subscription.text("currency") {
                    let message = format!(
                        "The price specified supports currencies of `{}`; the subscription's is `{}`.",
                        found.text("currency"),
                        subscription.text("currency")
                    );
                    return Err(item.bad("price", &message));
                }
            }
            let quantity = item.integer("quantity")?;
            let deleted = item.boolean("deleted")? == Some(true);
            let known = id.as_ref().and_then(|id| items.iter().position(|it| it.is("id", id)));
            match (id, known) {
                (Some(id), None) => {
                    return Err(Failure::missing(Kind::SubscriptionItem, &id, &item.name("id")));
                }
                (_, Some(at)) if deleted => {
                    items.remove(at);
                }
                (_, Some(at)) => {
                    if let Some(price) = &price {
                        self.reprice(&mut items[at], price);
                    }
                    if let Some(quantity) = quantity {
                        items[at]["quantity"] = json!(quantity);
                    }
                }
                (None, None) => {
                    let price = price.ok_or_else(|| item.missing("price"))?;
                    items.push(json!({"new": price, "quantity": quantity.unwrap_or(1)}));
                }
            }
            item.done()?;
        }
        if items.is_empty() {
            return Err(form.bad("items", "A subscription must have at least one active item."));
        }
        Ok(Some(items))
    }

    /// Puts items in the place of those that were: what is left of the paid time is credited, what is left of
    /// the new ones' time billed.
    fn exchange(&mut self, id: &str, mut items: Vec<Value>, behavior: &str) {
        let before = self.known(Kind::Subscription, id);
        let period = (before.int("items/data/0/current_period_start"), before.int("items/data/0/current_period_end"));
        for item in &mut items {
            if let Some(price) = item.maybe("new") {
                *item = self.item(id, &price, item.int("quantity"), period);
            }
        }
        let interval = |item: &Value| {
            (item["price"]["recurring"]["interval"].clone(), item["price"]["recurring"]["interval_count"].clone())
        };
        let trial = before.is("status", "trialing");
        let restarts = !trial && before.list("items/data").first().map(interval) != items.first().map(interval);
        let billed = matches!(before.text("status"), "active" | "past_due") && behavior != "none";
        let mut lines = Vec::new();
        if billed {
            for old in before.list("items/data") {
                if items.iter().any(|it| {
                    it["id"] == old["id"]
                        && it["price"]["id"] == old["price"]["id"]
                        && it["quantity"] == old["quantity"]
                }) && !restarts
                {
                    continue;
                }
                let line = self.prorated_line(old, -1, self.now);
                lines.push(self.line(id, &line));
            }
            for new in items.iter().filter(|_| !restarts) {
                let same = |it: &&Value| {
                    it["id"] == new["id"]
                        && it["price"]["id"] == new["price"]["id"]
                        && it["quantity"] == new["quantity"]
                };
                if before.list("items/data").iter().find(same).is_some() {
                    continue;
                }
                let line = self.prorated_line(new, 1, self.now);
                lines.push(self.line(id, &line));
            }
        }
        let now = self.now;
        if !restarts {
            self.change(Kind::Subscription, id, UPDATED, |it| it["items"]["data"] = json!(items));
        }
        if !lines.is_empty() {
            self.pending.entry(id.to_owned()).or_default().extend(lines);
        }
        let reason = "subscription_update";
        if restarts {
            // Another rhythm starts a period of its own, which is billed at once.
            self.next_period(id, now, None, |it| {
                it["items"]["data"] = json!(items);
                it["billing_cycle_anchor"] = json!(now);
            });
            let lines = self.period_lines(id);
            self.make_invoice(id, reason, lines, (now, now), Collect::Now { present: false });
        } else if behavior == "always_invoice" && self.pending.contains_key(id) {
            self.make_invoice(id, reason, Vec::new(), (now, now), Collect::Now { present: false });
        }
    }

    /// Ends a trial at once: the first period starts now and is charged now.
    fn end_trial_now(&mut self, id: &str) {
        let subscription = self.known(Kind::Subscription, id);
        if !subscription.is("status", "trialing") {
            return;
        }
        let now = self.now;
        self.forewarned.insert(id.to_owned(), now);
        let ended = |it: &mut Value| {
            it["trial_end"] = json!(now);
            it["billing_cycle_anchor"] = json!(now);
        };
        if self.method_of(&subscription).is_none() {
            match subscription.text("trial_settings/end_behavior/missing_payment_method") {
                "cancel" => {
                    self.change(Kind::Subscription, id, UPDATED, ended);
                    return self.end_subscription(id, Some("payment_failed"));
                }
                "pause" => {
                    self.change(Kind::Subscription, id, UPDATED, ended);
                    return self.pause(id, "trial_end_without_payment_method");
                }
                _ => {}
            }
        }
        self.next_period(id, now, Some("active"), ended);
        self.tell("customer.subscription.trial_will_end", Kind::Subscription, id);
        let lines = self.period_lines(id);
        self.make_invoice(id, "subscription_update", lines, (now, now), Collect::Now { present: false });
    }

    /// Moves a trial's end, or gives a trial to whom pays already; the billing cycle moves with it.
    fn move_trial(&mut self, id: &str, at: i64, behavior: &str) {
        let before = self.known(Kind::Subscription, id);
        let trial = before.is("status", "trialing");
        if !trial && before.is("status", "active") && behavior != "none" {
            for item in before.list("items/data") {
                let line = self.prorated_line(item, -1, self.now);
                let line = self.line(id, &line);
                self.pending.entry(id.to_owned()).or_default().push(line);
            }
        }
        let now = self.now;
        self.change(Kind::Subscription, id, UPDATED, |it| {
            it["status"] = json!("trialing");
            if !trial {
                it["trial_start"] = json!(now);
            }
            it["trial_end"] = json!(at);
            it["billing_cycle_anchor"] = json!(at);
            if it.flag("cancel_at_period_end") {
                it["cancel_at"] = json!(at);
            }
            if let Some(items) = it["items"]["data"].as_array_mut() {
                for item in items {
                    if !trial {
                        item["current_period_start"] = json!(now);
                    }
                    item["current_period_end"] = json!(at);
                }
            }
        });
        if before.int("trial_end") > at {
            // A trial that is shortened announces its end at once.
            self.forewarned.insert(id.to_owned(), at);
            self.tell("customer.subscription.trial_will_end", Kind::Subscription, id);
        }
    }
}

fn read_pause(form: &mut Form) -> Result<Value, Failure> {
    let Some(mut pause) = form.nested("pause_collection")? else { return Ok(Value::Null) };
    let behavior = pause.word("behavior", &["keep_as_draft", "mark_uncollectible", "void"])?;
    let behavior = behavior.ok_or_else(|| pause.missing("behavior"))?;
    let resumes_at = pause.integer("resumes_at")?;
    pause.done()?;
    Ok(json!({"behavior": behavior, "resumes_at": resumes_at}))
}
