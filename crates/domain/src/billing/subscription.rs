//! A Stripe subscription: the facts that anything here depends on.

use serde::{Deserialize, Serialize};

use crate::{SubscriptionStatus, TenantId, Timestamp};

use super::{Money, StripeMode};

/// A subscription's status in Stripe's words, also one that Stripe added after this was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum StatusWord {
    /// One that is known here.
    Known(SubscriptionStatus),
    /// Another word.
    Other(String),
}

impl StatusWord {
    /// Reads Stripe's word; every word is taken.
    pub fn read(word: &str) -> Self {
        SubscriptionStatus::parse(word).map_or_else(|| Self::Other(word.to_owned()), Self::Known)
    }

    /// The status, where its word is known.
    pub fn known(&self) -> Option<SubscriptionStatus> {
        match self {
            Self::Known(status) => Some(*status),
            Self::Other(_) => None,
        }
    }

    /// Stripe's word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(status) => status.as_str(),
            Self::Other(word) => word,
        }
    }
}

/// How often a price recurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum Interval {
    /// Every so many days.
    Day,
    /// Every so many weeks.
    Week,
    /// Every so many months.
    Month,
    /// Every so many years.
    Year,
}

impl Interval {
    /// Reads Stripe's word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "day" => Some(Self::Day),
            "week" => Some(Self::Week),
            "month" => Some(Self::Month),
            "year" => Some(Self::Year),
            _ => None,
        }
    }
}

/// An item of a subscription: a price, so many times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub struct Item {
    /// `price_…`
    pub price: String,
    /// How many; `null` for a metered price, which has none.
    #[serde(default)]
    pub quantity: Option<i64>,
    /// Minor units of the subscription's currency for one; `null` for tiers and metered prices.
    #[serde(default)]
    pub unit_amount: Option<i64>,
    /// How often it recurs.
    #[serde(default)]
    pub interval: Option<Interval>,
    /// Every how many of `interval`; `null` = every one.
    #[serde(default)]
    pub interval_count: Option<u32>,
    /// When the running period began.
    #[serde(default)]
    pub current_period_start: Option<Timestamp>,
    /// When the running period ends.
    #[serde(default)]
    pub current_period_end: Option<Timestamp>,
}

impl Item {
    /// What the item brings per month in minor units, rounded half up: list price, before discounts and
    /// tax. `None` where the price alone does not tell.
    pub fn monthly(&self) -> Option<i64> {
        let amount = i128::from(self.unit_amount?).checked_mul(i128::from(self.quantity?))?;
        let count = i128::from(self.interval_count.unwrap_or(1).max(1));
        // Per year, then by twelve: a month is a twelfth of a year.
        let per_year = match self.interval? {
            Interval::Day => 365,
            Interval::Week => 52,
            Interval::Month => 12,
            Interval::Year => 1,
        };
        let (above, below) = (amount.checked_mul(per_year)?, count * 12);
        i64::try_from((2 * above + below).div_euclid(2 * below)).ok()
    }
}

/// Where an invoice stands, in Stripe's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum InvoiceState {
    /// Not final yet; nothing is due.
    Draft,
    /// Final and not paid.
    Open,
    /// Paid.
    Paid,
    /// Written off.
    Uncollectible,
    /// Taken back.
    Void,
    /// A word that is not known here.
    #[serde(other)]
    Other,
}

impl InvoiceState {
    const WORDS: [(Self, &'static str); 5] = [
        (Self::Draft, "draft"),
        (Self::Open, "open"),
        (Self::Paid, "paid"),
        (Self::Uncollectible, "uncollectible"),
        (Self::Void, "void"),
    ];

    /// From Stripe's word.
    pub fn of_word(word: &str) -> Self {
        Self::WORDS.into_iter().find(|it| it.1 == word).map_or(Self::Other, |it| it.0)
    }

    /// Stripe's word; `None` for [`InvoiceState::Other`].
    pub fn word(self) -> Option<&'static str> {
        Self::WORDS.into_iter().find(|it| it.0 == self).map(|it| it.1)
    }
}

/// Why the last attempt to take a payment failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub struct PaymentFailure {
    /// Stripe's error code, such as `card_declined`, `expired_card` or `authentication_required`.
    pub code: String,
    /// The bank's reason with `card_declined`, such as `insufficient_funds` or `expired_card`.
    #[serde(default)]
    pub decline_code: Option<String>,
}

impl PaymentFailure {
    /// Whether the card has run out.
    pub fn card_expired(&self) -> bool {
        self.says("expired_card")
    }

    /// Whether the bank wants the customer to confirm the payment.
    pub fn authentication_required(&self) -> bool {
        self.says("authentication_required")
    }

    fn says(&self, word: &str) -> bool {
        self.code == word || self.decline_code.as_deref() == Some(word)
    }
}

/// An invoice of a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub struct Invoice {
    /// `in_…`
    pub id: String,
    /// Where it stands.
    pub state: InvoiceState,
    /// When it was made.
    pub created: Timestamp,
    /// When it became final: the first attempt to take the money.
    #[serde(default)]
    pub finalized_at: Option<Timestamp>,
    /// By when it is to be paid, where it was sent to the customer; `null` where the card is charged.
    #[serde(default)]
    pub due_at: Option<Timestamp>,
    /// Minor units of the subscription's currency that are still to be paid; `null` = not known.
    #[serde(default)]
    pub amount_remaining: Option<i64>,
    /// How often payment was tried.
    #[serde(default)]
    pub attempts: u32,
    /// When it was last tried; `null` = never, or not known.
    #[serde(default)]
    pub last_attempt_at: Option<Timestamp>,
    /// When Stripe tries again; `null` = it does not.
    #[serde(default)]
    pub next_attempt_at: Option<Timestamp>,
    /// Whether the payment waits for the customer to confirm it with the bank (3-D Secure).
    #[serde(default)]
    pub action_required: bool,
    /// Why the last attempt failed.
    #[serde(default)]
    pub failure: Option<PaymentFailure>,
}

impl Invoice {
    /// Since when it is overdue, where it may be: final, not paid, not written off, with something left
    /// to pay. It falls due at its date where it was sent, else when it became final.
    pub fn overdue_since(&self) -> Option<Timestamp> {
        let owed = self.state == InvoiceState::Open && self.amount_remaining != Some(0);
        owed.then(|| self.due_at.or(self.finalized_at).unwrap_or(self.created))
    }
}

/// A subscription that stands still: `status` is `paused` and nothing is invoiced.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub struct StripePause {
    /// Since when; `null` = not known.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// When it goes on by itself; `null` = when somebody resumes it.
    #[serde(default)]
    pub resumes_at: Option<Timestamp>,
    /// Why, in Stripe's words, such as `trial_end_without_payment_method` or `pause_requested`.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Collection that stands still (`pause_collection`): the subscription goes on, its invoices are not
/// collected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub struct CollectionPause {
    /// What becomes of the invoices, in Stripe's words: `keep_as_draft`, `mark_uncollectible` or `void`.
    pub behavior: String,
    /// When collection goes on by itself; `null` = when somebody resumes it.
    #[serde(default)]
    pub resumes_at: Option<Timestamp>,
    /// Whether the paywall paused it for a comp. One that somebody made in Stripe is theirs.
    #[serde(default)]
    pub by_comp: bool,
}

/// A Stripe subscription with what hangs on it, as read at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub struct StripeSubscription {
    /// `sub_…`
    pub id: String,
    /// `cus_…`
    pub customer: String,
    /// Whether it is about real money.
    pub livemode: bool,
    /// In Stripe's words.
    pub status: StatusWord,
    /// When it was made.
    pub created: Timestamp,
    /// The tenant that it was sold to, from its metadata (`tenant_id`); `null` where it was not sold here.
    #[serde(default)]
    pub tenant: Option<TenantId>,
    /// ISO 4217, lower case.
    pub currency: String,
    /// What is subscribed to: every item.
    #[serde(default)]
    pub items: Vec<Item>,
    /// When the trial that Stripe runs ends, or ended.
    #[serde(default)]
    pub trial_end: Option<Timestamp>,
    /// Whether it ends with the running period.
    #[serde(default)]
    pub cancel_at_period_end: bool,
    /// When it is to end.
    #[serde(default)]
    pub cancel_at: Option<Timestamp>,
    /// When somebody asked for its end.
    #[serde(default)]
    pub canceled_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// Present while it stands still.
    #[serde(default)]
    pub pause: Option<StripePause>,
    /// Present while its invoices are not collected.
    #[serde(default)]
    pub collection_pause: Option<CollectionPause>,
    /// Its latest invoice.
    #[serde(default)]
    pub latest_invoice: Option<Invoice>,
    /// Every open invoice, in any order; the latest may be among them. Stripe goes on making invoices
    /// while older ones are unpaid, so the latest alone does not tell since when money is owed.
    #[serde(default)]
    pub open_invoices: Vec<Invoice>,
    /// Since when a payment of it is disputed, while that is open.
    #[serde(default)]
    pub disputed_since: Option<Timestamp>,
    /// When all of the latest payment went back: by refund, or by a dispute that was lost.
    #[serde(default)]
    pub refunded_at: Option<Timestamp>,
    /// What it brings per month as revenue counts it; without it the list price of the items is taken.
    #[serde(default)]
    pub mrr: Option<Money>,
}

impl StripeSubscription {
    /// Which half of the account it belongs to.
    pub fn mode(&self) -> StripeMode {
        StripeMode::of(self.livemode)
    }

    /// Until when the running period lasts: the latest end among its items.
    pub fn current_period_end(&self) -> Option<Timestamp> {
        self.items.iter().filter_map(|item| item.current_period_end).max()
    }

    /// How many of everything; a metered item counts none.
    pub fn quantity(&self) -> i64 {
        self.items.iter().filter_map(|item| item.quantity).fold(0, i64::saturating_add)
    }

    /// The ids of its prices, each once, sorted.
    pub fn prices(&self) -> Vec<String> {
        let mut prices: Vec<String> = self.items.iter().map(|item| item.price.clone()).collect();
        prices.sort();
        prices.dedup();
        prices
    }

    /// What it brings per month. `None` where that cannot be told.
    pub fn monthly(&self) -> Option<Money> {
        self.mrr.clone().or_else(|| {
            let amounts: Option<Vec<i64>> = self.items.iter().map(Item::monthly).collect();
            let amounts = amounts.filter(|it| !it.is_empty())?;
            Some(Money::new(amounts.into_iter().fold(0, i64::saturating_add), &self.currency))
        })
    }

    /// Whether it goes on for now and is to end, at an instant that is set already.
    pub fn canceling(&self) -> bool {
        self.live() && (self.cancel_at_period_end || self.cancel_at.is_some())
    }

    /// The oldest invoice that is owed.
    pub fn oldest_owed(&self) -> Option<&Invoice> {
        self.latest_invoice
            .iter()
            .chain(&self.open_invoices)
            .filter_map(|invoice| invoice.overdue_since().map(|since| (since, invoice)))
            .min_by(|(one, a), (other, b)| one.cmp(other).then_with(|| a.id.cmp(&b.id)))
            .map(|(_, invoice)| invoice)
    }

    /// Since when money is owed: by the oldest open invoice. Where none is known, by the start of the
    /// period that was not paid.
    pub fn overdue_since(&self) -> Option<Timestamp> {
        self.oldest_owed()
            .and_then(Invoice::overdue_since)
            .or_else(|| self.items.iter().filter_map(|item| item.current_period_start).max())
    }

    /// Whether it may still take money: it is not over, and did begin. An unknown word may.
    pub fn live(&self) -> bool {
        !matches!(
            self.status.known(),
            Some(SubscriptionStatus::Canceled | SubscriptionStatus::IncompleteExpired | SubscriptionStatus::Incomplete)
        )
    }
}
