//! The two ways in: a streaming reverse proxy in front of `RAGFlow`, and `/authz` for a front that proxies
//! by itself. Both are thin: they bring a request into one form, ask the [`Engine`], and do what it says.
//!
//! What the engine is shown is what `RAGFlow` will see: headers that end at this hop and headers that only
//! the paywall may set are taken out before it is asked, so that nobody is identified by a header that
//! `RAGFlow` never gets.

mod authz;
mod client_address;
mod engine;
mod form;
mod front;
mod head;
mod named;
mod peek;
mod told;
mod upstream;
mod watched;

use axum::body::Bytes;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use crate::gate::Refusal;

pub use engine::{Admission, Arrival, End, Engine, Unenforced, Unwatched, Watch};
pub use named::Named;
pub use peek::{BodyError, Peek, PeekError};

pub(crate) use front::{Front, is_own};

/// An answer of the proxy itself, in `RAGFlow`'s envelope. Not for denials, which have their own shapes.
pub(crate) fn envelope(status: StatusCode, message: &str) -> Refusal {
    let body = json!({"code": status.as_u16(), "message": message, "data": null}).to_string();
    let headers = HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // As RAGFlow's own answers have it; without it a page of another origin cannot read the message.
        (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    ]);
    Refusal { status, headers, body: Bytes::from(body) }
}
