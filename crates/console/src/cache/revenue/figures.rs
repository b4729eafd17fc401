//! What is kept of customers' figures, and the sums of it. Only what differs is written: of a customer of whom
//! something new is known most stays as it was, and every page that is written is encrypted again.

use std::collections::BTreeMap;
use std::sync::Arc;

use paywall_revenue::{Ledger, Objects, RevenueError};
use serde_json::{Value, json};
use sqlx::SqliteConnection;

use crate::cache::Result;

/// Whose, in which currency, on which day.
type Dated = (Arc<str>, Arc<str>, i32);

/// Figures of some customers.
#[derive(Default)]
pub(super) struct Figures {
    /// Kind, amount, how many more pay, whether it is estimated.
    movements: BTreeMap<Dated, [i64; 4]>,
    accounts: BTreeMap<Arc<str>, Account>,
}

/// What is kept of a customer beside its movements.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Account {
    /// When something changes by itself.
    due: Option<i64>,
    /// By currency: subscriptions, invoices, faults, those with tax in them, and what is earned now.
    rests: BTreeMap<Arc<str>, [i64; 5]>,
    /// By currency and day: how many more subscriptions are rebuilt.
    rebuilt: BTreeMap<(Arc<str>, i32), i64>,
}

/// An account as it is read: whose, due, what it rests on, what is rebuilt.
type Row = (String, Option<i64>, Vec<(String, i64, i64, i64, i64, i64)>, Vec<(String, i32, i64)>);

/// Subscriptions that cannot be told: whose, in which currency, how many.
pub(super) type Untold = Vec<(Arc<str>, Arc<str>, i64)>;

/// Movements and accounts, each as one JSON array: to hand a row over costs more than to read it.
const READ: &str = "SELECT
    (SELECT json_group_array(json_array(customer, currency, day, kind, amount_10k, paying, estimated))
     FROM revenue_movements WHERE lens = ?1 AND customer IN (SELECT value FROM json_each(?2))),
    (SELECT json_group_array(json_array(customer, due, json(rests), json(rebuilt)))
     FROM revenue_accounts WHERE lens = ?1 AND customer IN (SELECT value FROM json_each(?2)))";

// Rows by their keys: `?1` lens, `?2` a JSON array of rows.
const DROP_MOVEMENTS: &str = "DELETE FROM revenue_movements WHERE lens = ?1
    AND (customer, currency, day) IN (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?2))";
const DROP_ACCOUNTS: &str = "DELETE FROM revenue_accounts WHERE lens = ?1
    AND customer IN (SELECT value ->> 0 FROM json_each(?2))";

const PUT_MOVEMENTS: &str =
    "INSERT INTO revenue_movements (lens, customer, currency, day, kind, amount_10k, paying, estimated)
    SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
    FROM json_each(?2) WHERE true
    ON CONFLICT (lens, customer, currency, day) DO UPDATE SET kind = excluded.kind,
        amount_10k = excluded.amount_10k, paying = excluded.paying, estimated = excluded.estimated";
const PUT_ACCOUNTS: &str = "INSERT INTO revenue_accounts (lens, customer, due, rests, rebuilt)
    SELECT ?1, value ->> 0, value ->> 1, value -> 2, value -> 3 FROM json_each(?2) WHERE true
    ON CONFLICT (lens, customer) DO UPDATE SET due = excluded.due, rests = excluded.rests, rebuilt = excluded.rebuilt";

// What is added to sums; less than nothing where something went.
const ADD_DAYS: &str = "INSERT INTO revenue_days (lens, currency, day, kind, amount_10k, movements, paying, estimated)
    SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
    FROM json_each(?2) WHERE true
    ON CONFLICT (lens, currency, day, kind) DO UPDATE SET
        amount_10k = amount_10k + excluded.amount_10k, movements = movements + excluded.movements,
        paying = paying + excluded.paying, estimated = estimated + excluded.estimated";
const ADD_REBUILT: &str = "INSERT INTO revenue_rebuilt_days (lens, currency, day, rebuilt)
    SELECT ?1, value ->> 0, value ->> 1, value ->> 2 FROM json_each(?2) WHERE true
    ON CONFLICT (lens, currency, day) DO UPDATE SET rebuilt = rebuilt + excluded.rebuilt";
const ADD_OBJECTS: &str = "INSERT INTO revenue_objects (
        lens, currency, subscriptions, invoices, faults, including_tax, now_10k
    )
    SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
    FROM json_each(?2) WHERE true
    ON CONFLICT (lens, currency) DO UPDATE SET
        subscriptions = subscriptions + excluded.subscriptions, invoices = invoices + excluded.invoices,
        faults = faults + excluded.faults, including_tax = including_tax + excluded.including_tax,
        now_10k = now_10k + excluded.now_10k";

// Sums of which nothing is left, by their keys: `?1` lens, `?2` the rows that were added.
const EMPTY_DAYS: &str = "DELETE FROM revenue_days WHERE lens = ?1 AND movements = 0
    AND (currency, day, kind) IN (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?2))";
const EMPTY_REBUILT: &str = "DELETE FROM revenue_rebuilt_days WHERE lens = ?1 AND rebuilt = 0
    AND (currency, day) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?2))";
const EMPTY_OBJECTS: &str = "DELETE FROM revenue_objects WHERE lens = ?1 AND subscriptions = 0 AND invoices = 0
    AND currency IN (SELECT value ->> 0 FROM json_each(?2))";

impl Figures {
    /// As a ledger of these customers has them.
    pub(super) fn of(ledger: &Ledger, untold: Untold, due: BTreeMap<Arc<str>, Option<i64>>) -> Self {
        let mut figures = Self::default();
        for (customer, due) in due {
            figures.accounts.insert(customer, Account { due, ..Account::default() });
        }
        let of = |objects: Objects| [objects.subscriptions, objects.invoices, objects.faults, objects.including_tax, 0];
        for customer in ledger.customers() {
            let Some(outcome) = ledger.outcome_of(customer) else { continue };
            for it in &outcome.movements {
                let values = [it.kind.index() as i64, it.amount_10k, i64::from(it.paying), i64::from(it.estimated)];
                figures.movements.insert((customer.clone(), it.currency.clone(), it.day.number()), values);
            }
            let account = figures.accounts.entry(customer.clone()).or_default();
            for (currency, day, change) in &outcome.rebuilt {
                *account.rebuilt.entry((currency.clone(), day.number())).or_default() += change;
            }
            account.rebuilt.retain(|_, change| *change != 0);
            for (currency, objects) in &outcome.objects {
                account.rests.insert(currency.clone(), of(*objects));
            }
        }
        for (customer, _, level) in ledger.subscriptions_now() {
            let account = figures.accounts.entry(customer.clone()).or_default();
            let [.., now] = account.rests.entry(level.currency.as_str().into()).or_default();
            *now = now.saturating_add(level.amount_10k);
        }
        for (customer, currency, count) in untold {
            let account = figures.accounts.entry(customer).or_default();
            let [subscriptions, _, faults, ..] = account.rests.entry(currency).or_default();
            (*subscriptions, *faults) = (*subscriptions + count, *faults + count);
        }
        figures
    }

    /// As they are kept of these customers.
    async fn kept(tx: &mut SqliteConnection, lens: i64, ids: &str) -> Result<Self> {
        let (movements, accounts): (String, String) = sqlx::query_as(READ).bind(lens).bind(ids).fetch_one(tx).await?;
        let movements: Vec<(String, String, i32, i64, i64, i64, i64)> = serde_json::from_str(&movements)?;
        let accounts: Vec<Row> = serde_json::from_str(&accounts)?;
        let account = |(customer, due, rests, rebuilt): Row| {
            let rests = rests.into_iter().map(|it| (it.0.into(), [it.1, it.2, it.3, it.4, it.5])).collect();
            let rebuilt = rebuilt.into_iter().map(|(currency, day, change)| ((currency.into(), day), change)).collect();
            (customer.into(), Account { due, rests, rebuilt })
        };
        Ok(Self {
            movements: movements
                .into_iter()
                .map(|it| ((it.0.into(), it.1.into(), it.2), [it.3, it.4, it.5, it.6]))
                .collect(),
            accounts: accounts.into_iter().map(account).collect(),
        })
    }

    /// Keeps these in place of what was kept of the customers `ids`, and has the sums follow.
    pub(super) async fn keep(self, tx: &mut SqliteConnection, lens: i64, ids: &str) -> Result<()> {
        let before = Self::kept(tx, lens, ids).await?;
        let dated = |(customer, currency, day): &Dated| vec![json!(**customer), json!(**currency), json!(day)];

        let moved = Difference::of(before.movements, self.movements);
        moved.write(tx, lens, [DROP_MOVEMENTS, PUT_MOVEMENTS], dated, |it| it.map(Value::from).into()).await?;
        let days = moved.sums(|(_, currency, day), [kind, amount, paying, estimated]| {
            vec![((currency.clone(), *day, *kind), [*amount, 1, *paying, *estimated])]
        })?;
        let key = |(currency, day, kind): &(Arc<str>, i32, i64)| vec![json!(**currency), json!(day), json!(kind)];
        add(tx, lens, [ADD_DAYS, EMPTY_DAYS], days, key).await?;

        let accounts = Difference::of(before.accounts, self.accounts);
        accounts
            .write(tx, lens, [DROP_ACCOUNTS, PUT_ACCOUNTS], |customer| vec![json!(**customer)], Account::row)
            .await?;
        let days =
            accounts.sums(|_, account| account.rebuilt.iter().map(|(of, change)| (of.clone(), [*change])).collect())?;
        let key = |(currency, day): &(Arc<str>, i32)| vec![json!(**currency), json!(day)];
        add(tx, lens, [ADD_REBUILT, EMPTY_REBUILT], days, key).await?;
        let objects =
            accounts.sums(|_, account| account.rests.iter().map(|(of, rests)| (of.clone(), *rests)).collect())?;
        add(tx, lens, [ADD_OBJECTS, EMPTY_OBJECTS], objects, |currency| vec![json!(**currency)]).await
    }
}

impl Account {
    /// As it is stored, without whose it is.
    fn row(&self) -> Vec<Value> {
        let rests = self.rests.iter().map(|(currency, [a, b, c, d, e])| json!([**currency, a, b, c, d, e]));
        let rebuilt = self.rebuilt.iter().map(|((currency, day), change)| json!([**currency, day, change]));
        vec![json!(self.due), rests.collect(), rebuilt.collect()]
    }
}

/// Rows that are no longer so, and rows that are so from now on. One that changed is in both.
pub(super) struct Difference<K, V> {
    gone: BTreeMap<K, V>,
    come: BTreeMap<K, V>,
}

impl<K: Ord, V: PartialEq> Difference<K, V> {
    pub(super) fn of(mut before: BTreeMap<K, V>, mut now: BTreeMap<K, V>) -> Self {
        before.retain(|key, value| {
            let same = now.get(key) == Some(value);
            if same {
                now.remove(key);
            }
            !same
        });
        Self { gone: before, come: now }
    }

    /// Drops rows and puts others, by two statements.
    pub(super) async fn write(
        &self,
        tx: &mut SqliteConnection,
        lens: i64,
        [drop, put]: [&'static str; 2],
        key: impl Fn(&K) -> Vec<Value>,
        values: impl Fn(&V) -> Vec<Value>,
    ) -> Result<()> {
        let gone = self.gone.keys().filter(|it| !self.come.contains_key(it)).map(|it| Value::Array(key(it)));
        let come = self.come.iter().map(|(it, of)| {
            let mut row = key(it);
            row.extend(values(of));
            Value::Array(row)
        });
        run(tx, lens, drop, gone.collect()).await?;
        run(tx, lens, put, come.collect()).await
    }

    /// By how much it changes sums.
    fn sums<S: Ord, const N: usize>(
        &self,
        parts: impl Fn(&K, &V) -> Vec<(S, [i64; N])>,
    ) -> Result<BTreeMap<S, [i64; N]>> {
        let mut sums: BTreeMap<S, [i64; N]> = BTreeMap::new();
        for (rows, sign) in [(&self.gone, -1_i64), (&self.come, 1)] {
            for (of, parts) in rows.iter().flat_map(|(key, value)| parts(key, value)) {
                let sum = sums.entry(of).or_insert([0; N]);
                for (sum, part) in sum.iter_mut().zip(parts) {
                    let signed = part.checked_mul(sign).and_then(|part| sum.checked_add(part));
                    *sum = signed.ok_or(RevenueError::TooLarge)?;
                }
            }
        }
        sums.retain(|_, sum| *sum != [0; N]);
        Ok(sums)
    }
}

async fn add<S, const N: usize>(
    tx: &mut SqliteConnection,
    lens: i64,
    [put, empty]: [&'static str; 2],
    sums: BTreeMap<S, [i64; N]>,
    key: impl Fn(&S) -> Vec<Value>,
) -> Result<()> {
    let row = |(of, sum): (&S, &[i64; N])| {
        let mut row = key(of);
        row.extend(sum.map(Value::from));
        Value::Array(row)
    };
    let rows: Vec<Value> = sums.iter().map(row).collect();
    run(tx, lens, put, rows.clone()).await?;
    run(tx, lens, empty, rows).await
}

async fn run(tx: &mut SqliteConnection, lens: i64, statement: &'static str, rows: Vec<Value>) -> Result<()> {
    if !rows.is_empty() {
        sqlx::query(statement).bind(lens).bind(Value::Array(rows).to_string()).execute(tx).await?;
    }
    Ok(())
}
