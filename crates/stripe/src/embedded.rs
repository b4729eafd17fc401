//! Lists within objects, of which Stripe sends only the beginning.

use std::collections::HashSet;

use serde_json::Value;

use crate::call::Call;
use crate::client::{Client, list_of, looping};
use crate::operations::{
    LIST_CREDIT_NOTE_LINES, LIST_INVOICE_LINES, LIST_PAYMENTS_OF_INVOICE, LIST_SUBSCRIPTION_ITEMS,
};
use crate::{Error, ErrorKind, Stream};

/// The lists within an object of `stream` that may go on elsewhere, and how they are read there.
fn elsewhere(stream: Stream, id: &str) -> Result<Vec<(&'static str, Call)>, Error> {
    Ok(match stream {
        Stream::Subscriptions => {
            vec![("items", Call::new(&LIST_SUBSCRIPTION_ITEMS, &[])?.with("subscription", id))]
        }
        Stream::Invoices => vec![
            ("lines", Call::new(&LIST_INVOICE_LINES, &[id])?),
            ("payments", Call::new(&LIST_PAYMENTS_OF_INVOICE, &[])?.with("invoice", id)),
        ],
        Stream::CreditNotes => vec![("lines", Call::new(&LIST_CREDIT_NOTE_LINES, &[id])?)],
        _ => Vec::new(),
    })
}

/// Whether a list within an object says less than the whole of it.
fn cut(list: &Value) -> bool {
    list.get("has_more").and_then(Value::as_bool) == Some(true)
        || list.get("data").and_then(Value::as_array).into_iter().flatten().any(names_a_coupon)
}

/// Whether a discount of an item says of its coupon only what it is called. From a list of subscriptions an
/// item's coupon lies deeper than Stripe expands.
fn names_a_coupon(item: &Value) -> bool {
    let discounts = item.get("discounts").and_then(Value::as_array);
    discounts.into_iter().flatten().any(|it| it.pointer("/source/coupon").is_some_and(Value::is_string))
}

impl Client {
    /// The element of a list with its embedded lists whole, or why they cannot be.
    pub(crate) async fn whole(&self, stream: Stream, mut element: Value) -> (Value, Result<(), Error>) {
        let result = self.complete(stream, &mut element).await;
        (element, result)
    }

    /// Puts the whole in place of every embedded list of which Stripe sent only a part.
    pub(crate) async fn complete(&self, stream: Stream, object: &mut Value) -> Result<(), Error> {
        let Some(id) = object.get("id").and_then(Value::as_str).map(str::to_owned) else { return Ok(()) };
        for (field, call) in elsewhere(stream, &id)? {
            let Some(list) = object.get_mut(field).filter(|list| cut(list)) else { continue };
            let members = self.members(field, call).await?;
            if let Some(list) = list.as_object_mut() {
                list.insert("data".into(), Value::Array(members));
                list.insert("has_more".into(), Value::Bool(false));
            }
        }
        Ok(())
    }

    /// Every member of a list, read from its start: what came embedded may be stale by the time the rest is read.
    async fn members(&self, field: &'static str, first: Call) -> Result<Vec<Value>, Error> {
        let mut members: Vec<Value> = Vec::new();
        let mut seen: HashSet<String> = HashSet::new();
        let mut restarted = false;
        loop {
            let last = members.last().and_then(|member| member.get("id")).and_then(Value::as_str);
            let body = match self.request(&first.clone().with_some("starting_after", last)).await {
                // The member that stood as the cursor has been deleted meanwhile.
                Err(Error { kind: ErrorKind::Refused { .. } | ErrorKind::NotFound { .. }, .. })
                    if !members.is_empty() && !restarted =>
                {
                    restarted = true;
                    members.clear();
                    seen.clear();
                    continue;
                }
                other => other?,
            };
            let (elements, has_more) = list_of(body)?;
            let before = members.len();
            for element in elements {
                let known = element.get("id").and_then(Value::as_str).is_some_and(|id| !seen.insert(id.to_owned()));
                if !known {
                    members.push(element);
                }
            }
            if !has_more {
                return Ok(members);
            }
            if members.len() == before {
                return Err(looping(field));
            }
        }
    }
}
