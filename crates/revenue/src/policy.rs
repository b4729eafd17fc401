//! The rules on which vendors disagree.

use serde::{Deserialize, Serialize};

/// When a subscription that was told to cancel stops counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancellationRule {
    /// When the paid period is over and the subscription ends.
    AtPeriodEnd,
    /// At the moment the cancellation was asked for.
    AtCall,
}

/// Which discounts lower recurring revenue while they are in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiscountRule {
    /// None: list prices.
    None,
    /// Only those without an end.
    Forever,
    /// Those without an end, and those for several months. A discount on one invoice is no part of
    /// what recurs.
    Recurring,
    /// All, those on one invoice included.
    All,
}

/// The rules by which a figure is made. Two figures can only be compared when their policies are
/// the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricPolicy {
    /// Days of 24 hours after which an overdue subscription stops counting; `None` = it counts for as
    /// long as Stripe says `past_due`.
    pub past_due_days: Option<u32>,
    /// Whether a subscription counts while the collection of its invoices is paused. Stripe leaves
    /// its status as it is.
    pub paused_collection_counts: bool,
    /// When a cancellation takes effect.
    pub cancellation: CancellationRule,
    /// Which discounts come off.
    pub discounts: DiscountRule,
}

impl Default for MetricPolicy {
    /// The status alone decides what counts, a cancelled subscription counts until its period ends,
    /// and recurring discounts come off.
    fn default() -> Self {
        Self {
            past_due_days: None,
            paused_collection_counts: true,
            cancellation: CancellationRule::AtPeriodEnd,
            discounts: DiscountRule::Recurring,
        }
    }
}
