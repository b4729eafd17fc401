//! What the journeys across the crates share.
#![allow(clippy::expect_used)]

pub mod browser;
pub mod desktop;
pub mod emulate;
pub mod localstripe;
