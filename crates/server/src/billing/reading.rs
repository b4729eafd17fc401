//! What Stripe has of a customer, read anew and brought into the words of the rules.

use std::collections::BTreeMap;

use paywall_domain::billing::{Invoice, StripeSubscription};
use paywall_domain::{SubscriptionStatus, Timestamp};
use paywall_stripe::facts::{self, at};
use paywall_stripe::parameters::InvoicesQuery;
use paywall_stripe::shapes::{self, Expandable, PaymentIntent};
use paywall_stripe::{Client, Error, ErrorKind};

use super::disputes::{self, Disputed};
use super::outbox;

/// Paid invoices that are looked through for the latest that cost something.
const PAID_LOOKED_AT: u8 = 10;

/// What was read of a customer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Reading {
    pub(crate) subscriptions: Vec<StripeSubscription>,
    /// Whether Stripe says that the customer was deleted, or never was.
    pub(crate) gone: bool,
    /// Subscriptions that are there and could not be read, with why.
    pub(crate) unreadable: BTreeMap<String, String>,
    /// Subscriptions that took money when they were last read, and that Stripe does not have at all. It keeps those
    /// that are over, too: whether it is the same account has to be seen before that is believed.
    pub(crate) lost: Vec<String>,
    /// Why something could not be read on which no access depends: what was known of it stays.
    pub(crate) lacking: Option<Error>,
    /// Charges that are disputed.
    pub(crate) disputed: Vec<Disputed>,
}

impl Reading {
    /// Of several things that could not be read, one that another try may read is told.
    pub(super) fn lacks(&mut self, error: Option<Error>) {
        if let Some(error) = error.filter(|it| self.lacking.is_none() || it.passing()) {
            self.lacking = Some(error);
        }
    }
}

/// Reads every subscription of a customer. `known`: those that were read before; those that are not listed are read by
/// themselves.
pub(crate) async fn customer(client: &Client, id: &str, known: &[StripeSubscription]) -> Result<Reading, Error> {
    let mut reading = Reading::default();
    let mut found = Vec::new();
    match client.customer_subscriptions(id).await {
        Ok(page) => {
            found = page.items;
            for it in page.unreadable {
                reading.unreadable.insert(it.id, format!("{}: {}", it.path, it.error));
            }
        }
        Err(error) if is_missing(&error) => reading.gone = true,
        Err(error) => return Err(error),
    }
    for before in known {
        let listed = found.iter().any(|it| it.id == before.id) || reading.unreadable.contains_key(&before.id);
        if listed || !(reading.gone || before.live()) {
            continue;
        }
        match client.retrieve_subscription(&before.id).await {
            Ok(it) => found.push(it),
            Err(error) if is_missing(&error) && before.live() => reading.lost.push(before.id.clone()),
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    for it in found {
        match base(&it) {
            Ok(mut subscription) => {
                let before = known.iter().find(|before| before.id == it.id);
                reading.lacks(complete(client, &it, &mut subscription, before).await?);
                reading.subscriptions.push(subscription);
            }
            Err(lacking) => drop(reading.unreadable.insert(it.id, lacking)),
        }
    }
    Ok(reading)
}

/// Whether Stripe does not have it.
pub(crate) fn is_missing(error: &Error) -> bool {
    match &error.kind {
        ErrorKind::NotFound { .. } => true,
        ErrorKind::Refused { code, .. } => code.as_deref() == Some("resource_missing"),
        _ => false,
    }
}

/// A stable word for why Stripe could not be asked.
pub(crate) fn error_code(error: &Error) -> String {
    match &error.kind {
        ErrorKind::Unauthorized { .. } => "stripe_key_unknown".to_owned(),
        ErrorKind::PermissionMissing { permission, .. } => {
            format!("stripe_permission_missing {}", permission.as_deref().unwrap_or_default()).trim_end().to_owned()
        }
        ErrorKind::NotFound { .. } | ErrorKind::NotOffered { .. } => "stripe_object_missing".to_owned(),
        ErrorKind::Refused { .. } | ErrorKind::Address(_) => "stripe_refused".to_owned(),
        ErrorKind::RateLimited => "stripe_rate_limited".to_owned(),
        ErrorKind::Transport(_) => "stripe_unreachable".to_owned(),
        ErrorKind::Server(_) => "stripe_failing".to_owned(),
        ErrorKind::Unreadable { .. } => "stripe_unreadable".to_owned(),
    }
}

/// What the object itself says. `Err`: what it lacks, without which nothing can be said of it.
pub(crate) fn base(it: &shapes::Subscription) -> Result<StripeSubscription, String> {
    facts::subscription(it, outbox::is_paused_here(it))
}

/// Adds what hangs on it and the object itself does not say: what is owed and why, what went back. Answers why
/// something of it could not be read on which no access depends; what is known of that by `before` stays.
pub(crate) async fn complete(
    client: &Client,
    it: &shapes::Subscription,
    subscription: &mut StripeSubscription,
    before: Option<&StripeSubscription>,
) -> Result<Option<Error>, Error> {
    let mut lacking = None;
    match subscription.status.known() {
        Some(SubscriptionStatus::PastDue | SubscriptionStatus::Unpaid | SubscriptionStatus::Incomplete) => {
            subscription.open_invoices = open(client, &it.id).await?;
            let explained = explain(client, subscription).await;
            if let Err(error) = explained.and(last_attempt(client, subscription).await) {
                keep_reasons(subscription, before);
                lacking = Some(error);
            }
        }
        Some(SubscriptionStatus::Canceled | SubscriptionStatus::IncompleteExpired) => return Ok(None),
        _ => {}
    }
    match reversals(client, it).await {
        Ok(back) => (subscription.refunded_at, subscription.disputed_since) = (back.refunded_at, back.disputed_since),
        Err(error) => {
            keep_reversals(subscription, before);
            lacking = lacking.filter(Error::passing).or(Some(error));
        }
    }
    Ok(lacking)
}

/// Why the newest of the open invoices is not paid.
async fn explain(client: &Client, subscription: &mut StripeSubscription) -> Result<(), Error> {
    let newest = subscription.open_invoices.iter().max_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
    let Some(id) = newest.map(|it| it.id.clone()) else { return Ok(()) };
    let whole = facts::invoice(&client.retrieve_invoice(&id).await?);
    subscription.latest_invoice =
        subscription.latest_invoice.take().map(|it| if it.id == id { whole.clone() } else { it });
    subscription.open_invoices.retain(|it| it.id != id);
    subscription.open_invoices.push(whole);
    subscription.open_invoices.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
    Ok(())
}

/// When Stripe last tried to take what is owed for longest, where it gave up: since then there is no access.
async fn last_attempt(client: &Client, subscription: &mut StripeSubscription) -> Result<(), Error> {
    let gave_up = subscription.status.known() == Some(SubscriptionStatus::Unpaid);
    let Some(id) = subscription.oldest_owed().filter(|_| gave_up).map(|it| it.id.clone()) else { return Ok(()) };
    let Some(charge) = charge_of(&client.retrieve_invoice(&id).await?) else { return Ok(()) };
    let tried = at(client.retrieve_charge(&charge).await?.created);
    for invoice in subscription.open_invoices.iter_mut().chain(&mut subscription.latest_invoice) {
        if invoice.id == id {
            invoice.last_attempt_at = tried;
        }
    }
    Ok(())
}

/// What is known of why invoices are not paid, where that cannot be read.
fn keep_reasons(subscription: &mut StripeSubscription, before: Option<&StripeSubscription>) {
    let known = || before.into_iter().flat_map(|it| it.open_invoices.iter().chain(&it.latest_invoice));
    for invoice in subscription.open_invoices.iter_mut().chain(&mut subscription.latest_invoice) {
        if let Some(known) = known().find(|it| it.id == invoice.id && it.attempts == invoice.attempts) {
            invoice.failure.clone_from(&known.failure);
            invoice.action_required = known.action_required;
            invoice.last_attempt_at = known.last_attempt_at;
        }
    }
}

/// What is known of what went back, where that is not read: of a refund as long as the latest invoice is the same.
pub(crate) fn keep_reversals(subscription: &mut StripeSubscription, before: Option<&StripeSubscription>) {
    let latest = |it: &StripeSubscription| it.latest_invoice.as_ref().map(|it| it.id.clone());
    let same = before.filter(|it| latest(it) == latest(subscription));
    subscription.refunded_at = same.and_then(|it| it.refunded_at);
    subscription.disputed_since = before.and_then(|it| it.disputed_since);
}

/// What went back of what was paid, or may go back.
#[derive(Default)]
struct Reversals {
    refunded_at: Option<Timestamp>,
    disputed_since: Option<Timestamp>,
}

/// What went back of the latest payment.
async fn reversals(client: &Client, it: &shapes::Subscription) -> Result<Reversals, Error> {
    let mut found = Reversals::default();
    let latest = it.latest_invoice.as_ref().and_then(Expandable::object);
    let costing = |it: &shapes::Invoice| it.status.as_deref() == Some("paid") && it.amount_paid.unwrap_or(0) > 0;
    let paid = if let Some(latest) = latest.filter(|it| costing(it)) {
        Some(latest.id.clone())
    } else {
        let query = InvoicesQuery {
            subscription: Some(it.id.clone()),
            status: Some("paid".to_owned()),
            limit: Some(PAID_LOOKED_AT),
            ..InvoicesQuery::default()
        };
        client.list_invoices(&query).await?.items.into_iter().find(costing).map(|it| it.id)
    };
    let Some(paid) = paid else { return Ok(found) };
    let Some(charge) = charge_of(&client.retrieve_invoice(&paid).await?) else { return Ok(found) };
    let charge = client.retrieve_charge(&charge).await?;
    let back = charge.refunded == Some(true)
        || charge.amount.is_some_and(|amount| amount > 0 && charge.amount_refunded.unwrap_or(0) >= amount);
    if back {
        let refunds = charge.refunds.iter().flat_map(|it| &it.data);
        let last = refunds.filter_map(|it| it.created).max();
        found.refunded_at = at(last.or(charge.created));
    }
    if charge.disputed == Some(true) {
        for dispute in client.charge_disputes(&charge.id).await?.items {
            let since = at(dispute.created.or(charge.created));
            if !disputes::is_over(&dispute) {
                found.disputed_since = disputes::earlier(found.disputed_since, since);
            } else if dispute.status.as_deref() == Some("lost") {
                found.refunded_at = found.refunded_at.or(since);
            }
        }
    }
    Ok(found)
}

/// Every open invoice of a subscription.
async fn open(client: &Client, subscription: &str) -> Result<Vec<Invoice>, Error> {
    let mut query = InvoicesQuery {
        subscription: Some(subscription.to_owned()),
        status: Some("open".to_owned()),
        ..InvoicesQuery::default()
    };
    let mut all = Vec::new();
    loop {
        let page = client.list_invoices(&query).await?;
        all.extend(page.items.iter().map(facts::invoice));
        let same = page.last_id == query.starting_after;
        query.starting_after = page.last_id;
        if !page.has_more || same || query.starting_after.is_none() {
            return Ok(all);
        }
    }
}

/// The charge by which an invoice was paid.
fn charge_of(it: &shapes::Invoice) -> Option<String> {
    let by = it.payment()?.payment.as_ref()?;
    let intent: Option<&PaymentIntent> = by.payment_intent.as_ref().and_then(Expandable::object);
    let charge = intent.and_then(|it| it.latest_charge.as_ref()).or(by.charge.as_ref())?;
    Some(charge.id().to_owned())
}
