//! Metering.
mod event;

pub use event::{Amounts, TokenSource, UsageEvent};
