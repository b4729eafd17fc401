//! The fields that we use, typed. Every one may be absent; words that Stripe may add to are text.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

mod catalog;
mod checkout;
mod customer;
mod event;
mod invoice;
mod payment;
mod subscription;

pub use catalog::{Price, Product, Recurring};
pub use checkout::{CheckoutSession, PortalSession, WebhookEndpoint};
pub use customer::{Card, Customer, InvoiceSettings, PaymentMethod};
pub use event::{Event, EventData, EventObject};
pub use invoice::{
    CreditNote, Invoice, InvoiceLine, InvoiceParent, InvoicePayment, PaidBy, ParentSubscription, StatusTransitions,
};
pub use payment::{Charge, Dispute, Fault, NextAction, PaymentIntent, Refund};
pub use subscription::{
    CancellationDetails, Discount, DiscountSource, EndBehavior, PauseCollection, PauseReason, Paused, StatusDetails,
    Subscription, SubscriptionItem, TrialSettings,
};

/// What whoever integrates has put on an object.
pub type Metadata = BTreeMap<String, String>;

/// A reference that comes as an id, or as the object itself where it was expanded.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Reference {
    /// The id.
    Id(String),
    /// The object.
    Expanded {
        /// Its id.
        id: String,
        /// The rest of it.
        #[serde(flatten)]
        rest: BTreeMap<String, Value>,
    },
}

impl Reference {
    /// The id of what is referred to.
    pub fn id(&self) -> &str {
        match self {
            Self::Id(id) | Self::Expanded { id, .. } => id,
        }
    }
}

/// A shape that has an id.
pub trait Identified {
    /// The id.
    fn id(&self) -> &str;
}

/// A reference whose object we ask for: its id, and the object where it was expanded.
#[derive(Debug, Clone, PartialEq)]
pub enum Expandable<T> {
    /// The id.
    Id(String),
    /// The object.
    Object(Box<T>),
}

impl<T> Expandable<T> {
    /// The object, where it was expanded.
    pub fn object(&self) -> Option<&T> {
        match self {
            Self::Id(_) => None,
            Self::Object(object) => Some(object),
        }
    }
}

impl<T: Identified> Expandable<T> {
    /// The id of what is referred to.
    pub fn id(&self) -> &str {
        match self {
            Self::Id(id) => id,
            Self::Object(object) => object.id(),
        }
    }
}

// Not by `untagged`, which forgets where in the object a fault is.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Expandable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IdOrObject<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for IdOrObject<T> {
            type Value = Expandable<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id or an object")
            }

            fn visit_str<E: serde::de::Error>(self, id: &str) -> Result<Self::Value, E> {
                if id.is_empty() { Err(E::custom("an empty id")) } else { Ok(Expandable::Id(id.to_owned())) }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|object| Expandable::Object(Box::new(object)))
            }
        }

        deserializer.deserialize_any(IdOrObject(PhantomData))
    }
}

/// A decimal, which Stripe sends as text or, in older versions, as a number.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Decimal {
    /// As text.
    Text(String),
    /// As a number.
    Number(serde_json::Number),
}

/// An embedded list.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Embedded<T> {
    /// Its first members.
    pub data: Vec<T>,
    /// Whether there are more.
    #[serde(default)]
    pub has_more: bool,
}
