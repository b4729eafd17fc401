//! Payments that failed, and what of them came in after all. Amounts are in minor units: money, not
//! recurring revenue.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Day, InvoiceFacts, InvoiceStatus, Ledger, Rate, RevenueError, Window};

/// What became of an invoice whose payment failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(ts_rs::TS))]
#[cfg_attr(feature = "describe", ts(rename = "Recovery", export_to = "ipc.ts"))]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// Paid by a later attempt.
    Recovered,
    /// Still open.
    Waiting,
    /// Written off or taken back.
    GivenUp,
}

/// An invoice whose payment failed at least once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedPayment {
    /// `in_…`
    pub invoice: Arc<str>,
    /// `cus_…`
    pub customer: Arc<str>,
    /// ISO 4217 code in lower case.
    pub currency: Arc<str>,
    /// The day on which it was billed.
    pub billed_on: Day,
    /// What it bills, in minor units.
    pub total: i64,
    /// What became of it.
    pub recovery: Recovery,
}

/// The payments that failed, of what was billed within a window in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedPayments {
    /// ISO 4217 code in lower case.
    pub currency: String,
    /// When it was billed.
    pub window: Window,
    /// How many failed, and what they bill.
    pub failed: (i64, i64),
    /// How many of them were paid after all, and what they bill.
    pub recovered: (i64, i64),
    /// How many are open, and what they bill.
    pub waiting: (i64, i64),
    /// How many were given up, and what they bill.
    pub given_up: (i64, i64),
    /// Recovered / (recovered + given up), by number.
    pub recovery: Rate,
}

impl InvoiceFacts {
    /// When money came in for it; `None` where none did.
    pub fn money_at(&self) -> Option<i64> {
        let paid = self.status == InvoiceStatus::Paid && self.amount_paid > 0;
        paid.then(|| self.paid_at.or(self.finalized_at).unwrap_or(self.created_at))
    }

    /// What became of it, where a payment failed. Stripe counts every attempt, the one that paid too.
    pub fn recovery(&self) -> Option<Recovery> {
        match self.status {
            InvoiceStatus::Paid if self.attempts > 1 => Some(Recovery::Recovered),
            InvoiceStatus::Open if self.attempts > 0 => Some(Recovery::Waiting),
            InvoiceStatus::Uncollectible | InvoiceStatus::Void if self.attempts > 0 => Some(Recovery::GivenUp),
            _ => None,
        }
        .filter(|_| self.total > 0)
    }
}

impl Ledger {
    /// The invoices billed within a window whose payment failed, by customer and id.
    pub fn failed_payments(&self, window: Window) -> Vec<FailedPayment> {
        let Some(lens) = &self.lens else { return Vec::new() };
        let invoices = self.accounts.values().flat_map(|account| &account.invoices).map(|(_, invoice)| invoice);
        let failed = invoices.filter_map(|invoice| {
            let billed_at = invoice.finalized_at.unwrap_or(invoice.created_at);
            let billed_on = lens.zone.day_of(billed_at);
            let recovery = invoice.recovery().filter(|_| billed_at <= lens.until && window.contains(billed_on))?;
            let (customer, currency) = (invoice.customer.clone(), invoice.currency.clone());
            Some(FailedPayment {
                invoice: invoice.id.clone(),
                customer,
                currency,
                billed_on,
                total: invoice.total,
                recovery,
            })
        });
        failed.collect()
    }

    /// The sums of [`Ledger::failed_payments`] per currency.
    pub fn payment_recovery(&self, window: Window) -> Result<Vec<FailedPayments>, RevenueError> {
        let mut sums: BTreeMap<Arc<str>, [(i64, i64); 3]> = BTreeMap::new();
        for failed in self.failed_payments(window) {
            let sum = &mut sums.entry(failed.currency).or_default()[failed.recovery as usize];
            *sum = (sum.0 + 1, sum.1.checked_add(failed.total).ok_or(RevenueError::TooLarge)?);
        }
        let of = |(currency, [recovered, waiting, given_up]): (Arc<str>, [(i64, i64); 3])| {
            let amounts = recovered.1.checked_add(waiting.1).and_then(|sum| sum.checked_add(given_up.1));
            Ok(FailedPayments {
                currency: currency.to_string(),
                window,
                failed: (recovered.0 + waiting.0 + given_up.0, amounts.ok_or(RevenueError::TooLarge)?),
                recovered,
                waiting,
                given_up,
                recovery: Rate::of_count(recovered.0, recovered.0 + given_up.0)?,
            })
        };
        sums.into_iter().map(of).collect()
    }
}
