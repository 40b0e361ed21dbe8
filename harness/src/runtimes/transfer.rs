//! The parts of a stream that runtimes share: moving bytes both ways without blocking, and a look at an idle
//! connection.
//!
//! Only large requests are moved this way; each runtime has its own `write_all` and `read`.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::Poll;

use futures_lite::{AsyncRead, AsyncWrite};
use nix::libc::{MSG_DONTWAIT, MSG_PEEK};
use socket2::SockRef;

use crate::buffer::Buffer;
use crate::runtime::Moved;

/// [`Stream::transfer`](crate::runtime::Stream::transfer) of a stream with the I/O traits of `futures`.
pub(super) async fn poll_both<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    bytes: &[u8],
    buffer: &mut Buffer,
) -> io::Result<Moved> {
    poll_fn(|context| {
        if let Poll::Ready(count) = Pin::new(&mut *stream).poll_write(context, bytes) {
            return Poll::Ready(count.map(Moved::Written));
        }
        let read = Pin::new(&mut *stream).poll_read(context, buffer.spare());
        read.map_ok(|count| committed(buffer, count))
    })
    .await
}

/// `count` bytes of the buffer's spare room as read.
pub(super) fn committed(buffer: &mut Buffer, count: usize) -> Moved {
    buffer.commit(count);
    Moved::Read(count)
}

/// Writes what the peer takes at once, also to a blocking socket.
pub(super) fn write_now(socket: &impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    SockRef::from(socket).send_with_flags(bytes, MSG_DONTWAIT)
}

/// Reads into the buffer's spare room what is there, also from a blocking socket; returns the number of bytes.
#[cfg(feature = "uring")]
pub(super) fn read_now(socket: &impl AsFd, buffer: &mut Buffer) -> io::Result<usize> {
    let flags = rustix::net::RecvFlags::DONTWAIT;
    let (count, _) = rustix::net::recv(socket, buffer.spare(), flags)?;
    Ok(count)
}

/// [`Stream::is_stale`](crate::runtime::Stream::is_stale) of any socket.
pub(super) fn is_stale(socket: &impl AsFd) -> bool {
    let mut byte = [MaybeUninit::uninit()];
    let peeked = SockRef::from(socket).recv_with_flags(&mut byte, MSG_PEEK | MSG_DONTWAIT);
    peeked.map_or_else(|error| error.kind() != io::ErrorKind::WouldBlock, |_| true)
}
