//! Figures as a customer reads them: grouped by thousands, bytes in units, instants in UTC.

use chrono::DateTime;
use paywall_domain::{Meter, Timestamp};

use crate::gate::{self, Language};

/// An amount of a meter.
pub(super) fn amount(meter: Meter, value: i64, language: Language) -> String {
    if meter == Meter::StorageBytes {
        let text = gate::amount(meter, value);
        return if language == Language::Es { text.replace('.', ",") } else { text };
    }
    let digits = value.unsigned_abs().to_string();
    // Spanish groups from five digits on.
    let separator = match language {
        Language::Es if digits.len() < 5 => "",
        Language::Es => ".",
        Language::En | Language::Zh => ",",
    };
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push_str(separator);
        }
        text.push(digit);
    }
    if value < 0 { format!("-{text}") } else { text }
}

/// How full it is, in whole percent from 0 to 100. A limit of zero is always full.
pub(super) fn percent(used: i64, limit: i64) -> u8 {
    if limit <= 0 {
        return 100;
    }
    let percent = i128::from(used.max(0)) * 100 / i128::from(limit);
    u8::try_from(percent.min(100)).unwrap_or(100)
}

pub(super) fn day(at: Timestamp) -> String {
    written(at, "%Y-%m-%d")
}

pub(super) fn minute(at: Timestamp) -> String {
    written(at, "%Y-%m-%d %H:%M UTC")
}

fn written(at: Timestamp, format: &str) -> String {
    DateTime::from_timestamp_millis(at.0).map_or_else(|| at.0.to_string(), |it| it.format(format).to_string())
}
