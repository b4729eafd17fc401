//! Which variables are settings, so that a slip of typing in a name does not go unseen.

use serde::de::value::Error;
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};

use super::Settings;

/// Those beside the keys of the settings' file: read before there are settings, or the console's own.
const OTHERS: [&str; 4] = ["PAYWALL_CONFIG", "PAYWALL_LOG", "PAYWALL_LOG_FORMAT", "PAYWALL_CONSOLE_HOME"];

/// The only key without a variable of its name.
const IN_THE_FILE_ALONE: &str = "plan";

/// Which of these variables look like settings and are none, in the order of their names.
pub(super) fn unknown(names: impl Iterator<Item = String>) -> Vec<String> {
    let keys = keys();
    let known = |name: &str| {
        let key = name.strip_prefix("PAYWALL_").unwrap_or_default();
        OTHERS.contains(&name) || keys.iter().any(|it| *it != IN_THE_FILE_ALONE && it.to_uppercase() == key)
    };
    let mut unknown: Vec<String> = names.filter(|it| it.starts_with("PAYWALL_") && !known(it)).collect();
    unknown.sort();
    unknown
}

/// The keys of the settings' file, as its reader has them.
fn keys() -> &'static [&'static str] {
    let mut keys: &'static [&'static str] = &[];
    // Nothing is read: the reader only says what it would look for.
    let _ = Settings::deserialize(Asked(&mut keys));
    keys
}

/// Notes the fields that it is asked for.
struct Asked<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("there is nothing to read"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
