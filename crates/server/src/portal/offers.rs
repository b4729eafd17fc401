//! What a customer can do about its payments: which plans it can buy, and what it changes in Stripe's portal.

use std::collections::BTreeMap;

use paywall_domain::Timestamp;
use paywall_domain::billing::{BillingPolicy, CheckoutOffer, CheckoutTrial, PriceBook, checkout_terms};

use super::ticket::{self, Purpose};
use crate::billing::prices::Offer;
use crate::billing::{Billing, subscriptions};
use crate::enforcement::Standing;
use crate::server::State;
use crate::store::StoreError;

/// What a customer can do about its payments.
#[derive(Debug, Clone, Default)]
pub(crate) struct Purchase {
    /// Lets the page's forms act for the customer.
    pub(crate) ticket: String,
    /// What can be bought, by price. Empty where nothing can be.
    pub(crate) offers: BTreeMap<String, Offer>,
    /// What becomes of the trial that still runs.
    pub(crate) trial: Option<CheckoutTrial>,
    /// Whether there is something for it in Stripe's portal.
    pub(crate) portal: bool,
}

/// What a customer can do; `None` = nothing here. By what was last read of Stripe: whoever buys is looked at anew.
pub(super) async fn of(
    state: &State,
    billing: &Billing,
    standing: &Standing,
    now: Timestamp,
) -> Result<Option<Purchase>, StoreError> {
    if state.config.public_url.is_none() {
        return Ok(None);
    }
    let row = &standing.row;
    let mut read = state.store.read().await?;
    let paywall = subscriptions::side(&mut read, row).await?;
    let stripe = subscriptions::of_tenant(&mut read, &row.id, row.stripe_customer.as_deref()).await?;
    drop(read);
    let plans = standing.plans();
    let policy = BillingPolicy { prices: PriceBook::of(&plans), ..billing.policy() };
    let mut purchase = Purchase {
        ticket: ticket::issue(&state.config.token_key, Purpose::Buy, &row.id, now),
        // Its invoices are there, also after it ended.
        portal: row.stripe_customer.is_some() && !stripe.is_empty(),
        ..Purchase::default()
    };
    let mut sold = Vec::new();
    for plan in plans {
        let offer = CheckoutOffer { paywall: &paywall, stripe: &stripe, plan: &plan, price: None, attempt: 0 };
        match checkout_terms(&offer, &policy, now) {
            Ok(terms) => {
                purchase.trial = Some(terms.trial);
                sold.push(plan);
            }
            Err(refusal) => purchase.portal |= refusal.portal() && row.stripe_customer.is_some(),
        }
    }
    if !sold.is_empty() {
        purchase.offers = billing.prices.of(&billing.client, &sold).await;
    }
    Ok((purchase.portal || !purchase.offers.is_empty()).then_some(purchase))
}
