//! What Stripe told, and what is still to be done about it.
//!
//! An event only says *whose* billing to look at. The work is a customer's: whoever claims one reads it anew and
//! is done with everything that had been heard of it before the reading began.

use std::collections::BTreeSet;

use paywall_domain::{DAY_MS, TenantId, Timestamp};
use sqlx::Row;
use sqlx::any::AnyRow;

use super::webhook::MODE_MIXED;
use crate::store::{Connection, Store, StoreError, storable};

/// How long what is done is remembered: longer than Stripe repeats an event, or tells of it when asked.
const KEPT_MS: i64 = 45 * DAY_MS;

/// Rows forgotten in one transaction.
const BATCH: i64 = 500;

/// How long a claim lasts. A reading that takes longer is begun anew by somebody else, and not kept.
pub(crate) const LEASE_MS: i64 = 6_000;

/// The first pause before something is tried again, and the longest: where Stripe is away, and where nobody is it.
const PAUSE_MS: i64 = 5_000;
pub(crate) const LATER_MOST_MS: i64 = 600_000;
pub(crate) const PARKED_MOST_MS: i64 = 6 * 3_600_000;

/// How long it is waited after so many attempts.
pub(crate) fn pause_ms(attempts: i64, most: i64) -> i64 {
    PAUSE_MS.saturating_mul(1 << attempts.clamp(0, 20)).min(most)
}

/// Who brought an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Stripe, by itself.
    Webhook,
    /// This server asked for it.
    Poll,
    /// This server asked for it, and Stripe could not deliver it by itself.
    Undelivered,
    /// No event: a customer is looked at without one.
    Look,
}

impl Source {
    fn word(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Poll | Self::Undelivered => "poll",
            Self::Look => "look",
        }
    }
}

/// How far an event has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InboxState {
    /// To be done, now or after a pause.
    Pending,
    /// Of nobody that is known here; tried again later, and as soon as somebody may be it.
    Parked,
    /// What it told of was taken over.
    Done,
    /// It cannot be done; staff may try it again.
    Failed,
}

impl InboxState {
    pub(crate) const ALL: [Self; 4] = [Self::Pending, Self::Parked, Self::Done, Self::Failed];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Parked => "parked",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    fn read(word: &str) -> Self {
        Self::ALL.into_iter().find(|it| it.word() == word).unwrap_or(Self::Failed)
    }
}

/// An event as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) kind: String,
    /// What it is about.
    pub(crate) object: String,
    /// Whose: a customer, or what leads to one.
    pub(crate) subject: String,
    /// Whether the subject is a customer: ids of old ones look like anything.
    pub(crate) of_customer: bool,
    pub(crate) created: Timestamp,
    pub(crate) api_version: Option<String>,
    pub(crate) livemode: bool,
    pub(crate) source: Source,
    pub(crate) work: Work,
}

/// What an event asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Its customer is to be looked at.
    Due,
    /// It changes nothing here.
    None,
    /// It is not this server's to act on, and staff should know.
    Refused(&'static str),
}

/// An event as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InboxRow {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) object: String,
    pub(crate) subject: String,
    pub(crate) of_customer: bool,
    /// Whether Stripe could not deliver it when it was last asked.
    pub(crate) undelivered: bool,
    pub(crate) tenant: Option<String>,
    pub(crate) created: Timestamp,
    pub(crate) livemode: bool,
    pub(crate) received_at: Timestamp,
    pub(crate) source: String,
    pub(crate) repeats: i64,
    pub(crate) state: InboxState,
    pub(crate) attempts: i64,
    pub(crate) next_attempt_at: Timestamp,
    pub(crate) error: Option<String>,
    pub(crate) done_at: Option<Timestamp>,
}

macro_rules! take {
    ($conflict:literal) => {
        concat!(
            "INSERT INTO stripe_inbox (id, type, object, subject, created, api_version, livemode, received_at, source,
                                       repeats, state, attempts, next_attempt_at, error, done_at, of_customer,
                                       undelivered)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, 0, $8, $11, $12, $13, $14) ON CONFLICT (id) ",
            $conflict,
            " RETURNING repeats"
        )
    };
}

/// Again from Stripe: nothing is to be done twice, and it is counted.
const TAKE_DELIVERED: &str = take!("DO UPDATE SET repeats = stripe_inbox.repeats + 1, undelivered = 0");

/// Found by asking: that it is known already is no repetition.
const TAKE_FOUND: &str = take!("DO NOTHING");

/// Found among those that Stripe could not deliver. One that waits is tried again at once.
const TAKE_UNDELIVERED: &str = take!(
    "DO UPDATE SET undelivered = 1,
         next_attempt_at = CASE WHEN stripe_inbox.state = 'pending'
                                     AND stripe_inbox.next_attempt_at > excluded.next_attempt_at
                                THEN excluded.next_attempt_at ELSE stripe_inbox.next_attempt_at END"
);

macro_rules! columns {
    () => {
        "id, type, object, subject, tenant_id, created, livemode, received_at, source, repeats, state, attempts, \
         next_attempt_at, error, done_at, of_customer, undelivered"
    };
}

/// Whose turn may be due. A customer that somebody reads just now is not.
const DUE: &str = "SELECT subject, min(next_attempt_at) AS since FROM stripe_inbox
     WHERE state IN ('pending', 'parked') AND next_attempt_at <= $1
       AND NOT EXISTS (SELECT 1 FROM stripe_subjects WHERE stripe_subjects.id = subject AND leased_until > $1)
     GROUP BY subject ORDER BY since, subject LIMIT $2";

/// Takes the turn, unless somebody else has just done so: the row is locked, and looked at anew.
const CLAIM: &str = "INSERT INTO stripe_subjects (id, fence, leased_until, deleted) VALUES ($1, 1, $2, 0)
     ON CONFLICT (id) DO UPDATE SET fence = stripe_subjects.fence + 1, leased_until = excluded.leased_until
     WHERE stripe_subjects.leased_until <= $3
     RETURNING fence";

const RENEW: &str = "UPDATE stripe_subjects SET leased_until = $3 WHERE id = $1 AND fence = $2";

const WAITING: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM stripe_inbox WHERE subject = $1 AND state IN ('pending', 'parked') ORDER BY created, id"
);

/// Parked ones that somebody may be by now: a tenant with this customer, or the tenant that Stripe names.
const WANTED: &str = "SELECT id FROM stripe_inbox
     WHERE state = 'parked' AND next_attempt_at > $1
       AND (EXISTS (SELECT 1 FROM tenants WHERE tenants.stripe_customer = subject)
            OR EXISTS (SELECT 1 FROM tenants WHERE tenants.id = stripe_inbox.tenant_id))
     LIMIT 500";

const HASTEN: &str = "UPDATE stripe_inbox SET next_attempt_at = $2 WHERE id = $1 AND state = 'parked'";

/// One of the other half of the account stays refused: with this key nothing of it can be read.
const RETRY: &str = "UPDATE stripe_inbox SET state = 'pending', next_attempt_at = $2, error = NULL
     WHERE id = $1 AND state IN ('pending', 'parked', 'failed') AND coalesce(error, '') <> $3";

/// What waits for Stripe is not forgotten. Who pays and is nobody is a difference of its own by then.
const FORGET: &str = "DELETE FROM stripe_inbox WHERE id IN (
     SELECT id FROM stripe_inbox WHERE state <> 'pending' AND received_at < $1 ORDER BY received_at LIMIT $2)";

/// A customer whose billing one server looks at.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) subject: String,
    /// Grows with each claim of the customer: of two readings only the later one is kept.
    pub(crate) fence: i64,
    pub(crate) begun_at: Timestamp,
    /// What had been heard before the reading began, the oldest first.
    pub(crate) events: Vec<InboxRow>,
}

impl Claim {
    /// Whether its subject is a customer, and not only leads to one.
    pub(crate) fn is_of_customer(&self) -> bool {
        self.subject.starts_with("cus_") || self.events.iter().any(|it| it.of_customer)
    }
}

/// What becomes of an event after a look.
#[derive(Debug, Clone)]
pub(crate) enum Fate {
    Done,
    /// Nobody is it: `tenant` is whom Stripe names.
    Parked {
        error: &'static str,
        tenant: Option<TenantId>,
        next_attempt_at: Timestamp,
    },
    /// It could not be looked at now.
    Later {
        error: String,
        next_attempt_at: Timestamp,
    },
    Failed {
        error: String,
    },
    /// It is this customer's, whom it did not name.
    Of {
        customer: String,
    },
}

impl Store {
    /// Keeps an event, and with it that something is to be done. Answers how often it came before.
    pub(crate) async fn take_event(&self, told: &Told, now: Timestamp) -> Result<i64, StoreError> {
        let mut write = self.write_beside().await?;
        let repeats = take(&mut write, told, now).await?;
        write.commit().await?;
        Ok(repeats)
    }

    /// Takes the turn of one customer, unless somebody has it.
    pub(crate) async fn claim_of(&self, subject: &str, now: Timestamp) -> Result<Option<Claim>, StoreError> {
        let mut write = self.write_beside().await?;
        let claim = claim_in(&mut write, subject, now).await?;
        write.commit().await?;
        Ok(claim)
    }

    /// Takes a turn that is due, if there is one.
    pub(crate) async fn claim(&self, now: Timestamp) -> Result<Option<Claim>, StoreError> {
        let due: Vec<(String, i64)> = sqlx::query_as(DUE).bind(now.0).bind(8_i64).fetch_all(self.readers()).await?;
        for (subject, _) in due {
            let mut write = self.write_beside().await?;
            let Some(claim) = claim_in(&mut write, &subject, now).await? else { continue };
            write.commit().await?;
            return Ok(Some(claim));
        }
        Ok(None)
    }

    /// Says that the reading goes on. Answers whether the turn is still this one's.
    pub(crate) async fn renew(&self, claim: &Claim, now: Timestamp) -> Result<bool, StoreError> {
        let mut write = self.write_beside().await?;
        let renewed = sqlx::query(RENEW)
            .bind(&claim.subject)
            .bind(claim.fence)
            .bind(now.0 + LEASE_MS)
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(renewed.rows_affected() > 0)
    }

    /// Brings parked events forward that somebody may be by now. Answers how many.
    pub(crate) async fn unpark(&self, now: Timestamp) -> Result<usize, StoreError> {
        let wanted: Vec<(String,)> = sqlx::query_as(WANTED).bind(now.0).fetch_all(self.readers()).await?;
        if wanted.is_empty() {
            return Ok(0);
        }
        let mut write = self.write_beside().await?;
        for (id,) in &wanted {
            sqlx::query(HASTEN).bind(id).bind(now.0).execute(&mut *write).await?;
        }
        write.commit().await?;
        Ok(wanted.len())
    }

    /// Lets an event be tried again at once. Answers whether there is such a one that is not done.
    pub(crate) async fn retry_event(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let mut write = self.write_beside().await?;
        let done = sqlx::query(RETRY).bind(storable(id)).bind(now.0).bind(MODE_MIXED).execute(&mut *write).await?;
        write.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// Forgets what was done long ago.
    pub(crate) async fn prune_inbox(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut write = self.write_beside().await?;
        let done = sqlx::query(FORGET).bind(now.0 - KEPT_MS).bind(BATCH).execute(&mut *write).await?;
        write.commit().await?;
        Ok(done.rows_affected())
    }
}

async fn claim_in(connection: &mut Connection, subject: &str, now: Timestamp) -> Result<Option<Claim>, StoreError> {
    let fence: Option<(i64,)> =
        sqlx::query_as(CLAIM).bind(subject).bind(now.0 + LEASE_MS).bind(now.0).fetch_optional(&mut *connection).await?;
    let Some((fence,)) = fence else { return Ok(None) };
    let rows = sqlx::query(WAITING).bind(subject).fetch_all(connection).await?;
    let events = rows.iter().map(read_row).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(Claim { subject: subject.to_owned(), fence, begun_at: now, events }))
}

/// Keeps an event within a transaction. Answers how often it came before.
pub(crate) async fn take(connection: &mut Connection, told: &Told, now: Timestamp) -> Result<i64, StoreError> {
    let statement = match told.source {
        Source::Webhook => TAKE_DELIVERED,
        Source::Poll | Source::Look => TAKE_FOUND,
        Source::Undelivered => TAKE_UNDELIVERED,
    };
    let (state, done_at) = match told.work {
        Work::Due => (InboxState::Pending, None),
        Work::None => (InboxState::Done, Some(now.0)),
        Work::Refused(_) => (InboxState::Failed, None),
    };
    let repeats: Option<(i64,)> = sqlx::query_as(statement)
        .bind(storable(&told.id))
        .bind(storable(&told.kind))
        .bind(storable(&told.object))
        .bind(storable(&told.subject))
        .bind(told.created.0)
        .bind(told.api_version.as_deref().map(storable))
        .bind(i64::from(told.livemode))
        .bind(now.0)
        .bind(told.source.word())
        .bind(state.word())
        .bind(match told.work {
            Work::Refused(why) => Some(why),
            Work::Due | Work::None => None,
        })
        .bind(done_at)
        .bind(i64::from(told.of_customer))
        .bind(i64::from(told.source == Source::Undelivered))
        .fetch_optional(connection)
        .await?;
    Ok(repeats.map_or(1, |(repeats,)| repeats))
}

/// Whether the turn is still the claim's, to be asked by whoever writes what was read.
pub(crate) async fn is_latest(connection: &mut Connection, claim: &Claim) -> Result<bool, StoreError> {
    let fence: Option<(i64,)> = sqlx::query_as("SELECT fence FROM stripe_subjects WHERE id = $1")
        .bind(&claim.subject)
        .fetch_optional(connection)
        .await?;
    Ok(fence == Some((claim.fence,)))
}

/// Ends a turn. `read`: whether what was read is kept.
pub(crate) async fn release(connection: &mut Connection, claim: &Claim, read: bool) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE stripe_subjects SET leased_until = 0, read_at = CASE WHEN $3 = 1 THEN $4 ELSE read_at END
         WHERE id = $1 AND fence = $2",
    )
    .bind(&claim.subject)
    .bind(claim.fence)
    .bind(i64::from(read))
    .bind(claim.begun_at.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes what becomes of an event.
pub(crate) async fn decide(
    connection: &mut Connection,
    id: &str,
    fate: &Fate,
    now: Timestamp,
) -> Result<(), StoreError> {
    let query = match fate {
        Fate::Done => sqlx::query(
            "UPDATE stripe_inbox SET state = 'done', attempts = attempts + 1, error = NULL, done_at = $2 WHERE id = $1",
        )
        .bind(id)
        .bind(now.0),
        Fate::Parked { error, tenant, next_attempt_at } => sqlx::query(
            "UPDATE stripe_inbox SET state = 'parked', attempts = attempts + 1, next_attempt_at = $2, error = $3,
                    tenant_id = $4 WHERE id = $1",
        )
        .bind(id)
        .bind(next_attempt_at.0)
        .bind(*error)
        .bind(tenant.as_ref().map(TenantId::as_str)),
        Fate::Later { error, next_attempt_at } => sqlx::query(
            "UPDATE stripe_inbox SET attempts = attempts + 1, next_attempt_at = $2, error = $3 WHERE id = $1",
        )
        .bind(id)
        .bind(next_attempt_at.0)
        .bind(error.as_str()),
        Fate::Failed { error } => {
            sqlx::query("UPDATE stripe_inbox SET state = 'failed', attempts = attempts + 1, error = $2 WHERE id = $1")
                .bind(id)
                .bind(error.as_str())
        }
        Fate::Of { customer } => sqlx::query("UPDATE stripe_inbox SET subject = $2, of_customer = 1 WHERE id = $1")
            .bind(id)
            .bind(storable(customer)),
    };
    query.execute(connection).await?;
    Ok(())
}

pub(crate) fn read_row(row: &AnyRow) -> Result<InboxRow, StoreError> {
    let instant = |column: &str| row.try_get::<i64, _>(column).map(Timestamp);
    Ok(InboxRow {
        id: row.try_get("id")?,
        kind: row.try_get("type")?,
        object: row.try_get("object")?,
        subject: row.try_get("subject")?,
        of_customer: row.try_get::<i64, _>("of_customer")? != 0,
        undelivered: row.try_get::<i64, _>("undelivered")? != 0,
        tenant: row.try_get("tenant_id")?,
        created: instant("created")?,
        livemode: row.try_get::<i64, _>("livemode")? != 0,
        received_at: instant("received_at")?,
        source: row.try_get("source")?,
        repeats: row.try_get("repeats")?,
        state: InboxState::read(row.try_get("state")?),
        attempts: row.try_get("attempts")?,
        next_attempt_at: instant("next_attempt_at")?,
        error: row.try_get("error")?,
        done_at: row.try_get::<Option<i64>, _>("done_at")?.map(Timestamp),
    })
}

/// Whether an event waits for a turn: it is neither done nor put off.
pub(crate) async fn is_due(connection: &mut Connection, id: &str, now: Timestamp) -> Result<bool, StoreError> {
    let found: Option<(i64,)> =
        sqlx::query_as("SELECT 1 FROM stripe_inbox WHERE id = $1 AND state = 'pending' AND next_attempt_at <= $2")
            .bind(storable(id))
            .bind(now.0)
            .fetch_optional(connection)
            .await?;
    Ok(found.is_some())
}

/// Whether what an event asked for is done.
pub(crate) async fn is_done(connection: &mut Connection, id: &str) -> Result<bool, StoreError> {
    let found: Option<(i64,)> = sqlx::query_as("SELECT 1 FROM stripe_inbox WHERE id = $1 AND state = 'done'")
        .bind(storable(id))
        .fetch_optional(connection)
        .await?;
    Ok(found.is_some())
}

/// How many events Stripe could not deliver that are not done, and how many of them are due.
pub(crate) async fn undelivered(connection: &mut Connection, now: Timestamp) -> Result<(i64, i64), StoreError> {
    let counts = sqlx::query_as(
        "SELECT count(*),
                CAST(coalesce(sum(CASE WHEN state = 'pending' AND next_attempt_at <= $1 THEN 1 ELSE 0 END), 0) AS BIGINT)
         FROM stripe_inbox WHERE undelivered = 1 AND state <> 'done'",
    )
    .bind(now.0)
    .fetch_one(connection)
    .await?;
    Ok(counts)
}

/// Keeps of the events that Stripe could not deliver those that it still could not.
pub(crate) async fn delivered_but(
    connection: &mut Connection,
    undelivered: &BTreeSet<String>,
) -> Result<(), StoreError> {
    let known: Vec<(String,)> =
        sqlx::query_as("SELECT id FROM stripe_inbox WHERE undelivered = 1").fetch_all(&mut *connection).await?;
    for (id,) in known.iter().filter(|(id,)| !undelivered.contains(id)) {
        sqlx::query("UPDATE stripe_inbox SET undelivered = 0 WHERE id = $1").bind(id).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Whether an event came since an instant that failed for this reason.
pub(crate) async fn any_failed(connection: &mut Connection, error: &str, since: Timestamp) -> Result<bool, StoreError> {
    let found: Option<(i64,)> = sqlx::query_as(
        "SELECT 1 FROM stripe_inbox WHERE state = 'failed' AND error = $1 AND received_at >= $2 LIMIT 1",
    )
    .bind(error)
    .bind(since.0)
    .fetch_optional(connection)
    .await?;
    Ok(found.is_some())
}

/// Whether anything waits whose time has come.
pub(crate) async fn any_due(connection: &mut Connection, now: Timestamp) -> Result<bool, StoreError> {
    let found: Option<(i64,)> =
        sqlx::query_as("SELECT 1 FROM stripe_inbox WHERE state = 'pending' AND next_attempt_at <= $1 LIMIT 1")
            .bind(now.0)
            .fetch_optional(connection)
            .await?;
    Ok(found.is_some())
}
