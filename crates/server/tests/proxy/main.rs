//! The two ways in, over real sockets, in front of an upstream that notes every byte it gets.

#![allow(clippy::unwrap_used, missing_docs)]

mod app;
mod bodies;
mod fronts;
mod headers;
mod listener;
mod malformed;
mod metrics;
mod stopping;
mod streams;
#[cfg(target_os = "linux")]
mod upload;
mod upstream;
mod wire;
