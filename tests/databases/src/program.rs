//! Programs: found, run to their end, or kept running under an account that is not root's.

use std::fs::File;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getuid, kill_process};

use crate::DatabaseError;
use crate::files::at;

/// How long a server may take to be ready, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// The user and group called `nobody` on every system that this runs on.
const NOBODY: u32 = 65_534;

/// Whom servers run as: neither database server runs as root.
pub(crate) struct Account {
    other: bool,
}

impl Account {
    /// The present user, or nobody in place of root.
    pub(crate) fn new() -> Self {
        Self { other: getuid().is_root() }
    }

    /// Whether it is somebody else than the present user.
    pub(crate) fn is_other(&self) -> bool {
        self.other
    }

    /// Names it in a folder's name.
    pub(crate) fn word(&self) -> String {
        if self.other { NOBODY.to_string() } else { getuid().as_raw().to_string() }
    }

    /// Gives it a folder.
    pub(crate) fn own(&self, folder: &Path) -> Result<(), DatabaseError> {
        if self.other {
            chown(folder, Some(NOBODY), Some(NOBODY)).map_err(at(folder))?;
        }
        Ok(())
    }

    /// The command that runs a program as it, and ends it with the process that started it.
    pub(crate) fn command(&self, program: &Path) -> Result<Command, DatabaseError> {
        let mut command = Command::new(find("setpriv", "util-linux", &[])?);
        if self.other {
            command.arg(format!("--reuid={NOBODY}")).arg(format!("--regid={NOBODY}")).arg("--clear-groups");
        }
        // After the change of user, which would take it back.
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        command.env("LC_ALL", "C").env_remove("PGDATA").env_remove("PGPORT").current_dir("/");
        Ok(command)
    }
}

/// Where a program lies: in one of these folders, in the PATH, or where only root looks.
pub(crate) fn find(
    program: &'static str,
    package: &'static str,
    folders: &[PathBuf],
) -> Result<PathBuf, DatabaseError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders
        .iter()
        .cloned()
        .chain(std::env::split_paths(&path))
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .ok_or(DatabaseError::Missing { program, package })
}

/// Runs a command to its end; answers what it printed.
pub(crate) fn run(command: &mut Command) -> Result<String, DatabaseError> {
    let program = name(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| DatabaseError::Start { program: program.clone(), error })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = [output.stderr, output.stdout].map(|it| String::from_utf8_lossy(&it).trim().to_owned()).join("\n");
    Err(DatabaseError::Failed { program, said })
}

/// The program that a command is about, whatever it is started through.
fn name(command: &Command) -> String {
    let mut arguments = command.get_args().skip_while(|it| *it != "--").skip(1);
    arguments.next().unwrap_or(command.get_program()).to_string_lossy().into_owned()
}

/// A program that runs. It is killed when this is dropped.
pub(crate) struct Running {
    id: Pid,
    name: String,
    ended: mpsc::Receiver<()>,
}

impl Running {
    /// Starts a command, with what it says written to `log`.
    pub(crate) fn start(mut command: Command, log: &Path) -> Result<Self, DatabaseError> {
        let name = name(&command);
        let file = File::options().create(true).append(true).open(log).map_err(at(log))?;
        let errors = file.try_clone().map_err(at(log))?;
        // A Ctrl+C at the terminal is for the tests, which then stop it.
        command.stdin(Stdio::null()).stdout(file).stderr(errors).process_group(0);
        // The system ends it with the *thread* that started it, so that one waits for it: a test's own
        // thread may end while other tests use the server.
        let (tell_start, started) = mpsc::channel();
        let (tell_end, ended) = mpsc::channel();
        std::thread::spawn(move || match command.spawn() {
            Ok(mut child) => {
                let _ = tell_start.send(Ok(pid(&child)));
                let _ = child.wait();
                let _ = tell_end.send(());
            }
            Err(error) => {
                let _ = tell_start.send(Err(error));
            }
        });
        let failed = |error| DatabaseError::Start { program: name.clone(), error };
        let id = started.recv().map_err(|error| failed(std::io::Error::other(error)))?.map_err(failed)?;
        Ok(Self { id, name, ended })
    }

    /// The id of its process.
    pub(crate) fn id(&self) -> i32 {
        self.id.as_raw_nonzero().get()
    }

    /// Waits until it is ready. `log` is what it says if it never is.
    pub(crate) fn wait_for(&self, ready: impl Fn() -> bool, log: &Path) -> Result<(), DatabaseError> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if ready() {
                return Ok(());
            }
            if self.ended.recv_timeout(PAUSE) != Err(mpsc::RecvTimeoutError::Timeout) {
                break;
            }
        }
        let said = std::fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        let said = lines[lines.len().saturating_sub(20)..].join("\n");
        Err(DatabaseError::NotReady { program: self.name.clone(), said })
    }

    /// Sends a signal and waits until the program has ended; kills it where it takes too long.
    pub(crate) fn end(self, signal: Signal) {
        self.signal(signal);
        let _ = self.ended.recv_timeout(PATIENCE);
    }

    fn signal(&self, signal: Signal) {
        // Once it was waited for, its id may be another's.
        if self.ended.try_recv() == Err(mpsc::TryRecvError::Empty) {
            let _ = kill_process(self.id, signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.ended.recv_timeout(PATIENCE);
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}
