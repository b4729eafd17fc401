//! A thin Stripe client: the lists that a mirror reads, page by page; what the server reads and writes to
//! bill; and whether a webhook is Stripe's.
//!
//! Every request is built from one table, [`operations`]. Objects of a mirror keep Stripe's raw JSON beside the
//! little that is typed ([`shapes`]); one that cannot be read is reported with its id and the path of the fault,
//! and never costs the page it came in. Requests are retried by Stripe's own rules and paced on this side, so that
//! Stripe rarely has to refuse one. What changes something is sent under an [`IdempotencyKey`].

mod billing;
mod call;
mod client;
mod embedded;
mod error;
pub mod facts;
mod idempotency;
mod key;
mod limits;
mod object;
pub mod operations;
pub mod parameters;
mod sending;
pub mod shapes;
mod stream;
pub mod transport;
pub mod webhook;

pub use billing::Page;
pub use client::{Client, ClientOptions, ListPage, ListParams, RetryPolicy};
pub use error::{Error, ErrorKind};
pub use idempotency::{IdempotencyKey, InvalidIdempotencyKey};
pub use key::{KeyKind, StripeKey};
pub use limits::Limits;
pub use object::{Object, Unreadable};
pub use stream::Stream;

/// The version of Stripe's API that this crate was written against; sent with every request.
pub const API_VERSION: &str = "2026-10-28.endive";

/// Where Stripe's own API is.
pub const STRIPE_URL: &str = "https://api.stripe.com";
