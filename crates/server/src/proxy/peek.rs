//! A request's body: looked into within bounds, then forwarded as it came.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use prometheus_client::metrics::counter::Counter;
use tokio::time::{Instant, Sleep, sleep, timeout_at};

use super::envelope;
use crate::gate::{Front, Refusal, strip_reserved};

/// The longest that looking into a body may wait for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the rest of a body that nobody wants is read and dropped. Closing at once would reset the
/// connection, and the caller would not get to read why it was refused.
const LINGER: Duration = Duration::from_secs(20);

/// A body that cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It broke off, or its framing is broken.
    #[error("the request's body broke off or is framed wrongly")]
    Broken(#[source] hyper::Error),
    /// Nothing of it came for too long.
    #[error("the request's body stopped coming")]
    Stalled,
}

/// What is looked for in a body cannot be found out.
#[derive(Debug, thiserror::Error)]
pub enum PeekError {
    /// It is larger than what is looked at.
    #[error("the body of this request can have {most} bytes at most, since it names what the request is for")]
    TooLarge {
        /// The bound.
        most: usize,
    },
    /// What is looked for may come after what is looked at.
    #[error("the form must name {field:?} within its first {most} bytes, before its files")]
    TooLate {
        /// What is looked for.
        field: &'static str,
        /// The bound.
        most: usize,
    },
    /// It is compressed.
    #[error("the body of this request cannot be compressed, since it names what the request is for")]
    Compressed,
    /// It is not JSON, or not a form, or one that can be read in more than one way.
    #[error("the body of this request cannot be read: {0}")]
    Unreadable(String),
    /// It did not come in time.
    #[error("the body of this request did not come in time")]
    TooSlow,
    /// It cannot be read to its end.
    #[error(transparent)]
    Body(#[from] BodyError),
}

impl BodyError {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Broken(_) => StatusCode::BAD_REQUEST,
            Self::Stalled => StatusCode::REQUEST_TIMEOUT,
        }
    }
}

impl PeekError {
    /// The answer that says so.
    pub fn refusal(&self) -> Refusal {
        let status = match self {
            Self::TooLarge { .. } | Self::TooLate { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Compressed => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unreadable(_) => StatusCode::BAD_REQUEST,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Body(error) => error.status(),
        };
        envelope(status, &self.to_string())
    }
}

/// The body of a request on its way.
pub struct Peek {
    /// What has not been read yet; `None` at its end.
    source: Option<Incoming>,
    /// What was looked at and not forwarded yet.
    held: Vec<u8>,
    trailers: Option<HeaderMap>,
    /// Whether the caller waits for "100 Continue", which it gets when the body is first read.
    unasked: bool,
    /// Where there is none to look at: the request came by `/authz`.
    absent: bool,
    /// Where its bytes are counted as they come.
    count: Option<Counter>,
    stall: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
}

impl Peek {
    /// `expected`: whether the caller waits for "100 Continue". `stall`: how long it may pause.
    pub(super) fn new(source: Incoming, expected: bool, stall: Duration) -> Self {
        let source = Some(source).filter(|it| !it.is_end_stream());
        let mut body = Self::absent();
        body.unasked = expected && source.is_some();
        body.source = source;
        body.stall = stall;
        body.absent = false;
        body
    }

    /// No body: it stays with the front that asks `/authz`.
    pub(super) fn absent() -> Self {
        Self {
            source: None,
            held: Vec::new(),
            trailers: None,
            unasked: false,
            absent: true,
            count: None,
            stall: Duration::ZERO,
            waiting: None,
            is_waiting: false,
        }
    }

    /// Counts its bytes as they come.
    pub(super) fn counted(mut self, count: Counter) -> Self {
        self.count = Some(count);
        self
    }

    /// Whether the body is out of reach, which is not the same as empty.
    pub fn is_absent(&self) -> bool {
        self.absent
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.is_end_stream()
    }

    /// The whole body, where it has `most` bytes at most.
    pub async fn whole(&mut self, most: usize) -> Result<&[u8], PeekError> {
        // What is announced as too large need not come.
        if self.size_hint().lower() > most as u64 {
            return Err(PeekError::TooLarge { most });
        }
        let deadline = Instant::now() + PATIENCE;
        while self.more(deadline).await? {
            if self.held.len() > most {
                return Err(PeekError::TooLarge { most });
            }
        }
        Ok(&self.held)
    }

    /// The body's beginning: read until `enough` says so, which is asked each time that twice as much is
    /// there, until the body's end, or until there are `most` bytes. Tells whether that is all of it.
    pub async fn beginning<T>(
        &mut self,
        most: usize,
        mut enough: impl FnMut(&[u8], bool) -> Option<T>,
    ) -> Result<Option<T>, PeekError> {
        let deadline = Instant::now() + PATIENCE;
        let mut next = 0;
        loop {
            let more = self.held.len() < most && self.more(deadline).await?;
            if self.held.len() >= next || !more {
                if let Some(found) = enough(&self.held, self.source.is_none()) {
                    return Ok(Some(found));
                }
                next = self.held.len() * 2;
            }
            if !more {
                return Ok(None);
            }
        }
    }

    /// Whether another piece came.
    async fn more(&mut self, deadline: Instant) -> Result<bool, PeekError> {
        let frame = timeout_at(deadline, poll_fn(|context| self.poll_source(context)));
        match frame.await.map_err(|_| PeekError::TooSlow)? {
            None => Ok(false),
            Some(Err(error)) => Err(error.into()),
            Some(Ok(frame)) => {
                match frame.into_data() {
                    Ok(data) => self.held.extend_from_slice(&data),
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                }
                Ok(true)
            }
        }
    }

    fn poll_source(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(source) = &mut self.source else { return Poll::Ready(None) };
        self.unasked = false;
        let Poll::Ready(frame) = Pin::new(&mut *source).poll_frame(context) else {
            let timer = self.waiting.get_or_insert_with(|| Box::pin(sleep(self.stall)));
            if !std::mem::replace(&mut self.is_waiting, true) {
                timer.as_mut().reset(Instant::now() + self.stall);
            }
            ready!(timer.as_mut().poll(context));
            self.source = None;
            return Poll::Ready(Some(Err(BodyError::Stalled)));
        };
        self.is_waiting = false;
        if source.is_end_stream() || !matches!(frame, Some(Ok(_))) {
            self.source = None;
        }
        Poll::Ready(match frame {
            None => None,
            Some(Err(error)) => Some(Err(BodyError::Broken(error))),
            Some(Ok(frame)) => {
                if let (Some(count), Some(data)) = (&self.count, frame.data_ref()) {
                    count.inc_by(data.len() as u64);
                }
                Some(Ok(frame))
            }
        })
    }
}

impl Body for Peek {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            return Poll::Ready(Some(Ok(Frame::data(held.into()))));
        }
        let frame = match self.trailers.take() {
            Some(trailers) => Some(Ok(Frame::trailers(trailers))),
            None => ready!(self.poll_source(context)),
        };
        // Trailers are headers that come late, and may claim no more than those.
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| match frame.into_trailers() {
                Ok(mut trailers) => {
                    strip_reserved(&mut trailers, Front::Anyone);
                    Frame::trailers(trailers)
                }
                Err(frame) => frame,
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty() && self.trailers.is_none() && self.source.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.held.len() as u64;
        let rest = match &self.source {
            Some(source) => source.size_hint(),
            // Trailers take chunks.
            None if self.trailers.is_some() => SizeHint::default(),
            None => SizeHint::with_exact(0),
        };
        let mut hint = SizeHint::new();
        hint.set_lower(held + rest.lower());
        if let Some(upper) = rest.upper() {
            hint.set_upper(held + upper);
        }
        hint
    }
}

impl Drop for Peek {
    /// Reads on for a while what nobody wants any more, so that the caller gets to read its answer. Not
    /// where it still waits for a word before it sends anything.
    fn drop(&mut self) {
        let Some(mut source) = self.source.take().filter(|_| !self.unasked) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(tokio::time::timeout(LINGER, async move {
            while let Some(Ok(_)) = poll_fn(|context| Pin::new(&mut source).poll_frame(context)).await {}
        }));
    }
}
