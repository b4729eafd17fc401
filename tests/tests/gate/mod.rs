//! What is changed in the window takes effect at the gate: a server between callers and a `RAGFlow`.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use paywall_tests::desktop::Desktop;
use reqwest::Client;
use serde_json::{Value, json};

use crate::ragflow::{Engine, Ragflow, id, key};
use crate::separate::{TENANTS, connect, make_token, sandbox, serve, server_command};
use crate::upstream::Upstream;
use crate::{extend_by_keyboard, find_tenant, headless, on_server, says_locked_out};

const EMAIL: &str = "ada@example.com";

/// By when a change by staff is in force.
const IN_FORCE: Duration = Duration::from_secs(1);

const PATIENCE: Duration = Duration::from_secs(30);

/// A `RAGFlow` behind a server, with its tables.
pub(crate) struct Behind {
    ragflow: Ragflow,
    upstream: Upstream,
}

impl Behind {
    /// User 1, who registered an hour ago, and has a dialog.
    pub(crate) async fn with_a_dialog(email: &str) -> anyhow::Result<Self> {
        let ragflow = Ragflow::start(Engine::MariaDb);
        let hour_ago = SystemTime::UNIX_EPOCH.elapsed()?.as_millis() as i64 - 3_600_000;
        ragflow.register(1, email, hour_ago);
        let times = format!("{hour_ago}, NULL, {hour_ago}, NULL");
        ragflow.sql(&format!("INSERT INTO dialog VALUES ('d1', '{}', 'd', '1', {times})", id(1)));
        Ok(Self { ragflow, upstream: Upstream::start().await })
    }

    /// Tells a server's program where it is.
    pub(crate) fn set<'a>(&self, server: &'a mut Command) -> &'a mut Command {
        server.env("PAYWALL_RAGFLOW_URL", self.upstream.url()).env("PAYWALL_RAGFLOW_DATABASE_URL", &self.ragflow.url)
    }
}

/// The gate, as the locked-out customer's program sees it.
pub(crate) struct Caller {
    client: Client,
    url: String,
}

impl Caller {
    pub(crate) fn new(url: &str) -> anyhow::Result<Self> {
        Ok(Self { client: Client::builder().no_proxy().build()?, url: url.to_owned() })
    }

    /// Asks a question; the status, and the answer.
    async fn ask(&self) -> anyhow::Result<(u16, String)> {
        let question = json!({"chat_id": "d1", "question": "Which city?", "stream": false});
        let request = self.client.post(format!("{}/api/v1/chat/completions", self.url)).bearer_auth(key(1));
        let answer = request.json(&question).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Asks until that status comes; answers when it did, and with what.
    pub(crate) async fn until(&self, expected: u16) -> anyhow::Result<(SystemTime, String)> {
        let began = SystemTime::now();
        loop {
            let (status, text) = self.ask().await?;
            if status == expected {
                return Ok((SystemTime::now(), text));
            }
            ensure!(began.elapsed()? < PATIENCE, "not {expected} but {status}: {text}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Ends the trial, which is not support's to do.
pub(crate) async fn end_trial(url: &str, token: &str) -> anyhow::Result<()> {
    let version = on_server(url, token, EMAIL).await?["version"].clone();
    let request = Client::new().post(format!("{url}/admin/v1/tenants/{}/adjustments", id(1))).bearer_auth(token);
    let request = request.header("Idempotency-Key", "end").header("If-Match", format!("\"{version}\""));
    let order = json!({"change": {"kind": "end_trial"}, "reason": "as the days went by"});
    request.json(&order).send().await?.error_for_status()?;
    Ok(())
}

/// When the server took the newest extension.
async fn extended_at(url: &str, token: &str) -> anyhow::Result<SystemTime> {
    let request = Client::new().get(format!("{url}/admin/v1/adjustments")).bearer_auth(token);
    let page: Value = request.send().await?.error_for_status()?.json().await?;
    let of = |it: &&Value| it["change"]["kind"] == "extend_trial";
    let newest = page["items"].as_array().and_then(|items| items.iter().find(of)).context("no extension is known")?;
    let at = newest["at"].as_u64().context("the extension has no instant")?;
    Ok(SystemTime::UNIX_EPOCH + Duration::from_millis(at))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_in_the_window_unblocks_a_running_gate_within_a_second() -> anyhow::Result<()> {
    if headless() {
        return Ok(());
    }
    let behind = Behind::with_a_dialog(EMAIL).await?;

    let folder = tempfile::tempdir()?;
    let port = paywall_tests::desktop::free_port()?;
    let token = make_token(server_command(folder.path(), port), "support")?;
    let owner = make_token(server_command(folder.path(), port), "owner")?;
    let mut command = server_command(folder.path(), port);
    let _server = serve(behind.set(&mut command))?;
    let url = format!("http://127.0.0.1:{port}");

    let caller = Arc::new(Caller::new(&url)?);
    caller.until(200).await?;
    end_trial(&url, &owner).await?;
    let (_, refusal) = caller.until(402).await?;
    let refusal: Value = serde_json::from_str(&refusal)?;
    assert_eq!((&refusal["code"], &refusal["data"]["deny_codes"]), (&json!(402), &json!(["trial_ended"])));

    let (_stripe, stripe_url, stripe_key) = sandbox(TENANTS)?;
    let desktop = Desktop::start()?;
    let window = desktop.open().await?;
    connect(&window, &url, &token, &stripe_url, &stripe_key).await?;
    find_tenant(&window, EMAIL).await?;
    window.text_of("verdict", says_locked_out).await?;
    assert_eq!(caller.ask().await?.0, 402, "it is let in before anybody extended anything");

    let came_through = behind.upstream.count();
    let asking = tokio::spawn({
        let caller = Arc::clone(&caller);
        async move { caller.until(200).await }
    });
    let confirmed = extend_by_keyboard(&window).await?;
    let (passed, answer) = asking.await??;
    assert!(answer.contains("Paris"), "{answer}");
    assert_eq!(behind.upstream.count(), came_through + 1);
    let taken = extended_at(&url, &token).await?;
    // What was asked just before may be answered within the same millisecond.
    let [since_confirmed, since_taken] = [confirmed, taken].map(|it| passed.duration_since(it).unwrap_or_default());
    eprintln!("the gate let it through {since_confirmed:?} after the click, {since_taken:?} after the server took it");
    assert!(since_taken <= IN_FORCE, "{since_taken:?} after the server took the extension");
    window.text_of("verdict", |text| !says_locked_out(text)).await?;
    window.close().await
}
