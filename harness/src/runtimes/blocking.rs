//! The runtime of blocking calls behind `sync`, `threads` and `pool`.
//!
//! Every operation blocks the calling thread until it is done, so a future made of such operations is ready at its
//! first poll (`deadline`). The three differ in how they spawn ([`Blocking`]): inline, on a new `thread`, or through a
//! `queue` served by a fixed number of threads. Threads wait for one another in `waiting`.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use photofinish_record::PeerAddress;

use crate::runtime::{self, BoxFuture, Elapsed, OpenMode, Runtime, TaskError, spawn_all};

mod deadline;
pub(super) mod file;
mod queue;
mod socket;
mod thread;
mod waiting;

pub(super) use queue::PoolQueue;

use deadline::{run_to_end, run_without_deadline};
use file::File;
use queue::PoolTask;
use socket::{Listener, Stream};
use thread::{STACK_BYTES, ThreadTask};
use waiting::{Receiver, Semaphore, Sender, channel};

/// A runtime of blocking calls, by the way in which it spawns. Three of the runtimes under comparison share this type,
/// so that workloads are compiled once for all three.
#[derive(Clone)]
pub(super) enum Blocking {
    /// Runs spawned parts inline: `sync`.
    Inline,
    /// Starts a new thread for each: `threads`.
    Threads,
    /// Has a queue served by a fixed number of threads: `pool`.
    Pool(PoolQueue),
}

/// A spawned part of a blocking runtime.
pub(super) enum BlockingTask<T> {
    /// It has run.
    Inline(Result<T, TaskError>),
    Thread(ThreadTask<T>),
    Pooled(PoolTask<T>),
}

impl<T: Send + 'static> runtime::Task<T> for BlockingTask<T> {
    async fn join(self) -> Result<T, TaskError> {
        match self {
            Self::Inline(result) => result,
            Self::Thread(task) => task.join().await,
            Self::Pooled(task) => task.join().await,
        }
    }

    /// Only a part that has ended can be "cancelled": the others are waited for.
    async fn cancel(self) -> Option<T> {
        self.join().await.ok()
    }
}

impl Runtime for Blocking {
    type Stream = Stream;
    type Listener = Listener;
    type File = File;
    type Task<T: Send + 'static> = BlockingTask<T>;
    type Sender<T: Send + 'static> = Sender<T>;
    type Receiver<T: Send + 'static> = Receiver<T>;
    type Semaphore = Semaphore;

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        run_to_end(future)
    }

    fn sessions(&self, requested: NonZeroU32) -> NonZeroU32 {
        match self {
            Self::Inline => NonZeroU32::MIN,
            Self::Threads | Self::Pool(_) => requested,
        }
    }

    fn worker_threads(&self, sessions: NonZeroU32) -> u32 {
        match self {
            Self::Inline => 1,
            Self::Threads => sessions.get(),
            Self::Pool(pool) => pool.threads(),
        }
    }

    fn facts(&self) -> BTreeMap<String, String> {
        match self {
            Self::Inline => BTreeMap::new(),
            Self::Threads | Self::Pool(_) => {
                BTreeMap::from([("stack_bytes".to_owned(), STACK_BYTES.to_string())])
            }
        }
    }

    /// The pool takes the next operation from its queue after each step; threads are scheduled by the system.
    fn steps_per_turn(&self, _: bool) -> Option<NonZeroU32> {
        match self {
            Self::Inline | Self::Threads => None,
            Self::Pool(_) => Some(NonZeroU32::MIN),
        }
    }

    async fn run_sessions<T: Send + 'static>(
        &self,
        sessions: Vec<BoxFuture<'static, T>>,
    ) -> Result<Vec<T>, TaskError> {
        match self {
            Self::Pool(pool) => pool.run_sessions(sessions).await,
            Self::Inline | Self::Threads => spawn_all(self, sessions).await,
        }
    }

    async fn give_way(&self) {}

    async fn wait_for<T, F>(&self, poll: F) -> T
    where
        T: Send,
        F: FnMut(&mut Context<'_>) -> Poll<T> + Send,
    {
        waiting::wait_for(poll).await
    }

    async fn connect(&self, address: &PeerAddress) -> io::Result<Stream> {
        socket::connect(address).await
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<Listener> {
        let socket = super::listen::listener(address, false)?;
        Ok(Listener { socket })
    }

    async fn open(&self, path: &Path, mode: OpenMode) -> io::Result<File> {
        file::open(path, mode)
    }

    async fn read_file(&self, path: &Path, contents: &mut Vec<u8>) -> io::Result<()> {
        file::read(path, contents)
    }

    async fn list_directory(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        file::list(path)
    }

    async fn sleep_until(&self, due: Instant) {
        deadline::sleep_until(due).await;
    }

    async fn timeout<F>(&self, limit: Duration, future: F) -> Result<F::Output, Elapsed>
    where
        F: Future + Send,
        F::Output: Send,
    {
        deadline::timeout(limit, future).await
    }

    fn spawn<F>(&self, future: F) -> BlockingTask<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let work = move || run_without_deadline(future);
        match self {
            Self::Inline => BlockingTask::Inline(super::panics::catch(work)),
            Self::Threads => BlockingTask::Thread(ThreadTask::start(Box::new(work))),
            Self::Pool(pool) => BlockingTask::Pooled(pool.spawn(Box::new(work))),
        }
    }

    async fn offload<T, W>(&self, work: W) -> Result<T, TaskError>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        // The calling thread may block: handing the work to another one would only add a switch.
        super::panics::catch(work)
    }

    fn channel<T: Send + 'static>(&self, capacity: NonZeroU32) -> (Sender<T>, Receiver<T>) {
        channel(capacity.get() as usize)
    }

    fn semaphore(&self, permits: NonZeroU32) -> Semaphore {
        Semaphore::new(permits.get())
    }
}
