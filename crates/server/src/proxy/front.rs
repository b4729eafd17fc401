//! Where a request goes: to the server's own paths, to whoever asks on behalf of a front, or to `RAGFlow`.

use std::error::Error;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::header::{CONTENT_TYPE, EXPECT, FORWARDED};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use ipnet::IpNet;
use tower::ServiceExt;

use super::client_address::{FORWARDED_FOR, client, is_trusted};
use super::head::{self, REQUEST_ID};
use super::told::Told;
use super::upstream::{Upstream, UpstreamError};
use super::watched::{Guard, Watched};
use super::{Admission, Arrival, End, Engine, Peek, authz, envelope};
use crate::gate::{self, Refusal, Via, classify_with};
use crate::listener::Respond;
use crate::metrics;
use crate::request_id;
use crate::server::State;

/// Paths of the server's own, beside what lies below them.
const TREES: [&str; 4] = ["/admin/v1", "/authz", "/paywall", "/stripe/webhook"];
/// Paths of the server's own below which nothing lies.
const LEAVES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Both ways in, and the server's own routes.
pub(crate) struct Front<E> {
    pub(super) engine: Arc<E>,
    pub(super) trusted: Vec<IpNet>,
    pub(super) state: Arc<State>,
    own: Router,
    upstream: Option<Upstream>,
    stall: Duration,
    /// Whether the log was told that `RAGFlow` cannot be reached.
    away: AtomicBool,
}

impl<E: Engine> Front<E> {
    pub(crate) fn new(state: &Arc<State>, own: Router, engine: Arc<E>) -> Self {
        let config = &state.config;
        Self {
            engine,
            state: Arc::clone(state),
            trusted: config.trusted_proxies.clone(),
            own,
            upstream: config.ragflow_url.as_ref().and_then(|url| url.authority().cloned()).map(Upstream::new),
            stall: config.limits.stall_timeout,
            away: AtomicBool::new(false),
        }
    }

    async fn own(&self, request: Request<Incoming>) -> Answer<E> {
        let Ok(response) = self.own.clone().oneshot(request.map(axum::body::Body::new)).await;
        response.map(AnswerBody::Own)
    }

    /// Every figure of the server.
    async fn metrics(&self) -> Answer<E> {
        let text = metrics::read(&self.state).await;
        let mut response = Response::new(AnswerBody::Whole(Full::new(text.into())));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT));
        response
    }

    async fn pass(&self, upstream: &Upstream, peer: IpAddr, request: Request<Incoming>) -> Answer<E> {
        let id = request_id::fresh();
        let id_value = HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static(""));
        let (mut head, body) = request.into_parts();
        let mut told = Told::begin(&self.state.metrics, Via::Proxy, &id, head.method.clone());
        let trusted = is_trusted(&self.trusted, peer);
        let client = client(&self.trusted, peer, &head.headers);
        // In its hands from here on, so that also a refused caller gets to read its answer.
        let expected = head.headers.contains_key(EXPECT);
        let mut body = Peek::new(body, expected, self.stall).counted(self.state.metrics.received());
        let answered = |refusal: Refusal| {
            let mut response = whole(refusal);
            response.headers_mut().insert(REQUEST_ID, id_value.clone());
            response
        };
        if let Err(odd) = head::check(&head) {
            told.is_odd(odd.status());
            return answered(envelope(odd.status(), &odd.to_string()));
        }
        head::prepare(&mut head, if trusted { gate::Front::Trusted } else { gate::Front::Anyone }, peer, &id_value);
        let path = head.uri.path();
        let route = match classify_with(self.engine.unknown_routes(), head.method.as_str(), path) {
            Ok(route) => route,
            Err(malformed) => {
                told.is_odd(StatusCode::BAD_REQUEST);
                return answered(envelope(StatusCode::BAD_REQUEST, &malformed.to_string()));
            }
        };
        told.is_for(&head.method, &route);
        let arrival = Arrival { head: &head, route: &route, via: Via::Proxy, peer: client, id: &id };
        let asked = Instant::now();
        let (payer, plain, mut guard) = match self.engine.admit(arrival, &mut body).await {
            Admission::Refuse { payer, refusal } => {
                told.is_refused(asked, payer.as_ref(), refusal.status, &refusal.headers);
                return answered(refusal);
            }
            Admission::Pass { payer, plain, watch } => (payer, plain, Guard::new(watch)),
        };
        told.passes(asked);
        let streaming = self.state.metrics.stream();
        if plain {
            head.headers.insert(axum::http::header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        match upstream.send(head, body).await {
            Ok(mut response) => {
                if self.away.load(Ordering::Relaxed) && self.away.swap(false, Ordering::Relaxed) {
                    tracing::info!("RAGFlow is back");
                }
                told.is_answered(payer.as_ref(), response.status(), true);
                head::prepare_answer(response.headers_mut(), id_value);
                *response.version_mut() = axum::http::Version::HTTP_11;
                guard.response(response.status(), response.headers());
                response.map(|body| AnswerBody::Passed(Watched::new(body, guard, streaming)))
            }
            Err(error) => {
                guard.end(match error {
                    UpstreamError::Body(..) => End::ClientFailed,
                    _ => End::UpstreamFailed,
                });
                // Once per outage: while RAGFlow is away, every request ends here.
                if matches!(error, UpstreamError::Away(_)) && !self.away.swap(true, Ordering::Relaxed) {
                    tracing::error!(error = &error as &dyn Error, "RAGFlow is away");
                }
                tracing::debug!(request_id = id, error = &error as &dyn Error, "no answer");
                told.is_answered(payer.as_ref(), error.status(), false);
                answered(envelope(error.status(), &error.to_string()))
            }
        }
    }
}

impl<E: Engine> Respond for Front<E> {
    type Body = AnswerBody<E>;

    async fn respond(&self, peer: IpAddr, request: Request<Incoming>) -> Answer<E> {
        let path = request.uri().path();
        // Boxed, since hyper keeps the room for this future as long as the connection lives: of an idle
        // stream, some kilobytes for what is over.
        if path == "/authz" {
            return whole(Box::pin(authz::answer(self, peer, request)).await);
        }
        if path == "/metrics"
            && *request.method() == Method::GET
            && may_read_metrics(&self.trusted, peer, request.headers())
        {
            return Box::pin(self.metrics()).await;
        }
        match &self.upstream {
            Some(upstream) if !is_own(path) => Box::pin(self.pass(upstream, peer, request)).await,
            _ => Box::pin(self.own(request)).await,
        }
    }
}

/// Whether the figures are for this caller: on this machine, or at an address that is trusted, and not somebody
/// whose request one of those hands on.
fn may_read_metrics(trusted: &[IpNet], peer: IpAddr, headers: &HeaderMap) -> bool {
    let handed_on = headers.contains_key(FORWARDED_FOR) || headers.contains_key(FORWARDED);
    !handed_on && (peer.is_loopback() || is_trusted(trusted, peer))
}

/// Whether a path is the server's own. Read as it stands: another spelling of one is nothing to `RAGFlow`.
pub(crate) fn is_own(path: &str) -> bool {
    let below = |tree: &str| path.strip_prefix(tree).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    LEAVES.contains(&path) || TREES.iter().any(|tree| below(tree))
}

fn whole<E: Engine>(refusal: Refusal) -> Answer<E> {
    let mut response = Response::new(AnswerBody::Whole(Full::new(refusal.body)));
    *response.status_mut() = refusal.status;
    *response.headers_mut() = refusal.headers;
    response
}

type Answer<E> = Response<AnswerBody<E>>;

/// The body of an answer, by where it comes from.
pub(crate) enum AnswerBody<E: Engine> {
    /// A route of the server's own.
    Own(axum::body::Body),
    /// Made here.
    Whole(Full<Bytes>),
    /// `RAGFlow`'s.
    Passed(Watched<E::Watch>),
}

impl<E: Engine> Body for AnswerBody<E> {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Own(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
            Self::Whole(body) => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
            Self::Passed(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(body) => body.is_end_stream(),
            Self::Whole(body) => body.is_end_stream(),
            Self::Passed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(body) => body.size_hint(),
            Self::Whole(body) => body.size_hint(),
            Self::Passed(body) => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn figures_are_not_for_callers_from_outside() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let may = |peer: &str, handed_on: Option<&'static str>| {
            let value = HeaderValue::from_static("203.0.113.9");
            let headers = HeaderMap::from_iter(handed_on.map(|name| (name.parse().unwrap(), value)));
            may_read_metrics(&trusted, peer.parse().unwrap(), &headers)
        };
        for peer in ["127.0.0.1", "127.9.9.9", "::1", "10.1.2.3"] {
            assert!(may(peer, None), "{peer}");
            // nginx on this machine, which hands on what everybody sends.
            assert!(!may(peer, Some("x-forwarded-for")) && !may(peer, Some("forwarded")), "{peer}");
        }
        for peer in ["203.0.113.9", "192.168.0.1", "2001:db8::1"] {
            assert!(!may(peer, None), "{peer}");
        }
    }
}
