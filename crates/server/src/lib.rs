//! The paywall server: tenants, decisions, adjustments, and the admin API to see and change them.
//!
//! It keeps its data in `SQLite` or `PostgreSQL`, listens on loopback unless told otherwise, and runs as its own
//! process (`paywall-server serve`) or inside another program ([`Server`]).

mod admin;
mod billing;
mod clock;
mod config;
pub mod directory;
mod enforcement;
pub mod gate;
mod health;
mod import;
mod listener;
pub mod metering;
mod metrics;
mod patience;
mod portal;
mod private;
pub mod proxy;
pub mod quota;
mod readiness;
mod request_id;
mod retention;
mod server;
mod store;
mod token;
mod transition;

pub use clock::{Clock, SystemClock, TestClock};
pub use config::{CheckoutSettings, Config, ConfigError, StripeSettings, built_in_plans};
pub use enforcement::FailOpen;
pub use import::read_record;
pub use listener::Limits;
pub use server::{Server, ServerError, Token, openapi};
pub use store::{ImportSummary, RefusedRecord, Revocation};
