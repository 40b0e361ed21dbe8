//! A stream that is one of two kinds of socket, for runtimes whose sockets have the I/O traits of `futures`, and
//! connecting to a Unix socket whose backlog is full.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_lite::{AsyncRead, AsyncWrite};

use super::transfer;
use crate::buffer::Buffer;
use crate::runtime::{Moved, Runtime, Stream};

/// A connection of either kind.
pub(super) enum Socket<T, U> {
    Tcp(T),
    Unix(U),
}

impl<T: AsyncRead + Unpin, U: AsyncRead + Unpin> AsyncRead for Socket<T, U> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_read(context, bytes),
            Self::Unix(socket) => Pin::new(socket).poll_read(context, bytes),
        }
    }
}

impl<T: AsyncWrite + Unpin, U: AsyncWrite + Unpin> AsyncWrite for Socket<T, U> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_write(context, bytes),
            Self::Unix(socket) => Pin::new(socket).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_flush(context),
            Self::Unix(socket) => Pin::new(socket).poll_flush(context),
        }
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_close(context),
            Self::Unix(socket) => Pin::new(socket).poll_close(context),
        }
    }
}

impl<T: AsFd, U: AsFd> AsFd for Socket<T, U> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

impl<T, U> Stream for Socket<T, U>
where
    T: AsyncRead + AsyncWrite + AsFd + Unpin + Send + 'static,
    U: AsyncRead + AsyncWrite + AsFd + Unpin + Send + 'static,
{
    async fn read(&mut self, buffer: &mut Buffer) -> io::Result<usize> {
        let count = futures_lite::AsyncReadExt::read(self, buffer.spare()).await?;
        buffer.commit(count);
        Ok(count)
    }

    async fn write_all(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        futures_lite::AsyncWriteExt::write_all(self, bytes).await
    }

    async fn transfer(&mut self, bytes: &[u8], buffer: &mut Buffer) -> io::Result<Moved> {
        transfer::poll_both(self, bytes, buffer).await
    }

    fn is_stale(&self) -> bool {
        transfer::is_stale(self)
    }
}

/// Pause before connecting again to a Unix socket that refused because its backlog was full.
const PAUSE: Duration = Duration::from_millis(1);

/// Connects to a Unix socket, retrying while its backlog is full: a blocking `connect` waits for room, a
/// non-blocking one fails at once, and no event says when there is room. Ends with the caller's deadline.
pub(super) async fn connect_when_room<R, S, F>(
    runtime: &R,
    connect: impl Fn() -> F + Send,
) -> io::Result<S>
where
    R: Runtime,
    S: Send,
    F: Future<Output = io::Result<S>> + Send,
{
    // `async-io` mistakes the refusal for a connection in progress, and then finds none.
    let full = |error: &io::Error| {
        matches!(
            error.kind(),
            io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected
        )
    };
    loop {
        match connect().await {
            Err(error) if full(&error) => {
                runtime.sleep_until(Instant::now() + PAUSE).await;
            }
            connected => return connected,
        }
    }
}
