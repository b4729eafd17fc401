//! The window's start, offline, with the copy of a large account, against an empty window.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use paywall_console::Home;
use paywall_console::ipc::{Mode, SecretStore, SecretView, WriteMode};
use paywall_console::profile::{Profile, Profiles};
use paywall_console::vault::SecretName;
use paywall_domain::Timestamp;
use paywall_tests::desktop::{Desktop, free_port, program};

use crate::figures::{Pair, short, table};
use crate::processes;
use crate::sync::Copy;

/// The profile that opens.
const PROFILE: &str = "bench";

/// Under which name the console keeps its secrets.
const APP_ID: &str = if cfg!(debug_assertions) { "dev.paywall.console.dev" } else { "dev.paywall.console" };

/// How long a window may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a window is left alone before its memory is read.
const SETTLED: Duration = Duration::from_secs(2);

/// True once the Overview shows its figures and what needs attention.
const OVERVIEW: &str = "document.querySelector('[data-testid=\"tile-trials\"] .figure') !== null
    && document.querySelector('#attention') !== null";

/// True once the empty window's page is there.
const EMPTY: &str = "document.querySelector('[data-testid=\"ready\"]') !== null";

/// Starts both in turn.
pub(crate) async fn measure(copy: &Copy, tenants: i64, rounds: u32) -> anyhow::Result<String> {
    let desktop = Desktop::start()?;
    furnish(&desktop, copy)?;
    let console = program("paywall-console");
    let empty = program("examples/empty_window");
    for each in [&console, &empty] {
        ensure!(each.is_file(), "{} is not built: `cargo xtask bench` builds it", each.display());
    }
    let (mut times, mut memory) = (Pair::default(), Pair::default());
    let mut late = Vec::new();
    for round in 0..=rounds {
        eprintln!("start, round {round} of {rounds} (0 warms up)");
        let ours = start(&desktop, &console, OVERVIEW).await?;
        let peer = start(&desktop, &empty, EMPTY).await?;
        if round > 0 {
            times.round(ours.ms, peer.ms);
            memory.round(ours.memory, peer.memory);
            late.push(ours.ms - peer.ms);
        }
    }
    late.sort_by(f64::total_cmp);
    let head = ["what", "console", "empty window", "", "to reach"];
    let rows = [
        vec![
            "start of the process to a painted page, with figures".to_owned(),
            times.ours.spread("ms"),
            times.peer.spread("ms"),
            format!("{} ms ({} – {})", signed(late[late.len() / 2]), signed(late[0]), signed(late[late.len() - 1])),
            "≤ +300 ms".to_owned(),
        ],
        vec![
            "memory of the process tree (PSS)".to_owned(),
            memory.ours.spread("MiB"),
            memory.peer.spread("MiB"),
            memory.ratio(),
            String::new(),
        ],
    ];
    Ok(format!(
        "Offline, the copy's key in the keyring, {} tenants in the copy; {rounds} rounds in turn after one to warm up, \
         files in the system's page cache. Both windows are driven by WebKitWebDriver on a display of their own \
         without a graphics card; a page counts as painted two frames after it shows what it should.\n\n{}",
        crate::figures::grouped(tenants),
        table(&head, &rows),
    ))
}

fn signed(ms: f64) -> String {
    format!("{}{}", if ms < 0.0 { "−" } else { "+" }, short(ms.abs()))
}

struct Started {
    ms: f64,
    memory: f64,
}

async fn start(desktop: &Desktop, path: &Path, ready: &str) -> anyhow::Result<Started> {
    let window = desktop.open_program(path).await?;
    let pid = processes::find(path, desktop.folder()).context("the window's process is not there")?;
    let began = processes::started_at(pid).context("the window's process has ended")?;
    // The page itself notes when it was painted, so that asking takes no part in the figure.
    let script = format!(
        "if (!({ready})) return null;
         if (!window.__benchAsked) {{
             window.__benchAsked = true;
             requestAnimationFrame(() => requestAnimationFrame(() => {{ window.__benchPainted = Date.now(); }}));
         }}
         return window.__benchPainted ?? null;"
    );
    let patience = Instant::now() + PATIENCE;
    let painted = loop {
        if let Some(painted) = window.run(&script).await?.as_f64() {
            break painted;
        }
        if Instant::now() > patience {
            bail!("the page does not show what it should; it says:\n{}", window.text().await.unwrap_or_default());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    tokio::time::sleep(SETTLED).await;
    let memory = processes::memory_of_tree(pid);
    window.close().await?;
    let patience = Instant::now() + PATIENCE;
    while processes::find(path, desktop.folder()).is_some() {
        ensure!(Instant::now() < patience, "the window's process does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(Started { ms: painted - began, memory })
}

/// Gives the desktop's user a profile with the copy, its secrets in the keyring, and a server that is away.
fn furnish(desktop: &Desktop, copy: &Copy) -> anyhow::Result<()> {
    let home = desktop.console_home();
    let folder = home.join("profiles").join(PROFILE);
    std::fs::create_dir_all(&folder)?;
    std::fs::copy(&copy.path, folder.join("cache.db"))?;
    let stored = || {
        let added_at = Timestamp(chrono::Utc::now().timestamp_millis());
        Some(SecretView { hint: "…".to_owned(), added_at, store: SecretStore::Keyring })
    };
    let profile = Profile {
        id: PROFILE.to_owned(),
        name: "Bench".to_owned(),
        mode: Mode::Test,
        write_mode: WriteMode::Review,
        server_url: format!("http://127.0.0.1:{}", free_port()?),
        server_token: stored(),
        stripe_url: Some(format!("http://127.0.0.1:{}", free_port()?)),
        stripe_key: stored(),
        caller: None,
        reporting: paywall_console::ipc::Reporting::default(),
    };
    let mut profiles = Profiles::default();
    profiles.last_open = Some(PROFILE.to_owned());
    profiles.put(profile);
    profiles.store(&Home::at(&home))?;
    for (name, secret) in [
        (SecretName::CacheKey, copy.key.to_hex().to_string()),
        (SecretName::ServerToken, "pwl_of_a_server_that_is_away".to_owned()),
        (SecretName::StripeKey, "rk_test_of_a_stripe_that_is_away".to_owned()),
    ] {
        let mut tool = desktop.command("secret-tool");
        tool.args(["store", "--label=bench", "service", APP_ID, "username", &name.user(PROFILE)]);
        let mut child = tool.stdin(Stdio::piped()).spawn().context("secret-tool does not start")?;
        child.stdin.take().context("no input")?.write_all(secret.as_bytes())?;
        ensure!(child.wait()?.success(), "the keyring does not take a secret");
    }
    Ok(())
}

/// The installers that lie in the folder of bundles, with their sizes.
pub(crate) fn installers() -> String {
    let folder = program("paywall-console").with_file_name("bundle").join("deb");
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut sizes: Vec<(PathBuf, u64)> = files
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|it| it == "deb"))
        .filter_map(|path| Some((path.clone(), path.metadata().ok()?.len())))
        .collect();
    sizes.sort();
    if sizes.is_empty() {
        return "No .deb is there; `cargo xtask bundle` makes it.\n".to_owned();
    }
    let rows: Vec<Vec<String>> = sizes
        .iter()
        .map(|(path, bytes)| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            vec![name, format!("{} MB", short(*bytes as f64 / 1e6)), "≤ 15 MB".to_owned()]
        })
        .collect();
    table(&["installer", "size", "to reach"], &rows)
}
