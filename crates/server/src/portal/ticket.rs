//! Tickets: what lets a form of the page act for its customer, without a credential and for a while.
//!
//! The page is drawn for whoever signed in, and for nobody else. So only they have what stands in it, and a form of
//! another site cannot send it.

use paywall_domain::{TenantId, Timestamp};
use secrecy::SecretString;
use subtle::ConstantTimeEq;

use crate::token;

/// What a ticket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To go to Checkout or to Stripe's portal.
    Buy,
    /// To have Stripe looked at after the portal.
    Return,
}

impl Purpose {
    fn word(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Return => "return",
        }
    }

    fn lasts_ms(self) -> i64 {
        match self {
            // As long as somebody looks at a page before choosing.
            Self::Buy => 2 * 3_600_000,
            Self::Return => 24 * 3_600_000,
        }
    }
}

/// A ticket for a customer.
pub(super) fn issue(key: &SecretString, purpose: Purpose, tenant: &TenantId, now: Timestamp) -> String {
    let ends = now.plus_ms(purpose.lasts_ms()).0;
    format!("{}.{ends}.{}", tenant.as_str(), hex::encode(seal(key, purpose, tenant, ends)))
}

/// Whose ticket it is, while it holds.
pub(super) fn read(key: &SecretString, purpose: Purpose, ticket: &str, now: Timestamp) -> Option<TenantId> {
    let mut parts = ticket.splitn(3, '.');
    let tenant = TenantId::parse(parts.next()?).ok()?;
    let ends: i64 = parts.next()?.parse().ok()?;
    let seal_of_it = hex::decode(parts.next()?).ok()?;
    let true_one: bool = seal(key, purpose, &tenant, ends).ct_eq(&seal_of_it).into();
    (true_one && now.0 < ends).then_some(tenant)
}

/// Access tokens begin otherwise, so that nothing is both.
fn seal(key: &SecretString, purpose: Purpose, tenant: &TenantId, ends: i64) -> Vec<u8> {
    token::hash(key, &format!("ticket {} {} {ends}", purpose.word(), tenant.as_str()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_ticket_is_good_for_its_customer_its_purpose_and_its_time() {
        let (key, other) = (SecretString::from("a key of replicas"), SecretString::from("another"));
        let (now, tenant) = (Timestamp(1_795_600_000_000), TenantId::parse(&"a".repeat(32)).unwrap());
        let ticket = issue(&key, Purpose::Buy, &tenant, now);
        assert_eq!(read(&key, Purpose::Buy, &ticket, now), Some(tenant.clone()));
        assert_eq!(read(&key, Purpose::Buy, &ticket, now.plus_ms(2 * 3_600_000)), None);
        assert_eq!(read(&key, Purpose::Return, &ticket, now), None);
        assert_eq!(read(&other, Purpose::Buy, &ticket, now), None);
        for forged in [
            ticket.replacen('a', "b", 1),
            ticket.replace(".1", ".9"),
            String::new(),
            "..".to_owned(),
            format!("{ticket}00"),
            ticket.rsplit_once('.').unwrap().0.to_owned() + ".",
        ] {
            assert_eq!(read(&key, Purpose::Buy, &forged, now), None, "{forged}");
        }
    }
}
