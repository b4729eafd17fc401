//! The same facts under two sets of rules: by how much each customer differs, and by which rule.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ledger::Account;
use crate::timeline::level_at;
use crate::{Ledger, Lens, RevenueError};

/// A rule by which recurring revenue at an instant can differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(rename = "DifferenceCause", export_to = "ipc.ts"))]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Whether trials count.
    Trial,
    /// How long an overdue subscription counts.
    PastDue,
    /// Whether a subscription counts while its collection is paused.
    Paused,
    /// When a cancellation takes effect.
    Cancellation,
    /// Which discounts come off.
    Discount,
    /// Whether metered usage counts.
    Metered,
    /// Whether tax stays in.
    Tax,
    /// At which instant the day closes.
    TimeZone,
}

impl Cause {
    /// All, in the order in which rules are switched.
    pub const ALL: [Self; 8] = [
        Self::Trial,
        Self::PastDue,
        Self::Paused,
        Self::Cancellation,
        Self::Discount,
        Self::Metered,
        Self::Tax,
        Self::TimeZone,
    ];

    /// Takes this rule over from `other`.
    fn switch(self, lens: &mut Lens, other: &Lens) {
        let (rules, others) = (&mut lens.policy, &other.policy);
        match self {
            Self::Trial => rules.trials_count = others.trials_count,
            Self::PastDue => rules.past_due_days = others.past_due_days,
            Self::Paused => rules.paused_collection_counts = others.paused_collection_counts,
            Self::Cancellation => rules.cancellation = others.cancellation,
            Self::Discount => rules.discounts = others.discounts,
            Self::Metered => rules.metered = others.metered,
            Self::Tax => rules.tax = others.tax,
            Self::TimeZone => (lens.until, lens.zone) = (other.until, other.zone),
        }
    }
}

/// A customer whose recurring revenue in a currency is not the same through two lenses. Amounts are in
/// 1/10,000 of the minor unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// `cus_…`
    pub customer: Arc<str>,
    /// ISO 4217 code in lower case.
    pub currency: String,
    /// Through the first lens.
    pub one_10k: i64,
    /// Through the second.
    pub other_10k: i64,
    /// What each rule adds when the first lens's rules are switched to the second's one after the other, in
    /// the order of [`Cause::ALL`]. They add up to the difference. Where two rules act on the same revenue, the
    /// one switched first has it.
    pub causes: Vec<(Cause, i64)>,
}

impl Ledger {
    /// Every customer whose recurring revenue at the end of two lenses differs, by customer and currency.
    /// A subscription is left out through a lens under which its revenue cannot be told.
    pub fn differences(&self, one: &Lens, other: &Lens) -> Result<Vec<Difference>, RevenueError> {
        let mut differences = Vec::new();
        for (customer, account) in &self.accounts {
            let first = account.now(one)?;
            if first == account.now(other)? {
                continue;
            }
            let mut lens = one.clone();
            let mut steps = vec![first];
            for cause in Cause::ALL {
                cause.switch(&mut lens, other);
                steps.push(account.now(&lens)?);
            }
            let (Some(first), Some(last)) = (steps.first(), steps.last()) else { continue };
            let amount = |levels: &BTreeMap<String, i64>, currency: &str| levels.get(currency).copied().unwrap_or(0);
            for currency in first.keys().filter(|it| amount(first, it) != amount(last, it)) {
                let moves = steps.windows(2).map(|pair| amount(&pair[1], currency) - amount(&pair[0], currency));
                differences.push(Difference {
                    customer: customer.clone(),
                    currency: currency.clone(),
                    one_10k: amount(first, currency),
                    other_10k: amount(last, currency),
                    causes: Cause::ALL.into_iter().zip(moves).filter(|it| it.1 != 0).collect(),
                });
            }
        }
        Ok(differences)
    }
}

impl Account {
    /// What a customer is worth at a lens's last instant, by currency; a currency stays where it is zero.
    fn now(&self, lens: &Lens) -> Result<BTreeMap<String, i64>, RevenueError> {
        let invoices = self.invoice_list();
        let mut levels: BTreeMap<String, i64> = BTreeMap::new();
        for snapshots in self.subscriptions.values() {
            let Ok(Some(level)) = level_at(snapshots, &invoices, &lens.policy, lens.until) else { continue };
            let gone = self.deleted_at.is_some_and(|at| at <= lens.until);
            let sum = levels.entry(level.currency).or_default();
            *sum = sum.checked_add(if gone { 0 } else { level.amount_10k }).ok_or(RevenueError::TooLarge)?;
        }
        Ok(levels)
    }
}
