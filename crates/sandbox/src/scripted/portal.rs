//! The customer portal: sessions, and what a customer does there.

use serde_json::{Value, json};

use super::cards::Card;
use super::form::Form;
use super::state::{Fields, State};
use crate::ids::Kind;
use crate::wire::Failure;

const FLOWS: [&str; 4] =
    ["payment_method_update", "subscription_cancel", "subscription_update", "subscription_update_confirm"];

/// What a customer does in the portal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortalAct {
    /// Ends a subscription with its running period.
    CancelAtPeriodEnd {
        /// Which.
        subscription: String,
    },
    /// Takes that back.
    Keep {
        /// Which.
        subscription: String,
    },
    /// Ends a subscription at once.
    CancelNow {
        /// Which.
        subscription: String,
    },
    /// Changes to another price; the difference is billed at once.
    Switch {
        /// Which.
        subscription: String,
        /// To which price.
        price: String,
    },
    /// Pays with another card from now on.
    UpdateCard(Card),
    /// Pays an open invoice.
    Pay {
        /// Which.
        invoice: String,
    },
}

impl State {
    pub(crate) fn create_portal_session(&mut self, mut form: Form) -> Result<Value, Failure> {
        if !self.settings.portal_saved {
            let message = "You can’t create a portal session in test mode until you save your customer portal settings in test mode \
                           at https://dashboard.stripe.com/test/settings/billing/portal.";
            return Err(Failure::invalid(message, None, None));
        }
        let customer = self.named(Kind::Customer, &form.required("customer")?, "customer")?.id();
        let return_url = form.text("return_url")?.filter(|it| !it.is_empty());
        if return_url.as_ref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
            return Err(Failure::invalid("Not a valid URL", Some("return_url"), Some("url_invalid")));
        }
        let flow = match form.nested("flow_data")? {
            None => Value::Null,
            Some(mut data) => {
                let kind = data.word("type", &FLOWS)?.ok_or_else(|| data.missing("type"))?;
                let mut flow = json!({"type": kind, "after_completion": {"type": "portal_homepage", "redirect": null, "hosted_confirmation": null}});
                for field in &FLOWS[1..] {
                    let Some(mut about) = data.nested(field)? else {
                        if kind == *field {
                            return Err(data.missing(field));
                        }
                        flow[*field] = Value::Null;
                        continue;
                    };
                    let subscription = about.required("subscription")?;
                    self.named(Kind::Subscription, &subscription, &about.name("subscription"))?;
                    flow[*field] = json!({"subscription": subscription});
                    about.accept(&["retention", "items", "discounts"]);
                    about.done()?;
                }
                data.accept(&["after_completion"]);
                data.done()?;
                flow
            }
        };
        let configuration = form.text("configuration")?;
        form.accept(&["locale", "on_behalf_of"]);
        form.done()?;
        let (id, secret) = (self.new_id(Kind::PortalSession), self.token(40));
        let session = json!({
            "id": id, "object": "billing_portal.session", "configuration": configuration.unwrap_or(format!("bpc_1{}", &self.account()[6..])),
            "created": self.now, "customer": customer, "customer_account": null, "flow": flow, "livemode": false, "locale": null,
            "on_behalf_of": null, "return_url": return_url, "url": format!("{}/p/session/{secret}", self.base),
        });
        self.insert(Kind::PortalSession, session, None);
        Ok(self.known(Kind::PortalSession, &id))
    }

    /// The session that a portal address leads to.
    pub(crate) fn portal(&self, secret: &str) -> Option<Value> {
        let url = format!("{}/p/session/{secret}", self.base);
        self.table(Kind::PortalSession).find(|it| it.is("url", &url)).cloned()
    }

    /// Does what a customer does in the portal: what the API does, with the portal's own settings.
    pub(crate) fn act_in_portal(&mut self, customer: &str, act: &PortalAct) -> Result<(), Failure> {
        self.named(Kind::Customer, customer, "customer")?;
        let own = |state: &Self, id: &str| match state.get(Kind::Subscription, id) {
            Some(found) if found.is("customer", customer) => Ok(found.clone()),
            _ => Err(Failure::missing(Kind::Subscription, id, "subscription")),
        };
        match act {
            PortalAct::CancelAtPeriodEnd { subscription } | PortalAct::Keep { subscription } => {
                own(self, subscription)?;
                let ends = matches!(act, PortalAct::CancelAtPeriodEnd { .. });
                self.update_subscription(subscription, form(&[("cancel_at_period_end", &ends.to_string())])?)?;
            }
            PortalAct::CancelNow { subscription } => {
                own(self, subscription)?;
                self.cancel_now(subscription, Form::default())?;
            }
            PortalAct::Switch { subscription, price } => {
                let item = own(self, subscription)?.text("items/data/0/id").to_owned();
                let fields = [
                    ("items[0][id]", item.as_str()),
                    ("items[0][price]", price),
                    ("proration_behavior", "always_invoice"),
                ];
                self.update_subscription(subscription, form(&fields)?)?;
            }
            PortalAct::UpdateCard(card) => {
                if let Some(refusal) = card.refused_to_save() {
                    let error =
                        json!({"error": {"type": "card_error", "code": refusal.code, "message": refusal.message}});
                    return Err(Failure { status: axum::http::StatusCode::PAYMENT_REQUIRED, body: error, retry: None });
                }
                let method = self.attach(customer, *card);
                self.change(Kind::Customer, customer, Some("customer.updated"), |it| {
                    it["invoice_settings"]["default_payment_method"] = json!(method);
                });
                for subscription in self.running(customer) {
                    let event = Some("customer.subscription.updated");
                    self.change(Kind::Subscription, &subscription.id(), event, |it| {
                        it["default_payment_method"] = json!(method);
                    });
                }
            }
            PortalAct::Pay { invoice } => {
                let found = self.named(Kind::Invoice, invoice, "invoice")?;
                if !found.is("customer", customer) || !found.is("status", "open") {
                    return Err(Failure::missing(Kind::Invoice, invoice, "invoice"));
                }
                self.collect(invoice, true);
                if !self.known(Kind::Invoice, invoice).is("status", "paid")
                    && let Some(failure) = self.payment_failure(invoice)
                {
                    return Err(failure);
                }
            }
        }
        Ok(())
    }
}

fn form(fields: &[(&str, &str)]) -> Result<Form, Failure> {
    Form::of(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}
