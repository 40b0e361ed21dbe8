//! One enum over all asynchronous runtimes, so that most workloads are compiled twice rather than once for each runtime: for
//! `Blocking` and for this.
//!
//! Each call is a branch on the runtime that was started, then that runtime's own code; a future is as large as the largest
//! of them. Workloads about such calls, and about the memory of a task, are compiled for each runtime's own type: see
//! [`Workload::STATIC_DISPATCH`](crate::workload::Workload::STATIC_DISPATCH).

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use photofinish_record::PeerAddress;

use super::blocking::Blocking;
use crate::buffer::Buffer;
use crate::runtime::{
    BoxFuture, Closed, Elapsed, File, Listener, Moved, OpenMode, Receiver, Runtime, Semaphore,
    Sender, Stream, Task, TaskError,
};

/// Any runtime.
pub(super) enum AnyRuntime {
    Blocking(Blocking),
    Async(AsyncRuntime),
}

impl From<Blocking> for AnyRuntime {
    fn from(runtime: Blocking) -> Self {
        Self::Blocking(runtime)
    }
}

macro_rules! async_runtimes {
    ($($(#[$condition:meta])* $name:ident($runtime:ty)),+ $(,)?) => {
        /// Any asynchronous runtime.
        #[derive(Clone)]
        pub(super) enum AsyncRuntime {
            $($(#[$condition])* $name($runtime)),+
        }

        $($(#[$condition])* impl From<$runtime> for AnyRuntime {
            fn from(runtime: $runtime) -> Self {
                Self::Async(AsyncRuntime::$name(runtime))
            }
        })+

        pub(super) enum AsyncStream {
            $($(#[$condition])* $name(<$runtime as Runtime>::Stream)),+
        }

        pub(super) enum AsyncListener {
            $($(#[$condition])* $name(<$runtime as Runtime>::Listener)),+
        }

        pub(super) enum AsyncFile {
            $($(#[$condition])* $name(<$runtime as Runtime>::File)),+
        }

        pub(super) enum AsyncTask<T: Send + 'static> {
            $($(#[$condition])* $name(<$runtime as Runtime>::Task<T>)),+
        }

        pub(super) enum AsyncSender<T: Send + 'static> {
            $($(#[$condition])* $name(<$runtime as Runtime>::Sender<T>)),+
        }

        pub(super) enum AsyncReceiver<T: Send + 'static> {
            $($(#[$condition])* $name(<$runtime as Runtime>::Receiver<T>)),+
        }

        #[derive(Clone)]
        pub(super) enum AsyncSemaphore {
            $($(#[$condition])* $name(<$runtime as Runtime>::Semaphore)),+
        }

        pub(super) enum AsyncPermit {
            $($(#[$condition])* $name(
                #[expect(dead_code, reason = "given back when dropped")]
                <<$runtime as Runtime>::Semaphore as Semaphore>::Permit,
            )),+
        }

        impl Stream for AsyncStream {
            async fn read(&mut self, buffer: &mut Buffer) -> io::Result<usize> {
                match self { $($(#[$condition])* Self::$name(inner) => Stream::read(inner, buffer).await),+ }
            }

            async fn write_all(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
                match self { $($(#[$condition])* Self::$name(inner) => Stream::write_all(inner, bytes).await),+ }
            }

            async fn transfer(&mut self, bytes: &[u8], buffer: &mut Buffer) -> io::Result<Moved> {
                match self { $($(#[$condition])* Self::$name(inner) => Stream::transfer(inner, bytes, buffer).await),+ }
            }

            fn is_stale(&self) -> bool {
                match self { $($(#[$condition])* Self::$name(inner) => Stream::is_stale(inner)),+ }
            }
        }

        impl Listener<AsyncStream> for AsyncListener {
            async fn accept(&mut self) -> io::Result<AsyncStream> {
                match self {
                    $($(#[$condition])* Self::$name(inner) => Listener::accept(inner).await.map(AsyncStream::$name)),+
                }
            }

            fn local_address(&self) -> io::Result<SocketAddr> {
                match self { $($(#[$condition])* Self::$name(inner) => Listener::local_address(inner)),+ }
            }
        }

        impl File for AsyncFile {
            async fn read_at(
                &mut self,
                offset: u64,
                length: usize,
                bytes: &mut Vec<u8>,
            ) -> io::Result<()> {
                match self {
                    $($(#[$condition])* Self::$name(inner) => File::read_at(inner, offset, length, bytes).await),+
                }
            }

            async fn write_all(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
                match self { $($(#[$condition])* Self::$name(inner) => File::write_all(inner, bytes).await),+ }
            }

            async fn sync_all(&mut self) -> io::Result<()> {
                match self { $($(#[$condition])* Self::$name(inner) => File::sync_all(inner).await),+ }
            }
        }

        impl<T: Send + 'static> Task<T> for AsyncTask<T> {
            async fn join(self) -> Result<T, TaskError> {
                match self { $($(#[$condition])* Self::$name(inner) => Task::join(inner).await),+ }
            }

            async fn cancel(self) -> Option<T> {
                match self { $($(#[$condition])* Self::$name(inner) => Task::cancel(inner).await),+ }
            }
        }

        impl<T: Send + 'static> Clone for AsyncSender<T> {
            fn clone(&self) -> Self {
                match self { $($(#[$condition])* Self::$name(inner) => Self::$name(inner.clone())),+ }
            }
        }

        impl<T: Send + 'static> Sender<T> for AsyncSender<T> {
            async fn send(&self, item: T) -> Result<(), Closed> {
                match self { $($(#[$condition])* Self::$name(inner) => Sender::send(inner, item).await),+ }
            }
        }

        impl<T: Send + 'static> Clone for AsyncReceiver<T> {
            fn clone(&self) -> Self {
                match self { $($(#[$condition])* Self::$name(inner) => Self::$name(inner.clone())),+ }
            }
        }

        impl<T: Send + 'static> Receiver<T> for AsyncReceiver<T> {
            async fn receive(&self) -> Option<T> {
                match self { $($(#[$condition])* Self::$name(inner) => Receiver::receive(inner).await),+ }
            }
        }

        impl Semaphore for AsyncSemaphore {
            type Permit = AsyncPermit;

            async fn acquire(&self) -> AsyncPermit {
                match self {
                    $($(#[$condition])* Self::$name(inner) => AsyncPermit::$name(Semaphore::acquire(inner).await)),+
                }
            }
        }

        impl Runtime for AsyncRuntime {
            type Stream = AsyncStream;
            type Listener = AsyncListener;
            type File = AsyncFile;
            type Task<T: Send + 'static> = AsyncTask<T>;
            type Sender<T: Send + 'static> = AsyncSender<T>;
            type Receiver<T: Send + 'static> = AsyncReceiver<T>;
            type Semaphore = AsyncSemaphore;

            fn block_on<F: Future>(&self, future: F) -> F::Output {
                match self { $($(#[$condition])* Self::$name(inner) => inner.block_on(future)),+ }
            }

            fn sessions(&self, requested: NonZeroU32) -> NonZeroU32 {
                match self { $($(#[$condition])* Self::$name(inner) => inner.sessions(requested)),+ }
            }

            fn worker_threads(&self, sessions: NonZeroU32) -> u32 {
                match self { $($(#[$condition])* Self::$name(inner) => inner.worker_threads(sessions)),+ }
            }

            fn facts(&self) -> BTreeMap<String, String> {
                match self { $($(#[$condition])* Self::$name(inner) => inner.facts()),+ }
            }

            fn steps_per_turn(&self, alone: bool) -> Option<NonZeroU32> {
                match self { $($(#[$condition])* Self::$name(inner) => inner.steps_per_turn(alone)),+ }
            }

            async fn run_sessions<T: Send + 'static>(
                &self,
                sessions: Vec<BoxFuture<'static, T>>,
            ) -> Result<Vec<T>, TaskError> {
                match self { $($(#[$condition])* Self::$name(inner) => inner.run_sessions(sessions).await),+ }
            }

            async fn give_way(&self) {
                match self { $($(#[$condition])* Self::$name(inner) => inner.give_way().await),+ }
            }

            async fn wait_for<T, F>(&self, poll: F) -> T
            where
                T: Send,
                F: FnMut(&mut Context<'_>) -> Poll<T> + Send,
            {
                match self { $($(#[$condition])* Self::$name(inner) => inner.wait_for(poll).await),+ }
            }

            async fn connect(&self, address: &PeerAddress) -> io::Result<AsyncStream> {
                match self {
                    $($(#[$condition])* Self::$name(inner) => inner.connect(address).await.map(AsyncStream::$name)),+
                }
            }

            async fn listen(&self, address: SocketAddr) -> io::Result<AsyncListener> {
                match self {
                    $($(#[$condition])* Self::$name(inner) => inner.listen(address).await.map(AsyncListener::$name)),+
                }
            }

            async fn open(&self, path: &Path, mode: OpenMode) -> io::Result<AsyncFile> {
                match self {
                    $($(#[$condition])* Self::$name(inner) => inner.open(path, mode).await.map(AsyncFile::$name)),+
                }
            }

            async fn read_file(&self, path: &Path, contents: &mut Vec<u8>) -> io::Result<()> {
                match self { $($(#[$condition])* Self::$name(inner) => inner.read_file(path, contents).await),+ }
            }

            async fn list_directory(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
                match self { $($(#[$condition])* Self::$name(inner) => inner.list_directory(path).await),+ }
            }

            async fn sleep_until(&self, due: Instant) {
                match self { $($(#[$condition])* Self::$name(inner) => inner.sleep_until(due).await),+ }
            }

            async fn timeout<F>(&self, limit: Duration, future: F) -> Result<F::Output, Elapsed>
            where
                F: Future + Send,
                F::Output: Send,
            {
                match self { $($(#[$condition])* Self::$name(inner) => inner.timeout(limit, future).await),+ }
            }

            fn spawn<F>(&self, future: F) -> AsyncTask<F::Output>
            where
                F: Future + Send + 'static,
                F::Output: Send + 'static,
            {
                match self { $($(#[$condition])* Self::$name(inner) => AsyncTask::$name(inner.spawn(future))),+ }
            }

            async fn offload<T, W>(&self, work: W) -> Result<T, TaskError>
            where
                T: Send + 'static,
                W: FnOnce() -> T + Send + 'static,
            {
                match self { $($(#[$condition])* Self::$name(inner) => inner.offload(work).await),+ }
            }

            fn channel<T: Send + 'static>(
                &self,
                capacity: NonZeroU32,
            ) -> (AsyncSender<T>, AsyncReceiver<T>) {
                match self {
                    $($(#[$condition])* Self::$name(inner) => {
                        let (sender, receiver) = inner.channel(capacity);
                        (AsyncSender::$name(sender), AsyncReceiver::$name(receiver))
                    })+
                }
            }

            fn semaphore(&self, permits: NonZeroU32) -> AsyncSemaphore {
                match self {
                    $($(#[$condition])* Self::$name(inner) => AsyncSemaphore::$name(inner.semaphore(permits))),+
                }
            }
        }
    };
}

async_runtimes![
    Tokio(super::tokio::Tokio),
    AsyncStd(super::async_std::AsyncStd),
    Smol(super::smol::Smol),
    Epoll(super::floor::Floor<super::epoll::Epoll>),
    #[cfg(feature = "compio")]
    Compio(super::compio::Compio),
    #[cfg(feature = "uring")]
    Uring(super::floor::Floor<super::uring::Uring>),
];
