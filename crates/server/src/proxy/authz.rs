//! `/authz`: whether a request may pass that a front holds meanwhile. nginx (`auth_request`), Caddy
//! (`forward_auth`) and Traefik (`ForwardAuth`) ask so.
//!
//! The front tells method and target of the caller's request in headers, which only trusted ones may: else
//! everybody could ask for a free request and make another. nginx is told to set `X-Original-…`, the
//! others set `X-Forwarded-…` by themselves. A caller can send those that its front does not set; so a
//! request with both is ambiguous and never passes.

use std::net::IpAddr;
use std::time::Instant;

use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use hyper::body::Incoming;

use super::client_address::{client, is_trusted};
use super::head::REQUEST_ID;
use super::told::Told;
use super::{Admission, Arrival, End, Engine, Front, Peek, Watch, envelope};
use crate::gate::{self, Refusal, Via, classify_with, header_text, strip_reserved};
use crate::request_id;

/// The header that tells the front who pays.
const TENANT: HeaderName = HeaderName::from_static("x-paywall-tenant");
/// The header that tells the front's error page what to say.
const MESSAGE: HeaderName = HeaderName::from_static("x-paywall-message");

/// The headers in which fronts tell method and target.
const ORIGINALS: [(&str, &str); 2] =
    [("x-original-method", "x-original-uri"), ("x-forwarded-method", "x-forwarded-uri")];

/// The header in which a front tells how long the body is that it holds: its own question has none.
const LENGTH: &str = "x-original-content-length";

/// A question that cannot be answered with yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Unanswerable {
    #[error("this address is not a trusted proxy; a front's address belongs into trusted_proxies")]
    Stranger,
    #[error("the front does not tell the method and the target: X-Original-Method and X-Original-URI")]
    Untold,
    #[error("the method or the target of the request is told more than once")]
    Ambiguous,
    #[error("the method or the target of the request is none")]
    Unreadable,
}

/// Answers the front.
pub(super) async fn answer<E: Engine>(front: &Front<E>, peer: IpAddr, request: Request<Incoming>) -> Refusal {
    let id = request_id::fresh();
    let head = request.into_parts().0;
    let told = Told::begin(&front.state.metrics, Via::Authz, &id, head.method.clone());
    let mut answer = decide(front, peer, head, &id, told).await;
    if let Ok(id) = HeaderValue::from_str(&id) {
        answer.headers.insert(REQUEST_ID, id);
    }
    answer
}

async fn decide<E: Engine>(front: &Front<E>, peer: IpAddr, mut head: Parts, id: &str, mut told: Told<'_>) -> Refusal {
    if !is_trusted(&front.trusted, peer) {
        return forbidden(id, &told, &Unanswerable::Stranger.to_string());
    }
    match original(&head.headers) {
        Ok((method, uri)) => (head.method, head.uri) = (method, uri),
        Err(unanswerable) => return forbidden(id, &told, &unanswerable.to_string()),
    }
    let client = client(&front.trusted, peer, &head.headers);
    if let Some(length) = length(&head.headers) {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    strip_reserved(&mut head.headers, gate::Front::Trusted);
    for (method, uri) in ORIGINALS {
        head.headers.remove(method);
        head.headers.remove(uri);
    }
    let route = match classify_with(front.engine.unknown_routes(), head.method.as_str(), head.uri.path()) {
        Ok(route) => route,
        Err(malformed) => return forbidden(id, &told, &malformed.to_string()),
    };
    told.is_for(&head.method, &route);
    let arrival = Arrival { head: &head, route: &route, via: Via::Authz, peer: client, id };
    let asked = Instant::now();
    match front.engine.admit(arrival, &mut Peek::absent()).await {
        Admission::Refuse { payer, refusal } => {
            told.is_refused(asked, payer.as_ref(), refusal.status, &refusal.headers);
            refusal
        }
        Admission::Pass { payer, watch, .. } => {
            told.passes(asked);
            watch.end(End::Unseen);
            told.is_allowed(payer.as_ref(), StatusCode::NO_CONTENT);
            let mut headers = HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_static("no-store"))]);
            if let Some(payer) = payer.and_then(|it| HeaderValue::from_str(it.as_str()).ok()) {
                headers.insert(TENANT, payer);
            }
            Refusal { status: StatusCode::NO_CONTENT, headers, body: axum::body::Bytes::new() }
        }
    }
}

/// What the caller asked of the front.
fn original(headers: &HeaderMap) -> Result<(Method, Uri), Unanswerable> {
    let told = ORIGINALS.iter().filter(|(method, uri)| headers.contains_key(*method) || headers.contains_key(*uri));
    let mut told = told.copied();
    let (method, uri) = match (told.next(), told.next()) {
        (Some(names), None) => names,
        (None, _) => return Err(Unanswerable::Untold),
        _ => return Err(Unanswerable::Ambiguous),
    };
    let (method, uri) = (only(headers, method)?, only(headers, uri)?);
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| Unanswerable::Unreadable)?;
    // A fragment would be dropped here, and not by everybody.
    let path = uri.as_bytes().starts_with(b"/") && !uri.as_bytes().contains(&b'#');
    let uri = Some(uri).filter(|_| path).and_then(|it| Uri::try_from(it.as_bytes()).ok());
    Ok((method, uri.ok_or(Unanswerable::Unreadable)?))
}

/// How long the body is that the front holds, where that is told.
fn length(headers: &HeaderMap) -> Option<u64> {
    only(headers, LENGTH).ok()?.to_str().ok().filter(|it| it.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

fn only<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a HeaderValue, Unanswerable> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value),
        (None, _) => Err(Unanswerable::Untold),
        _ => Err(Unanswerable::Ambiguous),
    }
}

/// A question that a front should not put: also in the log of a server that tells little, since nothing passes
/// until the front is set up as it should be.
fn forbidden(id: &str, told: &Told<'_>, message: &str) -> Refusal {
    tracing::info!(request_id = id, message, "not answered with yes");
    told.is_odd(StatusCode::FORBIDDEN);
    let mut refusal = envelope(StatusCode::FORBIDDEN, message);
    refusal.headers.insert(MESSAGE, header_text(message));
    refusal
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_request_is_told_once_or_not_at_all() {
        let read = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, HeaderValue::from_static(value));
            }
            original(&headers)
        };
        let nginx = [("x-original-method", "POST"), ("x-original-uri", "/a?b=%2F")];
        assert_eq!(read(&nginx), Ok((Method::POST, Uri::from_static("/a?b=%2F"))));
        let caddy = [("x-forwarded-method", "GET"), ("x-forwarded-uri", "/a")];
        assert_eq!(read(&caddy), Ok((Method::GET, Uri::from_static("/a"))));
        assert_eq!(read(&[nginx[0], nginx[1], caddy[1]]), Err(Unanswerable::Ambiguous));
        assert_eq!(read(&[nginx[0], nginx[1], nginx[1]]), Err(Unanswerable::Ambiguous));
        assert_eq!(read(&[nginx[1]]), Err(Unanswerable::Untold));
        assert_eq!(read(&[]), Err(Unanswerable::Untold));
        for uri in ["http://other/a", "a", "", "/a#b", "/a b"] {
            assert_eq!(read(&[nginx[0], ("x-original-uri", uri)]), Err(Unanswerable::Unreadable), "{uri:?}");
        }
    }
}
