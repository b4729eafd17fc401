//! API keys of the fictional account.

use crate::draw::{Draw, Purpose};
use crate::ids::Kind;

/// The account's keys. The same seed gives the same keys; they open nothing but this sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// A restricted test key with every permission to read.
    pub restricted: String,
    /// A restricted test key that may not read charges, refunds and disputes.
    pub lacking: String,
    /// A secret test key, which may do everything.
    pub secret: String,
    /// A restricted live key. This account has no live side: it is always refused.
    pub live: String,
}

impl Keys {
    pub(crate) fn new(seed: u64, account: &str) -> Self {
        let mut draw = Draw::new(seed, u32::MAX, Purpose::Keys);
        let mut key = |prefix: &str| format!("{prefix}{}{}", &account[5..], draw.alphanumeric(72));
        Self { restricted: key("rk_test_"), lacking: key("rk_test_"), secret: key("sk_test_"), live: key("rk_live_") }
    }

    /// What a key lacks to read objects of a kind: the permission's name. `Err` = no such key.
    pub(crate) fn lacks(&self, key: &str, kind: Kind) -> Result<Option<&'static str>, ()> {
        if key == self.restricted || key == self.secret {
            return Ok(None);
        }
        if key != self.lacking {
            return Err(());
        }
        Ok(match kind {
            Kind::Charge | Kind::Refund => Some("rak_charge_read"),
            Kind::Dispute => Some("rak_dispute_read"),
            _ => None,
        })
    }
}

/// A key as it may be shown: its kind and its last four characters.
pub(crate) fn redact(key: &str) -> String {
    let visible = key.rsplit_once('_').map_or(0, |(kind, _)| kind.len() + 1);
    let last = key.char_indices().rev().nth(3).map_or(0, |(at, _)| at).max(visible);
    format!("{}{}{}", &key[..visible], "*".repeat(last - visible), &key[last..])
}
