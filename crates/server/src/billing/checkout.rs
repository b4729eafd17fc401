//! Leads a tenant to Checkout.
//!
//! 1. It gets a customer in Stripe, once ([`customers`]).
//! 2. What Stripe has of it is read anew, and the rules say on what terms it may buy.
//! 3. An attempt is kept, then Stripe is asked under the attempt's key: whoever is killed in between, or asks at the
//!    same time, gets the same session.
//! 4. A session that stands is given again at the same terms. At other terms it is closed first, so that no two
//!    can be paid.

use paywall_domain::billing::{
    BillingPolicy, CheckoutOffer, CheckoutRefusal, CheckoutTerms, CheckoutTrial, PriceBook, StripeSubscription,
    checkout_terms,
};
use paywall_domain::{PlanId, TenantId, Timestamp};
use paywall_stripe::parameters::{self, NewCheckoutSession};
use paywall_stripe::shapes::{CheckoutSession, Metadata};
use paywall_stripe::{Error, ErrorKind, IdempotencyKey};

use super::attempts::{self, Attempt, Request};
use super::checkouts::Seen;
use super::reading;
use super::worker::{self, WorkError};
use super::{Billing, checkouts, customers, nightly, subscriptions};
use crate::server::State;
use crate::store::time::rolled;
use crate::store::{StoreError, plans, tenants};
use paywall_stripe::facts::{TENANT, at};

/// How often it is begun anew where somebody else was faster.
const ROUNDS: usize = 8;

/// A session that closes so soon is not given again: there has to be time to pay.
const TIME_TO_PAY_MS: i64 = 10 * 60_000;

/// How long a session is open whose trial counts from payment: whoever pays later has a longer one.
const DAYS_OPEN_MS: i64 = 45 * 60_000;

/// What somebody wants to buy.
#[derive(Debug, Clone)]
pub(crate) struct Want {
    pub(crate) tenant: TenantId,
    pub(crate) plan: PlanId,
    /// One of the plan's; the first without it.
    pub(crate) price: Option<String>,
    /// The page's language, where it is known.
    pub(crate) locale: Option<&'static str>,
}

/// Where it is paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) url: String,
    pub(crate) expires_at: Timestamp,
}

/// Why there is no way to Checkout, or to the portal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuyError {
    #[error("there is no such tenant")]
    NoTenant,
    #[error("there is no such plan")]
    NoPlan,
    #[error("set public_url (PAYWALL_PUBLIC_URL): Stripe has to know where to lead back to")]
    NoAddress,
    #[error("this tenant has no customer in Stripe yet")]
    NoCustomer,
    #[error("{0}")]
    Refused(CheckoutRefusal),
    /// This session was paid; what follows from it is on its way.
    #[error("it was just paid; what follows from it is in force in a moment")]
    Paid { session: String },
    #[error("a subscription cannot be read ({0}); nothing is sold beside it")]
    Unreadable(String),
    #[error("others are buying for the same tenant; try again")]
    Busy,
    #[error("Stripe: {0}")]
    Stripe(#[from] Error),
    #[error("the server's key is not of the account whose subscriptions are kept here ({0})")]
    Another(&'static str),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<WorkError> for BuyError {
    fn from(error: WorkError) -> Self {
        match error {
            WorkError::Store(error) => Self::Store(error),
            WorkError::Stripe(error) => Self::Stripe(error),
            WorkError::Another(code) => Self::Another(code),
        }
    }
}

impl From<CheckoutRefusal> for BuyError {
    fn from(refusal: CheckoutRefusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The session in which the tenant pays for what is wanted.
pub(crate) async fn open(state: &State, billing: &Billing, want: &Want) -> Result<Link, BuyError> {
    let opened = open_once(state, billing, want).await;
    billing.note_asked(opened.as_ref().err(), state.clock.now());
    opened
}

async fn open_once(state: &State, billing: &Billing, want: &Want) -> Result<Link, BuyError> {
    let address = state.config.public_url.as_deref().ok_or(BuyError::NoAddress)?;
    let address = address.trim_end_matches('/');
    if customers::known(state, &want.tenant).await?.is_none() {
        // What can be refused without Stripe is refused before it gets a customer there, and with it a portal.
        terms(state, billing, want, None, &[], 1).await?;
    }
    for _ in 0..ROUNDS {
        let customer = customers::of(state, billing, &want.tenant).await?;
        let mut read = state.store.read().await?;
        let newest = attempts::newest(&mut read, &want.tenant).await?;
        drop(read);
        let standing = standing(state, billing, &want.tenant, newest.as_ref()).await?;
        let next = newest.map_or(1, |it| it.number + i64::from(standing.is_none()));
        let read = worker::read(state, billing, &customer).await?;
        if let Some((id, why)) = read.unreadable.first_key_value() {
            return Err(BuyError::Unreadable(format!("{id}: {why}")));
        }
        let asked = request(state, billing, want, &customer, &read.subscriptions, next, address).await;
        let Some((attempt, session)) = standing else {
            let asked = asked?;
            if read.gone {
                customers::replace(state, billing, &want.tenant, &customer).await?;
                continue;
            }
            let now = state.clock.now();
            let Some(begun) = state.store.begin_attempt(&want.tenant, next, &asked, now).await? else { continue };
            match finish(state, billing, &want.tenant, &begun, &asked).await {
                Err(BuyError::Stripe(error)) if lacks_customer(&error) => {
                    customers::replace(state, billing, &want.tenant, &customer).await?;
                    continue;
                }
                // Under this attempt's key Stripe answers nothing else any more: the next has another.
                Err(BuyError::Stripe(error)) if error.replayed => continue,
                finished => return link(&finished?, now),
            }
        };
        let now = state.clock.now();
        let lasts = at(session.expires_at).is_none_or(|end| end.ms_since(now) >= TIME_TO_PAY_MS);
        if let (Ok(asked), Some(before)) = (&asked, &attempt.request)
            && asked.same_terms(before)
            && lasts
            && !read.gone
            && session.url.is_some()
        {
            return link(&session, now);
        }
        // Also where nothing may be bought now: else it still could.
        close(state, billing, &session).await?;
        asked?;
    }
    Err(BuyError::Busy)
}

/// The tenant's session that is open in Stripe. What it came to otherwise is kept.
async fn standing(
    state: &State,
    billing: &Billing,
    tenant: &TenantId,
    newest: Option<&Attempt>,
) -> Result<Option<(Attempt, CheckoutSession)>, BuyError> {
    let Some(attempt) = newest.filter(|it| it.open) else { return Ok(None) };
    let session = match (&attempt.session, &attempt.request) {
        (Some(id), _) => id.clone(),
        // Stripe was asked, and nobody knows what it answered: it answers the same again.
        (None, Some(request)) => match finish(state, billing, tenant, attempt, request).await {
            Ok(session) => session.id,
            Err(BuyError::Stripe(error)) if !error.passing() => return Ok(None),
            Err(error) => return Err(error),
        },
        (None, None) => return Ok(None),
    };
    let found = match billing.client.retrieve_checkout_session(&session).await {
        Ok(found) => found,
        Err(error) if reading::is_missing(&error) => {
            note(state, &Seen::expired(&session)).await?;
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    match found.status.as_deref() {
        Some("open") => Ok(Some((attempt.clone(), found))),
        Some("complete") => {
            note(state, &Seen::of(&found)).await?;
            let bought = found.subscription.as_ref().map(|it| it.id().to_owned());
            if recorded(state, tenant).await? == bought {
                // It was taken over, and what may be bought now follows from it.
                return Ok(None);
            }
            if let Some(customer) = &found.customer {
                nightly::look_at(state, billing, customer.id()).await?;
            }
            Err(BuyError::Paid { session })
        }
        _ => {
            note(state, &Seen::expired(&session)).await?;
            Ok(None)
        }
    }
}

/// The tenant's subscription on record.
async fn recorded(state: &State, tenant: &TenantId) -> Result<Option<String>, StoreError> {
    let mut read = state.store.read().await?;
    let row = tenants::get(&mut read, tenant).await?;
    Ok(row.and_then(|it| it.facts.subscription).map(|it| it.id))
}

/// Notes how far a session has come.
pub(crate) async fn note(state: &State, seen: &Seen) -> Result<(), StoreError> {
    let mut write = state.store.write_beside().await?;
    checkouts::note(&mut write, seen, state.clock.now()).await?;
    Ok(write.commit().await?)
}

/// Closes a session. Where somebody was faster, the next look tells what came of it.
async fn close(state: &State, billing: &Billing, session: &CheckoutSession) -> Result<(), BuyError> {
    let expire = |key| async move { billing.client.expire_checkout_session(&session.id, &key).await };
    match under_key(&["expire", &session.id], expire).await {
        Ok(_) => Ok(note(state, &Seen::expired(&session.id)).await?),
        Err(BuyError::Stripe(error))
            if matches!(error.kind, ErrorKind::Refused { .. } | ErrorKind::NotFound { .. }) =>
        {
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// On what terms it may buy now, or why it may not.
async fn terms(
    state: &State,
    billing: &Billing,
    want: &Want,
    customer: Option<&str>,
    fresh: &[StripeSubscription],
    number: i64,
) -> Result<CheckoutTerms, BuyError> {
    let now = state.clock.now();
    let mut read = state.store.read().await?;
    let row = tenants::get(&mut read, &want.tenant).await?.ok_or(BuyError::NoTenant)?;
    let row = rolled(&mut read, row, now).await?;
    let all = plans::all(&mut read).await?;
    let plan = all.get(&want.plan).cloned().ok_or(BuyError::NoPlan)?;
    let kept = subscriptions::of_tenant(&mut read, &want.tenant, customer).await?;
    let paywall = subscriptions::side(&mut read, &row).await?;
    drop(read);
    // What was just read of the customer stands for what was kept of it.
    let mut stripe: Vec<StripeSubscription> =
        kept.into_iter().filter(|it| Some(it.customer.as_str()) != customer).collect();
    stripe.extend(fresh.iter().cloned());
    let policy = BillingPolicy { prices: PriceBook::of(&all.into_list()), ..billing.policy() };
    let offer = CheckoutOffer {
        paywall: &paywall,
        stripe: &stripe,
        plan: &plan,
        price: want.price.as_deref(),
        attempt: u32::try_from(number).unwrap_or(u32::MAX),
    };
    Ok(checkout_terms(&offer, &policy, now)?)
}

/// What would be asked for now, or why nothing can be.
async fn request(
    state: &State,
    billing: &Billing,
    want: &Want,
    customer: &str,
    fresh: &[StripeSubscription],
    number: i64,
    address: &str,
) -> Result<Request, BuyError> {
    let terms = terms(state, billing, want, Some(customer), fresh, number).await?;
    let metered = match billing.prices.get(&billing.client, &terms.price).await {
        Ok(price) => price.is_some_and(|it| it.metered),
        // A key that may not read prices may sell all the same, as most are: at so much each.
        Err(error) if matches!(error.kind, ErrorKind::PermissionMissing { .. }) => {
            billing.failed(&error, state.clock.now());
            false
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Request {
        key: terms.key,
        customer: customer.to_owned(),
        plan: terms.plan,
        price: terms.price,
        quantity: (!metered).then_some(1),
        trial: terms.trial,
        success_url: format!("{address}/paywall/return?session_id={{CHECKOUT_SESSION_ID}}"),
        cancel_url: format!("{address}/paywall/"),
        locale: want.locale.map(str::to_owned),
        settings: billing.settings.checkout,
    })
}

/// Has Stripe open the session of an attempt, or tell of the one that it has opened for it.
pub(super) async fn finish(
    state: &State,
    billing: &Billing,
    tenant: &TenantId,
    attempt: &Attempt,
    asked: &Request,
) -> Result<CheckoutSession, BuyError> {
    let new = NewCheckoutSession {
        customer: asked.customer.clone(),
        client_reference_id: tenant.as_str().to_owned(),
        price: asked.price.clone(),
        quantity: asked.quantity,
        success_url: asked.success_url.clone(),
        cancel_url: asked.cancel_url.clone(),
        expires_at: match asked.trial {
            // Of when the attempt was begun: under one key Stripe takes the same only.
            CheckoutTrial::Days { .. } => Some(attempt.opened_at.plus_ms(DAYS_OPEN_MS).0.div_euclid(1000)),
            CheckoutTrial::None | CheckoutTrial::Until { .. } => None,
        },
        locale: asked.locale.clone(),
        trial: match asked.trial {
            CheckoutTrial::None => None,
            CheckoutTrial::Until { trial_end } => Some(parameters::CheckoutTrial::Until(trial_end.0.div_euclid(1000))),
            CheckoutTrial::Days { days } => Some(parameters::CheckoutTrial::Days(days)),
        },
        allow_promotion_codes: asked.settings.promotion_codes,
        automatic_tax: asked.settings.automatic_tax,
        tax_id_collection: asked.settings.tax_ids,
        billing_address: asked.settings.billing_address,
        metadata: Metadata::from([(TENANT.to_owned(), tenant.as_str().to_owned())]),
    };
    // With when it was begun: a database that was put back counts attempts anew.
    let begun = attempt.opened_at.0.to_string();
    let key = key(&[state.store.instance(), &asked.key, &begun])?;
    match billing.client.create_checkout_session(&new, &key).await {
        Ok(session) => {
            state.store.attempt_opened(tenant, attempt.number, &session).await?;
            tracing::info!(
                tenant = tenant.as_str(),
                session = session.id,
                plan = asked.plan.as_str(),
                "Checkout opened"
            );
            Ok(session)
        }
        Err(error) => {
            if !error.passing() {
                state.store.attempt_refused(tenant, attempt.number).await?;
            }
            Err(error.into())
        }
    }
}

/// Whether Stripe says that the customer is not there: somebody deleted it. Its subscriptions are listed all the same.
fn lacks_customer(error: &Error) -> bool {
    matches!(&error.kind, ErrorKind::Refused { parameter: Some(parameter), code: Some(code), .. }
        if parameter == "customer" && code == "resource_missing")
}

fn link(session: &CheckoutSession, now: Timestamp) -> Result<Link, BuyError> {
    let url = session.url.clone().ok_or(BuyError::Busy)?;
    Ok(Link { url, expires_at: at(session.expires_at).unwrap_or_else(|| now.plus_days(1)) })
}

/// How often something is asked for under another key, where Stripe only repeats a failure under the one before.
const KEYS: usize = 5;

/// Asks under a key that is the same for the same parts, so that whoever asks again makes nothing twice. A failure on
/// Stripe's side is repeated under its key for a day; then the next of a series that is the same for everybody holds.
pub(super) async fn under_key<T, A: Future<Output = Result<T, Error>>>(
    parts: &[&str],
    ask: impl Fn(IdempotencyKey) -> A,
) -> Result<T, BuyError> {
    let mut repeated = None;
    for number in 0..KEYS {
        let number = number.to_string();
        let parts: Vec<&str> = if repeated.is_none() { parts.to_vec() } else { [parts, &[&number]].concat() };
        match ask(key(&parts)?).await {
            Err(error) if error.replayed && matches!(error.kind, ErrorKind::Server(_)) => repeated = Some(error),
            answer => return Ok(answer?),
        }
    }
    Err(repeated.map_or(BuyError::Busy, BuyError::Stripe))
}

/// A key that is the same for the same parts, and tells nothing.
pub(super) fn key(parts: &[&str]) -> Result<IdempotencyKey, BuyError> {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    // Hexadecimal digits are always a key.
    IdempotencyKey::new(format!("paywall-{}", hex::encode(hash.finalize()))).map_err(|_| BuyError::Busy)
}
