//! Revenue over time, from snapshots and invoices.
#![allow(clippy::unwrap_used)]

mod facts;
mod oracle;
mod properties;
mod published;
mod random;
mod timeline;
