//! The key of a local copy.

use std::fmt;

use rand::TryRng;
use rand::rngs::SysRng;
use zeroize::{Zeroize, Zeroizing};

/// The key that a local copy is encrypted with: 32 random bytes, wiped from memory when dropped.
#[derive(Clone)]
pub struct CacheKey([u8; 32]);

/// The text is not 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a key of a local copy is 64 hexadecimal digits")]
pub struct CacheKeyError;

impl CacheKey {
    /// A new key from the operating system's randomness.
    pub fn generate() -> std::io::Result<Self> {
        let mut bytes = [0; 32];
        SysRng.try_fill_bytes(&mut bytes).map_err(std::io::Error::other)?;
        Ok(Self(bytes))
    }

    /// A key that was stored as [`CacheKey::to_hex`] gave it.
    pub fn from_hex(text: &str) -> Result<Self, CacheKeyError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.trim(), &mut bytes).map_err(|_| CacheKeyError)?;
        Ok(Self(bytes))
    }

    /// The key as text, for the keyring and nowhere else.
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.0))
    }

    /// The value of the first pragma. Being raw, it needs no derivation, which would take a quarter
    /// of a second per connection.
    pub(super) fn pragma(&self) -> String {
        format!("\"x'{}'\"", *self.to_hex())
    }
}

impl From<[u8; 32]> for CacheKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl Drop for CacheKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CacheKey(…)")
    }
}
