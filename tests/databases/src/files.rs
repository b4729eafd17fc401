//! Where servers keep their data: templates that are made once, and copies of them.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::DatabaseError;
use crate::program::{self, Account};

/// The folder of one server. It is removed when this is dropped.
pub(crate) struct Folder {
    folder: TempDir,
    /// Held for as long as the folder is used.
    _lock: File,
}

impl Folder {
    /// A new folder with a copy of the template of that name in it, as `data`. Where there is no such
    /// template yet, `make` makes it in the folder that it is given. What need not be `durable` lies in
    /// memory where the system has such a place: copying is then a tenth of the work.
    pub(crate) fn from_template(
        name: &str,
        account: &Account,
        durable: bool,
        make: impl FnOnce(&Path) -> Result<(), DatabaseError>,
    ) -> Result<Self, DatabaseError> {
        let root = root(account)?;
        let memory = Path::new(MEMORY);
        let place = if memory.is_dir() && !durable {
            memory.join(format!("paywall-databases-{}", account.word()))
        } else {
            root.clone()
        };
        fs::create_dir_all(&place).map_err(at(&place))?;
        let name = format!("{name}-{}", account.word());
        let template = root.join(&name);
        {
            let _lock = locked(&root.join("lock"))?;
            if !template.is_dir() {
                let unfinished = root.join(format!("{name}.new"));
                let _ = fs::remove_dir_all(&unfinished);
                fs::create_dir(&unfinished).map_err(at(&unfinished))?;
                account.own(&unfinished)?;
                make(&unfinished)?;
                fs::rename(&unfinished, &template).map_err(at(&template))?;
            }
        }
        let (folder, lock) = {
            // Nobody sweeps a folder away between its making and its locking.
            let _lock = locked(&place.join("sweep"))?;
            sweep(&place);
            let folder = tempfile::Builder::new().prefix(RUNNING).tempdir_in(&place).map_err(at(&place))?;
            let lock = locked(&folder.path().join("lock"))?;
            (folder, lock)
        };
        account.own(folder.path())?;
        let data = folder.path().join("data");
        program::run(std::process::Command::new("cp").args(["-a", "--reflink=auto"]).arg(&template).arg(&data))?;
        Ok(Self { folder, _lock: lock })
    }

    /// The server's data.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What the server said.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

/// A file that is locked for as long as this is held, or until the process ends, however it ends.
pub(crate) fn locked(path: &Path) -> Result<File, DatabaseError> {
    let file = File::create(path).map_err(at(path))?;
    file.lock().map_err(at(path))?;
    Ok(file)
}

/// Where files are kept in memory.
const MEMORY: &str = "/dev/shm";

/// How the names of folders begin that belong to a server.
const RUNNING: &str = "running-";

/// Removes the folders of servers whose process was killed.
fn sweep(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with(RUNNING)
            && File::open(path.join("lock")).is_ok_and(|lock| lock.try_lock().is_ok())
        {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// `target/tmp/databases` of the build that runs, or the like among temporary files where the account
/// cannot come there.
fn root(account: &Account) -> Result<PathBuf, DatabaseError> {
    let program = std::env::current_exe().unwrap_or_default();
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    let root = match target {
        Some(target) if !account.is_other() || open_to_others(target) => target.join("tmp/databases"),
        _ => std::env::temp_dir().join(format!("paywall-databases-{}", rustix::process::getuid().as_raw())),
    };
    fs::create_dir_all(&root).map_err(at(&root))?;
    Ok(root)
}

/// Whether everybody can go through this folder.
fn open_to_others(folder: &Path) -> bool {
    folder.ancestors().all(|it| fs::metadata(it).is_ok_and(|it| it.permissions().mode() & 0o001 != 0))
}

/// Names the path that an error is about.
pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> DatabaseError {
    let path = path.to_owned();
    move |error| DatabaseError::File { path, error }
}
