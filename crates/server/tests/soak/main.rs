//! What has to hold whatever is killed: servers in processes of their own in front of a `RAGFlow`, killed as
//! `kill -9` does while they work. Short by themselves; `cargo xtask soak` runs the long forms.
//!
//! `PAYWALL_SEED` is the first seed, `PAYWALL_SIZE` how many seeds, kills or callers there are.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "../directory/ragflow.rs"]
mod ragflow;

mod counted;
mod field;
mod killed;
mod limit;
mod server;
mod upstream;

/// A number that the environment gives.
fn given(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|it| it.parse().ok())
}

/// How many there are of what a test does: what was asked for, else what its short or its long form has.
fn size(short: u64, long: u64) -> u64 {
    let soaks = std::env::var("PAYWALL_SOAK").is_ok_and(|it| it == "1");
    given("PAYWALL_SIZE").unwrap_or(if soaks { long } else { short })
}

/// Says how to run what failed once more.
struct Again {
    part: &'static str,
    seed: u64,
    size: u64,
}

impl Drop for Again {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { part, seed, size } = self;
            eprintln!("once more: PAYWALL_SEED={seed} PAYWALL_SIZE={size} cargo xtask soak {part}");
        }
    }
}
