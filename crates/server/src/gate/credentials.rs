//! Whose credential a request carries, in the order in which `RAGFlow` tries them.
//!
//! Nothing here is proof. `RAGFlow` verifies the signature of a session token and of its cookie itself;
//! the gate reads what they say, so that it knows whom to charge. Who forges one names another tenant
//! and gets a 401 from `RAGFlow`, and what `RAGFlow` refuses is not billed. The access token inside a
//! session token is 128 random bits, so naming one takes knowing it.

use std::fmt;

use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::{HeaderMap, HeaderName};
use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// A longer `Authorization` is refused; a session token takes some 90 bytes.
const MOST_AUTHORIZATION: usize = 4096;
/// What a browser keeps of one cookie.
const MOST_COOKIE: usize = 4096;
/// What `RAGFlow`'s columns hold of a key.
const MOST_KEY: usize = 255;
/// `RAGFlow` refuses shorter access tokens.
const LEAST_ACCESS_TOKEN: usize = 32;
/// The length of an embed key.
const EMBED_KEY: usize = 32;

/// Base64 as Python reads it: with or without padding, and whatever the spare bits are.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Who the caller claims to be.
#[derive(Clone)]
pub enum Credential {
    /// An API key: `api_token.token`.
    ApiKey(SecretString),
    /// A signed-in user's session: `user.access_token`, out of the signed token.
    Session(SecretString),
    /// An embed key: `api_token.beta`. Only on routes that take one.
    Beta(SecretString),
    /// `RAGFlow`'s session cookie: a user's id, which is no secret and, unverified, no proof.
    Cookie(String),
    /// No credential.
    Nobody,
}

impl fmt::Debug for Credential {
    /// Names the kind, never the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ApiKey(_) => "ApiKey(…)",
            Self::Session(_) => "Session(…)",
            Self::Beta(_) => "Beta(…)",
            Self::Cookie(_) => "Cookie(…)",
            Self::Nobody => "Nobody",
        })
    }
}

/// What a cache keeps instead of a credential: a keyed hash, from which nothing leads back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheKey([u8; 32]);

impl Credential {
    /// Stable under one `key`, which a process draws at its start; without it, a copy of the cache does
    /// not even tell whether a credential is in it. Kinds never collide.
    pub fn cache_key(&self, key: &[u8; 32]) -> CacheKey {
        let (kind, text) = match self {
            Self::ApiKey(it) => (b'k', it.expose_secret()),
            Self::Session(it) => (b's', it.expose_secret()),
            Self::Beta(it) => (b'b', it.expose_secret()),
            Self::Cookie(it) => (b'c', it.as_str()),
            Self::Nobody => (b'n', ""),
        };
        // A key shorter than the hash's block is padded with zeros; done here, it cannot fail.
        let mut block = [0_u8; 64];
        block[..key.len()].copy_from_slice(key);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(&[kind]);
        mac.update(text.as_bytes());
        CacheKey(mac.finalize().into_bytes().into())
    }
}

/// The credentials of one request, most trusted by `RAGFlow` first. The first that leads to a tenant is
/// the caller.
///
/// There can be several because only `RAGFlow`'s tables tell a key from a word: a header that is none
/// must not hide a cookie that is one.
#[derive(Debug, Clone)]
pub struct Candidates(Vec<Credential>);

impl Candidates {
    /// The one that `RAGFlow` tries first; [`Credential::Nobody`] where there is none.
    pub fn first(&self) -> &Credential {
        self.0.first().unwrap_or(&Credential::Nobody)
    }

    /// All of them, in `RAGFlow`'s order.
    pub fn iter(&self) -> impl Iterator<Item = &Credential> {
        self.0.iter()
    }
}

/// Headers that cannot be read in one way only. The proxy answers 400, `/authz` 403.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// More than one `Authorization`.
    #[error("there is more than one Authorization header")]
    Several,
    /// Longer than any credential.
    #[error("the credential is too long")]
    TooLong,
    /// Not plain ASCII. A database that compares without accents could take it for another key.
    #[error("the credential is not plain text")]
    NotText,
    /// Session cookies of two users, or one that is quoted in an unusual way.
    #[error("the session cookie can be read in more than one way")]
    Ambiguous,
}

/// Reads the credentials out of the headers of a request. `embeds`: whether its route takes embed keys.
pub fn identify(headers: &HeaderMap, embeds: bool) -> Result<Candidates, CredentialError> {
    let mut found = Vec::new();
    authorization(headers, embeds, &mut found)?;
    if let Some(user) = cookie_user(headers)? {
        found.push(Credential::Cookie(user));
    }
    Ok(Candidates(found))
}

fn authorization(headers: &HeaderMap, embeds: bool, found: &mut Vec<Credential>) -> Result<(), CredentialError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(()) };
    if values.next().is_some() {
        return Err(CredentialError::Several);
    }
    if value.len() > MOST_AUTHORIZATION {
        return Err(CredentialError::TooLong);
    }
    let text = value.to_str().map_err(|_| CredentialError::NotText)?;
    let mut words = text.split_ascii_whitespace();
    let (first, second) = (words.next(), words.next());
    // RAGFlow's versions differ: some strip `Bearer`, some take the second word whatever the first is,
    // some take the header as it stands. So the second word counts, and the first where it can.
    let first = first.filter(|it| second.is_none() || it.starts_with("ragflow-") || it.contains('.'));
    for word in second.into_iter().chain(first) {
        if second.is_none() && ["bearer", "token", "basic"].iter().any(|it| it.eq_ignore_ascii_case(word)) {
            continue;
        }
        if embeds && word.len() == EMBED_KEY {
            found.push(Credential::Beta(word.into()));
        }
        if let Some(token) = access_token(word) {
            found.push(Credential::Session(token));
        } else if word.len() <= MOST_KEY {
            found.push(Credential::ApiKey(word.into()));
        }
    }
    Ok(())
}

/// The access token within a session token: `payload.time.signature`, the payload a JSON text.
fn access_token(word: &str) -> Option<SecretString> {
    let text = serde_json::from_slice::<String>(&signed_payload(word)?).ok()?;
    // RAGFlow compares it as it stands, after it has looked at its length without blanks around it.
    let plausible = text.len() <= MOST_KEY && text.trim().len() >= LEAST_ACCESS_TOKEN;
    plausible.then(|| text.into())
}

/// The payload of `payload.time.signature`, which begins with a dot where it is compressed.
fn signed_payload(value: &str) -> Option<Vec<u8>> {
    let (signed, _signature) = value.rsplit_once('.')?;
    let (payload, _time) = signed.rsplit_once('.')?;
    match payload.strip_prefix('.') {
        // A few hundred bytes from a stranger must never become many.
        Some(compressed) => decompress_to_vec_zlib_with_limit(&BASE64.decode(compressed).ok()?, MOST_COOKIE).ok(),
        None => BASE64.decode(payload).ok(),
    }
}

/// The user that the session cookie names.
fn cookie_user(headers: &HeaderMap) -> Result<Option<String>, CredentialError> {
    let mut user: Option<String> = None;
    for header in headers.get_all(COOKIE) {
        // Other cookies may hold any bytes, and are none of ours.
        for pair in header.as_bytes().split(|it| *it == b';') {
            let Some(split) = pair.iter().position(|it| *it == b'=') else { continue };
            if pair[..split].trim_ascii() != b"session" {
                continue;
            }
            // A site may have a `session` cookie of another program beside RAGFlow's.
            let Some(named) = session_user(pair[split + 1..].trim_ascii())? else { continue };
            match &user {
                Some(user) if *user != named => return Err(CredentialError::Ambiguous),
                _ => user = Some(named),
            }
        }
    }
    Ok(user)
}

fn session_user(value: &[u8]) -> Result<Option<String>, CredentialError> {
    #[derive(serde::Deserialize)]
    struct Session {
        #[serde(rename = "_user_id")]
        user_id: String,
    }
    if value.len() > MOST_COOKIE {
        return Err(CredentialError::TooLong);
    }
    let value = value.strip_prefix(b"\"").and_then(|it| it.strip_suffix(b"\"")).unwrap_or(value);
    // Python's cookie parser takes octal escapes in quotes; nobody needs any in a session.
    if value.contains(&b'\\') || value.contains(&b'"') {
        return Err(CredentialError::Ambiguous);
    }
    let named = std::str::from_utf8(value)
        .ok()
        .and_then(signed_payload)
        .and_then(|payload| serde_json::from_slice::<Session>(&payload).ok())
        .map(|session| session.user_id);
    Ok(named.filter(|id| id.len() == 32 && id.bytes().all(|it| it.is_ascii_hexdigit())))
}

/// Who is in front of the paywall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front {
    /// Nobody, or somebody whom nobody vouched for.
    Anyone,
    /// A proxy of one's own, by its address.
    Trusted,
}

/// Headers that the paywall itself sets, or that claim what only it may say.
const RESERVED: [&str; 15] = [
    "x-original-method",
    "x-original-content-length",
    "x-original-uri",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-user-id",
    "x-tenant-id",
    "x-remote-user",
    "remote-user",
    "x-forwarded-user",
    "x-auth-request-user",
    "x-authenticated-user",
];

/// Headers about the connection that the paywall writes anew, and believes of its own front only.
const FORWARDED: [&str; 7] = [
    "forwarded",
    "x-real-ip",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-prefix",
];

/// Whether a request from `front` must not bring this header to `RAGFlow`. An underscore counts as a
/// hyphen, as it does to some servers.
pub fn is_reserved(name: &HeaderName, front: Front) -> bool {
    let is = |word: &str| {
        name.as_str().len() >= word.len()
            && name.as_str().bytes().zip(word.bytes()).all(|(a, b)| a == b || (a == b'_' && b == b'-'))
    };
    let listed = |words: &[&str]| words.iter().any(|word| word.len() == name.as_str().len() && is(word));
    is("x-paywall-") || listed(&RESERVED) || (front == Front::Anyone && listed(&FORWARDED))
}

/// Takes every reserved header out, and tells which: a request that brings one is worth a line in the
/// log.
pub fn strip_reserved(headers: &mut HeaderMap, front: Front) -> Vec<HeaderName> {
    let names: Vec<HeaderName> = headers.keys().filter(|name| is_reserved(name, front)).cloned().collect();
    for name in &names {
        headers.remove(name);
    }
    names
}
