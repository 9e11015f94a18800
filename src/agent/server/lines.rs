//! What a peer says, line by line.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use crate::ipc::LONGEST_REQUEST;

/// A peer's lines.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    /// A line whose end has not come yet.
    begun: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader: BufReader::new(reader), begun: Vec::new() }
    }

    /// Reads a line of at most [`LONGEST_REQUEST`] bytes; `None` where the peer has hung up.
    ///
    /// Whoever stops waiting loses nothing: what has come is part of the next line.
    pub(super) async fn next(&mut self) -> io::Result<Option<String>> {
        loop {
            let chunk = self.reader.fill_buf().await?;
            if chunk.is_empty() {
                return Ok(None);
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(chunk.len(), |end| end + 1);
            self.begun.extend_from_slice(&chunk[..taken]);
            self.reader.consume(taken);
            if LONGEST_REQUEST < self.begun.len() {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            if end.is_some() {
                return String::from_utf8(std::mem::take(&mut self.begun))
                    .map(Some)
                    .map_err(|_| io::ErrorKind::InvalidData.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn who_stops_waiting_loses_nothing() {
        let (mut peer, ours) = tokio::io::duplex(64);
        let mut lines = Lines::new(ours);
        peer.write_all(b"one\ntw").await.unwrap();
        assert_eq!(lines.next().await.unwrap().as_deref(), Some("one\n"));
        {
            let mut next = std::pin::pin!(lines.next());
            std::future::poll_fn(|context| {
                assert!(next.as_mut().poll(context).is_pending());
                Poll::Ready(())
            })
            .await;
        }
        peer.write_all(b"o\nthree").await.unwrap();
        drop(peer);
        assert_eq!(lines.next().await.unwrap().as_deref(), Some("two\n"));
        assert_eq!(lines.next().await.unwrap(), None);
    }
}
