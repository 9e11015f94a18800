//! Bodies of answers: all of one, or half of it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame};

/// How much of an answer is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    #[default]
    All,
    /// The first half; then the connection is closed.
    HalfThenEnd,
    /// The first half; then the connection stays open and silent.
    HalfThenNothing,
}

/// A body, on its way.
#[derive(Debug, Default)]
pub(crate) struct Payload {
    body: Option<Bytes>,
    part: Part,
    flushed: bool,
}

impl Payload {
    pub(crate) fn new(body: Vec<u8>, part: Part) -> Self {
        let mut body = Bytes::from(body);
        if part != Part::All {
            body.truncate(body.len() / 2);
        }
        Self { body: Some(body), part, flushed: false }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(body) = self.body.take() {
            return Poll::Ready(Some(Ok(Frame::data(body))));
        }
        match self.part {
            Part::All => Poll::Ready(None),
            // Whoever drops the connection drops this.
            Part::HalfThenNothing => Poll::Pending,
            Part::HalfThenEnd if !self.flushed => {
                // One turn of waiting lets the half that was given reach the socket.
                self.flushed = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Part::HalfThenEnd => {
                let cut = io::Error::new(io::ErrorKind::ConnectionAborted, "cut by a fault");
                Poll::Ready(Some(Err(cut)))
            }
        }
    }
}
