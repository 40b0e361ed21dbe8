//! `compio`: tasks on a thread-per-core runtime over io_uring, behind the cargo feature of the same name; and the same over
//! epoll, as `compio-epoll`, which shows what io_uring alone is worth.
//!
//! Its futures, sockets and files belong to the thread that started it; `send_wrapper` carries them through a trait
//! whose futures are `Send`, and panics if they ever run elsewhere. In this version that is one thread, the one that
//! blocks on the runtime: all sessions run there. The kernel owns a buffer while it fills it, so buffers are lent and
//! given back. compio has neither a channel nor a semaphore, so those are the ones its users take (`async-channel`,
//! `async-lock`).

use photofinish_record::{PeerAddress, RuntimeFamily};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use compio::BufResult;
use compio::buf::{IntoInner as _, IoBuf as _};
use compio::driver::{DriverType, ProactorBuilder};
use compio::io::{AsyncRead as _, AsyncReadAt as _, AsyncWriteAtExt as _, AsyncWriteExt as _};
use compio::net::{TcpListener, TcpStream, UnixStream};
use compio::runtime::fd::PollFd;
use compio::runtime::{JoinError, JoinHandle};
use futures_lite::future::yield_now;
use nix::fcntl::OFlag;
use send_wrapper::SendWrapper;
use socket2::SockRef;

use super::ring_flags::{RingFlags, built};
use super::socket::connect_when_room;
use super::transfer;
use crate::buffer::Buffer;
use crate::runtime::{
    Descriptor, Elapsed, Moved, OpenMode, Runtime, RuntimeConfig, StartError, SystemCalls, Task,
    TaskError,
};

pub(super) static DESCRIPTOR: Descriptor = Descriptor {
    name: "compio",
    summary: "a task per session, all on one thread over io_uring",
    note: None,
    family: RuntimeFamily::Async,
    queues_before_service: false,
    takes_worker_threads: false,
    cannot: &[],
    system_calls: SystemCalls {
        per_request: "2/k",
        reason: "one io_uring_enter sends k requests, and the next one receives, since a session waits for the first",
    },
};

/// Longer than any process runs: compio adds a limit to the current time, and the longest limits would overflow.
const LONGEST_LIMIT: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

pub(super) fn start(_: RuntimeConfig) -> Result<Compio, StartError> {
    let (runtime, flags) = built(&RingFlags::PREFERRED, |flags| {
        let mut driver = ProactorBuilder::new();
        driver
            .driver_type(DriverType::IoUring)
            .single_issuer(flags.defer_taskrun)
            .defer_taskrun(flags.defer_taskrun)
            .coop_taskrun(flags.coop_taskrun)
            // The ring flags pending completions, so polling needs no system call.
            .taskrun_flag(flags.coop_taskrun);
        over(&driver)
    })?;
    // Without io_uring compio may silently fall back to polling, and that would be a different runtime.
    if !runtime.driver_type().is_iouring() {
        let driver = runtime.driver_type();
        let reason = format!("it needs io_uring, and fell back to {driver:?}");
        return Err(StartError::Unsupported(reason));
    }
    Ok(Compio::new(
        runtime,
        [("driver", "io_uring"), ("ring_flags", flags.names())],
    ))
}

/// Starts the runtime over epoll.
pub(super) fn start_over_epoll() -> Result<Compio, StartError> {
    let mut driver = ProactorBuilder::new();
    driver.driver_type(DriverType::Poll);
    let runtime = over(&driver).map_err(StartError::System)?;
    Ok(Compio::new(runtime, [("driver", "epoll")]))
}

fn over(driver: &ProactorBuilder) -> io::Result<compio::runtime::Runtime> {
    compio::runtime::RuntimeBuilder::new()
        .with_proactor(driver.clone())
        .build()
}

#[derive(Clone)]
pub(super) struct Compio {
    runtime: Arc<SendWrapper<compio::runtime::Runtime>>,
    facts: BTreeMap<String, String>,
}

impl Compio {
    fn new<const N: usize>(runtime: compio::runtime::Runtime, facts: [(&str, &str); N]) -> Self {
        let owned = facts.map(|(name, fact)| (name.to_owned(), fact.to_owned()));
        Self {
            runtime: Arc::new(SendWrapper::new(runtime)),
            facts: owned.into(),
        }
    }
}

pub(super) struct Stream(SendWrapper<Socket>);

/// A connection of either kind.
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn without_delay(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self(SendWrapper::new(Socket::Tcp(stream))))
    }
}

impl Socket {
    fn to_poll_fd(&self) -> io::Result<PollFd<socket2::Socket>> {
        match self {
            Self::Tcp(socket) => socket.to_poll_fd(),
            Self::Unix(socket) => socket.to_poll_fd(),
        }
    }
}

impl crate::runtime::Stream for Stream {
    fn read(&mut self, buffer: &mut Buffer) -> impl Future<Output = io::Result<usize>> + Send {
        SendWrapper::new(async move {
            let (storage, offset) = buffer.lend();
            let spare = storage.slice(offset..);
            let BufResult(result, filled) = match &mut *self.0 {
                Socket::Tcp(socket) => socket.read(spare).await,
                Socket::Unix(socket) => socket.read(spare).await,
            };
            let count = *result.as_ref().unwrap_or(&0);
            buffer.give_back(filled.into_inner(), count);
            result
        })
    }

    fn write_all(&mut self, bytes: &mut Vec<u8>) -> impl Future<Output = io::Result<()>> + Send {
        SendWrapper::new(async move {
            let lent = std::mem::take(bytes);
            let BufResult(result, written) = match &mut *self.0 {
                Socket::Tcp(socket) => socket.write_all(lent).await,
                Socket::Unix(socket) => socket.write_all(lent).await,
            };
            *bytes = written;
            result
        })
    }

    /// Uses readiness: a submitted kernel operation that loses a race could not be undone.
    fn transfer(
        &mut self,
        bytes: &[u8],
        buffer: &mut Buffer,
    ) -> impl Future<Output = io::Result<Moved>> + Send {
        SendWrapper::new(async move {
            let socket = self.0.to_poll_fd()?;
            poll_fn(|context| {
                let write = |socket: &_| transfer::write_now(socket, bytes);
                if let Poll::Ready(count) = socket.poll_write_with(context, write) {
                    return Poll::Ready(count.map(Moved::Written));
                }
                // Only once it is ready: the socket may be a blocking one.
                ready!(socket.poll_read_ready(context))?;
                let count = (&*SockRef::from(&*socket)).read(buffer.spare())?;
                Poll::Ready(Ok(transfer::committed(buffer, count)))
            })
            .await
        })
    }

    fn is_stale(&self) -> bool {
        self.0
            .to_poll_fd()
            .is_ok_and(|socket| transfer::is_stale(&*socket))
    }
}

pub(super) struct Listener(SendWrapper<TcpListener>);

impl crate::runtime::Listener<Stream> for Listener {
    fn accept(&mut self) -> impl Future<Output = io::Result<Stream>> + Send {
        SendWrapper::new(async move {
            let (stream, _) = self.0.accept().await?;
            Stream::without_delay(stream)
        })
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

pub(super) struct File {
    file: SendWrapper<compio::fs::File>,
    /// Offset of the next write; for a file opened to append, the kernel chooses it.
    position: u64,
}

impl crate::runtime::File for File {
    fn read_at(
        &mut self,
        offset: u64,
        length: usize,
        bytes: &mut Vec<u8>,
    ) -> impl Future<Output = io::Result<()>> + Send {
        SendWrapper::new(async move {
            bytes.resize(length, 0);
            let mut filled = 0;
            while filled < length {
                let missing = std::mem::take(bytes).slice(filled..length);
                let position = offset + filled as u64;
                let BufResult(result, read) = self.file.read_at(missing, position).await;
                *bytes = read.into_inner();
                match result? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    count => filled += count,
                }
            }
            Ok(())
        })
    }

    fn write_all(&mut self, bytes: &mut Vec<u8>) -> impl Future<Output = io::Result<()>> + Send {
        SendWrapper::new(async move {
            let bytes_to_write = std::mem::take(bytes);
            let mut file = &*self.file;
            let BufResult(result, written) = file.write_all_at(bytes_to_write, self.position).await;
            *bytes = written;
            result?;
            self.position += bytes.len() as u64;
            Ok(())
        })
    }

    fn sync_all(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        SendWrapper::new(async move { self.file.sync_all().await })
    }
}

/// A task that keeps running when its handle is dropped: compio's own would be cancelled.
pub(super) struct Spawned<T> {
    task: Option<JoinHandle<T>>,
    /// Upgrades as long as the future exists.
    future: Weak<()>,
}

impl<T> Drop for Spawned<T> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.detach();
        }
    }
}

impl<T: Send + 'static> Task<T> for Spawned<T> {
    async fn join(mut self) -> Result<T, TaskError> {
        // Awaited in place, so that dropping the join leaves the task running.
        let task = self.task.as_mut().expect("it is there until dropped");
        task.await.map_err(task_error)
    }

    async fn cancel(mut self) -> Option<T> {
        let task = self.task.take().expect("a handle is used once");
        let result = task.cancel().await;
        // compio answers at once, and drops the future in a later turn of the executor.
        while self.future.strong_count() > 0 {
            yield_now().await;
        }
        result
    }
}

fn task_error(error: JoinError) -> TaskError {
    match error {
        JoinError::Panicked(payload) => TaskError::Panicked(super::panics::message(&*payload)),
        JoinError::Cancelled => TaskError::Cancelled,
    }
}

impl Runtime for Compio {
    type Stream = Stream;
    type Listener = Listener;
    type File = File;
    type Task<T: Send + 'static> = Spawned<T>;
    type Sender<T: Send + 'static> = async_channel::Sender<T>;
    type Receiver<T: Send + 'static> = async_channel::Receiver<T>;
    type Semaphore = Arc<async_lock::Semaphore>;

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    fn worker_threads(&self, _: NonZeroU32) -> u32 {
        1
    }

    fn facts(&self) -> BTreeMap<String, String> {
        self.facts.clone()
    }

    fn connect(&self, address: &PeerAddress) -> impl Future<Output = io::Result<Stream>> + Send {
        SendWrapper::new(async move {
            match address {
                PeerAddress::Tcp(address) => {
                    Stream::without_delay(TcpStream::connect(*address).await?)
                }
                PeerAddress::Unix(path) => {
                    let connect = || async {
                        let stream = UnixStream::connect(path).await?;
                        stream.peer_addr()?; // Over epoll compio takes a full backlog for a connection.
                        Ok(Stream(SendWrapper::new(Socket::Unix(stream))))
                    };
                    connect_when_room(self, || SendWrapper::new(connect())).await
                }
            }
        })
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<Listener> {
        let listener = TcpListener::from_std(super::listen::listener(address, false)?)?;
        Ok(Listener(SendWrapper::new(listener)))
    }

    fn open(&self, path: &Path, mode: OpenMode) -> impl Future<Output = io::Result<File>> + Send {
        SendWrapper::new(async move {
            let mut options = compio::fs::OpenOptions::new();
            match mode {
                OpenMode::Read => options.read(true),
                OpenMode::Create => options.write(true).create(true).truncate(true),
                OpenMode::Append => options
                    .write(true)
                    .create(true)
                    .custom_flags(OFlag::O_APPEND.bits()),
            };
            Ok(File {
                file: SendWrapper::new(options.open(path).await?),
                position: 0,
            })
        })
    }

    fn read_file(
        &self,
        path: &Path,
        contents: &mut Vec<u8>,
    ) -> impl Future<Output = io::Result<()>> + Send {
        SendWrapper::new(async move {
            *contents = compio::fs::read(path).await?;
            Ok(())
        })
    }

    async fn list_directory(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        // io_uring cannot list a directory: compio's users offload it, as its own helpers do.
        let path = path.to_owned();
        let listed = self.offload(move || {
            std::fs::read_dir(path)?
                .map(|entry| entry.map(|entry| entry.path()))
                .collect()
        });
        listed
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    fn sleep_until(&self, due: Instant) -> impl Future<Output = ()> + Send {
        SendWrapper::new(compio::time::sleep_until(due))
    }

    fn timeout<F>(
        &self,
        limit: Duration,
        future: F,
    ) -> impl Future<Output = Result<F::Output, Elapsed>> + Send
    where
        F: Future + Send,
        F::Output: Send,
    {
        SendWrapper::new(async move {
            let limited = compio::time::timeout(limit.min(LONGEST_LIMIT), future);
            limited.await.map_err(|_| Elapsed)
        })
    }

    fn spawn<F>(&self, future: F) -> Self::Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let alive = Arc::new(());
        Spawned {
            future: Arc::downgrade(&alive),
            task: Some(self.runtime.spawn(async move {
                let _alive = alive; // Dropped after the future that is awaited below.
                future.await
            })),
        }
    }

    fn offload<T, W>(&self, work: W) -> impl Future<Output = Result<T, TaskError>> + Send
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        SendWrapper::new(async move {
            // A panic must not reach compio's pool, which would not pass it on.
            let working = self.runtime.spawn_blocking(|| super::panics::catch(work));
            working.await.map_err(task_error)?
        })
    }

    fn channel<T: Send + 'static>(
        &self,
        capacity: NonZeroU32,
    ) -> (Self::Sender<T>, Self::Receiver<T>) {
        async_channel::bounded(capacity.get() as usize)
    }

    fn semaphore(&self, permits: NonZeroU32) -> Self::Semaphore {
        Arc::new(async_lock::Semaphore::new(permits.get() as usize))
    }
}
