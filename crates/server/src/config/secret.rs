//! Settings that hold a secret: given as they are, or in a file of their own, as systemd's credentials and
//! containers' secrets are.

use std::path::{Path, PathBuf};

use super::ConfigError;

/// The value of the setting `key`: from its variable, else from the file that its variable with `_FILE` names,
/// else from the settings (`value`), else from the file that the settings name (`file`).
pub(super) fn secret(
    variable: &impl Fn(&str) -> Option<String>,
    key: &'static str,
    value: Option<String>,
    file: Option<PathBuf>,
) -> Result<Option<String>, ConfigError> {
    let name = format!("PAYWALL_{}", key.to_uppercase());
    if let Some(value) = variable(&name) {
        return Ok(Some(value));
    }
    if let Some(path) = variable(&format!("{name}_FILE")) {
        return read(key, Path::new(&path)).map(Some);
    }
    match (value, file) {
        (Some(value), _) => Ok(Some(value)),
        (None, Some(path)) => read(key, &path).map(Some),
        (None, None) => Ok(None),
    }
}

/// What a file holds, without the line's end that most editors put there.
fn read(key: &'static str, path: &Path) -> Result<String, ConfigError> {
    let wrong = |what: String| ConfigError::Value { key, reason: format!("the file {} {what}", path.display()) };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let text = text.trim();
    if text.is_empty() {
        // As where it was not written yet: never to be taken for a setting that is not there.
        return Err(wrong("is empty".to_owned()));
    }
    Ok(text.to_owned())
}
