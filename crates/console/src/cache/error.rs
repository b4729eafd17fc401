//! What can go wrong with the local copy.

use std::io;

use sqlx::error::DatabaseError;

use crate::ipc::FailureCode;

/// What can go wrong with the local copy.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// A newer version of the app wrote the file. It is left untouched.
    #[error("the local copy has layout {found}, this version knows up to {known}: update the app, or clear the copy")]
    Newer {
        /// The file's layout.
        found: i64,
        /// The newest layout that this version knows.
        known: i64,
    },
    /// Not a database, another key, or damaged. Everything in it can be fetched again.
    #[error("the local copy cannot be read: {0}")]
    Broken(String),
    /// Another process has it open.
    #[error("another process has the local copy open: close it first")]
    InUse,
    /// The disk is full. Nothing was half written; the same call works once there is room.
    #[error("the disk is full: make room and try again")]
    DiskFull,
    /// The file cannot be opened, made or removed.
    #[error("the local copy's file: {0}")]
    Io(#[source] io::Error),
    /// The server's database is another one than the copy came from.
    #[error("the server's database is {found}, the copy came from {known}: the server's part must be fetched anew")]
    OtherInstance {
        /// The id that the copy came from.
        known: String,
        /// The id that the server says now.
        found: String,
    },
    /// A page's cursor that was not made here, or for another order.
    #[error("this is no cursor of this list: start at its first page")]
    InvalidCursor,
    /// Nothing by that id in the copy.
    #[error("not in the local copy")]
    NotFound,
    /// What was stored cannot be read back as what it was.
    #[error("a stored value cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// A sum of money is larger than can be held.
    #[error(transparent)]
    Revenue(#[from] paywall_revenue::RevenueError),
    /// A statement failed.
    #[error("a statement on the local copy failed: {0}")]
    Sql(#[source] sqlx::Error),
}

/// A result about the local copy.
pub type Result<T, E = CacheError> = std::result::Result<T, E>;

const SQLITE_BUSY: i64 = 5;
const SQLITE_CORRUPT: i64 = 11;
const SQLITE_FULL: i64 = 13;
const SQLITE_NOTADB: i64 = 26;

impl From<sqlx::Error> for CacheError {
    fn from(error: sqlx::Error) -> Self {
        let code = match &error {
            sqlx::Error::Database(database) => primary_code(&**database),
            _ => None,
        };
        match (code, error) {
            (Some(SQLITE_FULL), _) => Self::DiskFull,
            (Some(SQLITE_NOTADB | SQLITE_CORRUPT), error) => Self::Broken(error.to_string()),
            (Some(SQLITE_BUSY), _) => Self::InUse,
            (_, sqlx::Error::Io(error)) => error.into(),
            (_, error) => Self::Sql(error),
        }
    }
}

impl From<io::Error> for CacheError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            _ => Self::Io(error),
        }
    }
}

/// `SQLite`'s result code without its extension.
fn primary_code(error: &dyn DatabaseError) -> Option<i64> {
    error.code()?.parse::<i64>().ok().map(|code| code & 0xff)
}

impl CacheError {
    /// The stable code that the window branches on.
    pub fn code(&self) -> FailureCode {
        match self {
            Self::Newer { .. } => FailureCode::CacheNewer,
            Self::Broken(_) => FailureCode::CacheBroken,
            Self::InUse => FailureCode::CacheInUse,
            Self::DiskFull => FailureCode::DiskFull,
            Self::OtherInstance { .. } => FailureCode::ServerChanged,
            Self::NotFound => FailureCode::NotFound,
            Self::Io(_) | Self::InvalidCursor | Self::Json(_) | Self::Revenue(_) | Self::Sql(_) => {
                FailureCode::Internal
            }
        }
    }
}
