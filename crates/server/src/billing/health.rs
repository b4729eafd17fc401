//! How billing is: figures over what is kept.

use paywall_domain::{DAY_MS, Timestamp};
use sqlx::Row;

use super::inbox::{self, InboxRow, InboxState};
use crate::store::{Connection, Store, StoreError, storable};

/// For how many days deliveries are told.
pub(crate) const DAYS: i64 = 30;

/// An hour's refused deliveries are one count.
const HOUR_MS: i64 = 3_600_000;

/// How long a Checkout may be open, and how long a payer blocked, before that is told.
pub(crate) const OPEN_MS: i64 = 30 * 60_000;
pub(crate) const BLOCKED_MS: i64 = 60_000;

/// The events of a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Day {
    /// Days since 1970.
    pub(crate) number: i64,
    pub(crate) received: i64,
    pub(crate) repeated: i64,
    pub(crate) processed: i64,
    pub(crate) parked: i64,
    pub(crate) failed: i64,
}

/// The events of the last days, by day; days without any are absent.
pub(crate) async fn days(connection: &mut Connection, now: Timestamp) -> Result<Vec<Day>, StoreError> {
    let from = (now.0.div_euclid(DAY_MS) - DAYS + 1) * DAY_MS;
    let rows = sqlx::query(
        "SELECT received_at / 86400000 AS day, count(*) AS received, CAST(sum(repeats) AS BIGINT) AS repeated,
                CAST(sum(CASE WHEN state = 'done' THEN 1 ELSE 0 END) AS BIGINT) AS processed,
                CAST(sum(CASE WHEN state = 'parked' THEN 1 ELSE 0 END) AS BIGINT) AS parked,
                CAST(sum(CASE WHEN state = 'failed' THEN 1 ELSE 0 END) AS BIGINT) AS failed
         FROM stripe_inbox WHERE received_at >= $1 AND source <> 'look' GROUP BY 1 ORDER BY 1",
    )
    .bind(from)
    .fetch_all(connection)
    .await?;
    let mut days = Vec::with_capacity(rows.len());
    for row in &rows {
        days.push(Day {
            number: row.try_get("day")?,
            received: row.try_get("received")?,
            repeated: row.try_get("repeated")?,
            processed: row.try_get("processed")?,
            parked: row.try_get("parked")?,
            failed: row.try_get("failed")?,
        });
    }
    Ok(days)
}

/// What waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) pending: i64,
    pub(crate) parked: i64,
    pub(crate) failed: i64,
    pub(crate) oldest: Option<Timestamp>,
}

/// What waits to be processed.
pub(crate) async fn waiting(connection: &mut Connection) -> Result<Waiting, StoreError> {
    let mut waiting = Waiting::default();
    for state in [InboxState::Pending, InboxState::Parked, InboxState::Failed] {
        let (count, oldest): (i64, Option<i64>) =
            sqlx::query_as("SELECT count(*), min(received_at) FROM stripe_inbox WHERE state = $1 AND source <> 'look'")
                .bind(state.word())
                .fetch_one(&mut *connection)
                .await?;
        match state {
            InboxState::Pending => (waiting.pending, waiting.oldest) = (count, oldest.map(Timestamp)),
            InboxState::Parked => waiting.parked = count,
            InboxState::Failed | InboxState::Done => waiting.failed = count,
        }
    }
    Ok(waiting)
}

/// When the newest delivery came, and when what it tells of happened.
pub(crate) async fn newest(connection: &mut Connection) -> Result<Option<(Timestamp, Timestamp)>, StoreError> {
    let row: Option<(i64, i64)> = sqlx::query_as(
        "SELECT received_at, created FROM stripe_inbox WHERE source = 'webhook'
         ORDER BY received_at DESC, id DESC LIMIT 1",
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|(received, created)| (Timestamp(received), Timestamp(created))))
}

/// Deliveries of the last 24 hours whose signature was wrong, as far as they were written.
pub(crate) async fn refused(connection: &mut Connection, now: Timestamp) -> Result<i64, StoreError> {
    let since = now.0.div_euclid(HOUR_MS) - 24;
    let (count,): (i64,) = sqlx::query_as(
        "SELECT CAST(coalesce(sum(count), 0) AS BIGINT) FROM billing_counts WHERE name LIKE 'refused.%' AND hour > $1",
    )
    .bind(since)
    .fetch_one(connection)
    .await?;
    Ok(count)
}

impl Store {
    /// Adds deliveries that were refused at an instant.
    pub(crate) async fn count_refused(&self, at: Timestamp, count: i64) -> Result<(), StoreError> {
        let hour = at.0.div_euclid(HOUR_MS);
        let mut write = self.write_beside().await?;
        sqlx::query(
            "INSERT INTO billing_counts (name, hour, count) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET count = billing_counts.count + excluded.count",
        )
        .bind(format!("refused.{hour}"))
        .bind(hour)
        .bind(count)
        .execute(&mut *write)
        .await?;
        sqlx::query("DELETE FROM billing_counts WHERE hour < $1").bind(hour - 48).execute(&mut *write).await?;
        write.commit().await?;
        Ok(())
    }
}

macro_rules! events {
    ($condition:literal) => {
        concat!(
            "SELECT stripe_inbox.id AS id, type, object, subject, coalesce(tenants.id, '') AS known, tenants.name AS name,
                    stripe_inbox.tenant_id AS tenant_id, created, livemode, received_at, source, repeats, state,
                    attempts, next_attempt_at, error, done_at, of_customer, undelivered
             FROM stripe_inbox
             LEFT JOIN stripe_subjects ON stripe_subjects.id = subject
             LEFT JOIN tenants ON tenants.id = stripe_subjects.tenant_id
             WHERE ",
            $condition
        )
    };
}

const EVENTS: &str =
    events!("(received_at, stripe_inbox.id) < ($1, $2) ORDER BY received_at DESC, stripe_inbox.id DESC LIMIT $3");

const EVENTS_IN: &str = events!(
    "state = $4 AND (received_at, stripe_inbox.id) < ($1, $2) ORDER BY received_at DESC, stripe_inbox.id DESC LIMIT $3"
);

const EVENTS_UNDELIVERED: &str = events!(
    "undelivered = 1 AND (state = $4 OR ($4 = '' AND state <> 'done')) AND (received_at, stripe_inbox.id) < ($1, $2)
     ORDER BY received_at DESC, stripe_inbox.id DESC LIMIT $3"
);

const EVENT: &str = events!("stripe_inbox.id = $1");

/// An event with whose it is.
#[derive(Debug, Clone)]
pub(crate) struct KnownEvent {
    pub(crate) row: InboxRow,
    pub(crate) tenant: Option<(String, String)>,
}

/// A page of events, the newest first. `undelivered`: only those that Stripe could not deliver.
pub(crate) async fn events(
    connection: &mut Connection,
    only: Option<InboxState>,
    undelivered: bool,
    after: Option<(i64, String)>,
    limit: usize,
) -> Result<Vec<KnownEvent>, StoreError> {
    let (at, id) = after.unwrap_or((i64::MAX, String::new()));
    let statement = match only {
        _ if undelivered => EVENTS_UNDELIVERED,
        None => EVENTS,
        Some(_) => EVENTS_IN,
    };
    let mut query = sqlx::query(statement).bind(at).bind(storable(&id)).bind(limit as i64);
    if undelivered || only.is_some() {
        query = query.bind(only.map(InboxState::word).unwrap_or_default());
    }
    query.fetch_all(connection).await?.iter().map(read_event).collect()
}

/// One event.
pub(crate) async fn event(connection: &mut Connection, id: &str) -> Result<Option<KnownEvent>, StoreError> {
    sqlx::query(EVENT).bind(storable(id)).fetch_optional(connection).await?.as_ref().map(read_event).transpose()
}

fn read_event(row: &sqlx::any::AnyRow) -> Result<KnownEvent, StoreError> {
    let known: String = row.try_get("known")?;
    let name: Option<String> = row.try_get("name")?;
    Ok(KnownEvent { row: inbox::read_row(row)?, tenant: name.map(|name| (known, name)) })
}
