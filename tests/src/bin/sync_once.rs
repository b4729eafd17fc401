//! Brings a local copy up to date once and ends: a process that a test can kill at any moment.
//!
//! Everything comes from the environment: `SYNC_COPY` (the file), `SYNC_COPY_KEY` (64 hex digits),
//! `SYNC_SERVER`, `SYNC_TOKEN`, `SYNC_STRIPE`, `SYNC_STRIPE_KEY`, `SYNC_PAGE` (rows per page).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use paywall_console::admin_client::AdminClient;
use paywall_console::cache::{Cache, CacheKey};
use paywall_console::observer::Unobserved;
use paywall_console::sync::{SyncEngine, SyncOptions};
use paywall_stripe::{Client, Limits, StripeKey};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let env = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
    let page: u8 = env("SYNC_PAGE")?.parse()?;
    let cache = Cache::open(Path::new(&env("SYNC_COPY")?), &CacheKey::from_hex(&env("SYNC_COPY_KEY")?)?).await?;
    let server = AdminClient::new(&env("SYNC_SERVER")?, env("SYNC_TOKEN")?.into())?;
    let stripe = Client::new(&env("SYNC_STRIPE")?, StripeKey::new(&env("SYNC_STRIPE_KEY")?), Limits::NONE)?;
    let options = SyncOptions {
        interval: Duration::from_secs(3600),
        feed_page: page.into(),
        stripe_page: page,
        ..SyncOptions::default()
    };
    let engine = SyncEngine::start(cache.clone(), Some(server), Some(stripe), Arc::new(Unobserved), options).await?;
    // Both sources end a pass, whatever the copy knew before.
    loop {
        let freshness = engine.freshness();
        if let Some(failure) = freshness.sources.iter().find_map(|source| source.failure.as_ref()) {
            anyhow::bail!("{failure:?}");
        }
        if freshness.as_of.is_some() && freshness.sources.iter().all(|source| source.next_try_at.is_some()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    engine.stop().await;
    cache.close().await;
    Ok(())
}
