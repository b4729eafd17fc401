//! Revenue in the real window: with nobody, with three customers of three currencies, with as many as the sample
//! world is told to have, and with the server gone.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use paywall_domain::Timestamp;
use paywall_sandbox::Kind;
use paywall_sandbox::scripted::{Card, Clock, Delivering, ScriptedStripe, Settings};
use paywall_tests::desktop::{Desktop, Window, free_port};
use tempfile::TempDir;

use super::{choose_theme, keeps_to_the_window};
use crate::headless;
use crate::selling::now;
use crate::separate::{Process, connect, enter, make_token, prepare_server, sandbox, serve, server_command};

const TABS: [&str; 6] = ["mrr", "movements", "invoices", "payments", "cohorts", "trials"];

const DAY: Duration = Duration::from_hours(24);

/// Customers: a name, what they pay each month in minor units, its currency and its code, and how it is written.
const CUSTOMERS: [(&str, i64, &str, &str); 3] = [
    ("Ökobüro Süd", 4900, "eur", "49.00"),
    ("東京データ株式会社", 8000, "jpy", "8,000"),
    ("مؤسسة النور", 24_500, "kwd", "24.500"),
];

/// A server that knows nobody, and a token.
fn empty_server() -> anyhow::Result<(TempDir, Process, String, String)> {
    let (folder, port) = (tempfile::tempdir()?, free_port()?);
    let token = make_token(server_command(folder.path(), port), "support")?;
    let serving = serve(&mut server_command(folder.path(), port))?;
    Ok((folder, serving, format!("http://127.0.0.1:{port}"), token))
}

/// A Stripe whose present is so many days ago.
async fn account(days_ago: u32) -> anyhow::Result<ScriptedStripe> {
    let now = Timestamp(now()?.0).plus_ms(-(DAY * days_ago).as_millis().try_into().unwrap_or(i64::MAX));
    Ok(ScriptedStripe::start(Settings {
        now,
        clock: Clock::Script,
        delivering: Delivering::ByHand,
        ..Settings::default()
    })
    .await?)
}

/// Three customers begin, a month after one another, and pay until today.
fn three_customers(stripe: &ScriptedStripe, until_days: u32) -> anyhow::Result<()> {
    for (name, amount, currency, _) in CUSTOMERS {
        let price = stripe.add_price("Pro", currency, amount, "month")?;
        let customer =
            stripe.post("/v1/customers", &[("name", name), ("email", &format!("{currency}@customer.example"))])?;
        let customer = customer["id"].as_str().context("a customer without an id")?;
        let session = stripe.post(
            "/v1/checkout/sessions",
            &[
                ("mode", "subscription"),
                ("customer", customer),
                ("success_url", "https://shop.example/paid"),
                ("cancel_url", "https://shop.example/left"),
                ("line_items[0][price]", &price),
                ("line_items[0][quantity]", "1"),
            ],
        )?;
        let session = session["id"].as_str().context("a session without an id")?;
        stripe.complete_checkout(session, Card::Good).map_err(anyhow::Error::msg)?;
        stripe.advance(DAY * 30);
    }
    stripe.advance(DAY * (until_days - 90));
    ensure!(stripe.state(Kind::Invoice).len() > 20, "they do not go on paying");
    Ok(())
}

/// Waits until everything was read and counted, however much it is.
async fn counted(window: &Window, patience: Duration) -> anyhow::Result<()> {
    let began = Instant::now();
    window.click("nav-revenue").await?;
    loop {
        let chip = window.text_of("chip", |_| true).await?;
        let counting = window.shows("revenue-counting").await? || window.shows("revenue-pending").await?;
        let told = window.shows("revenue-basis").await? || window.text().await?.contains("No recurring revenue yet");
        if chip.contains("As of") && !counting && told {
            return Ok(());
        }
        ensure!(began.elapsed() < patience, "revenue is never counted; the page says:\n{}", window.text().await?);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// A window on a server and a Stripe, once everything was read and counted.
async fn opened(url: &str, token: &str, stripe: &ScriptedStripe) -> anyhow::Result<(Desktop, Window)> {
    let desktop = Desktop::start()?;
    let window = desktop.open().await?;
    connect(&window, url, token, stripe.url(), stripe.key()).await?;
    counted(&window, Duration::from_mins(1)).await?;
    Ok((desktop, window))
}

/// Every tab in both themes.
async fn seen(window: &Window, state: &str) -> anyhow::Result<()> {
    for theme in ["light", "dark"] {
        choose_theme(window, theme).await?;
        window.click("nav-revenue").await?;
        for tab in TABS {
            window.click(&format!("revenue-tab-{tab}")).await?;
            // What a tab asks for by itself arrives after it.
            let began = Instant::now();
            while window.run("return document.querySelector('.skeleton') !== null").await? == serde_json::json!(true) {
                ensure!(began.elapsed().as_secs() < 60, "{tab} with {state} never arrives");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            keeps_to_the_window(window, &format!("revenue-{state}-{tab}"), theme).await?;
        }
        window.click("nav-overview").await?;
        keeps_to_the_window(window, &format!("revenue-{state}-overview"), theme).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_customers_says_what_revenue_begins_with() -> anyhow::Result<()> {
    if headless() {
        return Ok(());
    }
    let (_folder, _serving, url, token) = empty_server()?;
    let stripe = account(0).await?;
    let (_desktop, window) = opened(&url, &token, &stripe).await?;
    seen(&window, "none").await?;
    window.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn three_customers_of_three_currencies_stand_apart_and_add_up_also_offline() -> anyhow::Result<()> {
    if headless() {
        return Ok(());
    }
    let (_folder, serving, url, token) = empty_server()?;
    let stripe = account(330).await?;
    three_customers(&stripe, 330)?;
    let (_desktop, window) = opened(&url, &token, &stripe).await?;
    for (_, _, currency, amount) in CUSTOMERS {
        // Each in its own currency, with its own decimals, and the one customer behind it.
        let headline = format!("headline-{currency}-mrr");
        window.text_of(&headline, |text| text.contains(amount)).await?;
        window.click(&headline).await?;
        window.text_of("behind-sum", |text| text.contains(amount) && text.contains("who add up to it")).await?;
        keeps_to_the_window(&window, &format!("revenue-three-behind-{currency}"), "light").await?;
        window.click("behind-close").await?;
    }
    seen(&window, "three").await?;

    drop((serving, stripe));
    window.text_of("chip", |text| text.contains("Offline")).await?;
    seen(&window, "offline").await?;
    window.close().await
}

/// With the sample world. `PAYWALL_TENANTS` says how many tenants it has: as many as the pictures are wanted with.
#[tokio::test(flavor = "multi_thread")]
async fn the_sample_world_of_any_size_is_seen_whole() -> anyhow::Result<()> {
    if headless() {
        return Ok(());
    }
    let tenants = std::env::var("PAYWALL_TENANTS").map_or(Ok(60), |text| text.parse())?;
    let (folder, port) = (tempfile::tempdir()?, free_port()?);
    let token = prepare_server(folder.path(), port, tenants)?;
    let (_stripe, stripe, key) = sandbox(tenants)?;
    let _serving = serve(&mut server_command(folder.path(), port))?;
    let desktop = Desktop::start()?;
    let window = desktop.open().await?;
    enter(&window, &format!("http://127.0.0.1:{port}"), &token, &stripe, &key).await?;
    counted(&window, Duration::from_mins(1) + Duration::from_millis(30) * tenants).await?;
    seen(&window, &tenants.to_string()).await?;
    window.click("nav-revenue").await?;
    window.click("revenue-tab-mrr").await?;
    window.click("headline-usd-mrr").await?;
    window.text_of("behind-sum", |text| text.contains("who add up to it")).await?;
    keeps_to_the_window(&window, &format!("revenue-{tenants}-behind"), "dark").await?;
    window.close().await
}
