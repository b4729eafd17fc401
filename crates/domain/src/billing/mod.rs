//! Billing: what Stripe says of a tenant's subscriptions, and what follows from it.
//!
//! Everything here depends on Stripe's objects as they are, never on the events that told of them: the
//! same objects give the same answer in whatever order, and however often, they were heard of.

mod account;
mod checkout;
mod compare;
mod derive;
mod drift;
mod in_stripe;
mod money;
mod policy;
mod standing;
mod subscription;
mod upcoming;

pub use account::{AccountSide, WEBHOOK_EVENTS, WebhookEndpoint, account_drifts};
pub use checkout::{CheckoutOffer, CheckoutRefusal, CheckoutTerms, CheckoutTrial, checkout_terms, may_still_buy};
pub use compare::compare;
pub use derive::{BilledSubscription, Chosen, PaywallSide, choose, counts, derive, settle};
pub use drift::{ByHand, Drift, DriftBody, DriftKind, Repair};
pub use in_stripe::{StripePart, StripeStep, ends_too_soon, followed, next_second, stripe_step};
pub use money::Money;
pub use policy::{BillingPolicy, Grace, PriceBook, StripeMode};
pub use standing::{Remedy, Standing, StandingAccess, standing};
pub use subscription::{
    CollectionPause, Interval, Invoice, InvoiceState, Item, PaymentFailure, StatusWord, StripePause, StripeSubscription,
};
pub use upcoming::{UpcomingChange, upcoming};
