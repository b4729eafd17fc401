//! What is agreed for the months ahead, and what they bring if the months behind go on.

use std::collections::BTreeMap;

use paywall_domain::Timestamp;
use paywall_revenue::{Committed, Day, Ledger, Lens};

use super::{Kept, aside, objects, totals};
use crate::cache::{Cache, Result};
use crate::ipc::{CommittedMonth, MonthAmount, Preset, RevenueAhead};

/// How many months ahead, the running one counted.
const AHEAD: usize = 12;

/// From how many full months the forecast is made.
const BEHIND: usize = 6;

impl Cache {
    /// Recurring revenue ahead, by currency, that with most subscriptions first.
    pub async fn revenue_ahead(&self, preset: Preset, now: Timestamp) -> Result<Vec<RevenueAhead>> {
        let kept = self.kept(preset, now).await?;
        let mut committed = self.committed(&kept, now).await?;
        let mut read = self.readers().begin().await?;
        let forecasts = totals(&mut read, kept.lens.num).await?.forecast(kept.today, BEHIND, AHEAD)?;
        let mut ahead = Vec::new();
        for (currency, _, _) in objects(&mut read, kept.lens.num).await? {
            let forecast = forecasts.iter().find(|it| it.currency == currency);
            let amount = |(day, amount_10k): &(Day, i64)| MonthAmount { day: day.to_string(), amount_10k: *amount_10k };
            let month = |(day, it): (Day, Committed)| CommittedMonth {
                day: day.to_string(),
                amount_10k: it.amount_10k,
                trials_payable_10k: it.trials_payable_10k,
                trials_other_10k: it.trials_other_10k,
            };
            ahead.push(RevenueAhead {
                committed: committed.remove(&currency).unwrap_or_default().into_iter().map(month).collect(),
                grew: forecast.map(|it| it.assumption.months.iter().map(amount).collect()).unwrap_or_default(),
                monthly_net_10k: forecast.map_or(0, |it| it.assumption.monthly_net_10k),
                forecast: forecast.map(|it| it.months.iter().map(amount).collect()).unwrap_or_default(),
                currency,
            });
        }
        Ok(ahead)
    }

    async fn committed(&self, kept: &Kept, now: Timestamp) -> Result<BTreeMap<String, Vec<(Day, Committed)>>> {
        let lens = Lens { policy: kept.lens.preset.policy(), zone: kept.lens.zone, until: now.0 };
        let mut sums: BTreeMap<String, Vec<(Day, Committed)>> = BTreeMap::new();
        let mut after = String::new();
        loop {
            let Some((ledger, last)) = self.ledger_after(&after, &lens).await? else { return Ok(sums) };
            after = last;
            for (currency, months) in aside(move || ledger.committed(AHEAD)).await?? {
                let sum = sums
                    .entry(currency)
                    .or_insert_with(|| months.iter().map(|(day, _)| (*day, Committed::default())).collect());
                for ((_, sum), (_, part)) in sum.iter_mut().zip(months) {
                    sum.add(part)?;
                }
            }
        }
    }

    /// Some customers' facts that lie after `after`, with the last of them; `None` at the end. Invoices come
    /// only with customers whose worth now rests on them: those with usage, and those that are overdue.
    pub(super) async fn ledger_after(&self, after: &str, lens: &Lens) -> Result<Option<(Ledger, String)>> {
        let Some((mut ledger, last)) = self.subscriptions_after(after).await? else { return Ok(None) };
        self.invoices_into(&mut ledger).await?;
        let lens = lens.clone();
        let ledger = aside(move || {
            ledger.refresh(&lens);
            ledger
        })
        .await?;
        Ok(Some((ledger, last)))
    }
}
