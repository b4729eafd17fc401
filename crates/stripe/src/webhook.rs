//! Whether a webhook is Stripe's: its signature over the raw body.

use std::fmt;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::Error;
use crate::shapes::Event;

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "Stripe-Signature";

/// How old a delivery may be, as Stripe's own libraries have it.
pub const TOLERANCE: Duration = Duration::from_secs(300);

/// The only scheme that Stripe signs live deliveries with.
const SCHEME: &str = "v1";

/// The secret of a webhook endpoint. It is wiped from memory when dropped, and its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct WebhookSecret(SecretString);

/// A blank text is no secret: with it anybody could sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook secret cannot be blank")]
pub struct BlankSecret;

impl WebhookSecret {
    /// The secret as it was pasted, without spaces at its ends.
    ///
    /// # Errors
    /// [`BlankSecret`] where nothing remains.
    pub fn new(text: &str) -> Result<Self, BlankSecret> {
        let text = text.trim();
        if text.is_empty() { Err(BlankSecret) } else { Ok(Self(SecretString::from(text.to_owned()))) }
    }

    fn mac(&self) -> Option<Hmac<Sha256>> {
        Hmac::new_from_slice(self.0.expose_secret().as_bytes()).ok()
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret")
    }
}

/// Why a delivery is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The header is not what Stripe sends.
    #[error("the signature header cannot be read")]
    MalformedHeader,
    /// No signature of the scheme that counts.
    #[error("the signature header has no v1 signature")]
    NoSignature,
    /// Another secret, another body, or another instant was signed.
    #[error("no signature is of this body and a known secret")]
    NoMatch,
    /// Rightly signed, but long ago: delayed, replayed, or one of the clocks is wrong.
    #[error("it was signed {age_seconds} seconds ago")]
    TooOld {
        /// How long ago.
        age_seconds: i64,
    },
}

impl SignatureError {
    /// A stable word for it.
    pub fn code(self) -> &'static str {
        match self {
            Self::MalformedHeader => "malformed_header",
            Self::NoSignature => "no_signature",
            Self::NoMatch => "no_match",
            Self::TooOld { .. } => "too_old",
        }
    }
}

/// Whether `payload`, the body exactly as it arrived, was signed by one of `secrets` at most `tolerance`
/// before `now_seconds`.
///
/// While a secret is rolled Stripe signs with both, and the endpoint may know both: one match is
/// enough. An instant ahead of `now_seconds` is accepted, as by Stripe's own libraries: it is signed too.
///
/// # Errors
/// Why it is not to be taken. Age is looked at last, so [`SignatureError::TooOld`] is only said of what
/// Stripe did sign.
pub fn verify(
    payload: &[u8],
    header: &str,
    secrets: &[WebhookSecret],
    now_seconds: i64,
    tolerance: Duration,
) -> Result<(), SignatureError> {
    let signed = Signed::read(header)?;
    let matches = secrets.iter().filter_map(WebhookSecret::mac).any(|mut mac| {
        mac.update(signed.instant.as_bytes());
        mac.update(b".");
        mac.update(payload);
        signed.signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok())
    });
    if !matches {
        return Err(SignatureError::NoMatch);
    }
    let age_seconds = now_seconds.saturating_sub(signed.seconds);
    if u64::try_from(age_seconds).is_ok_and(|age| age > tolerance.as_secs()) {
        return Err(SignatureError::TooOld { age_seconds });
    }
    Ok(())
}

/// What the header says.
struct Signed<'a> {
    /// As it was signed.
    instant: &'a str,
    seconds: i64,
    signatures: Vec<Vec<u8>>,
}

impl<'a> Signed<'a> {
    fn read(header: &'a str) -> Result<Self, SignatureError> {
        let mut instant = None;
        let mut named = 0;
        let mut signatures = Vec::new();
        for element in header.split(',') {
            let (scheme, value) = element.split_once('=').ok_or(SignatureError::MalformedHeader)?;
            let value = value.trim();
            match scheme.trim() {
                "t" if instant.is_some() => return Err(SignatureError::MalformedHeader),
                "t" => instant = Some(value),
                SCHEME => {
                    named += 1;
                    signatures.extend(hex::decode(value).ok());
                }
                _ => {}
            }
        }
        let instant = instant.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let instant = instant.ok_or(SignatureError::MalformedHeader)?;
        let seconds = instant.parse().map_err(|_| SignatureError::MalformedHeader)?;
        if named == 0 {
            return Err(SignatureError::NoSignature);
        }
        Ok(Self { instant, seconds, signatures })
    }
}

/// The event that a verified delivery carries. It says that something happened; what there is now is
/// read from Stripe.
///
/// # Errors
/// [`crate::ErrorKind::Unreadable`] where it is none.
pub fn event(payload: &[u8]) -> Result<Event, Error> {
    crate::object::parse(payload)
}
