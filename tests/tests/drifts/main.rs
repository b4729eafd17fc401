//! Every kind of drift: produced, seen in the console's copy, repaired by the console, and gone. The drifts are those
//! of the server's own tests, which repair them by the admin API alone.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

#[allow(dead_code, unused_imports)]
#[macro_use]
#[path = "../../../crates/server/tests/app/mod.rs"]
mod app;
#[path = "../../../crates/server/tests/billing/drifts.rs"]
mod drifts;
mod staff;
#[allow(dead_code)]
#[path = "../../../crates/server/tests/billing/stripe.rs"]
mod stripe;
#[allow(dead_code)]
#[path = "../../../crates/server/tests/billing/world.rs"]
mod world;
