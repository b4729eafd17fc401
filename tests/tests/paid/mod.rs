//! From trial to paid, as one story: a tenant at its quota pays from its page, its next request passes the gate,
//! and the window shows it paid. Nothing is faked but Stripe, and `RAGFlow` itself.

mod checkout;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use paywall_tests::browser::Browser;
use paywall_tests::desktop::Desktop;
use reqwest::Client;
use serde_json::Value;

use crate::gate::{Behind, Caller, end_trial};
use crate::ragflow::session;
use crate::selling::Selling;
use crate::separate::{connect, serve};
use crate::{find_tenant, headless, says_locked_out};
use checkout::EmulatedCheckout;

const EMAIL: &str = "ada@example.com";

/// By when, after the first webhook of a payment arrived, the tenant is let in and the window shows it.
const SEAMLESS: Duration = Duration::from_secs(2);

/// The customer opens its page, chooses the plan, and pays on Checkout's page.
async fn pay(browser: &Browser, desktop: &Desktop, url: &str, button: &str) -> anyhow::Result<()> {
    browser.go(&format!("{url}/paywall/")).await?;
    // As RAGFlow's web UI keeps who is signed in.
    browser.remember("Authorization", &session(1)).await?;
    browser.go(&format!("{url}/paywall/")).await?;
    browser.says("1 of 1").await?;
    desktop.picture("page-at-quota").await?;
    browser.click("form[action='/paywall/checkout'] button").await?;
    browser.says("Pay").await?;
    ensure!(!browser.address().await?.starts_with(url), "Checkout is not the server's own page");
    desktop.picture("page-checkout").await?;
    browser.click(button).await?;
    Ok(())
}

/// When the first webhook of the payment arrived: of what happened since `since`.
async fn first_webhook(url: &str, token: &str, since: SystemTime) -> anyhow::Result<SystemTime> {
    let request = Client::new().get(format!("{url}/admin/v1/billing/events")).bearer_auth(token);
    let page: Value = request.send().await?.error_for_status()?.json().await?;
    let events = page["items"].as_array().context("no list of events")?;
    let arrived = events.iter().filter(|it| it["source"] == "webhook").filter_map(|it| it["received_at"].as_u64());
    let arrived = arrived.map(|at| SystemTime::UNIX_EPOCH + Duration::from_millis(at));
    arrived.filter(|at| *at >= since).min().with_context(|| format!("no webhook arrived: {page}"))
}

async fn from_trial_to_paid(emulates_page: bool) -> anyhow::Result<()> {
    if headless() {
        return Ok(());
    }
    let behind = Behind::with_a_dialog(EMAIL).await?;
    let selling = Selling::with_messages(1).await?;
    let url = selling.url.clone();
    let stripe = Arc::clone(&selling.stripe);
    let emulated =
        if emulates_page { Some(EmulatedCheckout::start(Arc::clone(&stripe), &selling.price).await?) } else { None };
    let (token, owner) = (selling.token("support")?, selling.token("owner")?);
    let mut command = selling.billing(emulated.as_ref().map_or(stripe.url(), |it| &it.url));
    let _server = serve(behind.set(&mut command))?;

    // A tenant on trial comes to the end of its quota.
    let caller = Arc::new(Caller::new(&url)?);
    caller.until(200).await?;
    let (_, refusal) = caller.until(429).await?;
    ensure!(refusal.contains("quota_exhausted"), "{refusal}");
    // What is left of a trial is kept when somebody pays; this one has none left, and pays at once.
    end_trial(&url, &owner).await?;
    caller.until(402).await?;

    let desktop = Desktop::start()?;
    let window = desktop.open().await?;
    connect(&window, &url, &token, stripe.url(), stripe.key()).await?;
    find_tenant(&window, EMAIL).await?;
    window.text_of("verdict", |text| says_locked_out(text) || text.to_lowercase().contains("blocked")).await?;
    window.text_of("tenant-detail", |text| text.contains("never paid")).await?;

    let browser = desktop.browse().await?;
    let began = SystemTime::now();
    let asking = tokio::spawn({
        let caller = Arc::clone(&caller);
        async move { caller.until(200).await }
    });
    pay(&browser, &desktop, &url, if emulates_page { ".checkout-pay-btn" } else { "#pay" }).await?;

    let paid_in_window = async {
        let paid = |text: &str| text.contains("Invoices") && text.contains("49.00");
        window.text_of("tenant-detail", |text| paid(text) && text.contains("paid")).await?;
        let verdict = window.text_of("verdict", |text| !text.to_lowercase().contains("blocked")).await?;
        anyhow::Ok((SystemTime::now(), verdict))
    };
    let (asked, shown, told) = tokio::join!(asking, paid_in_window, browser.says("Your subscription is in place"));
    let (passed, _) = asked??;
    let (shown, verdict) = shown?;
    told?;
    let webhook = first_webhook(&url, &token, began).await?;
    let [passed, shown] = [passed, shown].map(|it| it.duration_since(webhook).unwrap_or_default());
    eprintln!("after the first webhook the gate opened in {passed:?}, the window showed it in {shown:?}: {verdict}");
    assert!(passed <= SEAMLESS, "{passed:?} until the gate opened");
    assert!(shown <= SEAMLESS, "{shown:?} until the window showed it");
    desktop.picture("page-paid").await?;
    browser.close().await?;
    window.picture("tenant-paid").await?;
    assert!(verdict.contains("paid until"), "{verdict}");
    assert_eq!(crate::on_server(&url, &token, EMAIL).await?["status"], "active");
    window.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_at_its_quota_pays_in_checkout_and_goes_on() -> anyhow::Result<()> {
    from_trial_to_paid(false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_at_its_quota_pays_on_emulates_page_and_goes_on() -> anyhow::Result<()> {
    from_trial_to_paid(true).await
}
