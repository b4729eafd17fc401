//! Quotas: never above a limit, and every unit of it can be used.
#![allow(clippy::unwrap_used)]

mod admission;
#[cfg(target_os = "linux")]
mod database;
#[cfg(target_os = "linux")]
mod killed;
mod levels;
mod memory;
#[cfg(target_os = "linux")]
mod outage;
mod parts;
mod rules;
mod simulation;
