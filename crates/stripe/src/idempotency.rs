//! Keys under which a change is made once, however often it is sent.

use std::fmt;

/// The longest key that Stripe takes.
const LONGEST: usize = 255;

/// The key of one change. The same change sent again under it gets the first one's answer; another
/// change under it is refused. Stripe forgets keys after a day.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

/// A text that cannot be a key: empty, longer than 255 characters, or with others than visible ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key has 1 to 255 visible ASCII characters")]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// A key.
    ///
    /// # Errors
    /// [`InvalidIdempotencyKey`] where Stripe, or HTTP, would not take it.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidIdempotencyKey> {
        let text = text.into();
        if text.is_empty() || text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidIdempotencyKey);
        }
        Ok(Self(text))
    }

    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_fits_into_its_header() {
        assert_eq!(IdempotencyKey::new("checkout:ten_1:3").map(|key| key.to_string()), Ok("checkout:ten_1:3".into()));
        assert!(IdempotencyKey::new("k".repeat(255)).is_ok());
        for refused in [String::new(), "k".repeat(256), "a b".into(), "a\r\nb".into(), "clé".into()] {
            assert_eq!(IdempotencyKey::new(refused.clone()), Err(InvalidIdempotencyKey), "{refused:?}");
        }
    }
}
