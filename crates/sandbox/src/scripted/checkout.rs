//! Checkout sessions that begin a subscription.

use serde_json::{Value, json};

use super::cards::Card;
use super::form::Form;
use super::state::{Fields, State};
use super::subscriptions::{Start, read_end_behavior};
use crate::calendar::{DAY, HOUR};
use crate::ids::Kind;
use crate::render::{empty_address, list};
use crate::wire::Failure;

/// What a session will begin, and what it has begun.
#[derive(Debug, Clone, Default)]
pub(crate) struct Terms {
    start: Start,
    card_required: bool,
    save_address: bool,
    success_url: String,
    /// A subscription whose first payment was refused.
    subscription: Option<String>,
}

/// What a person fills in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filled {
    pub(crate) card: Option<Card>,
    pub(crate) code: Option<String>,
    pub(crate) country: Option<String>,
    pub(crate) email: Option<String>,
}

/// What Stripe takes for a session and what this script does not act on.
const IGNORED: [&str; 15] = [
    "phone_number_collection",
    "consent_collection",
    "custom_text",
    "custom_fields",
    "payment_method_options",
    "saved_payment_method_options",
    "after_expiration",
    "submit_type",
    "shipping_address_collection",
    "adaptive_pricing",
    "branding_settings",
    "currency",
    "payment_method_types",
    "integration_identifier",
    "origin_context",
];

impl State {
    pub(crate) fn create_session(&mut self, mut form: Form) -> Result<Value, Failure> {
        let mode = form.word("mode", &["payment", "setup", "subscription"])?.ok_or_else(|| form.missing("mode"))?;
        if mode != "subscription" {
            return Err(form.bad("mode", "This script makes Checkout Sessions of mode `subscription` alone."));
        }
        let success_url = form.required("success_url")?;
        let cancel_url = form.text("cancel_url")?.filter(|it| !it.is_empty());
        for (field, url) in [("success_url", Some(&success_url)), ("cancel_url", cancel_url.as_ref())] {
            if url.is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
                let message = "Not a valid URL";
                return Err(Failure::invalid(message, Some(field), Some("url_invalid")));
            }
        }
        let customer = form.text("customer")?.filter(|it| !it.is_empty());
        let email = form.text("customer_email")?.filter(|it| !it.is_empty());
        if customer.is_some() && email.is_some() {
            let message = "You may only specify one of these parameters: customer, customer_email.";
            return Err(Failure::invalid(message, Some("customer"), None));
        }
        let holder = customer.as_ref().map(|id| self.named(Kind::Customer, id, "customer")).transpose()?;
        let reference = form.text("client_reference_id")?.filter(|it| !it.is_empty());
        if reference.as_ref().is_some_and(|it| it.chars().count() > 200) {
            return Err(form.bad("client_reference_id", "Invalid string: must be at most 200 characters"));
        }
        let metadata = form.metadata(&json!({}))?;
        let items = self.read_items(&mut form, "line_items")?;
        if let Some(customer) = &customer {
            self.tie_currency(customer, &items)?;
        }
        let mut start =
            Start { customer: customer.clone().unwrap_or_default(), items, present: true, ..Start::default() };
        start.metadata = json!({});
        if let Some(mut data) = form.nested("subscription_data")? {
            self.read_subscription_data(&mut data, &mut start)?;
            data.done()?;
        }
        let collection =
            form.word("payment_method_collection", &["always", "if_required"])?.unwrap_or("always".to_owned());
        let tax = read_flag(&mut form, "automatic_tax")?;
        let tax_ids = read_flag(&mut form, "tax_id_collection")?;
        let (save_address, save_name) = match form.nested("customer_update")? {
            None => (false, false),
            Some(mut update) if customer.is_some() => {
                let mut auto =
                    |field: &str| update.word(field, &["auto", "never"]).map(|it| it.is_some_and(|it| it == "auto"));
                let read = (auto("address")?, auto("name")?);
                update.accept(&["shipping"]);
                update.done()?;
                read
            }
            Some(_) => {
                let message = "`customer_update` can only be used with `customer`.";
                return Err(form.bad("customer_update", message));
            }
        };
        if tax && !save_address && holder.as_ref().is_some_and(|it| it["address"]["country"].is_null()) {
            let message = "Automatic tax calculation in Checkout requires a valid address on the Customer. Add a valid address to \
                           the Customer or set either `customer_update[address]` to 'auto' or `customer_update[shipping]` to 'auto' \
                           to save the address entered in Checkout to the Customer.";
            return Err(Failure::invalid(message, Some("automatic_tax"), Some("customer_tax_location_invalid")));
        }
        if tax_ids && !save_name && customer.is_some() {
            let message = "Tax ID collection requires updating business name on the customer. To enable tax ID collection for an \
                           existing customer, please set `customer_update[name]` to `auto`.";
            return Err(Failure::invalid(message, None, None));
        }
        start.automatic_tax = tax;
        let codes = form.boolean("allow_promotion_codes")?;
        let discounts = form.list("discounts")?;
        if codes == Some(true) && !discounts.is_empty() {
            let message = "You may only specify one of these parameters: allow_promotion_codes, discounts.";
            return Err(Failure::invalid(message, Some("allow_promotion_codes"), None));
        }
        for mut discount in discounts {
            let coupon = discount.required("coupon")?;
            start.coupon = Some(self.named(Kind::Coupon, &coupon, &discount.name("coupon"))?.id());
            discount.done()?;
        }
        let expires_at = match form.integer("expires_at")? {
            None => self.now + DAY,
            Some(at) if at < self.now + HOUR / 2 || at > self.now + DAY => {
                let message = "The `expires_at` timestamp must be at least 30 minutes and at most 24 hours from Checkout Session creation.";
                return Err(form.bad("expires_at", message));
            }
            Some(at) => at,
        };
        form.word("ui_mode", &["hosted", "hosted_page"])?;
        let locale = form.text("locale")?;
        let address = form.word("billing_address_collection", &["auto", "required"])?;
        form.accept(&IGNORED);
        form.done()?;

        let id = self.new_id(Kind::CheckoutSession);
        let full: i64 =
            start.items.iter().map(|(price, count)| self.known(Kind::Price, price).int("unit_amount") * count).sum();
        let total = if start.trial_end.is_some() { 0 } else { full };
        let currency = start.items.first().map(|(price, _)| self.known(Kind::Price, price)["currency"].clone());
        let liability = if tax { json!({"type": "self"}) } else { Value::Null };
        let mut session = json!({
            "id": id, "object": "checkout.session", "adaptive_pricing": null, "after_expiration": null, "allow_promotion_codes": codes,
            "amount_subtotal": total, "amount_total": total,
            "automatic_tax": {"enabled": tax, "liability": liability, "provider": null, "status": if tax { json!("requires_location_inputs") } else { Value::Null }},
            "billing_address_collection": address, "cancel_url": cancel_url, "client_reference_id": reference, "client_secret": null,
            "collected_information": null, "consent": null, "consent_collection": null, "created": self.now, "currency": currency,
            "currency_conversion": null, "custom_fields": [],
            "custom_text": {"after_submit": null, "shipping_address": null, "submit": null, "terms_of_service_acceptance": null},
            "customer": customer, "customer_account": null, "customer_creation": if customer.is_none() { json!("always") } else { Value::Null },
            "customer_details": holder.as_ref().map(details_of), "customer_email": email, "discounts": [], "expires_at": expires_at,
            "invoice": null, "invoice_creation": null, "livemode": false, "locale": locale, "metadata": metadata, "mode": "subscription",
            "origin_context": null, "payment_intent": null, "payment_link": null, "payment_method_collection": collection,
            "payment_method_configuration_details": null, "payment_method_options": {}, "payment_method_types": ["card", "sepa_debit"],
            "payment_status": "unpaid", "permissions": null, "phone_number_collection": {"enabled": false}, "recovered_from": null,
            "saved_payment_method_options": {"allow_redisplay_filters": ["always"], "payment_method_remove": "disabled", "payment_method_save": null},
            "setup_intent": null, "shipping_address_collection": null, "shipping_cost": null, "shipping_options": [], "status": "open",
            "submit_type": null, "subscription": null, "success_url": success_url,
            "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0}, "ui_mode": "hosted_page",
            "url": format!("{}/checkout/{id}", self.base), "wallet_options": null,
        });
        if tax_ids {
            session["tax_id_collection"] = json!({"enabled": true, "required": "never"});
        }
        let card_required = collection == "always" || total > 0;
        let terms = Terms { start, card_required, save_address, success_url, subscription: None };
        self.terms.insert(id.clone(), terms);
        self.insert(Kind::CheckoutSession, session, None);
        Ok(self.known(Kind::CheckoutSession, &id))
    }

    fn read_subscription_data(&self, data: &mut Form, start: &mut Start) -> Result<(), Failure> {
        start.metadata = data.metadata(&json!({}))?;
        let (days, end) = (data.integer("trial_period_days")?, data.integer("trial_end")?);
        start.trial_end = match (days, end) {
            (Some(_), Some(_)) => {
                let message = "You may only specify one of these parameters: trial_end, trial_period_days.";
                return Err(data.bad("trial_end", message));
            }
            (Some(days), None) if (1..=730).contains(&days) => Some(self.now + days * DAY),
            (Some(_), None) => {
                return Err(data.bad("trial_period_days", "Invalid trial_period_days: must be between 1 and 730"));
            }
            (None, Some(end)) if end < self.now + 2 * DAY => {
                return Err(data.bad("trial_end", "The `trial_end` date has to be at least 2 days in the future."));
            }
            (None, Some(end)) => Some(self.trial_instant(&end.to_string(), &data.name("trial_end"))?),
            (None, None) => None,
        };
        start.missing_payment_method = read_end_behavior(data)?;
        if start.missing_payment_method.is_some() && start.trial_end.is_none() {
            let message = "`trial_settings` can only be set with `trial_end` or `trial_period_days`.";
            return Err(data.bad("trial_settings", message));
        }
        data.accept(&[
            "description",
            "default_tax_rates",
            "invoice_settings",
            "proration_behavior",
            "billing_mode",
            "billing_cycle_anchor",
        ]);
        Ok(())
    }

    /// The session to which an unpaid subscription still belongs.
    pub(crate) fn session_of(&self, subscription: &str) -> Option<String> {
        let of = self.terms.iter().find(|(_, terms)| terms.subscription.as_deref() == Some(subscription));
        let (id, _) = of?;
        self.get(Kind::CheckoutSession, id).filter(|it| it.is("status", "open")).map(Fields::id)
    }

    /// The items that a session sells.
    pub(crate) fn line_items(&self, id: &str) -> Result<Vec<Value>, Failure> {
        let session = self.named(Kind::CheckoutSession, id, "session")?;
        let terms = self.terms.get(id).cloned().unwrap_or_default();
        let free = session.int("amount_total") == 0;
        Ok(terms.start.items.iter().enumerate().map(|(at, (price, quantity))| {
            let price = self.known(Kind::Price, price);
            let amount = if free { 0 } else { price.int("unit_amount") * quantity };
            let product = self.known(Kind::Product, price.text("product"));
            json!({
                "id": format!("li_{}{at}", &id[9..]), "object": "item", "amount_discount": 0, "amount_subtotal": amount, "amount_tax": 0,
                "amount_total": amount, "currency": price["currency"], "description": product["name"], "price": price, "quantity": quantity,
            })
        }).collect())
    }

    pub(crate) fn expire_session(&mut self, id: &str, form: Form) -> Result<Value, Failure> {
        form.done()?;
        let session = self.named(Kind::CheckoutSession, id, "session")?;
        if !session.is("status", "open") {
            let message = format!(
                "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout Session has a status of `{}`.",
                session.text("status")
            );
            return Err(Failure::invalid(message, None, None));
        }
        self.close_session(id);
        Ok(self.known(Kind::CheckoutSession, id))
    }

    pub(crate) fn update_session(&mut self, id: &str, mut form: Form) -> Result<Value, Failure> {
        let session = self.named(Kind::CheckoutSession, id, "session")?;
        let metadata = form.metadata(&session["metadata"])?;
        form.done()?;
        self.change(Kind::CheckoutSession, id, None, |it| it["metadata"] = metadata);
        Ok(self.known(Kind::CheckoutSession, id))
    }

    /// An open session is over; what it has begun without being paid is over with it.
    pub(crate) fn close_session(&mut self, id: &str) {
        self.change(Kind::CheckoutSession, id, None, |it| {
            it["status"] = json!("expired");
            it["url"] = Value::Null;
        });
        self.tell("checkout.session.expired", Kind::CheckoutSession, id);
        if let Some(subscription) = self.terms.get(id).and_then(|it| it.subscription.clone()) {
            self.end_subscription(&subscription, None);
        }
    }

    /// A person pays: where to go then, or what the page has to say.
    pub(crate) fn pay_session(&mut self, id: &str, filled: &Filled) -> Result<String, String> {
        let Some(session) = self.get(Kind::CheckoutSession, id).cloned() else {
            return Err("Something went wrong. The page you were looking for could not be found.".to_owned());
        };
        if !session.is("status", "open") {
            return Err("This checkout session has timed out, or was completed.".to_owned());
        }
        let mut terms = self.terms.get(id).cloned().unwrap_or_default();
        if let Some(code) = filled.code.as_deref().map(str::trim).filter(|it| !it.is_empty()) {
            if !session.flag("allow_promotion_codes") || self.get(Kind::Coupon, code).is_none() {
                return Err("This code is invalid.".to_owned());
            }
            terms.start.coupon = Some(code.to_owned());
        }
        if filled.card.is_none() && terms.card_required {
            return Err("Your card number is incomplete.".to_owned());
        }
        if let Some(refusal) = filled.card.filter(|_| terms.start.trial_end.is_some()).and_then(Card::refused_to_save) {
            return Err(refusal.message.to_owned());
        }
        self.fill_in_customer(&session, &mut terms, filled);
        let method = filled.card.map(|card| self.attach(&terms.start.customer, card));
        let subscription = if let Some(subscription) = terms.subscription.clone() {
            self.change(Kind::Subscription, &subscription, Some("customer.subscription.updated"), |it| {
                it["default_payment_method"] = json!(method);
            });
            let invoice = self.known(Kind::Subscription, &subscription).text("latest_invoice").to_owned();
            self.collect(&invoice, true);
            subscription
        } else {
            terms.start.method = method;
            terms.start.session = Some(id.to_owned());
            self.start(&terms.start)
        };
        terms.subscription = Some(subscription.clone());
        let begun = self.known(Kind::Subscription, &subscription);
        self.terms.insert(id.to_owned(), terms.clone());
        if begun.is("status", "incomplete") {
            let refused = self.payment_failure(begun.text("latest_invoice"));
            return Err(
                refused.map_or("Your card was declined.".to_owned(), |it| it.body["error"].text("message").to_owned())
            );
        }
        self.complete_session(id, &terms, &begun);
        Ok(terms.success_url.replace("{CHECKOUT_SESSION_ID}", id))
    }

    fn fill_in_customer(&mut self, session: &Value, terms: &mut Terms, filled: &Filled) {
        let address = filled.country.as_ref().map(|country| {
            let mut address = empty_address();
            address["country"] = json!(country);
            address
        });
        if terms.start.customer.is_empty() {
            let mut customer = self.blank_customer();
            let email = session.maybe("customer_email").or(filled.email.clone());
            customer["email"] = json!(email.as_deref().unwrap_or("buyer@shop.example"));
            customer["address"] = json!(address);
            terms.start.customer = self.insert(Kind::Customer, customer, Some("customer.created"));
        } else if let Some(address) = address.filter(|_| terms.save_address) {
            self.change(Kind::Customer, &terms.start.customer, Some("customer.updated"), |it| it["address"] = address);
        }
    }

    fn complete_session(&mut self, id: &str, terms: &Terms, begun: &Value) {
        let invoice = self.known(Kind::Invoice, begun.text("latest_invoice"));
        let customer = self.known(Kind::Customer, &terms.start.customer);
        let payment = match (terms.start.trial_end, invoice.text("status")) {
            // The payment is put off to a later day.
            (Some(_), _) => "no_payment_required",
            (None, "paid") => "paid",
            _ => "unpaid",
        };
        self.change(Kind::CheckoutSession, id, None, |it| {
            it["status"] = json!("complete");
            it["url"] = Value::Null;
            it["customer"] = customer["id"].clone();
            it["customer_details"] = details_of(&customer);
            it["subscription"] = begun["id"].clone();
            it["invoice"] = invoice["id"].clone();
            it["payment_status"] = json!(payment);
            it["amount_subtotal"] = invoice["subtotal"].clone();
            it["amount_total"] = invoice["total"].clone();
            it["total_details"]["amount_discount"] = json!(invoice.int("subtotal") - invoice.int("total"));
            it["discounts"] = invoice
                .list("discounts")
                .iter()
                .map(|_| json!({"coupon": terms.start.coupon, "promotion_code": null}))
                .collect();
            if it.flag("automatic_tax/enabled") {
                it["automatic_tax"]["status"] = json!("complete");
                it["automatic_tax"]["provider"] = json!("stripe");
            }
        });
        self.tell("checkout.session.completed", Kind::CheckoutSession, id);
    }

    /// The debit that a completed session waited for has come, or not.
    pub(crate) fn session_settled(&mut self, invoice: &str, paid: bool) {
        let waiting = |it: &&Value| it.is("invoice", invoice) && it.is("payment_status", "unpaid");
        let Some(id) = self.table(Kind::CheckoutSession).find(waiting).map(Fields::id) else { return };
        if paid {
            self.change(Kind::CheckoutSession, &id, None, |it| it["payment_status"] = json!("paid"));
        }
        let event =
            if paid { "checkout.session.async_payment_succeeded" } else { "checkout.session.async_payment_failed" };
        self.tell(event, Kind::CheckoutSession, &id);
    }

    /// A session with what `expand` may add.
    pub(crate) fn session_lines(&self, id: &str) -> Value {
        let lines = self.line_items(id).unwrap_or_default();
        list(lines, false, format!("/v1/checkout/sessions/{id}/line_items"))
    }
}

fn details_of(customer: &Value) -> Value {
    json!({
        "address": customer["address"], "business_name": null, "email": customer["email"], "individual_name": null, "name": customer["name"],
        "phone": customer["phone"], "tax_exempt": customer["tax_exempt"], "tax_ids": [],
    })
}

fn read_flag(form: &mut Form, field: &str) -> Result<bool, Failure> {
    let Some(mut nested) = form.nested(field)? else { return Ok(false) };
    let enabled = nested.boolean("enabled")?.ok_or_else(|| nested.missing("enabled"))?;
    nested.accept(&["liability", "required"]);
    nested.done()?;
    Ok(enabled)
}
