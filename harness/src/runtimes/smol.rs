//! `smol`: tasks on an `async-executor` driven by N threads.
//!
//! Built from smol's own components (`async-net`, `async-fs`, `async-io`, `blocking`), because its global executor has
//! only one thread.

use photofinish_record::{PeerAddress, RuntimeFamily};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_executor::Executor;
use async_io::{Async, Timer};
use async_lock::SemaphoreGuardArc;
use async_net::unix::UnixStream;
use async_net::{TcpListener, TcpStream};
use futures_lite::{
    AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, FutureExt as _, StreamExt as _,
};

use super::panics::catch_future;
use super::socket::{Socket, connect_when_room};
use crate::runtime::{
    Closed, Descriptor, Elapsed, File, Listener, OpenMode, Receiver, Runtime, RuntimeConfig,
    Semaphore, Sender, StartError, SystemCalls, Task, TaskError,
};

pub(super) static DESCRIPTOR: Descriptor = Descriptor {
    name: "smol",
    summary: "a task per session on an executor driven by N threads",
    note: None,
    family: RuntimeFamily::Async,
    queues_before_service: false,
    takes_worker_threads: true,
    cannot: &[],
    system_calls: SystemCalls::ONE_SHOT,
};

pub(super) fn start(config: RuntimeConfig) -> Result<Smol, StartError> {
    let executor = Arc::new(Executor::new());
    let (stop, stopped) = async_channel::bounded(1);
    let start_one = |index| {
        let executor = Arc::clone(&executor);
        let stopped = async_channel::Receiver::clone(&stopped);
        std::thread::Builder::new()
            .name(format!("smol-{index}"))
            .spawn(move || {
                // Ends, with an error, when the sender is dropped.
                let _ = async_io::block_on(executor.run(stopped.recv()));
            })
    };
    let threads: Vec<_> = (0..config.worker_threads.get())
        .map(start_one)
        .collect::<Result<_, _>>()
        .map_err(StartError::System)?;
    Ok(Smol {
        executor,
        worker_threads: config.worker_threads,
        _threads: Arc::new(Threads {
            stop: Some(stop),
            handles: threads,
        }),
    })
}

#[derive(Clone)]
pub(super) struct Smol {
    executor: Arc<Executor<'static>>,
    worker_threads: NonZeroU32,
    _threads: Arc<Threads>,
}

/// The threads that drive the executor; they end when the last handle is dropped.
struct Threads {
    stop: Option<async_channel::Sender<()>>,
    handles: Vec<JoinHandle<()>>,
}

impl Drop for Threads {
    fn drop(&mut self) {
        drop(self.stop.take());
        for handle in self.handles.drain(..) {
            // The last handle may be dropped by a task, on one of these threads, which cannot join itself.
            if handle.thread().id() != std::thread::current().id() {
                handle
                    .join()
                    .expect("tasks keep their panics to themselves");
            }
        }
    }
}

type Stream = Socket<TcpStream, UnixStream>;

fn without_delay(stream: TcpStream) -> io::Result<Stream> {
    stream.set_nodelay(true)?;
    Ok(Socket::Tcp(stream))
}

impl Listener<Stream> for TcpListener {
    async fn accept(&mut self) -> io::Result<Stream> {
        let (stream, _) = TcpListener::accept(self).await?;
        without_delay(stream)
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }
}

impl File for async_fs::File {
    async fn read_at(&mut self, offset: u64, length: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
        bytes.resize(length, 0);
        self.seek(io::SeekFrom::Start(offset)).await?;
        self.read_exact(bytes).await
    }

    async fn write_all(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        futures_lite::AsyncWriteExt::write_all(self, bytes).await?;
        // Without the flush the last write may still be on its way to the blocking pool.
        self.flush().await
    }

    async fn sync_all(&mut self) -> io::Result<()> {
        async_fs::File::sync_all(self).await
    }
}

/// A task that keeps running when its handle is dropped (smol's own would be cancelled), and whose result is an error
/// if it panics.
pub(super) struct Spawned<T>(Option<async_executor::Task<Result<T, TaskError>>>);

impl<T> Spawned<T> {
    pub(super) fn new(task: async_executor::Task<Result<T, TaskError>>) -> Self {
        Self(Some(task))
    }

    fn into_task(mut self) -> async_executor::Task<Result<T, TaskError>> {
        self.0.take().expect("a handle is used once")
    }
}

impl<T> Drop for Spawned<T> {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.detach();
        }
    }
}

impl<T: Send + 'static> Task<T> for Spawned<T> {
    async fn join(mut self) -> Result<T, TaskError> {
        // Awaited in place, so that dropping the join leaves the task running.
        self.0.as_mut().expect("it is there until dropped").await
    }

    async fn cancel(self) -> Option<T> {
        self.into_task().cancel().await.and_then(Result::ok)
    }
}

impl<T: Send + 'static> Sender<T> for async_channel::Sender<T> {
    async fn send(&self, item: T) -> Result<(), Closed> {
        async_channel::Sender::send(self, item)
            .await
            .map_err(|_| Closed)
    }
}

impl<T: Send + 'static> Receiver<T> for async_channel::Receiver<T> {
    async fn receive(&self) -> Option<T> {
        self.recv().await.ok()
    }
}

impl Semaphore for Arc<async_lock::Semaphore> {
    type Permit = SemaphoreGuardArc;

    async fn acquire(&self) -> SemaphoreGuardArc {
        self.acquire_arc().await
    }
}

impl Runtime for Smol {
    type Stream = Stream;
    type Listener = TcpListener;
    type File = async_fs::File;
    type Task<T: Send + 'static> = Spawned<T>;
    type Sender<T: Send + 'static> = async_channel::Sender<T>;
    type Receiver<T: Send + 'static> = async_channel::Receiver<T>;
    type Semaphore = Arc<async_lock::Semaphore>;

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        // Parks instead of polling the reactor: the executor's own threads do that, as they do in a program with a busy
        // `main`.
        futures_lite::future::block_on(future)
    }

    fn worker_threads(&self, _: NonZeroU32) -> u32 {
        self.worker_threads.get()
    }

    async fn connect(&self, address: &PeerAddress) -> io::Result<Stream> {
        match address {
            PeerAddress::Tcp(address) => without_delay(TcpStream::connect(*address).await?),
            PeerAddress::Unix(path) => connect_when_room(self, || UnixStream::connect(path))
                .await
                .map(Socket::Unix),
        }
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        Ok(Async::new(super::listen::listener(address, true)?)?.into())
    }

    async fn open(&self, path: &Path, mode: OpenMode) -> io::Result<async_fs::File> {
        let mut options = async_fs::OpenOptions::new();
        match mode {
            OpenMode::Read => options.read(true),
            OpenMode::Create => options.write(true).create(true).truncate(true),
            OpenMode::Append => options.append(true).create(true),
        };
        options.open(path).await
    }

    async fn read_file(&self, path: &Path, contents: &mut Vec<u8>) -> io::Result<()> {
        *contents = async_fs::read(path).await?;
        Ok(())
    }

    async fn list_directory(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut entries = async_fs::read_dir(path).await?;
        let mut paths = Vec::new();
        while let Some(entry) = entries.next().await {
            paths.push(entry?.path());
        }
        Ok(paths)
    }

    async fn sleep_until(&self, due: Instant) {
        Timer::at(due).await;
    }

    async fn timeout<F>(&self, limit: Duration, future: F) -> Result<F::Output, Elapsed>
    where
        F: Future + Send,
        F::Output: Send,
    {
        let elapse = async {
            Timer::after(limit).await;
            Err(Elapsed)
        };
        async { Ok(future.await) }.or(elapse).await
    }

    fn spawn<F>(&self, future: F) -> Self::Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Spawned::new(self.executor.spawn(catch_future(future)))
    }

    async fn offload<T, W>(&self, work: W) -> Result<T, TaskError>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        blocking::unblock(|| super::panics::catch(work)).await
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
