//! The event loop: runs tasks that are ready, asks the kernel which sockets are, and sleeps until the next event or timer.
//!
//! One thread runs everything. A waker on that thread pushes to a plain queue; a waker elsewhere pushes to an inbox and writes
//! to an eventfd, which is registered edge-triggered and never read.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use async_task::{Runnable, Task};
use rustix::event::epoll::{self, CreateFlags, Event, EventData};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;
use slab::Slab;

use super::source::Source;
use super::timers::Timers;

/// Tasks run before the loop looks for events again: enough to make that call rare, few enough that an event does not wait
/// for a whole round of busy sessions.
const TASKS_PER_TURN: usize = 64;

/// Events taken from the kernel at once.
const EVENTS_PER_TURN: usize = 256;

/// The key of the eventfd; sockets have their place in the slab.
const INBOX: u64 = u64::MAX;

thread_local! {
    static READY: Ready = const { Ready { of: Cell::new(0), tasks: RefCell::new(VecDeque::new()) } };
}

/// The tasks of this thread's loop that are ready.
struct Ready {
    /// Number of the loop that they belong to; 0 without one.
    of: Cell<u64>,
    tasks: RefCell<VecDeque<Runnable>>,
}

pub(super) struct EventLoop {
    epoll: OwnedFd,
    inbox: Arc<Inbox>,
    sources: RefCell<Slab<Rc<Source>>>,
    timers: Rc<Timers>,
    events: RefCell<Vec<Event>>,
}

/// The part of a loop that other threads reach.
struct Inbox {
    /// Number of the loop in this process, from 1.
    number: u64,
    tasks: Mutex<Vec<Runnable>>,
    event: OwnedFd,
    /// True if the future that the loop's thread blocks on is to be polled.
    main_is_ready: AtomicBool,
}

impl EventLoop {
    /// A loop that belongs to the calling thread.
    pub(super) fn new() -> io::Result<Self> {
        static STARTED: AtomicU64 = AtomicU64::new(0);
        let number = 1 + STARTED.fetch_add(1, Ordering::Relaxed);
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let interest = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, &event, EventData::new_u64(INBOX), interest)?;
        // Fails here if the kernel has no such call, not in the first wait.
        let mut none = Vec::with_capacity(1);
        let spare = rustix::buffer::spare_capacity::<Event>(&mut none);
        epoll::wait(&epoll, spare, Some(&Timespec::default()))?;
        READY.with(|ready| ready.of.set(number));
        Ok(Self {
            epoll,
            inbox: Arc::new(Inbox {
                number,
                tasks: Mutex::default(),
                event,
                main_is_ready: AtomicBool::new(false),
            }),
            sources: RefCell::default(),
            timers: Rc::default(),
            events: RefCell::new(Vec::with_capacity(EVENTS_PER_TURN)),
        })
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
                // A task may block on the loop that runs it: what woke the future around it meanwhile was taken here.
                self.inbox.main_is_ready.store(true, Ordering::Relaxed);
                return output;
            }
            let tasks_are_left = run_ready_tasks();
            self.wait(tasks_are_left);
            self.timers.fire();
            self.inbox.empty();
        }
    }

    /// Takes the events that are there; sleeps until there are some if no task is ready.
    fn wait(&self, tasks_are_left: bool) {
        let busy = tasks_are_left || self.inbox.main_is_ready.load(Ordering::Acquire);
        let timeout = if busy {
            Some(Timespec::default())
        } else {
            self.timers.next().map(|left| Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            })
        };
        let mut events = self.events.borrow_mut();
        let spare = rustix::buffer::spare_capacity(&mut *events);
        match epoll::wait(&self.epoll, spare, timeout.as_ref()) {
            // Interrupted by a signal: as if nothing had happened.
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => panic!("epoll_pwait2 failed: {error}"),
        }
        for event in events.drain(..) {
            let (key, flags) = (event.data.u64(), event.flags);
            if key == INBOX {
                continue; // It has done its work: the loop is awake.
            }
            // A source that left in this turn may have an event left; its place then is empty, or has a new source, which
            // finds that it isn't ready after all.
            if let Some(source) = self.sources.borrow().get(key as usize) {
                source.notify(flags);
            }
        }
    }

    /// Registers a non-blocking socket; returns its place beside its source.
    pub(super) fn register(&self, socket: &impl AsFd) -> io::Result<(usize, Rc<Source>)> {
        let source = Rc::new(Source::default());
        let place = self.sources.borrow_mut().insert(Rc::clone(&source));
        let data = EventData::new_u64(place as u64);
        if let Err(error) = epoll::add(&self.epoll, socket, data, Source::INTEREST) {
            self.forget(place);
            return Err(error.into());
        }
        Ok((place, source))
    }

    /// Gives up the source at `place`; closing the socket ends its registration.
    pub(super) fn forget(&self, place: usize) {
        self.sources.borrow_mut().remove(place);
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        if !self.inbox.is_here() {
            return; // A later loop of this thread has its own tasks.
        }
        // Tasks that are still ready are dropped here, outside of the borrow: dropping one may wake another.
        while let Some(task) = next_ready_task() {
            drop(task);
        }
        READY.with(|ready| ready.of.set(0));
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
        READY.try_with(|ready| ready.of.get()) == Ok(self.number)
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
    fn empty(&self) {
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
