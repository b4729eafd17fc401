//! Amounts of money.

use serde::{Deserialize, Serialize};

/// An amount in one currency. Amounts of different currencies are never added.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(utoipa::ToSchema, ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(export_to = "domain.ts"))]
pub struct Money {
    /// In minor units of the currency (Stripe's count of decimals).
    pub minor: i64,
    /// ISO 4217, lower case.
    pub currency: String,
}

impl Money {
    /// An amount; the currency's case does not matter.
    pub fn new(minor: i64, currency: &str) -> Self {
        Self { minor, currency: currency.to_ascii_lowercase() }
    }
}
