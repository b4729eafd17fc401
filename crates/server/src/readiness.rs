//! Whether this server can do its work, for `/readyz`.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

use crate::directory::{Directory, DirectoryError};

/// What has to be so before a server gets requests.
#[derive(Default)]
pub(crate) struct Readiness {
    stopping: CancellationToken,
    directory: OnceLock<Arc<Directory>>,
}

impl Readiness {
    /// The server was told to stop: whoever asks goes elsewhere.
    pub(crate) fn stop(&self) {
        self.stopping.cancel();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Ends when the server is told to stop.
    pub(crate) async fn stopping(&self) {
        self.stopping.cancelled().await;
    }

    /// The server identifies callers by this directory.
    pub(crate) fn needs(&self, directory: Arc<Directory>) {
        drop(self.directory.set(directory));
    }

    /// Whether the directory was ever there as it has to be. One that is away later is no reason to take this
    /// server out: that would take all of them out at once, and what happens then is the fail policy's to say.
    pub(crate) async fn directory(&self) -> Result<(), DirectoryError> {
        match self.directory.get() {
            Some(directory) => directory.ready().await,
            None => Ok(()),
        }
    }
}
