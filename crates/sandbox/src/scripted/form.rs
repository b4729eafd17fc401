//! The parameters of a change: a form, whose names nest by brackets.

use axum::http::StatusCode;
use serde_json::{Map, Value};

use crate::wire::Failure;

/// Parameters that are taken out one by one; what is left at the end was not known.
#[derive(Debug, Default)]
pub(crate) struct Form {
    fields: Map<String, Value>,
    /// Where in the whole form this part stands.
    within: String,
}

type Read<T> = Result<Option<T>, Failure>;

impl Form {
    /// Reads `a[b][]=c` and the like.
    pub(crate) fn of(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, Failure> {
        let mut root = Value::Object(Map::new());
        for (name, value) in pairs {
            let mut steps = name.split('[').map(|step| step.trim_end_matches(']'));
            let first = steps.next().unwrap_or_default().to_owned();
            let mut at = &mut root[first];
            for step in steps {
                let list = step.is_empty() || step.bytes().all(|it| it.is_ascii_digit());
                if at.is_null() {
                    *at = if list { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
                }
                at = match at {
                    Value::Array(members) if list => {
                        let index = if step.is_empty() { members.len() } else { step.parse().unwrap_or(members.len()) };
                        if index > 1000 {
                            return Err(Failure::invalid("Invalid array", Some(&name), None));
                        }
                        while members.len() <= index {
                            members.push(Value::Null);
                        }
                        &mut members[index]
                    }
                    Value::Object(fields) => fields.entry(step).or_insert(Value::Null),
                    _ => return Err(Failure::invalid("Invalid object", Some(&name), None)),
                };
            }
            *at = Value::String(value);
        }
        Ok(Self::within(root, String::new()))
    }

    fn within(value: Value, within: String) -> Self {
        let fields = match value {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        Self { fields, within }
    }

    /// The whole name of a field.
    pub(crate) fn name(&self, field: &str) -> String {
        if self.within.is_empty() { field.to_owned() } else { format!("{}[{field}]", self.within) }
    }

    pub(crate) fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    /// A text; an empty one stays one, since it unsets what was set.
    pub(crate) fn text(&mut self, field: &str) -> Read<String> {
        match self.fields.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.bad(field, "Invalid string")),
        }
    }

    pub(crate) fn required(&mut self, field: &str) -> Result<String, Failure> {
        match self.text(field)?.filter(|text| !text.is_empty()) {
            Some(text) => Ok(text),
            None => Err(self.missing(field)),
        }
    }

    pub(crate) fn missing(&self, field: &str) -> Failure {
        let name = self.name(field);
        Failure::invalid(format!("Missing required param: {name}."), Some(&name), Some("parameter_missing"))
    }

    pub(crate) fn integer(&mut self, field: &str) -> Read<i64> {
        let Some(text) = self.text(field)?.filter(|text| !text.is_empty()) else { return Ok(None) };
        let name = self.name(field);
        text.parse().map(Some).map_err(|_| {
            Failure::invalid(format!("Invalid integer: {text}"), Some(&name), Some("parameter_invalid_integer"))
        })
    }

    pub(crate) fn boolean(&mut self, field: &str) -> Read<bool> {
        let Some(text) = self.text(field)?.filter(|text| !text.is_empty()) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| self.bad(field, &format!("Invalid boolean: {text}")))
    }

    /// One of some words.
    pub(crate) fn word(&mut self, field: &str, words: &[&str]) -> Read<String> {
        let Some(text) = self.text(field)?.filter(|text| !text.is_empty()) else { return Ok(None) };
        if words.contains(&text.as_str()) {
            return Ok(Some(text));
        }
        Err(self.bad(field, &format!("Invalid {}: must be one of {}", self.name(field), words.join(", "))))
    }

    /// A nested form; none where the field is absent or unset.
    pub(crate) fn nested(&mut self, field: &str) -> Read<Form> {
        match self.fields.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(value @ Value::Object(_)) => Ok(Some(Self::within(value, self.name(field)))),
            Some(_) => Err(self.bad(field, "Invalid object")),
        }
    }

    /// A list of nested forms.
    pub(crate) fn list(&mut self, field: &str) -> Result<Vec<Form>, Failure> {
        match self.fields.remove(field) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(members)) => members
                .into_iter()
                .enumerate()
                .map(|(at, member)| match member {
                    Value::Object(_) => Ok(Self::within(member, format!("{}[{at}]", self.name(field)))),
                    _ => Err(self.bad(field, "Invalid object")),
                })
                .collect(),
            Some(_) => Err(self.bad(field, "Invalid array")),
        }
    }

    /// A list of texts.
    pub(crate) fn texts(&mut self, field: &str) -> Read<Vec<String>> {
        match self.fields.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(members)) => members
                .into_iter()
                .map(|member| member.as_str().map(str::to_owned).ok_or_else(|| self.bad(field, "Invalid string")))
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(self.bad(field, "Invalid array")),
        }
    }

    /// Writes `metadata` over what there is: a key that is given empty goes, an empty whole clears all.
    pub(crate) fn metadata(&mut self, over: &Value) -> Result<Value, Failure> {
        let mut metadata = over.as_object().cloned().unwrap_or_default();
        match self.fields.remove("metadata") {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.is_empty() => metadata.clear(),
            Some(Value::Object(given)) => {
                for (key, value) in given {
                    let text = value.as_str().ok_or_else(|| self.bad("metadata", "Invalid string"))?;
                    if key.chars().count() > 40 || text.chars().count() > 500 {
                        let message = "Metadata keys can be up to 40 characters long, values up to 500.";
                        return Err(self.bad("metadata", message));
                    }
                    if text.is_empty() {
                        metadata.remove(&key);
                    } else {
                        metadata.insert(key, value);
                    }
                }
            }
            Some(_) => return Err(self.bad("metadata", "Invalid object")),
        }
        if metadata.len() > 50 {
            return Err(self.bad("metadata", "You can specify up to 50 keys of metadata."));
        }
        Ok(Value::Object(metadata))
    }

    /// Takes what Stripe knows and this script lets lie.
    pub(crate) fn accept(&mut self, fields: &[&str]) {
        for field in fields {
            self.fields.remove(*field);
        }
    }

    /// Nothing may be left.
    pub(crate) fn done(self) -> Result<(), Failure> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(field) => {
                let name = self.name(field);
                let message = format!("Received unknown parameter: {name}");
                Err(Failure::invalid(message, Some(&name), Some("parameter_unknown")))
            }
        }
    }

    pub(crate) fn bad(&self, field: &str, message: &str) -> Failure {
        Failure::invalid(message.to_owned(), Some(&self.name(field)), None).with(StatusCode::BAD_REQUEST)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn brackets_nest_and_leftovers_are_named() {
        let body = b"customer=cus_1&items%5B0%5D%5Bprice%5D=p&items[0][quantity]=3&metadata[tenant_id]=t&expand[]=a&expand[]=b\
                     &subscription_data[trial_settings][end_behavior][missing_payment_method]=cancel";
        let mut form = Form::of(form_urlencoded::parse(body).into_owned()).unwrap();
        assert_eq!(form.required("customer").unwrap(), "cus_1");
        let mut items = form.list("items").unwrap();
        assert_eq!(items[0].integer("quantity").unwrap(), Some(3));
        assert_eq!(items[0].required("price").unwrap(), "p");
        assert_eq!(form.texts("expand").unwrap().unwrap(), ["a", "b"]);
        assert_eq!(form.metadata(&serde_json::json!({"x": "1"})).unwrap()["tenant_id"], "t");
        let mut data = form.nested("subscription_data").unwrap().unwrap();
        let settings = data.nested("trial_settings").unwrap().unwrap();
        let refused = settings.done().unwrap_err();
        assert_eq!(refused.body["error"]["param"], "subscription_data[trial_settings][end_behavior]");
        form.done().unwrap();
    }
}
