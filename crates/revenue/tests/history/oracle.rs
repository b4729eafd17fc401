//! The figures once more, slow and obvious: day by day, written from the definitions alone, and only
//! leaning on [`mrr`] for what a subscription is worth at an instant.

use std::collections::{BTreeMap, BTreeSet};

use paywall_revenue::{
    BriefRule, CancellationRule, CouponDuration, Day, DiscountRule, Fact, FreeRule, InvoiceFacts, InvoiceLine,
    InvoiceStatus, Lens, MeteredRule, MetricPolicy, MovementKind, Period, Snapshot, SubscriptionFacts,
    SubscriptionStatus, UsageType, mrr,
};

use crate::random::HOUR;

/// (customer, currency, day, kind, amount).
pub(crate) type Row = (String, String, Day, MovementKind, i64);

/// What one day closes with: the amount, and how many subscriptions count.
type Close = (i64, usize);

/// Every movement of these facts.
pub(crate) fn movements(facts: &[Fact], lens: &Lens, days: (Day, Day)) -> BTreeSet<Row> {
    let names: BTreeSet<String> = facts.iter().map(customer_of).collect();
    names.iter().flat_map(|customer| of_customer(customer, facts, lens, days)).collect()
}

fn customer_of(fact: &Fact) -> String {
    match fact {
        Fact::Subscription { customer, .. } | Fact::Customer { id: customer, .. } => customer.to_string(),
        Fact::Invoice { invoice, .. } => invoice.customer.to_string(),
        Fact::Trial { trial, .. } => trial.customer.to_string(),
    }
}

fn of_customer(customer: &str, facts: &[Fact], lens: &Lens, (first, last): (Day, Day)) -> Vec<Row> {
    let mut subscriptions: BTreeMap<&str, Vec<&Snapshot>> = BTreeMap::new();
    let mut invoices: BTreeMap<&str, (i64, &InvoiceFacts)> = BTreeMap::new();
    let mut deleted = i64::MAX;
    for fact in facts.iter().filter(|fact| customer_of(fact) == customer) {
        match fact {
            Fact::Subscription { snapshot, .. } => {
                subscriptions.entry(&snapshot.facts.id).or_default().push(snapshot);
            }
            Fact::Invoice { seen_at, invoice } => {
                let copy = invoices.entry(&invoice.id).or_insert((*seen_at, invoice));
                *copy = (*copy).max((*seen_at, invoice));
            }
            Fact::Customer { deleted_at, .. } => deleted = deleted.min(deleted_at.unwrap_or(i64::MAX)),
            Fact::Trial { .. } => {}
        }
    }
    for snapshots in subscriptions.values_mut() {
        snapshots.sort();
    }
    let invoices: Vec<&InvoiceFacts> = invoices.into_values().map(|it| it.1).collect();
    let mut closes: BTreeMap<String, Vec<Close>> = BTreeMap::new();
    let count = usize::try_from(last.since(first)).unwrap();
    for day in 0..count {
        let close = (lens.zone.start_of(first.plus(day as i32 + 1)) - 1).min(lens.until);
        for snapshots in subscriptions.values() {
            let worth = if close < deleted { worth(snapshots, &invoices, &lens.policy, close) } else { None };
            let all = closes.entry(snapshots[0].facts.currency.clone()).or_insert_with(|| vec![(0, 0); count]);
            all[day].0 += worth.unwrap_or(0);
            all[day].1 += usize::from(worth.is_some());
        }
    }
    let mut rows = Vec::new();
    for day in 1..count {
        let date = first.plus(day as i32);
        let paid_on = (0..day).rev().find(|past| closes.values().any(|all| all[*past].0 > 0));
        let currencies: Vec<String> = closes.keys().cloned().collect();
        for currency in currencies {
            let all = closes.get_mut(&currency).unwrap();
            let (before, after) = (all[day - 1].0, all[day].0);
            // Since the last day with an amount in this currency, some subscription always counted.
            let went_on = (0..day).rev().find(|past| all[*past].0 > 0).is_some_and(|paid| {
                lens.policy.free == FreeRule::Contraction && all[paid..day].iter().all(|close| close.1 > 0)
            });
            let comes_back = paid_on
                .is_some_and(|past| lens.policy.reactivation_days.is_none_or(|most| day - past <= most as usize));
            let kind = if before == after {
                continue;
            } else if before == 0 && went_on {
                MovementKind::Expansion
            } else if before == 0 && comes_back {
                MovementKind::Reactivation
            } else if before == 0 {
                let lost = (day + 1..count).find(|later| all[*later].0 == 0);
                let in_month = lost
                    .filter(|lost| first.plus(*lost as i32).start_of(Period::Month) == date.start_of(Period::Month));
                if let (Some(lost), BriefRule::Ignored) = (in_month, lens.policy.brief) {
                    all[day..lost].iter_mut().for_each(|close| close.0 = 0);
                    continue;
                }
                MovementKind::New
            } else if after == 0 && lens.policy.free == FreeRule::Contraction && all[day].1 > 0 {
                MovementKind::Contraction
            } else if after == 0 {
                MovementKind::Churn
            } else if after > before {
                MovementKind::Expansion
            } else {
                MovementKind::Contraction
            };
            rows.push((customer.to_owned(), currency, date, kind, after - before));
        }
    }
    rows
}

/// What a subscription is worth at an instant; `None` while it does not count.
fn worth(snapshots: &[&Snapshot], invoices: &[&InvoiceFacts], policy: &MetricPolicy, at: i64) -> Option<i64> {
    let first_seen = snapshots[0].seen_at;
    let mut now = snapshots.iter().rposition(|it| it.seen_at <= at).unwrap_or(0);
    if let Some(next) = snapshots.get(now + 1).filter(|_| at >= first_seen) {
        let (seen, facts) = (snapshots[now].seen_at, &snapshots[now].facts);
        let was = |instant: Option<i64>| instant.is_some_and(|it| seen < it && it <= next.seen_at && it <= at);
        let converted = facts.status == SubscriptionStatus::Trialing
            && next.facts.status != SubscriptionStatus::Trialing
            && next.facts.trial_end.is_some_and(|it| seen <= it && it < next.seen_at && it <= at);
        if converted {
            now += 1;
        }
        let ended = !converted && facts.ended_at.is_none() && was(next.facts.ended_at);
        let at_call = policy.cancellation == CancellationRule::AtCall;
        let called = !converted && at_call && facts.canceled_at.is_none() && was(next.facts.canceled_at);
        if ended || called {
            return None;
        }
    }
    let mut facts = SubscriptionFacts::clone(&snapshots[now].facts);
    let own: Vec<&&InvoiceFacts> =
        invoices.iter().filter(|it| it.subscription.as_deref() == Some(facts.id.as_str())).collect();
    if facts.status == SubscriptionStatus::PastDue && facts.overdue_since.is_none() {
        let seen = snapshots[now].seen_at;
        let waiting = |it: &&&&InvoiceFacts| it.status.bills() && it.paid_at.is_none_or(|paid| paid > seen);
        facts.overdue_since =
            own.iter().filter(waiting).map(|it| it.finalized_at.unwrap()).filter(|it| *it <= seen).min();
    }
    let usage = used(&own, policy, at);
    if at < first_seen
        && let Some(billed) = billed(&facts, &own, policy, at)
    {
        return Some(billed + usage);
    }
    counts(&facts, policy, at).then(|| mrr(&facts, policy, at).unwrap().amount_10k + usage)
}

/// Whether it counts: list prices for a price that is never zero tell.
fn counts(facts: &SubscriptionFacts, policy: &MetricPolicy, at: i64) -> bool {
    let mut priced = facts.clone();
    priced.items[0].quantity = Some(1);
    priced.items[0].price.unit_amount_decimal = Some(1.into());
    mrr(&priced, &MetricPolicy { discounts: DiscountRule::None, ..policy.clone() }, at).unwrap().amount_10k > 0
}

fn billed(facts: &SubscriptionFacts, own: &[&&InvoiceFacts], policy: &MetricPolicy, at: i64) -> Option<i64> {
    let passed = |instant: Option<i64>| instant.is_some_and(|it| it <= at);
    let on_trial = passed(facts.trial_start) && facts.trial_end.is_some_and(|it| it > at);
    let leaving = facts.cancel_at_period_end || facts.cancel_at.is_some() || facts.ended_at.is_some();
    let called = if facts.canceled_at.is_some() { passed(facts.canceled_at) } else { leaving };
    if passed(facts.ended_at)
        || passed(facts.cancel_at)
        || on_trial
        || (policy.cancellation == CancellationRule::AtCall && called)
    {
        return None;
    }
    let stopped = !matches!(
        facts.status,
        SubscriptionStatus::Active | SubscriptionStatus::PastDue | SubscriptionStatus::Canceled
    );
    let covering: Vec<&InvoiceLine> = own
        .iter()
        .filter(|it| it.status.bills() && (it.status == InvoiceStatus::Paid || !stopped))
        .flat_map(|it| &it.lines)
        .filter(|line| line.recurring.unwrap().usage_type == UsageType::Licensed && line.start <= at && at < line.end)
        .collect();
    let newest = |item: &str| covering.iter().filter(|it| it.item.as_deref() == Some(item)).map(|it| it.start).max();
    let counted =
        covering.iter().filter(|line| line.item.as_deref().is_none_or(|item| newest(item) == Some(line.start)));
    (!covering.is_empty()).then(|| counted.map(|line| net(line, policy)).sum())
}

fn used(own: &[&&InvoiceFacts], policy: &MetricPolicy, at: i64) -> i64 {
    if policy.metered == MeteredRule::Excluded {
        return 0;
    }
    let lines = || {
        own.iter()
            .filter(|it| it.status.bills())
            .flat_map(|it| &it.lines)
            .filter(|line| line.recurring.unwrap().usage_type == UsageType::Metered && line.end <= at)
    };
    let Some(newest) = lines().map(|line| line.end).max() else { return 0 };
    lines()
        .filter(|line| line.end == newest && at - line.end < line.end - line.start)
        .map(|line| net(line, policy))
        .sum()
}

fn net(line: &InvoiceLine, policy: &MetricPolicy) -> i64 {
    let off: i64 = line
        .discounts
        .iter()
        .filter(|it| match policy.discounts {
            DiscountRule::None => false,
            DiscountRule::Forever => it.duration == Some(CouponDuration::Forever),
            DiscountRule::Recurring => it.duration != Some(CouponDuration::Once),
            DiscountRule::All => true,
        })
        .map(|it| it.off)
        .sum();
    (line.amount - off).max(0) * 10_000
}

/// The days that random facts can touch, and one before.
pub(crate) fn days(lens: &Lens) -> (Day, Day) {
    let last = lens.zone.day_of(lens.until).plus(1);
    (lens.zone.day_of(crate::random::BEGIN - 48 * HOUR), last)
}
