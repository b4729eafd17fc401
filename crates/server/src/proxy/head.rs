//! The heads of requests and answers on their way through: what ends at this hop is taken out, what only
//! the paywall may say is said anew, and what can be read in more than one way is refused.

use std::net::IpAddr;

use axum::http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};

use super::client_address::FORWARDED_FOR;
use crate::gate::{self, Front};

/// The header that names a request in logs.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Headers about one connection, beside those that `Connection` names. `Trailer` is not among them: it is
/// about the message.
const ONE_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// A head that is not passed on, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Odd {
    #[error("this request has no Host, or several")]
    Host,
    #[error("the Host of this request is none, or is not the one in its target")]
    OtherHost,
    #[error("this server is no tunnel")]
    Connect,
    #[error("there is no WebSocket here; RAGFlow streams its answers over plain HTTP")]
    WebSocket,
    #[error("the only transfer coding that is understood here is a single \"chunked\"")]
    TransferCoding,
    #[error("the only expectation that is understood here is \"100-continue\"")]
    Expectation,
}

impl Odd {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Host | Self::OtherHost => StatusCode::BAD_REQUEST,
            Self::Connect => StatusCode::METHOD_NOT_ALLOWED,
            Self::WebSocket | Self::TransferCoding => StatusCode::NOT_IMPLEMENTED,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
        }
    }
}

/// Looks for what hyper lets pass and what should not. Broken framing never gets here.
pub(super) fn check(head: &Parts) -> Result<(), Odd> {
    if head.method == Method::CONNECT {
        return Err(Odd::Connect);
    }
    check_host(head)?;
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next()
        && (codings.next().is_some() || !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"))
    {
        return Err(Odd::TransferCoding);
    }
    if head.headers.get_all(EXPECT).iter().any(|it| !it.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return Err(Odd::Expectation);
    }
    // Any other upgrade is an offer that may be passed over, and clients make it with every request:
    // Java's begins with h2c.
    if tokens(&head.headers, UPGRADE).any(|it| it.eq_ignore_ascii_case("websocket")) {
        return Err(Odd::WebSocket);
    }
    Ok(())
}

fn check_host(head: &Parts) -> Result<(), Odd> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host,
        // HTTP/1.0 knows none.
        (None, None) if head.version < Version::HTTP_11 => return Ok(()),
        _ => return Err(Odd::Host),
    };
    let text = host.to_str().map_err(|_| Odd::OtherHost)?;
    if text.contains('@') || text.parse::<Authority>().is_err() {
        return Err(Odd::OtherHost);
    }
    match head.uri.authority() {
        Some(authority) if !authority.as_str().eq_ignore_ascii_case(text) => Err(Odd::OtherHost),
        _ => Ok(()),
    }
}

/// The members of a header that is a list.
fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).into_iter().filter_map(|it| it.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

/// Takes out what is about this connection alone.
fn end_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = tokens(headers, CONNECTION)
        .filter(|it| !it.eq_ignore_ascii_case("close") && !it.eq_ignore_ascii_case("keep-alive"))
        .filter_map(|it| it.parse().ok())
        .filter(|it| *it != HOST && *it != CONTENT_LENGTH)
        .collect();
    for name in named.iter().chain(&ONE_HOP) {
        headers.remove(name);
    }
}

/// Makes a request's head into what `RAGFlow` gets. `front` is who sent it, `peer` its address.
pub(super) fn prepare(head: &mut Parts, front: Front, peer: IpAddr, id: &HeaderValue) {
    let takes_trailers = tokens(&head.headers, TE).any(|it| it.eq_ignore_ascii_case("trailers"));
    let headers = &mut head.headers;
    end_hop(headers);
    // hyper asks for the body when RAGFlow wants it; nobody has to be asked twice.
    headers.remove(EXPECT);
    let stripped = gate::strip_reserved(headers, front);
    if !stripped.is_empty() {
        tracing::debug!(%peer, ?stripped, "headers that only the paywall may set were taken out");
    }
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    let before = tokens_joined(headers, FORWARDED_FOR);
    let chain = if before.is_empty() { peer.to_string() } else { format!("{before}, {peer}") };
    if let Ok(chain) = HeaderValue::from_str(&chain) {
        headers.insert(FORWARDED_FOR, chain);
    }
    if !headers.contains_key(FORWARDED_PROTO) {
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    }
    if !headers.contains_key(FORWARDED_HOST)
        && let Some(host) = headers.get(HOST).cloned()
    {
        headers.insert(FORWARDED_HOST, host);
    }
    headers.insert(REQUEST_ID, id.clone());
    head.version = Version::HTTP_11;
}

fn tokens_joined(headers: &HeaderMap, name: &'static str) -> String {
    tokens(headers, HeaderName::from_static(name)).collect::<Vec<_>>().join(", ")
}

/// Makes an answer's head into what the caller gets.
pub(super) fn prepare_answer(headers: &mut HeaderMap, id: HeaderValue) {
    end_hop(headers);
    let ours: Vec<HeaderName> = headers.keys().filter(|it| it.as_str().starts_with("x-paywall-")).cloned().collect();
    for name in &ours {
        headers.remove(name);
    }
    headers.insert(REQUEST_ID, id);
}
