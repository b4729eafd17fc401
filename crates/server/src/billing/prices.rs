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

    /// A price for whoever buys at it; `None` where Stripe has none such.
    ///
    /// # Errors
    /// Why Stripe does not tell, where nothing was known of it before either: it is not sold by guess.
    pub(crate) async fn get(&self, client: &Client, price: &str) -> Result<Option<Offer>, Error> {
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
                Ok(Some(offer))
            }
            Ok(None) => Ok(None),
            Err(error) => match self.last.get(price).await {
                // What it is does not change; whether it is sold, Stripe says when it is bought.
                Some(last) => Ok(Some(last)),
                None => Err(Error::clone(&error)),
            },
        }
    }

    /// A price for a page; where Stripe does not answer in time, as it was last known, else as one that is told in
    /// Checkout. `None` where Stripe has none such.
    async fn shown(&self, client: &Client, price: &str) -> Option<Offer> {
        if !self.unanswered.contains_key(price) {
            let why = match tokio::time::timeout(PATIENCE, self.get(client, price)).await {
                Ok(Ok(found)) => return found,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer came in time".to_owned(),
            };
            tracing::warn!(error = why, price, "a price could not be read; it is not shown until it can");
            self.unanswered.insert(price.to_owned(), ()).await;
        }
        Some(self.last.get(price).await.unwrap_or_else(|| Offer::unknown(price)))
    }

    /// What each of these plans costs, those that are sold. Where Stripe does not answer in time, the price is told
    /// in Checkout.
    pub(crate) async fn of(&self, client: &Client, plans: &[Plan]) -> BTreeMap<String, Offer> {
        let ids: Vec<&String> = plans.iter().flat_map(|it| &it.stripe_prices).collect();
        let found = futures::future::join_all(ids.iter().map(|id| self.shown(client, id))).await;
        found.into_iter().flatten().filter(|it| it.active).map(|it| (it.price.clone(), it)).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Instant;

    use axum::extract::State;
    use axum::{Json, Router};
    use paywall_stripe::{Limits, StripeKey};
    use serde_json::{Value, json};

    use super::*;
    use crate::config::built_in_plans;

    /// A Stripe that tells of one price until it hangs.
    async fn stripe() -> (Arc<AtomicBool>, Client) {
        let hangs = Arc::new(AtomicBool::new(false));
        let answer = async |State(hangs): State<Arc<AtomicBool>>| {
            if hangs.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            Json::<Value>(json!({"id": "price_1", "object": "price", "unit_amount": 4900, "currency": "eur",
                "recurring": {"interval": "month", "interval_count": 1, "usage_type": "metered"}}))
        };
        let router = Router::new().fallback(answer).with_state(Arc::clone(&hangs));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (hangs, Client::new(&url, StripeKey::new("rk_test_1"), Limits::NONE).unwrap())
    }

    #[tokio::test]
    async fn a_stripe_that_hangs_is_waited_for_once_and_takes_no_price_from_the_page() {
        let (hangs, client) = stripe().await;
        let mut plans = built_in_plans();
        plans.truncate(1);
        plans[0].stripe_prices = vec!["price_1".to_owned()];
        let prices = Prices::new();
        let shown = prices.of(&client, &plans).await;
        assert_eq!(shown["price_1"].amount, Some(Money::new(4900, "eur")));
        prices.known.invalidate_all();
        hangs.store(true, Ordering::SeqCst);
        assert_eq!(prices.of(&client, &plans).await, shown, "as it was last known");
        let began = Instant::now();
        assert_eq!(prices.of(&client, &plans).await, shown);
        assert!(began.elapsed() < PATIENCE / 2, "the next visitor waits for nothing");
    }

    #[tokio::test]
    async fn a_price_that_cannot_be_read_is_not_taken_for_one_that_is_not_metered() {
        let (_, client) = stripe().await;
        let prices = Prices::new();
        assert!(prices.get(&client, "price_1").await.unwrap().unwrap().metered);
        // Nothing listens there any more.
        let away = Client::new("http://127.0.0.1:9", StripeKey::new("rk_test_1"), Limits::NONE).unwrap();
        prices.known.invalidate_all();
        assert!(prices.get(&away, "price_1").await.unwrap().unwrap().metered);
        let nothing_known = Prices::new();
        assert!(nothing_known.get(&away, "price_1").await.unwrap_err().passing());
    }
}
