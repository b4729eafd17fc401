//! The load: oha, a load generator of the field, in a process of its own.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, bail};
use serde_json::Value;

/// Which version; another may count otherwise.
const VERSION: &str = "1.16.0";

/// Requests that are under way at a time.
const CONNECTIONS: u32 = 32;

/// The question that every request asks.
const QUESTION: &str = r#"{"question":"What does the contract say about the notice period?","stream":false}"#;

/// A load generator.
pub(crate) struct Load {
    program: PathBuf,
}

/// What requests one after the other came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) requests_per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

impl Load {
    /// Installs it where it is not there yet, from the package registry.
    pub(crate) async fn install() -> anyhow::Result<Self> {
        let root = super::target_folder()?.join(format!("oha-{VERSION}"));
        let program = root.join("bin/oha");
        if !program.is_file() {
            eprintln!("installing the load generator: oha {VERSION}");
            let mut install = tokio::process::Command::new("cargo");
            install.args(["install", "--quiet", "--locked", "--root"]).arg(&root);
            let status = install.args(["--version", VERSION, "oha"]).stdout(Stdio::null()).status().await?;
            if !status.success() {
                bail!("oha cannot be installed");
            }
        }
        Ok(Self { program })
    }

    pub(crate) fn version() -> &'static str {
        VERSION
    }

    pub(crate) fn connections() -> u32 {
        CONNECTIONS
    }

    /// So many requests, each connection's next as soon as its last is answered.
    pub(crate) async fn requests(&self, url: &str, key: &str, count: u32) -> anyhow::Result<Told> {
        let count_text = count.to_string();
        let (told, answered) = self.run(url, key, &["-n", &count_text]).await?;
        if answered != u64::from(count) {
            bail!("{answered} of {count} requests to {url} were answered with 200");
        }
        Ok(told)
    }

    /// So many requests per second for so many seconds, sent by the clock: a late answer delays no later request's
    /// beginning, and time spent waiting to be sent counts.
    pub(crate) async fn paced(&self, url: &str, key: &str, per_second: u32, seconds: u32) -> anyhow::Result<Told> {
        let (rate, time) = (per_second.to_string(), format!("{seconds}s"));
        let (told, _) = self.run(url, key, &["-q", &rate, "-z", &time, "--latency-correction"]).await?;
        Ok(told)
    }

    async fn run(&self, url: &str, key: &str, how: &[&str]) -> anyhow::Result<(Told, u64)> {
        let mut command = tokio::process::Command::new(&self.program);
        command.args(["--no-tui", "--output-format", "json", "-c", &CONNECTIONS.to_string(), "-m", "POST"]);
        command.args(["-H", &format!("Authorization: Bearer {key}"), "-H", "Content-Type: application/json"]);
        command.args(["-d", QUESTION]).args(how).arg(url);
        let output = command.stderr(Stdio::inherit()).output().await?;
        if !output.status.success() {
            bail!("the load generator failed");
        }
        let told: Value = serde_json::from_slice(&output.stdout).context("the load generator's report")?;
        let figure = |path: &str| told.pointer(path).and_then(Value::as_f64).with_context(|| format!("no {path}"));
        let statuses = told.get("statusCodeDistribution").and_then(Value::as_object).context("no statuses")?;
        if let Some((status, count)) = statuses.iter().find(|(status, _)| *status != "200") {
            bail!("{url} answered {count} requests with {status}");
        }
        let answered = statuses.get("200").and_then(Value::as_u64).unwrap_or(0);
        let seconds = 1e3;
        Ok((
            Told {
                requests_per_second: figure("/summary/requestsPerSec")?,
                p50_ms: figure("/latencyPercentiles/p50")? * seconds,
                p99_ms: figure("/latencyPercentiles/p99")? * seconds,
            },
            answered,
        ))
    }
}
