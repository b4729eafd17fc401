//! From what is known of customers to figures that are kept, some customers at a time, in one transaction: the
//! sums are at every moment those of the customers' own rows.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use paywall_domain::Timestamp;
use paywall_revenue::{Fact, Ledger, Lens, Snapshot, SubscriptionFacts};
use sqlx::SqliteConnection;

use super::KeptLens;
use super::figures::{Figures, Untold};
use super::invoices::put_invoices;
use super::trials::{Due, falls_due, keep_trials, put_trials};
use crate::cache::passing::SET_BACK_MS;
use crate::cache::{Cache, Result};

/// How many customers are counted in one transaction: others who write wait that long.
pub const CUSTOMERS_AT_ONCE: i64 = 100;

/// How many customers are looked at together where nothing is written.
const CUSTOMERS_LOOKED_AT: i64 = 1_000;

/// What a count came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counting {
    /// There was nothing to count.
    Nothing,
    /// Everybody is counted now.
    Done,
    /// There are more.
    More,
}

/// How old it may become that everybody is counted.
const SAID_AGAIN_MS: i64 = 6 * 3_600_000;

/// For how long after its last page a list is taken to be arriving still.
const ARRIVING_MS: i64 = 30_000;

impl Cache {
    /// Counts anew some of the customers of whom something new is known, or of whom something became due by
    /// `now`.
    pub async fn count_revenue(&self, lens: KeptLens, now: Timestamp) -> Result<Counting> {
        let customers = self.to_count(lens.num, now).await?;
        // A clock that was ahead has counted what is still to come.
        if lens.counted_at.is_some_and(|at| at.ms_since(now) > SET_BACK_MS) {
            self.begin_lens(KeptLens { counted_at: None, ..lens }).await?;
            return Ok(Counting::More);
        }
        if customers.is_empty() && lens.counted_at.is_some_and(|at| now.ms_since(at) < SAID_AGAIN_MS) {
            return Ok(Counting::Nothing);
        }
        let mut tx = self.begin().await?;
        if !is_kept(&mut tx, &lens).await? {
            // Other rules or another zone took its place since: by those everybody is to be counted.
            return Ok(Counting::More);
        }
        if customers.is_empty() {
            counted(&mut tx, lens.num, now).await?;
            tx.commit().await?;
            return Ok(Counting::Done);
        }
        let ids = serde_json::to_string(&customers)?;
        // What was dated by a clock that is ahead of this one is known all the same.
        let mut ledger = Ledger::new();
        put_subscriptions(&mut tx, &mut ledger, &ids, &HashSet::new()).await?;
        let mut due = BTreeMap::new();
        // Stripe's clock can be ahead of this one.
        for (customer, at) in put_invoices(&mut tx, &mut ledger, &ids).await? {
            if at > now.0 {
                falls_due(&mut due, &customer, at);
            }
        }
        if lens.num == KeptLens::OURS {
            put_trials(&mut tx, &mut ledger, &ids, now, &mut due).await?;
        }
        ledger.refresh(&Lens { policy: lens.preset.policy(), zone: lens.zone, until: now.0 });
        if lens.num == KeptLens::OURS {
            keep_trials(&mut tx, &ledger, &ids, now, &mut due).await?;
        }
        put_due(&ledger, &mut due);
        Figures::of(&ledger, untold(&mut tx, &ids).await?, due).keep(&mut tx, lens.num, &ids).await?;
        sqlx::query("DELETE FROM revenue_pending WHERE lens = ?1 AND customer IN (SELECT value FROM json_each(?2))")
            .bind(lens.num)
            .bind(&ids)
            .execute(&mut *tx)
            .await?;
        let more = customers.len() as i64 >= CUSTOMERS_AT_ONCE;
        if !more {
            counted(&mut tx, lens.num, now).await?;
        }
        tx.commit().await?;
        Ok(if more { Counting::More } else { Counting::Done })
    }

    /// Whether the lists that revenue rests on are being read from end to end just now: who is counted
    /// meanwhile would be counted over and over.
    pub async fn revenue_lists_arrive(&self, now: Timestamp) -> Result<bool> {
        let (arrive,): (bool,) = sqlx::query_as(
            "SELECT EXISTS (
                 SELECT 1 FROM streams AS s CROSS JOIN stripe_windows AS w ON w.stream = s.stream
                 WHERE s.source = 'stripe' AND s.stream IN ('subscriptions', 'invoices')
                     AND s.missing IS NULL AND s.last_success_at > ?1
             ) OR NOT EXISTS (SELECT 1 FROM revenue_snapshots) AND EXISTS (
                 -- A copy of an earlier version has subscriptions of which nothing was seen yet.
                 SELECT 1 FROM stripe_subscriptions WHERE mrr_fault IS NULL AND customer IS NOT NULL
             )",
        )
        .bind(now.0 - ARRIVING_MS)
        .fetch_one(self.readers())
        .await?;
        Ok(arrive)
    }

    async fn to_count(&self, lens: i64, now: Timestamp) -> Result<Vec<String>> {
        let rows: Vec<(String,)> = sqlx::query_as(
            "SELECT customer FROM (SELECT customer FROM revenue_pending WHERE lens = ?1 ORDER BY customer LIMIT ?3)
             UNION
             SELECT customer FROM (
                 SELECT customer FROM revenue_accounts INDEXED BY revenue_accounts_due
                 WHERE lens = ?1 AND due IS NOT NULL AND due <= ?2 LIMIT ?3
             )
             LIMIT ?3",
        )
        .bind(lens)
        .bind(now.0)
        .bind(CUSTOMERS_AT_ONCE)
        .fetch_all(self.readers())
        .await?;
        Ok(rows.into_iter().map(|(customer,)| customer).collect())
    }
}

impl Cache {
    /// What was seen of the subscriptions of some customers that lie after `after`, with the last of these
    /// customers; `None` at the end.
    pub(crate) async fn subscriptions_after(&self, after: &str) -> Result<Option<(Ledger, String)>> {
        let ids: Vec<(String,)> = sqlx::query_as(
            "SELECT DISTINCT customer FROM revenue_snapshots WHERE customer > ?1 ORDER BY customer LIMIT ?2",
        )
        .bind(after)
        .bind(CUSTOMERS_LOOKED_AT)
        .fetch_all(self.readers())
        .await?;
        let Some(last) = ids.last().map(|(id,)| id.clone()) else { return Ok(None) };
        let ids: Vec<String> = ids.into_iter().map(|(id,)| id).collect();
        let ids = serde_json::to_string(&ids)?;
        let mut ledger = Ledger::new();
        let mut connection = self.readers().acquire().await?;
        let pay: Vec<(String,)> = sqlx::query_as(
            "SELECT id FROM stripe_customers WHERE payment_method = 1 AND id IN (SELECT value FROM json_each(?1))",
        )
        .bind(&ids)
        .fetch_all(&mut *connection)
        .await?;
        let pay = pay.into_iter().map(|(id,)| id).collect();
        put_subscriptions(&mut connection, &mut ledger, &ids, &pay).await?;
        Ok(Some((ledger, last)))
    }

    /// Adds the invoices of those customers in a ledger whose worth now can rest on them.
    pub(crate) async fn invoices_into(&self, ledger: &mut Ledger) -> Result<()> {
        let ids: Vec<&str> = ledger.rest_on_invoices().map(|it| &**it).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let ids = serde_json::to_string(&ids)?;
        let mut connection = self.readers().acquire().await?;
        put_invoices(&mut connection, ledger, &ids).await?;
        Ok(())
    }
}

/// Whether figures are still kept through this lens.
async fn is_kept(tx: &mut SqliteConnection, lens: &KeptLens) -> Result<bool> {
    let (kept,): (bool,) =
        sqlx::query_as("SELECT EXISTS (SELECT 1 FROM revenue_lenses WHERE num = ?1 AND preset = ?2 AND zone = ?3)")
            .bind(lens.num)
            .bind(lens.preset.as_str())
            .bind(lens.zone.name())
            .fetch_one(tx)
            .await?;
    Ok(kept)
}

/// Everybody is counted.
async fn counted(tx: &mut SqliteConnection, lens: i64, now: Timestamp) -> Result<()> {
    sqlx::query("UPDATE revenue_lenses SET counted_at = ?2 WHERE num = ?1").bind(lens).bind(now.0).execute(tx).await?;
    Ok(())
}

/// Subscriptions of these customers whose worth cannot be told now, by customer and currency. What was seen of
/// them before is in no figure either, until it can be told again.
async fn untold(tx: &mut SqliteConnection, ids: &str) -> Result<Untold> {
    let rows: Vec<(String, String, i64)> = sqlx::query_as(
        "SELECT s.customer, s.currency, count(*)
         FROM json_each(?1) AS who CROSS JOIN stripe_subscriptions AS s INDEXED BY stripe_subscriptions_untold
             ON s.customer = who.value
         WHERE s.mrr_fault IS NOT NULL AND s.currency <> ''
         GROUP BY s.customer, s.currency",
    )
    .bind(ids)
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|(customer, currency, count)| (customer.into(), currency.into(), count)).collect())
}

/// Reads what was seen of these customers' subscriptions. Those in `pay` have something to be paid by,
/// whatever their subscriptions say.
async fn put_subscriptions(
    tx: &mut SqliteConnection,
    ledger: &mut Ledger,
    ids: &str,
    pay: &HashSet<String>,
) -> Result<()> {
    // One row for each customer: to hand a row over costs more than to cut it. Facts have no line's end.
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT customer, group_concat(seen_at || ' ' || facts, char(10) ORDER BY subscription, seen_at)
         FROM revenue_snapshots AS seen
         WHERE customer IN (SELECT value FROM json_each(?1)) AND NOT EXISTS (
             SELECT 1 FROM stripe_subscriptions AS s INDEXED BY stripe_subscriptions_untold
             WHERE s.customer = seen.customer AND s.id = seen.subscription AND s.mrr_fault IS NOT NULL
         )
         GROUP BY customer",
    )
    .bind(ids)
    .fetch_all(tx)
    .await?;
    let lines = rows.iter().flat_map(|(customer, lines)| lines.lines().map(move |line| (customer, line)));
    for (customer, line) in lines {
        let Some((seen_at, facts)) = line.split_once(' ') else { continue };
        // One that cannot be read must not keep everybody from being counted.
        let mut facts: SubscriptionFacts = match serde_json::from_str(facts) {
            Ok(facts) => facts,
            Err(error) => {
                tracing::warn!(%error, customer, seen_at, "a subscription as it was seen is left out of revenue");
                continue;
            }
        };
        facts.has_payment_method |= pay.contains(customer);
        let Ok(seen_at) = seen_at.parse() else { continue };
        let snapshot = Snapshot { seen_at, facts: Arc::new(facts) };
        ledger.put(Fact::Subscription { customer: customer.as_str().into(), snapshot });
    }
    Ok(())
}

/// Every customer, and when its worth changes by itself.
fn put_due(ledger: &Ledger, due: &mut Due) {
    for customer in ledger.customers() {
        due.entry(customer.clone()).or_default();
        if let Some(at) = ledger.outcome_of(customer).and_then(|it| it.next_change) {
            falls_due(due, customer, at);
        }
    }
}
