//! The machine and the versions that figures hold for. No names of hosts, users or folders.

use std::process::{Command, Stdio};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

/// What a report begins with, as a Markdown list.
pub(crate) async fn describe() -> anyhow::Result<String> {
    let cores = std::thread::available_parallelism()?;
    let processor = line_of("/proc/cpuinfo", "model name").unwrap_or_else(|| "processor unknown".to_owned());
    let memory = line_of("/proc/meminfo", "MemTotal")
        .and_then(|it| it.split_whitespace().next()?.parse::<f64>().ok())
        .map_or_else(|| "unknown".to_owned(), |kib| format!("{:.1} GiB", kib / 1_048_576.0));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // What follows the version names whoever built the kernel.
    let kernel = kernel.split(['-', '\n']).next().unwrap_or_default().to_owned();
    // Who does its cryptography it tells of a database with a key only.
    let mut connection = SqliteConnectOptions::new().in_memory(true).pragma("key", "'any'").connect().await?;
    let (sqlite,): (String,) = sqlx::query_as("SELECT sqlite_version()").fetch_one(&mut connection).await?;
    let (cipher,): (String,) = sqlx::query_as("PRAGMA cipher_version").fetch_one(&mut connection).await?;
    let (provider,): (String,) = sqlx::query_as("PRAGMA cipher_provider_version").fetch_one(&mut connection).await?;
    connection.close().await?;
    let build = if cfg!(debug_assertions) { "debug: these figures say nothing" } else { "release" };
    Ok(format!(
        "- {} UTC, build: {build}\n\
         - {cores} cores ({processor}), {memory} memory, {}, kernel {kernel}\n\
         - {}\n\
         - WebKitGTK {}, SQLCipher {cipher} (SQLite {sqlite}, {provider})\n",
        chrono::Utc::now().format("%Y-%m-%d %H:%M"),
        system().unwrap_or_else(|| "system unknown".to_owned()),
        said("rustc", &["--version"]).unwrap_or_else(|| "rustc unknown".to_owned()),
        said("pkg-config", &["--modversion", "webkit2gtk-4.1"]).unwrap_or_else(|| "unknown".to_owned()),
    ))
}

fn line_of(path: &str, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn system() -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(line.trim_matches('"').to_owned())
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
