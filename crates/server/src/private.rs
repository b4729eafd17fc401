//! Files and folders that are their owner's alone, on systems that know owners by modes (Unix).

use std::io;
use std::path::Path;

/// Makes a folder that only its owner may enter, and those above it that are missing. One that is there
/// stays as it is.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Makes an empty file that only its owner may read. Answers whether there was none before.
pub(crate) fn make_file(path: &Path) -> io::Result<bool> {
    match options().create_new(true).open(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Opens a file to write, made where there is none so that only its owner may read it.
pub(crate) fn open(path: &Path) -> io::Result<std::fs::File> {
    options().create(true).truncate(false).open(path)
}

/// Writes a file that only its owner may read, where none is.
pub(crate) fn write_new(path: &Path, text: &str) -> io::Result<()> {
    use io::Write;
    let mut file = options().create_new(true).open(path)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half of it is worth nothing, and would be in the way of the next attempt.
        let _ = std::fs::remove_file(path);
    }
    written
}

/// Takes away what others may do with a file or folder that is there, and says so in the log. Where that
/// is not allowed, the log says that too and it stays as it is.
pub(crate) fn close_to_others(path: &Path) {
    match closed(path) {
        Ok(false) => {}
        Ok(true) => tracing::warn!(path = %path.display(), "others could read this; now only its owner can"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "others can read this, and that could not be changed");
        }
    }
}

#[cfg(unix)]
fn closed(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    let mut permissions = std::fs::metadata(path)?.permissions();
    let own = permissions.mode() & !0o077;
    if own == permissions.mode() {
        return Ok(false);
    }
    permissions.set_mode(own);
    std::fs::set_permissions(path, permissions)?;
    Ok(true)
}

#[cfg(not(unix))]
fn closed(_: &Path) -> io::Result<bool> {
    Ok(false)
}

fn options() -> std::fs::OpenOptions {
    let mut options = std::fs::OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
