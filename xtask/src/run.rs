//! `cargo xtask run`: set up, build, open the console.

use anyhow::bail;
use clap::Args;

use crate::command::{cargo, check, command, target};
use crate::node;
use crate::packages::{self, Need};

#[derive(Args)]
pub(crate) struct Run {
    /// Build with optimisations
    #[arg(long)]
    release: bool,
    /// Build, and stop before opening the window
    #[arg(long)]
    build_only: bool,
}

pub(crate) fn run(arguments: &Run) -> anyhow::Result<()> {
    if !arguments.build_only && !display() {
        bail!(
            "there is no display to open a window on: log in to a desktop, or forward one with `ssh -X`, \
             or install xvfb and run `xvfb-run -a dbus-run-session -- cargo xtask run`"
        );
    }
    packages::install(Need::Run)?;
    node::build()?;
    let mut build = cargo();
    build.args(["build", "--package", "paywall-desktop"]);
    if arguments.release {
        build.arg("--release");
    }
    check(&mut build)?;
    if arguments.build_only {
        return Ok(());
    }
    let folder = target().join(if arguments.release { "release" } else { "debug" });
    check(&mut command(folder.join(format!("paywall-console{}", std::env::consts::EXE_SUFFIX))))
}

fn display() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !cfg!(target_os = "linux") || set("DISPLAY") || set("WAYLAND_DISPLAY")
}
