//! `MariaDB`.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::process::Signal;

use crate::files::Folder;
use crate::port::Port;
use crate::program::{Account, Running, find, run};
use crate::{DatabaseError, shared};

const SERVER: &str = "mariadb-server-core";
const CLIENT: &str = "mariadb-client-core";

/// The user that every URL of [`MariaDb::database`] names: it may do everything, and has no password.
const USER: &str = "root";

/// Fewer and smaller files than by default: all of it is copied for each server.
const SMALL: &[&str] = &["--innodb-log-file-size=4M", "--skip-log-bin", "--skip-name-resolve"];

/// The server that the tests of this process share.
static SHARED: Mutex<Weak<MariaDb>> = Mutex::new(Weak::new());

/// A `MariaDB` server.
pub struct MariaDb {
    running: Mutex<Option<Running>>,
    program: PathBuf,
    client: PathBuf,
    account: Account,
    port: Port,
    durable: bool,
    made: AtomicU32,
    folder: Folder,
}

impl MariaDb {
    /// Starts a server of its own.
    pub fn start() -> Result<Self, DatabaseError> {
        Self::start_with(false)
    }

    /// Starts a server of its own that flushes to the disk what it commits, as a real one does.
    pub fn durable() -> Result<Self, DatabaseError> {
        Self::start_with(true)
    }

    /// The server that tests of this process share, started where none runs. It is stopped when the last of
    /// them lets go of it. For tests that neither kill it nor make users.
    pub fn shared() -> Result<Arc<Self>, DatabaseError> {
        shared(&SHARED, Self::start)
    }

    fn start_with(durable: bool) -> Result<Self, DatabaseError> {
        let account = Account::new();
        let (program, client) = (find("mariadbd", SERVER, &[])?, find("mariadb", CLIENT, &[])?);
        let version = run(Command::new(&program).args(["--no-defaults", "--version"]))?;
        let version = version.split_whitespace().nth(2).unwrap_or("unknown").to_owned();
        let folder = Folder::from_template(&format!("mariadb-{version}"), &account, durable, |folder| {
            let mut command = account.command(&find("mariadb-install-db", SERVER, &[])?)?;
            command.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
            run(command.args(SMALL).arg(format!("--datadir={}", folder.display()))).map(drop)
        })?;
        let server = Self {
            running: Mutex::new(None),
            program,
            client,
            account,
            port: Port::take()?,
            durable,
            made: AtomicU32::new(0),
            folder,
        };
        let running = server.launch()?;
        *server.running() = Some(running);
        Ok(server)
    }

    fn launch(&self) -> Result<Running, DatabaseError> {
        let data = self.folder.data();
        let mut command = self.account.command(&self.program)?;
        command.arg("--no-defaults").args(SMALL).arg(format!("--datadir={}", data.display()));
        command.arg("--bind-address=127.0.0.1").arg(format!("--port={}", self.port.number));
        // A socket's path may have 107 bytes only, and the data folder's may be longer.
        command.arg("--socket=").arg(format!("--tmpdir={}", data.display()));
        command.args(["--character-set-server=utf8mb4", "--performance-schema=OFF", "--innodb-buffer-pool-size=16M"]);
        if !self.durable {
            command.args([
                "--innodb-flush-log-at-trx-commit=2",
                "--innodb-flush-method=nosync",
                "--skip-innodb-doublewrite",
            ]);
        }
        let log = self.folder.log();
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        // Those of earlier starts say it too.
        let before = said().len();
        let running = Running::start(command, &log)?;
        running.wait_for(|| said()[before..].contains("ready for connections"), &log)?;
        Ok(running)
    }

    /// The URL of a database: as the user who may do everything, without a password.
    pub fn url(&self, database: &str) -> String {
        self.url_as(USER, database)
    }

    /// The URL of a database, as this user (`name` or `name:password`).
    pub fn url_as(&self, user: &str, database: &str) -> String {
        format!("mysql://{user}@127.0.0.1:{}/{database}", self.port.number)
    }

    /// Makes an empty database; answers its URL.
    pub fn database(&self) -> Result<String, DatabaseError> {
        let name = format!("test_{}", self.made.fetch_add(1, Ordering::Relaxed));
        self.execute("", &format!("CREATE DATABASE {name}"))?;
        Ok(self.url(&name))
    }

    /// Runs statements in a database ("" for none), as the user who may do everything; answers the rows, a
    /// line each, with tabs between columns.
    pub fn execute(&self, database: &str, statements: &str) -> Result<String, DatabaseError> {
        let mut command = Command::new(&self.client);
        command.args(["--no-defaults", "--host=127.0.0.1", "--user", USER, "--batch", "--skip-column-names"]);
        command.arg(format!("--port={}", self.port.number)).arg("--default-character-set=utf8mb4");
        run(command.args(["--execute", statements, database]))
    }

    /// Kills the server as `kill -9` does.
    pub fn kill(&self) {
        if let Some(running) = self.running().take() {
            running.end(Signal::KILL);
        }
    }

    /// Stops the server in order.
    pub fn stop(&self) {
        if let Some(running) = self.running().take() {
            running.end(Signal::TERM);
        }
    }

    /// Stops the server in order if it runs, and starts it again on the same data and port.
    pub fn restart(&self) -> Result<(), DatabaseError> {
        self.stop();
        let mut running = self.running();
        *running = Some(self.launch()?);
        Ok(())
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        // It is one process, and its data is thrown away.
        self.kill();
    }
}
