//! Billing: what Stripe tells, and what follows from it here.
//!
//! 1. Stripe delivers an event ([`webhook`]), or is asked for what it could not deliver ([`duties`]). It is kept
//!    with the work that it asks for, at once, in one transaction ([`inbox`]).
//! 2. Any server takes the turn of a customer that is due ([`worker`]), and reads from Stripe what there is
//!    now ([`reading`]): an event says whom to look at, and never what is so.
//! 3. What was read is taken over ([`taking_over`]): facts, timeline, feed, and what becomes of the event, in one
//!    transaction; unless somebody began to read the same customer later.
//! 4. What still differs is kept by name ([`drifts`]) until it is gone.
//!
//! The other way round: a tenant is led to Checkout ([`checkout`]) or to Stripe's portal ([`portal`]), and what staff
//! change of a trial that Stripe runs is written down with the change ([`outbox`]) and then sent ([`sending`]).
//! A Checkout that must not be paid any more is closed ([`closing`]).

pub(crate) mod account;
pub(crate) mod attempts;
pub(crate) mod checkout;
pub(crate) mod checkouts;
mod closing;
mod customers;
pub(crate) mod disputes;
pub(crate) mod drifts;
pub(crate) mod duties;
pub(crate) mod health;
pub(crate) mod inbox;
pub(crate) mod nightly;
pub(crate) mod outbox;
pub(crate) mod poll;
pub(crate) mod portal;
pub(crate) mod prices;
pub(crate) mod reading;
pub(crate) mod repairs;
pub(crate) mod sending;
pub(crate) mod subscriptions;
pub(crate) mod taking_over;
pub(crate) mod webhook;
pub(crate) mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use paywall_domain::Timestamp;
use paywall_domain::billing::{BillingPolicy, Grace, PriceBook};
use paywall_stripe::{Client, ClientOptions, Error, ErrorKind};
use tokio::sync::Notify;

use crate::config::StripeSettings;
use crate::server::State;
use crate::store::StoreError;

use self::checkout::BuyError;
use self::prices::Prices;
use self::reading::error_code;
use self::worker::WorkError;

/// What billing keeps in memory.
pub(crate) struct Billing {
    pub(crate) settings: StripeSettings,
    pub(crate) client: Client,
    pub(crate) prices: Prices,
    due: Notify,
    /// Which loops do not go on, by what is said of it.
    failing: Mutex<BTreeSet<&'static str>>,
    failures: Mutex<Failures>,
    /// Deliveries that were refused and are not counted in the store yet.
    refused: AtomicI64,
}

/// Why Stripe could not be asked, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// A stable word for it.
    pub(crate) code: String,
    /// What a key would have to be allowed.
    pub(crate) missing_permission: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) since: Timestamp,
}

impl Failure {
    fn of(error: &Error, since: Timestamp) -> Self {
        Self {
            code: error_code(error),
            missing_permission: match &error.kind {
                ErrorKind::PermissionMissing { permission, .. } => permission.clone(),
                _ => None,
            },
            request_id: error.request_id.clone(),
            since,
        }
    }
}

/// What is wrong with asking Stripe.
#[derive(Debug, Default)]
struct Failures {
    /// It does not answer, or answers for another account; over with the next answer that is as it should be.
    outage: Option<Failure>,
    /// The key is not allowed an operation. That others are allowed says nothing of it.
    forbidden: BTreeMap<&'static str, Failure>,
}

impl Billing {
    pub(crate) fn new(settings: StripeSettings) -> Result<Self, Error> {
        let user_agent = concat!("paywall-server/", env!("CARGO_PKG_VERSION")).to_owned();
        let options = ClientOptions { user_agent, ..ClientOptions::default() };
        let client = Client::new(&settings.url, settings.key.clone(), options)?;
        Ok(Self {
            settings,
            client,
            prices: Prices::new(),
            due: Notify::new(),
            failing: Mutex::default(),
            failures: Mutex::default(),
            refused: AtomicI64::new(0),
        })
    }

    /// What this installation decides, but for the prices, which the plans name.
    pub(crate) fn policy(&self) -> BillingPolicy {
        BillingPolicy {
            mode: self.settings.mode,
            grace: Grace::days(self.settings.grace_days),
            prices: PriceBook::default(),
        }
    }

    /// Something is due.
    pub(crate) fn wake(&self) {
        self.due.notify_waiters();
    }

    /// Ends when something is due, from when it was asked for on.
    fn woken(&self) -> impl Future<Output = ()> + '_ {
        self.due.notified()
    }

    /// A delivery was not Stripe's.
    fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Deliveries that were refused and are not counted in the store yet.
    pub(crate) fn refused_unwritten(&self) -> i64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Writes how many deliveries were refused: now and then, so that whoever sends many makes no work.
    pub(crate) async fn write_refused(&self, state: &State) -> Result<(), StoreError> {
        let count = self.refused.swap(0, Ordering::Relaxed);
        if count == 0 {
            return Ok(());
        }
        let written = state.store.count_refused(state.clock.now(), count).await;
        if written.is_err() {
            self.refused.fetch_add(count, Ordering::Relaxed);
        }
        written
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why Stripe cannot be asked, all or some of it; `None` = it can, for all that is known.
    pub(crate) fn failure(&self) -> Option<Failure> {
        let mut failures = self.failures();
        failures.forbidden.retain(|operation, _| self.client.is_forbidden(operation));
        failures.outage.clone().or_else(|| failures.forbidden.values().min_by_key(|it| it.since).cloned())
    }

    /// Stripe answered.
    fn answered(&self) {
        self.failures().outage = None;
    }

    /// Stripe could not be asked.
    fn failed(&self, error: &Error, now: Timestamp) {
        let mut failures = self.failures();
        if let (ErrorKind::PermissionMissing { .. }, Some(operation)) = (&error.kind, error.operation) {
            failures.forbidden.entry(operation).or_insert_with(|| {
                tracing::warn!(%error, operation, "Stripe's key lacks a permission");
                Failure::of(error, now)
            });
        } else {
            let since = failures.outage.as_ref().map_or(now, |it| it.since);
            failures.outage = Some(Failure::of(error, since));
        }
    }

    /// What answers is another account, or the other half of this one.
    fn is_another(&self, code: &'static str, now: Timestamp) {
        let mut failures = self.failures();
        let since = failures.outage.as_ref().map_or(now, |it| it.since);
        failures.outage = Some(Failure { code: code.to_owned(), missing_permission: None, request_id: None, since });
    }

    /// Takes note of why work could not be done, where that was Stripe.
    fn note(&self, error: &WorkError, now: Timestamp) {
        match error {
            WorkError::Store(_) => {}
            WorkError::Stripe(error) => self.failed(error, now),
            WorkError::Another(code) => self.is_another(code, now),
        }
    }

    /// Takes note of how asking Stripe went for somebody who buys.
    fn note_asked(&self, error: Option<&BuyError>, now: Timestamp) {
        match error {
            None => self.answered(),
            // What it refuses is no outage.
            Some(BuyError::Stripe(error))
                if !matches!(error.kind, ErrorKind::Refused { .. } | ErrorKind::NotFound { .. }) =>
            {
                self.failed(error, now);
            }
            Some(BuyError::Another(code)) => self.is_another(code, now),
            Some(_) => {}
        }
    }

    /// Logs why something did not go on, once per outage of it.
    fn noted(&self, what: &'static str, done: Result<(), WorkError>) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        match done {
            Ok(()) => drop(failing.remove(what)),
            Err(error) => {
                if failing.insert(what) {
                    tracing::error!(%error, "{what}");
                }
            }
        }
    }
}
