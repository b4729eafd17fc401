//! The scripted account, over HTTP: read by our own client, written to as any client does.
#![allow(clippy::unwrap_used)]

mod account;
mod billing;
mod histories;
#[path = "../shapes/mod.rs"]
mod shapes;
mod support;
mod webhooks;
