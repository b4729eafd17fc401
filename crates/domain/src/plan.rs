//! Plans: named sets of limits.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Limit, Meter};

/// A plan's stable id, such as `pro`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub struct PlanId(pub String);

impl PlanId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for PlanId {
    fn from(id: &str) -> Self {
        Self(id.to_owned())
    }
}

/// A named set of limits, with the Stripe prices that sell it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub struct Plan {
    /// Stable id.
    pub id: PlanId,
    /// The name that people read.
    pub name: String,
    /// Limits by meter; `null` = no limit. A meter that is absent has no limit either.
    pub limits: BTreeMap<Meter, Limit>,
    /// Stripe price ids that sell this plan.
    pub stripe_prices: Vec<String>,
    /// How long a trial of this plan runs, in days of 24 hours.
    pub trial_days: u32,
}

impl Plan {
    /// The plan's limit for a meter.
    pub fn limit(&self, meter: Meter) -> Limit {
        self.limits.get(&meter).copied().unwrap_or(Limit::Unlimited)
    }
}
