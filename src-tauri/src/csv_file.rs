//! Tables that are saved as files.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use paywall_console::ipc::{Failure, FailureCode};

/// How many files of one name are made side by side.
const SAME_NAME: u32 = 1_000;

/// Saves a table under a name that no file has yet; answers where it lies.
pub(crate) async fn save(folder: tauri::Result<PathBuf>, name: &str, text: &str) -> Result<String, Failure> {
    let folder = folder.map_err(|error| Failure::of(FailureCode::Internal, error.to_string()))?;
    let (name, text) = (plain(name.strip_suffix(".csv").unwrap_or(name)), text.to_owned());
    let written = tauri::async_runtime::spawn_blocking(move || write(&folder, &name, &text)).await;
    match written.map_err(io::Error::other) {
        Ok(Ok(path)) => Ok(path.display().to_string()),
        Ok(Err(error)) | Err(error) => {
            let full = error.kind() == io::ErrorKind::StorageFull;
            let code = if full { FailureCode::DiskFull } else { FailureCode::Internal };
            Err(Failure::of(code, format!("the table was not saved: {error}")))
        }
    }
}

/// A name that every system takes, and that leads nowhere else.
fn plain(name: &str) -> String {
    let kept: String = name
        .chars()
        .map(|it| if it.is_ascii_alphanumeric() || "-_".contains(it) { it } else { '-' })
        .take(80)
        .collect();
    // Names of devices, which Windows takes for those whatever follows them.
    let device = matches!(kept.to_ascii_lowercase().as_str(), "con" | "prn" | "aux" | "nul")
        || (kept.len() == 4 && (kept.starts_with("com") || kept.starts_with("lpt")));
    if device || kept.trim_matches('-').is_empty() { format!("table{kept}") } else { kept }
}

fn write(folder: &Path, name: &str, text: &str) -> io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    for num in 1..SAME_NAME {
        let file = if num == 1 { format!("{name}.csv") } else { format!("{name} ({num}).csv") };
        let path = folder.join(file);
        match std::fs::File::options().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                // Spreadsheets take a file without this mark for one in an older encoding.
                file.write_all("\u{feff}".as_bytes())?;
                file.write_all(text.as_bytes())?;
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("there are too many files named {name}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_is_never_overwritten_and_a_name_leads_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let first = write(folder.path(), &plain("mrr-2026"), "a\n").unwrap();
        let second = write(folder.path(), &plain("mrr-2026"), "b\n").unwrap();
        assert_ne!(first, second);
        assert_eq!(std::fs::read_to_string(first).unwrap(), "\u{feff}a\n");
        assert_eq!(plain("../../etc/passwd"), "------etc-passwd");
        assert_eq!(plain("…"), "table-");
        assert_eq!(plain("aux"), "tableaux");
    }
}
