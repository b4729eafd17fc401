//! The client against a server that answers as Stripe does, and as it does on bad days.
#![allow(clippy::unwrap_used, missing_docs)]

mod billing;
mod reading;
mod scripted;
