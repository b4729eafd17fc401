//! The fields at the beginning of a multipart form.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use multer::Multipart;

use super::PeekError;

/// What a beginning of a form says about a field.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Its first value.
    Value(String),
    /// It does not stand in what is there.
    NotYet,
    /// The form can be read in more than one way.
    Odd(&'static str),
}

/// The boundary, where this is a multipart form.
pub(super) fn boundary(headers: &HeaderMap) -> Result<Option<String>, PeekError> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let odd = |reason: &str| PeekError::Unreadable(reason.to_owned());
    if values.next().is_some() {
        return Err(odd("there is more than one Content-Type"));
    }
    let text = value.to_str().map_err(|_| odd("the Content-Type is not plain text"))?;
    if !text.trim_start().get(..19).is_some_and(|it| it.eq_ignore_ascii_case("multipart/form-data")) {
        return Ok(None);
    }
    // Two boundaries are two forms, and nobody says which one RAGFlow would read.
    if text.to_ascii_lowercase().matches("boundary").count() != 1 {
        return Err(odd("a form has exactly one boundary"));
    }
    multer::parse_boundary(text).map(Some).map_err(|error| PeekError::Unreadable(error.to_string()))
}

/// Looks for the first `name` in `bytes`, the beginning of a form.
pub(super) fn find(bytes: &[u8], boundary: &str, name: &str) -> Found {
    let source = tokio_stream::once(Ok::<_, Infallible>(Bytes::copy_from_slice(bytes)));
    let mut form = Multipart::new(source, boundary);
    let search = async {
        // An error is the end of what is there: a form that is broken further on is RAGFlow's to refuse.
        while let Ok(Some(field)) = form.next_field().await {
            if let Some(reason) = oddity(field.headers()) {
                return Found::Odd(reason);
            }
            if field.name() == Some(name) && field.file_name().is_none() {
                return field.text().await.map_or(Found::NotYet, Found::Value);
            }
        }
        Found::NotYet
    };
    // Everything is there, so it never waits; where it would, there is nothing more to see.
    match pin!(search).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(found) => found,
        Poll::Pending => Found::NotYet,
    }
}

/// What no browser and no client library writes, and what two readers read differently.
fn oddity(headers: &HeaderMap) -> Option<&'static str> {
    let mut dispositions = headers.get_all(CONTENT_DISPOSITION).iter();
    let (Some(disposition), None) = (dispositions.next(), dispositions.next()) else {
        return Some("a part of the form has no Content-Disposition, or several");
    };
    let text = disposition.as_bytes();
    if text.windows(5).any(|it| it.eq_ignore_ascii_case(b"name*")) && !only_file_name_extended(text) {
        return Some("a part of the form has an extended or continued name");
    }
    None
}

/// `filename*=` beside `filename=` is usual for names that are not ASCII.
fn only_file_name_extended(disposition: &[u8]) -> bool {
    let extended = |it: &&[u8]| it.eq_ignore_ascii_case(b"name*");
    let all = disposition.windows(5).filter(extended).count();
    let files = disposition.windows(10).filter(|it| it.eq_ignore_ascii_case(b"filename*=")).count();
    all == files
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use axum::http::HeaderValue;

    fn part(disposition: &str, text: &str) -> String {
        format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{text}\r\n")
    }

    #[test]
    fn the_first_field_of_the_name_counts_wherever_it_stands() {
        let file = part("name=\"file\"; filename=\"kb_id\"; filename*=UTF-8''kb_id", "bytes");
        let form = file + &part("name=\"kb_id\"", "one") + &part("name=\"kb_id\"", "two") + "--b--\r\n";
        assert_eq!(find(form.as_bytes(), "b", "kb_id"), Found::Value("one".into()));
        assert_eq!(find(form.as_bytes(), "b", "other"), Found::NotYet);
        for cut in 0..form.find("one\r\n--b").unwrap() + 8 {
            assert_eq!(find(&form.as_bytes()[..cut], "b", "kb_id"), Found::NotYet, "{cut}");
        }
    }

    #[test]
    fn a_file_of_that_name_is_not_the_field() {
        let form = part("name=\"kb_id\"; filename=\"x\"", "one") + "--b--\r\n";
        assert_eq!(find(form.as_bytes(), "b", "kb_id"), Found::NotYet);
    }

    #[test]
    fn what_reads_in_two_ways_is_odd() {
        let form = part("name*=UTF-8''kb_id", "one") + &part("name=\"kb_id\"", "two");
        assert!(matches!(find(form.as_bytes(), "b", "kb_id"), Found::Odd(_)));
        for content_type in ["multipart/form-data; boundary=a; boundary=b", "multipart/form-data"] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
            assert!(boundary(&headers).is_err(), "{content_type}");
        }
    }
}
