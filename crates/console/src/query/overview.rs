//! The Overview.

use std::collections::{BTreeMap, HashMap};

use paywall_domain::{DAY_MS, Meter, Timestamp};
use paywall_stripe::Stream;
use serde_json::Value;

use super::money::money;
use super::row::tenant_id;
use crate::cache::{Cache, KeptLens, Result};
use crate::ipc::{
    AttentionItem, AttentionKind, ConversionTile, Money, MrrTile, NextTrialEnd, Overview, PastDueTile, TenantView,
    TrialsTile,
};

/// Over how many days "new" and "churned" look back, and how long a cohort's trials have had since.
const WINDOW_MS: i64 = 30 * DAY_MS;

/// How many days of trial starts make the cohort of the conversion.
const COHORT_MS: i64 = 90 * DAY_MS;

/// How many of the latest adjustments are shown.
const RECENT: usize = 5;

impl Cache {
    /// The Overview at `now`. `me` is the name of this profile's token, where it is known.
    pub async fn overview(&self, me: Option<&str>, now: Timestamp) -> Result<Overview> {
        let stripe = self.stripe_complete(Stream::Subscriptions).await?;
        let invoices = self.stripe_complete(Stream::Invoices).await?;
        let running = self.view_count(TenantView::Trial, now).await?;
        let ending = self.view_count(TenantView::TrialEnding, now).await?;
        let mrr = if stripe { Some(self.mrr_tile(now).await?) } else { None };
        let past_due = self.past_due(mrr.as_ref()).await?;
        Ok(Overview {
            mrr,
            trials: TrialsTile { running, ending },
            conversion: if invoices { Some(self.conversion(now).await?) } else { None },
            attention: self.attention(&past_due, ending, now).await?,
            past_due,
            next_trial_end: self.next_trial_end(now).await?,
            recent: self.recent_adjustments(me, RECENT).await?,
            tenants: self.view_count(TenantView::All, now).await?,
        })
    }

    async fn mrr_tile(&self, now: Timestamp) -> Result<MrrTile> {
        let sums: Vec<(String, i64, i64, i64)> = sqlx::query_as(
            "SELECT currency, sum(mrr), count(*), sum(including_tax)
             FROM stripe_subscriptions INDEXED BY stripe_subscriptions_counted
             WHERE counted = 1 GROUP BY currency ORDER BY count(*) DESC, currency",
        )
        .fetch_all(self.readers())
        .await?;
        let began: Vec<(String, i64)> = sqlx::query_as(
            "SELECT currency, sum(mrr) FROM stripe_subscriptions INDEXED BY stripe_subscriptions_started
             WHERE counted = 1 AND started_at > ?1 AND started_at <= ?2 AND mrr > 0 GROUP BY currency ORDER BY currency",
        )
        .bind(now.0 - WINDOW_MS)
        .bind(now.0)
        .fetch_all(self.readers())
        .await?;
        let ended: Vec<(String, i64)> = sqlx::query_as(
            "SELECT currency, sum(mrr_lost) FROM stripe_subscriptions INDEXED BY stripe_subscriptions_ended
             WHERE ended_at > ?1 AND ended_at <= ?2 AND mrr_lost > 0 GROUP BY currency ORDER BY currency",
        )
        .bind(now.0 - WINDOW_MS)
        .bind(now.0)
        .fetch_all(self.readers())
        .await?;
        let (untold,): (i64,) = sqlx::query_as(
            "SELECT count(*) FROM stripe_subscriptions INDEXED BY stripe_subscriptions_faulty
             WHERE mrr_fault IS NOT NULL AND status IN ('active', 'past_due')",
        )
        .fetch_one(self.readers())
        .await?;
        let (elsewhere,): (i64,) = sqlx::query_as(
            "SELECT count(*) FROM stripe_subscriptions AS s INDEXED BY stripe_subscriptions_paying
             WHERE s.counted = 1 AND NOT EXISTS (
                 SELECT 1 FROM tenants AS t INDEXED BY tenants_by_customer
                 WHERE t.stripe_customer = s.customer AND t.deleted_at IS NULL
             )",
        )
        .fetch_one(self.readers())
        .await?;
        let counted = self.counted_now().await?;
        let moneys = |rows: Vec<(String, i64)>| rows.into_iter().map(|(currency, sum)| money(sum, currency)).collect();
        Ok(MrrTile {
            subscriptions: sums.iter().map(|it| it.2).sum(),
            including_tax: sums.iter().map(|it| it.3).sum(),
            now: sums
                .into_iter()
                .map(|(currency, sum, _, _)| money(counted.get(&currency).copied().unwrap_or(sum), currency))
                .collect(),
            new_30d: moneys(began),
            churned_30d: moneys(ended),
            untold,
            elsewhere,
        })
    }

    /// What is earned now by currency as Revenue has it, in 1/10,000 of the minor unit: with what became so by time
    /// alone since Stripe was read. Nothing while not everybody is counted.
    async fn counted_now(&self) -> Result<HashMap<String, i64>> {
        let sums: Vec<(String, i64)> = sqlx::query_as(
            "SELECT currency, now_10k FROM revenue_objects
             WHERE lens = ?1 AND EXISTS (SELECT 1 FROM revenue_lenses WHERE num = ?1 AND counted_at IS NOT NULL)
                 AND NOT EXISTS (SELECT 1 FROM revenue_pending WHERE lens = ?1)",
        )
        .bind(KeptLens::OURS)
        .fetch_all(self.readers())
        .await?;
        Ok(sums.into_iter().collect())
    }

    /// Of the trials that began in the 90 days up to 30 days ago: how many are decided, how many paid.
    /// Deleted tenants stay in: a trial that was given up is decided.
    async fn conversion(&self, now: Timestamp) -> Result<ConversionTile> {
        let to = now.0 - WINDOW_MS;
        let from = to - COHORT_MS;
        let (started, decided, converted): (i64, Option<i64>, Option<i64>) = sqlx::query_as(
            "SELECT count(*), sum(paid OR over), sum(paid) FROM (
                 SELECT
                     coalesce(t.trial_ends_at <= ?3, 0) OR t.deleted_at IS NOT NULL AS over,
                     EXISTS (
                         SELECT 1 FROM stripe_invoices AS i INDEXED BY stripe_invoices_paid
                         WHERE i.customer = t.stripe_customer AND i.amount_paid > 0
                     ) AS paid
                 FROM tenants AS t INDEXED BY tenants_by_trial_start
                 WHERE t.trial_started_at >= ?1 AND t.trial_started_at < ?2
             )",
        )
        .bind(from)
        .bind(to)
        .bind(now.0)
        .fetch_one(self.readers())
        .await?;
        Ok(ConversionTile {
            started,
            decided: decided.unwrap_or(0),
            converted: converted.unwrap_or(0),
            from: Timestamp(from),
            to: Timestamp(to),
        })
    }

    /// The currencies in the order in which `mrr` has them.
    async fn past_due(&self, mrr: Option<&MrrTile>) -> Result<PastDueTile> {
        let (tenants, oldest): (i64, Option<i64>) =
            sqlx::query_as("SELECT count(*), min(overdue_since) FROM tenants WHERE shelf = 'past_due'")
                .fetch_one(self.readers())
                .await?;
        let mut at_risk: Vec<Money> = Vec::new();
        if let Some(mrr) = mrr {
            let sums: Vec<(String, i64)> = sqlx::query_as(
                "SELECT s.currency, sum(s.mrr)
                 FROM tenants AS t CROSS JOIN stripe_subscriptions AS s ON s.customer = t.stripe_customer
                 WHERE t.shelf = 'past_due' AND s.mrr > 0 GROUP BY s.currency ORDER BY s.currency",
            )
            .fetch_all(self.readers())
            .await?;
            at_risk.extend(sums.into_iter().map(|(currency, sum)| money(sum, currency)));
            let rank = |it: &Money| mrr.now.iter().position(|of| of.currency == it.currency).unwrap_or(usize::MAX);
            at_risk.sort_by_key(rank);
        }
        Ok(PastDueTile { tenants, at_risk: mrr.map(|_| at_risk), oldest_since: oldest.map(Timestamp) })
    }

    async fn attention(&self, past_due: &PastDueTile, ending: i64, now: Timestamp) -> Result<Vec<AttentionItem>> {
        let exhausted: Vec<(String, i64)> = sqlx::query_as(
            "SELECT quota_meters, count(*) FROM tenants INDEXED BY tenants_quota
             WHERE deleted_at IS NULL AND quota_meters IS NOT NULL GROUP BY quota_meters",
        )
        .fetch_all(self.readers())
        .await?;
        let mut meters: BTreeMap<Meter, i64> = BTreeMap::new();
        for (words, count) in &exhausted {
            for meter in words.split(',').filter_map(Meter::parse) {
                *meters.entry(meter).or_default() += count;
            }
        }
        let mut by_count: Vec<(Meter, i64)> = meters.into_iter().collect();
        by_count.sort_by_key(|(meter, count)| (-count, *meter));
        let item = |kind, view, count, meters| AttentionItem {
            kind,
            count,
            view: Some(view),
            meters,
            due_at: None,
            tenant_id: None,
            dispute: None,
            livemode: false,
        };
        let locked = self.view_count(TenantView::LockedOutActive, now).await?;
        let quota = exhausted.iter().map(|(_, count)| count).sum();
        let mut items = vec![
            item(AttentionKind::LockedOutActive, TenantView::LockedOutActive, locked, Vec::new()),
            item(
                AttentionKind::QuotaBlocked,
                TenantView::QuotaBlocked,
                quota,
                by_count.into_iter().map(|(meter, _)| meter).collect(),
            ),
            item(AttentionKind::PastDue, TenantView::PastDue, past_due.tenants, Vec::new()),
            item(AttentionKind::TrialEnding, TenantView::TrialEnding, ending, Vec::new()),
        ];
        items.retain(|it| it.count > 0);
        // First of all: an answer that does not come in time loses the money.
        if let Some(disputes) = self.open_disputes().await? {
            items.insert(0, disputes);
        }
        Ok(items)
    }

    /// Disputes that wait for an answer, with what is known of the one that is due first.
    async fn open_disputes(&self) -> Result<Option<AttentionItem>> {
        let open: Vec<(String,)> = sqlx::query_as(
            "SELECT id FROM stripe_disputes INDEXED BY stripe_disputes_by_status
             WHERE status IN ('needs_response', 'warning_needs_response') LIMIT 1000",
        )
        .fetch_all(self.readers())
        .await?;
        let ids: Vec<String> = open.into_iter().map(|(id,)| id).collect();
        let raw = self.stripe_raw(Stream::Disputes, &ids).await?;
        let due = |it: &Value| it.pointer("/evidence_details/due_by").and_then(Value::as_i64);
        let Some(first) = raw.iter().min_by_key(|it| due(it).unwrap_or(i64::MAX)) else { return Ok(None) };
        let charge = first["charge"].as_str().or_else(|| first["charge"]["id"].as_str());
        let whose: Option<(String,)> = sqlx::query_as(
            "SELECT t.id FROM stripe_charges AS c CROSS JOIN tenants AS t ON t.stripe_customer = c.customer
             WHERE c.id = ?1 AND t.deleted_at IS NULL LIMIT 1",
        )
        .bind(charge)
        .fetch_optional(self.readers())
        .await?;
        Ok(Some(AttentionItem {
            kind: AttentionKind::DisputeOpen,
            count: ids.len() as i64,
            view: None,
            meters: Vec::new(),
            due_at: due(first).map(|seconds| Timestamp(seconds.saturating_mul(1000))),
            tenant_id: whose.map(|(id,)| tenant_id(&id)).transpose()?,
            dispute: first["id"].as_str().map(str::to_owned),
            livemode: first["livemode"].as_bool().unwrap_or(false),
        }))
    }

    async fn next_trial_end(&self, now: Timestamp) -> Result<Option<NextTrialEnd>> {
        let found: Option<(String, String, i64)> = sqlx::query_as(
            "SELECT id, name, runs_until FROM tenants INDEXED BY tenants_running
             WHERE shelf = 'trial' AND runs_until > ?1 AND runs_until < ?2 ORDER BY runs_until, num LIMIT 1",
        )
        .bind(now.0)
        .bind(i64::MAX)
        .fetch_optional(self.readers())
        .await?;
        found.map(|(id, name, at)| Ok(NextTrialEnd { tenant_id: tenant_id(&id)?, name, at: Timestamp(at) })).transpose()
    }
}
