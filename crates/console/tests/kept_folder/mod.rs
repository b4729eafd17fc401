//! A folder of a test that goes once nothing in it is open any more.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::ops::Deref;
use std::path::Path;
use std::time::{Duration, Instant};

/// `SQLCipher` takes its memory back when a process ends, also from connections that are just being closed
/// by threads of their own, which then crash. So a test that lets go of a copy waits here until its files are
/// closed. Declare it before whatever uses it, or as the last field.
pub struct KeptFolder(tempfile::TempDir);

impl KeptFolder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder for the test"))
    }
}

impl Deref for KeptFolder {
    type Target = tempfile::TempDir;
    fn deref(&self) -> &tempfile::TempDir {
        &self.0
    }
}

impl Drop for KeptFolder {
    fn drop(&mut self) {
        let patience = Instant::now() + Duration::from_secs(5);
        while something_is_open_in(self.0.path()) && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(2));
        }
        // A file is closed a moment before the memory of its connection is given back.
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether this process has a file below `folder` open; on systems that do not tell, it has not.
fn something_is_open_in(folder: &Path) -> bool {
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    open.filter_map(|entry| std::fs::read_link(entry.path()).ok()).any(|file| file.starts_with(folder))
}
