//! The same job against a paywall server and a sandbox in processes of their own, with credentials
//! typed into Connections.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context as _, ensure};
use paywall_tests::desktop::{Desktop, Window, program};
use serde_json::json;

use crate::{SERVICE, extend_by_keyboard, find_tenant, headless, locked_out, on_server, says_locked_out};

/// A server process, ended with the test, and its output: one that nobody holds breaks whoever prints.
pub(crate) struct Process(Child, BufReader<ChildStdout>);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How many tenants the sample world has where it does not matter.
pub(crate) const TENANTS: u32 = 240;

fn sample(part: &str, tenants: u32) -> Command {
    let mut command = Command::new(program("paywall-sandbox"));
    command.args([part, "--seed", "20", "--tenants", &tenants.to_string()]);
    command
}

/// Starts the sandbox; answers its address and its restricted key.
pub(crate) fn sandbox(tenants: u32) -> anyhow::Result<(Process, String, String)> {
    let mut child = sample("serve", tenants)
        .args(["--listen", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let output = BufReader::new(child.stdout.take().context("no output")?);
    let mut process = Process(child, output);
    let (mut address, mut key) = (None, None);
    let mut line = String::new();
    while process.1.read_line(&mut line)? > 0 {
        let line = std::mem::take(&mut line);
        if let Some(rest) = line.strip_prefix("listening ") {
            address = Some(rest.trim().to_owned());
        }
        if let Some(rest) = line.strip_prefix("key restricted ") {
            key = Some(rest.trim().to_owned());
        }
        if let (Some(address), Some(key)) = (&address, &key) {
            return Ok((process, address.clone(), key.clone()));
        }
    }
    anyhow::bail!("the sandbox ended before it listened")
}

pub(crate) fn server_command(folder: &Path, port: u16) -> Command {
    let mut command = Command::new(program("paywall-server"));
    command
        .env("PAYWALL_DATABASE_URL", format!("sqlite://{}", folder.join("server.db").display()))
        .env("PAYWALL_LISTEN", format!("127.0.0.1:{port}"))
        .env("PAYWALL_TOKEN_KEY", "a key of this test, long enough to be one")
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Fills a server's database with the sample world; answers a token.
pub(crate) fn prepare_server(folder: &Path, port: u16, tenants: u32) -> anyhow::Result<String> {
    let mut tenants = sample("tenants", tenants).stdout(Stdio::piped()).spawn()?;
    let lines = tenants.stdout.take().context("no output")?;
    let imported = server_command(folder, port).args(["import", "-"]).stdin(lines).stdout(Stdio::null()).status()?;
    ensure!(imported.success() && tenants.wait()?.success(), "the sample world does not go in");
    make_token(server_command(folder, port), "support")
}

/// Makes a token of a server's database.
pub(crate) fn make_token(mut server: Command, role: &str) -> anyhow::Result<String> {
    let output = server.args(["token", "create", "--role", role, "--name", "Mia"]).output()?;
    ensure!(output.status.success(), "no token is made");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Starts a server, and waits until it listens.
pub(crate) fn serve(server: &mut Command) -> anyhow::Result<Process> {
    let mut child = server.arg("serve").stdout(Stdio::piped()).spawn()?;
    let output = BufReader::new(child.stdout.take().context("no output")?);
    let mut process = Process(child, output);
    let mut line = String::new();
    process.1.read_line(&mut line)?;
    ensure!(!line.is_empty(), "the server ended before it listened");
    Ok(process)
}

/// Types a server and a Stripe into Connections, and waits until what they hold is shown.
pub(crate) async fn connect(window: &Window, server: &str, token: &str, stripe: &str, key: &str) -> anyhow::Result<()> {
    enter(window, server, token, stripe, key).await?;
    window.text_of("tile-trials", |text| text.chars().any(|c| c.is_ascii_digit())).await?;
    window.text_of("chip", |text| text.contains("As of")).await?;
    Ok(())
}

/// Types a server and a Stripe into Connections.
pub(crate) async fn enter(window: &Window, server: &str, token: &str, stripe: &str, key: &str) -> anyhow::Result<()> {
    window.click("firstrun-connect").await?;
    window.fill("profile-name", "staging").await?;
    window.click("profile-mode-test").await?;
    window.fill("server-url", server).await?;
    window.fill("server-token", token).await?;
    window.run("document.querySelector('[data-testid=\"stripe-url\"]').closest('details').open = true").await?;
    window.fill("stripe-url", stripe).await?;
    window.fill("stripe-key", key).await?;
    window.click("test-connection").await?;
    window.find("step-role").await?;
    window.find("step-stripe_permission").await?;
    window.picture("connect").await?;
    window.click("profile-save").await
}

#[tokio::test(flavor = "multi_thread")]
async fn separate_processes_with_typed_credentials_that_stay_in_the_keyring() -> anyhow::Result<()> {
    if headless() {
        return Ok(());
    }
    let email = locked_out();
    let folder = tempfile::tempdir()?;
    let port = paywall_tests::desktop::free_port()?;
    let token = prepare_server(folder.path(), port, TENANTS)?;
    let (_stripe, stripe_url, stripe_key) = sandbox(TENANTS)?;
    let server = serve(&mut server_command(folder.path(), port))?;
    let url = format!("http://127.0.0.1:{port}");

    let desktop = Desktop::start()?;
    let window = desktop.open().await?;
    connect(&window, &url, &token, &stripe_url, &stripe_key).await?;

    find_tenant(&window, &email).await?;
    window.text_of("verdict", says_locked_out).await?;
    extend_by_keyboard(&window).await?;
    window.text_of("verdict", |text| !says_locked_out(text)).await?;
    assert_eq!(on_server(&url, &token, &email).await?["status"], "trial");
    window.click("toast-undo").await?;
    window.text_of("verdict", says_locked_out).await?;
    assert_eq!(on_server(&url, &token, &email).await?["status"], "expired");

    window.click("nav-connections").await?;
    window.picture("connections-separate").await?;
    let state = window.invoke("app_state", json!({})).await?.expect("the state of the app");
    let profile = state["open"].as_str().context("no profile is open")?.to_owned();
    let found = desktop.secret(SERVICE, &format!("{profile}/server-token"))?;
    assert_eq!(found.as_deref(), Some(token.as_str()), "another program does not find the token in the keyring");
    for secret in [&token, &stripe_key] {
        assert!(!window.markup().await?.contains(secret.as_str()), "a secret is in the window's page");
        assert!(!window.log()?.contains(secret.as_str()), "a secret is in the log");
        assert!(!state.to_string().contains(secret.as_str()), "a secret goes back to the page");
        if let Some(file) = file_with(desktop.folder(), secret.as_bytes())? {
            panic!("a secret lies in {}", file.display());
        }
    }
    let cache = desktop.console_home().join("profiles").join(&profile).join("cache.db");
    let bytes = std::fs::read(&cache)?;
    assert!(!bytes.starts_with(b"SQLite format 3"), "the local copy is not encrypted");
    for name in ["Acme GmbH", &email] {
        let file = file_with(&desktop.console_home(), name.as_bytes())?;
        assert!(file.is_none(), "a tenant's name lies open in {file:?}");
    }

    drop(server);
    window.text_of("chip", |text| text.contains("Offline")).await?;
    crate::offline_reads_and_refuses(&window, &email).await?;
    let _server = serve(&mut server_command(folder.path(), port))?;
    window.text_of("chip", |text| text.contains("As of") && !text.contains("Offline")).await?;
    window.close().await
}

/// The first file below `folder` that holds these bytes.
fn file_with(folder: &Path, bytes: &[u8]) -> anyhow::Result<Option<std::path::PathBuf>> {
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file()
                && std::fs::read(entry.path()).is_ok_and(|held| held.windows(bytes.len()).any(|part| part == bytes))
            {
                return Ok(Some(entry.path()));
            }
        }
    }
    Ok(None)
}
