//! What is kept of revenue: subscriptions as they were seen over time, and what follows from them.

mod counting;
mod figures;
mod invoices;
mod pending;
mod snapshots;
mod trials;

use paywall_domain::Timestamp;
use paywall_revenue::{Preset, ReportingZone};

use super::{Cache, Result};

pub use counting::{CUSTOMERS_AT_ONCE, Counting};
pub(super) use invoices::keep_invoices;
pub(super) use pending::{forget_all, pending, tenant_pending, trials_gone};
pub(super) use snapshots::{Seen, put_snapshots};
pub(crate) use trials::{CONVERTED, LOST, UNDECIDED};

/// A set of kept figures: by which rules, and in which zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptLens {
    /// [`KeptLens::OURS`] or [`KeptLens::OTHER`].
    pub num: i64,
    /// Whose rules.
    pub preset: Preset,
    /// Whose midnights part the days.
    pub zone: ReportingZone,
    /// Up to when everything was counted; `None` = never yet.
    pub counted_at: Option<Timestamp>,
}

impl KeptLens {
    /// Our own rules: always kept.
    pub const OURS: i64 = 0;
    /// The other rules that were looked at last.
    pub const OTHER: i64 = 1;
}

impl Cache {
    /// Every set of figures that is kept, ours first.
    pub async fn revenue_lenses(&self) -> Result<Vec<KeptLens>> {
        let rows: Vec<(i64, String, String, Option<i64>)> =
            sqlx::query_as("SELECT num, preset, zone, counted_at FROM revenue_lenses ORDER BY num")
                .fetch_all(self.readers())
                .await?;
        let lens = |(num, preset, zone, counted_at): (i64, String, String, Option<i64>)| KeptLens {
            num,
            preset: Preset::parse(&preset).unwrap_or_default(),
            zone: ReportingZone::parse(&zone).unwrap_or(ReportingZone::UTC),
            counted_at: counted_at.map(Timestamp),
        };
        Ok(rows.into_iter().map(lens).collect())
    }

    /// The figures by a preset's rules; from now on they are kept. Those of another preset beside ours go.
    pub async fn keep_lens(&self, preset: Preset) -> Result<KeptLens> {
        let lenses = self.revenue_lenses().await?;
        if let Some(known) = lenses.iter().find(|it| it.preset == preset) {
            return Ok(*known);
        }
        let zone = lenses.first().map_or(ReportingZone::UTC, |it| it.zone);
        let num = if preset == Preset::Paywall { KeptLens::OURS } else { KeptLens::OTHER };
        let lens = KeptLens { num, preset, zone, counted_at: None };
        self.begin_lens(lens).await?;
        Ok(lens)
    }

    /// Counts in this zone from now on: everything is counted again where it is another one.
    pub async fn set_reporting_zone(&self, zone: ReportingZone) -> Result<()> {
        for lens in self.revenue_lenses().await? {
            if lens.zone != zone {
                self.begin_lens(KeptLens { zone, counted_at: None, ..lens }).await?;
            }
        }
        Ok(())
    }

    /// Begins a set of figures: everybody of whom something is known is to be counted.
    async fn begin_lens(&self, lens: KeptLens) -> Result<()> {
        let mut tx = self.begin().await?;
        // Two that look at it first at the same time begin it once.
        let (begun,): (bool,) = sqlx::query_as(
            "SELECT EXISTS (
                 SELECT 1 FROM revenue_lenses WHERE num = ?1 AND preset = ?2 AND zone = ?3 AND counted_at IS NULL
             )",
        )
        .bind(lens.num)
        .bind(lens.preset.as_str())
        .bind(lens.zone.name())
        .fetch_one(&mut *tx)
        .await?;
        if begun {
            return Ok(());
        }
        pending::forget_lens(&mut tx, lens.num).await?;
        sqlx::query(
            "INSERT INTO revenue_lenses (num, preset, zone) VALUES (?1, ?2, ?3)
             ON CONFLICT (num) DO UPDATE SET preset = excluded.preset, zone = excluded.zone, counted_at = NULL",
        )
        .bind(lens.num)
        .bind(lens.preset.as_str())
        .bind(lens.zone.name())
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT INTO revenue_pending (lens, customer)
             SELECT ?1, customer FROM revenue_snapshots WHERE true
             UNION SELECT ?1, customer FROM stripe_invoices WHERE customer IS NOT NULL
             UNION SELECT ?1, customer FROM stripe_subscriptions WHERE mrr_fault IS NOT NULL AND customer IS NOT NULL
             UNION SELECT ?1, coalesce(stripe_customer, id) FROM tenants
                 WHERE ?1 = 0 AND trial_started_at IS NOT NULL
             ON CONFLICT DO NOTHING",
        )
        .bind(lens.num)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }
}
