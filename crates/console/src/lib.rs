//! The console without a window: profiles, vault, cache, sync, queries.
//!
//! Nothing in here knows tauri. [`ipc`] declares what the window sees.

pub mod ipc;
