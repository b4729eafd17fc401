//! How a scripted account behaves where Stripe leaves it to the account's owner, or to chance.

use std::time::Duration;

use paywall_domain::Timestamp;

use crate::wire::Rules;

/// What becomes of a subscription whose invoice stays unpaid after the last retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterRetries {
    /// It is canceled.
    Cancel,
    /// It becomes unpaid; its later invoices stay drafts.
    MarkUnpaid,
    /// It stays past due.
    LeavePastDue,
}

/// What moves the account's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Only the script.
    Script,
    /// The machine's own clock, from the moment of the start on, and the script.
    Running,
}

/// When webhooks are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivering {
    /// Only when the script says so.
    ByHand,
    /// As soon as there is an event, and again by the schedule while they fail.
    AtOnce,
}

/// How a scripted account behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The same seed gives the same ids, keys and secrets.
    pub seed: u64,
    /// The account's present at the start. Whole seconds; parts of one are dropped.
    pub now: Timestamp,
    /// What moves its clock.
    pub clock: Clock,
    /// When webhooks are sent.
    pub delivering: Delivering,
    /// After how long each retry of a failed payment follows the attempt before.
    pub payment_retries: Vec<Duration>,
    /// What follows the last one.
    pub after_retries: AfterRetries,
    /// After how long each further attempt of a webhook follows the one before. Stripe's test mode makes
    /// three within some hours; it does not say when.
    pub webhook_retries: Vec<Duration>,
    /// How long a debit takes to settle.
    pub settling: Duration,
    /// Whether the owner has saved the portal's settings; Stripe makes no portal session before.
    pub portal_saved: bool,
    /// Limits and latency.
    pub rules: Rules,
}

impl Default for Settings {
    fn default() -> Self {
        const DAY: u64 = 86_400;
        const HOUR: u64 = 3_600;
        Self {
            seed: 7,
            now: Timestamp(1_795_478_400_000),
            clock: Clock::Script,
            delivering: Delivering::ByHand,
            payment_retries: [3, 5, 7].map(|days| Duration::from_secs(days * DAY)).to_vec(),
            after_retries: AfterRetries::Cancel,
            webhook_retries: [HOUR / 6, HOUR, 3 * HOUR].map(Duration::from_secs).to_vec(),
            settling: Duration::from_secs(3 * DAY),
            portal_saved: true,
            rules: Rules::default(),
        }
    }
}
