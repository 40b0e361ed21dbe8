//! Blocking threads waiting for one another: a parker, a channel, a monitor, and a semaphore built on it.
//!
//! All of them wait until the thread's deadline (`deadline`) at most, and stay pending beyond it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use super::deadline::{DEADLINE, patience, unless_elapsed};
use crate::runtime::{self, Closed, Elapsed};

/// A thread that waits to be woken through a `Waker`.
struct Parker {
    thread: Thread,
    /// Set since it last parked: a park may also end spuriously, or by a wake meant for an earlier wait.
    woken: AtomicBool,
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

thread_local! {
    /// The thread's parker and its waker: created once, so that waiting does not allocate.
    static PARKER: (Arc<Parker>, Waker) = {
        let parker = Arc::new(Parker {
            thread: thread::current(),
            woken: AtomicBool::new(false),
        });
        (Arc::clone(&parker), Waker::from(parker))
    };
}

/// Parks the thread until `poll` is ready; pending forever once the thread's deadline has passed.
pub(in crate::runtimes) async fn wait_for<T>(poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    unless_elapsed(park_until_ready(poll)).await
}

fn park_until_ready<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Result<T, Elapsed> {
    PARKER.with(|(parker, waker)| {
        let mut context = Context::from_waker(waker);
        loop {
            if let Poll::Ready(value) = poll(&mut context) {
                return Ok(value);
            }
            while !parker.woken.swap(false, Ordering::Acquire) {
                match patience()? {
                    None => thread::park(),
                    Some(left) => thread::park_timeout(left),
                }
            }
        }
    })
}

/// A queue between blocking threads.
#[derive(Debug)]
pub(in crate::runtimes) struct Sender<T>(crossbeam_channel::Sender<T>);

/// The receiving end of [`Sender`].
#[derive(Debug)]
pub(in crate::runtimes) struct Receiver<T>(crossbeam_channel::Receiver<T>);

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

pub(in crate::runtimes) fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = crossbeam_channel::bounded(capacity);
    (Sender(sender), Receiver(receiver))
}

impl<T: Send + 'static> runtime::Sender<T> for Sender<T> {
    async fn send(&self, item: T) -> Result<(), Closed> {
        let Some(deadline) = DEADLINE.get() else {
            return self.0.send(item).map_err(|_| Closed);
        };
        match self.0.send_deadline(item, deadline) {
            Ok(()) => Ok(()),
            Err(crossbeam_channel::SendTimeoutError::Disconnected(_)) => Err(Closed),
            Err(crossbeam_channel::SendTimeoutError::Timeout(_)) => std::future::pending().await,
        }
    }
}

impl<T: Send + 'static> runtime::Receiver<T> for Receiver<T> {
    async fn receive(&self) -> Option<T> {
        let Some(deadline) = DEADLINE.get() else {
            return self.0.recv().ok();
        };
        match self.0.recv_deadline(deadline) {
            Ok(item) => Some(item),
            Err(crossbeam_channel::RecvTimeoutError::Disconnected) => None,
            Err(crossbeam_channel::RecvTimeoutError::Timeout) => std::future::pending().await,
        }
    }
}

/// A mutex and a condition variable: waits for a value to change, until the deadline at most.
#[derive(Debug, Default)]
pub(in crate::runtimes) struct Monitor<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Monitor<T> {
    pub(in crate::runtimes) fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            changed: Condvar::new(),
        }
    }

    /// Locks the value. A panic elsewhere leaves it valid: it is only ever replaced as a whole.
    pub(in crate::runtimes) fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::runtimes) fn notify_one(&self) {
        self.changed.notify_one();
    }

    pub(in crate::runtimes) fn notify_all(&self) {
        self.changed.notify_all();
    }

    /// Waits, blocking, until `take` returns something, on a thread that has no deadline.
    pub(in crate::runtimes) fn wait<U>(&self, take: impl FnMut(&mut T) -> Option<U>) -> U {
        let taken = self.wait_or_elapse(take);
        taken.expect("without a deadline, waiting never elapses")
    }

    /// Like [`Monitor::wait`], but pending forever once the thread's deadline has passed.
    pub(in crate::runtimes) async fn wait_until_deadline<U>(
        &self,
        take: impl FnMut(&mut T) -> Option<U>,
    ) -> U {
        unless_elapsed(self.wait_or_elapse(take)).await
    }

    fn wait_or_elapse<U>(&self, mut take: impl FnMut(&mut T) -> Option<U>) -> Result<U, Elapsed> {
        let mut value = self.lock();
        loop {
            if let Some(taken) = take(&mut value) {
                return Ok(taken);
            }
            value = match patience()? {
                None => self
                    .changed
                    .wait(value)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    self.changed
                        .wait_timeout(value, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
    }
}

/// A counting semaphore made of a mutex and a condition variable.
#[derive(Clone, Debug)]
pub(in crate::runtimes) struct Semaphore {
    permits: Arc<Monitor<u32>>,
}

#[derive(Debug)]
pub(in crate::runtimes) struct Permit {
    permits: Arc<Monitor<u32>>,
}

impl Semaphore {
    pub(in crate::runtimes) fn new(permits: u32) -> Self {
        Self {
            permits: Arc::new(Monitor::new(permits)),
        }
    }
}

impl runtime::Semaphore for Semaphore {
    type Permit = Permit;

    async fn acquire(&self) -> Permit {
        let take_one = |permits: &mut u32| {
            *permits = permits.checked_sub(1)?;
            Some(())
        };
        self.permits.wait_until_deadline(take_one).await;
        Permit {
            permits: Arc::clone(&self.permits),
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *self.permits.lock() += 1;
        self.permits.notify_one();
    }
}
