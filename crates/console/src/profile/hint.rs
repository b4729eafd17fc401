//! What may be shown of a secret.

/// How many characters at its end may be shown, of a secret long enough that this tells nothing.
const SHOWN: usize = 4;
const LONG_ENOUGH: usize = 16;

/// The public prefix and the last four characters, such as `rk_live_…9xQ2`. Of a secret too short to
/// show any of, nothing.
pub fn hint(secret: &str) -> String {
    let secret = secret.trim();
    let prefix = prefix(secret);
    let rest: Vec<char> = secret.strip_prefix(prefix).unwrap_or_default().chars().collect();
    let tail: String =
        if rest.len() >= LONG_ENOUGH { rest[rest.len() - SHOWN..].iter().collect() } else { String::new() };
    format!("{prefix}…{tail}")
}

/// The part that says what kind of secret it is: short words of lower-case letters, each with an underscore.
fn prefix(secret: &str) -> &str {
    let mut end = 0;
    for (at, _) in secret.match_indices('_').take(2) {
        let word = &secret[end..at];
        if word.is_empty() || word.len() > 8 || !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
            break;
        }
        end = at + 1;
    }
    &secret[..end]
}

/// Whether the text is what stands for a stored secret on the screen, not a secret.
pub fn is_mask(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && (text.contains(['…', '•', '●', '∙', '·']) || text.contains("...") || text.contains("***"))
}
