//! Stripe's `expand`: objects in the place of their ids.

use serde_json::Value;

use crate::ids::Kind;
use crate::wire::Failure;

/// What a path of `expand` comes to at a field that holds no plain id.
pub(crate) enum Included {
    /// It is an ordinary field.
    No,
    /// Everything that the rest of the path asks for is there.
    Done,
    /// The field has been filled in; the rest of the path leads on.
    Descend,
}

/// An account whose objects can be put in the place of their ids.
pub(crate) trait Account {
    /// One object by its id.
    fn object(&self, kind: Kind, id: &str) -> Option<Value>;

    /// Fills in a field that Stripe leaves out, or shows as ids, unless it is asked for.
    fn include(&self, object: &mut Value, field: &str, rest: Option<&str>) -> Result<Included, Failure>;

    /// Puts the object in place of the id that `path` leads to.
    fn expand(&self, object: &mut Value, path: &str) -> Result<(), Failure> {
        if path.split('.').count() > 4 {
            let message = "You cannot expand more than 4 levels of a property.";
            return Err(Failure::invalid(message.to_owned(), Some("expand"), None));
        }
        let (field, rest) = path.split_once('.').map_or((path, None), |(field, rest)| (field, Some(rest)));
        if let Some(list) = object.as_array_mut() {
            return list.iter_mut().try_for_each(|it| self.expand(it, path));
        }
        if object.get("deleted").is_some() || object.is_null() {
            return Ok(());
        }
        let filled = match self.include(object, field, rest)? {
            Included::Done => return Ok(()),
            Included::Descend => true,
            Included::No => false,
        };
        let Some(value) = object.get_mut(field) else { return Err(unexpandable(path)) };
        if let Some(id) = value.as_str() {
            let kind = kind_of(field).ok_or_else(|| unexpandable(path))?;
            *value = self.object(kind, id).ok_or_else(|| unexpandable(path))?;
        } else if !filled && rest.is_none() && !value.is_null() && !value.is_object() {
            return Err(unexpandable(path));
        }
        match rest {
            Some(rest) if !value.is_null() => self.expand(value, rest),
            _ => Ok(()),
        }
    }
}

pub(crate) fn unexpandable(path: &str) -> Failure {
    let message = format!("This property cannot be expanded ({path}).");
    Failure::invalid(message, Some("expand"), Some("property_not_expandable"))
}

/// The kind of object that a field names.
fn kind_of(field: &str) -> Option<Kind> {
    Some(match field {
        "customer" => Kind::Customer,
        "subscription" => Kind::Subscription,
        "latest_invoice" | "invoice" => Kind::Invoice,
        "charge" | "latest_charge" => Kind::Charge,
        "refund" => Kind::Refund,
        "product" => Kind::Product,
        "price" | "default_price" => Kind::Price,
        "payment_intent" => Kind::PaymentIntent,
        "payment_method" | "default_payment_method" => Kind::PaymentMethod,
        "coupon" => Kind::Coupon,
        _ => return None,
    })
}
