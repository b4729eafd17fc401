//! `cargo xtask bundle`: the installer.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use crate::command::{cargo, check, command, output, root, target};
use crate::node;
use crate::packages::{self, Need};

#[derive(Args)]
pub(crate) struct Bundle {
    /// Then install it on this machine, start it from its menu entry, take a picture, and remove it again
    /// (Debian and Ubuntu)
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(arguments: &Bundle) -> anyhow::Result<()> {
    let made = bundle()?;
    if !arguments.check {
        return Ok(());
    }
    packages::install(Need::Test)?;
    let debian = made.iter().find(|path| path.extension().is_some_and(|it| it == "deb"));
    let installer = debian.context("only Debian's installer can be checked so far")?;
    let picture = target().join("installer.png");
    let mut tried = cargo();
    tried.args(["run", "--quiet", "--package", "paywall-tests", "--bin", "installer_check", "--"]);
    check(tried.arg(installer).arg(picture))
}

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
                if path.extension().is_some_and(|it| it == "deb") {
                    pack_tightly(&path)?;
                }
                println!("{} ({:.1} MB)", path.display(), path.metadata()?.len() as f64 / 1e6);
                made.push(path);
            }
        }
    }
    Ok(made)
}

/// Packs a package anew by xz, as Debian's own are. The bundler knows only gzip, which leaves it half as large again.
fn pack_tightly(package: &Path) -> anyhow::Result<()> {
    if output(command("dpkg-deb").arg("--version")).is_none() {
        return Ok(());
    }
    let folder = package.with_extension("unpacked");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    check(command("dpkg-deb").arg("--raw-extract").args([package, &folder]))?;
    check(
        command("dpkg-deb")
            .args(["--root-owner-group", "-Zxz", "-z9", "-Sextreme", "--build"])
            .args([&folder, package]),
    )?;
    Ok(std::fs::remove_dir_all(&folder)?)
}
