//! What plans cost, as Stripe has it, remembered for a while.

use std::collections::BTreeMap;
use std::time::Duration;

use moka::future::Cache;
use paywall_domain::Plan;
use paywall_domain::billing::{Interval, Money};
use paywall_stripe::{Client, Error, shapes};

use super::reading::is_missing;

/// How long a price is taken for what it was. An amount never changes in Stripe; whether it is sold may.
const FRESH: Duration = Duration::from_secs(600);

/// How long it is not asked again where Stripe did not answer.
const PAUSE: Duration = Duration::from_secs(10);

/// How long a page waits for prices that are not known.
const PATIENCE: Duration = Duration::from_secs(3);

/// More prices than plans have.
const MANY: u64 = 1_000;

/// A price as a customer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) price: String,
    /// `None` where the amount depends on how much is used.
    pub(crate) amount: Option<Money>,
    /// Every how many of what; `None` where it does not recur.
    pub(crate) every: Option<(u32, Interval)>,
    pub(crate) metered: bool,
    /// Whether it is sold.
    pub(crate) active: bool,
}

impl Offer {
    fn of(it: &shapes::Price) -> Self {
        let recurring = it.recurring.as_ref();
        let count = recurring.and_then(|it| it.interval_count).and_then(|it| u32::try_from(it).ok()).unwrap_or(1);
        let interval = recurring.and_then(|it| it.interval.as_deref()).and_then(Interval::parse);
        Self {
            price: it.id.clone(),
            amount: it.unit_amount.zip(it.currency.as_deref()).map(|(minor, currency)| Money::new(minor, currency)),
            every: interval.map(|it| (count, it)),
            metered: recurring.and_then(|it| it.usage_type.as_deref()) == Some("metered"),
            active: it.active != Some(false),
        }
    }

    /// Of a price that Stripe could not be asked about: it is told in Checkout.
    fn unknown(price: &str) -> Self {
        Self { price: price.to_owned(), amount: None, every: None, metered: false, active: true }
    }
}

/// Prices by id.
pub(crate) struct Prices {
    /// `None` = Stripe has none such.
    known: Cache<String, Option<Offer>>,
    /// What was last known, for while Stripe is away.
    last: Cache<String, Offer>,
    unanswered: Cache<String, ()>,
}

impl Prices {
    pub(super) fn new() -> Self {
        let cache = || Cache::builder().max_capacity(MANY);
        Self {
            known: cache().time_to_live(FRESH).build(),
            last: Cache::builder().max_capacity(MANY).build(),
            unanswered: Cache::builder().max_capacity(MANY).time_to_live(PAUSE).build(),
        }
    }

    /// A price; `None` where Stripe has none such, or nothing is known of it.
    pub(crate) async fn get(&self, client: &Client, price: &str) -> Option<Offer> {
        if self.unanswered.contains_key(price) {
            return self.last.get(price).await;
        }
        let asked = async {
            match client.retrieve_price(price).await {
                Ok(found) => Ok(Some(Offer::of(&found))),
                Err(error) if is_missing(&error) => Ok(None),
                Err(error) => Err(error),
            }
        };
        let found = self.known.try_get_with(price.to_owned(), Box::pin(asked)).await;
        match found {
            Ok(Some(offer)) => {
                self.last.insert(price.to_owned(), offer.clone()).await;
                Some(offer)
            }
            Ok(None) => None,
            Err(error) => {
                let error: &Error = &error;
                tracing::warn!(%error, price, "a price could not be read; it is not shown until it can");
                self.unanswered.insert(price.to_owned(), ()).await;
                self.last.get(price).await
            }
        }
    }

    /// What each of these plans costs, those that are sold. Where Stripe does not answer in time, the price is told
    /// in Checkout.
    pub(crate) async fn of(&self, client: &Client, plans: &[Plan]) -> BTreeMap<String, Offer> {
        let ids: Vec<&String> = plans.iter().flat_map(|it| &it.stripe_prices).collect();
        let each = ids.iter().map(|id| async move {
            match tokio::time::timeout(PATIENCE, self.get(client, id)).await {
                Ok(Some(offer)) => Some(offer),
                // Stripe says that there is none such: nothing can be bought at it.
                Ok(None) if self.known.contains_key(*id) => None,
                Ok(None) | Err(_) => Some(Offer::unknown(id)),
            }
        });
        let found = futures::future::join_all(each).await;
        found.into_iter().flatten().filter(|it| it.active).map(|it| (it.price.clone(), it)).collect()
    }
}
