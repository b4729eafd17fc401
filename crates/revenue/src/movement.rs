//! What moved a customer's recurring revenue, day by day.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{BriefRule, Day, FreeRule, Level, MetricPolicy, Period, ReportingZone, RevenueError};

/// Why recurring revenue moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MovementKind {
    /// From zero, by a customer who never paid before.
    New,
    /// From zero, by a customer who had paid before.
    Reactivation,
    /// Up, from above zero.
    Expansion,
    /// Down, to above zero.
    Contraction,
    /// To zero.
    Churn,
}

impl MovementKind {
    /// All, in the order in which tables show them.
    pub const ALL: [Self; 5] = [Self::New, Self::Reactivation, Self::Expansion, Self::Contraction, Self::Churn];

    /// Its place in [`MovementKind::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// The change of one customer's recurring revenue in one currency from one day's close to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// Whose.
    pub customer: Arc<str>,
    /// ISO 4217 code in lower case.
    pub currency: Arc<str>,
    /// The day at whose close it shows.
    pub day: Day,
    /// Why.
    pub kind: MovementKind,
    /// In 1/10,000 of the minor unit; below zero for contraction and churn.
    pub amount_10k: i64,
    /// How many more customers pay in its currency after it: 1, 0 or -1.
    pub paying: i8,
    /// Whether a subscription that moved was rebuilt rather than seen, after the movement or before it.
    pub estimated: bool,
}

/// A change of one subscription at a day's close.
struct Change {
    day: Day,
    currency: Arc<str>,
    amount: i64,
    counting: i32,
    estimated: bool,
}

/// A customer's worth in one currency at a day's close.
struct Closing {
    day: Day,
    currency: Arc<str>,
    amount: i64,
    /// How many subscriptions count.
    counting: i32,
    estimated: bool,
}

/// Where a customer stands in one currency.
#[derive(Default)]
struct Standing {
    amount: i64,
    /// The day at whose close it last left zero.
    since: Option<Day>,
    /// Pays nothing now, and never left since paying.
    free: bool,
    /// Taken for nothing up to this day: the customer was new and lost within a month.
    ignored_to: Option<Day>,
}

/// The movements of a customer from the levels of all its subscriptions, those after `until` left out.
pub(crate) fn movements(
    customer: &Arc<str>,
    subscriptions: &[Vec<Level>],
    policy: &MetricPolicy,
    zone: ReportingZone,
    until: i64,
    intern: &mut dyn FnMut(&str) -> Arc<str>,
) -> Result<Vec<Movement>, RevenueError> {
    let closings = closings(subscriptions, zone, until, intern)?;
    let mut movements = Vec::new();
    let mut standings: HashMap<Arc<str>, Standing> = HashMap::new();
    // The last day at whose close something was paid in a currency that went to zero since.
    let mut last_paid: Option<Day> = None;
    for (at, today) in closings.iter().enumerate() {
        let yesterday = today.day.plus(-1);
        // Currencies that begin on one day do not make each other a former customer.
        let pays = standings.values().any(|it| it.amount > 0 && it.since.is_some_and(|since| since <= yesterday));
        let paid_before = if pays { Some(yesterday) } else { last_paid };
        let standing = standings.entry(today.currency.clone()).or_default();
        let amount = match standing.ignored_to {
            Some(day) if today.day <= day => 0,
            _ => today.amount,
        };
        let before = standing.amount;
        let stays = policy.free == FreeRule::Contraction && today.counting > 0;
        let kind = match (before, amount) {
            (0, 0) => {
                standing.free &= stays;
                continue;
            }
            (0, _) if standing.free => MovementKind::Expansion,
            (0, _) if returns(paid_before, today.day, policy) => MovementKind::Reactivation,
            (0, _) => MovementKind::New,
            (_, 0) if stays => MovementKind::Contraction,
            (_, 0) => MovementKind::Churn,
            _ if amount > before => MovementKind::Expansion,
            _ if amount < before => MovementKind::Contraction,
            _ => continue,
        };
        if kind == MovementKind::New
            && policy.brief == BriefRule::Ignored
            && let Some(lost) = lost_within_the_month(&closings[at..])
        {
            standing.ignored_to = Some(lost);
            continue;
        }
        standing.amount = amount;
        standing.free = amount == 0 && stays;
        if before == 0 {
            standing.since = Some(today.day);
        } else {
            last_paid = last_paid.max(Some(yesterday));
        }
        movements.push(Movement {
            customer: customer.clone(),
            currency: today.currency.clone(),
            day: today.day,
            kind,
            amount_10k: amount.checked_sub(before).ok_or(RevenueError::TooLarge)?,
            paying: i8::from(before == 0) - i8::from(amount == 0),
            estimated: today.estimated,
        });
    }
    Ok(movements)
}

/// Whether somebody who last paid on `last_paid` and pays again on `day` comes back.
fn returns(last_paid: Option<Day>, day: Day, policy: &MetricPolicy) -> bool {
    last_paid
        .is_some_and(|last| policy.reactivation_days.is_none_or(|days| i64::from(day.since(last)) <= i64::from(days)))
}

/// The day on which a customer who is new at the first of `closings` is at zero again in its currency,
/// where that lies in the same month.
fn lost_within_the_month(closings: &[Closing]) -> Option<Day> {
    let new = closings.first()?;
    let lost = closings.iter().find(|it| it.currency == new.currency && it.amount == 0 && it.day > new.day)?;
    (lost.day.start_of(Period::Month) == new.day.start_of(Period::Month)).then_some(lost.day)
}

/// A customer's closings by day and currency, only of days on which something changed.
fn closings(
    subscriptions: &[Vec<Level>],
    zone: ReportingZone,
    until: i64,
    intern: &mut dyn FnMut(&str) -> Arc<str>,
) -> Result<Vec<Closing>, RevenueError> {
    let mut changes = Vec::new();
    for levels in subscriptions {
        let mut before: Option<&Level> = None;
        let mut left = levels.iter().take_while(|level| level.from <= until).peekable();
        while let Some(level) = left.next() {
            let day = zone.day_of(level.from);
            if left.peek().is_some_and(|next| zone.day_of(next.from) == day) {
                continue;
            }
            let estimated = level.estimated || before.is_some_and(|it| it.estimated);
            let stays = before.filter(|it| it.currency == level.currency);
            if let Some(gone) = before.filter(|it| it.currency != level.currency) {
                let counting = -i32::from(gone.counts);
                let currency = intern(&gone.currency);
                changes.push(Change { day, currency, amount: -gone.amount_10k, counting, estimated });
            }
            let amount = level.amount_10k - stays.map_or(0, |it| it.amount_10k);
            let counting = i32::from(level.counts) - stays.map_or(0, |it| i32::from(it.counts));
            if amount != 0 || counting != 0 {
                let currency = intern(&level.currency);
                changes.push(Change { day, currency, amount, counting, estimated });
            }
            before = Some(level);
        }
    }
    changes.sort_by(|a, b| (a.day, &a.currency).cmp(&(b.day, &b.currency)));
    let mut standing: HashMap<Arc<str>, (i64, i32)> = HashMap::new();
    let mut closings: Vec<Closing> = Vec::new();
    for change in changes {
        let (amount, counting) = standing.entry(change.currency.clone()).or_default();
        *amount = amount.checked_add(change.amount).ok_or(RevenueError::TooLarge)?;
        *counting += change.counting;
        let estimated = change.estimated && change.amount != 0;
        match closings.last_mut() {
            Some(last) if last.day == change.day && last.currency == change.currency => {
                (last.amount, last.counting) = (*amount, *counting);
                last.estimated |= estimated;
            }
            _ => closings.push(Closing {
                day: change.day,
                currency: change.currency,
                amount: *amount,
                counting: *counting,
                estimated,
            }),
        }
    }
    Ok(closings)
}
