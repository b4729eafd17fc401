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

pub(crate) mod account;
pub(crate) mod attempts;
pub(crate) mod checkout;
pub(crate) mod checkouts;
mod customers;
pub(crate) mod drifts;
pub(crate) mod duties;
pub(crate) mod health;
pub(crate) mod inbox;
pub(crate) mod ledger;
pub(crate) mod nightly;
pub(crate) mod outbox;
pub(crate) mod poll;
pub(crate) mod portal;
pub(crate) mod prices;
pub(crate) mod reading;
pub(crate) mod repairs;
pub(crate) mod sending;
pub(crate) mod taking_over;
pub(crate) mod webhook;
pub(crate) mod worker;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use paywall_domain::Timestamp;
use paywall_domain::billing::{BillingPolicy, Grace, PriceBook};
use paywall_stripe::{Client, ClientOptions, Error, ErrorKind};
use tokio::sync::Notify;

use crate::config::StripeSettings;
use crate::server::State;
use crate::store::StoreError;

use self::checkout::BuyError;
use self::prices::Prices;
use self::worker::WorkError;

/// What billing keeps in memory.
pub(crate) struct Billing {
    pub(crate) settings: StripeSettings,
    pub(crate) client: Client,
    pub(crate) prices: Prices,
    due: Notify,
    failing: AtomicBool,
    failure: Mutex<Option<Failure>>,
    /// Deliveries that were refused and are not counted in the store yet.
    refused: AtomicI64,
}

/// Why Stripe could not be asked, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) since: Timestamp,
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
            failing: AtomicBool::new(false),
            failure: Mutex::new(None),
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

    /// Why Stripe cannot be asked; `None` = it can, for all that is known.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stripe answered.
    fn answered(&self) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Stripe could not be asked.
    fn failed(&self, error: &Error, now: Timestamp) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let since = failure.as_ref().map_or(now, |it| it.since);
        *failure = Some(Failure { error: error.clone(), since });
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
            Some(_) => {}
        }
    }

    /// Logs why something did not go on, once per outage.
    fn noted(&self, what: &str, done: Result<(), WorkError>) {
        match done {
            Ok(()) => self.failing.store(false, Ordering::Relaxed),
            Err(error) => {
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "{what}");
                }
            }
        }
    }
}
