//! A server that sells a plan through a scripted Stripe.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context as _;
use paywall_domain::Timestamp;
use paywall_domain::billing::WEBHOOK_EVENTS;
use paywall_sandbox::scripted::{Clock, Delivering, Endpoint, ScriptedStripe, Settings};
use paywall_tests::desktop::free_port;
use paywall_tests::emulate::Price;
use tempfile::TempDir;

use crate::separate::{make_token, server_command};

/// The present.
pub(crate) fn now() -> anyhow::Result<Timestamp> {
    Ok(Timestamp(SystemTime::UNIX_EPOCH.elapsed()?.as_millis() as i64))
}

/// A Stripe whose webhooks go to a server, the plans that it sells, and where it is kept.
pub(crate) struct Selling {
    pub(crate) stripe: Arc<ScriptedStripe>,
    pub(crate) endpoint: Endpoint,
    pub(crate) price: Price,
    /// The server's address.
    pub(crate) url: String,
    port: u16,
    folder: TempDir,
}

impl Selling {
    /// A trial of `starter` may ask so many messages; `pro` has no limit, and is sold.
    pub(crate) async fn with_messages(most: u32) -> anyhow::Result<Self> {
        let settings =
            Settings { now: now()?, clock: Clock::Running, delivering: Delivering::AtOnce, ..Settings::default() };
        let stripe = Arc::new(ScriptedStripe::start(settings).await?);
        let (product, currency, unit_amount) = ("Pro".to_owned(), "eur".to_owned(), 4900);
        let id = stripe.add_price(&product, &currency, unit_amount, "month")?;
        let (folder, port) = (tempfile::tempdir()?, free_port()?);
        let url = format!("http://127.0.0.1:{port}");
        let endpoint = stripe.add_endpoint(&format!("{url}/stripe/webhook"), &WEBHOOK_EVENTS)?;
        let plans = format!(
            "[[plan]]\nid = \"starter\"\nname = \"Starter\"\ntrial_days = 14\nlimits = {{ messages = {most} }}\n\
             [[plan]]\nid = \"pro\"\nname = \"Pro\"\ntrial_days = 14\nlimits = {{}}\nstripe_prices = [\"{id}\"]\n"
        );
        let price = Price { id, product, currency, unit_amount };
        let selling = Self { stripe, endpoint, price, url, port, folder };
        std::fs::write(selling.file(), plans)?;
        Ok(selling)
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("paywall.toml")
    }

    /// The server's program with its plans, without Stripe.
    pub(crate) fn command(&self) -> Command {
        let mut command = server_command(self.folder.path(), self.port);
        command.env("PAYWALL_CONFIG", self.file()).env("PAYWALL_PUBLIC_URL", &self.url);
        command
    }

    /// The same with Stripe, which is asked at that address.
    pub(crate) fn billing(&self, stripe_url: &str) -> Command {
        let mut command = self.command();
        command
            .env("PAYWALL_STRIPE_URL", stripe_url)
            .env("PAYWALL_STRIPE_KEY", self.stripe.key())
            .env("PAYWALL_STRIPE_WEBHOOK_SECRET", &self.endpoint.secret);
        command
    }

    pub(crate) fn token(&self, role: &str) -> anyhow::Result<String> {
        make_token(self.command(), role).with_context(|| format!("no {role}"))
    }
}
