//! Every route of the admin API, driven over a socket.
#![allow(clippy::unwrap_used)]

#[path = "../app/mod.rs"]
mod app;

mod access;
mod adjustments;
mod bodies;
mod changes;
mod document;
mod keys;
mod tenants;
mod time;
mod undo;
