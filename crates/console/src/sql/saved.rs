//! Questions that a person keeps, beside the copy of the profile that they are asked of: they stay where the copy is
//! cleared.

use std::io;
use std::path::{Path, PathBuf};

use paywall_domain::Timestamp;
use serde::{Deserialize, Serialize};

use crate::home::replace_file;
use crate::ipc::{Failure, FailureCode, SavedQuery};

/// The layout that this version writes.
const VERSION: u32 = 1;

/// The questions that are kept of one profile, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Saved {
    #[serde(default)]
    version: u32,
    pub(crate) queries: Vec<SavedQuery>,
}

/// What can go wrong with their file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SavedError {
    /// It cannot be read or written; it is as it was.
    #[error("the saved queries ({path}): {error}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A newer version of the app wrote it. It is left untouched.
    #[error("the saved queries have layout {found}, this version knows up to {VERSION}: update the app")]
    Newer {
        /// The file's layout.
        found: u32,
    },
    /// It could not be understood, and was put aside whole.
    #[error("the saved queries cannot be understood: their file was put aside whole as {kept_as}")]
    PutAside {
        /// Where it lies now.
        kept_as: PathBuf,
    },
}

impl From<SavedError> for Failure {
    fn from(error: SavedError) -> Self {
        let code = match &error {
            SavedError::Io { error, .. } if error.kind() == io::ErrorKind::StorageFull => FailureCode::DiskFull,
            SavedError::PutAside { kept_as } => {
                FailureCode::QueriesUnreadable { kept_as: kept_as.display().to_string() }
            }
            SavedError::Io { .. } | SavedError::Newer { .. } => FailureCode::Internal,
        };
        Self::of(code, error.to_string())
    }
}

impl Saved {
    /// What is kept in the file; nothing where there is none. One that cannot be understood is put aside: who reads
    /// next finds none.
    pub(crate) fn load(path: &Path, now: Timestamp) -> Result<Self, SavedError> {
        let failed = |error| SavedError::Io { path: path.to_owned(), error };
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(error)),
        };
        if let Ok(Layout { version }) = serde_json::from_slice::<Layout>(&bytes)
            && version > VERSION
        {
            return Err(SavedError::Newer { found: version });
        }
        serde_json::from_slice(&bytes).map_err(|error| {
            tracing::error!(%error, "the saved queries cannot be understood");
            let kept_as = path.with_file_name(format!("queries.unreadable-{}.json", now.0));
            match std::fs::rename(path, &kept_as) {
                Ok(()) => SavedError::PutAside { kept_as },
                Err(error) => failed(error),
            }
        })
    }

    /// Writes the file as a whole.
    pub(crate) fn store(&self, path: &Path) -> Result<(), SavedError> {
        let kept = Self { version: VERSION, ..self.clone() };
        let written = serde_json::to_vec_pretty(&kept).map_err(io::Error::other).and_then(|mut text| {
            text.push(b'\n');
            replace_file(path, &text)
        });
        written.map_err(|error| SavedError::Io { path: path.to_owned(), error })
    }

    /// Keeps a question, in the place of the one of its name.
    pub(crate) fn put(&mut self, query: SavedQuery) {
        match self.queries.iter_mut().find(|it| it.name == query.name) {
            Some(known) => *known = query,
            None => self.queries.push(query),
        }
        self.queries.sort_by_cached_key(|it| (it.name.to_lowercase(), it.name.clone()));
    }

    /// Drops the question of that name; none is fine.
    pub(crate) fn delete(&mut self, name: &str) {
        self.queries.retain(|it| it.name != name);
    }
}

#[derive(Deserialize)]
struct Layout {
    #[serde(default)]
    version: u32,
}
