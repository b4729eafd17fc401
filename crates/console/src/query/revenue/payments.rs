//! Payments that failed, and what became of them.

use paywall_domain::Timestamp;
use paywall_revenue::{Period, Rate};

use super::{months_up_to, payment_failed, periods};
use crate::cache::{Cache, Result};
use crate::ipc::{FailedPaymentsRow, InvoiceSum};

impl Cache {
    /// By month and currency, what was billed and whose payment failed at least once.
    pub async fn failed_payments(&self, months: u32, now: Timestamp) -> Result<Vec<FailedPaymentsRow>> {
        let zone = self.zone().await?;
        let mut rows = Vec::new();
        for (window, finished) in periods(months_up_to(zone.day_of(now.0), months), Period::Month) {
            let sums: Vec<(String, i64, i64, i64, i64, i64, i64)> = sqlx::query_as(concat!(
                "SELECT currency,
                     sum(status = 'paid'), sum(iif(status = 'paid', total, 0)),
                     sum(status = 'open'), sum(iif(status = 'open', total, 0)),
                     sum(status IN ('uncollectible', 'void')), sum(iif(status IN ('uncollectible', 'void'), total, 0))
                 FROM stripe_invoices INDEXED BY stripe_invoices_failed
                 WHERE billed_at >= ?1 AND billed_at < ?2 AND ",
                payment_failed!(),
                " GROUP BY currency ORDER BY count(*) DESC, currency"
            ))
            .bind(zone.start_of(window.from))
            .bind(zone.start_of(window.to))
            .fetch_all(self.readers())
            .await?;
            for (currency, recovered, recovered_sum, waiting, waiting_sum, given_up, given_up_sum) in sums {
                let sum = |count, amount| InvoiceSum { count, amount };
                rows.push(FailedPaymentsRow {
                    currency,
                    from: window.from.to_string(),
                    to: window.to.to_string(),
                    finished,
                    failed: sum(recovered + waiting + given_up, recovered_sum + waiting_sum + given_up_sum),
                    recovered: sum(recovered, recovered_sum),
                    waiting: sum(waiting, waiting_sum),
                    given_up: sum(given_up, given_up_sum),
                    recovery: Rate::of_count(recovered, recovered + given_up)?.into(),
                });
            }
        }
        Ok(rows)
    }
}
