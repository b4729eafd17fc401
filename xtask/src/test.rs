//! `cargo xtask test`: everything that has to hold, in one command.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args;

use crate::command::{cargo, show};
use crate::node::{self, npm};
use crate::packages::{self, Need};

#[derive(Args)]
pub(crate) struct Test {
    /// Leave out what needs a browser or a window
    #[arg(long)]
    headless: bool,
}

/// What a step counted.
#[derive(Default, Clone, Copy)]
struct Tally {
    passed: u64,
    failed: u64,
}

pub(crate) fn test(arguments: &Test) -> anyhow::Result<()> {
    packages::install(Need::Test)?;
    let mut steps: Vec<(&str, Command)> = Vec::new();
    let mut step = |name, command| steps.push((name, command));

    step("Rust formatting", with(cargo(), &["fmt", "--all", "--check"]));
    node::install()?;
    step("web lints", with(npm(), &["run", "--silent", "lint"]));
    step("web types", with(npm(), &["run", "--silent", "check"]));
    step("web tests", with(npm(), &["run", "--silent", "test"]));
    // The window embeds the web side, so that has to be built before any Rust.
    step("web build", with(npm(), &["run", "--silent", "build"]));
    if !arguments.headless {
        step("browser tests", with(npm(), &["run", "--silent", "test:browser"]));
    }
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    step("Rust lints", with(cargo(), &clippy));
    step("programs", with(cargo(), &["build", "--workspace"]));
    let mut tests = with(cargo(), &["test", "--workspace", "--no-fail-fast"]);
    if arguments.headless {
        tests.env("PAYWALL_TEST_HEADLESS", "1");
    }
    step("Rust tests", tests);

    let mut total = Tally::default();
    let mut failures = Vec::new();
    for (name, mut command) in steps {
        let began = Instant::now();
        let tally = run(&mut command)?;
        println!("-- {name}: {} passed, {} failed, {} s", tally.passed, tally.failed, began.elapsed().as_secs());
        total.passed += tally.passed;
        total.failed += tally.failed;
        if tally.failed > 0 {
            failures.push(name);
            // Nothing after these can tell more than they do.
            if matches!(name, "web build" | "programs") {
                break;
            }
        }
    }
    if !failures.is_empty() {
        println!("failed: {}", failures.join(", "));
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    if total.failed > 0 {
        bail!("something does not hold");
    }
    Ok(())
}

fn with(mut command: Command, arguments: &[&str]) -> Command {
    command.args(arguments);
    command
}

/// Runs a step, shows what it prints, and counts the tests that it names. A step that names none
/// counts as one.
fn run(command: &mut Command) -> anyhow::Result<Tally> {
    let shown = show(command);
    println!("> {shown}");
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start: {shown}"))?;
    let mut tally = Tally::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line.context("the output is not text")?;
            let counted = count(&line);
            tally.passed += counted.passed;
            tally.failed += counted.failed;
            // A closing line of a step would be taken for the closing line of the whole.
            println!("  {line}");
        }
    }
    let status = child.wait()?;
    if !status.success() && tally.failed == 0 {
        tally.failed = 1;
    }
    if status.success() && tally.passed + tally.failed == 0 {
        tally.passed = 1;
    }
    Ok(tally)
}

/// What a line of output says of tests: `test result: ok. 3 passed; 0 failed; …` (Rust),
/// `Tests  2 failed | 5 passed (7)` (Vitest), `ℹ pass 5` and `ℹ fail 0` (Node's runner),
/// `5 passed, 0 failed` (ours).
fn count(line: &str) -> Tally {
    let plain = without_colours(line);
    let plain = plain.trim();
    let words: Vec<&str> = plain.split_whitespace().collect();
    if let ["ℹ" | "#", word @ ("pass" | "fail"), number] = words.as_slice() {
        let number = number.parse().unwrap_or(0);
        return if *word == "pass" { Tally { passed: number, failed: 0 } } else { Tally { passed: 0, failed: number } };
    }
    let counts = plain.starts_with("test result:") || plain.starts_with("Tests ") || is_closing(plain);
    if !counts {
        return Tally::default();
    }
    let words: Vec<&str> = plain.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let number_before =
        |label: &str| words.windows(2).find(|pair| pair[1] == label).and_then(|pair| pair[0].parse().ok()).unwrap_or(0);
    Tally { passed: number_before("passed"), failed: number_before("failed") }
}

fn is_closing(line: &str) -> bool {
    line.split_once(" passed, ").is_some_and(|(before, after)| {
        before.bytes().all(|b| b.is_ascii_digit())
            && after.split(' ').next().is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
    })
}

fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut inside = false;
    for c in line.chars() {
        match (inside, c) {
            (false, '\u{1b}') => inside = true,
            (true, 'm') => inside = false,
            (true, _) => {}
            (false, c) => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn counts_what_each_runner_prints() {
        let of = |line: &str| {
            let tally = count(line);
            (tally.passed, tally.failed)
        };
        assert_eq!(of("test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured"), (12, 3));
        assert_eq!(
            of("\u{1b}[2m      Tests \u{1b}[22m \u{1b}[1m2 failed\u{1b}[22m | \u{1b}[32m5 passed\u{1b}[39m (7)"),
            (5, 2)
        );
        assert_eq!(of("41 passed, 0 failed"), (41, 0));
        assert_eq!(of("ℹ pass 9"), (9, 0));
        assert_eq!(of("# fail 2"), (0, 2));
        assert_eq!(of("3 rows passed, nothing failed"), (0, 0));
    }
}
