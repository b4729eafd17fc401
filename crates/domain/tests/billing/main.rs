//! Billing: what Stripe's objects mean for a tenant.
#![allow(clippy::unwrap_used, unreachable_pub, missing_docs)]

mod checkout;
mod drifts;
mod in_stripe;
mod properties;
mod standings;
mod table;
mod world;
