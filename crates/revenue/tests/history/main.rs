//! Revenue over time, from snapshots and invoices.
#![allow(clippy::unwrap_used)]

mod conversion;
mod facts;
mod oracle;
mod outlook;
mod properties;
mod published;
mod random;
mod timeline;
