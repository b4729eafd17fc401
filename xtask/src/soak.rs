//! `cargo xtask soak`: the long forms of the tests that kill what they test.

use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::command::{cargo, command, root, show};
use crate::packages::{self, Need};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The quotas' rules, simulated: lost and late messages, crashes, clocks that differ
    Rules,
    /// 10,000 callers at once at two servers, against a limit of 1,000
    Limit,
    /// 200 seeds: a server killed, its database restarted, clocks off by an hour
    Replicas,
    /// A server killed 100 times under load, on each database
    Events,
    /// 1,000 histories of 200 of Stripe's events, shuffled, doubled and lost, on each database
    Histories,
    /// A server killed 200 times between a delivery of Stripe's and its effect, on each database
    Deliveries,
}

#[derive(Args)]
pub(crate) struct Soak {
    /// Only this part
    only: Option<Part>,
    /// The first seed; else from 0, or a new one where there is only one
    #[arg(long, env = "PAYWALL_SEED")]
    seed: Option<u64>,
    /// How many seeds, callers or kills
    #[arg(long, env = "PAYWALL_SIZE")]
    size: Option<u64>,
}

impl Part {
    const ALL: [Self; 6] = [Self::Rules, Self::Limit, Self::Replicas, Self::Events, Self::Histories, Self::Deliveries];

    /// Its tests: the program, and what their names begin with.
    fn tests(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Rules => &[("quota", "simulation::")],
            Self::Limit => &[("soak", "limit::")],
            Self::Replicas => &[("soak", "killed::")],
            Self::Events => &[("quota", "killed::"), ("soak", "counted::")],
            Self::Histories => &[("billing", "histories::")],
            Self::Deliveries => &[("billing", "killed::")],
        }
    }
}

pub(crate) fn soak(arguments: &Soak) -> anyhow::Result<()> {
    packages::install(Need::Test)?;
    let programs = build()?;
    let began = Instant::now();
    let mut failed = Vec::new();
    for part in Part::ALL.into_iter().filter(|part| arguments.only.is_none_or(|only| only == *part)) {
        for (program, names) in part.tests() {
            let path = programs.iter().find(|(name, _)| name == program).map(|(_, path)| path);
            let path = path.with_context(|| format!("the tests called {program} were not built"))?;
            // Whatever ends this, also a signal that nobody handles, ends the tests, and they what they started.
            let mut tests = command("setpriv");
            tests.args(["--pdeathsig", "KILL", "--", path, names, "--nocapture", "--test-threads=1"]);
            tests.env("PAYWALL_SOAK", "1").current_dir(root().join("crates/server"));
            for (name, value) in [("PAYWALL_SEED", arguments.seed), ("PAYWALL_SIZE", arguments.size)] {
                if let Some(value) = value {
                    tests.env(name, value.to_string());
                }
            }
            println!("> {}", show(&tests));
            if !tests.status().context("setpriv of util-linux does not start")?.success() {
                failed.push(format!("{part:?} ({names})").to_lowercase());
            }
        }
    }
    println!("-- {} s", began.elapsed().as_secs());
    if !failed.is_empty() {
        bail!("something does not hold: {}", failed.join(", "));
    }
    Ok(())
}

/// Builds the tests and what they start; answers the names and paths of the tests' programs.
fn build() -> anyhow::Result<Vec<(String, String)>> {
    let mut build = cargo();
    build.args(["test", "--package", "paywall-server", "--test", "quota", "--test", "soak"]);
    build.args(["--test", "billing", "--no-run", "--message-format=json-render-diagnostics"]);
    println!("> {}", show(&build));
    let output = build.stdout(Stdio::piped()).spawn()?.wait_with_output()?;
    if !output.status.success() {
        bail!("the tests cannot be built");
    }
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    messages
        .lines()
        .filter_map(|line| serde_json::from_str(line).map(|it| program(&it)).transpose())
        .map(|it| Ok(it?))
        .collect()
}

/// The test program that one of cargo's messages tells of.
fn program(message: &Value) -> Option<(String, String)> {
    let target = &message["target"];
    let tests = target["kind"].as_array()?.iter().any(|kind| kind == "test");
    let (name, path) = (target["name"].as_str()?, message["executable"].as_str()?);
    tests.then(|| (name.to_owned(), path.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::program;

    #[test]
    fn a_test_program_is_found_among_what_was_built() {
        let built = |kind: &str| json!({"reason": "compiler-artifact", "target": {"kind": [kind], "name": "soak"}, "executable": "/t/soak-1"});
        assert_eq!(program(&built("test")), Some(("soak".to_owned(), "/t/soak-1".to_owned())));
        assert_eq!(program(&built("bin")), None);
        assert_eq!(program(&json!({"reason": "build-finished", "success": true})), None);
    }
}
