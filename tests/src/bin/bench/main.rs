//! Measures the console with a large account and prints a report in Markdown: `cargo xtask bench`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the report goes to standard output, progress beside it")]

mod backfill;
mod cache;
mod figures;
mod file;
mod gate;
mod machine;
mod processes;
mod revenue;
mod sandbox;
mod start;
mod sync;
mod world;

use clap::{Parser, Subcommand, ValueEnum};

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

/// What the measurements start as a process of its own.
#[derive(Subcommand)]
enum Part {
    /// Our proxy with an engine that lets everything pass
    #[command(hide = true)]
    Unenforced(gate::Unenforced),
}

#[derive(Parser)]
#[command(about = "Measures the console with a large account and prints a report in Markdown")]
struct Arguments {
    /// Tenants in the sample world; subscriptions where revenue is measured
    #[arg(long, env = "PAYWALL_SIZE", default_value_t = 100_000)]
    tenants: u32,
    /// Which sample world, and which questions
    #[arg(long, env = "PAYWALL_SEED", default_value_t = 7)]
    seed: u64,
    /// Rounds of everything that is compared
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// First syncs
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    syncs: u32,
    /// Stripe's objects in the backfill, about
    #[arg(long, default_value_t = 100_000)]
    objects: u32,
    /// Only this measurement
    #[arg(long)]
    only: Option<Measurement>,
    #[command(subcommand)]
    part: Option<Part>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { tenants, seed, rounds, syncs, objects, only, part } = Arguments::parse();
    if let Some(Part::Unenforced(part)) = part {
        return part.serve().await;
    }
    let wanted = |one| only.is_none_or(|only| only == one);
    println!("# Figures of a run\n\n{}", machine::describe().await?);
    let part = match only {
        Some(only) => format!(" {}", format!("{only:?}").to_lowercase()),
        None => String::new(),
    };
    let sizes = format!("--tenants {tenants} --rounds {rounds} --syncs {syncs} --objects {objects}");
    println!("- `cargo xtask bench{part} {sizes}` (seed {seed})\n");

    let folder = tempfile::tempdir()?;
    if only == Some(Measurement::Gate) {
        println!("## The gate\n\n{}", gate::measure(folder.path(), rounds).await?);
        return Ok(());
    }
    if wanted(Measurement::Backfill) {
        println!("## Backfill\n\n{}", backfill::measure(folder.path(), objects, seed, rounds).await?);
    }
    if wanted(Measurement::Revenue) {
        println!("## Revenue\n\n{}", revenue::measure(folder.path(), tenants, seed, rounds).await?);
    }
    if matches!(only, Some(Measurement::Backfill | Measurement::Revenue)) {
        return Ok(());
    }
    eprintln!("the sample world: {tenants} tenants");
    let world = world::World::start(folder.path(), tenants, seed)?;
    // The other measurements need a copy too: one sync is enough for them.
    let (copy, text) = sync::measure(&world, folder.path(), if wanted(Measurement::Sync) { syncs } else { 1 }).await?;
    if wanted(Measurement::Sync) {
        println!("## First sync\n\n{text}");
    }
    if wanted(Measurement::Cache) {
        println!("## Search and pages\n\n{}", cache::lookups(&copy, seed, rounds).await?);
        println!(
            "## Encrypted against plain\n\n{}",
            cache::encryption(&world, &copy, folder.path(), seed, rounds).await?
        );
    }
    // Its processes must not compete with the window.
    drop(world);
    if wanted(Measurement::Start) {
        println!("## Start and memory\n\n{}", start::measure(&copy, i64::from(tenants), rounds).await?);
        println!("## Installer\n\n{}", start::installers());
    }
    // Last: it gives this process one core only.
    if wanted(Measurement::Gate) {
        println!("## The gate\n\n{}", gate::measure(folder.path(), rounds).await?);
    }
    Ok(())
}
