//! The lines of an import, checked as strictly as the bodies of requests.

use paywall_contract::IntakeRecord;
use serde_json::Value;

/// The record in a line; or why it cannot be taken, with the field that it is about.
///
/// A field that the record does not have is refused: whoever misspells the end of a gift must not give it for
/// ever. It is told by what is missing once the record is written out again, since the types themselves take
/// fields of newer versions.
pub fn read_record(line: &str) -> Result<IntakeRecord, String> {
    let record: IntakeRecord = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let sent: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let kept = serde_json::to_value(&record).map_err(|error| error.to_string())?;
    match unknown(&sent, &kept) {
        None => Ok(record),
        Some(field) => Err(format!("{field} is not known here")),
    }
}

/// The path of the first field in `sent` that `kept` lost. One that is `null` says nothing, and may be left out.
fn unknown(sent: &Value, kept: &Value) -> Option<String> {
    let joined = |name: &str, rest: String| if rest.is_empty() { name.to_owned() } else { format!("{name}.{rest}") };
    match (sent, kept) {
        (Value::Object(sent), Value::Object(kept)) => sent.iter().find_map(|(name, value)| match kept.get(name) {
            Some(kept) => unknown(value, kept).map(|rest| joined(name, rest)),
            None => (!value.is_null()).then(|| name.clone()),
        }),
        (Value::Array(sent), Value::Array(kept)) => sent
            .iter()
            .zip(kept)
            .enumerate()
            .find_map(|(index, (sent, kept))| unknown(sent, kept).map(|rest| joined(&index.to_string(), rest))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn tenant() -> Value {
        json!({"type": "tenant", "data": {
            "id": "0".repeat(32), "name": "One", "email": "one@acme.example", "created_at": 0,
            "facts": {"plan": "pro", "trial": null, "subscription": null, "suspension": null, "overrides": {},
                "comp": {"plan": "pro", "until": null, "since": 0}},
            "members": [{"user_id": "u1", "name": "", "email": "one@acme.example", "role": "owner"}],
            "usage": [{"day": 0, "amounts": {"messages": 3}}],
        }})
    }

    #[test]
    fn a_field_that_a_record_does_not_have_is_named() {
        read_record(&tenant().to_string()).unwrap();
        let cases = [
            ("", "id"),
            ("/data", "data.expires"),
            ("/data/facts/comp", "data.facts.comp.expires_at"),
            ("/data/members/0", "data.members.0.title"),
            ("/data/usage/0", "data.usage.0.messages"),
        ];
        for (place, field) in cases {
            let mut record = tenant();
            let name = field.rsplit('.').next().unwrap();
            record.pointer_mut(place).unwrap()[name] = json!(7);
            let refused = read_record(&record.to_string()).unwrap_err();
            assert_eq!(refused, format!("{field} is not known here"));
            // As what was left out.
            record.pointer_mut(place).unwrap()[name] = Value::Null;
            read_record(&record.to_string()).unwrap();
        }
    }
}
