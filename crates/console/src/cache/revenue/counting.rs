//! From what is known of customers to figures that are kept, some customers at a time. What a customer brought
//! to the sums before is taken out of them, and what it brings now is added, in one transaction: the sums are at
//! every moment those of the customers' own rows.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use paywall_domain::{DAY_MS, Timestamp};
use paywall_revenue::{Fact, Ledger, Lens, Objects, Snapshot, SubscriptionFacts, TrialFacts, TrialOutcome};
use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::KeptLens;
use super::invoices::put_invoices;
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

/// From which difference on a clock counts as set back.
const SET_BACK_MS: i64 = 60_000;
/// How old it may become that everybody is counted.
const SAID_AGAIN_MS: i64 = 6 * 3_600_000;

/// For how long after its last page a list is taken to be arriving still.
const ARRIVING_MS: i64 = 30_000;

// Takes what the customers of `?3` brought to a sum out of it (`?2` = -1), or adds it (1).
const MOVE_SUMS: [&str; 3] = [
    "INSERT INTO revenue_days (lens, currency, day, kind, amount_10k, movements, paying, estimated)
     SELECT lens, currency, day, kind, ?2 * sum(amount_10k), ?2 * count(*), ?2 * sum(paying), ?2 * sum(estimated)
     FROM revenue_movements WHERE lens = ?1 AND customer IN (SELECT value FROM json_each(?3))
     GROUP BY lens, currency, day, kind
     ON CONFLICT (lens, currency, day, kind) DO UPDATE SET
         amount_10k = amount_10k + excluded.amount_10k, movements = movements + excluded.movements,
         paying = paying + excluded.paying, estimated = estimated + excluded.estimated",
    "INSERT INTO revenue_rebuilt_days (lens, currency, day, rebuilt)
     SELECT lens, currency, day, ?2 * sum(rebuilt)
     FROM revenue_rebuilt WHERE lens = ?1 AND customer IN (SELECT value FROM json_each(?3))
     GROUP BY lens, currency, day
     ON CONFLICT (lens, currency, day) DO UPDATE SET rebuilt = rebuilt + excluded.rebuilt",
    "INSERT INTO revenue_objects (
         lens, currency, subscriptions, invoices, faults, including_tax, now_10k
     )
     SELECT lens, currency, ?2 * sum(subscriptions), ?2 * sum(invoices), ?2 * sum(faults),
         ?2 * sum(including_tax), ?2 * sum(now_10k)
     FROM revenue_rests WHERE lens = ?1 AND customer IN (SELECT value FROM json_each(?3))
     GROUP BY lens, currency
     ON CONFLICT (lens, currency) DO UPDATE SET
         subscriptions = subscriptions + excluded.subscriptions, invoices = invoices + excluded.invoices,
         faults = faults + excluded.faults, including_tax = including_tax + excluded.including_tax,
         now_10k = now_10k + excluded.now_10k",
];

const FORGET: [&str; 5] = [
    "DELETE FROM revenue_movements WHERE lens = ?1 AND customer IN (SELECT value FROM json_each(?2))",
    "DELETE FROM revenue_rebuilt WHERE lens = ?1 AND customer IN (SELECT value FROM json_each(?2))",
    "DELETE FROM revenue_rests WHERE lens = ?1 AND customer IN (SELECT value FROM json_each(?2))",
    "DELETE FROM revenue_accounts WHERE lens = ?1 AND customer IN (SELECT value FROM json_each(?2))",
    "DELETE FROM revenue_pending WHERE lens = ?1 AND customer IN (SELECT value FROM json_each(?2))",
];

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
        move_sums(&mut tx, lens.num, -1, &ids).await?;
        for statement in FORGET {
            sqlx::query(statement).bind(lens.num).bind(&ids).execute(&mut *tx).await?;
        }
        let untold = untold(&mut tx, &ids).await?;
        keep(&mut tx, lens.num, &ledger, untold).await?;
        put_due(&ledger, &mut due);
        if lens.num == KeptLens::OURS {
            keep_trials(&mut tx, &ledger, &ids, now, &mut due).await?;
        }
        keep_accounts(&mut tx, lens.num, &due).await?;
        move_sums(&mut tx, lens.num, 1, &ids).await?;
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
             ) OR EXISTS (
                 -- A copy of an earlier version has subscriptions of which nothing was seen yet.
                 SELECT 1 FROM stripe_subscriptions WHERE mrr_fault IS NULL AND customer IS NOT NULL
                     AND NOT EXISTS (SELECT 1 FROM revenue_snapshots)
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

/// Everybody is counted, and days of which nothing is left are forgotten.
async fn counted(tx: &mut SqliteConnection, lens: i64, now: Timestamp) -> Result<()> {
    for statement in [
        "DELETE FROM revenue_days WHERE lens = ?1 AND movements = 0 AND ?2 IS NOT NULL",
        "DELETE FROM revenue_rebuilt_days WHERE lens = ?1 AND rebuilt = 0 AND ?2 IS NOT NULL",
        "DELETE FROM revenue_objects WHERE lens = ?1 AND subscriptions = 0 AND invoices = 0 AND ?2 IS NOT NULL",
        "UPDATE revenue_lenses SET counted_at = ?2 WHERE num = ?1",
    ] {
        sqlx::query(statement).bind(lens).bind(now.0).execute(&mut *tx).await?;
    }
    Ok(())
}

/// Subscriptions of these customers whose worth cannot be told now, by customer and currency. What was seen of
/// them before is in no figure either, until it can be told again.
async fn untold(tx: &mut SqliteConnection, ids: &str) -> Result<Vec<(Arc<str>, Arc<str>, i64)>> {
    let rows: Vec<(String, String, i64)> = sqlx::query_as(
        "SELECT s.customer, s.currency, count(*)
         FROM json_each(?1) AS who CROSS JOIN stripe_subscriptions AS s ON s.customer = who.value
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
    let rows: Vec<(String, i64, String)> = sqlx::query_as(
        "SELECT customer, seen_at, facts FROM revenue_snapshots AS seen
         WHERE customer IN (SELECT value FROM json_each(?1)) AND NOT EXISTS (
             SELECT 1 FROM stripe_subscriptions AS s WHERE s.id = seen.subscription AND s.mrr_fault IS NOT NULL
         )
         ORDER BY customer, subscription, seen_at",
    )
    .bind(ids)
    .fetch_all(tx)
    .await?;
    for (customer, seen_at, facts) in rows {
        // One that cannot be read must not keep everybody from being counted.
        let mut facts: SubscriptionFacts = match serde_json::from_str(&facts) {
            Ok(facts) => facts,
            Err(error) => {
                tracing::warn!(%error, customer, seen_at, "a subscription as it was seen is left out of revenue");
                continue;
            }
        };
        facts.has_payment_method |= pay.contains(&customer);
        let snapshot = Snapshot { seen_at, facts: Arc::new(facts) };
        ledger.put(Fact::Subscription { customer: customer.into(), snapshot });
    }
    Ok(())
}

/// When something changes by itself, of every customer that is counted; `None` = never.
type Due = BTreeMap<Arc<str>, Option<i64>>;

/// Something changes by itself at `at`, if nothing does earlier.
fn falls_due(due: &mut Due, customer: &Arc<str>, at: i64) {
    let first = due.entry(customer.clone()).or_default();
    *first = Some(first.map_or(at, |known| known.min(at)));
}

/// Reads the trials that the server gave these customers, or tenants that are none yet.
async fn put_trials(
    tx: &mut SqliteConnection,
    ledger: &mut Ledger,
    ids: &str,
    now: Timestamp,
    due: &mut Due,
) -> Result<()> {
    let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(
        "SELECT t.id, who.value, t.trial_started_at, t.trial_ends_at
         FROM json_each(?1) AS who CROSS JOIN tenants AS t ON t.stripe_customer = who.value
         WHERE t.trial_started_at IS NOT NULL
         UNION ALL
         SELECT t.id, who.value, t.trial_started_at, t.trial_ends_at
         FROM json_each(?1) AS who CROSS JOIN tenants AS t ON t.id = who.value
         WHERE t.trial_started_at IS NOT NULL AND t.stripe_customer IS NULL",
    )
    .bind(ids)
    .fetch_all(tx)
    .await?;
    for (id, customer, started_at, ends_at) in rows {
        let trial = TrialFacts { id: id.into(), customer: customer.into(), started_at, ends_at };
        // The server's clock can be ahead of this one.
        if started_at > now.0 {
            falls_due(due, &trial.customer, started_at);
        }
        ledger.put(Fact::Trial { seen_at: 0, trial });
    }
    Ok(())
}

async fn move_sums(tx: &mut SqliteConnection, lens: i64, sign: i64, ids: &str) -> Result<()> {
    for statement in MOVE_SUMS {
        sqlx::query(statement).bind(lens).bind(sign).bind(ids).execute(&mut *tx).await?;
    }
    Ok(())
}

async fn keep(
    tx: &mut SqliteConnection,
    lens: i64,
    ledger: &Ledger,
    untold: Vec<(Arc<str>, Arc<str>, i64)>,
) -> Result<()> {
    let (mut movements, mut rebuilt) = (Vec::new(), BTreeMap::new());
    let mut rests: BTreeMap<(Arc<str>, Arc<str>), (Objects, i64)> = BTreeMap::new();
    for customer in ledger.customers() {
        let Some(outcome) = ledger.outcome_of(customer) else { continue };
        movements.extend(outcome.movements.iter().map(|it| {
            json!([
                &*it.customer,
                &*it.currency,
                it.day.number(),
                it.kind.index(),
                it.amount_10k,
                it.paying,
                i64::from(it.estimated)
            ])
        }));
        for (currency, day, change) in &outcome.rebuilt {
            *rebuilt.entry((customer, currency.clone(), *day)).or_insert(0_i64) += change;
        }
        for (currency, objects) in &outcome.objects {
            rests.insert((customer.clone(), currency.clone()), (*objects, 0));
        }
    }
    for (customer, _, level) in ledger.subscriptions_now() {
        let now = &mut rests.entry((customer.clone(), level.currency.as_str().into())).or_default().1;
        *now = now.saturating_add(level.amount_10k);
    }
    for (customer, currency, count) in untold {
        let objects = &mut rests.entry((customer, currency)).or_default().0;
        (objects.subscriptions, objects.faults) = (objects.subscriptions + count, objects.faults + count);
    }
    let rebuilt = rebuilt.into_iter().filter(|(_, change)| *change != 0);
    let rebuilt =
        rebuilt.map(|((customer, currency, day), change)| json!([&**customer, &*currency, day.number(), change]));
    let rests = rests.into_iter().map(|((customer, currency), (objects, now))| {
        let Objects { subscriptions, invoices, faults, including_tax } = objects;
        json!([&*customer, &*currency, subscriptions, invoices, faults, including_tax, now])
    });
    for (statement, rows) in [
        (
            "INSERT INTO revenue_movements (lens, customer, currency, day, kind, amount_10k, paying, estimated)
             SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
             FROM json_each(?2)",
            movements,
        ),
        (
            "INSERT INTO revenue_rebuilt (lens, customer, currency, day, rebuilt)
             SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?2)",
            rebuilt.collect(),
        ),
        (
            "INSERT INTO revenue_rests (
                 lens, customer, currency, subscriptions, invoices, faults, including_tax, now_10k
             )
             SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
             FROM json_each(?2)",
            rests.collect(),
        ),
    ] {
        if !rows.is_empty() {
            sqlx::query(statement).bind(lens).bind(Value::Array(rows).to_string()).execute(&mut *tx).await?;
        }
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

async fn keep_trials(
    tx: &mut SqliteConnection,
    ledger: &Ledger,
    ids: &str,
    now: Timestamp,
    due: &mut Due,
) -> Result<()> {
    sqlx::query("DELETE FROM revenue_trials WHERE customer IN (SELECT value FROM json_each(?1))")
        .bind(ids)
        .execute(&mut *tx)
        .await?;
    let mut rows = Vec::new();
    for (num, trial) in ledger.trials().into_iter().enumerate() {
        let (outcome, converted_at) = match trial.outcome {
            TrialOutcome::Undecided => (0, None),
            TrialOutcome::Converted(at) => (1, Some(at)),
            TrialOutcome::Lost => (2, None),
        };
        rows.push(json!([&*trial.customer, num, trial.started_at, trial.ends_at, outcome, converted_at]));
        // A trial is decided a day after its end.
        let decided_at = trial.ends_at.saturating_add(DAY_MS);
        if outcome == 0 && decided_at > now.0 {
            falls_due(due, &trial.customer, decided_at);
        }
    }
    sqlx::query(
        "INSERT INTO revenue_trials (customer, num, started_at, ends_at, outcome, converted_at)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 FROM json_each(?1)",
    )
    .bind(Value::Array(rows).to_string())
    .execute(tx)
    .await?;
    Ok(())
}

async fn keep_accounts(tx: &mut SqliteConnection, lens: i64, due: &Due) -> Result<()> {
    let rows: Vec<Value> = due.iter().map(|(customer, due)| json!([&**customer, due])).collect();
    sqlx::query(
        "INSERT INTO revenue_accounts (lens, customer, due) SELECT ?1, value ->> 0, value ->> 1 FROM json_each(?2)",
    )
    .bind(lens)
    .bind(Value::Array(rows).to_string())
    .execute(tx)
    .await?;
    Ok(())
}
