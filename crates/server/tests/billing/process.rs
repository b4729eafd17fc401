//! A server in a process of its own, which can be killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::app::Place;

/// It is killed when this is dropped.
pub(crate) struct Running {
    child: Child,
    /// Where it answers: `http://…`.
    pub(crate) address: String,
}

impl Running {
    pub(crate) fn start(place: &Place, settings: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_paywall-server"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PAYWALL_")) {
            command.env_remove(name);
        }
        command.env("PAYWALL_DATABASE_URL", place.url()).env("PAYWALL_CONFIG", settings).arg("serve");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { child, address }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
