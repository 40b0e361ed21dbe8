//! A runtime that breaks one promise, and a wrapper that runs any workload on it.
//!
//! Everything else is delegated to a real runtime: the semaphore really has one permit too many, the channel really loses
//! an item. Each broken promise has the same effect as a broken workload, so a check that detects one detects the other.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use photofinish_harness::runtime::{
    Capability, Closed, Elapsed, File, OpenMode, PeerAddress, Receiver, Runtime, Sender, Task,
    TaskError,
};
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The broken promise.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub(crate) enum Promise {
    #[default]
    None,
    /// A semaphore has one permit too many.
    Permits,
    /// A channel has a hundred times its capacity.
    Capacity,
    /// A channel loses its first item.
    ItemLost,
    /// A channel returns its first item twice, if it is a number.
    ItemDoubled,
    /// A channel returns its second item before its first.
    ItemsSwapped,
    /// A spawned task never runs.
    TaskLost,
    /// The number that a task returns is changed.
    ResultChanged,
    /// The message of a panic is changed.
    MessageChanged,
    /// A cancelled task continues.
    CancelSkipped,
    /// Cancelling waits for the task's regular end.
    CancelWaits,
    /// A sleep ends after half of its time.
    WokenEarly,
    /// A timeout is a hundred times as long.
    DeadlineIgnored,
    /// A timeout expires after a third of its time.
    DeadlineEarly,
    /// A file is read without its last byte.
    ReadShort,
    /// A file is not read at all.
    ReadSkipped,
    /// A file is read at another offset.
    ReadElsewhere,
    /// A write is lost.
    WriteLost,
    /// A sync fails.
    SyncFails,
    /// An entry of a directory is missing.
    EntryLost,
}

#[derive(Clone, Debug)]
pub(crate) struct Breaking<R> {
    runtime: R,
    broken: Promise,
}

impl<R: Runtime> Runtime for Breaking<R> {
    type Stream = R::Stream;
    type Listener = R::Listener;
    type File = BrokenFile<R::File>;
    type Task<T: Send + 'static> = BrokenTask<R::Task<T>>;
    type Sender<T: Send + 'static> = BrokenSender<R::Sender<T>>;
    type Receiver<T: Send + 'static> = BrokenReceiver<R::Receiver<T>, T>;
    type Semaphore = R::Semaphore;

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    fn worker_threads(&self, sessions: NonZeroU32) -> u32 {
        self.runtime.worker_threads(sessions)
    }

    fn facts(&self) -> BTreeMap<String, String> {
        self.runtime.facts()
    }

    fn connect(
        &self,
        address: &PeerAddress,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send {
        self.runtime.connect(address)
    }

    fn listen(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::Listener>> + Send {
        self.runtime.listen(address)
    }

    async fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Self::File> {
        Ok(BrokenFile {
            file: self.runtime.open(path, mode).await?,
            broken: self.broken,
        })
    }

    async fn read_file(&self, path: &Path, contents: &mut Vec<u8>) -> io::Result<()> {
        if self.broken == Promise::ReadSkipped {
            return Ok(());
        }
        self.runtime.read_file(path, contents).await?;
        if self.broken == Promise::ReadShort {
            contents.pop();
        }
        Ok(())
    }

    async fn list_directory(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut entries = self.runtime.list_directory(path).await?;
        if self.broken == Promise::EntryLost {
            entries.pop();
        }
        Ok(entries)
    }

    fn sleep_until(&self, due: Instant) -> impl Future<Output = ()> + Send {
        let left = due.saturating_duration_since(Instant::now());
        let due = match self.broken {
            Promise::WokenEarly => due - left / 2,
            _ => due,
        };
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
        let limit = match self.broken {
            Promise::DeadlineIgnored => limit * 100,
            Promise::DeadlineEarly => limit / 3,
            _ => limit,
        };
        self.runtime.timeout(limit, future)
    }

    fn spawn<F>(&self, future: F) -> Self::Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let runs = self.broken != Promise::TaskLost;
        BrokenTask {
            task: runs.then(|| self.runtime.spawn(future)),
            broken: self.broken,
        }
    }

    async fn offload<T, W>(&self, work: W) -> Result<T, TaskError>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let done = self.runtime.offload(work).await?;
        Ok(self.broken.result(done))
    }

    fn channel<T: Send + 'static>(
        &self,
        capacity: NonZeroU32,
    ) -> (Self::Sender<T>, Self::Receiver<T>) {
        let capacity = match self.broken {
            Promise::Capacity => capacity.saturating_mul(NonZeroU32::new(100).expect("some")),
            _ => capacity,
        };
        let (sender, receiver) = self.runtime.channel(capacity);
        let sender = BrokenSender {
            sender,
            broken: self.broken,
            sent: Arc::default(),
        };
        let receiver = BrokenReceiver {
            receiver,
            broken: self.broken,
            received: Arc::default(),
            held_back: Arc::default(),
        };
        (sender, receiver)
    }

    fn semaphore(&self, permits: NonZeroU32) -> Self::Semaphore {
        let permits = match self.broken {
            Promise::Permits => permits.saturating_add(1),
            _ => permits,
        };
        self.runtime.semaphore(permits)
    }
}

impl Promise {
    /// The result of a task, possibly changed.
    fn result<T: 'static>(self, mut result: T) -> T {
        if let Some(number) = (&mut result as &mut dyn Any).downcast_mut::<u64>()
            && self == Self::ResultChanged
        {
            *number += 1;
        }
        result
    }
}

/// A spawned task; `None` if it was lost.
pub(crate) struct BrokenTask<K> {
    task: Option<K>,
    broken: Promise,
}

impl<T: Send + 'static, K: Task<T>> Task<T> for BrokenTask<K> {
    async fn join(self) -> Result<T, TaskError> {
        let Some(task) = self.task else {
            return Err(TaskError::Cancelled);
        };
        match task.join().await {
            Err(TaskError::Panicked(_)) if self.broken == Promise::MessageChanged => {
                Err(TaskError::Panicked("something went wrong".to_owned()))
            }
            joined => joined.map(|result| self.broken.result(result)),
        }
    }

    async fn cancel(self) -> Option<T> {
        let task = self.task?;
        match self.broken {
            Promise::CancelSkipped => {
                drop(task);
                None
            }
            Promise::CancelWaits => task.join().await.ok(),
            _ => task.cancel().await,
        }
    }
}

#[derive(Clone)]
pub(crate) struct BrokenSender<S> {
    sender: S,
    broken: Promise,
    sent: Arc<AtomicU64>,
}

impl<T: Send + 'static, S: Sender<T>> Sender<T> for BrokenSender<S> {
    async fn send(&self, item: T) -> Result<(), Closed> {
        let is_first = self.sent.fetch_add(1, Ordering::Relaxed) == 0;
        if is_first && self.broken == Promise::ItemLost {
            return Ok(());
        }
        self.sender.send(item).await
    }
}

pub(crate) struct BrokenReceiver<S, T> {
    receiver: S,
    broken: Promise,
    received: Arc<AtomicU64>,
    /// Items to return before the next one.
    held_back: Arc<Mutex<VecDeque<T>>>,
}

impl<S: Clone, T> Clone for BrokenReceiver<S, T> {
    fn clone(&self) -> Self {
        Self {
            receiver: self.receiver.clone(),
            broken: self.broken,
            received: Arc::clone(&self.received),
            held_back: Arc::clone(&self.held_back),
        }
    }
}

impl<T: Send + 'static, S: Receiver<T>> Receiver<T> for BrokenReceiver<S, T> {
    async fn receive(&self) -> Option<T> {
        let held_back = self.hold_back(None);
        if held_back.is_some() {
            return held_back;
        }
        let item = self.receiver.receive().await?;
        let is_first = self.received.fetch_add(1, Ordering::Relaxed) == 0;
        match self.broken {
            Promise::ItemDoubled if is_first => {
                self.hold_back(copied(&item));
                Some(item)
            }
            Promise::ItemsSwapped if is_first => match self.receiver.receive().await {
                Some(second) => {
                    self.hold_back(Some(item));
                    Some(second)
                }
                None => Some(item),
            },
            _ => Some(item),
        }
    }
}

impl<S, T> BrokenReceiver<S, T> {
    /// Stores `item`, or without one returns the oldest stored item.
    fn hold_back(&self, item: Option<T>) -> Option<T> {
        let mut held_back = self.held_back.lock().expect("nothing panics");
        match item {
            Some(item) => {
                held_back.push_back(item);
                None
            }
            None => held_back.pop_front(),
        }
    }
}

/// A copy of the item, if it is a number.
fn copied<T: 'static>(item: &T) -> Option<T> {
    let number: u32 = *(item as &dyn Any).downcast_ref()?;
    let again: Box<dyn Any> = Box::new(number);
    again.downcast().ok().map(|again| *again)
}

pub(crate) struct BrokenFile<F> {
    file: F,
    broken: Promise,
}

impl<F: File> File for BrokenFile<F> {
    fn read_at(
        &mut self,
        offset: u64,
        length: usize,
        bytes: &mut Vec<u8>,
    ) -> impl Future<Output = io::Result<()>> + Send {
        let offset = match self.broken {
            Promise::ReadElsewhere => offset ^ length as u64,
            _ => offset,
        };
        self.file.read_at(offset, length, bytes)
    }

    async fn write_all(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        match self.broken {
            Promise::WriteLost => Ok(()),
            _ => self.file.write_all(bytes).await,
        }
    }

    async fn sync_all(&mut self) -> io::Result<()> {
        match self.broken {
            Promise::SyncFails => Err(io::Error::other("this disk keeps nothing")),
            _ => self.file.sync_all().await,
        }
    }
}

/// A workload on a runtime that breaks a promise.
pub(crate) struct On<W> {
    workload: W,
    broken: Promise,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Params<P: Default> {
    pub(crate) broken: Promise,
    pub(crate) params: P,
}

type Inner<W, R> = Env<Breaking<R>, <W as Workload>::Shared<Breaking<R>>>;

impl<W: Workload> Workload for On<W> {
    const ABOUT: About = W::ABOUT;
    type Params = Params<W::Params>;
    /// The workload's own environment.
    type Shared<R: Runtime> = Inner<W, R>;
    type Session<R: Runtime> = W::Session<Breaking<R>>;

    fn new(params: Self::Params, unit: Duration) -> Result<Self, ParamError> {
        Ok(Self {
            workload: W::new(params.params, unit)?,
            broken: params.broken,
        })
    }

    fn needs(&self) -> &'static [Capability] {
        self.workload.needs()
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<Inner<W, R>, Failure> {
        let runtime = Breaking {
            runtime: env.runtime.clone(),
            broken: self.broken,
        };
        let inner = Env::from(env.under(runtime));
        let shared = self.workload.prepare(&inner).await?;
        Ok(inner.share(shared))
    }

    async fn open<R: Runtime>(
        &self,
        env: &Env<R, Inner<W, R>>,
        index: u32,
    ) -> Result<W::Session<Breaking<R>>, Failure> {
        self.workload.open(&env.shared, index).await
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R, Inner<W, R>>,
        session: &mut W::Session<Breaking<R>>,
        op: u64,
    ) -> Result<(), Failure> {
        self.workload.operate(&env.shared, session, op).await
    }

    async fn close<R: Runtime>(
        &self,
        env: &Env<R, Inner<W, R>>,
        session: &mut W::Session<Breaking<R>>,
    ) {
        self.workload.close(&env.shared, session).await;
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        self.workload.violations(totals)
    }

    async fn finish<R: Runtime>(
        &self,
        env: &Env<R, Inner<W, R>>,
        totals: &Totals,
    ) -> Result<Vec<String>, Failure> {
        self.workload.finish(&env.shared, totals).await
    }
}
