//! Billing, from Stripe's deliveries to what a tenant may do, on each database.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
#[macro_use]
#[path = "../app/mod.rs"]
mod app;

mod checkout;
mod deliveries;
mod drifts;
mod histories;
mod inbox;
mod killed;
mod outbox;
mod parked;
mod process;
mod reading;
mod repairs;
mod replays;
mod scripted;
mod shop;
mod staff;
mod stripe;
mod world;
