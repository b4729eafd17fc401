//! That something happened.

use serde::Deserialize;
use serde_json::Value;

/// An event: that something happened to an object. What it carries of the object is in the version of
/// its day, so the object is fetched again.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Event {
    /// `evt_…`
    pub id: String,
    /// Unix seconds.
    pub created: Option<i64>,
    /// Such as `invoice.paid`.
    pub r#type: Option<String>,
    /// Whether it is real.
    pub livemode: Option<bool>,
    /// The version that its object is in.
    pub api_version: Option<String>,
    /// To how many endpoints it is not delivered yet.
    pub pending_webhooks: Option<i64>,
    /// About what.
    pub data: Option<EventData>,
}

impl Event {
    /// The object that it is about.
    pub fn object(&self) -> Option<&EventObject> {
        self.data.as_ref()?.object.as_ref()
    }
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct EventData {
    /// The object as it was.
    pub object: Option<EventObject>,
}

/// The object that an event is about: what leads to the objects that are to be read anew. Its other fields are of
/// any version, so none of these may cost the event.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct EventObject {
    /// Its id; some previews have none.
    pub id: Option<String>,
    /// Its kind, such as `invoice`.
    pub object: Option<String>,
    /// Whose, where it belongs to a customer.
    pub customer: Option<Value>,
    /// Of which charge, for refunds and disputes.
    pub charge: Option<Value>,
    /// Of which subscription, for Checkout sessions and, before basil, invoices.
    pub subscription: Option<Value>,
    /// What an invoice came from.
    pub parent: Option<Value>,
}

impl EventObject {
    /// Whose it is; the object itself where it is a customer.
    pub fn customer_id(&self) -> Option<&str> {
        if self.object.as_deref() == Some("customer") { self.id.as_deref() } else { id_of(self.customer.as_ref()?) }
    }

    /// Its subscription; the object itself where it is one.
    pub fn subscription_id(&self) -> Option<&str> {
        if self.object.as_deref() == Some("subscription") {
            return self.id.as_deref();
        }
        let parent = self.parent.as_ref().and_then(|parent| parent.pointer("/subscription_details/subscription"));
        self.subscription.as_ref().and_then(id_of).or_else(|| parent.and_then(id_of))
    }

    /// Its charge; the object itself where it is one.
    pub fn charge_id(&self) -> Option<&str> {
        if self.object.as_deref() == Some("charge") { self.id.as_deref() } else { id_of(self.charge.as_ref()?) }
    }
}

/// The id that a value names: an id, or an object with one.
fn id_of(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("id")?.as_str())
}
