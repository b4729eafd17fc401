//! Names for requests, to find them by in logs. Made here and taken from nobody: a caller must not be able
//! to make two requests look like one.

use std::time::Instant;

use axum::http::{Method, StatusCode};

/// Routes that are asked every few seconds by machines: a line each would hide the others.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// A name that no other request has.
pub(crate) fn fresh() -> String {
    let text = ulid::Ulid::from_parts(0, rand::random()).to_string().to_lowercase();
    format!("req_{}", text.trim_start_matches('0'))
}

/// Writes the line of a request to one of the server's own routes, by the pattern of its path.
pub(crate) fn line(id: &str, method: &Method, route: &str, status: StatusCode, started: Instant) {
    let (way, ms) = ("own", started.elapsed().as_millis() as u64);
    let status_code = status.as_u16();
    if status.is_success() && PROBES.contains(&route) {
        tracing::debug!(request_id = id, way, %method, route, status = status_code, ms, "request");
    } else {
        tracing::info!(request_id = id, way, %method, route, status = status_code, ms, "request");
    }
}
