//! What passes between the console's core and its window: typed, without a secret, without SQL.
//!
//! Every command answers with one of these types or a [`Failure`]. The window's TypeScript is
//! generated from them (`ui/src/host/generated`).

mod billed;
mod billing;
mod change;
mod data;
mod failure;
mod freshness;
mod payer;
mod profile;
mod reporting;
mod revenue;
mod sql;

pub use paywall_domain::billing::InvoiceState;
pub use paywall_revenue::{Cause, Period, Preset, Recovery};

pub use billed::*;
pub use billing::*;
pub use change::*;
pub use data::*;
pub use failure::*;
pub use freshness::*;
pub use payer::*;
pub use profile::*;
pub use reporting::*;
pub use revenue::*;
pub use sql::*;
