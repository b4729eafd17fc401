//! One request, built from the table of operations.

use std::borrow::Cow;

use crate::operations::{Method, Operation};
use crate::{Error, ErrorKind, IdempotencyKey};

/// A request before it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) operation: &'static Operation,
    /// The path with its ids.
    pub(crate) path: String,
    /// Names and values, in the order in which they are sent.
    pub(crate) parameters: Vec<(Cow<'static, str>, String)>,
    pub(crate) key: Option<IdempotencyKey>,
}

/// A parameter's value as it is sent.
pub(crate) struct Text(String);

macro_rules! sent_as_text {
    ($($of:ty),*) => {
        $(impl From<$of> for Text {
            fn from(value: $of) -> Self {
                Self(value.to_string())
            }
        })*
    };
}

sent_as_text!(&str, &String, String, bool, u8, u32, i64);

impl Call {
    /// A request that reads or ends something; `ids` fill the path's places in their order.
    pub(crate) fn new(operation: &'static Operation, ids: &[&str]) -> Result<Self, Error> {
        debug_assert_ne!(operation.method, Method::Post, "{} is sent under a key", operation.name);
        Self::build(operation, ids, None)
    }

    /// A request that makes or changes something, once for `key`.
    pub(crate) fn keyed(operation: &'static Operation, ids: &[&str], key: &IdempotencyKey) -> Result<Self, Error> {
        Self::build(operation, ids, Some(key.clone()))
    }

    fn build(operation: &'static Operation, ids: &[&str], key: Option<IdempotencyKey>) -> Result<Self, Error> {
        let mut path = String::new();
        let mut rest = operation.path;
        let mut ids = ids.iter();
        while let Some((before, after)) = rest.split_once('{') {
            let Some((_, after)) = after.split_once('}') else { break };
            path.push_str(before);
            path.push_str(&path_segment(ids.next().copied().unwrap_or_default())?);
            rest = after;
        }
        path.push_str(rest);
        let parameters =
            operation.fixed.iter().map(|(name, value)| (Cow::Borrowed(*name), (*value).to_owned())).collect();
        Ok(Self { operation, path, parameters, key })
    }

    /// With a parameter.
    ///
    /// # Panics
    /// Where the operation does not declare it: what is sent stands in the table.
    pub(crate) fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Text>) -> Self {
        let name = name.into();
        assert!(self.operation.declares(&name), "{} does not declare {name}", self.operation.name);
        self.parameters.push((name, value.into().0));
        self
    }

    /// With a parameter where there is a value for it.
    pub(crate) fn with_some(self, name: &'static str, value: Option<impl Into<Text>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// With a parameter for each entry, as Stripe's `name[key]`.
    pub(crate) fn with_entries<'a>(
        self,
        name: &str,
        entries: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> Self {
        entries.into_iter().fold(self, |call, (key, value)| call.with(format!("{name}[{key}]"), value))
    }
}

/// An id as one segment of a path: whatever is called an id cannot lead to another path.
fn path_segment(id: &str) -> Result<String, Error> {
    if id.is_empty() || id.chars().all(|c| c == '.') {
        return Err(Error::new(ErrorKind::NotFound { message: format!("{id:?} is no id") }));
    }
    Ok(url::form_urlencoded::byte_serialize(id.as_bytes()).collect::<String>().replace('+', "%20"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::{EXPIRE_CHECKOUT_SESSION, LIST_INVOICE_LINES, UPDATE_SUBSCRIPTION};

    #[test]
    fn whatever_is_called_an_id_stays_in_its_place() {
        let path = |id: &str| Call::new(&LIST_INVOICE_LINES, &[id]).map(|call| call.path);
        assert_eq!(path("in_1").as_deref(), Ok("/v1/invoices/in_1/lines"));
        assert_eq!(path("a/b?c#d e").as_deref(), Ok("/v1/invoices/a%2Fb%3Fc%23d%20e/lines"));
        for none in ["", ".", ".."] {
            assert!(matches!(path(none), Err(Error { kind: ErrorKind::NotFound { .. }, .. })), "{none:?}");
        }
    }

    #[test]
    #[should_panic(expected = "does not declare items[0][price]")]
    fn what_the_table_does_not_list_cannot_be_sent() {
        let key = IdempotencyKey::new("k").expect("a key");
        let call = Call::keyed(&UPDATE_SUBSCRIPTION, &["sub_1"], &key).expect("a call");
        let _ = call.with("items[0][price]", "price_1");
    }

    #[test]
    fn a_key_goes_with_what_changes_something() {
        let key = IdempotencyKey::new("expire-7").expect("a key");
        let call = Call::keyed(&EXPIRE_CHECKOUT_SESSION, &["cs_1"], &key).expect("a call");
        assert_eq!((call.path.as_str(), call.key), ("/v1/checkout/sessions/cs_1/expire", Some(key)));
    }
}
