//! A body that tells when it is written to the connection: the moment at which the server is about to count the call.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::sys::cancel::{Cancel, TurnOver};

/// What is called when a request is written.
pub(in crate::connect) type OnWritten = Box<dyn FnOnce() + Send + Sync>;

/// The body of a request. A connection asks for it once it is open and takes the request.
pub(super) struct WrittenBody {
    bytes: Option<Bytes>,
    on_written: Option<OnWritten>,
    cancel: Cancel,
}

impl WrittenBody {
    /// A body, what is called when it is written, and what tells whether it still may be.
    pub(super) fn new(bytes: Bytes, on_written: OnWritten, cancel: Cancel) -> Self {
        Self { bytes: Some(bytes), on_written: Some(on_written), cancel }
    }
}

impl Body for WrittenBody {
    type Data = Bytes;
    type Error = TurnOver;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, TurnOver>>> {
        // A process may have been stopped since the request was let through: a call without its body has no effect.
        if let Err(over) = self.cancel.pass() {
            return Poll::Ready(Some(Err(over)));
        }
        // Once only: a connection may ask again for the rest of a body.
        if let Some(on_written) = self.on_written.take() {
            on_written();
        }
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    // A client may skip the last question to a body that says it is at its end.
    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        // With an exact length the request has a Content-Length; without it, it would go in chunks.
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
