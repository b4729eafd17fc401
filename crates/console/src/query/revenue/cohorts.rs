//! Retention by the month of the first payment.

use paywall_domain::Timestamp;
use paywall_revenue::cohorts;

use super::movements;
use crate::cache::{Cache, CacheError, Result};
use crate::ipc::{CohortCell, CohortRow, MetricPreset};

impl Cache {
    /// The cohorts of a currency, oldest first.
    pub async fn revenue_cohorts(
        &self,
        preset: MetricPreset,
        currency: &str,
        now: Timestamp,
    ) -> Result<Vec<CohortRow>> {
        let kept = self.kept(preset, now).await?;
        let movements = movements(&mut *self.readers().acquire().await?, kept.lens.num, Some(currency)).await?;
        let (currency, zone) = (currency.to_owned(), kept.lens.zone);
        // Of many customers this takes longer than others should wait.
        let group = move || {
            let customers = movements.chunk_by(|one, other| one.customer == other.customer);
            cohorts(customers, &currency, zone, now.0)
        };
        let cohorts = tokio::task::spawn_blocking(group)
            .await
            .map_err(|error| CacheError::Io(std::io::Error::other(error)))??;
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
