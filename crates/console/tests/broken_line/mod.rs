//! A server whose answers get lost on the way.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, missing_docs)]

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;

/// How the server treats the next request that changes something.
#[derive(Clone, Copy, PartialEq)]
pub enum Line {
    BreaksBefore,
    BreaksAfter,
}

/// An answer that breaks off in the middle.
pub fn broken() -> Response {
    let pieces = futures::stream::iter([Ok("{"), Err(std::io::Error::other("the line broke"))]);
    Body::from_stream(pieces).into_response()
}

pub fn problem(status: u16, code: &str) -> Response {
    let body = json!({"type": "urn:paywall:problem:x", "title": code, "status": status, "code": code, "detail": "no",
        "request_id": "req_1"});
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}
