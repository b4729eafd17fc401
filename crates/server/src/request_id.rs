//! Names for requests, to find them by in logs. Made here and taken from nobody: a caller must not be able
//! to make two requests look like one.

/// A name that no other request has.
pub(crate) fn fresh() -> String {
    let text = ulid::Ulid::from_parts(0, rand::random()).to_string().to_lowercase();
    format!("req_{}", text.trim_start_matches('0'))
}
