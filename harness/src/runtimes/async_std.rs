//! `async-std`: tasks on its global executor. Discontinued (RUSTSEC-2025-0052), and still included because its users
//! want to know what moving away would gain.
//!
//! Its own net, fs, task and channel. It is built on smol's components and has no semaphore and no limit for its
//! blocking pool, so the semaphore is the one its users take (`async-lock`).

use photofinish_record::{PeerAddress, RuntimeFamily};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_std::channel;
use async_std::io::prelude::SeekExt as _;
use async_std::io::{ReadExt as _, WriteExt as _};
use async_std::net::{TcpListener, TcpStream};
use async_std::os::unix::net::UnixStream;
use async_std::stream::StreamExt as _;

use super::panics::catch_future;
use super::socket::{Socket, connect_when_room};
use crate::runtime::{
    Closed, Descriptor, Elapsed, File, Listener, OpenMode, Receiver, Runtime, RuntimeConfig,
    Sender, StartError, SystemCalls, Task, TaskError,
};

pub(super) static DESCRIPTOR: Descriptor = Descriptor {
    name: "async-std",
    summary: "a task per session on the global executor",
    note: Some("discontinued"),
    family: RuntimeFamily::Async,
    queues_before_service: false,
    takes_worker_threads: true,
    cannot: &[],
    system_calls: SystemCalls::ONE_SHOT,
};

/// Passed as the name of the variable that overrides the number of threads: nobody sets it, so the number given here
/// applies.
const NO_OVERRIDE: &str = "PHOTOFINISH_ASYNC_STD_THREADS";

/// Worker threads of the global executor, once it is started.
static WORKER_THREADS: OnceLock<NonZeroU32> = OnceLock::new();

pub(super) fn start(config: RuntimeConfig) -> Result<AsyncStd, StartError> {
    // The executor is global and is started once: here, since this is a worker process.
    let started = *WORKER_THREADS.get_or_init(|| config.worker_threads);
    if started != config.worker_threads {
        let asked = config.worker_threads;
        return Err(StartError::Unsupported(format!(
            "its executor is global: started with {started} worker threads, it cannot have {asked} in the same process"
        )));
    }
    let threads = started.get() as usize;
    async_global_executor::init_with_config(
        async_global_executor::GlobalExecutorConfig::default()
            .with_env_var(NO_OVERRIDE)
            .with_min_threads(threads)
            .with_max_threads(threads)
            .with_thread_name_fn(|| "async-std".to_owned()),
    );
    Ok(AsyncStd {
        worker_threads: config.worker_threads,
    })
}

#[derive(Clone, Copy, Debug)]
pub(super) struct AsyncStd {
    worker_threads: NonZeroU32,
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

impl File for async_std::fs::File {
    async fn read_at(&mut self, offset: u64, length: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
        bytes.resize(length, 0);
        self.seek(io::SeekFrom::Start(offset)).await?;
        self.read_exact(bytes).await
    }

    async fn write_all(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        async_std::io::WriteExt::write_all(self, bytes).await?;
        // Without the flush the last write may still be on its way to the blocking pool.
        self.flush().await
    }

    async fn sync_all(&mut self) -> io::Result<()> {
        async_std::fs::File::sync_all(self).await
    }
}

/// A task whose result is an error if it panics.
pub(super) struct Spawned<T>(async_std::task::JoinHandle<Result<T, TaskError>>);

impl<T: Send + 'static> Task<T> for Spawned<T> {
    async fn join(self) -> Result<T, TaskError> {
        self.0.await
    }

    async fn cancel(self) -> Option<T> {
        self.0.cancel().await.and_then(Result::ok)
    }
}

impl<T: Send + 'static> Sender<T> for channel::Sender<T> {
    async fn send(&self, item: T) -> Result<(), Closed> {
        channel::Sender::send(self, item).await.map_err(|_| Closed)
    }
}

impl<T: Send + 'static> Receiver<T> for channel::Receiver<T> {
    async fn receive(&self) -> Option<T> {
        self.recv().await.ok()
    }
}

impl Runtime for AsyncStd {
    type Stream = Stream;
    type Listener = TcpListener;
    type File = async_std::fs::File;
    type Task<T: Send + 'static> = Spawned<T>;
    type Sender<T: Send + 'static> = channel::Sender<T>;
    type Receiver<T: Send + 'static> = channel::Receiver<T>;
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
            PeerAddress::Tcp(address) => without_delay(TcpStream::connect(address).await?),
            PeerAddress::Unix(path) => connect_when_room(self, || UnixStream::connect(path))
                .await
                .map(Socket::Unix),
        }
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        Ok(super::listen::listener(address, true)?.into())
    }

    async fn open(&self, path: &Path, mode: OpenMode) -> io::Result<async_std::fs::File> {
        let mut options = async_std::fs::OpenOptions::new();
        match mode {
            OpenMode::Read => options.read(true),
            OpenMode::Create => options.write(true).create(true).truncate(true),
            OpenMode::Append => options.append(true).create(true),
        };
        options.open(path).await
    }

    async fn read_file(&self, path: &Path, contents: &mut Vec<u8>) -> io::Result<()> {
        *contents = async_std::fs::read(path).await?;
        Ok(())
    }

    async fn list_directory(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut entries = async_std::fs::read_dir(path).await?;
        let mut paths = Vec::new();
        while let Some(entry) = entries.next().await {
            paths.push(entry?.path().into());
        }
        Ok(paths)
    }

    async fn sleep_until(&self, due: Instant) {
        // Its `sleep` only takes a duration; the timer behind it may then be set a moment before, never after, `due`.
        while let Some(left) = due
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
        {
            async_std::task::sleep(left).await;
        }
    }

    async fn timeout<F>(&self, limit: Duration, future: F) -> Result<F::Output, Elapsed>
    where
        F: Future + Send,
        F::Output: Send,
    {
        async_std::future::timeout(limit, future)
            .await
            .map_err(|_| Elapsed)
    }

    fn spawn<F>(&self, future: F) -> Self::Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Spawned(async_std::task::spawn(catch_future(future)))
    }

    async fn offload<T, W>(&self, work: W) -> Result<T, TaskError>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        async_std::task::spawn_blocking(|| super::panics::catch(work)).await
    }

    fn channel<T: Send + 'static>(
        &self,
        capacity: NonZeroU32,
    ) -> (Self::Sender<T>, Self::Receiver<T>) {
        channel::bounded(capacity.get() as usize)
    }

    fn semaphore(&self, permits: NonZeroU32) -> Self::Semaphore {
        Arc::new(async_lock::Semaphore::new(permits.get() as usize))
    }
}
