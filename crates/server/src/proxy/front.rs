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
use axum::http::header::EXPECT;
use axum::http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use ipnet::IpNet;
use paywall_domain::TenantId;
use tower::ServiceExt;

use super::client_address::{client, is_trusted};
use super::head::{self, REQUEST_ID};
use super::upstream::{Upstream, UpstreamError};
use super::watched::{Guard, Watched};
use super::{Admission, Arrival, End, Engine, Peek, authz, envelope};
use crate::config::Config;
use crate::gate::{self, Refusal, Via, classify_with};
use crate::listener::Respond;
use crate::request_id;

/// Paths of the server's own, beside what lies below them.
const TREES: [&str; 4] = ["/admin/v1", "/authz", "/paywall", "/stripe/webhook"];
/// Paths of the server's own below which nothing lies.
const LEAVES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Both ways in, and the server's own routes.
pub(crate) struct Front<E> {
    pub(super) engine: Arc<E>,
    pub(super) trusted: Vec<IpNet>,
    own: Router,
    upstream: Option<Upstream>,
    stall: Duration,
    /// Whether the log was told that `RAGFlow` cannot be reached.
    away: AtomicBool,
}

impl<E: Engine> Front<E> {
    pub(crate) fn new(config: &Config, own: Router, engine: Arc<E>) -> Self {
        Self {
            engine,
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

    async fn pass(&self, upstream: &Upstream, peer: IpAddr, request: Request<Incoming>) -> Answer<E> {
        let started = Instant::now();
        let id = request_id::fresh();
        let id_value = HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static(""));
        let (mut head, body) = request.into_parts();
        let trusted = is_trusted(&self.trusted, peer);
        let client = client(&self.trusted, peer, &head.headers);
        // In its hands from here on, so that also a refused caller gets to read its answer.
        let mut body = Peek::new(body, head.headers.contains_key(EXPECT), self.stall);
        let answered = |refusal: Refusal, why: &str| {
            tracing::debug!(request_id = id, %client, status = refusal.status.as_u16(), why, "not passed");
            let mut response = whole(refusal);
            response.headers_mut().insert(REQUEST_ID, id_value.clone());
            response
        };
        if let Err(odd) = head::check(&head) {
            return answered(envelope(odd.status(), &odd.to_string()), "odd head");
        }
        head::prepare(&mut head, if trusted { gate::Front::Trusted } else { gate::Front::Anyone }, peer, &id_value);
        let path = head.uri.path();
        let route = match classify_with(self.engine.unknown_routes(), head.method.as_str(), path) {
            Ok(route) => route,
            Err(malformed) => return answered(envelope(StatusCode::BAD_REQUEST, &malformed.to_string()), "odd path"),
        };
        let arrival = Arrival { head: &head, route: &route, via: Via::Proxy, peer: client, id: &id };
        let (payer, plain, mut guard) = match self.engine.admit(arrival, &mut body).await {
            Admission::Refuse(refusal) => return answered(refusal, "refused"),
            Admission::Pass { payer, plain, watch } => (payer, plain, Guard::new(watch)),
        };
        if plain {
            head.headers.insert(axum::http::header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        let method = head.method.clone();
        match upstream.send(head, body).await {
            Ok(mut response) => {
                if self.away.load(Ordering::Relaxed) && self.away.swap(false, Ordering::Relaxed) {
                    tracing::info!("RAGFlow is back");
                }
                head::prepare_answer(response.headers_mut(), id_value);
                *response.version_mut() = axum::http::Version::HTTP_11;
                tracing::debug!(
                    request_id = id,
                    %method,
                    route = route.pattern,
                    payer = payer.as_ref().map(TenantId::as_str),
                    status = response.status().as_u16(),
                    ms = started.elapsed().as_millis() as u64,
                    "passed"
                );
                guard.response(response.status(), response.headers());
                response.map(|body| AnswerBody::Passed(Watched::new(body, guard)))
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
                tracing::debug!(request_id = id, route = route.pattern, error = &error as &dyn Error, "no answer");
                answered(envelope(error.status(), &error.to_string()), "no answer")
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
        match &self.upstream {
            Some(upstream) if !is_own(path) => Box::pin(self.pass(upstream, peer, request)).await,
            _ => Box::pin(self.own(request)).await,
        }
    }
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
