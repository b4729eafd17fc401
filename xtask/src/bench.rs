//! `cargo xtask bench`: speed, as ratios against a peer in the same run.

use clap::Args;

use crate::bundle::bundle;
use crate::command::{cargo, check};
use crate::packages::{self, Need};

#[derive(Args)]
pub(crate) struct Bench {
    /// Only this measurement: sync, cache, start
    only: Option<String>,
    /// Tenants in the sample world
    #[arg(long, env = "PAYWALL_SIZE", default_value_t = 100_000)]
    tenants: u32,
}

pub(crate) fn bench(arguments: &Bench) -> anyhow::Result<()> {
    packages::install(Need::Test)?;
    let mut measure = cargo();
    measure.args(["run", "--release", "--package", "paywall-tests", "--bin", "bench", "--"]);
    measure.args(["--tenants", &arguments.tenants.to_string()]);
    if let Some(only) = &arguments.only {
        measure.args(["--only", only]);
    }
    // The start of the window and the installer's size are measured on what is shipped.
    if arguments.only.as_deref().is_none_or(|only| only == "start") {
        bundle()?;
    }
    check(&mut measure)
}
