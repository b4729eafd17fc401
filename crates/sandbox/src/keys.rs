//! API keys of the fictional account.

use crate::draw::{Draw, Purpose};
use crate::ids::Kind;

/// What a caller does to objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// The account's keys. The same seed gives the same keys; they open nothing but this sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// A restricted test key with every permission to read.
    pub restricted: String,
    /// A restricted test key that may not read charges, refunds and disputes.
    pub lacking: String,
    /// A secret test key, which may do everything.
    pub secret: String,
    /// A restricted test key with every permission to read and to write; the sample world has nothing to write.
    pub writing: String,
    /// A restricted live key. This account has no live side: it is always refused.
    pub live: String,
}

impl Keys {
    pub(crate) fn new(seed: u64, account: &str) -> Self {
        let mut draw = Draw::new(seed, u32::MAX, Purpose::Keys);
        let mut key = |prefix: &str| format!("{prefix}{}{}", &account[5..], draw.alphanumeric(72));
        // The order is part of every seed's keys.
        let (restricted, lacking) = (key("rk_test_"), key("rk_test_"));
        let (secret, live) = (key("sk_test_"), key("rk_live_"));
        Self { restricted, lacking, secret, live, writing: key("rk_test_") }
    }

    /// What a key lacks to do `access` to objects of a kind: the permission's name. `Err` = no such key.
    pub(crate) fn lacks(&self, key: &str, kind: Kind, access: Access) -> Result<Option<String>, ()> {
        if key == self.writing || key == self.secret {
            return Ok(None);
        }
        let lacks = if key == self.restricted {
            access == Access::Write
        } else if key == self.lacking {
            access == Access::Write || matches!(kind, Kind::Charge | Kind::Refund | Kind::Dispute)
        } else {
            return Err(());
        };
        let word = if access == Access::Read { "read" } else { "write" };
        Ok(lacks.then(|| format!("rak_{}_{word}", subject(kind))))
    }
}

/// What Stripe calls a kind in the names of permissions.
fn subject(kind: Kind) -> &'static str {
    match kind {
        Kind::Subscription | Kind::SubscriptionItem => "subscription",
        Kind::Invoice | Kind::InvoiceLine | Kind::InvoicePayment => "invoice",
        Kind::Charge | Kind::Refund => "charge",
        Kind::Price => "plan",
        Kind::CheckoutSession => "checkout_session",
        Kind::PortalSession => "customer_portal",
        Kind::WebhookEndpoint => "webhook",
        Kind::Coupon | Kind::Discount => "coupon",
        Kind::TestClock => "test_clock",
        other => other.singular(),
    }
}

/// A key as it may be shown: its kind and its last four characters.
pub(crate) fn redact(key: &str) -> String {
    let visible = key.rsplit_once('_').map_or(0, |(kind, _)| kind.len() + 1);
    let last = key.char_indices().rev().nth(3).map_or(0, |(at, _)| at).max(visible);
    format!("{}{}{}", &key[..visible], "*".repeat(last - visible), &key[last..])
}
