//! Quotas: never above a limit, and every unit of it can be used.
#![allow(clippy::unwrap_used)]

mod admission;
mod database;
mod killed;
mod levels;
mod memory;
mod outage;
mod parts;
mod rules;
mod simulation;
