//! System packages that the build and the tests need, on Debian and Ubuntu.

use std::process::Command;

use anyhow::bail;

use crate::command::{check, command, output};

/// What building and running the window needs.
const BUILD: &[&str] = &[
    "build-essential",
    "pkg-config",
    "perl",
    "file",
    "libssl-dev",
    "libwebkit2gtk-4.1-dev",
    "libayatana-appindicator3-dev",
    "librsvg2-dev",
    "libxdo-dev",
    "patchelf",
];

/// What running the window needs beside: a session bus and somewhere to keep secrets.
const RUN: &[&str] = &["dbus", "gnome-keyring", "fonts-noto-core"];

/// What the tests need beside: a display, a driver for the window, the databases that the server works with,
/// independent programs to check with.
const TEST: &[&str] = &[
    "xvfb",
    "xauth",
    "webkit2gtk-driver",
    "libsecret-tools",
    "libglib2.0-bin",
    "xdotool",
    "imagemagick",
    "chromium",
    "postgresql",
    "mariadb-server-core",
    "mariadb-client-core",
    "python3",
    "python3-venv",
    "desktop-file-utils",
];

/// What a task needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// To build and open the window.
    Run,
    /// To run every test.
    Test,
    /// To make the installer.
    Bundle,
}

impl Need {
    fn packages(self) -> Vec<&'static str> {
        let more: &[&str] = match self {
            Self::Run => &[],
            Self::Test => TEST,
            Self::Bundle => &["desktop-file-utils"],
        };
        BUILD.iter().chain(RUN).chain(more).copied().collect()
    }
}

/// Installs the packages that are missing, as root or through sudo, and names them first. Does
/// nothing on systems other than Linux.
pub(crate) fn install(need: Need) -> anyhow::Result<()> {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    if output(command("dpkg-query").arg("--version")).is_none() {
        return check_foreign();
    }
    let missing: Vec<&str> = need.packages().into_iter().filter(|package| !installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("Installing system packages: {}", missing.join(" "));
    check(apt()?.args(["update", "-q"]))?;
    // Another installation may be running; without recommendations no stray session bus is started.
    check(
        apt()?.args(["-o", "DPkg::Lock::Timeout=600", "install", "-y", "-q", "--no-install-recommends"]).args(&missing),
    )
}

fn installed(package: &str) -> bool {
    let status = output(command("dpkg-query").args(["-W", "-f=${db:Status-Status} ", package]));
    if status.is_some_and(|status| status.split_whitespace().any(|word| word == "installed")) {
        return true;
    }
    // Ubuntu has Chromium by another way than Debian; what counts is that it is there.
    package == "chromium"
        && ["chromium", "chromium-browser", "google-chrome"]
            .iter()
            .any(|name| output(command(name).arg("--version")).is_some())
}

fn apt() -> anyhow::Result<Command> {
    let root = output(command("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    let mut apt = if root {
        command("apt-get")
    } else if output(command("sudo").arg("-V")).is_some() {
        let mut sudo = command("sudo");
        sudo.stdin(std::process::Stdio::inherit()).arg("apt-get");
        sudo
    } else {
        bail!("these packages must be installed as root, and sudo is not here: run this once as root");
    };
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    Ok(apt)
}

/// On a Linux that is not Debian's kin: says what is missing instead of guessing package names.
fn check_foreign() -> anyhow::Result<()> {
    for library in ["webkit2gtk-4.1", "openssl", "librsvg-2.0"] {
        if output(command("pkg-config").args(["--exists", "--print-errors", library])).is_none() {
            bail!(
                "the development files of {library} are missing, and this is not Debian or Ubuntu: \
                 install them with this system's own package command, then run this again"
            );
        }
    }
    Ok(())
}
