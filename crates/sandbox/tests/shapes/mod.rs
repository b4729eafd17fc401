//! Compares shapes with Stripe's own fixtures, where that file is at hand.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

/// Stripe's fixtures by the name of the object.
pub(crate) fn fixtures() -> Option<Value> {
    let mut folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let Some(text) = folders.find_map(|it| std::fs::read_to_string(it.join("shared/stripe/fixtures3.json")).ok())
    else {
        eprintln!("no fixtures of Stripe's at hand: shapes are not compared");
        return None;
    };
    Some(serde_json::from_str::<Value>(&text).unwrap()["resources"].take())
}

/// Collects the fields that no fixture has.
pub(crate) fn compare(object: &Value, fixtures: &Value, unknown: &mut BTreeSet<String>) {
    let Some(name) = object["object"].as_str() else { return };
    walk(object, &fixtures[name], name, fixtures, unknown);
}

fn walk(value: &Value, fixture: &Value, path: &str, fixtures: &Value, unknown: &mut BTreeSet<String>) {
    let Some(fields) = value.as_object() else { return };
    for (field, value) in fields {
        let path = format!("{path}.{field}");
        let Some(like) = fixture.get(field) else {
            unknown.insert(path);
            continue;
        };
        if field == "metadata" || field == "fraud_details" {
            continue;
        }
        for part in value.as_array().into_iter().flatten() {
            compare(part, fixtures, unknown);
        }
        match value["object"].as_str() {
            Some("list") => value["data"].as_array().unwrap().iter().for_each(|it| compare(it, fixtures, unknown)),
            Some(_) => compare(value, fixtures, unknown),
            None if like.is_object() => walk(value, like, &path, fixtures, unknown),
            None => {}
        }
    }
}
