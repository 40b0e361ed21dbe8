//! Two byte queues in place of a socket, shared by the client and the connection inside h2.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use photofinish_harness::buffer::Buffer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Maximum number of encoded bytes that wait to be sent, so that a large body is never in memory twice.
const MOST_OUTPUT: usize = 256 * 1024;

#[derive(Debug, Default)]
pub(super) struct Queues {
    pub(super) input: Buffer,
    /// True if no more input will follow.
    pub(super) is_ended: bool,
    pub(super) output: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Pipe(Arc<Mutex<Queues>>);

impl Pipe {
    pub(super) fn queues(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// True if [`MOST_OUTPUT`] may be holding output back.
pub(super) fn is_full(output: &[u8]) -> bool {
    output.len() >= MOST_OUTPUT
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut queues = self.queues();
        let unread = queues.input.unread();
        if unread.is_empty() {
            return if queues.is_ended {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            };
        }
        let count = unread.len().min(into.remaining());
        into.put_slice(&unread[..count]);
        queues.input.consume(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let output = &mut self.queues().output;
        if is_full(output) {
            return Poll::Pending;
        }
        output.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
