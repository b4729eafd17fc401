//! The console's data folder.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The folder in which a console keeps its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home(PathBuf);

impl Home {
    /// That folder.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// `PAYWALL_CONSOLE_HOME` where it is set, else the platform's folder for `app_id`.
    pub fn locate(app_id: &str) -> io::Result<Self> {
        if let Some(path) = std::env::var_os("PAYWALL_CONSOLE_HOME").filter(|path| !path.is_empty()) {
            return Ok(Self(std::path::absolute(path)?));
        }
        let base = directories::BaseDirs::new()
            .ok_or_else(|| io::Error::other("no home folder; set PAYWALL_CONSOLE_HOME to a folder"))?;
        Ok(Self(base.data_local_dir().join(app_id)))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where settings and profiles are kept.
    pub(crate) fn profiles_file(&self) -> PathBuf {
        self.0.join("profiles.json")
    }

    /// The folder of one profile.
    pub(crate) fn profile_folder(&self, id: &str) -> PathBuf {
        self.0.join("profiles").join(id)
    }

    /// The local copy of one profile.
    pub(crate) fn cache_file(&self, id: &str) -> PathBuf {
        self.profile_folder(id).join("cache.db")
    }

    /// The exchange rates of one profile.
    pub(crate) fn rates_file(&self, id: &str) -> PathBuf {
        self.profile_folder(id).join("rates.csv")
    }

    /// The questions in SQL that are kept of one profile.
    pub(crate) fn queries_file(&self, id: &str) -> PathBuf {
        self.profile_folder(id).join("queries.json")
    }

    /// The local copy of one profile while its key is kept in memory only.
    pub(crate) fn session_cache_file(&self, id: &str) -> PathBuf {
        self.profile_folder(id).join("session.db")
    }
}

/// Makes the folder, for its owner alone.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Replaces the file as a whole: whoever reads it sees the old text or the new, also after a power cut.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| io::Error::other("a file without a folder"))?;
    make_folder(folder)?;
    let temporary = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(&temporary, path)?;
    // A folder can be opened for syncing on Unix only.
    #[cfg(unix)]
    std::fs::File::open(folder)?.sync_all()?;
    Ok(())
}
