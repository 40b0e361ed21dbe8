//! The runtime of blocking calls behind `sync`, `threads` and `pool`: sockets, files, deadlines, and the one-poll driver.
//!
//! Every operation blocks the calling thread until it is done, so a future made of them is ready at its first poll.
//! Deadlines are what a user of blocking sockets does by hand: [`timeout`] leaves a deadline in a thread-local, blocking
//! calls wait no longer than it (`SO_RCVTIMEO` and friends), and one that reaches it stays pending; the driver in
//! `timeout` takes that as the signal and drops the future where it stands, exactly as an async timeout does. Pending
//! without a deadline is a bug, and panics. Threads wait for one another in `waiting`; the three differ in how they spawn
//! ([`Spawner`]), which is in their own files.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::Future;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU32;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::buffer::Buffer;
use crate::runtime::{self, BoxFuture, Elapsed, OpenMode, Runtime, TaskError, spawn_all};

mod waiting;

pub(super) use waiting::Monitor;
use waiting::{Receiver, Semaphore, Sender, channel, wait_for};

use super::pool::{Pool, PoolTask};
use super::threads::ThreadTask;

thread_local! {
    /// Until when the calling thread may block; the nearest of all `timeout`s around it.
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Runs a future made of blocking calls to its end.
fn run_to_end<F: Future>(future: F) -> F::Output {
    match poll_once(pin!(future)) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a future of blocking calls was pending without a deadline"),
    }
}

/// As [`run_to_end`], free of the caller's deadline: a spawned part has its own life.
fn run_without_deadline<F: Future>(future: F) -> F::Output {
    let _restored_at_the_end = DeadlineScope::enter(None);
    run_to_end(future)
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Sets the thread's deadline, and the one before again when dropped (also by a panic).
struct DeadlineScope {
    outer: Option<Instant>,
}

impl DeadlineScope {
    fn enter(deadline: Option<Instant>) -> Self {
        Self {
            outer: DEADLINE.replace(deadline),
        }
    }
}

impl Drop for DeadlineScope {
    fn drop(&mut self) {
        DEADLINE.set(self.outer);
    }
}

async fn timeout<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    let Some(due) = Instant::now().checked_add(limit) else {
        return Ok(future.await); // Beyond the end of time: the deadlines further out, if any, still hold.
    };
    let outer = DEADLINE.get();
    let polled = {
        let nearest = outer.map_or(due, |outer| outer.min(due));
        let _restored_at_the_end = DeadlineScope::enter(Some(nearest));
        // The future is dropped here if it did not finish: its cleanup runs before anybody hears of the timeout.
        poll_once(pin!(future))
    };
    match polled {
        Poll::Ready(output) => Ok(output),
        Poll::Pending if outer.is_some_and(|outer| outer < due) => std::future::pending().await,
        Poll::Pending => Err(Elapsed),
    }
}

/// How long a call may still block: `Ok(None)` for ever, `Err` when the deadline has passed.
fn patience() -> Result<Option<Duration>, Elapsed> {
    let Some(deadline) = DEADLINE.get() else {
        return Ok(None);
    };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(Elapsed)
    } else {
        Ok(Some(left))
    }
}

async fn sleep_until(due: Instant) {
    loop {
        let now = Instant::now();
        let wake = DEADLINE.get().map_or(due, |deadline| deadline.min(due));
        if now < wake {
            std::thread::sleep(wake - now);
        } else if wake < due {
            std::future::pending::<()>().await;
        } else {
            return;
        }
    }
}

/// A blocking TCP connection.
#[derive(Debug)]
pub(super) struct Stream {
    socket: TcpStream,
    /// The socket's read timeout as it is set now.
    read_timeout: Option<Duration>,
    /// The socket's write timeout as it is set now.
    write_timeout: Option<Duration>,
}

impl Stream {
    fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        Ok(Self {
            socket,
            read_timeout: None,
            write_timeout: None,
        })
    }

    fn read_once(&mut self, spare: &mut [u8]) -> Result<io::Result<usize>, Elapsed> {
        blocking_call(
            || {
                arm(&mut self.read_timeout, |limit| {
                    self.socket.set_read_timeout(limit)
                })
            },
            || (&self.socket).read(spare),
        )
    }

    fn write_once(&mut self, bytes: &[u8]) -> Result<io::Result<usize>, Elapsed> {
        blocking_call(
            || {
                arm(&mut self.write_timeout, |limit| {
                    self.socket.set_write_timeout(limit)
                })
            },
            || (&self.socket).write(bytes),
        )
    }
}

/// Calls `io` until it neither is interrupted nor runs into the socket's timeout before the thread's deadline.
fn blocking_call(
    mut arm: impl FnMut() -> Result<io::Result<()>, Elapsed>,
    mut io: impl FnMut() -> io::Result<usize>,
) -> Result<io::Result<usize>, Elapsed> {
    loop {
        if let Err(error) = arm()? {
            return Ok(Err(error));
        }
        match io() {
            Err(error) if may_be_repeated(&error) => {}
            result => return Ok(result),
        }
    }
}

/// Makes the socket's timeout fit the thread's deadline; `Err(Elapsed)` when that has passed.
///
/// The timeout may be shorter than what is left (a call that runs into it is made again), never longer. So one that was
/// set for an earlier operation serves the next one with the same limit too: a deadline costs a system call in the first
/// operation, as with those who set it by hand once per connection, and none after that.
fn arm(
    timeout: &mut Option<Duration>,
    set: impl FnOnce(Option<Duration>) -> io::Result<()>,
) -> Result<io::Result<()>, Elapsed> {
    let fitting = match (patience()?, *timeout) {
        (None, None) => return Ok(Ok(())),
        (Some(left), Some(now)) if now <= left && left / 2 <= now => return Ok(Ok(())),
        // A little less than what is left, so that it fits the next operation's slightly shorter rest as well.
        (Some(left), _) => Some((left - left / 8).max(Duration::from_micros(1))),
        (None, Some(_)) => None,
    };
    *timeout = fitting;
    Ok(set(fitting))
}

/// Gives up, as far as the future is concerned, once the deadline has passed: `timeout` sees it pending and drops it.
async fn unless_elapsed<T>(result: Result<T, Elapsed>) -> T {
    match result {
        Ok(output) => output,
        Err(Elapsed) => std::future::pending().await,
    }
}

fn may_be_repeated(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut
    )
}

impl runtime::Stream for Stream {
    async fn read(&mut self, buffer: &mut Buffer) -> io::Result<usize> {
        let count = unless_elapsed(self.read_once(buffer.spare())).await?;
        buffer.commit(count);
        Ok(count)
    }

    async fn write_all(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let mut written = 0;
        while written < bytes.len() {
            let count = unless_elapsed(self.write_once(&bytes[written..])).await?;
            if count == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
            written += count;
        }
        Ok(())
    }
}

async fn connect(address: SocketAddr) -> io::Result<Stream> {
    let socket = match unless_elapsed(patience()).await {
        None => TcpStream::connect(address),
        Some(left) => match TcpStream::connect_timeout(&address, left) {
            Err(error) if error.kind() == ErrorKind::TimedOut && patience().is_err() => {
                std::future::pending().await
            }
            result => result,
        },
    };
    Stream::new(socket?)
}

/// A blocking listener.
#[derive(Debug)]
pub(super) struct Listener {
    socket: TcpListener,
}

impl Listener {
    /// Waits until a connection is there or the deadline has passed.
    async fn wait_readable(&self) -> io::Result<()> {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        use std::os::fd::AsFd as _;
        while let Some(left) = unless_elapsed(patience()).await {
            let left_ms =
                PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
            let mut watched = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            match poll(&mut watched, left_ms) {
                Ok(0) | Err(nix::errno::Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}

impl runtime::Listener<Stream> for Listener {
    async fn accept(&mut self) -> io::Result<Stream> {
        self.wait_readable().await?;
        loop {
            match self.socket.accept() {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return Stream::new(result?.0),
            }
        }
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// A file of the standard library.
#[derive(Debug)]
pub(super) struct File {
    file: std::fs::File,
}

impl runtime::File for File {
    async fn read_at(&mut self, offset: u64, length: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
        bytes.resize(length, 0);
        self.file.read_exact_at(bytes, offset)
    }

    async fn write_all(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    async fn sync_all(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }
}

/// True if the thread has a deadline now.
pub(super) fn has_deadline() -> bool {
    DEADLINE.get().is_some()
}

/// Stack of each thread that runs sessions, in bytes: explicit, since 8 MiB of address space for each of thousands of
/// threads, and a default that differs between systems, would both spoil a comparison.
pub(super) const STACK_BYTES: usize = 256 * 1024;

/// A thread with the explicit stack.
pub(super) fn start_thread(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK_BYTES)
        .spawn(work)
}

/// A runtime of blocking calls. Three of those under comparison are of this one type, so that workloads are compiled
/// once for all three.
#[derive(Clone)]
pub(super) struct Blocking {
    spawner: Spawner,
}

/// The difference between blocking runtimes.
#[derive(Clone)]
pub(super) enum Spawner {
    /// On the spot: `sync`.
    Inline,
    /// A thread each: `threads`.
    Threads,
    /// A queue served by a fixed number of threads: `pool`.
    Pool(Pool),
}

impl Blocking {
    pub(super) fn new(spawner: Spawner) -> Self {
        Self { spawner }
    }
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

    /// Only a part that has ended by itself can be "cancelled": the others are waited for.
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

    fn sessions(&self, asked: NonZeroU32) -> NonZeroU32 {
        match self.spawner {
            Spawner::Inline => NonZeroU32::MIN,
            Spawner::Threads | Spawner::Pool(_) => asked,
        }
    }

    fn worker_threads(&self, sessions: NonZeroU32) -> u32 {
        match &self.spawner {
            Spawner::Inline => 1,
            Spawner::Threads => sessions.get(),
            Spawner::Pool(pool) => pool.threads(),
        }
    }

    fn facts(&self) -> BTreeMap<String, String> {
        match self.spawner {
            Spawner::Inline => BTreeMap::new(),
            Spawner::Threads | Spawner::Pool(_) => {
                BTreeMap::from([("stack_bytes".to_owned(), STACK_BYTES.to_string())])
            }
        }
    }

    /// A pool takes the next operation from its queue after each one; the system schedules threads.
    fn steps_per_turn(&self, _: bool) -> Option<NonZeroU32> {
        match self.spawner {
            Spawner::Inline | Spawner::Threads => None,
            Spawner::Pool(_) => Some(NonZeroU32::MIN),
        }
    }

    async fn run_sessions<T: Send + 'static>(
        &self,
        sessions: Vec<BoxFuture<'static, T>>,
    ) -> Result<Vec<T>, TaskError> {
        match &self.spawner {
            Spawner::Pool(pool) => pool.run_sessions(sessions).await,
            Spawner::Inline | Spawner::Threads => spawn_all(self, sessions).await,
        }
    }

    async fn give_way(&self) {}

    async fn wait_for<T, F>(&self, poll: F) -> T
    where
        T: Send,
        F: FnMut(&mut Context<'_>) -> Poll<T> + Send,
    {
        wait_for(poll).await
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Stream> {
        connect(address).await
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<Listener> {
        let socket = super::listen::listener(address, false)?;
        Ok(Listener { socket })
    }

    async fn open(&self, path: &Path, mode: OpenMode) -> io::Result<File> {
        let mut options = std::fs::OpenOptions::new();
        match mode {
            OpenMode::Read => options.read(true),
            OpenMode::Create => options.write(true).create(true).truncate(true),
            OpenMode::Append => options.append(true).create(true),
        };
        Ok(File {
            file: options.open(path)?,
        })
    }

    async fn read_file(&self, path: &Path, contents: &mut Vec<u8>) -> io::Result<()> {
        contents.clear();
        std::fs::File::open(path)?.read_to_end(contents)?;
        Ok(())
    }

    async fn list_directory(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(path)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect()
    }

    async fn sleep_until(&self, due: Instant) {
        sleep_until(due).await;
    }

    async fn timeout<F>(&self, limit: Duration, future: F) -> Result<F::Output, Elapsed>
    where
        F: Future + Send,
        F::Output: Send,
    {
        timeout(limit, future).await
    }

    fn spawn<F>(&self, future: F) -> BlockingTask<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let work = move || run_without_deadline(future);
        match &self.spawner {
            Spawner::Inline => BlockingTask::Inline(super::panics::catch(work)),
            Spawner::Threads => BlockingTask::Thread(ThreadTask::start(Box::new(work))),
            Spawner::Pool(pool) => BlockingTask::Pooled(pool.spawn(Box::new(work))),
        }
    }

    async fn offload<T, W>(&self, work: W) -> Result<T, TaskError>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        // The calling thread is made for blocking: handing the work to another one would only add a switch.
        super::panics::catch(work)
    }

    fn channel<T: Send + 'static>(&self, capacity: NonZeroU32) -> (Sender<T>, Receiver<T>) {
        channel(capacity.get() as usize)
    }

    fn semaphore(&self, permits: NonZeroU32) -> Semaphore {
        Semaphore::new(permits.get())
    }
}
