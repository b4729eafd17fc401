//! What an installation decides about billing: which account, how much grace, which price sells which plan.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Plan, PlanId, Timestamp};

use super::StripeSubscription;

/// Which half of a Stripe account: money that is real, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub enum StripeMode {
    /// Real money.
    Live,
    /// Play money; a sandbox counts as test.
    Test,
}

impl StripeMode {
    /// The mode of an object, by its `livemode`.
    pub fn of(livemode: bool) -> Self {
        if livemode { Self::Live } else { Self::Test }
    }

    /// The word for this mode on the wire and in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }
}

/// For how long access stays although a payment is overdue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grace {
    days: u32,
}

impl Grace {
    /// A grace period of so many days of 24 hours. With 0 an overdue payment ends access at once.
    pub const fn days(days: u32) -> Self {
        Self { days }
    }

    /// The first instant after the grace period of a payment that is overdue since `since`.
    #[must_use]
    pub fn ends(self, since: Timestamp) -> Timestamp {
        since.plus_days(self.days)
    }
}

impl Default for Grace {
    /// Two weeks: as long as Stripe retries a payment unless it is told otherwise.
    fn default() -> Self {
        Self::days(14)
    }
}

/// Which price sells which plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PriceBook {
    plans: BTreeMap<String, PlanId>,
}

impl PriceBook {
    /// The book of these plans. A price that several plans name sells the one whose id sorts first, so
    /// that the order of the plans does not matter.
    pub fn of<'a>(plans: impl IntoIterator<Item = &'a Plan>) -> Self {
        let mut book: BTreeMap<String, PlanId> = BTreeMap::new();
        for plan in plans {
            for price in &plan.stripe_prices {
                book.entry(price.clone())
                    .and_modify(|it| *it = it.clone().min(plan.id.clone()))
                    .or_insert_with(|| plan.id.clone());
            }
        }
        Self { plans: book }
    }

    /// The plan that a price sells.
    pub fn plan(&self, price: &str) -> Option<&PlanId> {
        self.plans.get(price)
    }

    /// The plan that a subscription pays for: by its item of the greatest monthly amount among those
    /// whose price sells a plan. Items beside it, known or not, are extras.
    pub fn plan_of(&self, subscription: &StripeSubscription) -> Option<&PlanId> {
        subscription
            .items
            .iter()
            .filter_map(|item| self.plan(&item.price).map(|plan| (item, plan)))
            .min_by_key(|(item, plan)| (std::cmp::Reverse(item.monthly().unwrap_or(0)), *plan, &item.price))
            .map(|(_, plan)| plan)
    }
}

/// What an installation decides about billing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillingPolicy {
    /// Which half of the account the server's key belongs to.
    pub mode: StripeMode,
    /// For how long access stays although a payment is overdue.
    pub grace: Grace,
    /// Which price sells which plan.
    pub prices: PriceBook,
}
