//! The recurring revenue of one subscription over time: a step function, from snapshots, and from
//! invoice lines for the time before the first of them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Datelike, Utc};
use num_bigint::BigInt;
use num_rational::BigRational;

use crate::amount::stored;
use crate::mrr::{DAY_MS, called_off, counts, exact_amount, monthly, per_month, plus, turning_points, whole};
use crate::{
    CancellationRule, CouponDuration, DiscountRule, Interval, InvoiceFacts, InvoiceLine, InvoiceStatus, MeteredRule,
    MetricPolicy, Recurring, RevenueError, SubscriptionFacts, SubscriptionStatus, TaxRule, UsageType,
};

/// A subscription as it was read from Stripe at an instant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Snapshot {
    /// When it was read.
    pub seen_at: i64,
    /// What it said. Snapshots that say the same can share it.
    pub facts: Arc<SubscriptionFacts>,
}

/// What a subscription is worth from an instant on, until the next level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// The first instant at which it holds.
    pub from: i64,
    /// Per month, in 1/10,000 of the minor unit. Never negative.
    pub amount_10k: i64,
    /// ISO 4217 code in lower case.
    pub currency: String,
    /// Whether tax that cannot be told apart is part of it.
    pub including_tax: bool,
    /// Whether the subscription counts; one that counts can be worth nothing.
    pub counts: bool,
    /// Whether it lies before the first snapshot, and so is rebuilt rather than seen.
    pub estimated: bool,
}

/// The levels of a subscription, by instant; before the first of them it is worth nothing.
///
/// A snapshot holds from when it was seen until the next one was. What the next one dates itself is
/// taken from its own date: an end, a call to cancel, a trial's end that made it a paying one. The
/// first one reaches back to its beginning; there, invoice lines decide wherever one covers the
/// instant (in the subscription's currency; drafts and void invoices bill nothing), and all of it is
/// estimated. `invoices` may hold those of other subscriptions. Where a snapshot does not say since
/// when it is overdue, the oldest invoice unpaid at the time does.
pub fn levels(
    snapshots: &[Snapshot],
    invoices: &[&InvoiceFacts],
    policy: &MetricPolicy,
) -> Result<Vec<Level>, RevenueError> {
    let Some(timeline) = Timeline::of(snapshots, invoices, policy) else { return Ok(Vec::new()) };
    let mut levels: Vec<Level> = Vec::new();
    for instant in timeline.instants() {
        let level = timeline.at(instant)?;
        let same = levels.last().map_or(level.amount_10k == 0 && !level.counts, |last| {
            (last.amount_10k, last.counts, last.including_tax, last.estimated)
                == (level.amount_10k, level.counts, level.including_tax, level.estimated)
        });
        if !same {
            levels.push(level);
        }
    }
    Ok(levels)
}

/// The level at one instant, told by what was known then and not by what changed before.
pub(crate) fn level_at(
    snapshots: &[Snapshot],
    invoices: &[&InvoiceFacts],
    policy: &MetricPolicy,
    at: i64,
) -> Result<Option<Level>, RevenueError> {
    Timeline::of(snapshots, invoices, policy).map(|timeline| timeline.at(at)).transpose()
}

/// What was known of a subscription from an instant on.
struct View<'a> {
    from: i64,
    facts: Cow<'a, SubscriptionFacts>,
    /// When it stopped counting, as the next snapshot says.
    ends: Option<i64>,
}

/// A line of an invoice, per month.
struct Billed {
    /// In minor units per month, as the policy counts it.
    monthly: BigRational,
    start: i64,
    end: i64,
    paid: bool,
    item: Option<Arc<str>>,
    price: Option<Arc<str>>,
}

struct Timeline<'a> {
    policy: &'a MetricPolicy,
    views: Vec<View<'a>>,
    first_seen: i64,
    licensed: Vec<Billed>,
    metered: Vec<Billed>,
}

impl<'a> Timeline<'a> {
    fn of(snapshots: &'a [Snapshot], invoices: &[&InvoiceFacts], policy: &'a MetricPolicy) -> Option<Self> {
        let mut ordered: Vec<&Snapshot> = snapshots.iter().collect();
        if !ordered.is_sorted() {
            ordered.sort();
        }
        let first = *ordered.first()?;
        let id = first.facts.id.as_str();
        let own: Vec<&&InvoiceFacts> = invoices.iter().filter(|it| concerns(it, id)).collect();
        let views = views(&ordered, &own, policy);
        let known: HashMap<&str, Recurring> = snapshots
            .iter()
            .flat_map(|snapshot| &snapshot.facts.items)
            .filter_map(|item| Some((item.price.id.as_str(), item.price.recurring?)))
            .collect();
        let (mut licensed, mut metered) = (Vec::new(), Vec::new());
        for invoice in own.iter().filter(|it| it.status.bills() && *it.currency == *first.facts.currency) {
            for line in invoice.lines.iter().filter(|line| line_concerns(line, invoice, id)) {
                let named = line.price.as_deref().and_then(|price| known.get(price)).copied();
                let recurring = line.recurring.or(named);
                if recurring.is_some_and(|it| it.usage_type == UsageType::Metered) {
                    if policy.metered == MeteredRule::LastInvoiced {
                        metered.push(Billed::of(line, invoice, recurring, policy));
                    }
                } else if line.start < first.seen_at {
                    licensed.push(Billed::of(line, invoice, recurring, policy));
                }
            }
        }
        Some(Self { policy, views, first_seen: first.seen_at, licensed, metered })
    }

    /// The instants at which the level can change, in order.
    fn instants(&self) -> Vec<i64> {
        let mut instants = vec![self.first_seen];
        for (n, view) in self.views.iter().enumerate() {
            let until = self.views.get(n + 1).map_or(i64::MAX, |next| next.from);
            instants.extend(Some(view.from).filter(|from| *from != i64::MIN));
            instants.extend(view.ends);
            instants.extend(
                turning_points(&view.facts, self.policy).into_iter().filter(|at| (view.from..until).contains(at)),
            );
        }
        instants.extend(self.licensed.iter().flat_map(|line| [line.start, line.end.min(self.first_seen)]));
        instants.extend(self.metered.iter().flat_map(|line| [line.end, line.usage_holds_until()]));
        instants.sort_unstable();
        instants.dedup();
        instants
    }

    fn at(&self, at: i64) -> Result<Level, RevenueError> {
        let view = &self.views[self.views.partition_point(|view| view.from <= at).saturating_sub(1)];
        let facts = view.facts.as_ref();
        let estimated = at < self.first_seen;
        let mut level = Level {
            from: at,
            amount_10k: 0,
            currency: facts.currency.clone(),
            including_tax: false,
            counts: false,
            estimated,
        };
        if view.ends.is_some_and(|end| end <= at) {
            return Ok(level);
        }
        let billed = if estimated { self.billed(facts, at) } else { None };
        let mut exact = match billed {
            Some(billed) => billed,
            None if counts(facts, self.policy, at) => {
                let (exact, including_tax) = exact_amount(facts, self.policy, at)?;
                level.including_tax = including_tax;
                exact
            }
            None => return Ok(level),
        };
        level.counts = true;
        if !self.metered.is_empty() {
            exact += self.used(at);
        }
        level.amount_10k = stored(&exact)?;
        Ok(level)
    }

    /// What the lines that cover an instant before the first snapshot bill; `None` where none does,
    /// or the subscription's own timestamps say that it did not count.
    fn billed(&self, facts: &SubscriptionFacts, at: i64) -> Option<BigRational> {
        let over = [facts.ended_at, facts.cancel_at].into_iter().flatten().any(|end| end <= at);
        let in_trial = facts.trial_start.is_some_and(|it| it <= at) && facts.trial_end.is_some_and(|it| at < it);
        if over || in_trial || called_off(facts, self.policy, at) {
            return None;
        }
        // Of a subscription that had stopped when it was first seen, what was not paid never counted.
        let tolerant = matches!(
            facts.status,
            SubscriptionStatus::Active | SubscriptionStatus::PastDue | SubscriptionStatus::Canceled
        );
        let covers = |line: &&Billed| line.start <= at && at < line.end && (line.paid || tolerant);
        // An item that was moved to another price or period is billed anew before its old period is over.
        let replaced = |line: &Billed| {
            let mut newer = self.licensed.iter().filter(covers).filter(|it| it.start > line.start);
            line.item.is_some() && newer.any(|it| it.item == line.item)
        };
        let counted = self.licensed.iter().filter(covers).filter(|line| !replaced(line));
        counted.fold(None, |sum, line| Some(plus(sum, &line.monthly)))
    }

    /// The metered usage that counts at an instant: of each price, what was invoiced last.
    fn used(&self, at: i64) -> BigRational {
        let mut newest: HashMap<Option<&str>, i64> = HashMap::new();
        for line in self.metered.iter().filter(|line| line.end <= at) {
            let end = newest.entry(line.price.as_deref()).or_insert(line.end);
            *end = line.end.max(*end);
        }
        self.metered
            .iter()
            .filter(|line| newest.get(&line.price.as_deref()) == Some(&line.end) && at < line.usage_holds_until())
            .map(|line| &line.monthly)
            .sum()
    }
}

impl Billed {
    fn of(line: &InvoiceLine, invoice: &InvoiceFacts, recurring: Option<Recurring>, policy: &MetricPolicy) -> Self {
        let off = |counted: &dyn Fn(Option<CouponDuration>) -> bool| -> i64 {
            line.discounts.iter().filter(|it| counted(it.duration)).fold(0, |sum: i64, it| sum.saturating_add(it.off))
        };
        let counted = line.amount.saturating_sub(match policy.discounts {
            DiscountRule::None => 0,
            DiscountRule::Forever => off(&|it| it == Some(CouponDuration::Forever)),
            DiscountRule::Recurring => off(&|it| it != Some(CouponDuration::Once)),
            DiscountRule::All => off(&|_| true),
        });
        let charged = line.amount.saturating_sub(off(&|_| true));
        let mut net = whole(counted.max(0));
        if policy.tax == TaxRule::Excluded && line.inclusive_tax > 0 && charged > 0 {
            net = net * whole(charged.saturating_sub(line.inclusive_tax).max(0)) / whole(charged);
        }
        Self {
            monthly: match recurring {
                Some(recurring) => monthly(net, recurring),
                None => net * share_of_a_month(line.start, line.end),
            },
            start: line.start,
            end: line.end,
            paid: invoice.status == InvoiceStatus::Paid,
            item: line.item.clone(),
            price: line.price.clone(),
        }
    }

    /// Usage of a period counts for as long as the period was.
    fn usage_holds_until(&self) -> i64 {
        self.end.saturating_add(self.end - self.start)
    }
}

/// What of a period's amount falls on a month, told by the period alone: so many calendar months where
/// it ends on the day of the month it began on, else so many days. Of a day that a month does not have, its
/// last one takes the place.
fn share_of_a_month(start: i64, end: i64) -> BigRational {
    let calendar = || {
        let (from, to) = (DateTime::<Utc>::from_timestamp_millis(start)?, DateTime::<Utc>::from_timestamp_millis(end)?);
        let months = (to.year() - from.year()) * 12 + to.month() as i32 - from.month() as i32;
        let is_last = |day: DateTime<Utc>| (day + chrono::Days::new(1)).month() != day.month();
        let same_day = to.day() == from.day()
            || (is_last(to) && from.day() > to.day())
            || (is_last(from) && to.day() > from.day());
        (months > 0 && same_day).then_some(months)
    };
    if let Some(months) = calendar() {
        return BigRational::new(BigInt::from(1), BigInt::from(months));
    }
    let days = u32::try_from((end - start + DAY_MS / 2) / DAY_MS).unwrap_or(u32::MAX).max(1);
    per_month(Recurring { interval: Interval::Day, interval_count: days, usage_type: UsageType::Licensed })
}

fn concerns(invoice: &InvoiceFacts, id: &str) -> bool {
    invoice.subscription.as_deref() == Some(id)
        || invoice.lines.iter().any(|line| line.subscription.as_deref() == Some(id))
}

fn line_concerns(line: &InvoiceLine, invoice: &InvoiceFacts, id: &str) -> bool {
    line.subscription.as_deref().or(invoice.subscription.as_deref()) == Some(id)
}

fn views<'a>(ordered: &[&'a Snapshot], invoices: &[&&InvoiceFacts], policy: &MetricPolicy) -> Vec<View<'a>> {
    let mut views: Vec<View<'a>> = Vec::with_capacity(ordered.len());
    for (n, snapshot) in ordered.iter().enumerate() {
        let mut facts = Cow::Borrowed(&*snapshot.facts);
        if policy.past_due_days.is_some()
            && facts.status == SubscriptionStatus::PastDue
            && facts.overdue_since.is_none()
            && let Some(since) = invoices.iter().filter_map(|it| it.overdue_since(snapshot.seen_at)).min()
        {
            facts.to_mut().overdue_since = Some(since);
        }
        let ends = ordered.get(n + 1).and_then(|next| {
            let between = |at: &i64| snapshot.seen_at < *at && *at <= next.seen_at;
            let ended = next.facts.ended_at.filter(|at| facts.ended_at.is_none() && between(at));
            let called = next.facts.canceled_at.filter(|at| {
                policy.cancellation == CancellationRule::AtCall && facts.canceled_at.is_none() && between(at)
            });
            ended.into_iter().chain(called).min()
        });
        let from = if n == 0 { i64::MIN } else { takes_over_at(ordered[n - 1], snapshot) };
        views.push(View { from, facts, ends });
    }
    views
}

/// From when on `next` holds: when it was seen, or already when the trial that it shows as over ended.
fn takes_over_at(last: &Snapshot, next: &Snapshot) -> i64 {
    let paid_from = next.facts.trial_end.filter(|end| {
        last.facts.status == SubscriptionStatus::Trialing
            && next.facts.status != SubscriptionStatus::Trialing
            && (last.seen_at..next.seen_at).contains(end)
    });
    paid_from.unwrap_or(next.seen_at)
}
