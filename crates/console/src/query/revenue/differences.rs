//! Two definitions beside each other, customer by customer.

use std::collections::BTreeMap;

use paywall_domain::Timestamp;
use paywall_revenue::{Cause, Difference, Lens, Preset};

use super::{aside, payer};
use crate::cache::{Cache, CacheError, Result};
use crate::ipc::{CausePart, DifferencePage, DifferenceRow, DifferenceTotal};

/// Rows of a page.
const ROWS: usize = 100;

/// Every difference between our definition and another one at one instant.
#[derive(Debug, Clone)]
pub struct Differences {
    other: Preset,
    rows: Vec<Difference>,
    /// MRR by ours, by currency.
    ours_10k: BTreeMap<String, i64>,
}

impl Cache {
    /// What our definition and another one see differently now. Looks at every customer.
    pub async fn differences(&self, other: Preset, now: Timestamp) -> Result<Differences> {
        let kept = self.kept(Preset::Paywall, now).await?;
        let ours = Lens { policy: Preset::Paywall.policy(), zone: kept.lens.zone, until: now.0 };
        let theirs = Lens { policy: other.policy(), ..ours.clone() };
        let (mut rows, mut ours_10k, mut after) = (Vec::new(), BTreeMap::<String, i64>::new(), String::new());
        while let Some((ledger, last)) = self.ledger_after(&after, &ours).await? {
            after = last;
            let (ours, theirs) = (ours.clone(), theirs.clone());
            let (found, now_10k) = aside(move || {
                let found = ledger.differences(&ours, &theirs)?;
                let mut sums: BTreeMap<String, i64> = BTreeMap::new();
                for (_, _, level) in ledger.subscriptions_now() {
                    let sum = sums.entry(level.currency).or_default();
                    *sum = sum.checked_add(level.amount_10k).ok_or(paywall_revenue::RevenueError::TooLarge)?;
                }
                Ok::<_, paywall_revenue::RevenueError>((found, sums))
            })
            .await??;
            rows.extend(found);
            for (currency, part) in now_10k {
                let sum = ours_10k.entry(currency).or_default();
                *sum = sum.checked_add(part).ok_or(paywall_revenue::RevenueError::TooLarge)?;
            }
        }
        Ok(Differences { other, rows, ours_10k })
    }

    /// A page of them. `cursor` is that of the page before.
    pub async fn differences_page(&self, all: &Differences, cursor: Option<&str>) -> Result<DifferencePage> {
        let place = match cursor {
            Some(cursor) => Some(cursor.split_once(' ').ok_or(CacheError::InvalidCursor)?),
            None => None,
        };
        let after = |it: &Difference| place.is_none_or(|place| (&*it.customer, it.currency.as_str()) > place);
        let first = all.rows.partition_point(|it| !after(it));
        let page = &all.rows[first..all.rows.len().min(first + ROWS)];
        let more = first + page.len() < all.rows.len();
        let next = page.last().filter(|_| more).map(|it| format!("{} {}", it.customer, it.currency));
        let ids: Vec<&str> = page.iter().map(|it| &*it.customer).collect();
        let payers = self.payers(&ids).await?;
        let row = |it: &Difference| DifferenceRow {
            payer: payer(&payers, &it.customer),
            currency: it.currency.clone(),
            ours_10k: it.one_10k,
            other_10k: it.other_10k,
            causes: it.causes.iter().map(|it| part(*it)).collect(),
        };
        Ok(DifferencePage { other: all.other, totals: all.totals(), rows: page.iter().map(row).collect(), next })
    }
}

impl Differences {
    /// By which definition beside ours.
    pub fn other(&self) -> Preset {
        self.other
    }

    fn totals(&self) -> Vec<DifferenceTotal> {
        let total = |(currency, ours_10k): (&String, &i64)| {
            let (mut other_10k, mut customers) = (*ours_10k, 0);
            let mut causes: BTreeMap<Cause, CausePart> = BTreeMap::new();
            for row in self.rows.iter().filter(|it| it.currency == *currency) {
                other_10k = other_10k.saturating_add(row.other_10k.saturating_sub(row.one_10k));
                customers += 1;
                for (cause, amount) in &row.causes {
                    let sum = causes.entry(*cause).or_insert(CausePart { cause: *cause, amount_10k: 0, customers: 0 });
                    sum.amount_10k = sum.amount_10k.saturating_add(*amount);
                    sum.customers += 1;
                }
            }
            let causes = causes.into_values().collect();
            DifferenceTotal { currency: currency.clone(), ours_10k: *ours_10k, other_10k, causes, customers }
        };
        self.ours_10k.iter().map(total).collect()
    }
}

fn part((cause, amount_10k): (Cause, i64)) -> CausePart {
    CausePart { cause, amount_10k, customers: 1 }
}
