//! A runtime that counts what lives of it: parts that were spawned and have not ended, and work that was offloaded.
//!
//! It is any other runtime in all that it does. A part is counted by a guard that lives inside its future, and so until
//! that has run to its end, has panicked or was dropped with its cleanup done, whoever holds its handle or not. Only what
//! goes through this wrapper is counted: the sessions of the measuring loop are started by the runtime inside.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use photofinish_harness::runtime::{
    BoxFuture, Capability, Elapsed, OpenMode, PeerAddress, Receiver as _, Runtime, RuntimeConfig,
    Sender as _, Task as _, TaskError,
};
use photofinish_harness::runtimes::{DESCRIPTORS, SelectError, Visitor, with_runtime};

/// How many of a kind live now.
#[derive(Clone, Debug, Default)]
pub struct Living(Arc<AtomicUsize>);

impl Living {
    pub fn now(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    fn one_more(&self) -> OneOf {
        self.0.fetch_add(1, Ordering::AcqRel);
        OneOf(self.clone())
    }
}

/// Counted until dropped.
struct OneOf(Living);

impl Drop for OneOf {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What lives of a workload under its runtime.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// Spawned and not ended.
    pub parts: Living,
    /// Offloaded and not ended; what still waits for a thread is on its way to one, and counts.
    pub offloaded: Living,
}

/// `R`, with a census of what is started through it.
#[derive(Clone)]
pub struct Counted<R> {
    runtime: R,
    census: Census,
}

impl<R> Counted<R> {
    pub fn new(runtime: R, census: Census) -> Self {
        Self { runtime, census }
    }
}

impl<R: Runtime> Runtime for Counted<R> {
    type Stream = R::Stream;
    type Listener = R::Listener;
    type File = R::File;
    type Task<T: Send + 'static> = R::Task<T>;
    type Sender<T: Send + 'static> = R::Sender<T>;
    type Receiver<T: Send + 'static> = R::Receiver<T>;
    type Semaphore = R::Semaphore;

    fn spawn<F>(&self, future: F) -> R::Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let one = self.census.parts.one_more();
        self.runtime.spawn(async move {
            // The future is dropped before it, since it is awaited later: all of its cleanup counts as living.
            let _until_the_end = one;
            future.await
        })
    }

    fn offload<T, W>(&self, work: W) -> impl Future<Output = Result<T, TaskError>> + Send
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let one = self.census.offloaded.one_more();
        self.runtime.offload(move || {
            let _until_the_end = one;
            work()
        })
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    fn sessions(&self, asked: NonZeroU32) -> NonZeroU32 {
        self.runtime.sessions(asked)
    }

    fn worker_threads(&self, sessions: NonZeroU32) -> u32 {
        self.runtime.worker_threads(sessions)
    }

    fn facts(&self) -> BTreeMap<String, String> {
        self.runtime.facts()
    }

    fn steps_per_turn(&self, alone: bool) -> Option<NonZeroU32> {
        self.runtime.steps_per_turn(alone)
    }

    fn run_sessions<T: Send + 'static>(
        &self,
        sessions: Vec<BoxFuture<'static, T>>,
    ) -> impl Future<Output = Result<Vec<T>, TaskError>> + Send {
        self.runtime.run_sessions(sessions)
    }

    fn give_way(&self) -> impl Future<Output = ()> + Send {
        self.runtime.give_way()
    }

    fn wait_for<T, F>(&self, poll: F) -> impl Future<Output = T> + Send
    where
        T: Send,
        F: FnMut(&mut Context<'_>) -> Poll<T> + Send,
    {
        self.runtime.wait_for(poll)
    }

    fn connect(&self, address: &PeerAddress) -> impl Future<Output = io::Result<R::Stream>> + Send {
        self.runtime.connect(address)
    }

    fn listen(&self, address: SocketAddr) -> impl Future<Output = io::Result<R::Listener>> + Send {
        self.runtime.listen(address)
    }

    fn open(
        &self,
        path: &Path,
        mode: OpenMode,
    ) -> impl Future<Output = io::Result<R::File>> + Send {
        self.runtime.open(path, mode)
    }

    fn read_file(
        &self,
        path: &Path,
        contents: &mut Vec<u8>,
    ) -> impl Future<Output = io::Result<()>> + Send {
        self.runtime.read_file(path, contents)
    }

    fn list_directory(&self, path: &Path) -> impl Future<Output = io::Result<Vec<PathBuf>>> + Send {
        self.runtime.list_directory(path)
    }

    fn sleep_until(&self, due: Instant) -> impl Future<Output = ()> + Send {
        self.runtime.sleep_until(due)
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
        self.runtime.timeout(limit, future)
    }

    fn channel<T: Send + 'static>(&self, capacity: NonZeroU32) -> (R::Sender<T>, R::Receiver<T>) {
        self.runtime.channel(capacity)
    }

    fn semaphore(&self, permits: NonZeroU32) -> R::Semaphore {
        self.runtime.semaphore(permits)
    }
}

/// Goal: the census says what lives at each point. Method: one part of each fate, held up until it is let go.
#[test]
fn a_task_counts_as_live_until_it_ends_panics_or_is_cancelled() {
    let config = RuntimeConfig {
        worker_threads: const { NonZeroU32::new(2).expect("two") },
    };
    for descriptor in DESCRIPTORS {
        if descriptor.refusal(&[Capability::Concurrency]).is_some() {
            continue;
        }
        let cancellable = descriptor.refusal(&[Capability::Cancellation]).is_none();
        match with_runtime(descriptor.name, config, Fates { cancellable }) {
            // Such a runtime does not start on this machine.
            Ok(()) | Err(SelectError::Start(_)) => {}
            Err(error) => panic!("{}: {error}", descriptor.name),
        }
    }
}

struct Fates {
    cancellable: bool,
}

impl Visitor for Fates {
    type Output = ();

    fn visit<R: Runtime>(self, runtime: R) {
        let census = Census::default();
        let counted = Counted::new(runtime.clone(), census.clone());
        runtime.block_on(async {
            self.of_parts(&counted, &census).await;
            let offloaded = census.offloaded.clone();
            let seen = counted.offload(move || offloaded.now()).await;
            assert_eq!((seen, census.offloaded.now()), (Ok(1), 0));
        });
    }
}

impl Fates {
    async fn of_parts<R: Runtime>(&self, counted: &Counted<R>, census: &Census) {
        let (release, released) = counted.channel::<()>(NonZeroU32::MIN);
        let held_up = |panics: bool| {
            let released = released.clone();
            assert_eq!(census.parts.now(), 0);
            let task = counted.spawn(async move {
                released.receive().await;
                assert!(!panics, "on purpose");
            });
            assert_eq!(census.parts.now(), 1);
            task
        };
        let ends = held_up(false);
        release.send(()).await.expect("somebody receives");
        ends.join().await.expect("it ends");
        let panics = held_up(true);
        release.send(()).await.expect("somebody receives");
        panics.join().await.expect_err("it panics");
        if self.cancellable {
            assert_eq!(held_up(false).cancel().await, None);
        }
        assert_eq!(census.parts.now(), 0);
    }
}
