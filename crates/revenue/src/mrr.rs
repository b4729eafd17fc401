//! Monthly recurring revenue of one subscription at an instant.

use chrono::{DateTime, Days, Months, Utc};
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, Zero};
use rust_decimal::Decimal;

use crate::amount::stored;
use crate::{
    CancellationRule, CouponDuration, CouponValue, Discount, DiscountRule, Interval, Item, MetricPolicy, Mrr, Price,
    Recurring, RevenueError, Rounding, SubscriptionFacts, SubscriptionStatus, TaxBehavior, TaxRule, Tier, TiersMode,
    UsageType,
};

pub(crate) const DAY_MS: i64 = 86_400_000;

/// The monthly recurring revenue of a subscription at `at_ms`, by `policy`: 0 while it does not
/// count, an error where it cannot be told. Metered usage is not part of it under any policy: only
/// invoices know it, see [`crate::levels`].
pub fn mrr(facts: &SubscriptionFacts, policy: &MetricPolicy, at_ms: i64) -> Result<Mrr, RevenueError> {
    if counts(facts, policy, at_ms) {
        return amount(facts, policy, at_ms);
    }
    Ok(Mrr { currency: facts.currency.clone(), amount_10k: 0, including_tax: false })
}

/// What a subscription that counts is worth per month at `at_ms`.
fn amount(facts: &SubscriptionFacts, policy: &MetricPolicy, at_ms: i64) -> Result<Mrr, RevenueError> {
    let (exact, including_tax) = exact_amount(facts, policy, at_ms)?;
    Ok(Mrr { currency: facts.currency.clone(), amount_10k: stored(&exact)?, including_tax })
}

/// The same in minor units, not rounded, and whether tax is in it.
pub(crate) fn exact_amount(
    facts: &SubscriptionFacts,
    policy: &MetricPolicy,
    at_ms: i64,
) -> Result<(BigRational, bool), RevenueError> {
    let mut including_tax = false;
    let mut lines = Vec::new();
    for item in &facts.items {
        if item.price.currency != facts.currency {
            return Err(RevenueError::MixedCurrencies {
                price: item.price.id.clone(),
                expected: facts.currency.clone(),
                found: item.price.currency.clone(),
            });
        }
        if let Some(line) = Line::of(item)? {
            lines.push(line);
        }
    }
    take_discounts_off(&mut lines, facts, policy, at_ms);
    let mut sum = None;
    for line in &mut lines {
        including_tax |= match policy.tax {
            TaxRule::Excluded => line.take_tax_out(),
            TaxRule::Included => line.has_tax(),
        } && line.monthly.is_positive();
        sum = Some(plus(sum, &line.monthly));
    }
    Ok((sum.unwrap_or_default(), including_tax))
}

/// Whether the subscription counts at `at`.
pub(crate) fn counts(facts: &SubscriptionFacts, policy: &MetricPolicy, at: i64) -> bool {
    let overdue_too_long = || match (policy.past_due_days, facts.overdue_since) {
        (Some(days), Some(since)) => at.saturating_sub(since) >= i64::from(days).saturating_mul(DAY_MS),
        _ => false,
    };
    let counted = match status_at(facts, at) {
        SubscriptionStatus::Active => true,
        SubscriptionStatus::PastDue => !overdue_too_long(),
        SubscriptionStatus::Trialing => policy.trials_count,
        _ => false,
    };
    let collected = policy.paused_collection_counts
        || facts.pause_collection.is_none_or(|pause| pause.resumes_at.is_some_and(|resumes| resumes <= at));
    counted && collected && !called_off(facts, policy, at)
}

/// Whether a cancellation that was asked for has taken effect by the policy's rule at `at`.
pub(crate) fn called_off(facts: &SubscriptionFacts, policy: &MetricPolicy, at: i64) -> bool {
    let leaving = facts.cancel_at_period_end || facts.cancel_at.is_some() || facts.ended_at.is_some();
    policy.cancellation == CancellationRule::AtCall
        && match facts.canceled_at {
            Some(called) => called <= at,
            None => leaving,
        }
}

/// The instants between which [`mrr`] of these facts is constant, in no order, some of them more
/// than once. There may be more than needed, never fewer.
pub(crate) fn turning_points(facts: &SubscriptionFacts, policy: &MetricPolicy) -> Vec<i64> {
    let overdue = facts.overdue_since.zip(policy.past_due_days);
    let mut instants: Vec<i64> = [
        Some(facts.started_at),
        facts.trial_start,
        facts.trial_end,
        facts.canceled_at,
        facts.cancel_at,
        facts.ended_at,
        facts.pause_collection.and_then(|pause| pause.resumes_at),
        overdue.map(|(since, days)| since.saturating_add(i64::from(days).saturating_mul(DAY_MS))),
    ]
    .into_iter()
    .flatten()
    .collect();
    let cycles: Vec<Recurring> = facts.items.iter().filter_map(|item| item.price.recurring).collect();
    let own = facts.items.iter().flat_map(|item| &item.discounts);
    for discount in own.chain(&facts.discounts).chain(&facts.customer_discount) {
        instants.push(discount.start.unwrap_or(facts.started_at));
        instants.extend(cycles.iter().filter_map(|cycle| end_of(discount, facts, *cycle)));
    }
    instants
}

/// The status at `at`, as far as a copy read at some other instant tells.
fn status_at(facts: &SubscriptionFacts, at: i64) -> SubscriptionStatus {
    let over = |instant: Option<i64>| instant.is_some_and(|instant| instant <= at);
    if at < facts.started_at {
        return SubscriptionStatus::Incomplete;
    }
    if over(facts.ended_at) || over(facts.cancel_at) {
        return SubscriptionStatus::Canceled;
    }
    let in_trial = facts.trial_start.is_some_and(|start| start <= at) && facts.trial_end.is_some_and(|end| at < end);
    match facts.status {
        // Stripe ended it later than `at`: until then it was on trial or paid for.
        SubscriptionStatus::Canceled if facts.ended_at.is_some() && !in_trial => SubscriptionStatus::Active,
        SubscriptionStatus::Canceled if facts.ended_at.is_some() => SubscriptionStatus::Trialing,
        SubscriptionStatus::Active | SubscriptionStatus::PastDue if in_trial => SubscriptionStatus::Trialing,
        status => status,
    }
}

/// One licensed recurring item.
struct Line<'a> {
    item: &'a Item,
    recurring: Recurring,
    /// What is left of it, in minor units per month.
    monthly: BigRational,
}

impl<'a> Line<'a> {
    /// The item at its list price; `None` where it does not recur or counts usage.
    fn of(item: &'a Item) -> Result<Option<Self>, RevenueError> {
        let price = &item.price;
        let Some(recurring) = price.recurring.filter(|it| it.usage_type == UsageType::Licensed) else {
            return Ok(None);
        };
        let out_of_range = |what| RevenueError::OutOfRange { price: price.id.clone(), what };
        if recurring.interval_count == 0 {
            return Err(out_of_range("the interval count"));
        }
        let quantity = item.quantity.ok_or_else(|| RevenueError::QuantityMissing { price: price.id.clone() })?;
        if quantity < 0 {
            return Err(out_of_range("the quantity"));
        }
        let quantity = match price.transform_quantity {
            None => quantity,
            Some(transform) if transform.divide_by < 1 => return Err(out_of_range("the quantity's divisor")),
            Some(transform) => {
                let (whole, begun) = (quantity / transform.divide_by, quantity % transform.divide_by);
                if transform.round == Rounding::Up && begun > 0 { whole + 1 } else { whole }
            }
        };
        let per_period = list_amount(price, quantity)?;
        if per_period.is_negative() {
            return Err(out_of_range("the amount"));
        }
        Ok(Some(Self { item, recurring, monthly: monthly(per_period, recurring) }))
    }

    /// Whether tax is part of the amount.
    fn has_tax(&self) -> bool {
        self.item.inclusive_tax_percent.is_some_and(|percent| !percent.is_zero())
            || self.item.price.tax_behavior == TaxBehavior::Inclusive
    }

    /// Takes the tax that is part of the amount out; true where there is some and its rate is unknown.
    fn take_tax_out(&mut self) -> bool {
        match self.item.inclusive_tax_percent {
            Some(percent) => {
                let hundred = BigRational::from_integer(BigInt::from(100));
                self.monthly = &self.monthly * &hundred / (&hundred + exact(percent));
                false
            }
            None => self.item.price.tax_behavior == TaxBehavior::Inclusive,
        }
    }

    /// Whether a coupon for some products only is one for this line.
    fn covered_by(&self, discount: &Discount) -> bool {
        discount
            .coupon
            .applies_to
            .as_ref()
            .is_none_or(|products| self.item.price.product.as_ref().is_some_and(|product| products.contains(product)))
    }
}

/// What a quantity costs per period before discounts, in minor units.
fn list_amount(price: &Price, quantity: i64) -> Result<BigRational, RevenueError> {
    let Some(mode) = price.tiers_mode else {
        let unit =
            price.unit_amount_decimal.ok_or_else(|| RevenueError::UnitAmountMissing { price: price.id.clone() })?;
        return Ok(exact(unit) * whole(quantity));
    };
    let tiers = price.tiers.as_ref().ok_or_else(|| RevenueError::TiersMissing { price: price.id.clone() })?;
    let amount = |amount: Option<Decimal>| amount.map_or_else(BigRational::zero, exact);
    let mut ordered: Vec<&Tier> = tiers.iter().collect();
    ordered.sort_by_key(|tier| tier.up_to.unwrap_or(i64::MAX));
    let mut sum = BigRational::zero();
    let mut below = 0;
    for tier in ordered {
        let last = tier.up_to.is_none_or(|up_to| quantity <= up_to);
        match mode {
            // The first tier holds a quantity of zero too, with its flat amount.
            TiersMode::Volume if last => {
                return Ok(amount(tier.unit_amount) * whole(quantity) + amount(tier.flat_amount));
            }
            TiersMode::Volume => {}
            TiersMode::Graduated => {
                let reached = tier.up_to.map_or(quantity, |up_to| quantity.min(up_to));
                sum += amount(tier.unit_amount) * whole(reached - below) + amount(tier.flat_amount);
                if last {
                    return Ok(sum);
                }
                below = reached;
            }
        }
    }
    Err(RevenueError::TiersTooShort { price: price.id.clone(), quantity })
}

/// Takes what is in force off the lines: their own discounts first, then the subscription's, or the
/// customer's where the subscription has none.
fn take_discounts_off(lines: &mut [Line<'_>], facts: &SubscriptionFacts, policy: &MetricPolicy, at: i64) {
    for line in lines.iter_mut() {
        let (item, cycle) = (line.item, line.recurring);
        let own: Vec<&Discount> =
            item.discounts.iter().filter(|it| holds(it, policy.discounts, facts, cycle, at)).collect();
        take_off(std::slice::from_mut(line), &own, &facts.currency, cycle);
    }
    // A fixed amount comes off each invoice, and the shortest interval among the lines invoices.
    let Some(cycle) = lines.iter().map(|line| line.recurring).max_by_key(|it| per_month(*it)) else { return };
    let mut shared: Vec<&Discount> =
        facts.discounts.iter().filter(|it| holds(it, policy.discounts, facts, cycle, at)).collect();
    if shared.is_empty() {
        shared.extend(facts.customer_discount.as_ref().filter(|it| holds(it, policy.discounts, facts, cycle, at)));
    }
    take_off(lines, &shared, &facts.currency, cycle);
}

/// Takes `discounts` off: percentages first, one upon the other, then amounts, shared out by value
/// and never below zero.
fn take_off(lines: &mut [Line<'_>], discounts: &[&Discount], currency: &str, cycle: Recurring) {
    for discount in discounts {
        if let CouponValue::Percent(percent) = &discount.coupon.value {
            let kept = (BigRational::one() - exact(*percent) / whole(100)).max(BigRational::zero());
            for line in lines.iter_mut().filter(|line| line.covered_by(discount)) {
                line.monthly = &line.monthly * &kept;
            }
        }
    }
    for discount in discounts {
        let CouponValue::Amount { off, currency: of } = &discount.coupon.value else { continue };
        let value: BigRational =
            lines.iter().filter(|line| line.covered_by(discount)).map(|line| line.monthly.clone()).sum();
        if of != currency || !value.is_positive() {
            continue;
        }
        let kept = (BigRational::one() - exact(*off) * per_month(cycle) / value).max(BigRational::zero());
        for line in lines.iter_mut().filter(|line| line.covered_by(discount)) {
            line.monthly = &line.monthly * &kept;
        }
    }
}

/// Whether `rule` counts a discount and it is in force at `at`.
fn holds(discount: &Discount, rule: DiscountRule, facts: &SubscriptionFacts, cycle: Recurring, at: i64) -> bool {
    let duration = discount.coupon.duration;
    let counted = match rule {
        DiscountRule::None => false,
        DiscountRule::Forever => duration == CouponDuration::Forever,
        DiscountRule::Recurring => duration != CouponDuration::Once,
        DiscountRule::All => true,
    };
    let start = discount.start.unwrap_or(facts.started_at);
    counted && start <= at && end_of(discount, facts, cycle).is_none_or(|end| at < end)
}

/// The first instant at which a discount no longer holds.
fn end_of(discount: &Discount, facts: &SubscriptionFacts, cycle: Recurring) -> Option<i64> {
    let start = discount.start.unwrap_or(facts.started_at);
    // Stripe names no end for a discount of one invoice: it is spent with the first paid period.
    discount.end.or_else(|| match discount.coupon.duration {
        CouponDuration::Forever => None,
        CouponDuration::Repeating => discount.coupon.duration_in_months.and_then(|months| later(start, 0, months)),
        CouponDuration::Once => {
            let n = cycle.interval_count;
            let start = facts.trial_end.map_or(start, |paid_from| start.max(paid_from));
            match cycle.interval {
                Interval::Day => later(start, u64::from(n), 0),
                Interval::Week => later(start, u64::from(n) * 7, 0),
                Interval::Month => later(start, 0, n),
                Interval::Year => later(start, 0, n.saturating_mul(12)),
            }
        }
    })
}

/// An instant so many days or calendar months later; the day stays within the month.
fn later(start: i64, days: u64, months: u32) -> Option<i64> {
    DateTime::<Utc>::from_timestamp_millis(start)?
        .checked_add_days(Days::new(days))?
        .checked_add_months(Months::new(months))
        .map(|instant| instant.timestamp_millis())
}

/// What of an amount per interval falls on a month.
pub(crate) fn monthly(per_period: BigRational, recurring: Recurring) -> BigRational {
    if recurring.interval == Interval::Month && recurring.interval_count == 1 {
        return per_period;
    }
    per_period * per_month(recurring)
}

/// The part of an amount per interval that falls on a month.
pub(crate) fn per_month(recurring: Recurring) -> BigRational {
    let (above, below) = match recurring.interval {
        Interval::Day => (365, 12),
        Interval::Week => (52, 12),
        Interval::Month => (1, 1),
        Interval::Year => (1, 12),
    };
    BigRational::new(BigInt::from(above), BigInt::from(below) * BigInt::from(recurring.interval_count))
}

/// A sum that costs nothing while there is one part.
pub(crate) fn plus(sum: Option<BigRational>, part: &BigRational) -> BigRational {
    match sum {
        Some(sum) => sum + part,
        None => part.clone(),
    }
}

pub(crate) fn whole(number: i64) -> BigRational {
    BigRational::from_integer(BigInt::from(number))
}

pub(crate) fn exact(decimal: Decimal) -> BigRational {
    BigRational::new(BigInt::from(decimal.mantissa()), BigInt::from(10).pow(decimal.scale()))
}
