//! Reading Stripe's objects: subscriptions, prices, coupons and customers in their current shapes,
//! and discounts in the older one too. Fields that no rule needs are ignored.

use rust_decimal::Decimal;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::{
    CollectionPause, Coupon, CouponDuration, CouponValue, Discount, Interval, Item, Price, Recurring, RevenueError,
    SubscriptionFacts, SubscriptionStatus, TaxBehavior, Tier, TiersMode, TransformQuantity, UsageType,
};

/// Finds the Stripe objects that a subscription only names: prices with their tiers, and coupons.
/// Stripe expands four levels at most, so that a list of subscriptions cannot carry them all.
pub trait Catalog {
    /// The price of that id with `tiers` expanded.
    fn price(&self, id: &str) -> Option<Value>;
    /// The coupon of that id.
    fn coupon(&self, id: &str) -> Option<Value>;
}

/// Knows nothing: for objects that carry all that is needed.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCatalog;

impl Catalog for NoCatalog {
    fn price(&self, _: &str) -> Option<Value> {
        None
    }
    fn coupon(&self, _: &str) -> Option<Value> {
        None
    }
}

impl SubscriptionFacts {
    /// Reads a Stripe subscription. Discounts must be expanded, and all items be in the list;
    /// `catalog` is asked for tiers and coupons that are not in it. The customer's own discount is
    /// read where the customer is expanded; else see [`Self::with_customer`].
    pub fn from_stripe(subscription: &Value, catalog: &impl Catalog) -> Result<Self, RevenueError> {
        let read: ReadSubscription = read(subscription, "")?;
        let items = need(read.items, "items")?;
        if items.has_more {
            return Err(RevenueError::ItemsIncomplete);
        }
        let items = need(items.data, "items.data")?
            .into_iter()
            .enumerate()
            .map(|(n, item)| item.facts(&format!("items.data[{n}]"), read.default_tax_rates.as_deref(), catalog))
            .collect::<Result<Vec<_>, _>>()?;
        let currency = match (read.currency, items.first()) {
            (Some(currency), _) => currency.to_lowercase(),
            (None, Some(item)) => item.price.currency.clone(),
            (None, None) => return Err(missing("currency")),
        };
        let mut discounts = discounts(read.discounts, "", catalog)?;
        if discounts.is_empty()
            && let Some(value) = &read.discount
        {
            discounts.push(discount(value, "discount", catalog)?);
        }
        let mut facts = Self {
            id: need(read.id, "id")?,
            currency,
            status: need(read.status, "status")?,
            started_at: ms(need(read.start_date.or(read.created), "created")?),
            trial_start: read.trial_start.map(ms),
            trial_end: read.trial_end.map(ms),
            canceled_at: read.canceled_at.map(ms),
            cancel_at: read.cancel_at.map(ms),
            cancel_at_period_end: read.cancel_at_period_end.unwrap_or(false),
            ended_at: read.ended_at.map(ms),
            overdue_since: None,
            pause_collection: read
                .pause_collection
                .map(|pause| CollectionPause { resumes_at: pause.resumes_at.map(ms) }),
            has_payment_method: [read.default_payment_method, read.default_source].iter().flatten().any(is_there),
            items,
            discounts,
            customer_discount: None,
        };
        if let Some(customer) = read.customer.filter(Value::is_object) {
            facts.customer_discount = customer_discount(&customer, "customer.discount", catalog)?;
            facts.has_payment_method |= pays_by_something(&customer);
        }
        Ok(facts)
    }

    /// These facts with the discount of `customer`, a Stripe customer, and what it pays by.
    pub fn with_customer(mut self, customer: &Value, catalog: &impl Catalog) -> Result<Self, RevenueError> {
        self.customer_discount = customer_discount(customer, "discount", catalog)?;
        self.has_payment_method |= pays_by_something(customer);
        Ok(self)
    }
}

fn pays_by_something(customer: &Value) -> bool {
    let method = customer.pointer("/invoice_settings/default_payment_method");
    method.into_iter().chain(customer.get("default_source")).any(is_there)
}

fn is_there(value: &Value) -> bool {
    !value.is_null()
}

fn customer_discount(customer: &Value, path: &str, catalog: &impl Catalog) -> Result<Option<Discount>, RevenueError> {
    customer.get("discount").filter(|it| !it.is_null()).map(|it| discount(it, path, catalog)).transpose()
}

#[derive(Deserialize)]
struct ReadSubscription {
    id: Option<String>,
    currency: Option<String>,
    status: Option<SubscriptionStatus>,
    start_date: Option<i64>,
    created: Option<i64>,
    trial_start: Option<i64>,
    trial_end: Option<i64>,
    canceled_at: Option<i64>,
    cancel_at: Option<i64>,
    cancel_at_period_end: Option<bool>,
    ended_at: Option<i64>,
    pause_collection: Option<ReadPause>,
    items: Option<ReadItems>,
    discounts: Option<Vec<Value>>,
    discount: Option<Value>,
    default_tax_rates: Option<Vec<ReadTaxRate>>,
    default_payment_method: Option<Value>,
    default_source: Option<Value>,
    customer: Option<Value>,
}

#[derive(Deserialize)]
struct ReadPause {
    resumes_at: Option<i64>,
}

#[derive(Deserialize)]
struct ReadItems {
    data: Option<Vec<ReadItem>>,
    #[serde(default)]
    has_more: bool,
}

#[derive(Deserialize)]
struct ReadItem {
    price: Option<ReadPrice>,
    quantity: Option<i64>,
    discounts: Option<Vec<Value>>,
    tax_rates: Option<Vec<ReadTaxRate>>,
}

#[derive(Deserialize)]
struct ReadTaxRate {
    inclusive: Option<bool>,
    percentage: Option<Exact>,
}

#[derive(Deserialize)]
struct ReadPrice {
    id: Option<String>,
    product: Option<Value>,
    currency: Option<String>,
    unit_amount_decimal: Option<Exact>,
    unit_amount: Option<Exact>,
    recurring: Option<ReadRecurring>,
    billing_scheme: Option<String>,
    tiers_mode: Option<TiersMode>,
    tiers: Option<Vec<ReadTier>>,
    transform_quantity: Option<TransformQuantity>,
    tax_behavior: Option<TaxBehavior>,
}

#[derive(Deserialize)]
struct ReadRecurring {
    interval: Option<Interval>,
    interval_count: Option<u32>,
    usage_type: Option<UsageType>,
}

#[derive(Deserialize)]
struct ReadTier {
    up_to: Option<i64>,
    unit_amount_decimal: Option<Exact>,
    unit_amount: Option<Exact>,
    flat_amount_decimal: Option<Exact>,
    flat_amount: Option<Exact>,
}

#[derive(Deserialize)]
struct ReadDiscount {
    source: Option<ReadSource>,
    coupon: Option<Value>,
    start: Option<i64>,
    end: Option<i64>,
}

#[derive(Deserialize)]
struct ReadSource {
    coupon: Option<Value>,
}

#[derive(Deserialize)]
struct ReadCoupon {
    id: Option<String>,
    percent_off: Option<Exact>,
    amount_off: Option<Exact>,
    currency: Option<String>,
    duration: Option<CouponDuration>,
    duration_in_months: Option<u32>,
    applies_to: Option<ReadAppliesTo>,
}

#[derive(Deserialize)]
struct ReadAppliesTo {
    products: Option<Vec<String>>,
}

/// A decimal as Stripe writes it, a string or a number, without a detour through binary fractions.
struct Exact(Decimal);

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Value::deserialize(deserializer)? {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            _ => return Err(D::Error::custom("expected a decimal number")),
        };
        Decimal::from_str_exact(&text).or_else(|_| Decimal::from_scientific(&text)).map(Self).map_err(D::Error::custom)
    }
}

impl ReadItem {
    fn facts(
        self,
        path: &str,
        default_rates: Option<&[ReadTaxRate]>,
        catalog: &impl Catalog,
    ) -> Result<Item, RevenueError> {
        let price_path = format!("{path}.price");
        let mut price = need(self.price, &price_path)?.facts(&price_path)?;
        if price.tiers_mode.is_some()
            && price.tiers.is_none()
            && let Some(known) = catalog.price(&price.id)
        {
            let known_path = format!("price {}", price.id);
            price.tiers = read::<ReadPrice>(&known, &known_path)?.facts(&known_path)?.tiers;
        }
        let rates = self.tax_rates.filter(|rates| !rates.is_empty());
        let inclusive_tax_percent = inclusive_percent(rates.as_deref().or(default_rates).unwrap_or_default());
        Ok(Item {
            price,
            quantity: self.quantity,
            discounts: discounts(self.discounts, &format!("{path}."), catalog)?,
            inclusive_tax_percent,
        })
    }
}

/// The inclusive rates added up; `None` where there are none, or one does not say how much.
fn inclusive_percent(rates: &[ReadTaxRate]) -> Option<Decimal> {
    let mut sum = None;
    for rate in rates.iter().filter(|rate| rate.inclusive == Some(true)) {
        sum = Some(sum.unwrap_or(Decimal::ZERO) + rate.percentage.as_ref()?.0);
    }
    sum
}

impl ReadPrice {
    fn facts(self, path: &str) -> Result<Price, RevenueError> {
        let at = |field: &str| format!("{path}.{field}");
        let recurring = match self.recurring {
            None => None,
            Some(recurring) => Some(Recurring {
                interval: need(recurring.interval, &at("recurring.interval"))?,
                interval_count: recurring.interval_count.unwrap_or(1),
                usage_type: recurring.usage_type.unwrap_or(UsageType::Licensed),
            }),
        };
        let tiered = self.billing_scheme.as_deref() == Some("tiered");
        let tiers_mode = if tiered { Some(need(self.tiers_mode, &at("tiers_mode"))?) } else { self.tiers_mode };
        Ok(Price {
            id: need(self.id, &at("id"))?,
            product: self.product.and_then(|product| match product {
                Value::String(id) => Some(id),
                object => object.get("id").and_then(Value::as_str).map(str::to_owned),
            }),
            currency: need(self.currency, &at("currency"))?.to_lowercase(),
            unit_amount_decimal: first(self.unit_amount_decimal, self.unit_amount),
            recurring,
            tiers_mode,
            tiers: self.tiers.map(|tiers| {
                tiers
                    .into_iter()
                    .map(|tier| Tier {
                        up_to: tier.up_to,
                        unit_amount: first(tier.unit_amount_decimal, tier.unit_amount),
                        flat_amount: first(tier.flat_amount_decimal, tier.flat_amount),
                    })
                    .collect()
            }),
            transform_quantity: self.transform_quantity,
            tax_behavior: self.tax_behavior.unwrap_or(TaxBehavior::Unspecified),
        })
    }
}

fn discounts(read: Option<Vec<Value>>, prefix: &str, catalog: &impl Catalog) -> Result<Vec<Discount>, RevenueError> {
    read.unwrap_or_default()
        .iter()
        .enumerate()
        .map(|(n, value)| discount(value, &format!("{prefix}discounts[{n}]"), catalog))
        .collect()
}

fn discount(value: &Value, path: &str, catalog: &impl Catalog) -> Result<Discount, RevenueError> {
    if let Value::String(id) = value {
        return Err(RevenueError::NotExpanded { path: path.to_owned(), id: id.clone() });
    }
    let read: ReadDiscount = read(value, path)?;
    let (coupon, path) = match read.source.and_then(|source| source.coupon) {
        Some(coupon) => (coupon, format!("{path}.source.coupon")),
        None => match read.coupon {
            Some(coupon) => (coupon, format!("{path}.coupon")),
            None => return Err(missing(&format!("{path}.source.coupon"))),
        },
    };
    let coupon = match coupon {
        Value::String(id) => match catalog.coupon(&id) {
            Some(known) => known,
            None => return Err(RevenueError::NotExpanded { path, id }),
        },
        object => object,
    };
    Ok(Discount { coupon: coupon_facts(&coupon, &path)?, start: read.start.map(ms), end: read.end.map(ms) })
}

fn coupon_facts(value: &Value, path: &str) -> Result<Coupon, RevenueError> {
    let coupon: ReadCoupon = read(value, path)?;
    let at = |field: &str| format!("{path}.{field}");
    let (value, field) = match (coupon.percent_off, coupon.amount_off) {
        (Some(percent), _) => (CouponValue::Percent(percent.0), "percent_off"),
        (None, Some(off)) => {
            let currency = need(coupon.currency, &at("currency"))?.to_lowercase();
            (CouponValue::Amount { off: off.0, currency }, "amount_off")
        }
        (None, None) => return Err(missing(&at("percent_off"))),
    };
    let off = match &value {
        CouponValue::Percent(off) | CouponValue::Amount { off, .. } => off,
    };
    if off.is_sign_negative() {
        return Err(RevenueError::Unreadable { path: at(field), problem: "it is below zero".to_owned() });
    }
    Ok(Coupon {
        id: need(coupon.id, &at("id"))?,
        value,
        duration: need(coupon.duration, &at("duration"))?,
        duration_in_months: coupon.duration_in_months,
        applies_to: coupon.applies_to.and_then(|it| it.products),
    })
}

pub(crate) fn read<T: DeserializeOwned>(value: &Value, path: &str) -> Result<T, RevenueError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let inner = error.path().to_string();
        let path = match (path, inner.as_str()) {
            ("", inner) => inner.to_owned(),
            (path, ".") => path.to_owned(),
            (path, inner) => format!("{path}.{inner}"),
        };
        RevenueError::Unreadable { path, problem: error.into_inner().to_string() }
    })
}

pub(crate) fn need<T>(value: Option<T>, path: &str) -> Result<T, RevenueError> {
    value.ok_or_else(|| missing(path))
}

pub(crate) fn missing(path: &str) -> RevenueError {
    RevenueError::Missing { path: path.to_owned() }
}

fn first(decimal: Option<Exact>, plain: Option<Exact>) -> Option<Decimal> {
    decimal.or(plain).map(|exact| exact.0)
}

/// Stripe's seconds as milliseconds.
pub(crate) fn ms(seconds: i64) -> i64 {
    seconds.saturating_mul(1000)
}
