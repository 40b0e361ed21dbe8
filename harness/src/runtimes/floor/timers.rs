//! Timers of the event loop, in order of their due times: the next one is the timeout of the wait.
//!
//! A timer that is dropped leaves at once: operations with a limit would pile up otherwise.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Due time and serial number: timers due at the same time fire in the order in which they began.
type Key = (Instant, u64);

#[derive(Default)]
pub(super) struct Timers {
    waiting: RefCell<BTreeMap<Key, Waker>>,
    started: Cell<u64>,
}

impl Timers {
    /// Ready no earlier than `due`.
    pub(super) fn sleep_until(self: &Rc<Self>, due: Instant) -> Sleep {
        let number = self.started.get();
        self.started.set(number + 1);
        Sleep {
            timers: Rc::clone(self),
            key: (due, number),
        }
    }

    /// Time until the next timer is due; `None` without timers.
    pub(super) fn next(&self) -> Option<Duration> {
        let waiting = self.waiting.borrow();
        let ((due, _), _) = waiting.first_key_value()?;
        Some(due.saturating_duration_since(Instant::now()))
    }

    /// Wakes every timer that is due.
    pub(super) fn fire(&self) {
        if self.waiting.borrow().is_empty() {
            return;
        }
        let now = Instant::now();
        loop {
            let due = match self.waiting.borrow_mut().first_entry() {
                Some(first) if first.key().0 <= now => first.remove(),
                _ => return,
            };
            due.wake();
        }
    }
}

/// A timer; registered with its first poll.
pub(super) struct Sleep {
    timers: Rc<Timers>,
    key: Key,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.timers.waiting.borrow_mut();
        if Instant::now() >= self.key.0 {
            waiting.remove(&self.key);
            return Poll::Ready(());
        }
        match waiting.get_mut(&self.key) {
            Some(waker) => waker.clone_from(context.waker()),
            None => {
                waiting.insert(self.key, context.waker().clone());
            }
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.timers.waiting.borrow_mut().remove(&self.key);
    }
}
