//! Other processes: started here, measured from `/proc`, ended with what holds them.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

/// What `/proc` counts processor time and starts in, on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// How long a process may take to end by itself.
const FAREWELL: Duration = Duration::from_secs(2);

/// A process that ends with this value.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        Ok(Self(command.spawn().with_context(|| format!("cannot start {name}"))?))
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // In order, where it can: nginx's workers outlive a master that is killed.
        if let Ok(pid) = i32::try_from(self.0.id())
            && let Some(pid) = Pid::from_raw(pid)
            && kill_process(pid, Signal::TERM).is_ok()
        {
            let until = Instant::now() + FAREWELL;
            while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The fields of `/proc/PID/stat` after the name.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in brackets and may hold anything.
    Some(text.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

/// Seconds of processor time that a process used so far.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let ticks = |fields: Vec<String>| Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?);
    stat(pid).and_then(ticks).unwrap_or(0.0) / TICKS_PER_SECOND
}

/// When a process was started, in milliseconds since 1970; right to 20 ms.
pub(crate) fn started_at(pid: u32) -> Option<f64> {
    let ticks: f64 = stat(pid)?.get(19)?.parse().ok()?;
    let uptime: f64 = std::fs::read_to_string("/proc/uptime").ok()?.split_whitespace().next()?.parse().ok()?;
    let booted = chrono::Utc::now().timestamp_millis() as f64 - uptime * 1e3;
    Some(booted + ticks / TICKS_PER_SECOND * 1e3)
}

/// The process that runs `program` with `folder` in its environment.
pub(crate) fn find(program: &Path, folder: &Path) -> Option<u32> {
    let program = program.canonicalize().ok()?;
    let folder = folder.to_string_lossy();
    ids().into_iter().find(|pid| {
        let same = std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program);
        let environment = || std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        same && String::from_utf8_lossy(&environment()).contains(&*folder)
    })
}

/// Resident memory of a process and everything that it started, in MiB; pages that several of them
/// share are counted once.
pub(crate) fn memory_of_tree(root: u32) -> f64 {
    let parents: HashMap<u32, u32> =
        ids().into_iter().filter_map(|pid| Some((pid, stat(pid)?.get(1)?.parse().ok()?))).collect();
    let belongs = |pid: u32| {
        let mut at = Some(pid);
        while let Some(here) = at.filter(|here| *here > 1) {
            if here == root {
                return true;
            }
            at = parents.get(&here).copied();
        }
        false
    };
    let kib: f64 = parents.keys().copied().filter(|pid| belongs(*pid)).map(proportional_kib).sum();
    kib / 1024.0
}

fn proportional_kib(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
}

fn ids() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}
