//! The `Runtime` trait: the minimum that an execution model must offer for every workload to run on it unchanged.
//!
//! Every future is `Send`. Blocking runtimes implement the same `async fn`s with blocking calls: such a future is ready
//! at its first poll, and the one-poll driver in `runtimes::blocking` runs it. Each runtime implements an operation the
//! way its own users would. It declares what it cannot do honestly ([`Descriptor::cannot`]), so that the cell is
//! reported as `unsupported` with the reason. The runtimes themselves are one file each in `runtimes`.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

pub use photofinish_record::PeerAddress;
use photofinish_record::{ExpectedSystemCalls, RuntimeFamily, RuntimeTraits};

use crate::buffer::Buffer;

/// A runtime's description, for lists and reports.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// Its name in the glossary: `tokio-current-thread`.
    pub name: &'static str,
    /// A session under this runtime, in one line.
    pub summary: &'static str,
    /// A warning shown next to its name: `discontinued`.
    pub note: Option<&'static str>,
    /// Its way of running sessions.
    pub family: RuntimeFamily,
    /// True if operations wait for a thread outside their service time.
    pub queues_before_service: bool,
    /// True if the number of its worker threads can be chosen.
    pub takes_worker_threads: bool,
    /// Capabilities it does not have, each with the reason.
    pub cannot: &'static [(Capability, &'static str)],
    pub system_calls: SystemCalls,
}

/// System calls of one small request, by a runtime's design: see [`ExpectedSystemCalls`].
#[derive(Clone, Copy, Debug)]
pub struct SystemCalls {
    pub per_request: &'static str,
    pub reason: &'static str,
}

impl SystemCalls {
    /// Sockets that block.
    pub(crate) const BLOCKING: Self = Self {
        per_request: "2",
        reason: "send and recv; the kernel changes threads while recv waits, so there is no loop to return to",
    };

    /// Sockets registered once, edge-triggered.
    pub(crate) const EDGE_TRIGGERED: Self = Self {
        per_request: "2 + 1/k",
        reason: "send and recv; a short read says that nothing is left, and one epoll_wait serves k responses",
    };

    /// A registration for one event, as async-io makes it.
    pub(crate) const ONE_SHOT: Self = Self {
        per_request: "4 + 5/k to 4 + 10/k",
        reason: "send, a recv in vain, epoll_ctl, as a registration is good for one event, and recv; each turn sets and \
                 registers a timer's descriptor, waits, and reads and registers an event descriptor",
    };
}

impl Descriptor {
    /// The reason that a workload with these `needs` cannot run honestly under this runtime; `None` if it can.
    pub fn refusal(&self, needs: &[Capability]) -> Option<&'static str> {
        let refused = |(capability, reason): &&(Capability, &'static str)| {
            needs.contains(capability).then_some(*reason)
        };
        self.cannot.iter().find_map(|entry| refused(&entry))
    }

    /// Its traits for plans, at `position` in the list of runtimes.
    pub fn traits(&self, position: usize) -> RuntimeTraits {
        RuntimeTraits {
            family: self.family,
            queues_before_service: self.queues_before_service,
            note: self.note.map(str::to_owned),
            position,
            system_calls: Some(ExpectedSystemCalls {
                per_request: self.system_calls.per_request.to_owned(),
                reason: self.system_calls.reason.to_owned(),
            }),
            worker: None,
        }
    }
}

/// A requirement of some workloads beyond reading, writing and waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    /// Two spawned parts make progress at the same time: producers and consumers, a server and its clients.
    Concurrency,
    /// Thousands of spawned parts wait at the same time: more than there are threads.
    ManyAtOnce,
    /// A spawned part can be stopped from outside while it waits.
    Cancellation,
}

#[derive(Clone, Copy, Debug)]
pub struct RuntimeConfig {
    /// Threads that run sessions, if the runtime lets the user choose.
    pub worker_threads: NonZeroU32,
}

/// A runtime did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The machine lacks something that this runtime needs.
    #[error("{0}")]
    Unsupported(String),
    /// The operating system refused a request that should have succeeded.
    #[error("cannot start the runtime")]
    System(#[source] io::Error),
}

/// The deadline of [`Runtime::timeout`] passed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("deadline passed")]
pub struct Elapsed;

/// A spawned part gave no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// Panicked, with this message.
    #[error("panicked: {0}")]
    Panicked(String),
    /// The system refused to start its thread, for this reason.
    #[error("cannot start a thread: {0}")]
    NoThread(String),
    #[error("cancelled")]
    Cancelled,
}

/// The receiving side of a channel is gone, or the channel was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("channel closed")]
pub struct Closed;

/// A boxed future: sessions are boxed once per phase, so that all spawned sessions have the same type.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An execution model. A handle, cheap to clone.
pub trait Runtime: Clone + Send + Sync + 'static {
    type Stream: Stream;
    type Listener: Listener<Self::Stream>;
    type File: File;
    type Task<T: Send + 'static>: Task<T>;
    /// Sending side of a bounded channel.
    type Sender<T: Send + 'static>: Sender<T>;
    /// Receiving side of a bounded channel; clones share the queue.
    type Receiver<T: Send + 'static>: Receiver<T>;
    type Semaphore: Semaphore;

    /// Runs `future` to completion on the calling thread, driving the runtime if necessary.
    fn block_on<F: Future>(&self, future: F) -> F::Output;

    /// Number of sessions to run when `requested` are requested: 1 under `sync`.
    fn sessions(&self, requested: NonZeroU32) -> NonZeroU32 {
        requested
    }

    /// Threads that run sessions when there are `sessions` of them.
    fn worker_threads(&self, sessions: NonZeroU32) -> u32;

    /// Particulars of this runtime in this process, for the record: stack size, driver.
    fn facts(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    /// Steps a session takes before it yields to the others on its thread; `None` if it never yields. `alone` is true
    /// if no other session or probe shares the executor. Defaults to 128 steps, like tokio's own budget: an operation
    /// that never waits never returns to the executor by itself, so one session would run the whole phase, and then the
    /// next one.
    fn steps_per_turn(&self, alone: bool) -> Option<NonZeroU32> {
        const STEPS: NonZeroU32 = NonZeroU32::new(128).unwrap();
        (!alone).then_some(STEPS)
    }

    /// Runs all sessions to completion, and returns their results in the same order. The execution model of a session
    /// (a thread, a task, a queue entry) is what distinguishes runtimes; a task is the default.
    fn run_sessions<T: Send + 'static>(
        &self,
        sessions: Vec<BoxFuture<'static, T>>,
    ) -> impl Future<Output = Result<Vec<T>, TaskError>> + Send {
        spawn_all(self, sessions)
    }

    /// Yields to the other tasks of this thread. Does nothing if sessions are threads, which the system schedules.
    fn give_way(&self) -> impl Future<Output = ()> + Send {
        yield_once()
    }

    /// Waits until `poll` is ready; it is polled again whenever its waker is called, from any thread. The harness hands
    /// arrivals to sessions this way, from outside the runtime.
    fn wait_for<T, F>(&self, poll: F) -> impl Future<Output = T> + Send
    where
        T: Send,
        F: FnMut(&mut Context<'_>) -> Poll<T> + Send,
    {
        poll_fn(poll)
    }

    /// Opens a connection, with `TCP_NODELAY` set if it is TCP. Waits while the backlog of a Unix socket is full.
    fn connect(
        &self,
        address: &PeerAddress,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Listens on `address` (port 0 lets the system choose) with a backlog of 4096.
    fn listen(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::Listener>> + Send;

    fn open(
        &self,
        path: &Path,
        mode: OpenMode,
    ) -> impl Future<Output = io::Result<Self::File>> + Send;

    /// Reads a whole file into `contents`, replacing any previous contents: with the runtime's own function, or where it has
    /// none, with as few system calls as the vector's capacity allows.
    fn read_file(
        &self,
        path: &Path,
        contents: &mut Vec<u8>,
    ) -> impl Future<Output = io::Result<()>> + Send;

    /// The entries of a directory, in no particular order.
    fn list_directory(&self, path: &Path) -> impl Future<Output = io::Result<Vec<PathBuf>>> + Send;

    /// Returns no earlier than `due`.
    fn sleep_until(&self, due: Instant) -> impl Future<Output = ()> + Send;

    /// Runs `future` for at most `limit`; after that the future is dropped at its current await, and its cleanup runs.
    fn timeout<F>(
        &self,
        limit: Duration,
        future: F,
    ) -> impl Future<Output = Result<F::Output, Elapsed>> + Send
    where
        F: Future + Send,
        F::Output: Send;

    /// Starts `future` concurrently, as far as this runtime can. Dropping the task detaches it.
    fn spawn<F>(&self, future: F) -> Self::Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Runs blocking `work` on a thread on which it does not delay any session.
    fn offload<T, W>(&self, work: W) -> impl Future<Output = Result<T, TaskError>> + Send
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static;

    /// A channel that holds at most `capacity` items; sending waits while it is full.
    fn channel<T: Send + 'static>(
        &self,
        capacity: NonZeroU32,
    ) -> (Self::Sender<T>, Self::Receiver<T>);

    /// A semaphore with `permits` permits.
    fn semaphore(&self, permits: NonZeroU32) -> Self::Semaphore;
}

/// Spawns all of `futures`, and joins them in order.
pub(crate) async fn spawn_all<R: Runtime, T: Send + 'static>(
    runtime: &R,
    futures: Vec<BoxFuture<'static, T>>,
) -> Result<Vec<T>, TaskError> {
    let tasks: Vec<_> = futures
        .into_iter()
        .map(|future| runtime.spawn(future))
        .collect();
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.join().await?);
    }
    Ok(results)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Continue,
    /// Nothing more.
    Finished,
}

/// Something that is stepped until it is finished: a session of the measuring loop, one operation per step.
pub trait Session: Send + 'static {
    fn step(&mut self) -> impl Future<Output = Flow> + Send;
}

/// Steps `session` until it is finished, yielding after every `steps_per_turn` steps during which it never waited.
pub async fn run_session<S: Session>(session: &mut S, steps_per_turn: Option<NonZeroU32>) {
    loop {
        let mut waited = false;
        for _ in 0..steps_per_turn.map_or(u32::MAX, NonZeroU32::get) {
            // Pinned where it is made: moving it would copy all of it, hundreds of bytes in every operation.
            let mut step = pin!(session.step());
            let noticed = poll_fn(|context| {
                let polled = step.as_mut().poll(context);
                waited |= polled.is_pending();
                polled
            });
            if noticed.await == Flow::Finished {
                return;
            }
        }
        // A session that waited has already yielded; yielding again would only lose time between operations.
        if !waited && steps_per_turn.is_some() {
            yield_once().await;
        }
    }
}

/// Pending once, so that the executor can run something else.
fn yield_once() -> impl Future<Output = ()> + Send {
    let mut yielded = false;
    poll_fn(move |context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

/// A connection. Dropping it closes it.
pub trait Stream: Send + 'static {
    /// Reads available bytes into the buffer's spare room; returns 0 at the end of input.
    fn read(&mut self, buffer: &mut Buffer) -> impl Future<Output = io::Result<usize>> + Send;

    /// Writes all of `bytes`. A completion runtime may take the vector temporarily; it is back, unchanged, on return.
    fn write_all(&mut self, bytes: &mut Vec<u8>) -> impl Future<Output = io::Result<()>> + Send;

    /// Writes the beginning of `bytes`, of which there must be some, or reads into the buffer's spare room if the peer
    /// accepts nothing at present: a peer that responds before it has read the whole request blocks neither side.
    /// Cancel safe: a dropped call has moved nothing.
    fn transfer(
        &mut self,
        bytes: &[u8],
        buffer: &mut Buffer,
    ) -> impl Future<Output = io::Result<Moved>> + Send;

    /// True if the peer has closed an idle connection, or has sent unsolicited data; does not wait.
    fn is_stale(&self) -> bool;
}

/// Number of bytes that one [`Stream::transfer`] has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    Written(usize),
    /// 0 at the end of input.
    Read(usize),
}

/// A listening socket.
pub trait Listener<S: Stream>: Send + 'static {
    /// The next connection, with `TCP_NODELAY` set.
    fn accept(&mut self) -> impl Future<Output = io::Result<S>> + Send;

    /// Its own address.
    fn local_address(&self) -> io::Result<SocketAddr>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading; it must exist.
    Read,
    /// For writing from its start; created or truncated.
    Create,
    /// For writing at its end; created if missing.
    Append,
}

/// An open file. Dropping it closes it.
pub trait File: Send + 'static {
    /// Fills `bytes` with exactly `length` bytes from `offset`, replacing any previous contents.
    fn read_at(
        &mut self,
        offset: u64,
        length: usize,
        bytes: &mut Vec<u8>,
    ) -> impl Future<Output = io::Result<()>> + Send;

    /// Writes all of `bytes` at the file's position; the operating system has them when this returns.
    fn write_all(&mut self, bytes: &mut Vec<u8>) -> impl Future<Output = io::Result<()>> + Send;

    /// Returns once contents and metadata are on the device.
    fn sync_all(&mut self) -> impl Future<Output = io::Result<()>> + Send;
}

/// A spawned part. Dropping it detaches it.
pub trait Task<T>: Send + 'static {
    fn join(self) -> impl Future<Output = Result<T, TaskError>> + Send;

    /// Stops it at its next await point, and returns once its cleanup has run; `Some` if it had already finished. A
    /// task that is running on another thread at that moment may still finish, with its result dropped (`async-task`
    /// does so). Only for runtimes that have [`Capability::Cancellation`].
    fn cancel(self) -> impl Future<Output = Option<T>> + Send;
}

/// Sending side of a bounded channel. Dropping the last one closes the channel.
pub trait Sender<T>: Clone + Send + Sync + 'static {
    /// Waits for room, then sends.
    fn send(&self, item: T) -> impl Future<Output = Result<(), Closed>> + Send;
}

/// Receiving side of a bounded channel.
pub trait Receiver<T>: Clone + Send + Sync + 'static {
    /// The next item; `None` once the channel is empty and every sender is gone.
    fn receive(&self) -> impl Future<Output = Option<T>> + Send;
}

/// A counting semaphore.
pub trait Semaphore: Clone + Send + Sync + 'static {
    /// Gives its permit back when dropped.
    type Permit: Send + 'static;

    fn acquire(&self) -> impl Future<Output = Self::Permit> + Send;
}
