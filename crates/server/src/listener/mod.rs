//! How connections come in: an accept loop of our own, since a library's gives a silent connection all
//! the time it wants.
//!
//! Every connection has an end to its patience at each moment: for a request's head, between requests,
//! and where the other side neither reads nor writes. There is a cap on connections, in all and from one
//! address, and stopping lets what runs finish within a bound.

mod activity;
mod places;
mod stall;

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::activity::{Activity, Busy};
use self::places::{Place, Places};
use self::stall::Stalling;

/// How long accepting waits after the system refused a connection, most often for want of file handles:
/// trying at once would spin until somebody closes one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a connection beyond the cap hears.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 42\r\n\
    Retry-After: 5\r\nConnection: close\r\n\r\ntoo many connections; try again in a while";

/// What connections may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Open connections in all.
    pub connections: usize,
    /// Open connections from one address (IPv6: from one /64). Trusted proxies have no limit of their own.
    pub connections_per_address: usize,
    /// The largest head of a request, in bytes.
    pub header_bytes: usize,
    /// The longest that a request's head may take, from its first byte, or from the connection's start.
    pub header_timeout: Duration,
    /// The longest that a connection may rest between two requests.
    pub idle_timeout: Duration,
    /// The longest that the other side may neither send what it announced nor take what it asked for.
    pub stall_timeout: Duration,
    /// How long the server goes on as before after it was told to stop, while `/readyz` says so already: for
    /// load balancers that look there, to send nobody any more.
    pub stop_delay: Duration,
    /// How long requests that run may go on after the server was told to stop.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            connections_per_address: 1024,
            header_bytes: 64 * 1024,
            header_timeout: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(75),
            stall_timeout: Duration::from_secs(60),
            stop_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// Answers requests, whatever they are.
pub(crate) trait Respond: Send + Sync + 'static {
    /// The bodies of its answers.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin + Send + 'static;

    /// Answers `request`, which came from `peer`. Dropped where the other side is gone.
    fn respond(&self, peer: IpAddr, request: Request<Incoming>) -> impl Future<Output = Response<Self::Body>> + Send;
}

/// Serves connections until `stop`, then lets what runs finish.
pub(crate) async fn serve<R: Respond>(
    listener: TcpListener,
    limits: Limits,
    trusted: &[IpNet],
    respond: Arc<R>,
    stop: CancellationToken,
) {
    let places = Places::new(limits.connections, limits.connections_per_address);
    let (limits, tasks, cut) = (Arc::new(limits), TaskTracker::new(), CancellationToken::new());
    let mut pausing = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) => {
                if !std::mem::replace(&mut pausing, true) {
                    tracing::error!(%error, "connections cannot be accepted");
                }
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        pausing = false;
        let peer = peer.ip().to_canonical();
        let exempt = trusted.iter().any(|net| net.contains(&peer));
        let Some(place) = places.take(peer, exempt) else {
            // Whatever fits into the socket's buffer; nobody waits for such a connection.
            let _ = stream.try_write(FULL);
            continue;
        };
        let connection = Connection {
            limits: Arc::clone(&limits),
            respond: Arc::clone(&respond),
            stop: stop.clone(),
            cut: cut.clone(),
            _place: place,
        };
        tasks.spawn(connection.serve(stream, peer));
    }
    drop(listener);
    tasks.close();
    if timeout(limits.drain_timeout, tasks.wait()).await.is_err() {
        tracing::warn!(connections = tasks.len(), "cut off what still ran");
        cut.cancel();
        tasks.wait().await;
    }
}

/// An error of the connection that was to be accepted, not of accepting.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

struct Connection<R> {
    limits: Arc<Limits>,
    respond: Arc<R>,
    stop: CancellationToken,
    cut: CancellationToken,
    _place: Place,
}

impl<R: Respond> Connection<R> {
    async fn serve(self, stream: TcpStream, peer: IpAddr) {
        // Frames of a stream are small and must not wait for each other.
        let _ = stream.set_nodelay(true);
        let activity = Arc::new(Activity::new(self.limits.header_timeout, self.limits.idle_timeout));
        let io = TokioIo::new(Stalling::new(stream, self.limits.stall_timeout, Arc::clone(&activity)));
        let service = hyper::service::service_fn(|request| {
            let busy = Busy::begin(&activity);
            let respond = &self.respond;
            async move {
                let response = respond.respond(peer, request).await;
                Ok::<_, Infallible>(response.map(|body| Held { body, _busy: busy }))
            }
        });
        let mut connection = pin!(
            http1::Builder::new()
                // Ours below; hyper's own would count the rest between two requests as a slow head.
                .header_read_timeout(None)
                .max_header_size(self.limits.header_bytes)
                .serve_connection(io, service)
        );
        let mut patience = pin!(sleep_until(activity.next_look()));
        let mut stopping = false;
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%peer, error = &error as &dyn Error, "a connection ended early");
                    }
                    return;
                }
                () = self.stop.cancelled(), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = self.cut.cancelled(), if stopping => return,
                () = patience.as_mut() => {
                    if activity.is_overdue() {
                        tracing::debug!(%peer, "a connection was dropped for its silence");
                        return;
                    }
                    patience.as_mut().reset(activity.next_look());
                }
            }
        }
    }
}

/// An answer's body, during which its connection counts as busy.
struct Held<B> {
    body: B,
    _busy: Busy,
}

impl<B: Body + Unpin> Body for Held<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Raises the number of files that this process may have open to what the system lets it: a stream takes
/// two, and the usual 1,024 end soon.
#[cfg(unix)]
pub(crate) fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        // Some systems name a maximum that they do not grant; then it stays as it was.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

/// Where files have no such limit.
#[cfg(not(unix))]
pub(crate) fn raise_file_limit() {}

#[cfg(test)]
mod tests {
    use super::FULL;

    #[test]
    fn the_answer_beyond_the_cap_is_framed_well() {
        let text = std::str::from_utf8(FULL).unwrap_or_default();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    }
}
