//! The console without a window: profiles, vault, cache, sync, queries.
//!
//! Nothing in here knows tauri. [`ipc`] declares what the window sees.

pub mod admin_client;
pub mod cache;
pub mod change;
pub mod connection;
pub mod console;
pub mod home;
pub mod ipc;
pub mod observer;
pub mod profile;
pub mod query;
mod rates;
pub mod sql;
pub mod sync;
pub mod vault;

pub use console::{Console, ConsoleOptions, SampleAddresses};
pub use home::Home;
pub use observer::Observer;
pub use profile::SAMPLE_PROFILE;

/// What the console calls itself before whom it asks.
const USER_AGENT: &str = concat!("paywall-console/", env!("CARGO_PKG_VERSION"));
