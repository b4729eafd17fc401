//! Invoices: how they are made, become final, and what they say of their subscription.

use serde_json::{Value, json};

use super::state::{Fields, State};
use crate::calendar::HOUR;
use crate::ids::Kind;
use crate::render::list;
use crate::wire::Failure;

/// When a new invoice is collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Collect {
    /// It becomes final and is charged at once, its payer at the screen or not.
    Now { present: bool },
    /// It becomes final at once; nobody charges it.
    Never,
    /// It stays a draft that its maker takes further.
    Later,
    /// About an hour later, as for renewals.
    InAnHour,
}

/// What an invoice charges for.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) description: String,
    pub(crate) amount: i64,
    pub(crate) quantity: i64,
    pub(crate) price: Value,
    pub(crate) item: String,
    pub(crate) period: (i64, i64),
    pub(crate) proration: bool,
}

impl State {
    /// A line in Stripe's form, of no invoice yet.
    pub(crate) fn line(&mut self, subscription: &str, line: &Line) -> Value {
        json!({
            "id": self.new_id(Kind::InvoiceLine), "object": "line_item", "amount": line.amount, "currency": line.price["currency"],
            "description": line.description, "discount_amounts": [], "discountable": !line.proration, "discounts": [], "invoice": null,
            "livemode": false, "metadata": {},
            "parent": {
                "invoice_item_details": null,
                "subscription_item_details": {
                    "invoice_item": null, "proration": line.proration, "proration_details": {"credited_items": null},
                    "subscription": subscription, "subscription_item": line.item,
                },
                "type": "subscription_item_details",
            },
            "period": {"start": line.period.0, "end": line.period.1}, "pretax_credit_amounts": [],
            "pricing": {
                "price_details": {"price": line.price["id"], "product": line.price["product"]}, "type": "price_details",
                "unit_amount_decimal": line.price["unit_amount_decimal"],
            },
            "quantity": line.quantity, "quantity_decimal": line.quantity.to_string(), "subscription": subscription,
            "subtotal": line.amount, "taxes": [],
        })
    }

    /// Makes an invoice of a subscription out of lines and whatever waited for its next one.
    pub(crate) fn make_invoice(
        &mut self,
        subscription: &str,
        reason: &str,
        mut lines: Vec<Value>,
        period: (i64, i64),
        collect: Collect,
    ) -> String {
        let of = self.known(Kind::Subscription, subscription);
        lines.splice(0..0, self.pending.remove(subscription).unwrap_or_default());
        let id = self.new_id(Kind::Invoice);
        let (discounts, discount_amounts) = self.reduce(&of, &mut lines);
        for line in &mut lines {
            line["invoice"] = json!(id);
        }
        let subtotal: i64 = lines.iter().map(|line| line.int("amount")).sum();
        let reduced: i64 = discount_amounts.iter().map(|it| it.int("amount")).sum();
        let total = subtotal - reduced;
        let customer = self.known(Kind::Customer, of.text("customer"));
        let tax = of["automatic_tax"]["enabled"] == true;
        let drafted = collect == Collect::InAnHour;
        // A paused collection keeps drafts; unpaid subscriptions bill into drafts that nobody collects.
        let kept = drafted && (of.is("pause_collection/behavior", "keep_as_draft") || of.is("status", "unpaid"));
        let due_in_an_hour = (drafted && !kept).then_some(self.now + HOUR);
        let invoice = json!({
            "id": id, "object": "invoice", "account_country": "US", "account_name": "Paywall sample", "account_tax_ids": null,
            "amount_due": total.max(0), "amount_overpaid": 0, "amount_paid": 0, "amount_remaining": total.max(0), "amount_shipping": 0,
            "application": null, "attempt_count": 0, "attempted": false, "auto_advance": !kept && collect != Collect::Never,
            "automatic_tax": {
                "enabled": tax, "liability": if tax { json!({"type": "self"}) } else { Value::Null },
                "status": if tax { json!("complete") } else { Value::Null }, "disabled_reason": null,
                "provider": if tax { json!("stripe") } else { Value::Null },
            },
            "automatically_finalizes_at": due_in_an_hour, "billing_reason": reason, "collection_method": "charge_automatically",
            "created": self.now, "currency": of["currency"], "custom_fields": null, "customer": of["customer"],
            "customer_account": null, "customer_address": customer["address"], "customer_email": customer["email"],
            "customer_name": customer["name"], "customer_phone": customer["phone"], "customer_shipping": null,
            "customer_tax_exempt": customer["tax_exempt"], "customer_tax_ids": [], "default_payment_method": null, "default_source": null,
            "default_tax_rates": [], "description": null, "discounts": discounts, "due_date": null, "effective_at": null,
            "ending_balance": null, "footer": null, "from_invoice": null, "hosted_invoice_url": null, "invoice_pdf": null,
            "issuer": {"type": "self"}, "last_finalization_error": null, "latest_revision": null,
            "lines": list(lines, false, format!("/v1/invoices/{id}/lines")), "livemode": false, "metadata": {},
            "next_payment_attempt": due_in_an_hour, "number": null, "on_behalf_of": null,
            "parent": {
                "quote_details": null, "type": "subscription_details",
                "subscription_details": {"metadata": of["metadata"], "subscription": subscription},
            },
            "payment_settings": {"default_mandate": null, "payment_method_options": null, "payment_method_types": null},
            "period_start": period.0, "period_end": period.1, "post_payment_credit_notes_amount": 0,
            "pre_payment_credit_notes_amount": 0, "receipt_number": null, "rendering": null, "shipping_cost": null,
            "shipping_details": null, "starting_balance": customer.int("balance"), "statement_descriptor": null, "status": "draft",
            "status_transitions": {"finalized_at": null, "marked_uncollectible_at": null, "paid_at": null, "voided_at": null},
            "subtotal": subtotal, "subtotal_excluding_tax": subtotal, "test_clock": null, "total": total,
            "total_discount_amounts": discount_amounts, "total_excluding_tax": total, "total_pretax_credit_amounts": [],
            "total_taxes": [], "webhooks_delivered_at": null,
        });
        self.insert(Kind::Invoice, invoice, Some("invoice.created"));
        // A new subscription is told of with its first invoice.
        let event = (reason != "subscription_create").then_some("customer.subscription.updated");
        self.change(Kind::Subscription, subscription, event, |it| it["latest_invoice"] = json!(id));
        match collect {
            Collect::Now { present } => {
                self.finalize(&id);
                self.collect(&id, present);
            }
            Collect::Never => self.finalize(&id),
            Collect::Later | Collect::InAnHour => {}
        }
        id
    }

    /// Takes the subscription's discount off what can be discounted.
    fn reduce(&self, subscription: &Value, lines: &mut [Value]) -> (Value, Vec<Value>) {
        let discount = subscription.list("discounts").first().and_then(Value::as_str).unwrap_or_default();
        let discount = self.known(Kind::Discount, discount);
        let over = discount.int_at("end").is_some_and(|end| end <= self.now);
        let coupon = self.known(Kind::Coupon, discount.text("source/coupon"));
        let percent = coupon.int("percent_off");
        if over || percent == 0 {
            return (json!([]), Vec::new());
        }
        let mut sum = 0;
        for line in lines.iter_mut().filter(|line| line.flag("discountable")) {
            let amount = (line.int("amount") * percent + 50).div_euclid(100);
            sum += amount;
            line["discount_amounts"] = json!([{"amount": amount, "discount": discount["id"]}]);
        }
        (json!([discount["id"]]), vec![json!({"amount": sum, "discount": discount["id"]})])
    }

    /// Makes a draft final: it gets its number, takes the customer's balance into account, and is open.
    pub(crate) fn finalize(&mut self, id: &str) {
        let invoice = self.known(Kind::Invoice, id);
        if !invoice.is("status", "draft") {
            return;
        }
        let customer_id = invoice.text("customer").to_owned();
        let customer = self.known(Kind::Customer, &customer_id);
        let (total, balance) = (invoice.int("total"), customer.int("balance"));
        // A negative balance is credit, which goes first; a negative total becomes such credit.
        let due = (total + balance).max(0);
        let ending = balance + total - due;
        let sequence = customer.int("next_invoice_sequence");
        if self.get(Kind::Customer, &customer_id).is_some_and(|it| !it.flag("deleted")) {
            // Stripe tells of the balance, but not of the number that the next invoice gets.
            self.change(Kind::Customer, &customer_id, None, |it| it["next_invoice_sequence"] = json!(sequence + 1));
            self.change(Kind::Customer, &customer_id, Some("customer.updated"), |it| it["balance"] = json!(ending));
        }
        let url = format!("{}/i/{id}", self.base);
        let now = self.now;
        self.change(Kind::Invoice, id, None, |it| {
            it["status"] = json!("open");
            it["number"] = json!(format!("{}-{sequence:04}", customer.text("invoice_prefix")));
            it["automatically_finalizes_at"] = Value::Null;
            it["effective_at"] = json!(now);
            it["status_transitions"]["finalized_at"] = json!(now);
            it["hosted_invoice_url"] = json!(url);
            it["invoice_pdf"] = json!(format!("{url}/pdf"));
            it["starting_balance"] = json!(balance);
            it["ending_balance"] = json!(ending);
            it["amount_due"] = json!(due);
            it["amount_remaining"] = json!(due);
        });
        if due > 0 {
            self.intend(id);
        }
        self.tell("invoice.finalized", Kind::Invoice, id);
    }

    /// What happens to a renewal's draft about an hour after it was made.
    pub(crate) fn advance_draft(&mut self, id: &str) {
        let invoice = self.known(Kind::Invoice, id);
        let subscription = self.known(Kind::Subscription, invoice.text("parent/subscription_details/subscription"));
        let behavior = subscription.text("pause_collection/behavior");
        if behavior == "keep_as_draft" {
            self.change(Kind::Invoice, id, Some("invoice.updated"), |it| {
                it["auto_advance"] = json!(false);
                it["automatically_finalizes_at"] = Value::Null;
                it["next_payment_attempt"] = Value::Null;
            });
            return;
        }
        self.finalize(id);
        match behavior {
            "void" => self.void(id),
            "mark_uncollectible" => self.write_off(id),
            _ => self.collect(id, false),
        }
    }

    pub(crate) fn void(&mut self, id: &str) {
        let now = self.now;
        self.drop_payment(id);
        self.change(Kind::Invoice, id, Some("invoice.voided"), |it| {
            it["status"] = json!("void");
            it["auto_advance"] = json!(false);
            it["next_payment_attempt"] = Value::Null;
            it["status_transitions"]["voided_at"] = json!(now);
        });
        self.settle_standing(&self.subscription_of(id));
    }

    pub(crate) fn write_off(&mut self, id: &str) {
        let now = self.now;
        self.change(Kind::Invoice, id, Some("invoice.marked_uncollectible"), |it| {
            it["status"] = json!("uncollectible");
            it["auto_advance"] = json!(false);
            it["next_payment_attempt"] = Value::Null;
            it["status_transitions"]["marked_uncollectible_at"] = json!(now);
        });
        let subscription = self.subscription_of(id);
        self.resumed_by(&subscription, id, "active");
        self.settle_standing(&subscription);
    }

    pub(crate) fn subscription_of(&self, invoice: &str) -> String {
        let invoice = self.get(Kind::Invoice, invoice);
        invoice.map_or("", |it| it.text("parent/subscription_details/subscription")).to_owned()
    }

    /// Brings a subscription's status in line with its latest final invoice that is not void.
    pub(crate) fn settle_standing(&mut self, subscription: &str) {
        let status = self.known(Kind::Subscription, subscription).text("status").to_owned();
        if !matches!(status.as_str(), "incomplete" | "past_due" | "unpaid") {
            return;
        }
        let invoices = self.invoices_of(subscription);
        let latest = invoices.iter().rev().find(|it| !matches!(it.text("status"), "draft" | "void"));
        let fine = latest
            .is_some_and(|it| it.is("status", "paid") || (it.is("status", "uncollectible") && status != "incomplete"));
        if fine {
            let event = Some("customer.subscription.updated");
            self.change(Kind::Subscription, subscription, event, |it| it["status"] = json!("active"));
        }
    }

    pub(crate) fn act_on_invoice(&mut self, id: &str, act: &str) -> Result<Value, Failure> {
        let invoice = self.named(Kind::Invoice, id, "invoice")?;
        let status = invoice.text("status").to_owned();
        let allowed: &[&str] = match act {
            "finalize" => &["draft"],
            "mark_uncollectible" => &["open"],
            _ => &["open", "uncollectible"],
        };
        if !allowed.contains(&status.as_str()) {
            let message = match (act, status.as_str()) {
                ("pay", "paid") => "Invoice is already paid".to_owned(),
                _ => format!(
                    "You can only {} {} invoices. This invoice is {status}.",
                    act.replace('_', " "),
                    allowed.join(" or ")
                ),
            };
            return Err(Failure::invalid(message, None, Some("invoice_not_editable").filter(|_| act != "pay")));
        }
        let parent = self.known(Kind::Subscription, invoice.text("parent/subscription_details/subscription"));
        if act != "finalize"
            && parent.is("status", "incomplete")
            && self.session_of(&parent.id()).is_some()
            && act != "pay"
        {
            let message = "You can't update the subscription or its invoice while its Checkout Session is open.";
            return Err(Failure::invalid(message, None, None));
        }
        match act {
            "finalize" => self.finalize(id),
            "void" => self.void(id),
            "mark_uncollectible" => self.write_off(id),
            _ => {
                self.collect(id, false);
                let after = self.known(Kind::Invoice, id);
                if !after.is("status", "paid")
                    && let Some(failure) = self.payment_failure(id)
                {
                    return Err(failure);
                }
            }
        }
        Ok(self.known(Kind::Invoice, id))
    }
}
