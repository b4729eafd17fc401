//! What one server at a time does every now and then.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use paywall_domain::Timestamp;
use tokio_util::sync::CancellationToken;

use super::worker::WorkError;
use super::{Billing, account, nightly, poll};
use crate::server::State;
use crate::store::{Connection, Store, StoreError};

/// How long a turn lasts unless it is renewed.
const LEASE_MS: i64 = 30_000;

/// How often it is looked whether something is due.
const EVERY: Duration = Duration::from_secs(1);

/// How long it takes to try again what failed.
const AGAIN_MS: i64 = 60_000;

/// What is done every now and then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Duty {
    /// Asks for events that no webhook brought, and how the account is.
    Poll,
    /// Compares every subscription.
    Reconcile,
}

impl Duty {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::Reconcile => "reconcile",
        }
    }

    /// When it is due again.
    fn next(self, billing: &Billing, now: Timestamp) -> Timestamp {
        match self {
            Self::Poll => now.plus_ms(i64::try_from(billing.settings.poll_every.as_millis()).unwrap_or(i64::MAX)),
            Self::Reconcile => {
                let hour = i64::from(billing.settings.reconcile_hour) * 3_600_000;
                let day = paywall_domain::DAY_MS;
                let today = Timestamp(now.0.div_euclid(day) * day + hour);
                if today > now { today } else { today.plus_ms(day) }
            }
        }
    }
}

/// A turn at a duty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Turn {
    fence: i64,
    /// Where it goes on.
    pub(crate) cursor: Option<String>,
}

/// What a turn came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What was found, for whoever looks at how billing is.
    pub(crate) body: Option<String>,
}

/// How a duty is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DutyRow {
    pub(crate) done_at: Option<Timestamp>,
    pub(crate) error: Option<String>,
    pub(crate) body: Option<String>,
}

/// Whoever comes first has the turn; the row is locked, and looked at anew.
const CLAIM: &str = "INSERT INTO billing_duties (name, due_at, fence, leased_until) VALUES ($1, $2, 1, $3)
     ON CONFLICT (name) DO UPDATE SET fence = billing_duties.fence + 1, leased_until = excluded.leased_until
     WHERE billing_duties.due_at <= $2 AND billing_duties.leased_until <= $2
     RETURNING fence, cursor";

const RENEW: &str = "UPDATE billing_duties SET leased_until = $3 WHERE name = $1 AND fence = $2";

const GO_ON: &str = "UPDATE billing_duties SET cursor = $3 WHERE name = $1 AND fence = $2";

const FINISH: &str = "UPDATE billing_duties SET leased_until = 0, due_at = $3, done_at = $4, error = NULL,
         body = coalesce($5, body)
     WHERE name = $1 AND fence = $2";

const FAIL: &str = "UPDATE billing_duties SET leased_until = 0, due_at = $3, error = $4 WHERE name = $1 AND fence = $2";

const IS_DUE: &str = "SELECT 1 FROM billing_duties WHERE name = $1 AND (due_at > $2 OR leased_until > $2)";

impl Store {
    async fn take_duty(&self, duty: Duty, now: Timestamp) -> Result<Option<Turn>, StoreError> {
        // Most of the time nothing is due, and finding that out must not wait for the writer.
        let not: Option<(i64,)> =
            sqlx::query_as(IS_DUE).bind(duty.word()).bind(now.0).fetch_optional(self.readers()).await?;
        if not.is_some() {
            return Ok(None);
        }
        let mut write = self.write_beside().await?;
        let turn: Option<(i64, Option<String>)> = sqlx::query_as(CLAIM)
            .bind(duty.word())
            .bind(now.0)
            .bind(now.0 + LEASE_MS)
            .fetch_optional(&mut *write)
            .await?;
        write.commit().await?;
        Ok(turn.map(|(fence, cursor)| Turn { fence, cursor }))
    }

    async fn renew_duty(&self, duty: Duty, turn: &Turn, now: Timestamp) -> Result<(), StoreError> {
        let mut write = self.write_beside().await?;
        sqlx::query(RENEW).bind(duty.word()).bind(turn.fence).bind(now.0 + LEASE_MS).execute(&mut *write).await?;
        write.commit().await?;
        Ok(())
    }

    /// Keeps where the next turn goes on.
    async fn go_on_from(&self, duty: Duty, turn: &Turn, cursor: &str) -> Result<(), StoreError> {
        let mut write = self.write_beside().await?;
        sqlx::query(GO_ON).bind(duty.word()).bind(turn.fence).bind(cursor).execute(&mut *write).await?;
        write.commit().await?;
        Ok(())
    }

    async fn end_duty(
        &self,
        duty: Duty,
        turn: &Turn,
        ended: Result<&Outcome, &str>,
        next: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut write = self.write_beside().await?;
        let query = match ended {
            Ok(outcome) => sqlx::query(FINISH)
                .bind(duty.word())
                .bind(turn.fence)
                .bind(next.0)
                .bind(now.0)
                .bind(outcome.body.as_deref()),
            Err(error) => sqlx::query(FAIL).bind(duty.word()).bind(turn.fence).bind(next.0).bind(error),
        };
        query.execute(&mut *write).await?;
        write.commit().await?;
        Ok(())
    }
}

/// Keeps what a duty last saw, where something else has looked at it meanwhile.
pub(super) async fn put_body(write: &mut Connection, duty: Duty, body: &str) -> Result<(), StoreError> {
    sqlx::query("UPDATE billing_duties SET body = $2 WHERE name = $1")
        .bind(duty.word())
        .bind(body)
        .execute(write)
        .await?;
    Ok(())
}

/// How a duty is.
pub(crate) async fn get(connection: &mut Connection, duty: Duty) -> Result<DutyRow, StoreError> {
    let row: Option<(Option<i64>, Option<String>, Option<String>)> =
        sqlx::query_as("SELECT done_at, error, body FROM billing_duties WHERE name = $1")
            .bind(duty.word())
            .fetch_optional(connection)
            .await?;
    let row = row.map(|(done_at, error, body)| DutyRow { done_at: done_at.map(Timestamp), error, body });
    Ok(row.unwrap_or_default())
}

/// Does what is due, until `stop` is cancelled.
pub(crate) async fn run(state: Arc<State>, stop: CancellationToken) {
    let Some(billing) = &state.billing else { return };
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        for duty in [Duty::Poll, Duty::Reconcile] {
            let done = stop.run_until_cancelled(step(&state, billing, duty)).await;
            let Some(done) = done else { return };
            billing.noted("what billing does every now and then could not go on", done.map(drop));
        }
    }
}

async fn renewing(state: &State, duty: Duty, turn: &Turn) -> Infallible {
    let mut renewals = tokio::time::interval(Duration::from_millis(LEASE_MS as u64 / 3));
    loop {
        renewals.tick().await;
        // Where it fails, another server may begin the same, which does no harm.
        let _ = state.store.renew_duty(duty, turn, state.clock.now()).await;
    }
}

/// Does a duty if it is due and nobody does it. Answers whether it was done.
pub(crate) async fn step(state: &State, billing: &Billing, duty: Duty) -> Result<bool, WorkError> {
    let store = &state.store;
    let Some(turn) = store.take_duty(duty, state.clock.now()).await? else { return Ok(false) };
    let work = async {
        match duty {
            Duty::Poll => {
                let cursor = poll::new_events(state, billing, turn.cursor.as_deref()).await?;
                // By itself: what was taken need not be taken again because the account could not be looked at.
                store.go_on_from(duty, &turn, &cursor).await?;
                let seen = account::look(state, billing).await?;
                Ok::<_, WorkError>(Outcome { body: Some(seen) })
            }
            Duty::Reconcile => nightly::compare_all(state, billing).await,
        }
    };
    // Side by side: the work may itself hold what renewing waits for.
    let done = tokio::select! {
        done = work => done,
        never = renewing(state, duty, &turn) => match never {},
    };
    let now = state.clock.now();
    match &done {
        Ok(outcome) => store.end_duty(duty, &turn, Ok(outcome), duty.next(billing, now), now).await?,
        Err(error) => {
            let code = error.code();
            billing.note(error, now);
            tracing::warn!(%error, code, duty = duty.word(), "billing's duty failed, and is tried again");
            store.end_duty(duty, &turn, Err(&code), now.plus_ms(AGAIN_MS), now).await?;
        }
    }
    Ok(done.is_ok())
}
