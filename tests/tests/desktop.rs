//! The main job in the real window: find a tenant that is locked out, see why, extend its trial, take
//! it back, and review everything with the server gone.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

// A RAGFlow that answers, and its tables, as the server's own tests have them.
#[allow(dead_code)]
#[path = "../../crates/server/tests/directory/ragflow.rs"]
mod ragflow;
#[allow(dead_code)]
#[path = "../../crates/server/tests/enforcement/upstream.rs"]
mod upstream;

mod gate;
mod paid;
mod screens;
mod selling;
mod separate;

use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use paywall_sandbox::{World, WorldSpec};
use paywall_tests::desktop::{Desktop, Window};
use serde_json::{Value, json};

/// The keyring's service name of a development build.
const SERVICE: &str = "dev.paywall.console.dev";

const ENTER: &str = "\u{E007}";
const CONTROL: &str = "\u{E009}";
const RELEASE: &str = "\u{E000}";

fn headless() -> bool {
    let headless = std::env::var_os("PAYWALL_TEST_HEADLESS").is_some();
    if headless {
        eprintln!("left out: PAYWALL_TEST_HEADLESS asks for no window");
    }
    headless
}

/// The e-mail address of the sample tenant whose trial ended while it was at work.
fn locked_out() -> String {
    let spec = WorldSpec { seed: 20, tenants: 240, as_of: paywall_domain::Timestamp(1_700_000_000_000) };
    World::generate(spec).cast().locked_out.email.clone()
}

/// Finds a tenant by pasting its address, and opens it.
async fn find_tenant(window: &Window, email: &str) -> anyhow::Result<()> {
    window.keys(&format!("{CONTROL}k{RELEASE}")).await?;
    window.fill("search-input", email).await?;
    window.text_of("search-hit", |text| text.contains(email)).await?;
    window.picture("palette").await?;
    window.keys(ENTER).await?;
    window.find("verdict").await?;
    Ok(())
}

/// The tenant as the server itself has it.
async fn on_server(url: &str, token: &str, email: &str) -> anyhow::Result<Value> {
    let list: Value = reqwest::Client::new()
        .get(format!("{url}/admin/v1/tenants"))
        .query(&[("text", email)])
        .bearer_auth(token)
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    list["items"].get(0).cloned().with_context(|| format!("the server knows nobody as {email}"))
}

/// Extends the open tenant's trial by 7 days, by keyboard alone; answers when that was confirmed.
async fn extend_by_keyboard(window: &Window) -> anyhow::Result<SystemTime> {
    window.run("document.querySelector('[data-testid=\"verdict\"]').closest('[tabindex]')?.focus()").await?;
    window.keys("e").await?;
    let apply = window.find("extend-apply").await?;
    let began = Instant::now();
    while apply.attr("aria-disabled").await?.as_deref() == Some("true") || !apply.is_enabled().await? {
        anyhow::ensure!(began.elapsed() < Duration::from_secs(20), "the preview does not arrive");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    window.picture("dialog-extend").await?;
    // The dialog ignores the key for a moment after opening, so that a repeated key applies nothing.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let confirmed = SystemTime::now();
    window.keys(ENTER).await?;
    window.gone("extend-apply").await?;
    Ok(confirmed)
}

fn says_locked_out(text: &str) -> bool {
    text.to_lowercase().contains("locked out")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_out_tenant_is_found_explained_extended_and_reviewed_offline() -> anyhow::Result<()> {
    if headless() {
        return Ok(());
    }
    let email = locked_out();
    let desktop = Desktop::start()?;
    let window = desktop.open().await?;
    window.picture("first-run").await?;
    window.click("firstrun-sample").await?;
    window.find("chip").await?;
    window.text_of("tile-trials", |text| text.chars().any(|c| c.is_ascii_digit())).await?;
    window.picture("overview").await?;

    find_tenant(&window, &email).await?;
    let verdict = window.text_of("verdict", says_locked_out).await?;
    assert!(verdict.to_lowercase().contains("trial ended"), "the verdict names no cause: {verdict}");
    assert!(verdict.contains("UTC"), "the verdict names no instant with its zone: {verdict}");
    window.picture("tenant-locked-out").await?;

    let state = window.invoke("app_state", json!({})).await?.expect("the state of the app");
    let url = state["profiles"][0]["server_url"].as_str().context("no server")?.to_owned();
    let token = desktop.secret(SERVICE, "sample/server-token")?.context("the token is not in the keyring")?;
    assert_eq!(on_server(&url, &token, &email).await?["status"], "expired");

    extend_by_keyboard(&window).await?;
    window.text_of("verdict", |text| !says_locked_out(text)).await?;
    let extended = on_server(&url, &token, &email).await?;
    assert_eq!(extended["status"], "trial");
    assert_eq!(extended["access"]["level"], "full");
    window.picture("tenant-extended").await?;

    window.click("toast-undo").await?;
    window.text_of("verdict", says_locked_out).await?;
    assert_eq!(on_server(&url, &token, &email).await?["status"], "expired");

    window.click("nav-connections").await?;
    window.picture("connections").await?;
    window.click("sample-stop").await?;
    window.text_of("chip", |text| text.contains("Offline")).await?;
    offline_reads_and_refuses(&window, &email).await?;
    let before = what_the_copy_says(&window, &email).await?;
    window.close().await?;

    let window = desktop.open().await?;
    window.text_of("chip", |text| text.contains("Offline")).await?;
    assert_eq!(what_the_copy_says(&window, &email).await?, before, "the copy differs after a restart");
    offline_reads_and_refuses(&window, &email).await?;
    window.click("nav-connections").await?;
    window.click("sample-start").await?;
    window.text_of("chip", |text| text.contains("As of") && !text.contains("Offline")).await?;
    window.click("nav-activity").await?;
    window.find("activity-row").await?;
    window.picture("activity").await?;
    window.close().await
}

/// Everything still reads, every change is refused with its reason, and the chip tells the age.
async fn offline_reads_and_refuses(window: &Window, email: &str) -> anyhow::Result<()> {
    find_tenant(window, email).await?;
    window.text_of("verdict", says_locked_out).await?;
    let extend = window.find("extend-open").await?;
    assert_eq!(extend.attr("aria-disabled").await?.as_deref(), Some("true"), "extending is offered offline");
    let chip = window.text_of("chip", |text| text.contains("Offline")).await?;
    assert!(chip.contains(':'), "the chip does not tell the copy's time: {chip}");
    window.picture("tenant-offline").await?;

    let found = window.invoke("search", json!({ "text": email })).await?.expect("the search works offline");
    let id = found["hits"][0]["row"]["id"].clone();
    let detail = window.invoke("tenant_detail", json!({ "id": id })).await?.expect("the detail works offline");
    for change in [
        json!({ "kind": "extend_trial", "target": { "days": 7 } }),
        json!({ "kind": "suspend", "message": null }),
        json!({ "kind": "comp", "plan": detail["tenant"]["facts"]["plan"], "until": null }),
        json!({ "kind": "note" }),
    ] {
        let order = json!({
            "tenant_id": id, "change": change, "reason": "offline", "ticket": null,
            "version": detail["tenant"]["version"], "key": format!("offline-{}", change["kind"].as_str().unwrap()),
        });
        let failure =
            window.invoke("change_apply", json!({ "order": order })).await?.expect_err("a change went through");
        assert_eq!(failure["code"], "unreachable", "{failure}");
    }
    Ok(())
}

/// The tenant, its timeline and the counts, as the copy has them.
async fn what_the_copy_says(window: &Window, email: &str) -> anyhow::Result<Value> {
    let found = window.invoke("search", json!({ "text": email })).await?.expect("the search");
    let id = found["hits"][0]["row"]["id"].clone();
    let detail = window.invoke("tenant_detail", json!({ "id": id })).await?.expect("the detail");
    let timeline = window.invoke("timeline_page", json!({ "id": id, "cursor": null })).await?.expect("the timeline");
    let counts = window.invoke("tenant_counts", json!({})).await?.expect("the counts");
    Ok(
        json!({ "tenant": detail["tenant"], "billing": detail["billing"], "timeline": timeline["rows"], "counts": counts }),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_shows_the_first_window() -> anyhow::Result<()> {
    if headless() {
        return Ok(());
    }
    let desktop = Desktop::start()?;
    let window = desktop.open().await?;
    window.find("firstrun-sample").await?;
    let mut second = desktop.command(paywall_tests::desktop::program("paywall-console")).spawn()?;
    let patience = Instant::now() + Duration::from_secs(20);
    let ended = loop {
        if let Some(status) = second.try_wait()? {
            break Some(status);
        }
        if Instant::now() > patience {
            second.kill()?;
            second.wait()?;
            break None;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(ended.is_some_and(|status| status.success()), "a second window opened");
    assert!(window.shows("firstrun-sample").await?, "the first window is gone");
    window.close().await
}
