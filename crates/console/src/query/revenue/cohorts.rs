//! Retention by the month of the first payment.

use paywall_domain::Timestamp;
use paywall_revenue::cohorts;

use super::{aside, movements};
use crate::cache::{Cache, Result};
use crate::ipc::{CohortCell, CohortRow, Preset};

impl Cache {
    /// The cohorts of a currency, oldest first.
    pub async fn revenue_cohorts(&self, preset: Preset, currency: &str, now: Timestamp) -> Result<Vec<CohortRow>> {
        let kept = self.kept(preset, now).await?;
        let movements = movements(&mut *self.readers().acquire().await?, kept.lens.num, Some(currency)).await?;
        let (currency, zone) = (currency.to_owned(), kept.lens.zone);
        // Of many customers this takes longer than others should wait.
        let group = move || {
            let customers = movements.chunk_by(|one, other| one.customer == other.customer);
            cohorts(customers, &currency, zone, now.0)
        };
        let cohorts = aside(group).await??;
        Ok(cohorts
            .into_iter()
            .map(|cohort| CohortRow {
                month: cohort.month.to_string(),
                customers: cohort.customers,
                mrr_10k: cohort.mrr_10k,
                months: cohort
                    .months
                    .iter()
                    .map(|it| CohortCell { customers: it.customers, mrr_10k: it.mrr_10k, finished: it.finished })
                    .collect(),
                estimated: cohort.estimated,
            })
            .collect())
    }
}
