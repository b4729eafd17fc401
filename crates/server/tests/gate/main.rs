//! The gate's rules: routes, credentials, refusals.
#![allow(clippy::unwrap_used)]

mod credentials;
mod refusals;
mod routes;
mod spelling;
