//! The accept loop shared by servers on tokio, and the stream that counts wire bytes.
//!
//! Each server thread runs a current-thread tokio runtime over its own listening socket, so that no request ever
//! crosses threads. Protocols are not handled here. Read `http.rs` next for a handler.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;

use crate::tls::Identity;
use crate::{Counts, Running, ServeError, Startup, Stop};

/// Pause before accepting again when the process is out of descriptors; without it the loop would spin on the error.
const ACCEPT_RETRY: Duration = Duration::from_millis(10);

/// Serves each listener of `startup` on its own thread, calling `handle` for every accepted connection.
///
/// A connection is over when its future ends; the stop signal drops those still open.
pub fn serve_connections<H, F>(
    server: &'static str,
    startup: Startup,
    handle: H,
) -> Result<Running, ServeError>
where
    H: Fn(CountedStream) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let started = ServeError::start(server);
    let mut threads = Vec::with_capacity(startup.listeners.len());
    for (index, listener) in startup.listeners.into_iter().enumerate() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(&started)?;
        let (counts, stop, handle) = (startup.counts.clone(), startup.stop.clone(), handle.clone());
        let identity = startup.identity.clone();
        let listener = {
            let _reactor = runtime.enter();
            TcpListener::from_std(listener).map_err(&started)?
        };
        let thread = thread::Builder::new()
            .name(format!("{server}-{index}"))
            .spawn(move || {
                runtime.block_on(accept_until_stopped(
                    listener, counts, identity, stop, handle,
                ))
            })
            .map_err(&started)?;
        threads.push(thread);
    }
    Ok(Running { threads })
}

async fn accept_until_stopped<H, F>(
    listener: TcpListener,
    counts: Arc<Counts>,
    identity: Option<Identity>,
    mut stop: Stop,
    handle: H,
) where
    H: Fn(CountedStream) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    tokio::select! {
        () = stop.stopped() => (),
        () = accept_forever(listener, counts, identity, handle) => (),
    }
}

/// Calls `handle` for every new connection, after the TLS handshake if there is an `identity`; errors from accept never
/// stop it.
pub(crate) async fn accept_forever<H, F>(
    listener: TcpListener,
    counts: Arc<Counts>,
    identity: Option<Identity>,
    handle: H,
) where
    H: Fn(CountedStream) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Inherited on Linux; elsewhere it has to be set. An error means that the peer is already gone.
                let _ = stream.set_nodelay(true);
                let stream = CountedStream::new(stream, counts.clone());
                match identity.clone() {
                    None => drop(tokio::spawn(handle(stream))),
                    Some(identity) => {
                        let handle = handle.clone();
                        // A failed handshake was answered with an alert.
                        tokio::spawn(async move {
                            if let Ok(stream) = stream.secure(&identity).await {
                                handle(stream).await;
                            }
                        });
                    }
                }
            }
            Err(error) if is_about_one_connection(&error) => (),
            Err(_) => tokio::time::sleep(ACCEPT_RETRY).await,
        }
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

/// An accepted connection that is counted as open, with its bytes on the wire: ciphertext, with TLS.
#[derive(Debug)]
pub struct CountedStream {
    transport: Transport,
    /// Bytes to be read again.
    unread: Bytes,
}

#[derive(Debug)]
enum Transport {
    Plain(CountedTcp),
    Tls(Box<TlsStream<CountedTcp>>),
}

impl CountedStream {
    fn over(transport: Transport) -> Self {
        Self {
            transport,
            unread: Bytes::new(),
        }
    }

    /// The same connection, from which `unread` is read first.
    pub fn with_unread(self, unread: Bytes) -> Self {
        Self { unread, ..self }
    }

    /// Counts `stream` as accepted and open, until it is dropped.
    pub fn new(stream: TcpStream, counts: Arc<Counts>) -> Self {
        Self::over(Transport::Plain(CountedTcp::new(stream, counts)))
    }

    /// The same connection after the TLS handshake.
    pub async fn secure(self, identity: &Identity) -> io::Result<Self> {
        match self.transport {
            Transport::Plain(stream) => {
                let stream = identity.acceptor().accept(stream).await?;
                Ok(Self::over(Transport::Tls(Box::new(stream))))
            }
            secured @ Transport::Tls(_) => Ok(Self::over(secured)),
        }
    }

    /// The socket itself, for options and addresses; bytes transferred through it directly are not counted.
    pub fn socket(&self) -> &TcpStream {
        match &self.transport {
            Transport::Plain(stream) => &stream.stream,
            Transport::Tls(stream) => &stream.get_ref().0.stream,
        }
    }
}

impl AsyncRead for CountedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.unread.is_empty() {
            let count = this.unread.len().min(buffer.remaining());
            buffer.put_slice(&this.unread.split_to(count));
            return Poll::Ready(Ok(()));
        }
        match &mut this.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for CountedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, data),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, data),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// A socket that counts bytes.
#[derive(Debug)]
struct CountedTcp {
    stream: TcpStream,
    counts: Arc<Counts>,
    /// Buffer for joining the pieces of a small response; not allocated before the first one.
    joined: Vec<u8>,
}

/// Pieces up to this total length are copied and sent as one: `sendto` of one buffer takes the kernel less time than
/// `writev` of two, by about 2 % for a small response. Longer ones are cheaper without copying.
const LONGEST_JOINED_BYTES: usize = 4096;

impl CountedTcp {
    fn new(stream: TcpStream, counts: Arc<Counts>) -> Self {
        counts.connections.fetch_add(1, Relaxed);
        counts.open_connections.fetch_add(1, Relaxed);
        CountedTcp {
            stream,
            counts,
            joined: Vec::new(),
        }
    }

    fn count_beforehand(&self, asked_bytes: usize) -> CountedBeforehand {
        self.counts.bytes_out.fetch_add(asked_bytes as u64, Relaxed);
        CountedBeforehand { asked_bytes }
    }
}

impl Drop for CountedTcp {
    fn drop(&mut self) {
        self.counts.open_connections.fetch_sub(1, Relaxed);
    }
}

impl AsyncRead for CountedTcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let read = buffer.filled().len() - before;
        if read > 0 {
            self.counts.bytes_in.fetch_add(read as u64, Relaxed);
        }
        polled
    }
}

impl AsyncWrite for CountedTcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let counted = self.count_beforehand(data.len());
        let polled = Pin::new(&mut self.stream).poll_write(cx, data);
        counted.settle(&self.counts, &polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let length = slices.iter().map(|slice| slice.len()).sum::<usize>();
        let counted = this.count_beforehand(length);
        let polled = if length <= LONGEST_JOINED_BYTES {
            this.joined.clear();
            slices
                .iter()
                .for_each(|slice| this.joined.extend_from_slice(slice));
            Pin::new(&mut this.stream).poll_write(cx, &this.joined)
        } else {
            Pin::new(&mut this.stream).poll_write_vectored(cx, slices)
        };
        counted.settle(&this.counts, &polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Bytes counted as written before the write.
///
/// If they were counted afterwards, a client could have the whole response, and the counts could be requested, before
/// its last bytes were counted. This way the count is exact as soon as a client has everything that it will get.
struct CountedBeforehand {
    asked_bytes: usize,
}

impl CountedBeforehand {
    /// Subtracts the bytes that were not written.
    fn settle(self, counts: &Counts, polled: &Poll<io::Result<usize>>) {
        let written_bytes = match polled {
            Poll::Ready(Ok(written)) => *written,
            Poll::Ready(Err(_)) | Poll::Pending => 0,
        };
        if written_bytes < self.asked_bytes {
            counts
                .bytes_out
                .fetch_sub((self.asked_bytes - written_bytes) as u64, Relaxed);
        }
    }
}
