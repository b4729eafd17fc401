//! Real database servers for tests: [`Postgres`] and [`MariaDb`].
//!
//! Each listens on a free port of loopback, keeps its data in a folder of its own, and is stopped when it is
//! dropped, also by a test that panics. Where the whole process is killed, the system stops the server with
//! it, and the next process removes what it left.
//!
//! Starting takes a fraction of a second: an empty server is set up once, under `target/tmp/databases`, and
//! copied, into memory where the system has a place for files there. Only where a test asks for a server that
//! is `durable`, it lies on the disk and flushes what it commits. What was committed outlives a kill of the
//! server either way; a `durable` one would also outlive a loss of power, and takes the time that this takes.
//!
//! Everything here blocks for as long as the programs take.
//!
//! They are started through `setpriv`, which only Linux has: elsewhere on Unix this builds, for what is built with it,
//! and every start says what is missing. Tests that use it are therefore for Linux alone.

#![cfg(unix)]

mod files;
mod mariadb;
mod port;
mod postgres;
mod program;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

pub use mariadb::MariaDb;
pub use postgres::Postgres;

/// The server in `slot`, started where none runs.
fn shared<T>(slot: &Mutex<Weak<T>>, start: impl FnOnce() -> Result<T, DatabaseError>) -> Result<Arc<T>, DatabaseError> {
    let mut shared = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = shared.upgrade() {
        return Ok(server);
    }
    let server = Arc::new(start()?);
    *shared = Arc::downgrade(&server);
    Ok(server)
}

/// A database server cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// A program is not installed.
    #[error("{program} is not here; install it: apt-get install {package}")]
    Missing {
        /// The program.
        program: &'static str,
        /// The package of Debian and Ubuntu that it comes with.
        package: &'static str,
    },
    /// A file or folder cannot be used.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A program cannot be started.
    #[error("starting {program}: {error}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        error: std::io::Error,
    },
    /// A program failed.
    #[error("{program} failed: {said}")]
    Failed {
        /// The program.
        program: String,
        /// What it said.
        said: String,
    },
    /// Something listens on every port that a server may take.
    #[error("no port from 20000 to 31999 is free")]
    NoPort,
    /// A server was not ready in time, or ended before.
    #[error("{program} does not answer: {said}")]
    NotReady {
        /// The program.
        program: String,
        /// The end of its log.
        said: String,
    },
}
