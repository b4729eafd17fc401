//! What is agreed for the months ahead, and what they bring if the months behind go on.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::amount::even;
use crate::figures::fit;
use crate::timeline::level_at;
use crate::{
    Day, Ledger, MeteredRule, MetricPolicy, Period, RevenueError, Snapshot, SubscriptionStatus, Totals, Window, mrr,
};

/// Recurring revenue at a month's close ahead, if nobody does anything that is not agreed today: what is
/// told to cancel ends, and discounts run out. Usage is not agreed and is left out. Amounts are in 1/10,000
/// of the minor unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Committed {
    /// Of the subscriptions that count.
    pub amount_10k: i64,
    /// Of those on a trial that ends before, with a payment method on file. No part of `amount_10k`.
    pub trials_payable_10k: i64,
    /// The same without one, as far as is known.
    pub trials_other_10k: i64,
}

/// What a forecast assumes: that recurring revenue goes on to grow as it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Assumption {
    /// The full months that were looked at, each with its net growth in 1/10,000 of the minor unit.
    pub months: Vec<(Day, i64)>,
    /// Their average, rounded half to even.
    pub monthly_net_10k: i64,
}

/// Recurring revenue ahead under an assumption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// ISO 4217 code in lower case.
    pub currency: String,
    /// What it assumes.
    pub assumption: Assumption,
    /// The last day of each month ahead and its amount, never below zero.
    pub months: Vec<(Day, i64)>,
}

impl Committed {
    /// Adds what is agreed with others.
    pub fn add(&mut self, other: Self) -> Result<(), RevenueError> {
        add(&mut self.amount_10k, other.amount_10k)?;
        add(&mut self.trials_payable_10k, other.trials_payable_10k)?;
        add(&mut self.trials_other_10k, other.trials_other_10k)
    }
}

impl Ledger {
    /// What is agreed at the close of each of the next `months` months, the running one first, by
    /// currency. Each is the month's last day.
    pub fn committed(&self, months: usize) -> Result<BTreeMap<String, Vec<(Day, Committed)>>, RevenueError> {
        let Some(lens) = &self.lens else { return Ok(BTreeMap::new()) };
        let closes = closes(lens.zone.day_of(lens.until), months);
        let policy = MetricPolicy { metered: MeteredRule::Excluded, ..lens.policy.clone() };
        let mut committed: BTreeMap<String, Vec<(Day, Committed)>> = BTreeMap::new();
        for account in self.accounts.values().filter(|it| it.deleted_at.is_none_or(|at| at > lens.until)) {
            let invoices = account.invoice_list();
            for (id, snapshots) in &account.subscriptions {
                let Some(last) = snapshots.last() else { continue };
                if account.outcome.faults.iter().any(|fault| fault.subscription == *id) {
                    continue;
                }
                let sums = committed
                    .entry(last.facts.currency.clone())
                    .or_insert_with(|| closes.iter().map(|day| (*day, Committed::default())).collect());
                for (day, sum) in sums {
                    let at = lens.zone.start_of(day.plus(1)) - 1;
                    let level = level_at(snapshots, &invoices, &policy, at)?.map_or(0, |level| level.amount_10k);
                    add(&mut sum.amount_10k, level)?;
                    if level == 0
                        && let Some((amount, payable)) = after_trial(last, &policy, at)?
                    {
                        add(if payable { &mut sum.trials_payable_10k } else { &mut sum.trials_other_10k }, amount)?;
                    }
                }
            }
        }
        Ok(committed)
    }

    /// [`Totals::forecast`] as of the lens's last day.
    pub fn forecast(&self, behind: usize, ahead: usize) -> Result<Vec<Forecast>, RevenueError> {
        let Some(lens) = &self.lens else { return Ok(Vec::new()) };
        self.totals.forecast(lens.zone.day_of(lens.until), behind, ahead)
    }
}

impl Totals {
    /// Recurring revenue at the close of each of the next `ahead` months, that of `today` first, if each
    /// grows by the average of the last `behind` full months. A currency that began after the first of these
    /// has no forecast.
    pub fn forecast(&self, today: Day, behind: usize, ahead: usize) -> Result<Vec<Forecast>, RevenueError> {
        let month = today.start_of(Period::Month);
        let from = month.plus_months(-i32::try_from(behind).unwrap_or(i32::MAX));
        let mut forecasts = Vec::new();
        for (currency, days) in &self.days {
            if behind == 0 || days.keys().next().is_none_or(|first| *first >= from.end_of(Period::Month)) {
                continue;
            }
            let mut months = Vec::with_capacity(behind);
            for window in (Window { from, to: month }).by(Period::Month) {
                months.push((window.from, self.net_of(currency, window)?));
            }
            let sum: i128 = months.iter().map(|it| i128::from(it.1)).sum();
            let begin = self.net_of(currency, Window { from: Day::MIN, to: month })?;
            let mut points = Vec::with_capacity(ahead);
            for (n, close) in closes(today, ahead).into_iter().enumerate() {
                let grown = even(sum * (n as i128 + 1), behind as i128);
                points.push((close, fit((i128::from(begin) + grown).max(0))?));
            }
            let assumption = Assumption { months, monthly_net_10k: fit(even(sum, behind as i128))? };
            forecasts.push(Forecast { currency: currency.to_string(), assumption, months: points });
        }
        Ok(forecasts)
    }

    fn net_of(&self, currency: &Arc<str>, window: Window) -> Result<i64, RevenueError> {
        let days = self.days.get(currency).into_iter().flat_map(|days| days.range(window.from..window.to));
        fit(days.flat_map(|(_, total)| total.amounts).sum())
    }
}

/// What a subscription on a trial that ends by `at` is worth then, and whether a payment method is there.
fn after_trial(last: &Snapshot, policy: &MetricPolicy, at: i64) -> Result<Option<(i64, bool)>, RevenueError> {
    let facts = &last.facts;
    if facts.status != SubscriptionStatus::Trialing || facts.trial_end.is_none_or(|end| end > at) {
        return Ok(None);
    }
    let mut paying = (**facts).clone();
    paying.status = SubscriptionStatus::Active;
    Ok(Some((mrr(&paying, policy, at)?.amount_10k, facts.has_payment_method)))
}

/// The last days of so many months, that of `today` first.
fn closes(today: Day, months: usize) -> Vec<Day> {
    let mut closes = Vec::with_capacity(months);
    let mut day = today;
    for _ in 0..months {
        let next = day.end_of(Period::Month);
        closes.push(next.plus(-1));
        day = next;
    }
    closes
}

fn add(sum: &mut i64, amount: i64) -> Result<(), RevenueError> {
    *sum = sum.checked_add(amount).ok_or(RevenueError::TooLarge)?;
    Ok(())
}
