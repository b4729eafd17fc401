//! A customer's browser: `WebKit`'s own, driven from outside.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use fantoccini::{Client, Locator};
use serde_json::json;

use crate::desktop::{Desktop, Owned};

/// How long anything on a page may take before the test gives up on it. The machine may be busy.
const PATIENCE: Duration = Duration::from_secs(40);

/// A browser's window.
pub struct Browser {
    client: Client,
    _driver: Owned,
}

impl Desktop {
    /// Opens a browser beside whatever else is open.
    pub async fn browse(&self) -> anyhow::Result<Browser> {
        let program = browser().context("WebKit's MiniBrowser is not installed")?;
        let options = json!({ "binary": program, "args": ["--automation"] });
        let (client, driver, _) = self.drive(&options).await?;
        Ok(Browser { client, _driver: driver })
    }
}

impl Browser {
    /// Goes to an address.
    pub async fn go(&self, address: &str) -> anyhow::Result<()> {
        Ok(self.client.goto(address).await?)
    }

    /// Where it is.
    pub async fn address(&self) -> anyhow::Result<String> {
        Ok(self.client.current_url().await?.to_string())
    }

    /// Keeps something in the page's local storage, as `RAGFlow`'s web UI does.
    pub async fn remember(&self, name: &str, value: &str) -> anyhow::Result<()> {
        let script = "localStorage.setItem(arguments[0], arguments[1])";
        self.client.execute(script, vec![json!(name), json!(value)]).await?;
        Ok(())
    }

    /// Clicks what a CSS selector finds, once it is there.
    pub async fn click(&self, selector: &str) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            if let Ok(found) = self.client.find(Locator::Css(selector)).await
                && found.click().await.is_ok()
            {
                return Ok(());
            }
            ensure!(began.elapsed() < PATIENCE, "nothing to click at {selector}; {}", self.told().await);
            tokio::time::sleep(Duration::from_millis(80)).await;
        }
    }

    /// Waits until the page says something.
    pub async fn says(&self, text: &str) -> anyhow::Result<()> {
        let began = Instant::now();
        while !self.told().await.contains(text) {
            ensure!(began.elapsed() < PATIENCE, "the page does not say {text:?}; {}", self.told().await);
            tokio::time::sleep(Duration::from_millis(80)).await;
        }
        Ok(())
    }

    /// Its address and everything that it shows as text.
    async fn told(&self) -> String {
        let script = "return `${location.href}\\n${document.body?.innerText ?? ''}`";
        let told = self.client.execute(script, vec![]).await;
        told.ok().and_then(|it| it.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// Closes it.
    pub async fn close(self) -> anyhow::Result<()> {
        Ok(self.client.close().await?)
    }
}

/// Where the system has it.
fn browser() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|it| it.path());
    let folders = folders.chain([PathBuf::from("/usr/libexec")]);
    folders.map(|it| it.join("webkit2gtk-4.1/MiniBrowser")).find(|it| it.is_file())
}
