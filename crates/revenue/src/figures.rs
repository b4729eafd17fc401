//! The figures of a window of days, per currency, and the customers behind each of them.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use serde::Serialize;

use crate::ledger::Account;
use crate::{ChurnBase, Day, DayTotal, Ledger, MovementKind, Objects, Period, RevenueError, Totals};

/// Below so many cases, counts are shown instead of a rate.
pub const CASES_MIN: i64 = 10;

/// The days from one on, up to another that is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    /// The first day.
    pub from: Day,
    /// The first day after it.
    pub to: Day,
}

impl Window {
    /// So many days, the last of them `last`.
    pub fn of_days(last: Day, days: i32) -> Self {
        Self { from: last.plus(1 - days), to: last.plus(1) }
    }

    /// Whether a day is one of them.
    pub fn contains(self, day: Day) -> bool {
        self.from <= day && day < self.to
    }

    /// The window cut at the borders of periods; the first and the last can be parts of one.
    pub fn by(self, period: Period) -> Vec<Self> {
        let mut windows = Vec::new();
        let mut from = self.from;
        while from < self.to {
            let to = from.end_of(period).min(self.to);
            if to <= from {
                break;
            }
            windows.push(Self { from, to });
            from = to;
        }
        windows
    }
}

/// A part of a whole, where there are enough cases to say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rate {
    /// So much.
    Value {
        /// Above the line.
        numerator: i64,
        /// Below the line, never zero.
        denominator: i64,
    },
    /// Fewer than [`CASES_MIN`] cases: only the counts are worth showing.
    TooFew {
        /// How many did.
        counted: i64,
        /// Of how many.
        of: i64,
    },
    /// It divides by nothing, or rests on too little.
    NotEnoughData,
}

impl Rate {
    /// How many of how many.
    pub fn of_count(counted: i64, of: i64) -> Result<Self, RevenueError> {
        Self::of(i128::from(counted), i128::from(of), counted, of)
    }

    fn of(numerator: i128, denominator: i128, counted: i64, of: i64) -> Result<Self, RevenueError> {
        if denominator == 0 {
            return Ok(Self::NotEnoughData);
        }
        if of < CASES_MIN {
            return Ok(Self::TooFew { counted, of });
        }
        Ok(Self::Value { numerator: fit(numerator)?, denominator: fit(denominator)? })
    }
}

/// Movements of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Moved {
    /// In 1/10,000 of the minor unit; below zero for contraction and churn.
    pub amount_10k: i64,
    /// How many movements.
    pub movements: i64,
}

/// The figures of a window in one currency. Amounts are in 1/10,000 of the minor unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// ISO 4217 code in lower case.
    pub currency: String,
    /// Which days.
    pub window: Window,
    /// MRR at the close of the day before the window.
    pub start_10k: i64,
    /// MRR at the close of the window's last day: the start and all movements.
    pub end_10k: i64,
    /// Movements by kind, in the order of [`MovementKind::ALL`].
    pub moved: [Moved; 5],
    /// All movements together.
    pub net_10k: i64,
    /// Twelve times the end.
    pub arr_10k: i64,
    /// Customers paying at the start.
    pub customers_start: i64,
    /// Customers paying at the end.
    pub customers_end: i64,
    /// Customers lost / customers paying at the start; the policy's churn base can add the new ones.
    pub customer_churn: Rate,
    /// (Churn + contraction) / start MRR.
    pub gross_mrr_churn: Rate,
    /// (Churn + contraction - expansion) / start MRR; what is new or came back is no part of it.
    pub net_mrr_churn: Rate,
    /// (Start + expansion - contraction - churn) / start: net revenue retention.
    pub nrr: Rate,
    /// (New + expansion + reactivation) / (contraction + churn).
    pub quick_ratio: Rate,
    /// MRR at the end / customers paying then.
    pub arpa: Rate,
    /// ARPA / customer churn of the window, over as many windows as that takes; needs ten customers lost.
    pub ltv: Rate,
    /// Whether any of it lies before what was seen.
    pub estimated: bool,
    /// What the currency's figures rest on.
    pub objects: Objects,
}

/// One figure of a window that customers are behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// MRR at its start.
    Start,
    /// MRR at its end.
    End,
    /// All movements.
    Net,
    /// The movements of one kind.
    Moved(MovementKind),
}

/// Recurring revenue told in two ways that must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Headline {
    /// The subscriptions as they are worth at the lens's last instant, added up.
    pub subscriptions_10k: i64,
    /// All movements up to then, added up.
    pub movements_10k: i64,
}

impl Headline {
    /// By how much the subscriptions are above the movements; 0 = they agree.
    pub fn difference_10k(self) -> i64 {
        self.subscriptions_10k.saturating_sub(self.movements_10k)
    }
}

impl Totals {
    /// The figures of a window for each currency, the churn of customers by `churn_base`.
    pub fn figures(&self, window: Window, churn_base: ChurnBase) -> Result<Vec<Figures>, RevenueError> {
        self.days.iter().map(|(currency, days)| self.figures_in(currency, days, window, churn_base)).collect()
    }

    /// The figures of a window in one currency; nothing but zeros where nothing is known of it.
    pub fn figures_of(&self, currency: &str, window: Window, churn_base: ChurnBase) -> Result<Figures, RevenueError> {
        let nothing = BTreeMap::new();
        self.figures_in(currency, self.days.get(currency).unwrap_or(&nothing), window, churn_base)
    }

    fn figures_in(
        &self,
        currency: &str,
        days: &BTreeMap<Day, DayTotal>,
        window: Window,
        churn_base: ChurnBase,
    ) -> Result<Figures, RevenueError> {
        let before = sum(days.range(..window.from).map(|(_, total)| total));
        let within = sum(days.range(window.from..window.to).map(|(_, total)| total));
        let (start, net): (i128, i128) = (before.amounts.iter().sum(), within.amounts.iter().sum());
        let end = start + net;
        let (customers_start, customers_end) = (before.paying, before.paying + within.paying);
        let amount = |kind: MovementKind| within.amounts[kind.index()];
        let count = |kind: MovementKind| within.counts[kind.index()];
        let lost = count(MovementKind::Churn);
        let down = -amount(MovementKind::Churn) - amount(MovementKind::Contraction);
        let downs = lost + count(MovementKind::Contraction);
        let up = amount(MovementKind::Expansion);
        let ups = count(MovementKind::Expansion);
        let gained = amount(MovementKind::New) + amount(MovementKind::Reactivation) + up;
        let gains = count(MovementKind::New) + count(MovementKind::Reactivation) + ups;
        let base = match churn_base {
            ChurnBase::AtStart => customers_start,
            ChurnBase::AtStartAndNew => customers_start + count(MovementKind::New) + count(MovementKind::Reactivation),
        };
        let mut moved = [Moved::default(); 5];
        for (n, moved) in moved.iter_mut().enumerate() {
            *moved = Moved { amount_10k: fit(within.amounts[n])?, movements: within.counts[n] };
        }
        let mut rebuilt = before.rebuilt;
        let estimated = rebuilt > 0
            || within.estimated > 0
            || days.range(window.from..window.to).any(|(_, total)| {
                rebuilt += total.rebuilt;
                rebuilt > 0
            });
        let ltv = if lost < CASES_MIN || customers_end == 0 || base == 0 {
            Rate::NotEnoughData
        } else {
            let (above, below) = (end * i128::from(base), i128::from(customers_end) * i128::from(lost));
            Rate::Value { numerator: fit(above / below)?, denominator: 1 }
        };
        Ok(Figures {
            currency: currency.to_owned(),
            window,
            start_10k: fit(start)?,
            end_10k: fit(end)?,
            moved,
            net_10k: fit(net)?,
            arr_10k: fit(end * 12)?,
            customers_start,
            customers_end,
            customer_churn: Rate::of_count(lost, base)?,
            gross_mrr_churn: Rate::of(down, start, downs, customers_start)?,
            net_mrr_churn: Rate::of(down - up, start, downs + ups, customers_start)?,
            nrr: Rate::of(start + up - down, start, downs + ups, customers_start)?,
            quick_ratio: match Rate::of(gained, down, gains, downs)? {
                Rate::TooFew { .. } if gains + downs >= CASES_MIN => {
                    Rate::Value { numerator: fit(gained)?, denominator: fit(down)? }
                }
                rate => rate,
            },
            arpa: match customers_end {
                0 => Rate::NotEnoughData,
                customers => Rate::Value { numerator: fit(end)?, denominator: customers },
            },
            ltv,
            estimated,
            objects: self.objects.get(currency).copied().unwrap_or_default(),
        })
    }
}

impl Ledger {
    /// The figures of a window for each currency, as of the last [`Ledger::refresh`].
    pub fn figures(&self, window: Window) -> Result<Vec<Figures>, RevenueError> {
        let churn_base = self.lens.as_ref().map_or(ChurnBase::AtStart, |lens| lens.policy.churn_base);
        self.totals.figures(window, churn_base)
    }

    /// The customers behind a cell of a window and what each brings to it, in the order of their ids
    /// after `after`. All pages together add up to the cell.
    pub fn customers_of(
        &self,
        currency: &str,
        window: Window,
        cell: Cell,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(Arc<str>, i64)>, RevenueError> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.accounts
            .range::<str, _>((from, Bound::Unbounded))
            .filter_map(|(customer, account)| Some((customer, account.part_of(currency, window, cell)?)))
            .map(|(customer, part)| Ok((customer.clone(), fit(part)?)))
            .take(limit)
            .collect()
    }

    /// How many customers pay at a day's close, in whatever currency.
    pub fn paying_customers(&self, day: Day) -> usize {
        let pays = |account: &Account| {
            let mut paying: BTreeMap<&str, i64> = BTreeMap::new();
            for movement in account.outcome.movements.iter().filter(|it| it.day <= day) {
                *paying.entry(&movement.currency).or_default() += i64::from(movement.paying);
            }
            paying.values().any(|n| *n > 0)
        };
        self.accounts.values().filter(|account| pays(account)).count()
    }

    /// The recurring revenue at the lens's last instant by currency, told from the subscriptions and
    /// from the movements. Where they differ, one of them is wrong, and a person should know.
    pub fn headline(&self) -> Result<BTreeMap<Arc<str>, Headline>, RevenueError> {
        let mut headlines: BTreeMap<Arc<str>, Headline> = BTreeMap::new();
        for (currency, days) in &self.totals.days {
            let all: i128 = days.values().flat_map(|total| &total.amounts).sum();
            headlines.entry(currency.clone()).or_default().movements_10k = fit(all)?;
        }
        for (_, _, level) in self.subscriptions_now() {
            let headline = headlines.entry(level.currency.as_str().into()).or_default();
            headline.subscriptions_10k =
                headline.subscriptions_10k.checked_add(level.amount_10k).ok_or(RevenueError::TooLarge)?;
        }
        Ok(headlines)
    }
}

impl Account {
    /// What the customer brings to a cell; `None` where it is not behind it.
    fn part_of(&self, currency: &str, window: Window, cell: Cell) -> Option<i128> {
        let mut part = None;
        for movement in self.outcome.movements.iter().filter(|it| *it.currency == *currency) {
            let within = window.contains(movement.day);
            let counts = match cell {
                Cell::Start => movement.day < window.from,
                Cell::End => movement.day < window.to,
                Cell::Net => within,
                Cell::Moved(kind) => within && movement.kind == kind,
            };
            if counts {
                *part.get_or_insert(0) += i128::from(movement.amount_10k);
            }
        }
        part.filter(|part| *part != 0 || matches!(cell, Cell::Net | Cell::Moved(_)))
    }
}

fn sum<'a>(totals: impl Iterator<Item = &'a DayTotal>) -> DayTotal {
    totals.fold(DayTotal::default(), |mut sum, total| {
        for n in 0..5 {
            sum.amounts[n] += total.amounts[n];
            sum.counts[n] += total.counts[n];
        }
        sum.estimated += total.estimated;
        sum.paying += total.paying;
        sum.rebuilt += total.rebuilt;
        sum
    })
}

pub(crate) fn fit(amount: i128) -> Result<i64, RevenueError> {
    i64::try_from(amount).map_err(|_| RevenueError::TooLarge)
}
