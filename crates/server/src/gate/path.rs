//! One reading of a path, the strictest: however a request spells it, what `RAGFlow` or a server in
//! front of it might make of the spelling is what it is taken for, or it is refused.
//!
//! `RAGFlow`'s server decodes percent escapes once and before it splits at slashes, so that an encoded
//! slash is a slash; it merges repeated slashes and does not mind one at the end. Dot segments and
//! backslashes mean different things to different servers; no browser and no client library sends
//! them, so they are refused and never guessed.

use std::borrow::Cow;

/// Longer paths are refused. `RAGFlow`'s longest takes less than 300 characters.
const MOST_BYTES: usize = 4096;

/// No route of `RAGFlow` is as deep as this.
pub(super) const MOST_SEGMENTS: usize = 16;

/// A path that no well-meaning client sends. The proxy answers 400, `/authz` 403.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It does not begin with a slash.
    #[error("the path does not begin with a slash")]
    NotAPath,
    /// It is too long.
    #[error("the path is too long")]
    TooLong,
    /// A percent sign without two hexadecimal digits, or an escape within an escape.
    #[error("the path has a broken or doubled percent escape")]
    Escape,
    /// The escapes do not spell UTF-8.
    #[error("the path is not UTF-8")]
    NotText,
    /// A control character, a backslash or a fragment.
    #[error("the path has a character that no path has")]
    Character,
    /// A segment of one or two dots.
    #[error("the path has a dot segment")]
    DotSegment,
}

/// Decodes the path of a request target once, without its query. Borrows where nothing is encoded.
pub(super) fn decode(target: &str) -> Result<Cow<'_, str>, Malformed> {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    if path.len() > MOST_BYTES {
        return Err(Malformed::TooLong);
    }
    if !path.starts_with('/') {
        return Err(Malformed::NotAPath);
    }
    if path.contains('#') {
        return Err(Malformed::Character);
    }
    let decoded = if path.contains('%') { Cow::Owned(unescape(path)?) } else { Cow::Borrowed(path) };
    if decoded.chars().any(|it| it.is_control() || it == '\\') {
        return Err(Malformed::Character);
    }
    Ok(decoded)
}

fn unescape(path: &str) -> Result<String, Malformed> {
    let bytes = path.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            out.push(escape(bytes, at).ok_or(Malformed::Escape)?);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    // `RAGFlow` decodes once; a second round is only of use to whoever hopes that something in between
    // decodes another time.
    if (0..out.len()).any(|at| out[at] == b'%' && escape(&out, at).is_some()) {
        return Err(Malformed::Escape);
    }
    String::from_utf8(out).map_err(|_| Malformed::NotText)
}

/// The byte that the escape at `at` stands for.
fn escape(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| bytes.get(at).and_then(|it| char::from(*it).to_digit(16));
    Some((digit(at + 1)? * 16 + digit(at + 2)?) as u8)
}

/// The segments of a decoded path, without allocating.
pub(super) struct Segments<'a> {
    list: [&'a str; MOST_SEGMENTS],
    count: usize,
}

impl<'a> Segments<'a> {
    /// Splits at slashes. Empty segments vanish, and with them repeated slashes and one at the end.
    /// What follows a semicolon within a segment is cut: `RAGFlow` would not find the route with it,
    /// and whatever in between removes it must not find a cheaper one.
    pub(super) fn split(decoded: &'a str) -> Result<Self, Malformed> {
        let mut segments = Self { list: [""; MOST_SEGMENTS], count: 0 };
        for segment in decoded.split('/') {
            let segment = segment.split_once(';').map_or(segment, |(name, _)| name);
            match segment {
                "" => {}
                "." | ".." => return Err(Malformed::DotSegment),
                // A path deeper than any route matches none, which one segment more than the deepest
                // says as well as all of them.
                _ if segments.count == MOST_SEGMENTS => break,
                _ => {
                    segments.list[segments.count] = segment;
                    segments.count += 1;
                }
            }
        }
        Ok(segments)
    }

    pub(super) fn as_slice(&self) -> &[&'a str] {
        &self.list[..self.count]
    }
}
