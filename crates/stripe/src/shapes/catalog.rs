//! What is sold.

use serde::Deserialize;

use super::{Decimal, Reference};

/// A product.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Product {
    /// `prod_…`
    pub id: String,
    /// Unix seconds.
    pub created: Option<i64>,
    /// Name.
    pub name: Option<String>,
    /// Whether it is sold.
    pub active: Option<bool>,
}

/// A price.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Price {
    /// `price_…`
    pub id: String,
    /// Unix seconds.
    pub created: Option<i64>,
    /// ISO 4217, lower case.
    pub currency: Option<String>,
    /// Minor units.
    pub unit_amount: Option<i64>,
    /// Minor units, with up to 12 decimals.
    pub unit_amount_decimal: Option<Decimal>,
    /// Of which product.
    pub product: Option<Reference>,
    /// Whether it is sold.
    pub active: Option<bool>,
    /// How it recurs.
    pub recurring: Option<Recurring>,
}

/// How a price recurs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Recurring {
    /// `day`, `week`, `month` or `year`.
    pub interval: Option<String>,
    /// Every how many of these.
    pub interval_count: Option<i64>,
    /// `licensed` or `metered`.
    pub usage_type: Option<String>,
}
