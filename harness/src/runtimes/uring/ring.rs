//! Operations of the kernel on one ring: the only unsafe code of the runtimes.
//!
//! The kernel reads and writes memory that an operation names until it says that the operation is complete. So an operation
//! owns that memory and its descriptor, and stays in [`Ring::operations`] until then, whether anybody still waits for it or not;
//! memory that the kernel has not given back when the ring ends is leaked. This is all that the unsafe code below relies on.

#![allow(unsafe_code, reason = "the kernel is told addresses")]

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;
use nix::libc;
use slab::Slab;
use socket2::SockAddr;

use crate::runtimes::ring_flags::RingFlags;

/// Entries of the submission queue: what the tasks of one turn ask for. A full queue costs one more system call.
const SUBMISSIONS: u32 = 512;

/// Entries of the completion queue. What does not fit waits in the kernel.
const COMPLETIONS: u32 = 4096;

/// `IORING_RECVSEND_POLL_FIRST`: do not try in vain, the answer cannot be there yet.
const POLL_FIRST: u16 = 1;

/// The file's own position, or its end if it is opened to append.
const AT_POSITION: u64 = u64::MAX;

/// The eventfd's key; operations have their place in the slab.
const INBOX: u64 = u64::MAX;

/// The key of a request to cancel, whose answer nobody needs.
const CANCEL: u64 = u64::MAX - 1;

/// Time that peers get to take messages, and the kernel to give back memory, when the loop ends.
const FAREWELL: Duration = Duration::from_secs(1);

pub(super) struct Ring {
    ring: RefCell<IoUring>,
    operations: RefCell<Slab<Slot>>,
    /// Taken from the completion queue, not yet handed on: key and result.
    completed: RefCell<Vec<(u64, i32)>>,
    /// Places of [`Work::SendNow`] that the kernel completes before it returns.
    sent_now: RefCell<Vec<usize>>,
    /// Messages that the kernel has not sent yet.
    sending: Cell<usize>,
    /// True if a task waits for one of them, which will end without an event.
    awaits_silence: Cell<bool>,
    inbox: OwnedFd,
}

/// What the kernel is to do.
pub(super) enum Work {
    /// Receives into the bytes from this offset on.
    Receive(usize),
    /// Sends the bytes from this offset on; the result counts those before it, too.
    Send(usize),
    /// Sends the bytes at once, without a word if that succeeds; what the socket does not take at once is sent later.
    SendNow,
    Accept,
    Connect(Box<SockAddr>),
    /// Waits until the socket can be read from or written to.
    Ready,
    /// Reads into the bytes from the first offset on, from the second offset in the file.
    Read(usize, u64),
    /// Writes the bytes from this offset on.
    Write(usize),
    Sync,
}

/// An operation with all that the kernel uses meanwhile.
pub(super) struct Operation {
    pub(super) descriptor: Rc<OwnedFd>,
    pub(super) work: Work,
    pub(super) bytes: Vec<u8>,
}

/// A completed operation.
pub(super) struct Completed {
    /// A number of bytes, where some were moved.
    pub(super) result: io::Result<usize>,
    /// The connection of [`Work::Accept`].
    pub(super) accepted: Option<OwnedFd>,
    pub(super) bytes: Vec<u8>,
}

struct Slot {
    operation: Operation,
    state: State,
}

enum State {
    /// In the kernel, with the task that waits for it.
    Pending(Option<Waker>),
    /// In the kernel, and nobody wants the result.
    Abandoned,
    Done(io::Result<usize>, Option<OwnedFd>),
}

impl Ring {
    /// A ring that belongs to the calling thread, and wakes it when `inbox`, an eventfd, is written to.
    pub(super) fn new(flags: RingFlags, inbox: &OwnedFd) -> io::Result<Self> {
        let mut builder = IoUring::builder();
        builder.setup_clamp().setup_cqsize(COMPLETIONS);
        if flags.defer_taskrun {
            builder.setup_single_issuer().setup_defer_taskrun();
        }
        if flags.coop_taskrun {
            builder.setup_coop_taskrun().setup_taskrun_flag();
        }
        let ring = Self {
            ring: RefCell::new(builder.build(SUBMISSIONS)?),
            operations: RefCell::default(),
            completed: RefCell::default(),
            sent_now: RefCell::default(),
            sending: Cell::default(),
            awaits_silence: Cell::default(),
            inbox: inbox.try_clone()?,
        };
        ring.watch_inbox();
        Ok(ring)
    }

    /// True if the kernel can complete an operation in silence.
    pub(super) fn has_silence(&self) -> bool {
        let ring = self.ring.borrow();
        ring.params().is_feature_skip_cqe_on_success()
    }

    /// Asks for an operation; it begins with the next turn of the loop.
    pub(super) fn submit(self: &Rc<Self>, operation: Operation) -> Submission {
        let mut operations = self.operations.borrow_mut();
        let place = operations.vacant_entry();
        let key = place.key();
        let slot = place.insert(Slot {
            operation,
            state: State::Pending(None),
        });
        let entry = slot.operation.entry().user_data(key as u64);
        if slot.operation.is_send() {
            self.sending.set(self.sending.get() + 1);
        }
        if let Work::SendNow = slot.operation.work {
            self.sent_now.borrow_mut().push(key);
        }
        drop(operations);
        // SAFETY: what the entry points to is owned by the slot, which is kept until the kernel has completed it. It is on the
        // heap, so it does not move with the slab.
        unsafe { self.push(&entry) };
        Submission {
            ring: Rc::clone(self),
            key: Some(key),
        }
    }

    /// Hands over what was asked for, waits for at most `limit` until something is complete, and wakes whoever waits for it.
    pub(super) fn wait(&self, limit: Option<Duration>) {
        let limit = if self.awaits_silence.take() {
            Some(Duration::ZERO)
        } else {
            limit
        };
        self.enter(limit);
        let mut completed = self.completed.take();
        {
            let mut ring = self.ring.borrow_mut();
            let entries = ring.completion().map(|entry| {
                let more = io_uring::cqueue::more(entry.flags());
                (entry.user_data(), entry.result(), more)
            });
            let mut inbox_ended = false;
            completed.extend(entries.filter_map(|(key, result, more)| {
                inbox_ended |= key == INBOX && !more;
                (key < CANCEL).then_some((key, result))
            }));
            drop(ring);
            if inbox_ended {
                self.watch_inbox();
            }
        }
        // A task that wakes may drop operations.
        for (key, result) in completed.drain(..) {
            self.complete(key as usize, result);
        }
        self.completed.replace(completed);
        self.complete_sent_now();
    }

    /// Sends the messages whose sending nobody waits for, as far as their peers take them.
    pub(super) fn flush(&self) {
        self.wait_while(|| self.sending.get() > 0);
    }

    /// Waits until it no longer `holds`; false if it still does after [`FAREWELL`].
    fn wait_while(&self, holds: impl Fn() -> bool) -> bool {
        let end = Instant::now() + FAREWELL;
        self.awaits_silence.set(true);
        while holds() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            self.wait(Some(left));
        }
        true
    }

    /// Completes the messages whose sending the kernel has not complained about.
    fn complete_sent_now(&self) {
        let mut ring = self.ring.borrow_mut();
        let submissions = ring.submission();
        if !submissions.is_empty() || submissions.cq_overflow() {
            // Some may still begin, or have a complaint that was not read yet: the next turn looks again.
            self.awaits_silence.set(true);
            return;
        }
        drop(submissions);
        drop(ring);
        let mut sent_now = self.sent_now.take();
        for key in sent_now.drain(..) {
            let operations = self.operations.borrow();
            let silent = operations.get(key).filter(|slot| {
                matches!(slot.operation.work, Work::SendNow)
                    && !matches!(slot.state, State::Done(..))
            });
            if let Some(length) = silent.map(|slot| slot.operation.bytes.len()) {
                drop(operations);
                self.complete(key, length as i32);
            }
        }
        self.sent_now.replace(sent_now);
    }

    fn enter(&self, limit: Option<Duration>) {
        let mut ring = self.ring.borrow_mut();
        let entered = if limit == Some(Duration::ZERO) || !ring.completion().is_empty() {
            let submissions = ring.submission();
            if submissions.is_empty() && !submissions.taskrun() && !submissions.cq_overflow() {
                return;
            }
            drop(submissions);
            ring.submit()
        } else if let Some(limit) = limit {
            let limit = Timespec::from(limit);
            let arguments = SubmitArgs::new().timespec(&limit);
            ring.submitter().submit_with_args(1, &arguments)
        } else {
            ring.submit_and_wait(1)
        };
        let errno = entered.err().and_then(|error| error.raw_os_error());
        match errno.map(Errno::from_raw) {
            // Interrupted by a signal, timed out, or short of room: the next turn goes on.
            None | Some(Errno::EINTR | Errno::ETIME | Errno::EAGAIN | Errno::EBUSY) => {}
            Some(errno) => panic!("io_uring_enter failed: {errno}"),
        }
    }

    fn complete(&self, key: usize, result: i32) {
        let mut operations = self.operations.borrow_mut();
        let slot = &mut operations[key];
        if let Some(sent) = slot.operation.left_to_send(result) {
            slot.operation.work = Work::Send(sent);
            let entry = slot.operation.entry().user_data(key as u64);
            drop(operations);
            // SAFETY: as in `submit`.
            unsafe { self.push(&entry) };
            return;
        }
        if slot.operation.is_send() {
            self.sending.set(self.sending.get() - 1);
        }
        let (result, accepted) = match (&slot.operation.work, result) {
            (_, ..0) => (Err(io::Error::from_raw_os_error(-result)), None),
            (Work::Accept, descriptor) => {
                // SAFETY: the kernel has just opened it for this operation, and nobody else knows it.
                let accepted = unsafe { OwnedFd::from_raw_fd(descriptor) };
                (Ok(0), Some(accepted))
            }
            (Work::Send(from), count) => (Ok(from + count as usize), None),
            (_, count) => (Ok(count as usize), None),
        };
        match std::mem::replace(&mut slot.state, State::Done(result, accepted)) {
            State::Pending(waker) => {
                drop(operations);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            _ => {
                let abandoned = operations.remove(key);
                drop(operations);
                drop(abandoned);
            }
        }
    }

    fn watch_inbox(&self) {
        let poll = opcode::PollAdd::new(Fd(self.inbox.as_raw_fd()), libc::POLLIN as u32);
        let entry = poll.multi(true).build().user_data(INBOX);
        // SAFETY: it points to no memory, and the ring has the descriptor for as long as it lives.
        unsafe { self.push(&entry) };
    }

    fn cancel(&self, key: usize) {
        let entry = opcode::AsyncCancel::new(key as u64)
            .build()
            .user_data(CANCEL);
        // SAFETY: it points to no memory.
        unsafe { self.push(&entry) };
    }

    /// Queues an entry.
    ///
    /// # Safety
    ///
    /// What it points to must live until it is complete.
    unsafe fn push(&self, entry: &squeue::Entry) {
        loop {
            // SAFETY: promised by the caller.
            if unsafe { self.ring.borrow_mut().submission().push(entry) }.is_ok() {
                return;
            }
            self.enter(Some(Duration::ZERO));
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let keys: Vec<usize> = self
            .operations
            .borrow()
            .iter()
            .map(|(key, _)| key)
            .collect();
        for key in keys {
            self.cancel(key);
        }
        if !self.wait_while(|| !self.operations.borrow().is_empty()) {
            std::mem::forget(self.operations.take());
        }
    }
}

impl Operation {
    /// Its entry, which points to its bytes and to its address.
    fn entry(&mut self) -> squeue::Entry {
        let fd = Fd(self.descriptor.as_raw_fd());
        let bytes = &mut self.bytes;
        match &self.work {
            Work::Receive(at) => {
                let room = &mut bytes[*at..];
                opcode::Recv::new(fd, room.as_mut_ptr(), length(room))
                    .ioprio(POLL_FIRST)
                    .build()
            }
            Work::Send(at) => {
                let left = &bytes[*at..];
                opcode::Send::new(fd, left.as_ptr(), length(left))
                    .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
                    .build()
            }
            Work::SendNow => opcode::Send::new(fd, bytes.as_ptr(), length(bytes))
                .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL | libc::MSG_DONTWAIT)
                .build()
                .flags(squeue::Flags::SKIP_SUCCESS),
            Work::Accept => opcode::Accept::new(fd, std::ptr::null_mut(), std::ptr::null_mut())
                .flags(libc::SOCK_CLOEXEC)
                .build(),
            Work::Connect(address) => {
                opcode::Connect::new(fd, address.as_ptr().cast(), address.len()).build()
            }
            Work::Ready => opcode::PollAdd::new(fd, (libc::POLLIN | libc::POLLOUT) as u32).build(),
            Work::Read(at, offset) => {
                let room = &mut bytes[*at..];
                opcode::Read::new(fd, room.as_mut_ptr(), length(room))
                    .offset(*offset)
                    .build()
            }
            Work::Write(at) => {
                let left = &bytes[*at..];
                opcode::Write::new(fd, left.as_ptr(), length(left))
                    .offset(AT_POSITION)
                    .build()
            }
            Work::Sync => opcode::Fsync::new(fd).build(),
        }
    }

    fn is_send(&self) -> bool {
        matches!(self.work, Work::Send(_) | Work::SendNow)
    }

    /// The number of bytes that were sent, if the socket has not taken all of the message at once.
    fn left_to_send(&self, result: i32) -> Option<usize> {
        let Work::SendNow = self.work else {
            return None;
        };
        let sent = if result == -libc::EAGAIN { 0 } else { result };
        let sent = usize::try_from(sent).ok()?;
        (sent < self.bytes.len()).then_some(sent)
    }
}

/// The most that one operation may move: the kernel takes no more at once.
fn length(bytes: &[u8]) -> u32 {
    bytes.len().min(1 << 30) as u32
}

/// An operation that was asked for. Dropping it cancels the operation; a message is sent all the same.
pub(super) struct Submission {
    ring: Rc<Ring>,
    /// Its place, until the result is taken.
    key: Option<usize>,
}

impl Future for Submission {
    type Output = Completed;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Completed> {
        let key = self.key.expect("polled until it is complete");
        let mut operations = self.ring.operations.borrow_mut();
        let slot = &mut operations[key];
        if let Work::SendNow = slot.operation.work {
            self.ring.awaits_silence.set(true);
        }
        match &mut slot.state {
            State::Done(..) => {}
            State::Pending(Some(waker)) => {
                waker.clone_from(context.waker());
                return Poll::Pending;
            }
            state => {
                *state = State::Pending(Some(context.waker().clone()));
                return Poll::Pending;
            }
        }
        let Slot { operation, state } = operations.remove(key);
        drop(operations);
        self.key = None;
        let State::Done(result, accepted) = state else {
            unreachable!("just seen");
        };
        Poll::Ready(Completed {
            result,
            accepted,
            bytes: operation.bytes,
        })
    }
}

impl Drop for Submission {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        let mut operations = self.ring.operations.borrow_mut();
        let slot = &mut operations[key];
        if let State::Done(..) = slot.state {
            let unwanted = operations.remove(key);
            drop(operations);
            drop(unwanted);
            return;
        }
        slot.state = State::Abandoned;
        let is_send = slot.operation.is_send();
        drop(operations);
        if !is_send {
            self.ring.cancel(key);
        }
    }
}
