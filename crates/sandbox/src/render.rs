//! Stripe's JSON of the records.

use paywall_domain::SubscriptionStatus;
use serde_json::{Value, json};

use crate::books::{Books, Charge, Discount, Invoice, Line, Sub};
use crate::calendar::{DAY, sub_months};
use crate::catalog::{COUPONS, Currency, Price, Product};
use crate::ids::{CATALOG, Kind};
use crate::story::Setting;

/// The version of Stripe's API whose shapes are made here.
pub const API_VERSION: &str = "2026-10-28.endive";

/// How many entries Stripe shows of a list within an object.
pub(crate) const EMBEDDED: usize = 10;

/// Makes the JSON of one customer's objects.
pub(crate) struct Renderer<'a> {
    pub(crate) setting: &'a Setting,
    pub(crate) tenant: u32,
    pub(crate) books: &'a Books,
}

/// When the products and prices were made: before the world's oldest customer.
pub(crate) fn catalog_created(setting: &Setting, ordinal: u16) -> i64 {
    sub_months(setting.seconds(), 30) + i64::from(ordinal) * 60
}

fn status_word(status: SubscriptionStatus) -> &'static str {
    match status {
        SubscriptionStatus::Incomplete => "incomplete",
        SubscriptionStatus::IncompleteExpired => "incomplete_expired",
        SubscriptionStatus::Trialing => "trialing",
        SubscriptionStatus::Active => "active",
        SubscriptionStatus::PastDue => "past_due",
        SubscriptionStatus::Unpaid => "unpaid",
        SubscriptionStatus::Canceled => "canceled",
        SubscriptionStatus::Paused => "paused",
    }
}

pub(crate) fn empty_address() -> Value {
    json!({"city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null})
}

/// A list in Stripe's form.
pub(crate) fn list(data: Vec<Value>, has_more: bool, url: String) -> Value {
    let mut list = serde_json::Map::new();
    list.insert("data".to_owned(), Value::Array(data));
    list.insert("has_more".to_owned(), Value::from(has_more));
    list.insert("object".to_owned(), Value::from("list"));
    list.insert("url".to_owned(), Value::String(url));
    Value::Object(list)
}

pub(crate) fn product(setting: &Setting, product: Product) -> Value {
    let ordinal = product.ordinal();
    let created = catalog_created(setting, ordinal);
    let default = setting.prices.iter().position(|price| price.product == product && price.active);
    let metadata = product.plan().map_or_else(|| json!({}), |plan| json!({"plan": plan}));
    json!({
        "id": setting.ids.id(Kind::Product, CATALOG, ordinal), "object": "product", "active": true, "created": created,
        "default_price": default.map(|at| setting.ids.id(Kind::Price, CATALOG, at as u16)),
        "description": null, "images": [], "livemode": false, "marketing_features": [], "metadata": metadata,
        "name": product.name(), "package_dimensions": null, "shippable": null, "statement_descriptor": null,
        "tax_code": null, "type": "service", "unit_label": if product == Product::Team { Some("seat") } else { None },
        "updated": created, "url": null,
    })
}

pub(crate) fn price(setting: &Setting, ordinal: u16) -> Value {
    let price = setting.prices[usize::from(ordinal)];
    json!({
        "id": setting.ids.id(Kind::Price, CATALOG, ordinal), "object": "price", "active": price.active,
        "billing_scheme": "per_unit", "created": catalog_created(setting, 20 + ordinal), "currency": price.currency.code(),
        "custom_unit_amount": null, "livemode": false, "lookup_key": null, "metadata": {}, "nickname": null,
        "product": setting.ids.id(Kind::Product, CATALOG, price.product.ordinal()),
        "recurring": {"interval": price.interval.word(), "interval_count": 1, "meter": null, "trial_period_days": null, "usage_type": "licensed"},
        "tax_behavior": "unspecified", "tiers_mode": null, "transform_quantity": null, "type": "recurring",
        "unit_amount": price.unit_amount, "unit_amount_decimal": price.unit_amount.to_string(),
    })
}

/// The older name of a price, which items still carry.
fn plan(setting: &Setting, ordinal: u16) -> Value {
    let price: Price = setting.prices[usize::from(ordinal)];
    json!({
        "id": setting.ids.id(Kind::Price, CATALOG, ordinal), "object": "plan", "active": price.active,
        "amount": price.unit_amount, "amount_decimal": price.unit_amount.to_string(), "billing_scheme": "per_unit",
        "created": catalog_created(setting, 20 + ordinal), "currency": price.currency.code(),
        "interval": price.interval.word(), "interval_count": 1, "livemode": false, "metadata": {}, "meter": null, "nickname": null,
        "product": setting.ids.id(Kind::Product, CATALOG, price.product.ordinal()), "tiers_mode": null,
        "transform_usage": null, "trial_period_days": null, "usage_type": "licensed",
    })
}

fn coupon(setting: &Setting, which: u8) -> Value {
    let coupon = COUPONS[usize::from(which)];
    json!({
        "id": coupon.id, "object": "coupon", "amount_off": coupon.amount, "created": catalog_created(setting, 90),
        "currency": coupon.amount.map(|_| "usd"), "duration": if coupon.months.is_some() { "repeating" } else { "forever" },
        "duration_in_months": coupon.months, "livemode": false, "max_redemptions": null, "metadata": {}, "name": coupon.name,
        "percent_off": coupon.percent, "redeem_by": null, "times_redeemed": 0, "valid": true,
    })
}

impl Renderer<'_> {
    fn id(&self, kind: Kind, ordinal: u16) -> String {
        self.setting.ids.id(kind, self.tenant, ordinal)
    }

    fn customer_id(&self) -> String {
        self.id(Kind::Customer, 0)
    }

    /// The object of a kind at a place, whole.
    pub(crate) fn object(&self, kind: Kind, ordinal: u16) -> Option<Value> {
        let at = usize::from(ordinal);
        match kind {
            Kind::Customer => self.customer(),
            Kind::Subscription => Some(self.subscription(ordinal, self.books.subscriptions.get(at)?)),
            Kind::Invoice => Some(self.invoice(ordinal, self.books.invoices.get(at)?)),
            Kind::Charge => Some(self.charge(ordinal, self.books.charges.get(at)?)),
            Kind::Refund => self.refund(ordinal),
            Kind::Dispute => self.dispute(ordinal),
            Kind::InvoicePayment => self.invoice_payment(ordinal),
            Kind::CreditNote => self.credit_note(ordinal),
            Kind::Event => self.event(ordinal),
            _ => None,
        }
    }

    fn customer(&self) -> Option<Value> {
        let customer = self.books.customer.as_ref()?;
        let id = self.customer_id();
        Some(json!({
            "address": null, "balance": 0, "created": customer.created, "currency": customer.currency.code(),
            "default_source": null, "delinquent": customer.delinquent, "description": null, "discount": null,
            "email": customer.email, "invoice_prefix": id[id.len() - 8..].to_ascii_uppercase(),
            "invoice_settings": {"custom_fields": null, "default_payment_method": self.id(Kind::PaymentMethod, 0), "footer": null, "rendering_options": null},
            "livemode": false, "metadata": {"tenant_id": customer.tenant_id}, "name": customer.name,
            "next_invoice_sequence": self.books.invoices.len() + 1, "object": "customer", "phone": null,
            "preferred_locales": [], "shipping": null, "tax_exempt": "none", "test_clock": null, "id": id,
        }))
    }

    /// What is left of a deleted customer.
    pub(crate) fn deleted_customer(&self) -> Value {
        json!({"id": self.customer_id(), "object": "customer", "deleted": true})
    }

    /// Every item of a subscription.
    pub(crate) fn items(&self, ordinal: u16) -> Vec<Value> {
        let Some(sub) = self.books.subscriptions.get(usize::from(ordinal)) else { return Vec::new() };
        let subscription = self.id(Kind::Subscription, ordinal);
        sub.items
            .iter()
            .enumerate()
            .map(|(at, item)| {
                json!({
                    "id": self.item_id(ordinal, at), "object": "subscription_item", "billing_thresholds": null, "created": item.created,
                    "current_period_start": sub.period.0, "current_period_end": sub.period.1, "discounts": [], "metadata": {},
                    "plan": plan(self.setting, item.price), "price": price(self.setting, item.price), "quantity": item.quantity,
                    "subscription": subscription, "tax_rates": [],
                })
            })
            .collect()
    }

    fn item_id(&self, subscription: u16, at: usize) -> String {
        self.id(Kind::SubscriptionItem, subscription * 64 + at as u16)
    }

    fn subscription(&self, ordinal: u16, sub: &Sub) -> Value {
        let id = self.id(Kind::Subscription, ordinal);
        let mut items = self.items(ordinal);
        let whole = items.len();
        items.truncate(EMBEDDED);
        let discounts: Vec<Value> = sub.discount.iter().map(|_| json!(self.id(Kind::Discount, ordinal))).collect();
        json!({
            "application": null, "application_fee_percent": null,
            "automatic_tax": {"enabled": false, "liability": null, "disabled_reason": null},
            "billing_cycle_anchor": sub.created, "billing_cycle_anchor_config": null,
            "billing_mode": {"type": "flexible", "flexible": {}}, "billing_thresholds": null,
            "cancel_at": sub.cancel_at_period_end.then_some(sub.period.1), "cancel_at_period_end": sub.cancel_at_period_end,
            "canceled_at": sub.canceled_at,
            "cancellation_details": {"comment": null, "feedback": null, "reason": sub.canceled_at.map(|_| "cancellation_requested")},
            "collection_method": "charge_automatically", "created": sub.created, "currency": sub.currency.code(),
            "customer": self.customer_id(), "customer_account": null, "days_until_due": null,
            "default_payment_method": null, "default_source": null, "default_tax_rates": [], "description": null,
            "discounts": discounts, "ended_at": sub.ended_at, "id": id,
            "invoice_settings": {"account_tax_ids": null, "issuer": {"type": "self"}},
            "items": list(items, whole > EMBEDDED, format!("/v1/subscription_items?subscription={id}")),
            "latest_invoice": sub.latest_invoice.map(|it| self.id(Kind::Invoice, it)), "livemode": false,
            "metadata": {}, "next_pending_invoice_item_invoice": null, "object": "subscription", "on_behalf_of": null,
            "pause_collection": if sub.collection_paused { json!({"behavior": "void", "resumes_at": null}) } else { Value::Null },
            "payment_settings": {"payment_method_options": null, "payment_method_types": null, "save_default_payment_method": "off"},
            "pending_invoice_item_interval": null, "pending_setup_intent": null, "pending_update": null, "schedule": null,
            "start_date": sub.created, "status": status_word(sub.status), "test_clock": null, "transfer_data": null,
            "trial_end": sub.trial.map(|it| it.1),
            "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
            "trial_start": sub.trial.map(|it| it.0),
        })
    }

    /// A discount as `expand` shows it.
    pub(crate) fn discount(&self, subscription: u16, discount: &Discount) -> Value {
        json!({
            "id": self.id(Kind::Discount, subscription), "object": "discount", "checkout_session": null,
            "customer": self.customer_id(), "customer_account": null, "end": discount.end, "invoice": null, "invoice_item": null,
            "promotion_code": null, "source": {"coupon": COUPONS[usize::from(discount.coupon)].id, "type": "coupon"},
            "start": discount.start, "subscription": self.id(Kind::Subscription, subscription), "subscription_item": null,
        })
    }

    /// A discount with its coupon.
    pub(crate) fn discount_with_coupon(&self, subscription: u16, discount: &Discount) -> Value {
        let mut value = self.discount(subscription, discount);
        value["source"]["coupon"] = coupon(self.setting, discount.coupon);
        value
    }

    /// The discount of a subscription or an invoice, with its subscription.
    pub(crate) fn discount_of(&self, kind: Kind, ordinal: u16) -> Option<(u16, Discount)> {
        match kind {
            Kind::Subscription => self.books.subscriptions.get(usize::from(ordinal))?.discount.map(|it| (ordinal, it)),
            Kind::Invoice => {
                let invoice = self.books.invoices.get(usize::from(ordinal))?;
                invoice.discount.map(|it| (invoice.sub, it))
            }
            _ => None,
        }
    }

    /// Every line of an invoice.
    pub(crate) fn lines(&self, ordinal: u16) -> Vec<Value> {
        let Some(invoice) = self.books.invoices.get(usize::from(ordinal)) else { return Vec::new() };
        invoice.lines.iter().enumerate().map(|(at, line)| self.line(ordinal, invoice, at, line)).collect()
    }

    fn line(&self, ordinal: u16, invoice: &Invoice, at: usize, line: &Line) -> Value {
        let price = self.setting.prices[usize::from(line.price)];
        let discount = self.id(Kind::Discount, invoice.sub);
        let amounts =
            if line.discounted > 0 { json!([{"amount": line.discounted, "discount": discount}]) } else { json!([]) };
        let description = if line.proration && line.amount < 0 {
            format!("Unused time on {}", price.product.name())
        } else if line.proration {
            format!("Remaining time on {}", price.product.name())
        } else {
            format!("{} × {} (per {})", line.quantity, price.product.name(), price.interval.word())
        };
        json!({
            "id": self.id(Kind::InvoiceLine, ordinal * 64 + at as u16), "object": "line_item", "amount": line.amount,
            "currency": invoice.currency.code(), "description": description, "discount_amounts": amounts, "discountable": !line.proration,
            "discounts": [], "invoice": self.id(Kind::Invoice, ordinal), "livemode": false, "metadata": {},
            "parent": {
                "invoice_item_details": null,
                "subscription_item_details": {
                    "invoice_item": null, "proration": line.proration, "proration_details": {"credited_items": null},
                    "subscription": self.id(Kind::Subscription, invoice.sub),
                    "subscription_item": self.item_id(invoice.sub, usize::from(line.item)),
                },
                "type": "subscription_item_details",
            },
            "period": {"start": line.period.0, "end": line.period.1}, "pretax_credit_amounts": [],
            "pricing": {
                "price_details": {
                    "price": self.setting.ids.id(Kind::Price, CATALOG, line.price),
                    "product": self.setting.ids.id(Kind::Product, CATALOG, price.product.ordinal()),
                },
                "type": "price_details", "unit_amount_decimal": price.unit_amount.to_string(),
            },
            "quantity": line.quantity, "quantity_decimal": line.quantity.to_string(),
            "subscription": self.id(Kind::Subscription, invoice.sub), "subtotal": line.amount, "taxes": [],
        })
    }

    fn invoice(&self, ordinal: u16, invoice: &Invoice) -> Value {
        let id = self.id(Kind::Invoice, ordinal);
        let customer = self.books.customer.as_ref();
        let paid = invoice.paid_at.is_some();
        let (subtotal, total) = (invoice.subtotal(), invoice.total());
        let mut lines = self.lines(ordinal);
        let whole = lines.len();
        lines.truncate(EMBEDDED);
        let discount = self.id(Kind::Discount, invoice.sub);
        let discounts: Vec<&str> = invoice.discount.iter().map(|_| discount.as_str()).collect();
        let discount_amounts: Vec<Value> =
            invoice.discount.iter().map(|_| json!({"amount": invoice.discounted(), "discount": discount})).collect();
        let customer_id = self.customer_id();
        let finalized = invoice.finalized_at;
        json!({
            "account_country": "US", "account_name": "Paywall sample", "account_tax_ids": null,
            "amount_due": total, "amount_overpaid": 0, "amount_paid": if paid { total } else { 0 },
            "amount_remaining": if paid { 0 } else { total }, "amount_shipping": 0, "application": null,
            "attempt_count": invoice.attempts, "attempted": invoice.attempts > 0, "auto_advance": invoice.next_attempt.is_some(),
            "automatic_tax": {"enabled": false, "liability": null, "status": null, "disabled_reason": null, "provider": null},
            "automatically_finalizes_at": null, "billing_reason": invoice.reason.word(), "collection_method": "charge_automatically",
            "created": invoice.created, "currency": invoice.currency.code(), "custom_fields": null, "customer": customer_id,
            "customer_account": null, "customer_address": null, "customer_email": customer.map(|it| &it.email),
            "customer_name": customer.map(|it| &it.name), "customer_phone": null, "customer_shipping": null,
            "customer_tax_exempt": "none", "customer_tax_ids": [], "default_payment_method": null, "default_source": null,
            "default_tax_rates": [], "description": null, "discounts": discounts, "due_date": null, "effective_at": finalized,
            "ending_balance": finalized.map(|_| 0), "footer": null, "from_invoice": null, "hosted_invoice_url": null, "id": id,
            "invoice_pdf": null, "issuer": {"type": "self"}, "last_finalization_error": null, "latest_revision": null,
            "lines": list(lines, whole > EMBEDDED, format!("/v1/invoices/{id}/lines")), "livemode": false, "metadata": {},
            "next_payment_attempt": invoice.next_attempt,
            "number": finalized.map(|_| format!("{}-{:04}", customer_id[customer_id.len() - 8..].to_ascii_uppercase(), invoice.number + 1)),
            "object": "invoice", "on_behalf_of": null,
            "parent": {
                "quote_details": null, "type": "subscription_details",
                "subscription_details": {"metadata": {}, "subscription": self.id(Kind::Subscription, invoice.sub)},
            },
            "payment_settings": {"default_mandate": null, "payment_method_options": null, "payment_method_types": null},
            "period_start": invoice.period.0, "period_end": invoice.period.1,
            "post_payment_credit_notes_amount": self.books.credited(ordinal), "pre_payment_credit_notes_amount": 0, "receipt_number": null, "rendering": null,
            "shipping_cost": null, "shipping_details": null, "starting_balance": 0, "statement_descriptor": null,
            "status": invoice.status.word(),
            "status_transitions": {
                "finalized_at": finalized, "paid_at": invoice.paid_at,
                "marked_uncollectible_at": invoice.closed_at.filter(|_| invoice.status.word() == "uncollectible"),
                "voided_at": invoice.closed_at.filter(|_| invoice.status.word() == "void"),
            },
            "subtotal": subtotal, "subtotal_excluding_tax": subtotal, "test_clock": null, "total": total,
            "total_discount_amounts": discount_amounts, "total_excluding_tax": total, "total_pretax_credit_amounts": [],
            "total_taxes": [], "webhooks_delivered_at": invoice.created,
        })
    }

    fn charge(&self, ordinal: u16, charge: &Charge) -> Value {
        let id = self.id(Kind::Charge, ordinal);
        let customer = self.books.customer.as_ref();
        let ok = charge.failure.is_none();
        let (network, kind, reason, message) = match charge.failure {
            None => ("approved_by_network", "authorized", None, "Payment complete."),
            Some(code) => ("declined_by_network", "issuer_declined", Some(code), "The bank declined the payment."),
        };
        json!({
            "amount": charge.amount, "amount_captured": if ok { charge.amount } else { 0 }, "amount_refunded": charge.refunded,
            "application": null, "application_fee": null, "application_fee_amount": null,
            "balance_transaction": ok.then(|| self.id(Kind::BalanceTransaction, ordinal)),
            "billing_details": {
                "address": empty_address(), "email": customer.map(|it| &it.email), "name": customer.map(|it| &it.name),
                "phone": null, "tax_id": null,
            },
            "calculated_statement_descriptor": "PAYWALL SAMPLE", "captured": ok, "created": charge.created,
            "currency": charge.currency.code(), "customer": self.customer_id(), "description": "Subscription",
            "disputed": charge.disputed, "failure_balance_transaction": null, "failure_code": charge.failure,
            "failure_message": charge.failure.map(|_| message), "fraud_details": {}, "id": id, "livemode": false, "metadata": {},
            "object": "charge", "on_behalf_of": null,
            "outcome": {
                "advice_code": null, "network_advice_code": null, "network_decline_code": null, "network_status": network,
                "reason": reason, "seller_message": message, "type": kind,
            },
            "paid": ok, "payment_intent": self.id(Kind::PaymentIntent, charge.invoice), "payment_method": self.id(Kind::PaymentMethod, 0),
            "payment_method_details": {
                "card": {
                    "amount_authorized": if ok { Some(charge.amount) } else { None }, "authorization_code": null, "brand": "visa",
                    "checks": {"address_line1_check": null, "address_postal_code_check": null, "cvc_check": null},
                    "country": charge.currency.country(), "exp_month": 8, "exp_year": 2030, "funding": "credit", "last4": "4242",
                    "network": "visa",
                },
                "type": "card",
            },
            "receipt_email": null, "receipt_number": null, "receipt_url": null, "refunded": ok && charge.refunded >= charge.amount,
            "review": null, "shipping": null, "source_transfer": null, "statement_descriptor": null,
            "statement_descriptor_suffix": null, "status": if ok { "succeeded" } else { "failed" }, "transfer_data": null,
            "transfer_group": null,
        })
    }

    fn refund(&self, ordinal: u16) -> Option<Value> {
        let refund = self.books.refunds.get(usize::from(ordinal))?;
        let charge = self.books.charges.get(usize::from(refund.charge))?;
        Some(json!({
            "id": self.id(Kind::Refund, ordinal), "object": "refund", "amount": refund.amount,
            "balance_transaction": self.id(Kind::BalanceTransaction, 0x4000 + ordinal), "charge": self.id(Kind::Charge, refund.charge),
            "created": refund.created, "currency": charge.currency.code(),
            "destination_details": {"card": {"type": "refund"}, "type": "card"}, "metadata": {},
            "payment_intent": self.id(Kind::PaymentIntent, charge.invoice), "reason": refund.reason, "receipt_number": null,
            "source_transfer_reversal": null, "status": "succeeded", "transfer_reversal": null,
        }))
    }

    fn invoice_payment(&self, ordinal: u16) -> Option<Value> {
        let payment = self.books.payments.get(usize::from(ordinal))?;
        let invoice = self.books.invoices.get(usize::from(payment.invoice))?;
        let (paid, voided) = (invoice.paid_at, invoice.closed_at.filter(|_| invoice.status.word() == "void"));
        Some(json!({
            "id": self.id(Kind::InvoicePayment, ordinal), "object": "invoice_payment",
            "amount_paid": paid.map(|_| invoice.total()), "amount_requested": invoice.total(), "created": payment.created,
            "currency": invoice.currency.code(), "invoice": self.id(Kind::Invoice, payment.invoice), "is_default": true,
            "livemode": false,
            "payment": {"payment_intent": self.id(Kind::PaymentIntent, payment.invoice), "type": "payment_intent"},
            "status": if paid.is_some() { "paid" } else if voided.is_some() { "canceled" } else { "open" },
            "status_transitions": {"canceled_at": voided, "paid_at": paid},
        }))
    }

    /// The payments of an invoice.
    pub(crate) fn payments(&self, invoice: u16) -> Vec<Value> {
        self.books.payment_of(invoice).and_then(|at| self.invoice_payment(at)).into_iter().collect()
    }

    /// Every line of a credit note: one, of what was given back.
    pub(crate) fn credit_note_lines(&self, ordinal: u16) -> Vec<Value> {
        let Some(note) = self.books.credit_notes.get(usize::from(ordinal)) else { return Vec::new() };
        let amount = self.books.refunds.get(usize::from(note.refund)).map_or(0, |it| it.amount);
        vec![json!({
            "id": self.id(Kind::CreditNoteLine, ordinal), "object": "credit_note_line_item", "amount": amount,
            "description": "Given back", "discount_amount": 0, "discount_amounts": [], "livemode": false, "metadata": null,
            "pretax_credit_amounts": [], "quantity": 1, "tax_rates": [], "taxes": null, "type": "custom_line_item",
            "unit_amount": amount, "unit_amount_decimal": amount.to_string(),
        })]
    }

    fn credit_note(&self, ordinal: u16) -> Option<Value> {
        let note = self.books.credit_notes.get(usize::from(ordinal))?;
        let refund = self.books.refunds.get(usize::from(note.refund))?;
        let charge = self.books.charges.get(usize::from(refund.charge))?;
        let (id, customer) = (self.id(Kind::CreditNote, ordinal), self.customer_id());
        let number = format!("{}-CN-{:02}", customer[customer.len() - 8..].to_ascii_uppercase(), ordinal + 1);
        let amount = refund.amount;
        Some(json!({
            "id": id, "object": "credit_note", "amount": amount, "amount_shipping": 0, "created": note.created,
            "currency": charge.currency.code(), "customer": customer, "customer_account": null,
            "customer_balance_transaction": null, "discount_amount": 0, "discount_amounts": [], "effective_at": note.created,
            "invoice": self.id(Kind::Invoice, charge.invoice),
            "lines": list(self.credit_note_lines(ordinal), false, format!("/v1/credit_notes/{id}/lines")), "livemode": false,
            "memo": null, "metadata": {}, "number": number, "out_of_band_amount": null, "pdf": null, "post_payment_amount": amount,
            "pre_payment_amount": 0, "pretax_credit_amounts": [], "reason": "order_change",
            "refunds": [{"amount_refunded": amount, "refund": self.id(Kind::Refund, note.refund), "type": "refund"}],
            "shipping_cost": null, "status": "issued", "subtotal": amount, "subtotal_excluding_tax": amount, "total": amount,
            "total_excluding_tax": amount, "total_taxes": [], "type": "post_payment", "voided_at": null,
        }))
    }

    fn dispute(&self, ordinal: u16) -> Option<Value> {
        let dispute = self.books.disputes.get(usize::from(ordinal))?;
        let charge = self.books.charges.get(usize::from(dispute.charge))?;
        let currency: Currency = charge.currency;
        Some(json!({
            "id": self.id(Kind::Dispute, ordinal), "object": "dispute", "amount": charge.amount, "balance_transactions": [],
            "charge": self.id(Kind::Charge, dispute.charge), "created": dispute.created, "currency": currency.code(),
            "enhanced_eligibility_types": [], "evidence": {"customer_name": null, "receipt": null, "uncategorized_text": null},
            "evidence_details": {
                "due_by": dispute.created + 14 * DAY, "enhanced_eligibility": {}, "has_evidence": false,
                "past_due": dispute.closed_at.is_some(), "submission_count": 0,
            },
            "is_charge_refundable": false, "livemode": false, "metadata": {},
            "payment_intent": self.id(Kind::PaymentIntent, charge.invoice),
            "payment_method_details": {"card": {"brand": "visa", "case_type": "chargeback", "network_reason_code": "10.4"}, "type": "card"},
            "reason": dispute.reason, "status": dispute.status,
        }))
    }

    fn event(&self, ordinal: u16) -> Option<Value> {
        let event = self.books.events.get(usize::from(ordinal))?;
        Some(json!({
            "id": self.id(Kind::Event, ordinal), "object": "event", "api_version": API_VERSION, "created": event.created,
            "data": {"object": self.object(event.object, event.ordinal)}, "livemode": false, "pending_webhooks": 0,
            "request": {"id": null, "idempotency_key": null}, "type": event.kind,
        }))
    }
}
