//! The event loop: runs tasks that are ready, and has its driver wait until the next event or timer.
//!
//! One thread runs everything. A waker on that thread pushes to a plain queue; a waker elsewhere pushes to an inbox and writes
//! to an eventfd, which the driver watches and never reads.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use async_task::{Runnable, Task};
use rustix::event::{EventfdFlags, eventfd};

use super::Driver;
use super::timers::Timers;
use crate::runtime::StartError;

/// Tasks run before the loop looks for events again: enough to make that call rare, few enough that events do not
/// wait for every busy session.
const TASKS_PER_TURN: usize = 64;

thread_local! {
    static READY: Ready = const { Ready { owner: Cell::new(0), tasks: RefCell::new(VecDeque::new()) } };
}

/// The tasks of this thread's loop that are ready.
struct Ready {
    /// Number of the loop that they belong to; 0 without one.
    owner: Cell<u64>,
    tasks: RefCell<VecDeque<Runnable>>,
}

pub(super) struct EventLoop<D> {
    driver: D,
    inbox: Arc<Inbox>,
    timers: Rc<Timers>,
}

/// State that other threads may access.
struct Inbox {
    /// Number of the loop in this process, from 1.
    number: u64,
    tasks: Mutex<Vec<Runnable>>,
    event: OwnedFd,
    /// True if the future passed to `block_on` is ready to be polled.
    main_is_ready: AtomicBool,
}

impl<D: Driver> EventLoop<D> {
    /// A loop that belongs to the calling thread.
    pub(super) fn new(
        driver: impl FnOnce(&OwnedFd) -> Result<D, StartError>,
    ) -> Result<Self, StartError> {
        static STARTED: AtomicU64 = AtomicU64::new(0);
        let number = 1 + STARTED.fetch_add(1, Ordering::Relaxed);
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let event = event.map_err(|errno| StartError::System(errno.into()))?;
        let driver = driver(&event)?;
        READY.with(|ready| ready.owner.set(number));
        Ok(Self {
            driver,
            inbox: Arc::new(Inbox {
                number,
                tasks: Mutex::default(),
                event,
                main_is_ready: AtomicBool::new(false),
            }),
            timers: Rc::default(),
        })
    }

    pub(super) fn driver(&self) -> &D {
        &self.driver
    }

    pub(super) fn timers(&self) -> &Rc<Timers> {
        &self.timers
    }

    pub(super) fn spawn<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let inbox = Arc::clone(&self.inbox);
        let (runnable, task) = async_task::spawn(future, move |runnable| inbox.push(runnable));
        runnable.schedule();
        task
    }

    /// Runs `future` to completion, and tasks beside it.
    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        let waker = Waker::from(Arc::clone(&self.inbox));
        let mut context = Context::from_waker(&waker);
        let mut future = pin!(future);
        self.inbox.main_is_ready.store(true, Ordering::Relaxed);
        loop {
            if self.inbox.main_is_ready.swap(false, Ordering::Acquire)
                && let Poll::Ready(output) = future.as_mut().poll(&mut context)
            {
                // Calls nest: a task may call `block_on`, and this inner loop may have consumed the outer wake-up.
                self.inbox.main_is_ready.store(true, Ordering::Relaxed);
                self.driver.flush();
                self.inbox.drain(); // The eventfd signal for these tasks may be consumed already.
                return output;
            }
            let tasks_are_left = run_ready_tasks();
            self.wait(tasks_are_left);
            self.timers.fire();
            self.inbox.drain();
        }
    }

    /// Collects events; blocks only if no task is ready.
    fn wait(&self, tasks_are_left: bool) {
        let busy = tasks_are_left || self.inbox.main_is_ready.load(Ordering::Acquire);
        let limit = if busy {
            Some(Duration::ZERO)
        } else {
            self.timers.next()
        };
        self.driver.wait(limit);
    }
}

impl<D> Drop for EventLoop<D> {
    fn drop(&mut self) {
        if !self.inbox.is_here() {
            return; // The queue belongs to a later loop of this thread.
        }
        // Tasks that are still ready are dropped here, outside of the borrow: dropping one may wake another.
        while let Some(task) = next_ready_task() {
            drop(task);
        }
        READY.with(|ready| ready.owner.set(0));
    }
}

/// Runs tasks that are ready, for one turn; true if some are left.
fn run_ready_tasks() -> bool {
    for _ in 0..TASKS_PER_TURN {
        match next_ready_task() {
            Some(task) => task.run(),
            None => return false,
        };
    }
    READY.with(|ready| !ready.tasks.borrow().is_empty())
}

fn next_ready_task() -> Option<Runnable> {
    READY.with(|ready| ready.tasks.borrow_mut().pop_front())
}

impl Inbox {
    /// True on the loop's own thread.
    fn is_here(&self) -> bool {
        // While the thread ends, its queue may be gone.
        READY.try_with(|ready| ready.owner.get()) == Ok(self.number)
    }

    fn push(&self, task: Runnable) {
        if self.is_here() {
            READY.with(|ready| ready.tasks.borrow_mut().push_back(task));
            return;
        }
        let mut tasks = self.lock();
        let first = tasks.is_empty();
        tasks.push(task);
        drop(tasks);
        if first {
            self.wake_loop();
        }
    }

    /// Moves the tasks that other threads have woken to the queue.
    fn drain(&self) {
        let mut tasks = self.lock();
        if !tasks.is_empty() {
            READY.with(|ready| ready.tasks.borrow_mut().extend(tasks.drain(..)));
        }
    }

    fn wake_loop(&self) {
        // Fails only when the counter is full, after 2^64 writes.
        let _ = rustix::io::write(&self.event, &1u64.to_ne_bytes());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Runnable>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The waker of the future that the loop's thread blocks on.
impl Wake for Inbox {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let was_ready = self.main_is_ready.swap(true, Ordering::Release);
        if !was_ready && !self.is_here() {
            self.wake_loop();
        }
    }
}
