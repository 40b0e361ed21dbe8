//! One queue of operations and spawned parts, served by a fixed number of threads.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;

use super::deadline::has_deadline;
use super::thread::start_thread;
use super::waiting::Monitor;
use crate::runtime::{BoxFuture, TaskError};
use crate::runtimes::panics;

/// A handle to the queue and its threads.
#[derive(Clone)]
pub(in crate::runtimes) struct PoolQueue {
    inner: Arc<Inner>,
}

struct Inner {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
        for thread in self.threads.drain(..) {
            // The last handle may be dropped by a job, on a pool thread, which cannot join itself.
            if thread.thread().id() != std::thread::current().id() {
                thread
                    .join()
                    .expect("pool threads catch the panics of their jobs");
            }
        }
    }
}

/// The queue of operations and parts.
#[derive(Default)]
struct Queue {
    state: Monitor<QueueState>,
}

#[derive(Default)]
struct QueueState {
    waiting: VecDeque<Box<dyn Job>>,
    closed: bool,
}

/// Something a pool thread takes from the queue: a step of a session, or a spawned part.
trait Job: Send {
    /// Runs the job; a job that it returns goes to the end of the queue.
    fn run(self: Box<Self>) -> Option<Box<dyn Job>>;
}

impl Queue {
    fn push(&self, job: Box<dyn Job>) {
        self.state.lock().waiting.push_back(job);
        self.state.notify_one();
    }

    fn close(&self) {
        self.state.lock().closed = true;
        self.state.notify_all();
    }

    fn serve(&self) {
        ON_POOL_THREAD.set(true);
        let next_or_end = |state: &mut QueueState| match state.waiting.pop_front() {
            Some(job) => Some(Some(job)),
            None => state.closed.then_some(None),
        };
        let mut next = self.state.wait(next_or_end);
        while let Some(job) = next {
            next = match job.run() {
                Some(again) => Some(self.exchange(again)),
                None => self.state.wait(next_or_end),
            };
        }
    }

    /// Appends `again` and takes the first job in one step: the queue keeps its length, so no thread needs to be woken.
    fn exchange(&self, again: Box<dyn Job>) -> Box<dyn Job> {
        let mut state = self.state.lock();
        match state.waiting.pop_front() {
            Some(front) => {
                state.waiting.push_back(again);
                front
            }
            None => again,
        }
    }
}

thread_local! {
    static ON_POOL_THREAD: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// A session in the queue, one operation at a time. The same box is queued again and again: no allocation per
/// operation.
struct PooledSession<T> {
    session: BoxFuture<'static, T>,
    index: usize,
    finished: Arc<Monitor<Vec<Finished<T>>>>,
}

/// The index of a session that has ended, and its result.
type Finished<T> = (usize, Result<T, TaskError>);

impl<T: Send + 'static> Job for PooledSession<T> {
    /// One poll is one operation: the session is pending between two operations, and only then.
    fn run(mut self: Box<Self>) -> Option<Box<dyn Job>> {
        let mut context = Context::from_waker(Waker::noop());
        let result = match panics::catch(|| self.session.as_mut().poll(&mut context)) {
            Ok(Poll::Pending) => return Some(self),
            Ok(Poll::Ready(output)) => Ok(output),
            Err(error) => Err(error),
        };
        self.finished.lock().push((self.index, result));
        self.finished.notify_one();
        None
    }
}

/// A spawned part, shared between the queue and the joining thread.
struct Part<T> {
    state: Monitor<PartState<T>>,
}

enum PartState<T> {
    Queued(Box<dyn FnOnce() -> T + Send>),
    Running,
    Done(Result<T, TaskError>),
}

impl<T: Send + 'static> Part<T> {
    fn is_queued(&self) -> bool {
        matches!(*self.state.lock(), PartState::Queued(_))
    }

    /// Runs it on this thread unless another thread has started it.
    fn run_if_queued(&self) {
        let work = {
            let mut state = self.state.lock();
            match std::mem::replace(&mut *state, PartState::Running) {
                PartState::Queued(work) => work,
                begun => {
                    *state = begun;
                    return;
                }
            }
        };
        let result = panics::catch(work);
        *self.state.lock() = PartState::Done(result);
        self.state.notify_all();
    }
}

impl<T: Send + 'static> Job for Arc<Part<T>> {
    fn run(self: Box<Self>) -> Option<Box<dyn Job>> {
        self.run_if_queued();
        None
    }
}

/// A spawned part of a pool.
pub(in crate::runtimes) struct PoolTask<T> {
    part: Arc<Part<T>>,
}

impl<T: Send + 'static> PoolTask<T> {
    pub(super) async fn join(self) -> Result<T, TaskError> {
        if ON_POOL_THREAD.get() {
            self.run_or_substitute();
        }
        let take_result =
            |state: &mut PartState<T>| match std::mem::replace(state, PartState::Running) {
                PartState::Done(result) => Some(result),
                unfinished => {
                    *state = unfinished;
                    None
                }
            };
        self.part.state.wait_until_deadline(take_result).await
    }

    /// Has a part run that is still queued: here, or under a deadline, when this thread must be able to stop waiting, on a
    /// substitute. No more threads work than before, since this one waits.
    fn run_or_substitute(&self) {
        if !has_deadline() {
            self.part.run_if_queued();
        } else if self.part.is_queued() {
            let part = Arc::clone(&self.part);
            let work = move || {
                ON_POOL_THREAD.set(true);
                part.run_if_queued();
            };
            // If the system refuses, the part waits for a thread of the pool.
            let _ = start_thread("pool", Box::new(work));
        }
    }
}

impl PoolQueue {
    /// Starts `threads` threads that serve the queue.
    pub(in crate::runtimes) fn start(threads: u32) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let handles: io::Result<Vec<_>> = (0..threads)
            .map(|_| {
                let queue = Arc::clone(&queue);
                start_thread("pool", Box::new(move || queue.serve()))
            })
            .collect();
        match handles {
            Ok(threads) => Ok(Self {
                inner: Arc::new(Inner { queue, threads }),
            }),
            Err(error) => {
                queue.close();
                Err(error)
            }
        }
    }

    pub(super) fn threads(&self) -> u32 {
        u32::try_from(self.inner.threads.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn spawn<T: Send + 'static>(
        &self,
        work: Box<dyn FnOnce() -> T + Send>,
    ) -> PoolTask<T> {
        let part = Arc::new(Part {
            state: Monitor::new(PartState::Queued(work)),
        });
        self.inner.queue.push(Box::new(Arc::clone(&part)));
        PoolTask { part }
    }

    /// Runs sessions one operation at a time, and returns their results in order.
    pub(super) async fn run_sessions<T: Send + 'static>(
        &self,
        sessions: Vec<BoxFuture<'static, T>>,
    ) -> Result<Vec<T>, TaskError> {
        let expected = sessions.len();
        let finished = Arc::new(Monitor::new(Vec::with_capacity(expected)));
        for (index, session) in sessions.into_iter().enumerate() {
            self.inner.queue.push(Box::new(PooledSession {
                session,
                index,
                finished: Arc::clone(&finished),
            }));
        }
        let mut finished = finished
            .wait_until_deadline(|finished: &mut Vec<Finished<T>>| {
                (finished.len() == expected).then(|| std::mem::take(finished))
            })
            .await;
        finished.sort_by_key(|(index, _)| *index);
        finished.into_iter().map(|(_, result)| result).collect()
    }
}
