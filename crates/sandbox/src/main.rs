//! `paywall-sandbox`: serves the sample world, or prints it.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand};
use paywall_domain::{DAY_MS, Timestamp};
use paywall_sandbox::scripted::{Clock, Delivering, ScriptedStripe, Settings};
use paywall_sandbox::{Rules, TENANTS_MIN, World, WorldSpec, stripe_api};

#[derive(Parser)]
#[command(version, about = "A deterministic sample world and the Stripe-shaped read API that serves it")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve Stripe's read API; prints the address and the keys.
    Serve {
        #[command(flatten)]
        world: Choice,
        /// Where to listen; port 0 takes a free one.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// Hold callers to Stripe's limits: 25 requests a second per endpoint, 100 in all.
        #[arg(long)]
        limits: bool,
        /// Answer so many milliseconds later.
        #[arg(long, default_value_t = 0)]
        latency_ms: u64,
        /// Serve a live account instead, which can be written to: it starts with the world's products and
        /// prices alone, its clock runs, and it sends webhooks.
        #[arg(long)]
        scripted: bool,
        /// With --scripted: register this address for all events; prints its id and secret.
        #[arg(long, requires = "scripted")]
        webhook: Option<String>,
    },
    /// Print the plans and tenants, one JSON object per line, for `paywall-server import -`.
    Tenants {
        #[command(flatten)]
        world: Choice,
    },
}

#[derive(Args)]
struct Choice {
    /// How many tenants; at least 60.
    #[arg(long, default_value_t = 240, env = "PAYWALL_SIZE", value_parser = tenants)]
    tenants: u32,
    /// Which world.
    #[arg(long, default_value_t = 7, env = "PAYWALL_SEED")]
    seed: u64,
    /// The world's present, such as 2026-11-24T00:00:00Z; without it, today's midnight UTC.
    #[arg(long)]
    as_of: Option<DateTime<Utc>>,
}

fn tenants(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(count) if count >= TENANTS_MIN => Ok(count),
        Ok(_) => Err(format!("a sample world has at least {TENANTS_MIN} tenants, so that its whole cast has room")),
        Err(_) => Err("not a whole number".to_owned()),
    }
}

impl Choice {
    fn world(&self) -> World {
        let now = self.as_of.map_or_else(
            || {
                let now = Utc::now().timestamp_millis();
                now - now.rem_euclid(DAY_MS)
            },
            |it| it.timestamp_millis(),
        );
        World::generate(WorldSpec { seed: self.seed, tenants: self.tenants, as_of: Timestamp(now) })
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(!plain && io::stderr().is_terminal())
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    match Cli::parse().command {
        Command::Serve { world, listen, limits, latency_ms, scripted, webhook } => {
            let rules = Rules { limits, latency: Duration::from_millis(latency_ms) };
            if scripted {
                // Webhooks are checked against the receiver's clock: the account's runs from now on, unless told.
                let now = world.as_of.unwrap_or_else(Utc::now);
                let settings = Settings {
                    seed: world.seed,
                    now: Timestamp(now.timestamp_millis()),
                    clock: Clock::Running,
                    delivering: Delivering::AtOnce,
                    rules,
                    ..Settings::default()
                };
                return play(&world.world(), listen, settings, webhook.as_deref()).await;
            }
            serve(&world.world(), listen, rules).await
        }
        Command::Tenants { world } => print(&world.world()),
    }
}

async fn serve(world: &World, listen: SocketAddr, rules: Rules) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let router = stripe_api::router(world.stripe(), rules);
    let keys = world.keys();
    let mut out = io::stdout().lock();
    writeln!(out, "listening http://{}", listener.local_addr()?)?;
    for (name, key) in
        [("restricted", &keys.restricted), ("lacking", &keys.lacking), ("secret", &keys.secret), ("live", &keys.live)]
    {
        writeln!(out, "key {name} {key}")?;
    }
    out.flush()?;
    drop(out);
    axum::serve(listener, router)
        .with_graceful_shutdown(async {
            // Without a handler for the signal, the process ends by it anyway.
            let _ = tokio::signal::ctrl_c().await;
        })
        .await?;
    Ok(())
}

/// Serves a scripted account.
async fn play(world: &World, listen: SocketAddr, settings: Settings, webhook: Option<&str>) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let stripe = ScriptedStripe::serve(listener, settings)?;
    stripe.add_catalog(world);
    let endpoint = webhook.map(|url| stripe.add_endpoint(url, &["*"])).transpose()?;
    let keys = stripe.keys();
    let mut out = io::stdout().lock();
    writeln!(out, "listening {}", stripe.url())?;
    for (name, key) in [
        ("restricted", &keys.restricted),
        ("lacking", &keys.lacking),
        ("secret", &keys.secret),
        ("live", &keys.live),
        ("writing", &keys.writing),
    ] {
        writeln!(out, "key {name} {key}")?;
    }
    if let Some(endpoint) = endpoint {
        writeln!(out, "webhook {} {}", endpoint.id, endpoint.secret)?;
    }
    out.flush()?;
    drop(out);
    // Without a handler for the signal, the process ends by it anyway.
    let _ = tokio::signal::ctrl_c().await;
    Ok(())
}

fn print(world: &World) -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for record in world.intake() {
        let written =
            serde_json::to_writer(&mut out, &record).map_err(io::Error::from).and_then(|()| out.write_all(b"\n"));
        match written {
            // Whoever reads has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            other => other?,
        }
    }
    out.flush().or_else(|error| if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })?;
    Ok(())
}
