//! The engine against a small Stripe and a small paywall server, on good days and bad ones.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod billing;
#[path = "../billing_fixtures/mod.rs"]
mod billing_fixtures;
mod fakes;
mod health;
mod mirror;
mod passes;
mod usage;
