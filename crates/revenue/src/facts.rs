//! What recurring revenue derives from: a subscription as Stripe tells it, in our units.
//!
//! Instants are milliseconds since 1970 in UTC. Amounts are in the currency's minor unit as Stripe
//! counts it, with up to twelve decimal places.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// A subscription's status, in Stripe's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStatus {
    /// First payment not made yet.
    Incomplete,
    /// First payment not made in time; it never started.
    IncompleteExpired,
    /// On a trial.
    Trialing,
    /// Paid.
    Active,
    /// A renewal was not paid; Stripe still tries.
    PastDue,
    /// Stripe gave up trying.
    Unpaid,
    /// Over.
    Canceled,
    /// Stopped, nothing is invoiced.
    Paused,
    /// A word that Stripe did not use when this was written. It does not count.
    #[serde(other)]
    Other,
}

/// The unit of a billing interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    /// 12/365 of a month.
    Day,
    /// 12/52 of a month.
    Week,
    /// A month.
    Month,
    /// Twelve months.
    Year,
}

/// Whether a recurring price bills a quantity agreed on, or what was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageType {
    /// The quantity on the subscription.
    Licensed,
    /// Usage reported over the period: not recurring revenue.
    Metered,
}

/// How often, and by what, a price bills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Recurring {
    /// The unit.
    pub interval: Interval,
    /// How many units, 1 or more.
    pub interval_count: u32,
    /// Agreed or used.
    pub usage_type: UsageType,
}

/// How tiers apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TiersMode {
    /// Each unit is priced by the tier it falls in.
    Graduated,
    /// All units are priced by the tier that the quantity falls in.
    Volume,
}

/// One tier of a price.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tier {
    /// The last quantity in it; `None` = all the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_to: Option<i64>,
    /// Per unit, in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_amount: Option<Decimal>,
    /// Once, when the quantity reaches this tier, in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flat_amount: Option<Decimal>,
}

/// Which way a divided quantity is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// To the next whole package.
    Up,
    /// To the last whole package.
    Down,
}

/// Turns a quantity of units into one of packages before it is priced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TransformQuantity {
    /// Units in a package, 1 or more.
    pub divide_by: i64,
    /// What becomes of a package begun.
    pub round: Rounding,
}

/// Whether a price has tax in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaxBehavior {
    /// Tax is part of the amount.
    Inclusive,
    /// Tax comes on top.
    Exclusive,
    /// Nobody said.
    #[serde(other)]
    Unspecified,
}

/// A Stripe price.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Price {
    /// `price_…`
    pub id: String,
    /// The product it sells; coupons may be limited to products.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// ISO 4217 code in lower case.
    pub currency: String,
    /// Per unit, in minor units; `None` where tiers hold the amounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_amount_decimal: Option<Decimal>,
    /// `None` = sold once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recurring: Option<Recurring>,
    /// `None` = billed per unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tiers_mode: Option<TiersMode>,
    /// `None` = not known, which is an error where `tiers_mode` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tiers: Option<Vec<Tier>>,
    /// `None` = the quantity is priced as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transform_quantity: Option<TransformQuantity>,
    /// Whether tax is part of the amounts.
    pub tax_behavior: TaxBehavior,
}

/// How long a coupon lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CouponDuration {
    /// One invoice.
    Once,
    /// A number of months.
    Repeating,
    /// Without end.
    Forever,
}

/// What a coupon takes off.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CouponValue {
    /// So many hundredths of the amount, 0 to 100.
    Percent(Decimal),
    /// So many minor units of a currency from each invoice.
    Amount {
        /// In minor units.
        off: Decimal,
        /// ISO 4217 code in lower case. It takes nothing off another currency's invoices.
        currency: String,
    },
}

/// A coupon.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Coupon {
    /// Its id.
    pub id: String,
    /// What it takes off.
    pub value: CouponValue,
    /// How long.
    pub duration: CouponDuration,
    /// For how many months; set where it repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_in_months: Option<u32>,
    /// The products it is limited to; `None` = all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applies_to: Option<Vec<String>>,
}

/// A coupon given to an item, a subscription or a customer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Discount {
    /// The coupon.
    pub coupon: Coupon,
    /// From when; `None` = from the beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<i64>,
    /// The first instant at which it no longer holds, where Stripe says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<i64>,
}

/// One line of a subscription.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Item {
    /// What is sold.
    pub price: Price,
    /// How many; `None` only where usage is metered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<i64>,
    /// Discounts of this line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discounts: Vec<Discount>,
    /// The tax rates that are part of the amount, in percent, added up; `None` = not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inclusive_tax_percent: Option<Decimal>,
}

/// A pause in the collection of invoices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CollectionPause {
    /// When collection resumes by itself; `None` = never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resumes_at: Option<i64>,
}

/// A subscription: all that its recurring revenue derives from.
///
/// It holds for the instant at which it was read from Stripe. For an earlier instant the status then
/// is derived from the timestamps, as far as they tell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SubscriptionFacts {
    /// `sub_…`
    pub id: String,
    /// ISO 4217 code in lower case.
    pub currency: String,
    /// When read.
    pub status: SubscriptionStatus,
    /// Its beginning: Stripe's `start_date`, else `created`.
    pub started_at: i64,
    /// Its trial's beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial_start: Option<i64>,
    /// The first instant after its trial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial_end: Option<i64>,
    /// When cancellation was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canceled_at: Option<i64>,
    /// When it will end, where that is settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_at: Option<i64>,
    /// Whether it ends with the running period.
    pub cancel_at_period_end: bool,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<i64>,
    /// Since when a payment is overdue. Stripe's subscription does not say; whoever knows the invoice
    /// sets it. While unknown, an overdue subscription goes on counting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdue_since: Option<i64>,
    /// Present while collection is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause_collection: Option<CollectionPause>,
    /// Whether it is known to have something to be paid by, or the customer has.
    pub has_payment_method: bool,
    /// Its lines, all of them.
    pub items: Vec<Item>,
    /// Discounts of the whole subscription.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discounts: Vec<Discount>,
    /// The customer's own discount; it holds where the subscription has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_discount: Option<Discount>,
}
