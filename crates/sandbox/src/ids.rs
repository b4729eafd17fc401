//! Ids of Stripe objects.
//!
//! An id carries where its object stands (whose it is, of which kind, which one), scrambled under the
//! seed, so that finding an object by its id needs no table, however large the world.

pub(crate) const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Stands in place of a tenant for what belongs to the account: products and prices.
pub(crate) const CATALOG: u32 = u32::MAX;

/// Set in the low bits of every id's number, to tell one of ours from an invented one.
const MARK: u64 = 0x2d5;

/// A kind of Stripe object that has an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `cus_…`
    Customer,
    /// `prod_…`
    Product,
    /// `price_…`
    Price,
    /// `sub_…`
    Subscription,
    /// `in_…`
    Invoice,
    /// `ch_…`
    Charge,
    /// `re_…`
    Refund,
    /// `dp_…`
    Dispute,
    /// `evt_…`
    Event,
    /// `si_…`
    SubscriptionItem,
    /// `il_…`
    InvoiceLine,
    /// `pi_…`
    PaymentIntent,
    /// `pm_…`
    PaymentMethod,
    /// `txn_…`
    BalanceTransaction,
    /// `di_…`
    Discount,
    /// `cs_…`
    CheckoutSession,
    /// `bps_…`
    PortalSession,
    /// `we_…`
    WebhookEndpoint,
    /// `inpay_…`
    InvoicePayment,
    /// `cn_…`
    CreditNote,
    /// An id that the account's owner chose.
    Coupon,
    /// `clock_…`
    TestClock,
    /// `cnli_…`
    CreditNoteLine,
}

impl Kind {
    /// The kinds that have a list of their own.
    pub const LISTED: [Self; 11] = [
        Self::Customer,
        Self::Product,
        Self::Price,
        Self::Subscription,
        Self::Invoice,
        Self::Charge,
        Self::Refund,
        Self::Dispute,
        Self::Event,
        Self::InvoicePayment,
        Self::CreditNote,
    ];

    const ALL: [Self; 23] = [
        Self::Customer,
        Self::Product,
        Self::Price,
        Self::Subscription,
        Self::Invoice,
        Self::Charge,
        Self::Refund,
        Self::Dispute,
        Self::Event,
        Self::SubscriptionItem,
        Self::InvoiceLine,
        Self::PaymentIntent,
        Self::PaymentMethod,
        Self::BalanceTransaction,
        Self::Discount,
        Self::CheckoutSession,
        Self::PortalSession,
        Self::WebhookEndpoint,
        Self::InvoicePayment,
        Self::CreditNote,
        Self::Coupon,
        Self::TestClock,
        Self::CreditNoteLine,
    ];

    /// The name in paths, such as `customers`.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Customer => "customers",
            Self::Product => "products",
            Self::Price => "prices",
            Self::Subscription => "subscriptions",
            Self::Invoice => "invoices",
            Self::Charge => "charges",
            Self::Refund => "refunds",
            Self::Dispute => "disputes",
            Self::Event => "events",
            Self::SubscriptionItem => "subscription_items",
            Self::InvoiceLine => "lines",
            Self::PaymentIntent => "payment_intents",
            Self::PaymentMethod => "payment_methods",
            Self::BalanceTransaction => "balance_transactions",
            Self::Discount => "discounts",
            Self::CheckoutSession => "checkout/sessions",
            Self::PortalSession => "billing_portal/sessions",
            Self::WebhookEndpoint => "webhook_endpoints",
            Self::InvoicePayment => "invoice_payments",
            Self::CreditNote => "credit_notes",
            Self::Coupon => "coupons",
            Self::TestClock => "test_helpers/test_clocks",
            Self::CreditNoteLine => "credit_note_line_items",
        }
    }

    /// The name in messages, such as `customer`.
    pub fn singular(self) -> &'static str {
        match self {
            Self::SubscriptionItem => "subscription_item",
            Self::InvoiceLine => "line_item",
            Self::PaymentIntent => "payment_intent",
            Self::PaymentMethod => "payment_method",
            Self::BalanceTransaction => "balance_transaction",
            Self::CheckoutSession => "checkout.session",
            Self::PortalSession => "billing_portal.session",
            Self::TestClock => "test_helpers.test_clock",
            other => other.plural().trim_end_matches('s'),
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Customer => "cus_",
            Self::Product => "prod_",
            Self::Price => "price_",
            Self::Subscription => "sub_",
            Self::Invoice => "in_",
            Self::Charge => "ch_",
            Self::Refund => "re_",
            Self::Dispute => "dp_",
            Self::Event => "evt_",
            Self::SubscriptionItem => "si_",
            Self::InvoiceLine => "il_",
            Self::PaymentIntent => "pi_",
            Self::PaymentMethod => "pm_",
            Self::BalanceTransaction => "txn_",
            Self::Discount => "di_",
            Self::CheckoutSession => "cs_test_a",
            Self::PortalSession => "bps_",
            Self::WebhookEndpoint => "we_",
            Self::InvoicePayment => "inpay_",
            Self::CreditNote => "cn_",
            Self::Coupon => "",
            Self::TestClock => "clock_",
            Self::CreditNoteLine => "cnli_",
        }
    }

    /// Whether its ids are the short ones: 14 characters without the account's part.
    fn short(self) -> bool {
        matches!(self, Self::Customer | Self::Product | Self::SubscriptionItem)
    }
}

/// Where an object stands: whose, and which one of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) tenant: u32,
    pub(crate) ordinal: u16,
}

/// Makes and reads the ids of one world.
#[derive(Debug, Clone)]
pub(crate) struct Ids {
    keys: [u32; 6],
    account: String,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        let mut state = seed ^ 0x5eed_0f1d_5000_0001;
        let mut keys = [0_u32; 6];
        for key in &mut keys {
            state = mix(state);
            *key = (state >> 32) as u32;
        }
        let mut account = String::with_capacity(12);
        for _ in 0..12 {
            state = mix(state);
            account.push(DIGITS[(state % 62) as usize] as char);
        }
        Self { keys, account }
    }

    /// The account's own id.
    pub(crate) fn account(&self) -> String {
        format!("acct_1{}", self.account)
    }

    pub(crate) fn id(&self, kind: Kind, tenant: u32, ordinal: u16) -> String {
        let plain = (u64::from(tenant) << 32) | (u64::from(ordinal) << 16) | ((kind as u64) << 10) | MARK;
        let mut number = self.scramble(plain);
        let mut digits = [0_u8; 11];
        for digit in digits.iter_mut().rev() {
            *digit = DIGITS[(number % 62) as usize];
            number /= 62;
        }
        let mut id = String::with_capacity(32);
        id.push_str(kind.prefix());
        if kind.short() {
            id.push_str(&self.account[..3]);
        } else {
            id.push('1');
            id.push_str(&self.account);
        }
        id.extend(digits.iter().map(|digit| *digit as char));
        id
    }

    /// Reads an id back; nothing where it is not one of this world and kind.
    pub(crate) fn place(&self, kind: Kind, id: &str) -> Option<Place> {
        if !id.is_ascii() || id.len() < 14 {
            return None;
        }
        let mut number = 0_u64;
        for digit in &id.as_bytes()[id.len() - 11..] {
            let value = DIGITS.iter().position(|it| it == digit)? as u64;
            number = number.checked_mul(62)?.checked_add(value)?;
        }
        let plain = self.unscramble(number);
        let place = Place { tenant: (plain >> 32) as u32, ordinal: (plain >> 16) as u16 };
        let found = Kind::ALL.get(((plain >> 10) & 0x3f) as usize)?;
        (*found == kind && self.id(kind, place.tenant, place.ordinal) == id).then_some(place)
    }

    fn scramble(&self, plain: u64) -> u64 {
        let (mut left, mut right) = ((plain >> 32) as u32, plain as u32);
        for key in self.keys {
            (left, right) = (right, left ^ round(right, key));
        }
        (u64::from(left) << 32) | u64::from(right)
    }

    fn unscramble(&self, number: u64) -> u64 {
        let (mut left, mut right) = ((number >> 32) as u32, number as u32);
        for key in self.keys.into_iter().rev() {
            (left, right) = (right ^ round(left, key), left);
        }
        (u64::from(left) << 32) | u64::from(right)
    }
}

fn round(half: u32, key: u32) -> u32 {
    (mix((u64::from(half) << 32) | u64::from(key)) >> 32) as u32
}

/// One step of `SplitMix64`.
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_leads_back_to_its_place(seed: u64, tenant: u32, ordinal: u16, kind in 0_usize..23) {
            let (ids, kind) = (Ids::new(seed), Kind::ALL[kind]);
            let id = ids.id(kind, tenant, ordinal);
            prop_assert_eq!(ids.place(kind, &id), Some(Place { tenant, ordinal }));
            let other = Kind::ALL[(kind as usize + 1) % 23];
            prop_assert_eq!(ids.place(other, &id), None);
        }

        #[test]
        fn invented_ids_are_nobodys(id in "cus_[0-9A-Za-z]{14}") {
            prop_assert_eq!(Ids::new(7).place(Kind::Customer, &id), None);
        }
    }
}
