//! The sample world as separate processes: a paywall server with its tenants, and the sample Stripe.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use paywall_console::admin_client::AdminClient;
use paywall_stripe::{Client, Limits};
use paywall_tests::desktop::{free_port, program};
use secrecy::SecretString;

use crate::processes::{Running, cpu_seconds};
use crate::sandbox::Sandbox;

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running world.
pub(crate) struct World {
    server: Running,
    sandbox: Sandbox,
    server_url: String,
    token: String,
    /// How long the server took to take in every tenant.
    pub(crate) imported_in: Duration,
}

impl World {
    /// Makes the world of `tenants` and `seed` in `folder` and serves it.
    pub(crate) fn start(folder: &Path, tenants: u32, seed: u64) -> anyhow::Result<Self> {
        let listen = format!("127.0.0.1:{}", free_port()?);
        let database = format!("sqlite://{}", folder.join("server.db").display());
        let token_key = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        let server_command = |arguments: &[&str]| {
            let mut command = Command::new(program("paywall-server"));
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
            command.env("PAYWALL_DATABASE_URL", &database).env("PAYWALL_TOKEN_KEY", &token_key);
            command.env("PAYWALL_LISTEN", &listen).env("RUST_LOG", "warn").env("PAYWALL_LOG", "warn");
            command
        };
        let world = ["--tenants", &tenants.to_string(), "--seed", &seed.to_string()].map(str::to_owned);

        let began = Instant::now();
        let mut told = Running::start(
            Command::new(program("paywall-sandbox")).arg("tenants").args(&world).stdout(Stdio::piped()),
        )?;
        let lines = told.child().stdout.take().context("no output")?;
        let status = server_command(&["import", "-"]).stdin(lines).status().context("cannot start the import")?;
        ensure!(status.success(), "the import failed");
        let imported_in = began.elapsed();

        let made = server_command(&["token", "create", "--role", "viewer", "--name", "bench"])
            .stdout(Stdio::piped())
            .output()?;
        ensure!(made.status.success(), "no token was made");
        let token = String::from_utf8(made.stdout)?.trim().to_owned();
        let server = Running::start(&mut server_command(&["serve"]))?;
        wait_for(&listen)?;

        let sandbox = Sandbox::start(tenants, seed, false, Duration::ZERO)?;
        Ok(Self { server, sandbox, server_url: format!("http://{listen}"), token, imported_in })
    }

    /// A client of the server.
    pub(crate) fn admin(&self) -> anyhow::Result<AdminClient> {
        AdminClient::new(&self.server_url, SecretString::from(self.token.clone()))
            .map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// A client of the sample Stripe that holds nothing back.
    pub(crate) fn stripe(&self) -> anyhow::Result<Client> {
        self.sandbox.client(Limits::NONE)
    }

    /// Processor seconds so far: of this process, of the server, of the sample Stripe.
    pub(crate) fn cpu(&self) -> [f64; 3] {
        [std::process::id(), self.server.id(), self.sandbox.id()].map(cpu_seconds)
    }
}

fn wait_for(address: &str) -> anyhow::Result<()> {
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        if began.elapsed() > PATIENCE {
            bail!("the server does not listen");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
