//! `cargo xtask bench`: speed, as ratios against a peer in the same run.

use clap::{Args, ValueEnum};

use crate::bundle::bundle;
use crate::command::{cargo, check};
use crate::packages::{self, Need};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measurement {
    /// The first sync
    Sync,
    /// Search, pages, encryption
    Cache,
    /// The window's start, memory, the installer's size
    Start,
    /// The gate in front of RAGFlow, against nginx and without enforcement
    Gate,
    /// The first reading of Stripe, at its limits and without, beside a peer
    Backfill,
    /// Recurring revenue: a page of news beside counting everything, and the screen from the copy
    Revenue,
}

#[derive(Args)]
pub(crate) struct Bench {
    /// Only this measurement
    only: Option<Measurement>,
    /// Tenants in the sample world; subscriptions where revenue is measured
    #[arg(long, env = "PAYWALL_SIZE", default_value_t = 100_000)]
    tenants: u32,
    /// Rounds of everything that is compared
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// First syncs
    #[arg(long, default_value_t = 1)]
    syncs: u32,
    /// Stripe's objects in the backfill, about
    #[arg(long, default_value_t = 100_000)]
    objects: u32,
}

pub(crate) fn bench(arguments: &Bench) -> anyhow::Result<()> {
    packages::install(Need::Test)?;
    // The start of the window and the installer's size are measured on what is shipped.
    let window = arguments.only.is_none_or(|only| only == Measurement::Start);
    if window {
        bundle()?;
    }
    let mut build = cargo();
    build.args(["build", "--release", "--bins"]);
    build.args(["--package", "paywall-tests", "--package", "paywall-server", "--package", "paywall-sandbox"]);
    if window {
        build.args(["--package", "paywall-desktop", "--example", "empty_window"]);
    }
    check(&mut build)?;
    let mut measure = cargo();
    measure.args(["run", "--quiet", "--release", "--package", "paywall-tests", "--bin", "bench", "--"]);
    measure.args(["--tenants", &arguments.tenants.to_string(), "--rounds", &arguments.rounds.to_string()]);
    measure.args(["--syncs", &arguments.syncs.to_string(), "--objects", &arguments.objects.to_string()]);
    if let Some(only) = arguments.only {
        measure.args(["--only", &format!("{only:?}").to_lowercase()]);
    }
    check(&mut measure)
}
