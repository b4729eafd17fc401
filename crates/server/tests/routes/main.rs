//! Every route of the admin API, driven over a socket, on each database.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

#[macro_use]
#[path = "../app/mod.rs"]
mod app;

mod access;
mod adjustments;
mod bodies;
mod changes;
mod document;
mod keys;
mod postgres;
mod replicas;
mod server;
mod tenants;
mod time;
mod undo;
mod usage;
