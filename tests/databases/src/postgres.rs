//! `PostgreSQL`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::files::Folder;
use crate::port::Port;
use crate::program::{Account, Running, find, run};
use crate::{DatabaseError, shared};

/// The superuser that every URL of [`Postgres::database`] names. It has no password.
const USER: &str = "paywall";

const PACKAGE: &str = "postgresql";

/// The server that the tests of this process share.
static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());

/// A `PostgreSQL` server.
pub struct Postgres {
    running: Mutex<Option<Running>>,
    programs: PathBuf,
    account: Account,
    port: Port,
    durable: bool,
    made: AtomicU32,
    folder: Folder,
}

impl Postgres {
    /// Starts a server of its own.
    pub fn start() -> Result<Self, DatabaseError> {
        Self::start_with(false)
    }

    /// Starts a server of its own that flushes to the disk what it commits, as a real one does.
    pub fn durable() -> Result<Self, DatabaseError> {
        Self::start_with(true)
    }

    /// The server that tests of this process share, started where none runs. It is stopped when the last of
    /// them lets go of it. For tests that neither kill it nor make roles.
    pub fn shared() -> Result<Arc<Self>, DatabaseError> {
        shared(&SHARED, Self::start)
    }

    fn start_with(durable: bool) -> Result<Self, DatabaseError> {
        let account = Account::new();
        let programs = programs()?;
        let version = run(Command::new(programs.join("postgres")).arg("--version"))?;
        let version = version.split_whitespace().nth(2).unwrap_or("unknown");
        let folder = Folder::from_template(&format!("postgres-{version}"), &account, durable, |folder| {
            let mut command = account.command(&programs.join("initdb"))?;
            // Another locale than C, so that whoever relies on the order of bytes has to say so. Debian's C
            // library has this one always; its letters' cases are those of Unicode.
            command.args(["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]);
            // Sixteen megabytes of it would be most of what is copied.
            command.args(["--wal-segsize=1", "--username", USER, "--pgdata"]).arg(folder);
            run(&mut command).map(drop)
        })?;
        let server = Self {
            running: Mutex::new(None),
            programs,
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
        let mut command = self.account.command(&self.programs.join("postgres"))?;
        command.arg("-D").arg(self.folder.data());
        let mut set = |setting: String| {
            command.arg("-c").arg(setting);
        };
        set(format!("port={}", self.port.number));
        for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200"] {
            set(setting.to_owned());
        }
        // In the data folder, so that nothing is left elsewhere where it is killed.
        set("dynamic_shared_memory_type=mmap".to_owned());
        // What a test database does not need costs time at each start and stop.
        for setting in
            ["shared_buffers=16MB", "max_wal_senders=0", "wal_level=minimal", "recovery_init_sync_method=syncfs"]
        {
            set(setting.to_owned());
        }
        if !self.durable {
            for setting in ["fsync=off", "full_page_writes=off"] {
                set(setting.to_owned());
            }
        }
        let log = self.folder.log();
        let running = Running::start(command, &log)?;
        running.wait_for(|| self.ready(&running), &log)?;
        Ok(running)
    }

    /// Whether this process says that it takes connections: its first and eighth line in the file of its id.
    fn ready(&self, running: &Running) -> bool {
        let text = std::fs::read_to_string(self.folder.data().join("postmaster.pid")).unwrap_or_default();
        let mut lines = text.lines();
        lines.next().is_some_and(|id| id.trim() == running.id().to_string())
            && lines.nth(6).is_some_and(|state| state.trim() == "ready")
    }

    /// The URL of a database: as the superuser, without a password.
    pub fn url(&self, database: &str) -> String {
        self.url_as(USER, database)
    }

    /// The URL of a database, as this user.
    pub fn url_as(&self, user: &str, database: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/{database}", self.port.number)
    }

    /// Makes an empty database; answers its URL.
    pub fn database(&self) -> Result<String, DatabaseError> {
        let name = format!("test_{}", self.made.fetch_add(1, Ordering::Relaxed));
        self.execute("postgres", &format!("CREATE DATABASE {name} STRATEGY file_copy"))?;
        Ok(self.url(&name))
    }

    /// Runs statements in a database as the superuser, each by itself; answers the rows, a line each, with `|`
    /// between columns.
    pub fn execute(&self, database: &str, statements: &str) -> Result<String, DatabaseError> {
        let mut command = self.client("psql");
        command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]);
        run(command.args(["--command", statements, database]))
    }

    /// Writes a database to a file, for [`Postgres::restore`].
    pub fn dump(&self, database: &str, file: &Path) -> Result<(), DatabaseError> {
        run(self.client("pg_dump").args(["--format=custom", "--file"]).arg(file).arg(database)).map(drop)
    }

    /// Puts a database back from a file: what was made since is gone.
    pub fn restore(&self, database: &str, file: &Path) -> Result<(), DatabaseError> {
        let mut command = self.client("pg_restore");
        command.args(["--clean", "--if-exists", "--single-transaction", "--dbname", database]);
        run(command.arg(file)).map(drop)
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.env("PGHOST", "127.0.0.1").env("PGPORT", self.port.number.to_string()).env("PGUSER", USER);
        command.env_remove("PGDATABASE").env_remove("PGOPTIONS").env_remove("PGSERVICE");
        command
    }

    /// Kills the server as `kill -9` does: nothing is finished, no connection is closed in order.
    pub fn kill(&self) {
        if let Some(running) = self.running().take() {
            running.end(Signal::KILL);
        }
    }

    /// Stops the server in order: open transactions are rolled back, connections are closed.
    pub fn stop(&self) {
        if let Some(running) = self.running().take() {
            running.end(Signal::INT);
        }
    }

    /// Stops the server in order if it runs, and starts it again on the same data and port.
    pub fn restart(&self) -> Result<(), DatabaseError> {
        self.stop();
        let mut running = self.running();
        // What a killed server left behind takes a moment to notice, and keeps a new one off its data.
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            match self.launch() {
                Ok(started) => {
                    *running = Some(started);
                    return Ok(());
                }
                Err(error) if Instant::now() > until => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The quick way that still ends all of its processes: the data is thrown away.
        if let Some(running) = self.running().take() {
            running.end(Signal::QUIT);
        }
    }
}

/// The folder of the newest version's programs.
fn programs() -> Result<PathBuf, DatabaseError> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort_by(|a, b| b.cmp(a));
    let folders: Vec<PathBuf> = versions.into_iter().map(|(_, folder)| folder).collect();
    let program = find("initdb", PACKAGE, &folders)?;
    // In the PATH it may be a link; the other programs are beside what it leads to.
    let program = program.canonicalize().unwrap_or(program);
    Ok(program.parent().unwrap_or(&program).to_owned())
}
