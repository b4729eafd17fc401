//! The shape of an access token, so that a slip of typing is caught before anything is sent or saved.

/// What every token begins with.
pub const PREFIX: &str = "pwt_";

/// How many characters of randomness follow the prefix: 256 bits in URL-safe base64.
const RANDOM_CHARS: usize = 43;

/// The eight hexadecimal digits that end a token whose prefix and random part are `body`.
pub fn checksum(body: &str) -> String {
    format!("{:08x}", crc32fast::hash(body.as_bytes()))
}

/// Whether `token` has the shape and the checksum of a token. Says nothing about whether a server
/// knows it.
///
/// ```
/// let body = format!("pwt_{}", "A".repeat(43));
/// let token = format!("{body}{}", paywall_contract::token::checksum(&body));
/// assert!(paywall_contract::token::looks_valid(&token));
/// assert!(!paywall_contract::token::looks_valid(&token.replacen('A', "B", 1)));
/// ```
pub fn looks_valid(token: &str) -> bool {
    let body_chars = PREFIX.len() + RANDOM_CHARS;
    token.is_ascii()
        && token.len() == body_chars + 8
        && token.starts_with(PREFIX)
        && token[PREFIX.len()..body_chars].bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && checksum(&token[..body_chars]) == token[body_chars..]
}
