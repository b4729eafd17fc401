//! Subscriptions: how they begin, renew and end.

use serde_json::{Value, json};

use super::form::Form;
use super::invoices::{Collect, Line};
use super::state::{Fields, State};
use crate::calendar::{DAY, HOUR, add_months};
use crate::ids::Kind;
use crate::render::list;
use crate::wire::Failure;

/// How long a first invoice may stay unpaid.
pub(crate) const INCOMPLETE: i64 = 23 * HOUR;
/// How long before its end a trial's end is announced.
pub(crate) const FOREWARNING: i64 = 3 * DAY;

/// What begins.
#[derive(Debug, Clone, Default)]
pub(crate) struct Start {
    pub(crate) customer: String,
    /// Price ids and quantities.
    pub(crate) items: Vec<(String, i64)>,
    pub(crate) trial_end: Option<i64>,
    /// `cancel`, `create_invoice` or `pause`.
    pub(crate) missing_payment_method: Option<String>,
    pub(crate) method: Option<String>,
    pub(crate) metadata: Value,
    pub(crate) automatic_tax: bool,
    pub(crate) coupon: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) present: bool,
}

/// The first boundary of billing periods after an instant.
pub(crate) fn boundary_after(anchor: i64, price: &Value, at: i64) -> i64 {
    if anchor > at {
        return anchor;
    }
    let count = price.int("recurring/interval_count").max(1);
    let months = match price.text("recurring/interval") {
        "day" | "week" => {
            let length = count * if price.is("recurring/interval", "day") { DAY } else { 7 * DAY };
            return anchor + ((at - anchor) / length + 1) * length;
        }
        "year" => 12 * count,
        _ => count,
    };
    // Always reckoned from the anchor, so that a short month does not shift the ones after it.
    let mut times = 1;
    loop {
        let boundary = add_months(anchor, (months * times) as u32);
        if boundary > at {
            return boundary;
        }
        times += 1;
    }
}

/// The older name of a price, which items still carry.
fn plan(price: &Value) -> Value {
    json!({
        "id": price["id"], "object": "plan", "active": price["active"], "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"], "billing_scheme": "per_unit", "created": price["created"],
        "currency": price["currency"], "interval": price["recurring"]["interval"], "interval_count": price["recurring"]["interval_count"],
        "livemode": false, "metadata": price["metadata"], "meter": null, "nickname": price["nickname"], "product": price["product"],
        "tiers_mode": null, "transform_usage": null, "trial_period_days": null, "usage_type": "licensed",
    })
}

impl State {
    pub(crate) fn item(&mut self, subscription: &str, price: &str, quantity: i64, period: (i64, i64)) -> Value {
        let price = self.known(Kind::Price, price);
        json!({
            "id": self.new_id(Kind::SubscriptionItem), "object": "subscription_item", "billing_thresholds": null, "created": self.now,
            "current_period_start": period.0, "current_period_end": period.1, "discounts": [], "metadata": {}, "plan": plan(&price),
            "price": price, "quantity": quantity, "subscription": subscription, "tax_rates": [],
        })
    }

    pub(crate) fn reprice(&self, item: &mut Value, price: &str) {
        let price = self.known(Kind::Price, price);
        item["plan"] = plan(&price);
        item["price"] = price;
    }

    pub(crate) fn create_subscription(&mut self, mut form: Form) -> Result<Value, Failure> {
        let customer = self.named(Kind::Customer, &form.required("customer")?, "customer")?.id();
        let items = self.read_items(&mut form, "items")?;
        let days = form.integer("trial_period_days")?.filter(|days| *days > 0).map(|days| self.now + days * DAY);
        let trial_end = match form.text("trial_end")?.as_deref() {
            None | Some("" | "now") => days,
            Some(text) => Some(self.trial_instant(text, "trial_end")?),
        };
        let method = form.text("default_payment_method")?.filter(|it| !it.is_empty());
        if let Some(method) = &method {
            self.named(Kind::PaymentMethod, method, "default_payment_method")?;
        }
        let metadata = form.metadata(&json!({}))?;
        let missing_payment_method = read_end_behavior(&mut form)?;
        let behavior =
            form.word("payment_behavior", &["allow_incomplete", "default_incomplete", "error_if_incomplete"])?;
        form.accept(&[
            "collection_method",
            "off_session",
            "payment_settings",
            "proration_behavior",
            "currency",
            "description",
        ]);
        form.done()?;
        self.tie_currency(&customer, &items)?;
        let holder = self.known(Kind::Customer, &customer);
        if trial_end.is_none()
            && method.is_none()
            && holder["invoice_settings"]["default_payment_method"].is_null()
            && behavior.as_deref() != Some("default_incomplete")
        {
            let message = "This customer has no attached payment source or default payment method. Please consider adding a \
                           default payment method.";
            return Err(Failure::invalid(message, None, Some("resource_missing")));
        }
        let start = Start { customer, items, trial_end, missing_payment_method, method, metadata, ..Start::default() };
        let id = if behavior.as_deref() == Some("default_incomplete") {
            self.start_held(&start)
        } else {
            self.start(&start)
        };
        Ok(self.known(Kind::Subscription, &id))
    }

    /// Prices and quantities out of a list of items.
    pub(crate) fn read_items(&self, form: &mut Form, field: &str) -> Result<Vec<(String, i64)>, Failure> {
        let mut items = Vec::new();
        for mut item in form.list(field)? {
            let price = item.required("price")?;
            let found = self.named(Kind::Price, &price, &item.name("price"))?;
            if found["recurring"].is_null() {
                return Err(item.bad("price", "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`."));
            }
            if !found.flag("active") {
                let message =
                    format!("The price specified is inactive. This field only accepts active prices: {price}");
                return Err(item.bad("price", &message));
            }
            items.push((price, item.integer("quantity")?.unwrap_or(1)));
            item.accept(&["adjustable_quantity", "metadata", "tax_rates"]);
            item.done()?;
        }
        let mut kinds: Vec<(String, String)> = Vec::new();
        for (price, _) in &items {
            let price = self.known(Kind::Price, price);
            kinds.push((price.text("currency").to_owned(), price["recurring"]["interval"].to_string()));
        }
        kinds.dedup();
        if kinds.len() > 1 {
            let message = "Checkout and subscriptions of this script take prices of one currency and interval.";
            return Err(form.bad(field, message));
        }
        if items.is_empty() { Err(form.missing(field)) } else { Ok(items) }
    }

    /// Refuses a second currency for one customer.
    pub(crate) fn tie_currency(&self, customer: &str, items: &[(String, i64)]) -> Result<(), Failure> {
        let wanted = items.first().map(|(price, _)| self.known(Kind::Price, price).text("currency").to_owned());
        match self.tied_currency(customer) {
            Some(tied) if Some(&tied) != wanted.as_ref() => {
                let message = format!(
                    "You cannot combine currencies on a single customer. This customer has an active subscription, subscription \
                     schedule, discount, quote, invoice item or active subscription mode checkout session with currency {tied}."
                );
                Err(Failure::invalid(message, None, None))
            }
            _ => Ok(()),
        }
    }

    /// An instant at which a trial may end: ahead, and by two years at most.
    pub(crate) fn trial_instant(&self, text: &str, param: &str) -> Result<i64, Failure> {
        let refused = |message: &str| Failure::invalid(message.to_owned(), Some(param), None);
        match text.parse::<i64>() {
            Ok(at) if at > self.now + 730 * DAY => {
                Err(refused("Invalid timestamp: can be no more than two years in the future"))
            }
            Ok(at) if at > self.now => Ok(at),
            _ => Err(refused("Invalid timestamp: must be an integer Unix timestamp in the future")),
        }
    }

    /// Begins a subscription; its first invoice is charged at once.
    pub(crate) fn start(&mut self, start: &Start) -> String {
        let (id, invoice) = self.begin(start);
        self.finalize(&invoice);
        self.collect(&invoice, start.present);
        id
    }

    /// Begins a subscription whose first invoice waits for its payer.
    fn start_held(&mut self, start: &Start) -> String {
        let (id, invoice) = self.begin(start);
        self.finalize(&invoice);
        if start.trial_end.is_some() {
            self.collect(&invoice, start.present);
        }
        id
    }

    fn begin(&mut self, start: &Start) -> (String, String) {
        let id = self.new_id(Kind::Subscription);
        let first = start.items.first().map(|(price, _)| self.known(Kind::Price, price)).unwrap_or_default();
        let anchor = start.trial_end.unwrap_or(self.now);
        let period = (self.now, boundary_after(anchor, &first, self.now));
        let mut items = Vec::new();
        for (price, quantity) in &start.items {
            items.push(self.item(&id, price, *quantity, period));
        }
        let behavior = start.missing_payment_method.as_deref().unwrap_or("create_invoice");
        let metadata = if start.metadata.is_object() { start.metadata.clone() } else { json!({}) };
        let subscription = json!({
            "id": id, "object": "subscription", "application": null, "application_fee_percent": null,
            "automatic_tax": {
                "enabled": start.automatic_tax, "disabled_reason": null,
                "liability": if start.automatic_tax { json!({"type": "self"}) } else { Value::Null },
            },
            "billing_cycle_anchor": anchor, "billing_cycle_anchor_config": null, "billing_mode": {"type": "flexible", "flexible": {}},
            "billing_thresholds": null, "cancel_at": null, "cancel_at_period_end": false, "canceled_at": null,
            "cancellation_details": {"comment": null, "feedback": null, "reason": null}, "collection_method": "charge_automatically",
            "created": self.now, "currency": first["currency"], "customer": start.customer, "customer_account": null,
            "days_until_due": null, "default_payment_method": start.method, "default_source": null, "default_tax_rates": [],
            "description": null, "discounts": [], "ended_at": null, "invoice_settings": {"account_tax_ids": null, "issuer": {"type": "self"}},
            "items": list(items.clone(), false, format!("/v1/subscription_items?subscription={id}")), "latest_invoice": null,
            "livemode": false, "metadata": metadata, "next_pending_invoice_item_invoice": null, "on_behalf_of": null,
            "pause_collection": null,
            "payment_settings": {"payment_method_options": null, "payment_method_types": null, "save_default_payment_method": "off"},
            "pending_invoice_item_interval": null, "pending_setup_intent": null, "pending_update": null, "schedule": null,
            "start_date": self.now, "status": if start.trial_end.is_some() { "trialing" } else { "incomplete" }, "test_clock": null,
            "transfer_data": null, "trial_end": start.trial_end,
            "trial_settings": {"end_behavior": {"missing_payment_method": behavior}},
            "trial_start": start.trial_end.map(|_| self.now),
        });
        self.insert(Kind::Subscription, subscription, None);
        self.change(Kind::Customer, &start.customer, Some("customer.updated"), |it| {
            it["currency"] = first["currency"].clone();
        });
        if let Some(coupon) = &start.coupon {
            self.discount(&id, coupon, start.session.as_deref());
        }
        let mut lines = Vec::new();
        for item in &items {
            let line =
                if start.trial_end.is_some() { self.trial_line(item, period) } else { self.full_line(item, period) };
            lines.push(self.line(&id, &line));
        }
        let invoice = self.make_invoice(&id, "subscription_create", lines, (self.now, self.now), Collect::Later);
        self.tell("customer.subscription.created", Kind::Subscription, &id);
        (id, invoice)
    }

    fn product_name(&self, price: &Value) -> String {
        self.known(Kind::Product, price.text("product")).text("name").to_owned()
    }

    fn trial_line(&self, item: &Value, period: (i64, i64)) -> Line {
        let description = format!("Trial period for {}", self.product_name(&item["price"]));
        Line { amount: 0, description, ..self.full_line(item, period) }
    }

    pub(crate) fn full_line(&self, item: &Value, period: (i64, i64)) -> Line {
        let (price, quantity) = (item["price"].clone(), item.int("quantity"));
        Line {
            description: format!(
                "{quantity} × {} (per {})",
                self.product_name(&price),
                price.text("recurring/interval")
            ),
            amount: price.int("unit_amount") * quantity,
            quantity,
            item: item.id(),
            period,
            proration: false,
            price,
        }
    }

    pub(crate) fn prorated_line(&self, item: &Value, sign: i64, now: i64) -> Line {
        let (start, end) = (item.int("current_period_start"), item.int("current_period_end"));
        let whole = item.int("price/unit_amount") * item.int("quantity");
        let (left, length) = ((end - now).max(0), (end - start).max(1));
        let amount = (2 * whole * left + length) / (2 * length);
        let what = if sign < 0 { "Unused" } else { "Remaining" };
        let description = format!("{what} time on {}", self.product_name(&item["price"]));
        Line {
            description,
            amount: sign * amount,
            period: (now, end),
            proration: true,
            ..self.full_line(item, (now, end))
        }
    }

    /// A billing period has run out.
    pub(crate) fn renew(&mut self, id: &str) {
        let subscription = self.known(Kind::Subscription, id);
        let end = subscription.int("items/data/0/current_period_end");
        let trial = subscription.is("status", "trialing");
        if subscription.flag("cancel_at_period_end") {
            self.end_subscription(id, None);
            return;
        }
        if trial && self.method_of(&subscription).is_none() {
            match subscription.text("trial_settings/end_behavior/missing_payment_method") {
                "cancel" => return self.end_subscription(id, Some("payment_failed")),
                "pause" => return self.pause(id, "trial_end_without_payment_method"),
                _ => {}
            }
        }
        self.next_period(id, end, trial.then_some("active"), |_| {});
        let lines = self.period_lines(id);
        let before = (subscription.int("items/data/0/current_period_start"), end);
        self.make_invoice(id, "subscription_cycle", lines, before, Collect::InAnHour);
    }

    /// Moves a subscription on to the period that starts at `start`.
    pub(crate) fn next_period(&mut self, id: &str, start: i64, status: Option<&str>, also: impl FnOnce(&mut Value)) {
        let event = Some("customer.subscription.updated");
        self.change(Kind::Subscription, id, event, |it| {
            also(it);
            let end = boundary_after(it.int("billing_cycle_anchor"), &it["items"]["data"][0]["price"], start);
            if let Some(items) = it["items"]["data"].as_array_mut() {
                for item in items {
                    item["current_period_start"] = json!(start);
                    item["current_period_end"] = json!(end);
                }
            }
            if let Some(status) = status {
                it["status"] = json!(status);
            }
        });
    }

    pub(crate) fn period_lines(&mut self, id: &str) -> Vec<Value> {
        let subscription = self.known(Kind::Subscription, id);
        let mut lines = Vec::new();
        for item in subscription.list("items/data") {
            let period = (item.int("current_period_start"), item.int("current_period_end"));
            let line = self.full_line(item, period);
            lines.push(self.line(id, &line));
        }
        lines
    }

    /// Ends a subscription. Nobody collects what it still owes.
    pub(crate) fn end_subscription(&mut self, id: &str, reason: Option<&str>) {
        let now = self.now;
        let expired = self.known(Kind::Subscription, id).is("status", "incomplete");
        self.pending.remove(id);
        self.resuming.remove(id);
        let event = if expired { "customer.subscription.updated" } else { "customer.subscription.deleted" };
        self.change(Kind::Subscription, id, None, |it| {
            it["status"] = json!(if expired { "incomplete_expired" } else { "canceled" });
            it["ended_at"] = json!(now);
            if !expired {
                if it["canceled_at"].is_null() {
                    it["canceled_at"] = json!(now);
                }
                if let Some(reason) = reason {
                    it["cancellation_details"]["reason"] = json!(reason);
                }
            }
        });
        self.tell(event, Kind::Subscription, id);
        for invoice in self.invoices_of(id) {
            if expired && invoice.is("status", "open") {
                self.void(&invoice.id());
            } else if matches!(invoice.text("status"), "open" | "draft") {
                self.change(Kind::Invoice, &invoice.id(), Some("invoice.updated"), |it| {
                    it["auto_advance"] = json!(false);
                    it["automatically_finalizes_at"] = Value::Null;
                    it["next_payment_attempt"] = Value::Null;
                });
            }
        }
    }

    pub(crate) fn cancel_now(&mut self, id: &str, mut form: Form) -> Result<Value, Failure> {
        let subscription = self.named(Kind::Subscription, id, "id")?;
        if matches!(subscription.text("status"), "canceled" | "incomplete_expired") {
            return Err(Failure::missing(Kind::Subscription, id, "id").with(axum::http::StatusCode::NOT_FOUND));
        }
        let (bill, prorate) = (form.boolean("invoice_now")? == Some(true), form.boolean("prorate")? == Some(true));
        self.cancellation_details(id, &mut form)?;
        form.done()?;
        if prorate && subscription.is("status", "active") {
            for item in subscription.list("items/data") {
                let line = self.prorated_line(item, -1, self.now);
                let line = self.line(id, &line);
                self.pending.entry(id.to_owned()).or_default().push(line);
            }
        }
        if bill && self.pending.contains_key(id) {
            self.make_invoice(
                id,
                "subscription_update",
                Vec::new(),
                (self.now, self.now),
                Collect::Now { present: false },
            );
        }
        self.end_subscription(id, Some("cancellation_requested"));
        Ok(self.known(Kind::Subscription, id))
    }

    /// Writes what a customer said about leaving; told with the change that follows.
    pub(crate) fn cancellation_details(&mut self, id: &str, form: &mut Form) -> Result<(), Failure> {
        let Some(mut details) = form.nested("cancellation_details")? else { return Ok(()) };
        let (comment, feedback) = (details.text("comment")?, details.text("feedback")?);
        details.done()?;
        self.change(Kind::Subscription, id, Some("customer.subscription.updated"), |it| {
            for (field, text) in [("comment", comment), ("feedback", feedback)] {
                if let Some(text) = text {
                    it["cancellation_details"][field] = json!(text);
                }
            }
        });
        Ok(())
    }
}

/// `trial_settings[end_behavior][missing_payment_method]`.
pub(crate) fn read_end_behavior(form: &mut Form) -> Result<Option<String>, Failure> {
    let Some(mut settings) = form.nested("trial_settings")? else { return Ok(None) };
    let mut behavior = settings.nested("end_behavior")?.ok_or_else(|| settings.missing("end_behavior"))?;
    let word = behavior.word("missing_payment_method", &["cancel", "create_invoice", "pause"])?;
    let word = word.ok_or_else(|| behavior.missing("missing_payment_method"))?;
    behavior.done()?;
    settings.done()?;
    Ok(Some(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_reckoned_from_the_anchor() {
        let monthly = json!({"recurring": {"interval": "month", "interval_count": 1}});
        let jan_31 = 1_738_281_600; // 2025-01-31T00:00:00Z
        let feb = boundary_after(jan_31, &monthly, jan_31);
        assert_eq!(feb, 1_740_700_800, "February has no 31st");
        assert_eq!(boundary_after(jan_31, &monthly, feb), 1_743_379_200, "but March has");
        assert_eq!(boundary_after(jan_31, &monthly, jan_31 - 5), jan_31);
        let weekly = json!({"recurring": {"interval": "week", "interval_count": 2}});
        assert_eq!(boundary_after(jan_31, &weekly, jan_31), jan_31 + 14 * DAY);
    }
}
