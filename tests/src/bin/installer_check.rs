//! Tries an installer as its user would: installs it, starts the app from its menu entry, looks at the
//! window, and takes everything off again. `cargo xtask bundle --check` runs it; it changes the system
//! that it runs on, so that it is no test of the suite.
#![allow(clippy::print_stdout, reason = "a command line tool speaks on standard output")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use paywall_tests::desktop::Desktop;

const PACKAGE: &str = "paywall-console";
const TITLE: &str = "Paywall Console";
/// How long the window may take to be there, and to be drawn.
const PATIENCE: Duration = Duration::from_secs(40);

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(installer), Some(picture)) = (arguments.next(), arguments.next()) else {
        bail!("give the installer and where to save the picture");
    };
    let installer = installer.canonicalize().with_context(|| installer.display().to_string())?;
    let was_there = status(PACKAGE).is_some();
    ensure!(!was_there, "{PACKAGE} is installed here already: remove it first");

    run(apt().arg("install").arg(&installer))?;
    let tried = try_installed(&picture);
    run(apt().args(["purge", PACKAGE]))?;
    tried?;
    let left: Vec<&str> = FILES.into_iter().filter(|path| Path::new(path).exists()).collect();
    ensure!(left.is_empty() && status(PACKAGE).is_none(), "the package leaves behind {left:?}");
    println!("installed, started from its menu entry, removed; the picture: {}", picture.display());
    Ok(())
}

/// What the package must bring and take away again.
const FILES: [&str; 3] = [
    "/usr/bin/paywall-console",
    "/usr/share/applications/Paywall Console.desktop",
    "/usr/share/icons/hicolor/128x128/apps/paywall-console.png",
];

fn try_installed(picture: &Path) -> anyhow::Result<()> {
    for path in FILES {
        ensure!(Path::new(path).is_file(), "{path} is not in the package");
    }
    let entry = FILES[1];
    run(Command::new("desktop-file-validate").arg(entry))?;
    let text = std::fs::read_to_string(entry)?;
    ensure!(text.lines().any(|line| line == "Icon=paywall-console"), "the menu entry names no icon:\n{text}");

    let desktop = Desktop::start()?;
    let mut launched = desktop.command("gio").args(["launch", entry]).spawn().context("gio does not start")?;
    let shown = window(&desktop).and_then(|()| drawn(&desktop, picture));
    for pid in processes() {
        let _ = Command::new("kill").arg(pid.to_string()).status();
    }
    let _ = launched.wait();
    shown
}

/// Waits for the app's window.
fn window(desktop: &Desktop) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let found = desktop.command("xdotool").args(["search", "--onlyvisible", "--name", TITLE]).output()?;
        if found.status.success() && !found.stdout.is_empty() {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "no window comes from the menu entry");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Waits until the page is drawn: until the screen has many colours, as text has and an empty window has not.
fn drawn(desktop: &Desktop, picture: &Path) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        run(desktop.command("import").args(["-window", "root"]).arg(picture))?;
        let counted = desktop.command("identify").args(["-format", "%k"]).arg(picture).output()?;
        let colours: u32 = String::from_utf8_lossy(&counted.stdout).trim().parse().unwrap_or(0);
        if colours > 100 {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "the window stays empty: {colours} colours");
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// The app's processes, by their program.
fn processes() -> Vec<u32> {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == Path::new(FILES[0])))
        .collect()
}

fn apt() -> Command {
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0");
    let mut apt = if root { Command::new("apt-get") } else { Command::new("sudo") };
    if !root {
        apt.arg("apt-get");
    }
    apt.args(["-o", "DPkg::Lock::Timeout=600", "-y", "-q", "--no-install-recommends"]);
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

fn status(package: &str) -> Option<()> {
    let asked = Command::new("dpkg-query").args(["-W", "-f=${db:Status-Status}", package]).output().ok()?;
    (asked.stdout == b"installed").then_some(())
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said));
    Ok(())
}
