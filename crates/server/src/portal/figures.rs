//! Figures as a customer reads them: grouped by thousands, bytes in units, instants in UTC.

use chrono::DateTime;
use paywall_domain::billing::Money;
use paywall_domain::{Meter, Timestamp};

use crate::gate::{self, Language};

/// An amount of a meter.
pub(super) fn amount(meter: Meter, value: i64, language: Language) -> String {
    if meter == Meter::StorageBytes {
        let text = gate::amount(meter, value);
        return if language == Language::Es { text.replace('.', ",") } else { text };
    }
    let text = grouped(&value.unsigned_abs().to_string(), language);
    if value < 0 { format!("-{text}") } else { text }
}

fn grouped(digits: &str, language: Language) -> String {
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
    text
}

/// Currencies whose amounts Stripe counts in whole units, and in thousandths; all others in hundredths, also those that
/// have no hundredths (ISK, UGX): Stripe multiplies them.
const WHOLE: [&str; 15] =
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"];
const THOUSANDTHS: [&str; 5] = ["bhd", "jod", "kwd", "omr", "tnd"];

/// What something costs. Whole amounts go without decimals.
pub(super) fn money(money: &Money, language: Language) -> String {
    let currency = money.currency.as_str();
    let decimals = match currency {
        _ if WHOLE.contains(&currency) => 0,
        _ if THOUSANDTHS.contains(&currency) => 3,
        _ => 2,
    };
    let digits = format!("{:0>width$}", money.minor.unsigned_abs(), width = decimals + 1);
    let (units, rest) = digits.split_at(digits.len() - decimals);
    let point = if language == Language::Es { "," } else { "." };
    let mut amount = grouped(units, language);
    if rest.bytes().any(|it| it != b'0') {
        amount = format!("{amount}{point}{rest}");
    }
    let sign = if money.minor < 0 { "-" } else { "" };
    match (symbol(currency, language), language) {
        (Some(symbol), Language::Es) => format!("{sign}{amount}\u{a0}{symbol}"),
        (Some(symbol), _) => format!("{sign}{symbol}{amount}"),
        (None, Language::Es) => format!("{sign}{amount}\u{a0}{}", currency.to_uppercase()),
        (None, _) => format!("{}\u{a0}{sign}{amount}", currency.to_uppercase()),
    }
}

/// A currency's sign, where it says which one is meant to readers of the language.
fn symbol(currency: &str, language: Language) -> Option<&'static str> {
    Some(match (currency, language) {
        ("eur", _) => "€",
        ("gbp", _) => "£",
        ("usd", Language::En) => "$",
        ("usd", Language::Es | Language::Zh) => "US$",
        ("jpy", Language::En) | ("cny", Language::Zh) => "¥",
        ("jpy", Language::Zh) => "JP¥",
        ("cny", Language::En) => "CN¥",
        _ => return None,
    })
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
