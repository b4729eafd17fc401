//! What was typed or pasted, made into what is looked for.

use url::Url;

use crate::cache::fold;

/// What to look for in what somebody typed or pasted: spaces at the ends, `mailto:`, angle brackets and
/// quotes are taken off, and of a Stripe page's address the object's id is left.
pub fn normalise(text: &str) -> String {
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let (Some(from), Some(to)) = (text.find('<'), text.rfind('>'))
        && from + 1 < to
    {
        text = text[from + 1..to].trim().to_owned();
    }
    let mut rest = text.trim_matches(|c: char| c.is_whitespace() || "\"'<>,;“”‘’«»".contains(c));
    if let Some(head) = rest.get(..7)
        && head.eq_ignore_ascii_case("mailto:")
    {
        rest = rest[7..].split('?').next().unwrap_or_default();
        return rest.replace("%40", "@").replace("%2B", "+").replace("%2b", "+").trim().to_owned();
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
