//! Customers.

use serde_json::{Value, json};

use super::form::Form;
use super::state::{Fields, State};
use crate::ids::Kind;
use crate::wire::Failure;

const ADDRESS: [&str; 6] = ["city", "country", "line1", "line2", "postal_code", "state"];

/// Writes a text field where it is given; an empty one unsets it.
fn put(object: &mut Value, field: &str, text: Option<String>) {
    if let Some(text) = text {
        object[field] = if text.is_empty() { Value::Null } else { Value::String(text) };
    }
}

/// Reads an address where one is given.
pub(crate) fn address(form: &mut Form) -> Result<Option<Value>, Failure> {
    let Some(mut given) = form.nested("address")? else { return Ok(None) };
    let mut address = crate::render::empty_address();
    for field in ADDRESS {
        put(&mut address, field, given.text(field)?);
    }
    given.done()?;
    Ok(Some(address))
}

impl State {
    pub(crate) fn create_customer(&mut self, mut form: Form) -> Result<Value, Failure> {
        let mut customer = self.blank_customer();
        self.write_customer(&mut customer, &mut form)?;
        form.done()?;
        let id = self.insert(Kind::Customer, customer, Some("customer.created"));
        Ok(self.known(Kind::Customer, &id))
    }

    pub(crate) fn blank_customer(&mut self) -> Value {
        let id = self.new_id(Kind::Customer);
        json!({
            "id": id, "object": "customer", "address": null, "balance": 0, "created": self.now, "currency": null, "default_source": null,
            "delinquent": false, "description": null, "discount": null, "email": null,
            "invoice_prefix": id[id.len() - 8..].to_ascii_uppercase(),
            "invoice_settings": {"custom_fields": null, "default_payment_method": null, "footer": null, "rendering_options": null},
            "livemode": false, "metadata": {}, "name": null, "next_invoice_sequence": 1, "phone": null, "preferred_locales": [],
            "shipping": null, "tax_exempt": "none", "test_clock": null,
        })
    }

    fn write_customer(&self, customer: &mut Value, form: &mut Form) -> Result<(), Failure> {
        for field in ["email", "name", "description", "phone"] {
            let text = form.text(field)?;
            if field == "email" && text.as_deref().is_some_and(|it| !it.is_empty() && !it.contains('@')) {
                let message = format!("Invalid email address: {}", text.unwrap_or_default());
                return Err(Failure::invalid(message, Some("email"), Some("email_invalid")));
            }
            put(customer, field, text);
        }
        if let Some(address) = address(form)? {
            customer["address"] = address;
        }
        customer["metadata"] = form.metadata(&customer["metadata"])?;
        if let Some(mut settings) = form.nested("invoice_settings")? {
            let method = settings.text("default_payment_method")?;
            if let Some(method) = method.as_deref().filter(|it| !it.is_empty()) {
                self.named(Kind::PaymentMethod, method, "invoice_settings[default_payment_method]")?;
            }
            put(&mut customer["invoice_settings"], "default_payment_method", method);
            settings.done()?;
        }
        if let Some(words) = form.texts("preferred_locales")? {
            customer["preferred_locales"] = json!(words);
        }
        if let Some(word) = form.word("tax_exempt", &["none", "exempt", "reverse"])? {
            customer["tax_exempt"] = json!(word);
        }
        form.accept(&["tax", "tax_id_data", "shipping", "source", "test_clock"]);
        Ok(())
    }

    pub(crate) fn update_customer(&mut self, id: &str, mut form: Form) -> Result<Value, Failure> {
        let mut customer = self.named(Kind::Customer, id, "id")?;
        self.write_customer(&mut customer, &mut form)?;
        form.done()?;
        self.change(Kind::Customer, id, Some("customer.updated"), |it| *it = customer);
        Ok(self.known(Kind::Customer, id))
    }

    /// Deletes a customer; whatever it subscribes to ends at once.
    pub(crate) fn delete_customer(&mut self, id: &str) -> Result<Value, Failure> {
        self.named(Kind::Customer, id, "id")?;
        for subscription in self.running(id) {
            self.end_subscription(&subscription.id(), Some("cancellation_requested"));
        }
        self.tell("customer.deleted", Kind::Customer, id);
        for session in self.table(Kind::CheckoutSession).map(Value::clone).collect::<Vec<_>>() {
            if session.is("customer", id) && session.is("status", "open") {
                self.close_session(&session.id());
            }
        }
        Ok(self.bury(Kind::Customer, id))
    }

    /// The currency that ties a customer, if any: that of a running subscription or an open session.
    pub(crate) fn tied_currency(&self, customer: &str) -> Option<String> {
        if let Some(subscription) = self.running(customer).first() {
            return subscription.maybe("currency");
        }
        let open = |it: &&Value| it.is("customer", customer) && it.is("status", "open");
        self.table(Kind::CheckoutSession).find(open).and_then(|it| it.maybe("currency"))
    }
}
