//! Sums by day: what figures derive from, and small enough to be kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Day;
use crate::ledger::Outcome;

/// How much a figure rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Objects {
    /// Subscriptions.
    pub subscriptions: i64,
    /// Invoices.
    pub invoices: i64,
    /// Subscriptions whose revenue cannot be told, and which are left out.
    pub faults: i64,
    /// Subscriptions with tax in them that cannot be told apart.
    pub including_tax: i64,
}

/// Sums of one day in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DayTotal {
    /// What moved by kind, in the order of [`crate::MovementKind::ALL`], in 1/10,000 of the minor unit.
    pub amounts: [i128; 5],
    /// How many movements of each kind.
    pub counts: [i64; 5],
    /// How many of all movements are estimated.
    pub estimated: i64,
    /// How many more customers pay at the day's close than at the last.
    pub paying: i64,
    /// How many more subscriptions that count are rebuilt, not seen, at the day's close than at the last.
    pub rebuilt: i64,
}

/// Sums by currency and day, of the days on which something changed, and what they rest on. A ledger keeps
/// them up to date; kept elsewhere, they give the figures before any fact is read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals {
    pub(crate) days: BTreeMap<Arc<str>, BTreeMap<Day, DayTotal>>,
    pub(crate) objects: BTreeMap<Arc<str>, Objects>,
}

impl Totals {
    /// Every day's sums, by currency and day.
    pub fn days(&self) -> impl Iterator<Item = (&str, Day, &DayTotal)> {
        self.days.iter().flat_map(|(currency, days)| days.iter().map(move |(day, total)| (&**currency, *day, total)))
    }

    /// What the figures of each currency rest on.
    pub fn objects(&self) -> impl Iterator<Item = (&str, &Objects)> {
        self.objects.iter().map(|(currency, objects)| (&**currency, objects))
    }

    /// The totals again from what [`Totals::days`] and [`Totals::objects`] gave.
    pub fn from_parts<'a>(
        days: impl IntoIterator<Item = (&'a str, Day, DayTotal)>,
        objects: impl IntoIterator<Item = (&'a str, Objects)>,
    ) -> Self {
        let mut totals = Self::default();
        for (currency, day, total) in days {
            totals.days.entry(currency.into()).or_default().insert(day, total);
        }
        totals.objects = objects.into_iter().map(|(currency, objects)| (currency.into(), objects)).collect();
        totals
    }

    /// Adds a customer's part, or takes it away.
    pub(crate) fn add(&mut self, outcome: &Outcome, sign: i64) {
        for movement in &outcome.movements {
            self.change(&movement.currency, movement.day, |total| {
                total.amounts[movement.kind.index()] += i128::from(movement.amount_10k) * i128::from(sign);
                total.counts[movement.kind.index()] += sign;
                total.estimated += i64::from(movement.estimated) * sign;
                total.paying += i64::from(movement.paying) * sign;
            });
        }
        for (currency, day, rebuilt) in &outcome.rebuilt {
            self.change(currency, *day, |total| total.rebuilt += rebuilt * sign);
        }
        for (currency, objects) in &outcome.objects {
            let sum = self.objects.entry(currency.clone()).or_default();
            sum.subscriptions += sign * objects.subscriptions;
            sum.invoices += sign * objects.invoices;
            sum.faults += sign * objects.faults;
            sum.including_tax += sign * objects.including_tax;
            if *sum == Objects::default() {
                self.objects.remove(currency);
            }
        }
    }

    fn change(&mut self, currency: &Arc<str>, day: Day, change: impl FnOnce(&mut DayTotal)) {
        let days = self.days.entry(currency.clone()).or_default();
        let total = days.entry(day).or_default();
        change(total);
        if *total == DayTotal::default() {
            days.remove(&day);
            if days.is_empty() {
                self.days.remove(currency);
            }
        }
    }
}
