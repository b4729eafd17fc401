//! The program in a process of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// The program with its home in a folder, so that its data folder lies in there.
pub(crate) fn program(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paywall-server"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PAYWALL_")) {
        command.env_remove(name);
    }
    command.env("HOME", home).env("XDG_DATA_HOME", home.join("data")).env("APPDATA", home.join("data"));
    command.env("PAYWALL_LISTEN", "127.0.0.1:0").args(arguments).stdin(Stdio::null());
    command
}

/// The same, on a database in that folder.
pub(crate) fn on_database(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = program(folder, arguments);
    command.env("PAYWALL_DATABASE_URL", format!("sqlite://{}", folder.join("server.db").display()));
    command.env("PAYWALL_TOKEN_KEY", "a key of this test, long enough to be one");
    command
}

pub(crate) fn told(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn refused(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(!output.status.success(), "it was taken");
    assert!(output.stdout.is_empty());
    said(&output)
}

/// Ends the server, however the test ends.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a server; answers it with its address and where it says that its database is.
pub(crate) fn serve(command: Command) -> (Running, String, String) {
    serve_logging(command, Stdio::null())
}

/// The same, with its log going somewhere.
pub(crate) fn serve_logging(mut command: Command, log: Stdio) -> (Running, String, String) {
    let mut running = Running(command.stdout(Stdio::piped()).stderr(log).spawn().unwrap());
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let address = lines.next().unwrap().strip_prefix("listening on ").unwrap().to_owned();
    let database = lines.next().unwrap().strip_prefix("database ").unwrap().to_owned();
    (running, address, database)
}
