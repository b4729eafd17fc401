//! An answer on its way to the caller, under its watch.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{End, Watch};
use crate::metrics::Streaming;

/// A watch that ends exactly once: where nothing else ended it, the caller is gone.
pub(super) struct Guard<W: Watch>(Option<W>);

impl<W: Watch> Guard<W> {
    pub(super) fn new(watch: W) -> Self {
        Self(Some(watch))
    }

    pub(super) fn response(&mut self, status: StatusCode, headers: &HeaderMap) {
        if let Some(watch) = &mut self.0 {
            watch.response(status, headers);
        }
    }

    pub(super) fn end(&mut self, end: End) {
        if let Some(watch) = self.0.take() {
            watch.end(end);
        }
    }
}

impl<W: Watch> Drop for Guard<W> {
    fn drop(&mut self) {
        self.end(End::ClientGone);
    }
}

/// `RAGFlow`'s body, frame by frame as it comes.
pub(crate) struct Watched<W: Watch> {
    body: Incoming,
    guard: Guard<W>,
    streaming: Streaming,
}

impl<W: Watch> Watched<W> {
    pub(super) fn new(body: Incoming, mut guard: Guard<W>, streaming: Streaming) -> Self {
        // Of an empty body, nobody asks for the end.
        if body.is_end_stream() {
            guard.end(End::Complete);
        }
        Self { body, guard, streaming }
    }
}

impl<W: Watch> Body for Watched<W> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            None => self.guard.end(End::Complete),
            Some(Err(_)) => self.guard.end(End::UpstreamFailed),
            Some(Ok(frame)) => {
                if let Some(chunk) = frame.data_ref() {
                    self.streaming.0.sent(chunk.len());
                    if let Some(watch) = &mut self.guard.0 {
                        watch.data(chunk);
                    }
                }
                // After the last byte that was announced, nobody asks for the end either.
                if self.body.is_end_stream() {
                    self.guard.end(End::Complete);
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
