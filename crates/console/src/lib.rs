//! The console without a window: profiles, vault, cache, sync, queries.
//!
//! Nothing in here knows tauri. [`ipc`] declares what the window sees.

pub mod cache;
pub mod ipc;
pub mod home;
pub mod observer;
pub mod profile;
pub mod query;
pub mod vault;
