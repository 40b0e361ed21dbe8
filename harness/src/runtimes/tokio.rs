//! `tokio`: tasks on its multi-thread scheduler, and everything that `tokio-current-thread` shares with it.
//!
//! tokio's own net, fs, time and sync throughout. Its file operations run on its blocking pool and its timer ticks in
//! milliseconds: its users get both, so both are measured.

use photofinish_record::{PeerAddress, RuntimeFamily};
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt as _, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Mutex, OwnedSemaphorePermit, mpsc};

use super::socket::connect_when_room;
use super::transfer;
use crate::buffer::Buffer;
use crate::runtime::{
    Closed, Descriptor, Elapsed, File, Listener, Moved, OpenMode, Receiver, Runtime, RuntimeConfig,
    Semaphore, Sender, StartError, Stream, SystemCalls, Task, TaskError,
};

pub(super) static DESCRIPTOR: Descriptor = Descriptor {
    name: "tokio",
    summary: "a task per session on the multi-thread scheduler",
    note: None,
    family: RuntimeFamily::Async,
    queues_before_service: false,
    takes_worker_threads: true,
    cannot: &[],
    system_calls: SystemCalls::EDGE_TRIGGERED,
};

pub(super) fn start(config: RuntimeConfig) -> Result<Tokio, StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.worker_threads.get() as usize)
        .enable_all()
        .build()
        .map_err(StartError::System)?;
    Ok(Tokio::new(runtime, config.worker_threads))
}

/// A tokio runtime of either flavour.
#[derive(Clone)]
pub(super) struct Tokio {
    owner: Arc<Owner>,
    worker_threads: NonZeroU32,
}

/// Ends the runtime without waiting when the last handle is dropped: that may happen on one of its own threads, where
/// waiting is not allowed.
struct Owner {
    runtime: Option<tokio::runtime::Runtime>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Tokio {
    pub(super) fn new(runtime: tokio::runtime::Runtime, worker_threads: NonZeroU32) -> Self {
        let runtime = Some(runtime);
        Self {
            owner: Arc::new(Owner { runtime }),
            worker_threads,
        }
    }

    fn runtime(&self) -> &tokio::runtime::Runtime {
        self.owner
            .runtime
            .as_ref()
            .expect("it is there until the last handle goes")
    }
}

/// A connection of either kind.
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    fn without_delay(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        spare: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_read(context, spare),
            Self::Unix(socket) => Pin::new(socket).poll_read(context, spare),
        }
    }
}

impl AsyncWrite for Socket {
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

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_shutdown(context),
            Self::Unix(socket) => Pin::new(socket).poll_shutdown(context),
        }
    }
}

impl Stream for Socket {
    async fn read(&mut self, buffer: &mut Buffer) -> io::Result<usize> {
        let count = AsyncReadExt::read(self, buffer.spare()).await?;
        buffer.commit(count);
        Ok(count)
    }

    async fn write_all(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        AsyncWriteExt::write_all(self, bytes).await
    }

    async fn transfer(&mut self, bytes: &[u8], buffer: &mut Buffer) -> io::Result<Moved> {
        poll_fn(|context| {
            if let Poll::Ready(count) = Pin::new(&mut *self).poll_write(context, bytes) {
                return Poll::Ready(count.map(Moved::Written));
            }
            let mut spare = ReadBuf::new(buffer.spare());
            let read = Pin::new(&mut *self).poll_read(context, &mut spare);
            let count = spare.filled().len();
            read.map_ok(|()| transfer::committed(buffer, count))
        })
        .await
    }

    fn is_stale(&self) -> bool {
        transfer::is_stale(self)
    }
}

impl Listener<Socket> for TcpListener {
    async fn accept(&mut self) -> io::Result<Socket> {
        let (stream, _) = TcpListener::accept(self).await?;
        Socket::without_delay(stream)
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }
}

impl File for tokio::fs::File {
    async fn read_at(&mut self, offset: u64, length: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
        bytes.resize(length, 0);
        self.seek(io::SeekFrom::Start(offset)).await?;
        self.read_exact(bytes).await?;
        Ok(())
    }

    async fn write_all(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        AsyncWriteExt::write_all(self, bytes).await?;
        // Without the flush the last write may still be on its way to the blocking pool.
        self.flush().await
    }

    async fn sync_all(&mut self) -> io::Result<()> {
        tokio::fs::File::sync_all(self).await
    }
}

impl<T: Send + 'static> Task<T> for tokio::task::JoinHandle<T> {
    async fn join(self) -> Result<T, TaskError> {
        self.await.map_err(task_error)
    }

    async fn cancel(self) -> Option<T> {
        self.abort();
        self.await.ok()
    }
}

fn task_error(error: tokio::task::JoinError) -> TaskError {
    match error.try_into_panic() {
        Ok(payload) => TaskError::Panicked(super::panics::message(&*payload)),
        Err(_) => TaskError::Cancelled,
    }
}

impl<T: Send + 'static> Sender<T> for mpsc::Sender<T> {
    async fn send(&self, item: T) -> Result<(), Closed> {
        mpsc::Sender::send(self, item).await.map_err(|_| Closed)
    }
}

/// tokio's channel has one consumer; its users share that behind a mutex.
pub(super) struct SharedReceiver<T>(Arc<Mutex<mpsc::Receiver<T>>>);

impl<T> Clone for SharedReceiver<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Send + 'static> Receiver<T> for SharedReceiver<T> {
    async fn receive(&self) -> Option<T> {
        self.0.lock().await.recv().await
    }
}

impl Semaphore for Arc<tokio::sync::Semaphore> {
    type Permit = OwnedSemaphorePermit;

    async fn acquire(&self) -> OwnedSemaphorePermit {
        Arc::clone(self)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed")
    }
}

impl Runtime for Tokio {
    type Stream = Socket;
    type Listener = TcpListener;
    type File = tokio::fs::File;
    type Task<T: Send + 'static> = tokio::task::JoinHandle<T>;
    type Sender<T: Send + 'static> = mpsc::Sender<T>;
    type Receiver<T: Send + 'static> = SharedReceiver<T>;
    type Semaphore = Arc<tokio::sync::Semaphore>;

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime().block_on(future)
    }

    fn worker_threads(&self, _: NonZeroU32) -> u32 {
        self.worker_threads.get()
    }

    async fn connect(&self, address: &PeerAddress) -> io::Result<Socket> {
        match address {
            PeerAddress::Tcp(address) => Socket::without_delay(TcpStream::connect(address).await?),
            PeerAddress::Unix(path) => connect_when_room(self, || UnixStream::connect(path))
                .await
                .map(Socket::Unix),
        }
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::from_std(super::listen::listener(address, true)?)
    }

    async fn open(&self, path: &Path, mode: OpenMode) -> io::Result<tokio::fs::File> {
        let mut options = tokio::fs::OpenOptions::new();
        match mode {
            OpenMode::Read => options.read(true),
            OpenMode::Create => options.write(true).create(true).truncate(true),
            OpenMode::Append => options.append(true).create(true),
        };
        options.open(path).await
    }

    async fn read_file(&self, path: &Path, contents: &mut Vec<u8>) -> io::Result<()> {
        *contents = tokio::fs::read(path).await?;
        Ok(())
    }

    async fn list_directory(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut entries = tokio::fs::read_dir(path).await?;
        let mut paths = Vec::new();
        while let Some(entry) = entries.next_entry().await? {
            paths.push(entry.path());
        }
        Ok(paths)
    }

    async fn sleep_until(&self, due: Instant) {
        tokio::time::sleep_until(due.into()).await;
    }

    async fn timeout<F>(&self, limit: Duration, future: F) -> Result<F::Output, Elapsed>
    where
        F: Future + Send,
        F::Output: Send,
    {
        tokio::time::timeout(limit, future)
            .await
            .map_err(|_| Elapsed)
    }

    fn spawn<F>(&self, future: F) -> Self::Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.runtime().spawn(future)
    }

    async fn offload<T, W>(&self, work: W) -> Result<T, TaskError>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        self.runtime()
            .spawn_blocking(work)
            .await
            .map_err(task_error)
    }

    fn channel<T: Send + 'static>(
        &self,
        capacity: NonZeroU32,
    ) -> (Self::Sender<T>, Self::Receiver<T>) {
        let (sender, receiver) = mpsc::channel(capacity.get() as usize);
        (sender, SharedReceiver(Arc::new(Mutex::new(receiver))))
    }

    fn semaphore(&self, permits: NonZeroU32) -> Self::Semaphore {
        Arc::new(tokio::sync::Semaphore::new(permits.get() as usize))
    }
}
