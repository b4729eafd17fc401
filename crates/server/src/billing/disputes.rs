//! Disputes of any payment of a subscription: one is told of, and looked at from then on until it is over.

use paywall_domain::Timestamp;
use paywall_stripe::shapes::{self, Expandable};
use paywall_stripe::{Client, Error};

use super::reading::{Reading, is_missing};
use crate::store::{Connection, StoreError, storable};
use paywall_stripe::facts::at;

/// A charge that is disputed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Disputed {
    pub(crate) charge: String,
    /// What it paid for.
    pub(crate) subscription: String,
    pub(crate) since: Timestamp,
}

/// The charges of a customer that were disputed when they were last looked at.
pub(crate) async fn of_customer(connection: &mut Connection, customer: &str) -> Result<Vec<Disputed>, StoreError> {
    let rows: Vec<(String, String, i64)> =
        sqlx::query_as("SELECT charge, subscription, since FROM stripe_disputes WHERE customer = $1 ORDER BY charge")
            .bind(customer)
            .fetch_all(connection)
            .await?;
    let disputed = |(charge, subscription, since)| Disputed { charge, subscription, since: Timestamp(since) };
    Ok(rows.into_iter().map(disputed).collect())
}

/// Keeps the charges of a customer that are disputed.
pub(crate) async fn put(connection: &mut Connection, customer: &str, disputed: &[Disputed]) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM stripe_disputes WHERE customer = $1").bind(customer).execute(&mut *connection).await?;
    for it in disputed {
        sqlx::query(
            "INSERT INTO stripe_disputes (charge, customer, subscription, since) VALUES ($1, $2, $3, $4)
             ON CONFLICT (charge) DO UPDATE SET customer = excluded.customer",
        )
        .bind(storable(&it.charge))
        .bind(storable(customer))
        .bind(storable(&it.subscription))
        .bind(it.since.0)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Adds to a reading which of its subscriptions are disputed: by charges that are `known` to be, and by the disputes
/// that were `told` of.
pub(crate) async fn read(client: &Client, reading: &mut Reading, known: Vec<Disputed>, told: &[&str]) {
    let mut open: Vec<Disputed> = Vec::new();
    for it in known {
        match open_since(client, &it.charge).await {
            Ok(since) => open.extend(since.map(|since| Disputed { since, ..it })),
            Err(error) if is_missing(&error) => {}
            Err(error) => {
                reading.lacks(Some(error));
                open.push(it);
            }
        }
    }
    for id in told {
        match named(client, id).await {
            Ok(Some(it)) if open.iter().all(|other| other.charge != it.charge) => open.push(it),
            Ok(_) => {}
            Err(error) if is_missing(&error) => {}
            Err(error) => reading.lacks(Some(error)),
        }
    }
    for it in &open {
        if let Some(subscription) = reading.subscriptions.iter_mut().find(|other| other.id == it.subscription) {
            subscription.disputed_since = earlier(subscription.disputed_since, Some(it.since));
        }
    }
    reading.disputed = open;
}

/// What a dispute is about, where that is a subscription and it is not over.
async fn named(client: &Client, id: &str) -> Result<Option<Disputed>, Error> {
    let dispute = client.retrieve_dispute(id).await?;
    let Some(charge) = dispute.charge.map(|it| it.id().to_owned()) else { return Ok(None) };
    let Some(since) = open_since(client, &charge).await? else { return Ok(None) };
    let payment = match dispute.payment_intent {
        Some(payment) => Some(payment),
        None => client.retrieve_charge(&charge).await?.payment_intent,
    };
    let Some(payment) = payment else { return Ok(None) };
    let paid = client.invoice_payments(payment.id()).await?.items;
    let mut invoices = paid.iter().filter_map(|it| it.invoice.as_ref().and_then(Expandable::object));
    let subscription = invoices.find_map(shapes::Invoice::subscription).map(str::to_owned);
    Ok(subscription.map(|subscription| Disputed { charge, subscription, since }))
}

/// Since when a charge is disputed; `None` where it is not, or no longer.
async fn open_since(client: &Client, charge: &str) -> Result<Option<Timestamp>, Error> {
    let disputes = client.charge_disputes(charge).await?.items;
    let open = disputes.iter().filter(|it| !is_over(it));
    Ok(open.fold(None, |since, it| earlier(since, at(it.created).or(Some(Timestamp(0))))))
}

/// Whether a dispute is over, however it ended. A word that is a new one goes on: it is not known to be over.
pub(super) fn is_over(dispute: &shapes::Dispute) -> bool {
    matches!(dispute.status.as_deref(), Some("won" | "warning_closed" | "prevented" | "lost"))
}

pub(super) fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}
