//! `cargo xtask bundle`: the installer.

use std::path::PathBuf;

use anyhow::Context;

use crate::command::{check, command, root, target};
use crate::node;
use crate::packages::{self, Need};

/// Builds the installer for this system and answers where it lies.
pub(crate) fn bundle() -> anyhow::Result<Vec<PathBuf>> {
    packages::install(Need::Bundle)?;
    node::build()?;
    let tauri = root().join("ui/node_modules/@tauri-apps/cli/tauri.js");
    let mut build = command("node");
    build.arg(tauri).arg("build");
    // Debian's format is made without fetching anything; the other formats of Linux are not.
    if cfg!(target_os = "linux") {
        build.args(["--bundles", "deb"]);
    }
    check(&mut build)?;
    let folder = target().join("release/bundle");
    let mut made = Vec::new();
    for kind in std::fs::read_dir(&folder).context("no bundle was made")? {
        let Ok(entries) = std::fs::read_dir(kind?.path()) else { continue };
        for entry in entries {
            let path = entry?.path();
            let installer =
                path.extension().is_some_and(|it| ["deb", "rpm", "dmg", "msi", "exe"].iter().any(|e| it == *e));
            if installer {
                println!("{} ({:.1} MB)", path.display(), path.metadata()?.len() as f64 / 1e6);
                made.push(path);
            }
        }
    }
    Ok(made)
}
