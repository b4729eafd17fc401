//! Invoices: what was billed, when it was paid, and what its lines tell of a subscription's past.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::stripe::{ms, need, read};
use crate::{CouponDuration, Interval, Recurring, RevenueError, UsageType};

/// An invoice's status, in Stripe's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceStatus {
    /// Not final yet: it bills nothing.
    Draft,
    /// To be paid.
    Open,
    /// Paid.
    Paid,
    /// Given up.
    Uncollectible,
    /// Taken back: it bills nothing.
    Void,
    /// A word that Stripe did not use when this was written. It bills nothing.
    #[serde(other)]
    Other,
}

impl InvoiceStatus {
    /// Whether the customer was billed.
    pub fn bills(self) -> bool {
        matches!(self, Self::Open | Self::Paid | Self::Uncollectible)
    }
}

/// What a discount took off a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineDiscount {
    /// In minor units.
    pub off: i64,
    /// The coupon's duration, where the invoice carries the coupon. One that is not known is taken
    /// for one of several months.
    pub duration: Option<CouponDuration>,
}

/// A line that bills a subscription for a period. Prorations, one-time items and lines without a
/// period are not read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InvoiceLine {
    /// The subscription, where the line names one; else the invoice's.
    pub subscription: Option<Arc<str>>,
    /// The subscription's item, `si_…`. A later line of an item takes the place of an earlier one.
    pub item: Option<Arc<str>>,
    /// The price.
    pub price: Option<Arc<str>>,
    /// How often the price bills, where the line says so; newer invoices only name the price.
    pub recurring: Option<Recurring>,
    /// How many.
    pub quantity: Option<i64>,
    /// Before discounts, in minor units.
    pub amount: i64,
    /// What came off.
    pub discounts: Box<[LineDiscount]>,
    /// Tax that is part of the amount after discounts, in minor units.
    pub inclusive_tax: i64,
    /// The period's first instant.
    pub start: i64,
    /// The first instant after the period.
    pub end: i64,
}

/// An invoice: what the history before the first snapshot, payments, trials and cohorts derive from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InvoiceFacts {
    /// `in_…`
    pub id: Arc<str>,
    /// `cus_…`
    pub customer: Arc<str>,
    /// The subscription it bills, where it is one.
    pub subscription: Option<Arc<str>>,
    /// ISO 4217 code in lower case.
    pub currency: Arc<str>,
    /// When read.
    pub status: InvoiceStatus,
    /// When it was made.
    pub created_at: i64,
    /// When it became final.
    pub finalized_at: Option<i64>,
    /// By when it is to be paid, where it was sent.
    pub due_at: Option<i64>,
    /// When it was paid.
    pub paid_at: Option<i64>,
    /// What it bills, in minor units.
    pub total: i64,
    /// What was paid of it, in minor units.
    pub amount_paid: i64,
    /// How often payment was tried.
    pub attempts: u32,
    /// Its recurring lines.
    pub lines: Box<[InvoiceLine]>,
}

#[derive(Deserialize)]
struct ReadInvoice {
    id: Option<String>,
    customer: Option<Value>,
    subscription: Option<Value>,
    parent: Option<ReadParent>,
    currency: Option<String>,
    status: Option<InvoiceStatus>,
    created: Option<i64>,
    due_date: Option<i64>,
    status_transitions: Option<ReadTransitions>,
    total: Option<i64>,
    amount_paid: Option<i64>,
    attempt_count: Option<u32>,
    lines: Option<ReadLines>,
    discounts: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct ReadTransitions {
    finalized_at: Option<i64>,
    paid_at: Option<i64>,
}

#[derive(Deserialize)]
struct ReadLines {
    data: Option<Vec<ReadLine>>,
    #[serde(default)]
    has_more: bool,
}

#[derive(Deserialize)]
struct ReadParent {
    subscription_details: Option<ReadDetails>,
    subscription_item_details: Option<ReadDetails>,
}

#[derive(Deserialize)]
struct ReadDetails {
    subscription: Option<Value>,
    subscription_item: Option<Value>,
    proration: Option<bool>,
}

#[derive(Deserialize)]
struct ReadLine {
    amount: Option<i64>,
    quantity: Option<i64>,
    period: Option<ReadPeriod>,
    parent: Option<ReadParent>,
    r#type: Option<String>,
    subscription: Option<Value>,
    subscription_item: Option<Value>,
    proration: Option<bool>,
    pricing: Option<ReadPricing>,
    price: Option<ReadLinePrice>,
    plan: Option<ReadRecurring>,
    discounts: Option<Vec<Value>>,
    discount_amounts: Option<Vec<ReadAmount>>,
    taxes: Option<Vec<ReadTax>>,
    tax_amounts: Option<Vec<ReadTax>>,
}

#[derive(Deserialize)]
struct ReadPeriod {
    start: Option<i64>,
    end: Option<i64>,
}

#[derive(Deserialize)]
struct ReadPricing {
    price_details: Option<ReadPriceDetails>,
}

#[derive(Deserialize)]
struct ReadPriceDetails {
    price: Option<Value>,
}

#[derive(Deserialize)]
struct ReadLinePrice {
    id: Option<String>,
    recurring: Option<ReadRecurring>,
}

#[derive(Deserialize)]
struct ReadRecurring {
    id: Option<String>,
    interval: Option<Interval>,
    interval_count: Option<u32>,
    usage_type: Option<UsageType>,
}

#[derive(Deserialize)]
struct ReadAmount {
    amount: Option<i64>,
    discount: Option<Value>,
}

#[derive(Deserialize)]
struct ReadTax {
    amount: Option<i64>,
    tax_behavior: Option<String>,
    inclusive: Option<bool>,
}

impl InvoiceFacts {
    /// Reads a Stripe invoice in its current shape or one from before 2025-03-31 (basil). All its
    /// lines must be in the list.
    pub fn from_stripe(invoice: &Value) -> Result<Self, RevenueError> {
        let read: ReadInvoice = read(invoice, "")?;
        let subscription = read
            .parent
            .and_then(|parent| parent.subscription_details)
            .and_then(|details| id_of(details.subscription.as_ref()))
            .or_else(|| id_of(read.subscription.as_ref()));
        let lines = need(read.lines, "lines")?;
        if lines.has_more {
            return Err(RevenueError::LinesIncomplete);
        }
        let mut durations = HashMap::new();
        remember(&mut durations, read.discounts.as_deref());
        let data = need(lines.data, "lines.data")?;
        for line in &data {
            remember(&mut durations, line.discounts.as_deref());
        }
        let lines = data
            .into_iter()
            .enumerate()
            .filter_map(|(n, line)| line.facts(n, &durations, subscription.is_some()).transpose())
            .collect::<Result<Box<[_]>, _>>()?;
        let (finalized_at, paid_at) =
            read.status_transitions.map_or((None, None), |it| (it.finalized_at.map(ms), it.paid_at.map(ms)));
        let status = need(read.status, "status")?;
        Ok(Self {
            id: need(read.id, "id")?.into(),
            customer: need(id_of(read.customer.as_ref()), "customer")?,
            subscription,
            currency: need(read.currency, "currency")?.to_lowercase().into(),
            status,
            created_at: ms(need(read.created, "created")?),
            finalized_at,
            due_at: read.due_date.map(ms),
            paid_at,
            total: need(read.total, "total")?,
            amount_paid: read.amount_paid.unwrap_or(0),
            attempts: read.attempt_count.unwrap_or(0),
            lines,
        })
    }

    /// Since when it waits for its payment, at `at`; `None` where it does not.
    pub fn overdue_since(&self, at: i64) -> Option<i64> {
        let unpaid = self.status.bills() && self.total > 0 && self.paid_at.is_none_or(|paid| paid > at);
        let since = self.due_at.or(self.finalized_at).unwrap_or(self.created_at);
        (unpaid && since <= at).then_some(since)
    }
}

impl ReadLine {
    fn facts(
        self,
        n: usize,
        durations: &HashMap<String, CouponDuration>,
        of_subscription: bool,
    ) -> Result<Option<InvoiceLine>, RevenueError> {
        let details = self.parent.and_then(|parent| parent.subscription_item_details);
        let recurs = details.is_some() || self.r#type.as_deref() == Some("subscription");
        let proration = details.as_ref().and_then(|it| it.proration).or(self.proration).unwrap_or(false);
        let Some(period) = self.period else { return Ok(None) };
        let (Some(start), Some(end)) = (period.start, period.end) else { return Ok(None) };
        let of_details = |field: fn(&ReadDetails) -> Option<&Value>| id_of(details.as_ref().and_then(field));
        let subscription = of_details(|it| it.subscription.as_ref()).or_else(|| id_of(self.subscription.as_ref()));
        let item = of_details(|it| it.subscription_item.as_ref()).or_else(|| id_of(self.subscription_item.as_ref()));
        if !recurs || proration || start >= end || !(of_subscription || subscription.is_some()) {
            return Ok(None);
        }
        let old = self.price.map(|price| (price.id, price.recurring));
        let (old_price, old_recurring) = old.unwrap_or_default();
        let plan_id = self.plan.as_ref().and_then(|plan| plan.id.clone());
        let price = self
            .pricing
            .and_then(|pricing| pricing.price_details)
            .and_then(|details| id_of(details.price.as_ref()))
            .or_else(|| old_price.or(plan_id).map(Arc::from));
        let recurring = old_recurring.or(self.plan).and_then(|read| {
            Some(Recurring {
                interval: read.interval?,
                interval_count: read.interval_count.unwrap_or(1),
                usage_type: read.usage_type.unwrap_or(UsageType::Licensed),
            })
        });
        let discounts =
            self.discount_amounts
                .unwrap_or_default()
                .into_iter()
                .filter_map(|it| {
                    let duration = it.discount.as_ref().and_then(|discount| {
                        duration_of(discount).or_else(|| durations.get(discount.as_str()?).copied())
                    });
                    it.amount.map(|off| LineDiscount { off, duration })
                })
                .collect();
        let taxes = self.taxes.into_iter().chain(self.tax_amounts).flatten();
        let inclusive_tax = taxes
            .filter(|tax| tax.inclusive == Some(true) || tax.tax_behavior.as_deref() == Some("inclusive"))
            .filter_map(|tax| tax.amount)
            .sum();
        Ok(Some(InvoiceLine {
            subscription,
            item,
            price,
            recurring,
            quantity: self.quantity,
            amount: need(self.amount, &format!("lines.data[{n}].amount"))?,
            discounts,
            inclusive_tax,
            start: ms(start),
            end: ms(end),
        }))
    }
}

/// The id of an object that is there as its id or expanded.
fn id_of(value: Option<&Value>) -> Option<Arc<str>> {
    let value = value?;
    value.as_str().or_else(|| value.get("id")?.as_str()).map(Arc::from)
}

fn duration_of(discount: &Value) -> Option<CouponDuration> {
    let coupon = discount.pointer("/source/coupon").or_else(|| discount.get("coupon"))?;
    serde_json::from_value(coupon.get("duration")?.clone()).ok()
}

fn remember(durations: &mut HashMap<String, CouponDuration>, discounts: Option<&[Value]>) {
    for discount in discounts.unwrap_or_default() {
        if let (Some(id), Some(duration)) = (id_of(Some(discount)), duration_of(discount)) {
            durations.insert(id.to_string(), duration);
        }
    }
}
