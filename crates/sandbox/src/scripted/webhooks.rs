//! Webhook endpoints, and the deliveries that they are owed.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::form::Form;
use super::state::{Fields, State};
use crate::ids::Kind;
use crate::wire::Failure;

/// A signing secret; one that was rolled holds until then.
#[derive(Debug, Clone)]
pub(crate) struct Secret {
    pub(crate) text: String,
    pub(crate) until: Option<i64>,
}

/// One event for one endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) event: String,
    pub(crate) endpoint: String,
    pub(crate) attempts: usize,
    /// When to try next; nothing when it was delivered or given up.
    pub(crate) due: Option<i64>,
    pub(crate) delivered: bool,
    /// Whether it is on its way.
    pub(crate) sending: bool,
}

/// What goes over the wire.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    pub(crate) delivery: usize,
    pub(crate) event: String,
    pub(crate) created: i64,
    pub(crate) endpoint: String,
    pub(crate) url: String,
    pub(crate) body: String,
    pub(crate) secrets: Vec<String>,
    pub(crate) stamp: i64,
}

/// The value of `Stripe-Signature`: one `v1` for each secret that holds.
pub(crate) fn sign(body: &str, stamp: i64, secrets: &[String]) -> String {
    let mut header = format!("t={stamp}");
    for secret in secrets {
        // A key of any length fits.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { continue };
        mac.update(format!("{stamp}.").as_bytes());
        mac.update(body.as_bytes());
        header.push_str(",v1=");
        header.push_str(&hex::encode(mac.finalize().into_bytes()));
    }
    header
}

impl State {
    pub(crate) fn create_endpoint(&mut self, mut form: Form) -> Result<Value, Failure> {
        let url = form.required("url")?;
        if !url.starts_with("http://") && !url.starts_with("https://") {
            let message = "Invalid URL: An explicit scheme (such as https) must be provided.";
            return Err(Failure::invalid(message, Some("url"), Some("url_invalid")));
        }
        let events = read_events(&mut form)?.ok_or_else(|| form.missing("enabled_events"))?;
        if self.table(Kind::WebhookEndpoint).filter(|it| !it.flag("deleted")).count() >= 16 {
            let message = "You have reached the maximum of 16 test webhook endpoints.";
            return Err(Failure::invalid(message, None, None));
        }
        let id = self.new_id(Kind::WebhookEndpoint);
        let endpoint = json!({
            "id": id, "object": "webhook_endpoint", "api_version": form.text("api_version")?, "application": null, "created": self.now,
            "description": form.text("description")?, "enabled_events": events, "livemode": false,
            "metadata": form.metadata(&json!({}))?, "status": "enabled", "url": url,
        });
        form.accept(&["connect"]);
        form.done()?;
        let secret = format!("whsec_{}", self.token(32));
        self.secrets.insert(id.clone(), vec![Secret { text: secret.clone(), until: None }]);
        self.insert(Kind::WebhookEndpoint, endpoint, None);
        // Only this answer has it.
        let mut answer = self.known(Kind::WebhookEndpoint, &id);
        answer["secret"] = json!(secret);
        Ok(answer)
    }

    pub(crate) fn update_endpoint(&mut self, id: &str, mut form: Form) -> Result<Value, Failure> {
        let mut endpoint = self.named(Kind::WebhookEndpoint, id, "webhook_endpoint")?;
        if let Some(url) = form.text("url")? {
            endpoint["url"] = json!(url);
        }
        if let Some(events) = read_events(&mut form)? {
            endpoint["enabled_events"] = json!(events);
        }
        if let Some(disabled) = form.boolean("disabled")? {
            endpoint["status"] = json!(if disabled { "disabled" } else { "enabled" });
        }
        if let Some(text) = form.text("description")? {
            endpoint["description"] = json!(text);
        }
        endpoint["metadata"] = form.metadata(&endpoint["metadata"])?;
        form.done()?;
        let disabled = endpoint.is("status", "disabled");
        self.change(Kind::WebhookEndpoint, id, None, |it| *it = endpoint);
        if disabled {
            self.forsake(id);
        }
        Ok(self.known(Kind::WebhookEndpoint, id))
    }

    pub(crate) fn delete_endpoint(&mut self, id: &str) -> Result<Value, Failure> {
        self.named(Kind::WebhookEndpoint, id, "webhook_endpoint")?;
        self.forsake(id);
        self.secrets.remove(id);
        Ok(self.bury(Kind::WebhookEndpoint, id))
    }

    /// What an endpoint that is off has not received is not sent to it any more.
    fn forsake(&mut self, endpoint: &str) {
        for delivery in self.deliveries.iter_mut().filter(|it| it.endpoint == endpoint) {
            delivery.due = None;
        }
    }

    /// Gives an endpoint a new secret; the old ones hold for so many seconds more.
    pub(crate) fn roll_secret(&mut self, endpoint: &str, overlap: i64) -> Option<String> {
        let until = self.now + overlap;
        let text = format!("whsec_{}", self.token(32));
        let secrets = self.secrets.get_mut(endpoint)?;
        for secret in secrets.iter_mut() {
            secret.until = Some(secret.until.map_or(until, |it| it.min(until)));
        }
        secrets.insert(0, Secret { text: text.clone(), until: None });
        Some(text)
    }

    /// Owes an event to every endpoint that wants it.
    pub(crate) fn schedule(&mut self, event: &str, kind: &str) {
        let wants = |it: &&Value| {
            it.is("status", "enabled") && it.list("enabled_events").iter().any(|name| name == "*" || name == kind)
        };
        let endpoints: Vec<String> = self.table(Kind::WebhookEndpoint).filter(wants).map(Fields::id).collect();
        for endpoint in endpoints {
            self.deliveries.push(Delivery {
                event: event.to_owned(),
                endpoint,
                attempts: 0,
                due: Some(self.now),
                delivered: false,
                sending: false,
            });
        }
    }

    /// How many endpoints still have to take an event.
    pub(crate) fn pending_webhooks(&self, event: &str) -> usize {
        self.deliveries.iter().filter(|it| it.event == event && !it.delivered).count()
    }

    /// An event as it is shown now.
    pub(crate) fn shown_event(&self, event: &Value) -> Value {
        let mut shown = event.clone();
        shown["pending_webhooks"] = json!(self.pending_webhooks(event.text("id")));
        shown
    }

    /// Takes what is due, to be sent; the machine's time stands beside the account's.
    pub(crate) fn parcels(&mut self, wall: i64) -> Vec<Parcel> {
        let now = self.now;
        let due: Vec<usize> = (0..self.deliveries.len())
            .filter(|at| {
                let it = &self.deliveries[*at];
                !it.delivered && !it.sending && it.due.is_some_and(|due| due <= now)
            })
            .collect();
        let mut parcels = Vec::new();
        for at in due {
            let delivery = self.deliveries[at].clone();
            let endpoint = self.known(Kind::WebhookEndpoint, &delivery.endpoint);
            if !endpoint.is("status", "enabled") {
                continue;
            }
            let event = self.shown_event(&self.known(Kind::Event, &delivery.event));
            let secrets = self.secrets.get(&delivery.endpoint).into_iter().flatten();
            let secrets =
                secrets.filter(|it| it.until.is_none_or(|until| until > now)).map(|it| it.text.clone()).collect();
            self.deliveries[at].sending = true;
            parcels.push(Parcel {
                delivery: at,
                event: delivery.event,
                created: event.int("created"),
                endpoint: delivery.endpoint,
                url: endpoint.text("url").to_owned(),
                body: event.to_string(),
                secrets,
                // A receiver that goes by either clock takes it: stamps of the future are accepted.
                stamp: now.max(wall),
            });
        }
        parcels
    }

    /// Notes what became of an attempt.
    pub(crate) fn attempted(&mut self, delivery: usize, delivered: bool) {
        let (now, retries) = (self.now, &self.settings.webhook_retries);
        let Some(it) = self.deliveries.get_mut(delivery) else { return };
        it.sending = false;
        it.attempts += 1;
        it.delivered |= delivered;
        let next = retries.get(it.attempts - 1).map(|after| now + after.as_secs() as i64);
        it.due = if it.delivered || it.due.is_none() { None } else { next };
    }

    /// Puts a delivery back, or gives it up without an attempt.
    pub(crate) fn unsent(&mut self, delivery: usize, lost: bool) {
        if let Some(it) = self.deliveries.get_mut(delivery) {
            it.sending = false;
            if lost {
                it.due = None;
            }
        }
    }
}

fn read_events(form: &mut Form) -> Result<Option<Vec<String>>, Failure> {
    let events = form.texts("enabled_events")?;
    if let Some(bad) = events.iter().flatten().find(|it| *it != "*" && !it.contains('.')) {
        return Err(form.bad("enabled_events", &format!("Invalid enabled_events: {bad} is not an event type")));
    }
    Ok(events)
}
