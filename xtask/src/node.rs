//! The window's web side: npm packages and the bundle.

use std::fs;
use std::process::Command;

use anyhow::{Context, bail};

use crate::command::{check, command, output, root};

/// The oldest Node.js that the web side builds with.
const NODE_MAJOR: u32 = 20;

/// `npm`, in the web side's folder.
pub(crate) fn npm() -> Command {
    let mut npm = command(if cfg!(windows) { "npm.cmd" } else { "npm" });
    npm.current_dir(root().join("ui"));
    npm
}

/// Installs the npm packages where the lock file changed since the last time.
pub(crate) fn install() -> anyhow::Result<()> {
    let version =
        output(command("node").arg("--version")).context("Node.js is not here: install version 20 or newer")?;
    let major: u32 = version.trim().trim_start_matches('v').split('.').next().unwrap_or("0").parse().unwrap_or(0);
    if major < NODE_MAJOR {
        bail!("Node.js {} is too old: install version {NODE_MAJOR} or newer", version.trim());
    }
    let ui = root().join("ui");
    let lock = fs::read(ui.join("package-lock.json")).context("ui/package-lock.json cannot be read")?;
    let stamp = ui.join("node_modules/.installed-lock.json");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    check(npm().args(["ci", "--no-audit", "--no-fund"]))?;
    fs::write(&stamp, lock).context("the stamp of the installed packages cannot be written")
}

/// Builds the bundle that the window embeds.
pub(crate) fn build() -> anyhow::Result<()> {
    install()?;
    check(npm().args(["run", "--silent", "build"]))
}
