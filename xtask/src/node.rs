//! The window's web side: npm packages and the bundle.

use std::fs;
use std::process::Command;

use anyhow::{Context, bail};

use crate::command::{check, command, output, root};

/// Which Node.js the web side builds with, for a person.
const NODE: &str = "20.19, or 22.12 or newer";

/// Whether the web side builds with a Node.js that says this of itself: what its bundler asks for.
fn builds_with(version: &str) -> bool {
    let mut parts = version.trim().trim_start_matches('v').split('.').map(|part| part.parse().unwrap_or(0));
    let version: (u32, u32) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    version >= (22, 12) || (version.0 == 20 && version.1 >= 19)
}

/// `npm`, in the web side's folder.
pub(crate) fn npm() -> Command {
    let mut npm = command(if cfg!(windows) { "npm.cmd" } else { "npm" });
    npm.current_dir(root().join("ui"));
    npm
}

/// Installs the npm packages where the lock file changed since the last time.
pub(crate) fn install() -> anyhow::Result<()> {
    let version = output(command("node").arg("--version"));
    let version = version.with_context(|| format!("Node.js is not here: install version {NODE}"))?;
    if !builds_with(&version) {
        bail!("Node.js {} does not do: install version {NODE}", version.trim());
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

#[cfg(test)]
mod tests {
    use super::builds_with;

    #[test]
    fn a_node_that_the_bundler_refuses_is_told_before() {
        assert!(["v20.19.0", "v20.20.2\n", "v22.12.0", "v24.1.0"].into_iter().all(builds_with));
        assert!(!["v18.20.0", "v20.9.0", "v21.7.3", "v22.5.1", "", "nightly"].into_iter().any(builds_with));
    }
}
