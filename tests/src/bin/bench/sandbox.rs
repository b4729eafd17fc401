//! The sample Stripe as a process of its own.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use paywall_stripe::{Client, Limits, StripeKey};
use paywall_tests::desktop::program;

use crate::processes::Running;

/// A running sample Stripe.
pub(crate) struct Sandbox {
    process: Running,
    /// Its address.
    pub(crate) url: String,
    /// A key that may read everything.
    pub(crate) key: String,
}

impl Sandbox {
    /// Serves the world of `tenants` and `seed`; with Stripe's limits where asked to, each answer so much later.
    pub(crate) fn start(tenants: u32, seed: u64, limits: bool, latency: Duration) -> anyhow::Result<Self> {
        let mut command = Command::new(program("paywall-sandbox"));
        command.args(["serve", "--tenants", &tenants.to_string(), "--seed", &seed.to_string()]);
        command.args(["--latency-ms", &latency.as_millis().to_string()]);
        if limits {
            command.arg("--limits");
        }
        let mut process = Running::start(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
        let (mut url, mut key) = (None, None);
        let mut output = BufReader::new(process.child().stdout.take().context("no output")?).lines();
        for line in output.by_ref() {
            let line = line?;
            if let Some(address) = line.strip_prefix("listening ") {
                url = Some(address.to_owned());
            }
            if let Some(found) = line.strip_prefix("key restricted ") {
                key = Some(found.to_owned());
                break;
            }
        }
        // It prints more, and ends where nobody takes it.
        std::thread::spawn(move || output.for_each(drop));
        Ok(Self {
            process,
            url: url.context("the sandbox named no address")?,
            key: key.context("the sandbox named no key")?,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// A client of it.
    pub(crate) fn client(&self, limits: Limits) -> anyhow::Result<Client> {
        Ok(Client::new(&self.url, StripeKey::new(&self.key), limits)?)
    }
}
