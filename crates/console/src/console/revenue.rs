//! Revenue, as it is reported for the open profile.

use std::sync::Arc;

use paywall_revenue::ReportingZone;

use super::opening::Open;
use super::{Console, blocking, guard};
use crate::ipc::{
    CohortRow, DifferencePage, DrillPage, DrillQuery, FailedPaymentsRow, Failure, FailureCode, InvoicePage,
    InvoiceQuery, LeftOutPage, LeftOutQuery, Preset, RatesView, Reporting, RevenueAhead, RevenueQuery, RevenueView,
    TrialConversion, TrialPage, TrialQuery,
};
use crate::query::{Differences, ReportedBy};
use crate::rates::SuppliedRates;

/// The differences that are paged through, and of which profile they are.
pub(super) type Compared = Option<(String, Arc<Differences>)>;

impl Console {
    /// Revenue by a definition.
    pub async fn revenue(&self, query: RevenueQuery) -> Result<RevenueView, Failure> {
        let open = self.require_open()?;
        let by = self.reported_by(&open).await?;
        open.read(open.cache.revenue(query, &by, open.now()).await)
    }

    /// The customers behind a figure.
    pub async fn revenue_drill(&self, query: &DrillQuery) -> Result<DrillPage, Failure> {
        let open = self.require_open()?;
        let by = self.reported_by(&open).await?;
        open.read(open.cache.revenue_drill(query, &by, open.now()).await)
    }

    /// Retention by the month of the first payment.
    pub async fn revenue_cohorts(&self, preset: Preset, currency: &str) -> Result<Vec<CohortRow>, Failure> {
        let open = self.require_open()?;
        open.read(open.cache.revenue_cohorts(preset, currency, open.now()).await)
    }

    /// Conversion of trials.
    pub async fn trial_conversion(&self, months: u32) -> Result<TrialConversion, Failure> {
        let open = self.require_open()?;
        open.read(open.cache.trial_conversion(months, open.now()).await)
    }

    /// A page of trials.
    pub async fn trials_page(&self, query: &TrialQuery) -> Result<TrialPage, Failure> {
        let open = self.require_open()?;
        open.read(open.cache.trials_page(query, open.now()).await)
    }

    /// A page of subscriptions that are in no figure.
    pub async fn left_out(&self, query: &LeftOutQuery) -> Result<LeftOutPage, Failure> {
        let open = self.require_open()?;
        open.read(open.cache.left_out(query).await)
    }

    /// Payments that failed, by month and currency.
    pub async fn failed_payments(&self, months: u32) -> Result<Vec<FailedPaymentsRow>, Failure> {
        let open = self.require_open()?;
        open.read(open.cache.failed_payments(months, open.now()).await)
    }

    /// A page of invoices.
    pub async fn invoices_page(&self, query: &InvoiceQuery) -> Result<InvoicePage, Failure> {
        let open = self.require_open()?;
        open.read(open.cache.invoices_page(query).await)
    }

    /// Recurring revenue ahead.
    pub async fn revenue_ahead(&self, preset: Preset) -> Result<Vec<RevenueAhead>, Failure> {
        let open = self.require_open()?;
        open.read(open.cache.revenue_ahead(preset, open.now()).await)
    }

    /// Our definition beside another one. The first page looks at every customer as of now; those after it page
    /// through what it found.
    pub async fn revenue_differences(&self, other: Preset, cursor: Option<&str>) -> Result<DifferencePage, Failure> {
        let open = self.require_open()?;
        let known = guard(&self.inner.compared).clone();
        let known = known.filter(|(profile, all)| cursor.is_some() && *profile == open.profile && all.other() == other);
        let all = if let Some((_, all)) = known {
            all
        } else {
            let found = Arc::new(open.read(open.cache.differences(other, open.now()).await)?);
            *guard(&self.inner.compared) = Some((open.profile.clone(), Arc::clone(&found)));
            found
        };
        open.read(open.cache.differences_page(&all, cursor).await)
    }

    /// How the open profile's revenue is reported.
    pub async fn reporting(&self) -> Result<Reporting, Failure> {
        let open = self.require_open()?;
        Ok(self.reporting_of(&open.profile))
    }

    /// Reports it so from now on. With another zone everything is counted again.
    pub async fn reporting_set(&self, reporting: Reporting) -> Result<Reporting, Failure> {
        let _turn = self.inner.turn.lock().await;
        let open = self.require_open()?;
        let zone = zone_of(&reporting)?;
        let currency = reporting.currency.map(|it| it.to_ascii_lowercase());
        let reporting = Reporting { zone: zone.name().to_owned(), currency, ..reporting };
        self.keep(|kept| {
            if let Some(profile) = kept.get_mut(&open.profile) {
                profile.reporting.clone_from(&reporting);
            }
        })
        .await?;
        open.read(open.cache.set_reporting_zone(zone).await)?;
        self.inner.observer.data_changed();
        Ok(reporting)
    }

    /// The exchange rates that were supplied.
    pub async fn rates(&self) -> Result<RatesView, Failure> {
        let path = self.inner.home.rates_file(&self.require_open()?.profile);
        blocking(move || Ok(SuppliedRates::load(&path)?.view())).await
    }

    /// Takes in lines of `date,from,to,rate`; all of them or none.
    pub async fn rates_import(&self, csv: String) -> Result<RatesView, Failure> {
        let _turn = self.inner.turn.lock().await;
        let path = self.inner.home.rates_file(&self.require_open()?.profile);
        let view = blocking(move || {
            let mut rates = SuppliedRates::load(&path)?;
            rates.take_in(&csv)?;
            rates.store(&path)?;
            Ok(rates.view())
        })
        .await?;
        self.inner.observer.data_changed();
        Ok(view)
    }

    /// Forgets every rate.
    pub async fn rates_clear(&self) -> Result<RatesView, Failure> {
        let _turn = self.inner.turn.lock().await;
        let path = self.inner.home.rates_file(&self.require_open()?.profile);
        // Not read first: one that cannot be read goes, too.
        let view = blocking(move || {
            let none = SuppliedRates::default();
            none.store(&path)?;
            Ok(none.view())
        })
        .await?;
        self.inner.observer.data_changed();
        Ok(view)
    }

    async fn reported_by(&self, open: &Open) -> Result<ReportedBy, Failure> {
        let reporting = self.reporting_of(&open.profile);
        let (path, days) = (self.inner.home.rates_file(&open.profile), reporting.rate_days);
        // Without a currency to report in nothing is converted.
        let rates = match &reporting.currency {
            // Rates that cannot be read are missing ones: each currency's own figures need none.
            Some(_) => {
                blocking(move || Ok(SuppliedRates::load(&path)?.good_for(days))).await.unwrap_or_else(|failure| {
                    tracing::warn!(detail = failure.detail, "the exchange rates are left out");
                    SuppliedRates::default().good_for(days)
                })
            }
            None => SuppliedRates::default().good_for(days),
        };
        Ok(ReportedBy { reporting, rates: Arc::new(rates) })
    }

    fn reporting_of(&self, profile: &str) -> Reporting {
        self.kept().get(profile).map(|it| it.reporting.clone()).unwrap_or_default()
    }
}

/// The zone of how revenue is reported.
pub(super) fn zone_of(reporting: &Reporting) -> Result<ReportingZone, Failure> {
    ReportingZone::parse(&reporting.zone)
        .ok_or_else(|| Failure::of(FailureCode::ZoneUnknown, format!("there is no zone named {}", reporting.zone)))
}
