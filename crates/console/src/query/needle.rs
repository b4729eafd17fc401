//! What was typed or pasted, made into what is looked for.

use url::Url;

use crate::cache::fold;

/// What to look for in what somebody typed or pasted: spaces at the ends, `mailto:`, angle brackets and
/// quotes around it are taken off, and of a Stripe page's address the object's id is left. What would
/// leave nothing stays as it was typed.
pub fn normalise(text: &str) -> String {
    let typed = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let left = unwrapped(&typed);
    if left.is_empty() { typed } else { left }
}

fn unwrapped(typed: &str) -> String {
    let mut rest = typed.trim_end_matches([',', ';']);
    if let (Some(from), Some(to)) = (rest.find('<'), rest.rfind('>'))
        && from + 1 < to
    {
        rest = rest[from + 1..to].trim();
    }
    for (open, close) in [('"', '"'), ('\'', '\''), ('“', '”'), ('‘', '’'), ('«', '»')] {
        if let Some(inner) = rest.strip_prefix(open).and_then(|it| it.strip_suffix(close)) {
            rest = inner.trim();
        }
    }
    if let Some((scheme, address)) = rest.split_once(':')
        && scheme.eq_ignore_ascii_case("mailto")
    {
        let address = address.split('?').next().unwrap_or_default();
        return address.replace("%40", "@").replace("%2B", "+").replace("%2b", "+").trim().to_owned();
    }
    if let Ok(url) = Url::parse(rest)
        && matches!(url.scheme(), "http" | "https")
    {
        let named = url.path_segments().into_iter().flatten().rev().find(|part| !part.is_empty());
        return named.unwrap_or_else(|| url.host_str().unwrap_or_default()).to_owned();
    }
    rest.to_owned()
}

/// What to look for, as texts are stored.
pub(super) fn needle(text: &str) -> String {
    fold(&normalise(text))
}

/// Whether the index over texts can look for it: it knows three characters in a row.
pub(super) fn indexed(needle: &str) -> bool {
    needle.chars().nth(2).is_some()
}

/// A match expression that finds the text anywhere, whatever signs are in it.
pub(super) fn match_expression(needle: &str) -> String {
    format!("\"{}\"", needle.replace('"', "\"\""))
}

/// The first text after all that begin with `prefix`.
pub(super) fn after_prefix(prefix: &str) -> String {
    // No character of a text sorts after the last one of Unicode.
    format!("{prefix}{}", char::MAX)
}
