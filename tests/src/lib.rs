//! What the journeys across the crates share.
#![allow(clippy::expect_used)]

pub mod desktop;
pub mod localstripe;
