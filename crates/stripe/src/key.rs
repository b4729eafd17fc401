//! API keys, by their look.

use secrecy::{ExposeSecret, SecretString};

/// What kind of key a text is, by its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// `rk_`: may do what it was given.
    Restricted,
    /// `sk_`: may do everything.
    Secret,
    /// `pk_`: made for browsers; reads nothing.
    Publishable,
    /// None of these.
    Unknown,
}

/// An API key. It is wiped from memory when dropped, and its `Debug` shows nothing of it.
#[derive(Debug, Clone)]
pub struct StripeKey(SecretString);

impl StripeKey {
    /// The key as it was pasted, without spaces at its ends.
    pub fn new(text: &str) -> Self {
        Self(SecretString::from(text.trim().to_owned()))
    }

    /// What kind of key it is.
    pub fn kind(&self) -> KeyKind {
        match self.0.expose_secret().split_once('_') {
            Some(("rk", _)) => KeyKind::Restricted,
            Some(("sk", _)) => KeyKind::Secret,
            Some(("pk", _)) => KeyKind::Publishable,
            _ => KeyKind::Unknown,
        }
    }

    /// Whether it moves real money; `None` where its look does not tell.
    pub fn live(&self) -> Option<bool> {
        if self.kind() == KeyKind::Unknown {
            return None;
        }
        match self.0.expose_secret().split('_').nth(1) {
            Some("live") => Some(true),
            Some("test") => Some(false),
            _ => None,
        }
    }

    /// The key itself, for the `Authorization` header.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_its_kind_and_mode_and_hides_itself() {
        let restricted = StripeKey::new(" rk_live_51AbCdEf\n");
        assert_eq!((restricted.kind(), restricted.live()), (KeyKind::Restricted, Some(true)));
        let secret = StripeKey::new("sk_test_51AbCdEf");
        assert_eq!((secret.kind(), secret.live()), (KeyKind::Secret, Some(false)));
        assert_eq!(StripeKey::new("pk_test_1").kind(), KeyKind::Publishable);
        let other = StripeKey::new("whsec_live_1");
        assert_eq!((other.kind(), other.live()), (KeyKind::Unknown, None));
        assert_eq!(StripeKey::new("sk_org_1").live(), None);
        assert!(!format!("{restricted:?}").contains("51AbCdEf"));
    }
}
