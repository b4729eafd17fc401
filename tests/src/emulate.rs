//! emulate, a third party's imitation of Stripe with a Checkout page of its own: a process of its own, from npm.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::json;
use tempfile::TempDir;

/// The version whose behaviour is known.
const VERSION: &str = "0.11.2";

/// A price that it sells.
#[derive(Debug, Clone)]
pub struct Price {
    /// `price_…`
    pub id: String,
    /// What is bought.
    pub product: String,
    /// ISO 4217, lower case.
    pub currency: String,
    /// Minor units.
    pub unit_amount: i64,
}

/// A running emulate; it ends when this is dropped.
pub struct Emulate {
    child: Child,
    /// Its base address.
    pub address: String,
    _seed: TempDir,
}

impl Emulate {
    /// Installs it under the target folder, once, and starts it. What is paid on its page it tells `webhook`,
    /// signed with `secret`.
    pub fn start(webhook: &str, secret: &str, price: &Price) -> anyhow::Result<Self> {
        let home = install()?;
        let seed = tempfile::tempdir()?;
        let file = seed.path().join("seed.json");
        let prices = json!([{
            "id": price.id, "product_name": price.product, "currency": price.currency,
            "unit_amount": price.unit_amount,
        }]);
        let stripe = json!({
            "products": [{"name": price.product}],
            "prices": prices,
            "webhooks": [{"url": webhook, "events": ["*"], "secret": secret}],
        });
        std::fs::write(&file, json!({ "stripe": stripe }).to_string())?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new("node")
            .arg(home.join("node_modules/emulate/dist/index.js"))
            .args(["start", "-s", "stripe", "-p", &port.to_string(), "--seed"])
            .arg(&file)
            .current_dir(seed.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("node does not start")?;
        let mut started = Self { child, address: format!("http://localhost:{port}"), _seed: seed };
        let begun = Instant::now();
        while std::net::TcpStream::connect(("localhost", port)).is_err() {
            if let Some(status) = started.child.try_wait()? {
                bail!("emulate ended with {status} before it listened");
            }
            ensure!(begun.elapsed() < Duration::from_secs(30), "emulate does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(started)
    }
}

impl Drop for Emulate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn install() -> anyhow::Result<PathBuf> {
    let home = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../target/emulate-{VERSION}"));
    if home.join("installed").exists() {
        return Ok(home);
    }
    let _ = std::fs::remove_dir_all(&home);
    std::fs::create_dir_all(&home)?;
    let output = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
        .arg(&home)
        .arg(format!("emulate@{VERSION}"))
        .output()
        .context("npm does not start")?;
    ensure!(output.status.success(), "npm: {}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(home.join("installed"), VERSION)?;
    Ok(home)
}
