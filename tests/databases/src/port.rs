//! Ports of loopback, each for one server.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use crate::DatabaseError;
use crate::files::at;

/// Below those that the system gives out by itself.
const PORTS: Range<u16> = 20_000..32_000;

/// A port that no other server here takes while this is held, also while the server that it is for is down.
pub(crate) struct Port {
    pub(crate) number: u16,
    _lock: File,
}

impl Port {
    /// One that nothing listens on.
    pub(crate) fn take() -> Result<Self, DatabaseError> {
        let folder = std::env::temp_dir().join(format!("paywall-ports-{}", rustix::process::getuid().as_raw()));
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        let count = u64::from(PORTS.end - PORTS.start);
        let begin = RandomState::new().hash_one(std::process::id()) % count;
        for step in 0..count {
            let number = PORTS.start + u16::try_from((begin + step) % count).unwrap_or(0);
            let path = folder.join(number.to_string());
            let lock = File::create(&path).map_err(at(&path))?;
            if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self { number, _lock: lock });
            }
        }
        Err(DatabaseError::NoPort)
    }
}
