//! What the floors share: the [`Runtime`] of a hand-written event loop, whichever way it waits for the kernel.
//!
//! A floor does the least under the trait that every runtime has: one thread, no call to the kernel that could be left out,
//! timers as the timeout of the wait. Nobody can depend on one as a crate, so no report ranks it among the runtimes to
//! choose from. Everything belongs to the thread that started it; `send_wrapper` carries it through a trait whose futures
//! are `Send`. A new floor is a [`Driver`].

mod event_loop;
mod timers;

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_lite::FutureExt as _;
use photofinish_record::PeerAddress;
use send_wrapper::SendWrapper;

use self::event_loop::EventLoop;
use super::blocking::file;
use super::panics::{catch, catch_future};
use super::smol::Spawned;
use super::socket::connect_when_room;
use crate::runtime::{Elapsed, File, Listener, OpenMode, Runtime, StartError, Stream, TaskError};

/// A way of waiting for the kernel: all that distinguishes one floor from another.
pub(super) trait Driver: Sized + 'static {
    type Stream: Stream;
    type Listener: Listener<Self::Stream>;
    type File: File;

    fn facts(&self) -> BTreeMap<String, String>;

    /// Waits until something has happened, for at most `limit`, and wakes the tasks that waited for it.
    fn wait(&self, limit: Option<Duration>);

    /// Finishes sending before `block_on` returns.
    fn flush(&self) {}

    fn connect(
        runtime: &Floor<Self>,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Connects at once, or fails with `WouldBlock` if the backlog is full.
    fn connect_unix(runtime: &Floor<Self>, path: &Path) -> io::Result<Self::Stream>;

    /// Takes over a listening socket, which is non-blocking if [`Driver::NONBLOCKING`].
    fn listen(runtime: &Floor<Self>, listener: TcpListener) -> io::Result<Self::Listener>;

    /// True if sockets must be non-blocking, as readiness loops need.
    const NONBLOCKING: bool;

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Self::File>;

    fn read_file(
        runtime: &Floor<Self>,
        path: &Path,
        contents: &mut Vec<u8>,
    ) -> impl Future<Output = io::Result<()>> + Send;
}

/// The runtime over a driver.
pub(super) struct Floor<D>(Arc<SendWrapper<EventLoop<D>>>);

impl<D> Clone for Floor<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<D: Driver> Floor<D> {
    /// A loop that belongs to the calling thread. Its driver wakes up when the descriptor, an eventfd, is written to.
    pub(super) fn new(
        driver: impl FnOnce(&OwnedFd) -> Result<D, StartError>,
    ) -> Result<Self, StartError> {
        Ok(Self(Arc::new(SendWrapper::new(EventLoop::new(driver)?))))
    }

    pub(super) fn driver(&self) -> &D {
        self.0.driver()
    }
}

impl<D: Driver> Runtime for Floor<D> {
    type Stream = D::Stream;
    type Listener = D::Listener;
    type File = D::File;
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
        self.driver().facts()
    }

    async fn connect(&self, address: &PeerAddress) -> io::Result<D::Stream> {
        match address {
            PeerAddress::Tcp(address) => D::connect(self, *address).await,
            PeerAddress::Unix(path) => {
                connect_when_room(self, || async { D::connect_unix(self, path) }).await
            }
        }
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<D::Listener> {
        D::listen(self, super::listen::listener(address, D::NONBLOCKING)?)
    }

    async fn open(&self, path: &Path, mode: OpenMode) -> io::Result<D::File> {
        self.driver().open(path, mode)
    }

    fn read_file(
        &self,
        path: &Path,
        contents: &mut Vec<u8>,
    ) -> impl Future<Output = io::Result<()>> + Send {
        D::read_file(self, path, contents)
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
        blocking::unblock(|| catch(work)).await
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
