//! A thin Stripe client: the lists that a mirror reads, page by page.
//!
//! Objects keep Stripe's raw JSON beside the little that is typed ([`shapes`]); one that cannot be read
//! is reported with its id and the path of the fault, and never costs the page it came in. Requests
//! are retried by Stripe's own rules and paced on this side, so that Stripe rarely has to refuse one.

mod client;
mod error;
mod key;
mod limits;
mod object;
pub mod shapes;
mod stream;
pub mod transport;

pub use client::{Client, ListPage, ListParams, RetryPolicy};
pub use error::{Error, ErrorKind};
pub use key::{KeyKind, StripeKey};
pub use limits::Limits;
pub use object::{Object, Unreadable};
pub use stream::Stream;

/// The version of Stripe's API that this crate was written against; sent with every request.
pub const API_VERSION: &str = "2026-10-28.endive";

/// Where Stripe's own API is.
pub const STRIPE_URL: &str = "https://api.stripe.com";
