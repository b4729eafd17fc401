//! One object of a list.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::shapes;
use crate::{Error, ErrorKind, Stream};

/// An object as Stripe sent it, with what every list needs of it taken out.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Its id.
    pub id: String,
    /// When it was made, in Unix seconds; 0 for a deleted object, of which Stripe only keeps the id.
    pub created: i64,
    /// Whether Stripe says that it was deleted.
    pub deleted: bool,
    /// All of it.
    pub raw: Value,
}

/// An object that cannot be read and was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Its id; `?` where even that is lacking.
    pub id: String,
    /// Where in it, such as `items.data[0].price.unit_amount`.
    pub path: String,
    /// What is wrong there.
    pub error: String,
}

impl Object {
    /// Takes an element of a list of `stream`.
    pub fn read(stream: Stream, raw: Value) -> Result<Self, Unreadable> {
        let id = raw.get("id").and_then(Value::as_str).map(str::to_owned);
        let Some(id) = id.filter(|id| !id.is_empty()) else {
            return Err(Unreadable { id: "?".into(), path: "id".into(), error: "no id".into() });
        };
        if raw.get("deleted").and_then(Value::as_bool) == Some(true) {
            let created = raw.get("created").and_then(Value::as_i64).unwrap_or(0);
            return Ok(Self { id, created, deleted: true, raw });
        }
        let checked = match stream {
            Stream::Customers => check::<shapes::Customer>(&raw),
            Stream::Products => check::<shapes::Product>(&raw),
            Stream::Prices => check::<shapes::Price>(&raw),
            Stream::Subscriptions => check::<shapes::Subscription>(&raw),
            Stream::Invoices => check::<shapes::Invoice>(&raw),
            Stream::InvoicePayments => check::<shapes::InvoicePayment>(&raw),
            Stream::CreditNotes => check::<shapes::CreditNote>(&raw),
            Stream::Charges => check::<shapes::Charge>(&raw),
            Stream::Refunds => check::<shapes::Refund>(&raw),
            Stream::Disputes => check::<shapes::Dispute>(&raw),
            Stream::Events => check::<shapes::Event>(&raw),
        };
        if let Err((path, error)) = checked {
            return Err(Unreadable { id, path, error });
        }
        match raw.get("created").and_then(Value::as_i64) {
            Some(created) => Ok(Self { id, created, deleted: false, raw }),
            None => Err(Unreadable { id, path: "created".into(), error: "no instant".into() }),
        }
    }
}

fn check<'a, T: Deserialize<'a>>(raw: &'a Value) -> Result<(), (String, String)> {
    match serde_path_to_error::deserialize::<_, T>(raw) {
        Ok(_) => Ok(()),
        Err(error) => Err((error.path().to_string(), error.inner().to_string())),
    }
}

/// A typed answer.
pub(crate) fn typed<T: DeserializeOwned>(body: &Value) -> Result<T, Error> {
    serde_path_to_error::deserialize(body).map_err(|error| unreadable(&error))
}

/// The same from its text.
pub(crate) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| unreadable(&error))?;
    deserializer
        .end()
        .map_err(|error| Error::new(ErrorKind::Unreadable { path: ".".into(), error: error.to_string() }))?;
    Ok(value)
}

fn unreadable<E: std::fmt::Display>(error: &serde_path_to_error::Error<E>) -> Error {
    Error::new(ErrorKind::Unreadable { path: error.path().to_string(), error: error.inner().to_string() })
}
