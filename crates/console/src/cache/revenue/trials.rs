//! Trials and what became of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use paywall_domain::{DAY_MS, Timestamp};
use paywall_revenue::{Fact, Ledger, TrialFacts, TrialOutcome};
use serde_json::json;
use sqlx::SqliteConnection;

use super::KeptLens;
use super::figures::Difference;
use crate::cache::Result;

/// How what became of a trial is stored: it runs, or its first invoice waits for its payment.
pub(crate) const UNDECIDED: i64 = 0;
/// Its first invoice above zero was paid.
pub(crate) const CONVERTED: i64 = 1;
/// It ended, and nothing was paid.
pub(crate) const LOST: i64 = 2;

/// When something changes by itself, of every customer that is counted; `None` = never.
pub(super) type Due = BTreeMap<Arc<str>, Option<i64>>;

/// Something changes by itself at `at`, if nothing does earlier.
pub(super) fn falls_due(due: &mut Due, customer: &Arc<str>, at: i64) {
    let first = due.entry(customer.clone()).or_default();
    *first = Some(first.map_or(at, |known| known.min(at)));
}

/// When it began and ends, what became of it, and when it converted.
type Trial = (i64, i64, i64, Option<i64>);
/// By customer, and counted for each from 0.
type Trials = BTreeMap<(Arc<str>, i64), Trial>;

const DROP: &str = "DELETE FROM revenue_trials
    WHERE ?1 = 0 AND (customer, num) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?2))";
const PUT: &str = "INSERT INTO revenue_trials (customer, num, started_at, ends_at, outcome, converted_at)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
    FROM json_each(?2) WHERE ?1 = 0
    ON CONFLICT (customer, num) DO UPDATE SET started_at = excluded.started_at, ends_at = excluded.ends_at,
        outcome = excluded.outcome, converted_at = excluded.converted_at";

/// Reads the trials that the server gave these customers, or tenants that are none yet.
pub(super) async fn put_trials(
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

/// Keeps the trials of these customers in place of what was kept of them, and when one of them is decided.
pub(super) async fn keep_trials(
    tx: &mut SqliteConnection,
    ledger: &Ledger,
    ids: &str,
    now: Timestamp,
    due: &mut Due,
) -> Result<()> {
    let known: Vec<(String, i64, i64, i64, i64, Option<i64>)> = sqlx::query_as(
        "SELECT customer, num, started_at, ends_at, outcome, converted_at FROM revenue_trials
         WHERE customer IN (SELECT value FROM json_each(?1))",
    )
    .bind(ids)
    .fetch_all(&mut *tx)
    .await?;
    let known: Trials = known.into_iter().map(|it| ((it.0.into(), it.1), (it.2, it.3, it.4, it.5))).collect();
    let (mut trials, mut last) = (Trials::new(), None::<(Arc<str>, i64)>);
    for trial in ledger.trials() {
        let (outcome, converted_at) = match trial.outcome {
            TrialOutcome::Undecided => (UNDECIDED, None),
            TrialOutcome::Converted(at) => (CONVERTED, Some(at)),
            TrialOutcome::Lost => (LOST, None),
        };
        // A trial is decided a day after its end.
        let decided_at = trial.ends_at.saturating_add(DAY_MS);
        if outcome == UNDECIDED && decided_at > now.0 {
            falls_due(due, &trial.customer, decided_at);
        }
        let num = last.filter(|it| it.0 == trial.customer).map_or(0, |it| it.1 + 1);
        last = Some((trial.customer.clone(), num));
        trials.insert((trial.customer, num), (trial.started_at, trial.ends_at, outcome, converted_at));
    }
    let key = |(customer, num): &(Arc<str>, i64)| vec![json!(**customer), json!(num)];
    let values = |it: &Trial| vec![json!(it.0), json!(it.1), json!(it.2), json!(it.3)];
    Difference::of(known, trials).write(tx, KeptLens::OURS, [DROP, PUT], key, values).await
}
