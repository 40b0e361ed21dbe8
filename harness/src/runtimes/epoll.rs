//! `epoll`: the floor that runtimes are compared with, tasks on one hand-written event loop.
//!
//! Does the least that a readiness loop can do under the same trait: one registration per socket, no call to the kernel that
//! a short read or write makes superfluous, timers as the timeout of the wait. Nobody can depend on it as a crate, so its
//! family is `floor`, and no report ranks it among the runtimes to choose from. Files block the loop: there is nothing
//! cheaper on a cached file. Everything belongs to the thread that started the runtime; `send_wrapper` carries it
//! through a trait whose futures are `Send`. The loop itself is in `epoll/executor.rs`.

mod executor;
mod socket;
mod source;
mod timers;

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_lite::FutureExt as _;
use photofinish_record::{PeerAddress, RuntimeFamily};
use send_wrapper::SendWrapper;

use self::executor::EventLoop;
use self::socket::{Listener, Stream};
use super::blocking::file::{self, File};
use super::panics::catch_future;
use super::smol::Spawned;
use super::socket::connect_when_room;
use crate::runtime::{
    Descriptor, Elapsed, OpenMode, Runtime, RuntimeConfig, StartError, SystemCalls, TaskError,
};

pub(super) static DESCRIPTOR: Descriptor = Descriptor {
    name: "epoll",
    summary: "a task per session on a minimal loop of our own: a floor, files block it",
    note: Some("floor"),
    family: RuntimeFamily::Floor,
    queues_before_service: false,
    takes_worker_threads: false,
    cannot: &[],
    system_calls: SystemCalls::EDGE_TRIGGERED,
};

pub(super) fn start(_: RuntimeConfig) -> Result<impl Runtime, StartError> {
    let event_loop = EventLoop::new().map_err(start_error)?;
    Ok(Epoll(Arc::new(SendWrapper::new(event_loop))))
}

/// Distinguishes an older kernel from one that has run out of a resource.
fn start_error(error: io::Error) -> StartError {
    match error.raw_os_error() {
        Some(nix::libc::ENOSYS) => StartError::Unsupported(
            "it needs epoll_pwait2, which Linux has from 5.11 on".to_owned(),
        ),
        _ => StartError::Threads(error),
    }
}

#[derive(Clone)]
struct Epoll(Arc<SendWrapper<EventLoop>>);

impl Runtime for Epoll {
    type Stream = Stream;
    type Listener = Listener;
    type File = File;
    type Task<T: Send + 'static> = Spawned<T>;
    type Sender<T: Send + 'static> = async_channel::Sender<T>;
    type Receiver<T: Send + 'static> = async_channel::Receiver<T>;
    type Semaphore = Arc<async_lock::Semaphore>;

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    fn worker_threads(&self, _: NonZeroU32) -> u32 {
        1
    }

    fn facts(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("driver".to_owned(), "epoll, edge-triggered".to_owned())])
    }

    async fn connect(&self, address: &PeerAddress) -> io::Result<Stream> {
        match address {
            PeerAddress::Tcp(address) => Stream::connect(self, *address).await,
            PeerAddress::Unix(path) => {
                connect_when_room(self, || async { Stream::connect_unix(self, path) }).await
            }
        }
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<Listener> {
        Listener::new(self, super::listen::listener(address, true)?)
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

    fn sleep_until(&self, due: Instant) -> impl Future<Output = ()> + Send {
        SendWrapper::new(self.0.timers().sleep_until(due))
    }

    async fn timeout<F>(&self, limit: Duration, future: F) -> Result<F::Output, Elapsed>
    where
        F: Future + Send,
        F::Output: Send,
    {
        let elapse = async {
            match Instant::now().checked_add(limit) {
                Some(due) => self.sleep_until(due).await,
                None => std::future::pending().await, // Later than the clock can tell.
            }
            Err(Elapsed)
        };
        async { Ok(future.await) }.or(elapse).await
    }

    fn spawn<F>(&self, future: F) -> Spawned<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Spawned::new(self.0.spawn(catch_future(future)))
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
