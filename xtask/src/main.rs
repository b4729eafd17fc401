//! The project's own commands: `cargo xtask run | test | soak | bench | bundle | types`.
#![allow(clippy::print_stdout, reason = "a command line tool speaks on standard output")]

mod bench;
mod bundle;
mod command;
mod node;
mod packages;
mod run;
mod soak;
mod test;
mod types;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Sets up, runs, tests, measures and packages the project")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what is missing, build, and open the console
    Run(run::Run),
    /// Install what is missing and run every check and test
    Test(test::Test),
    /// Run the long forms of the tests that kill servers: hours in all
    Soak(soak::Soak),
    /// Measure speed as ratios against a peer in the same run, and print the report
    Bench(bench::Bench),
    /// Build the installer for this system
    Bundle(bundle::Bundle),
    /// Write the window's TypeScript types and the API document anew from the Rust types
    Types,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Test(arguments) => test::test(&arguments),
        Command::Soak(arguments) => soak::soak(&arguments),
        Command::Bench(arguments) => bench::bench(&arguments),
        Command::Bundle(arguments) => bundle::run(&arguments),
        Command::Types => types::types(),
    }
}
