//! The way to `RAGFlow`.

use std::error::Error;
use std::time::Duration;

use axum::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::http::request::Parts;
use axum::http::uri::{Authority, PathAndQuery, Scheme};
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::client::legacy::{self, Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use super::{BodyError, Peek};

/// `RAGFlow` is near; what does not answer by then is away.
const CONNECT: Duration = Duration::from_secs(5);

/// `RAGFlow`'s own server closes a connection that rests for five seconds. One that is dropped before
/// that is not used in the moment in which the other side closes it.
const REST: Duration = Duration::from_secs(4);

/// How soon a host that vanished without a word is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// As long as `RAGFlow`'s own front waits for an answer's head.
const ANSWER: Duration = Duration::from_secs(3600);

/// `RAGFlow` gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpstreamError {
    #[error("RAGFlow cannot be reached")]
    Away(#[source] legacy::Error),
    #[error("RAGFlow broke off before it answered")]
    BrokeOff(#[source] legacy::Error),
    #[error("RAGFlow did not answer in time")]
    Late,
    #[error("RAGFlow answered with a protocol that nobody asked for")]
    Switched,
    #[error("{0}")]
    Body(String, StatusCode),
}

impl UpstreamError {
    fn of(error: legacy::Error) -> Self {
        let mut source = error.source();
        while let Some(cause) = source {
            if let Some(error) = cause.downcast_ref::<BodyError>() {
                return Self::Body(error.to_string(), error.status());
            }
            source = cause.source();
        }
        if error.is_connect() { Self::Away(error) } else { Self::BrokeOff(error) }
    }

    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Away(_) | Self::BrokeOff(_) | Self::Switched => StatusCode::BAD_GATEWAY,
            Self::Late => StatusCode::GATEWAY_TIMEOUT,
            Self::Body(_, status) => *status,
        }
    }
}

/// `RAGFlow`, with the connections to it that rest.
pub(super) struct Upstream {
    client: Client<HttpConnector, Peek>,
    authority: Authority,
}

impl Upstream {
    pub(super) fn new(authority: Authority) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_keepalive(Some(KEEP_ALIVE));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(REST)
            .build(connector);
        Self { client, authority }
    }

    /// Sends a request and answers the answer's head; its body is still to come. Dropping either closes
    /// the connection to `RAGFlow`, which so hears that nobody waits any more.
    pub(super) async fn send(&self, mut head: Parts, body: Peek) -> Result<Response<Incoming>, UpstreamError> {
        head.uri = self.target(&head);
        frame(&mut head, &body);
        let again = (body.is_end_stream() && is_repeatable(&head.method)).then(|| head.clone());
        let response = match (self.once(head, body).await, again) {
            // A connection that rested may be closed at the moment in which it is used again.
            (Err(UpstreamError::BrokeOff(_)), Some(head)) => self.once(head, Peek::absent()).await?,
            (response, _) => response?,
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(UpstreamError::Switched);
        }
        Ok(response)
    }

    async fn once(&self, head: Parts, body: Peek) -> Result<Response<Incoming>, UpstreamError> {
        let response = self.client.request(Request::from_parts(head, body));
        timeout(ANSWER, response).await.map_err(|_| UpstreamError::Late)?.map_err(UpstreamError::of)
    }

    fn target(&self, head: &Parts) -> Uri {
        let path = head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        let mut parts = axum::http::uri::Parts::default();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        // All three are there, and each was parsed.
        Uri::from_parts(parts).unwrap_or_default()
    }
}

/// A method that may be sent twice without doing anything twice.
fn is_repeatable(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Frames the body in one way only: by the length that hyper read, or in chunks.
fn frame(head: &mut Parts, body: &Peek) {
    let announced = head.headers.remove(CONTENT_LENGTH).is_some();
    match body.size_hint().exact() {
        Some(0) if !announced => {}
        Some(length) => {
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        // Also for a GET, of which hyper would otherwise drop the body.
        None => {
            head.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }
}
