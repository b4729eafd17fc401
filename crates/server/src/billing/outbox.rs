//! What changes by staff still change in Stripe: written in the change's own transaction.

use paywall_contract::{StripeParameter, StripeWrite};
use paywall_domain::billing::{BilledSubscription, StripePart, StripeStep, followed, stripe_step};
use paywall_domain::{Change, TenantFacts, TenantId, Timestamp};
use paywall_stripe::parameters::{Collection, PausedInvoices, SubscriptionChange, TrialEnd};
use paywall_stripe::shapes::{self, Metadata};

use super::subscriptions;
use crate::store::{Connection, Store, StoreError, TenantRow, storable};
use paywall_stripe::facts::at;

/// Under which key it stands on a subscription until when its collection was paused here. Whoever pauses it otherwise in
/// Stripe makes another pause, and so does one that comes after this one is over.
const PAUSED_HERE: &str = "paywall_comp";

/// What stands there of a pause that nobody has set an end to.
const NO_END: &str = "no end";

/// How long a row is left to whoever sends it.
const LEASE_MS: i64 = 30_000;

/// A change in Stripe that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Due {
    /// The adjustment's; or of what was just sold.
    pub(crate) id: String,
    pub(crate) tenant: TenantId,
    pub(crate) subscription: String,
    pub(crate) part: StripePart,
    pub(crate) attempts: i64,
}

/// The oldest that is due of each subscription: one after the other.
const DUE: &str = "SELECT id, tenant_id, subscription, part, attempts, next_attempt_at FROM stripe_outbox AS due
     WHERE state = 'pending' AND next_attempt_at <= $1
       AND NOT EXISTS (SELECT 1 FROM stripe_outbox AS earlier WHERE earlier.state = 'pending'
                         AND earlier.subscription = due.subscription AND earlier.id < due.id)
     ORDER BY next_attempt_at, id LIMIT 1";

const CLAIM: &str = "UPDATE stripe_outbox SET attempts = attempts + 1, next_attempt_at = $3
     WHERE id = $1 AND state = 'pending' AND next_attempt_at = $2";

/// What a change of a tenant's facts by staff will do in Stripe.
#[derive(Debug, Clone, Default)]
pub(crate) struct Following {
    /// The subscription that follows; `None` = none does.
    subscription: Option<(String, StripePart)>,
    /// What is sent, as things stand.
    pub(crate) writes: Vec<StripeWrite>,
    billed: Option<BilledSubscription>,
}

/// What a change from the tenant's facts to `after` will do in Stripe.
pub(crate) async fn following(
    connection: &mut Connection,
    row: &TenantRow,
    change: &Change,
    after: &TenantFacts,
    now: Timestamp,
) -> Result<Following, StoreError> {
    let Some(part) = change.stripe_part() else { return Ok(Following::default()) };
    let stripe = subscriptions::of_tenant(connection, &row.id, row.stripe_customer.as_deref()).await?;
    let Some(subscription) = followed(&row.facts, &stripe, part) else { return Ok(Following::default()) };
    let mut paywall = subscriptions::side(connection, row).await?;
    let billed = paywall.billed.is_none().then(|| BilledSubscription::of(subscription));
    paywall.facts = after.clone();
    let step = stripe_step(&paywall, subscription, part, now);
    Ok(Following {
        subscription: Some((subscription.id.clone(), part)),
        writes: step.map(|step| write_of(&subscription.id, step)).into_iter().collect(),
        billed,
    })
}

impl Following {
    /// Writes that it is to be sent, with the change that it follows from.
    pub(crate) async fn put(
        &self,
        write: &mut Connection,
        adjustment: &str,
        tenant: &TenantId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let Some((subscription, part)) = &self.subscription else { return Ok(false) };
        if let Some(billed) = &self.billed {
            // Against this it is told later which side changed.
            subscriptions::put_billed(write, tenant, Some(billed)).await?;
        }
        sqlx::query(
            "INSERT INTO stripe_outbox (id, tenant_id, subscription, part, state, created_at, attempts, next_attempt_at)
             VALUES ($1, $2, $3, $4, 'pending', $5, 0, $5)",
        )
        .bind(adjustment)
        .bind(tenant.as_str())
        .bind(storable(subscription))
        .bind(part.as_str())
        .bind(now.0)
        .execute(write)
        .await?;
        Ok(true)
    }
}

/// Writes that the trial's end is to be sent of a subscription that was just sold. It follows from no adjustment: the
/// ones that it follows from were made before there was a subscription.
pub(crate) async fn put_first_trial_end(
    write: &mut Connection,
    tenant: &TenantId,
    subscription: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO stripe_outbox (id, tenant_id, subscription, part, state, created_at, attempts, next_attempt_at)
         VALUES ($1, $2, $3, $4, 'pending', $5, 0, $5) ON CONFLICT (id) DO NOTHING",
    )
    .bind(storable(&format!("sold_{subscription}")))
    .bind(tenant.as_str())
    .bind(storable(subscription))
    .bind(StripePart::TrialEnd.as_str())
    .bind(now.0)
    .execute(write)
    .await?;
    Ok(())
}

/// Whether something may have been sent for an adjustment.
pub(crate) async fn was_begun(connection: &mut Connection, adjustment: &str) -> Result<bool, StoreError> {
    let found: Option<(i64,)> = sqlx::query_as(
        "SELECT 1 FROM stripe_outbox WHERE id = $1
           AND (sent IS NOT NULL OR attempts > 1 OR (state = 'pending' AND attempts > 0))",
    )
    .bind(storable(adjustment))
    .fetch_optional(connection)
    .await?;
    Ok(found.is_some())
}

/// How a step is shown before it is made, and kept after.
pub(crate) fn write_of(subscription: &str, step: StripeStep) -> StripeWrite {
    let seconds = |at: Timestamp| at.0.div_euclid(1000).to_string();
    let parameters = match step {
        StripeStep::TrialEndsNow => vec![("trial_end", "now".to_owned())],
        StripeStep::TrialEnds { at } => vec![("trial_end", seconds(at))],
        StripeStep::CollectionPauses { resumes_at } => {
            let mut parameters = vec![("pause_collection[behavior]", "void".to_owned())];
            parameters.extend(resumes_at.map(|at| ("pause_collection[resumes_at]", seconds(at))));
            parameters
        }
        StripeStep::CollectionResumes => vec![("pause_collection", String::new())],
    };
    let parameter = |(name, value): (&str, String)| StripeParameter { name: name.to_owned(), value };
    StripeWrite {
        operation: paywall_stripe::operations::UPDATE_SUBSCRIPTION.name.to_owned(),
        object: subscription.to_owned(),
        parameters: parameters.into_iter().map(parameter).collect(),
    }
}

/// Whether the pause of collection that there is was made here.
pub(super) fn is_paused_here(object: &shapes::Subscription) -> bool {
    let mark = object.metadata.as_ref().and_then(|it| it.get(PAUSED_HERE));
    object.pause_collection.as_ref().is_some_and(|pause| {
        let ours = PausedInvoices::Void.as_str();
        pause.behavior.as_deref() == Some(ours) && mark == Some(&mark_of(at(pause.resumes_at)))
    })
}

fn mark_of(resumes_at: Option<Timestamp>) -> String {
    resumes_at.map_or_else(|| NO_END.to_owned(), |at| at.0.div_euclid(1000).to_string())
}

/// What is sent for a step. A pause carries whose it is, so that nobody else's is ended with the gift.
pub(crate) fn change_of(step: StripeStep) -> SubscriptionChange {
    let unchanged = SubscriptionChange::default();
    let mark = |text: String| Metadata::from([(PAUSED_HERE.to_owned(), text)]);
    match step {
        StripeStep::TrialEndsNow => SubscriptionChange { trial_end: Some(TrialEnd::Now), ..unchanged },
        StripeStep::TrialEnds { at } => {
            SubscriptionChange { trial_end: Some(TrialEnd::At(at.0.div_euclid(1000))), ..unchanged }
        }
        StripeStep::CollectionPauses { resumes_at } => SubscriptionChange {
            collection: Some(Collection::Paused {
                // A gift is not to be paid later either.
                invoices: PausedInvoices::Void,
                resumes_at: resumes_at.map(|at| at.0.div_euclid(1000)),
            }),
            metadata: mark(mark_of(resumes_at)),
            ..unchanged
        },
        // An empty value takes the mark away.
        StripeStep::CollectionResumes => {
            SubscriptionChange { collection: Some(Collection::Resumed), metadata: mark(String::new()), ..unchanged }
        }
    }
}

/// What became of a row.
#[derive(Debug, Clone)]
pub(super) enum Sent {
    /// Nothing had to be sent any more, or this was.
    Done(Option<StripeWrite>),
    /// Stripe refuses it.
    Failed(String),
    /// Stripe could not be asked.
    Later { error: String, at: Timestamp },
}

impl Store {
    /// Takes what is due next, if anything is.
    pub(super) async fn claim_outbox(&self, now: Timestamp) -> Result<Option<Due>, StoreError> {
        type Columns = (String, String, String, String, i64, i64);
        let due: Option<Columns> = sqlx::query_as(DUE).bind(now.0).fetch_optional(self.readers()).await?;
        let Some((id, tenant, subscription, part, attempts, next)) = due else { return Ok(None) };
        let mut write = self.write_beside().await?;
        let claimed =
            sqlx::query(CLAIM).bind(&id).bind(next).bind(now.0 + LEASE_MS).execute(&mut *write).await?.rows_affected();
        write.commit().await?;
        let (Ok(tenant), Some(part)) = (TenantId::parse(&tenant), StripePart::parse(&part)) else { return Ok(None) };
        Ok((claimed > 0).then_some(Due { id, tenant, subscription, part, attempts: attempts + 1 }))
    }

    /// Keeps what became of a row.
    pub(super) async fn end_outbox(&self, id: &str, sent: &Sent, now: Timestamp) -> Result<(), StoreError> {
        let mut write = self.write_beside().await?;
        let query = match sent {
            Sent::Done(written) => {
                let written = written.as_ref().map(serde_json::to_string).transpose()?;
                sqlx::query(
                    "UPDATE stripe_outbox SET state = 'done', done_at = $2, error = NULL, sent = $3 WHERE id = $1",
                )
                .bind(id)
                .bind(now.0)
                .bind(written)
            }
            Sent::Failed(error) => {
                sqlx::query("UPDATE stripe_outbox SET state = 'failed', done_at = $2, error = $3 WHERE id = $1")
                    .bind(id)
                    .bind(now.0)
                    .bind(storable(error))
            }
            Sent::Later { error, at } => sqlx::query(
                "UPDATE stripe_outbox SET next_attempt_at = $2, error = $3 WHERE id = $1 AND state = 'pending'",
            )
            .bind(id)
            .bind(at.0)
            .bind(storable(error)),
        };
        query.execute(&mut *write).await?;
        write.commit().await?;
        Ok(())
    }
}
