//! Revenue out of the copy: known answers, what a drilled list adds up to, and that it does not matter in which
//! order, how often and in how large pages the facts came.
#![allow(clippy::unwrap_used)]

#[path = "../cache_fixtures/mod.rs"]
mod cache_fixtures;
mod copies;
mod objects;
mod random;
mod walk;
mod world;
