//! Why the mirror could not do its work.

use crate::directory::DirectoryError;
use crate::server::ServerError;
use crate::store::StoreError;

/// The mirror could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// `RAGFlow` could not be asked.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The paywall's own store could not be written or read.
    #[error("the paywall's own store: {0}")]
    Store(ServerError),
    /// So many tenants are gone from `RAGFlow` at once that it is rather the wrong database. None was
    /// closed.
    #[error("{missing} of {known} tenants are not in RAGFlow's database; none of them was closed")]
    MassDeletion {
        /// How many are gone.
        missing: usize,
        /// Of how many.
        known: usize,
    },
}

impl From<StoreError> for MirrorError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
    }
}

impl MirrorError {
    /// A word for it that stays.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Directory(error) => error.code(),
            Self::Store(_) => "paywall_store",
            Self::MassDeletion { .. } => "ragflow_mass_deletion",
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Directory(error) => error.remedy(),
            Self::Store(_) => "see that the paywall's database can be written".to_owned(),
            Self::MassDeletion { .. } => "see that ragflow_database_url names the RAGFlow that the paywall stands in \
                                          front of"
                .to_owned(),
        }
    }
}
