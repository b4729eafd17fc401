//! What the API's document expects of a request, said in plain words where a request is otherwise.
//!
//! The types of the contract are the console's too, and those must take fields that a newer server adds to
//! its answers. So it is here, and not in the types, that a request with an unknown field is refused.

use std::sync::LazyLock;

use paywall_contract::FieldError;
use serde_json::{Map, Value};
use utoipa::openapi::path::Parameter;

/// The most that is found wrong with one request.
const MOST: usize = 16;

/// The longest piece of a request that is repeated in an answer, in characters.
const REPEATED_MAX: usize = 60;

static SCHEMAS: LazyLock<Value> = LazyLock::new(|| {
    let mut document = serde_json::to_value(super::openapi()).unwrap_or_default();
    document["components"]["schemas"].take()
});

/// What a body of the document's type `name` should be.
pub(crate) fn body(name: &str) -> String {
    in_words(&SCHEMAS[name])
}

/// What is wrong with a body that should be of the document's type `name`.
pub(crate) fn check_body(name: &str, sent: &Value) -> Vec<FieldError> {
    let mut wrong = Vec::new();
    check(&SCHEMAS[name], sent, "", &mut wrong);
    wrong.truncate(MOST);
    wrong
}

/// What is wrong with the values of a query string.
pub(crate) fn check_query(known: &[Parameter], sent: &[(String, String)]) -> Vec<FieldError> {
    let mut wrong = Vec::new();
    for (name, text) in sent {
        let Some(parameter) = known.iter().find(|it| it.name == *name) else { continue };
        let schema = serde_json::to_value(&parameter.schema).unwrap_or_default();
        let value = match resolved(&schema)["type"].as_str() {
            Some("integer") => text.parse::<i64>().map_or_else(|_| Value::from(text.as_str()), Value::from),
            Some("boolean") => text.parse::<bool>().map_or_else(|_| Value::from(text.as_str()), Value::from),
            _ => Value::from(text.as_str()),
        };
        check(&schema, &value, name, &mut wrong);
    }
    wrong.truncate(MOST);
    wrong
}

/// The parameters of a query string that are not known.
pub(crate) fn unknown_in_query(known: &[Parameter], sent: &[(String, String)]) -> Vec<FieldError> {
    let names = listed(known.iter().map(|it| it.name.as_str()));
    let unknown = sent.iter().filter(|(name, _)| known.iter().all(|it| it.name != *name));
    unknown.take(MOST).map(|(name, _)| error(&shown(name), format!("is not known here; known are {names}"))).collect()
}

fn check(declared: &Value, sent: &Value, path: &str, wrong: &mut Vec<FieldError>) {
    let schema = resolved(declared);
    if wrong.len() >= MOST {
        return;
    }
    if let Some(options) = schema["oneOf"].as_array() {
        return check_one_of(schema, options, sent, path, wrong);
    }
    if !has_type(schema, sent) || !within(schema, sent) {
        return wrong.push(unlike(path, declared, sent));
    }
    let (Some(sent), Some(known)) = (sent.as_object(), schema["properties"].as_object()) else { return };
    for (name, value) in sent {
        match known.get(name) {
            Some(schema) => check(schema, value, &joined(path, name), wrong),
            None => wrong.push(error(&joined(path, name), format!("is not known here; known are {}", names(known)))),
        }
    }
    for name in words(&schema["required"]).filter(|name| !sent.contains_key(*name)) {
        wrong.push(error(&joined(path, name), format!("is missing; expected {}", in_words(&known[name]))));
    }
}

/// Exactly one of the options has to fit. Which one is meant is told by a word that each has of its own (its
/// tag), or else by the fields that it requires.
fn check_one_of(schema: &Value, options: &[Value], sent: &Value, path: &str, wrong: &mut Vec<FieldError>) {
    let options: Vec<&Value> = options.iter().map(resolved).collect();
    if sent.is_null() && options.iter().any(|it| it["type"] == "null") {
        return;
    }
    let options: Vec<&Value> = options.into_iter().filter(|it| it["type"] != "null").collect();
    if let [option] = options[..]
        && !sent.is_null()
        && has_type(option, sent)
    {
        return check(option, sent, path, wrong);
    }
    let Some(fields) = sent.as_object() else { return wrong.push(unlike(path, schema, sent)) };
    if let Some(tag) = tag(&options) {
        let known = || listed(options.iter().flat_map(|it| words(&it["properties"][tag]["enum"])));
        let Some(word) = fields.get(tag) else {
            return wrong.push(error(&joined(path, tag), format!("is missing; expected one of {}", known())));
        };
        return match options.iter().find(|it| it["properties"][tag]["enum"][0] == *word) {
            Some(option) => check(option, sent, path, wrong),
            None => wrong.push(error(
                &joined(path, tag),
                format!("expected one of {}, not {}", known(), shown(&word.to_string())),
            )),
        };
    }
    let mut fitting = options.iter().filter(|it| words(&it["required"]).all(|name| fields.contains_key(name)));
    match (fitting.next(), fitting.next()) {
        (Some(option), None) => check(option, sent, path, wrong),
        _ => wrong.push(error(path, format!("expected {}", in_words(schema)))),
    }
}

/// The field whose word tells these options apart, if one does.
fn tag<'a>(options: &[&'a Value]) -> Option<&'a str> {
    let one_word = |option: &Value, name: &str| words(&option["properties"][name]["enum"]).count() == 1;
    let names = options.first()?["properties"].as_object()?;
    names.keys().map(String::as_str).find(|name| options.iter().all(|it| one_word(it, name)))
}

fn has_type(schema: &Value, sent: &Value) -> bool {
    let of = |name: &str| match name {
        "null" => sent.is_null(),
        "boolean" => sent.is_boolean(),
        "integer" => sent.is_i64() || sent.is_u64(),
        "number" => sent.is_number(),
        "string" => sent.is_string(),
        "array" => sent.is_array(),
        "object" => sent.is_object(),
        _ => true,
    };
    match &schema["type"] {
        Value::String(name) => of(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(of),
        _ => true,
    }
}

/// Whether it is one of the words, and between the bounds, where the document has such.
fn within(schema: &Value, sent: &Value) -> bool {
    let least = schema["minimum"].as_f64().unwrap_or(f64::MIN);
    let most = schema["maximum"].as_f64().unwrap_or(f64::MAX);
    schema["enum"].as_array().is_none_or(|known| known.contains(sent))
        && sent.as_f64().is_none_or(|number| (least..=most).contains(&number))
}

/// What is expected, for a person.
fn in_words(schema: &Value) -> String {
    if schema["$ref"].as_str().is_some_and(|it| it.ends_with("/Timestamp")) {
        return "an instant, in whole milliseconds since 1970 in UTC".to_owned();
    }
    let schema = resolved(schema);
    if let Some(options) = schema["oneOf"].as_array() {
        let objects: Vec<&Value> = options.iter().map(resolved).filter(|it| it["type"] == "object").collect();
        if let Some(tag) = tag(&objects) {
            let known = listed(objects.iter().flat_map(|it| words(&it["properties"][tag]["enum"])));
            return format!("an object whose {tag} is one of {known}");
        }
        if objects.len() == options.len() {
            return format!(
                "an object with exactly one of {}",
                listed(objects.iter().flat_map(|it| words(&it["required"])))
            );
        }
        let (null, others): (Vec<&Value>, Vec<&Value>) = options.iter().partition(|it| it["type"] == "null");
        return others.into_iter().chain(null).map(in_words).collect::<Vec<_>>().join(", or ");
    }
    if schema["enum"].is_array() {
        return format!("one of {}", listed(words(&schema["enum"])));
    }
    let mut types: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        _ => words(&schema["type"]).collect(),
    };
    types.sort_by_key(|name| *name == "null");
    let one = |name: &&str| match *name {
        "boolean" => "true or false".to_owned(),
        "integer" => match (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
            (Some(least), Some(most)) => format!("a whole number from {least} to {most}"),
            (Some(least), None) => format!("a whole number, {least} or more"),
            _ => "a whole number".to_owned(),
        },
        "string" => "a string".to_owned(),
        "array" => "a list".to_owned(),
        "object" => match schema["properties"].as_object() {
            Some(known) => format!("a JSON object with {}", names(known)),
            None => "a JSON object".to_owned(),
        },
        other => other.to_owned(),
    };
    types.iter().map(one).collect::<Vec<_>>().join(", or ")
}

fn unlike(path: &str, schema: &Value, sent: &Value) -> FieldError {
    let sent = match sent {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => shown(&other.to_string()),
    };
    error(path, format!("expected {}, not {sent}", in_words(schema)))
}

fn error(path: &str, message: String) -> FieldError {
    FieldError { field: if path.is_empty() { "body".to_owned() } else { path.to_owned() }, message }
}

/// A schema, or the one that it refers to.
fn resolved(schema: &Value) -> &Value {
    match schema["$ref"].as_str().and_then(|it| it.rsplit('/').next()) {
        Some(name) => &SCHEMAS[name],
        None => schema,
    }
}

fn words(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn names(known: &Map<String, Value>) -> String {
    listed(known.keys().map(String::as_str))
}

fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

fn joined(path: &str, name: &str) -> String {
    let name = shown(name);
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

/// What was sent, shortened.
fn shown(text: &str) -> String {
    match text.char_indices().nth(REPEATED_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
