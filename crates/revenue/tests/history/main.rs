//! Revenue over time, from snapshots and invoices.
#![allow(clippy::unwrap_used)]

mod facts;
mod timeline;
