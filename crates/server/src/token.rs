//! Access tokens: made once, shown once, kept only as a keyed hash.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use paywall_contract::token::{PREFIX, checksum};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// A new token: the prefix, 256 random bits and a checksum against slips of typing.
pub(crate) fn generate() -> String {
    let random: [u8; 32] = rand::random();
    let body = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
    let sum = checksum(&body);
    body + &sum
}

/// What is stored of a token. Without the key, a stolen database does not even tell whether a token
/// is in it.
pub(crate) fn hash(key: &SecretString, token: &str) -> Vec<u8> {
    // HMAC takes a key of any length, so this cannot fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()) else { return Vec::new() };
    mac.update(token.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_the_shape_that_callers_check() {
        let token = generate();
        assert!(paywall_contract::token::looks_valid(&token), "{} characters", token.len());
        assert_ne!(token, generate());
        assert!(!paywall_contract::token::looks_valid(&token[..token.len() - 1]));
    }

    #[test]
    fn the_hash_depends_on_the_key() {
        let token = generate();
        let (one, two) = (SecretString::from("one"), SecretString::from("two"));
        assert_eq!(hash(&one, &token), hash(&one, &token));
        assert_ne!(hash(&one, &token), hash(&two, &token));
        assert_eq!(hash(&one, &token).len(), 32);
    }
}
