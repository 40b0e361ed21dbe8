//! Deadlines of blocking calls, and the one-poll driver.
//!
//! [`timeout`] leaves a deadline in a thread-local; blocking calls wait no longer than that, and a call that reaches it
//! stays pending. The driver in `timeout` takes that as the signal and drops the future at that point, exactly as an
//! async timeout does. Pending without a deadline is a bug, and panics.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::runtime::Elapsed;

thread_local! {
    /// The calling thread's deadline: the nearest of all enclosing `timeout`s.
    pub(super) static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Runs a future made of blocking calls to completion.
pub(super) fn run_to_end<F: Future>(future: F) -> F::Output {
    match poll_once(pin!(future)) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a future of blocking calls was pending without a deadline"),
    }
}

/// Like [`run_to_end`], without the caller's deadline: a spawned part is independent of it.
pub(super) fn run_without_deadline<F: Future>(future: F) -> F::Output {
    let _restored_at_the_end = DeadlineScope::enter(None);
    run_to_end(future)
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Sets the thread's deadline, and restores the previous one when dropped (also by a panic).
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

pub(super) async fn timeout<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    let Some(due) = Instant::now().checked_add(limit) else {
        return Ok(future.await); // Too far away to represent; outer deadlines, if any, still hold.
    };
    let outer = DEADLINE.get();
    let polled = {
        let nearest = outer.map_or(due, |outer| outer.min(due));
        let _restored_at_the_end = DeadlineScope::enter(Some(nearest));
        // The future is dropped here if it did not finish: its cleanup runs before the caller sees the timeout.
        poll_once(pin!(future))
    };
    match polled {
        Poll::Ready(output) => Ok(output),
        Poll::Pending if outer.is_some_and(|outer| outer < due) => std::future::pending().await,
        Poll::Pending => Err(Elapsed),
    }
}

/// Time for which a call may still block: `Ok(None)` means forever, `Err` that the deadline has passed.
pub(super) fn patience() -> Result<Option<Duration>, Elapsed> {
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

pub(super) async fn sleep_until(due: Instant) {
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

/// Stays pending forever once the deadline has passed: `timeout` sees that and drops the future.
pub(super) async fn unless_elapsed<T>(result: Result<T, Elapsed>) -> T {
    match result {
        Ok(output) => output,
        Err(Elapsed) => std::future::pending().await,
    }
}

/// True if the thread has a deadline now.
pub(super) fn has_deadline() -> bool {
    DEADLINE.get().is_some()
}
