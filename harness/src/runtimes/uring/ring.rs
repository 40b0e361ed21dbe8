//! Operations of the kernel on one ring: the only unsafe code of the runtimes.
//!
//! Until an operation completes, the kernel may access the memory it names. So an operation owns that memory and its descriptor,
//! and stays in [`Ring::operations`] until then, whether anybody still waits for it or not; memory that the kernel has not given
//! back when the ring ends is leaked. This is all that the unsafe code below relies on.

#![allow(unsafe_code, reason = "the kernel is told addresses")]

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::mem::ManuallyDrop;
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

use crate::runtimes::blocking::file::MOST_AT_ONCE;
use crate::runtimes::ring_flags::RingFlags;

/// Entries of the submission queue: what the tasks of one turn ask for. A full queue costs one more system call.
const SUBMISSIONS: u32 = 512;

/// Entries of the completion queue. What does not fit waits in the kernel.
const COMPLETIONS: u32 = 4096;

/// `IORING_RECVSEND_POLL_FIRST`: poll before the first attempt, which would usually find nothing.
const POLL_FIRST: u16 = 1;

/// The longest wait of a turn: the kernel adds it to the time, and centuries would overflow.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The file's own position, or its end if it is opened to append.
const AT_POSITION: u64 = u64::MAX;

/// The eventfd's key; operations have their place in the slab.
const INBOX: u64 = u64::MAX;

/// The key of cancellation requests; their completions are ignored.
const CANCEL: u64 = u64::MAX - 1;

/// The longest wait for messages when `block_on` returns, and for memory when the ring is dropped.
const DRAIN_LIMIT: Duration = Duration::from_secs(1);

pub(super) struct Ring {
    ring: RefCell<IoUring>,
    /// Dropped only once it is empty, even if something panics.
    operations: ManuallyDrop<RefCell<Slab<Slot>>>,
    /// Scratch space for the completions of a turn: key and result.
    completed: RefCell<Vec<(u64, i32)>>,
    /// Keys of [`Work::SendNow`] whose outcome is not known yet.
    sent_now: RefCell<Vec<usize>>,
    /// Small messages that the kernel has not sent yet.
    sending: Cell<usize>,
    /// True if someone waits for a [`Work::SendNow`]: its success posts no completion, so the next turn must not block.
    must_not_block: Cell<bool>,
    inbox: OwnedFd,
}

/// A kernel operation.
pub(super) enum Work {
    /// Receives into the bytes from this offset on.
    Receive(usize),
    /// Sends the bytes from this offset on; the result counts those before it, too.
    Send(usize),
    /// Sends a small message at once and posts no completion on success; what the socket does not take becomes a [`Work::Rest`].
    SendNow,
    /// The rest of a small message, from this offset on; the result counts those before it, too.
    Rest(usize),
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
    /// Number of bytes moved, if any.
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
            operations: ManuallyDrop::default(),
            completed: RefCell::default(),
            sent_now: RefCell::default(),
            sending: Cell::default(),
            must_not_block: Cell::default(),
            inbox: inbox.try_clone()?,
        };
        ring.watch_inbox();
        Ok(ring)
    }

    /// Queues an operation; it is submitted in the next turn.
    pub(super) fn submit(self: &Rc<Self>, operation: Operation) -> Submission {
        let mut operations = self.operations.borrow_mut();
        let place = operations.vacant_entry();
        let key = place.key();
        let slot = place.insert(Slot {
            operation,
            state: State::Pending(None),
        });
        let entry = slot.operation.entry().user_data(key as u64);
        if slot.operation.is_message() {
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

    /// Submits the queue, waits up to `limit` for a completion, and wakes the tasks that wait for one.
    pub(super) fn wait(&self, limit: Option<Duration>) {
        let limit = if self.must_not_block.take() {
            Some(Duration::ZERO)
        } else {
            limit
        };
        self.enter(limit);
        let mut completed = self.completed.take();
        let settled = self.collect(&mut completed);
        // A task that wakes may drop operations.
        for (key, result) in completed.drain(..) {
            self.complete(key as usize, result);
        }
        self.completed.replace(completed);
        if settled {
            self.complete_sent_now();
        } else {
            self.must_not_block.set(true);
        }
    }

    /// Collects the completions of operations. True if the kernel has all messages and has reported all errors of them.
    fn collect(&self, completed: &mut Vec<(u64, i32)>) -> bool {
        let mut ring = self.ring.borrow_mut();
        let mut inbox_ended = false;
        for entry in ring.completion() {
            let key = entry.user_data();
            inbox_ended |= key == INBOX && !io_uring::cqueue::more(entry.flags());
            if key < CANCEL {
                completed.push((key, entry.result()));
            }
        }
        let submissions = ring.submission();
        let settled = submissions.is_empty() && !submissions.cq_overflow();
        drop(submissions);
        drop(ring);
        if inbox_ended {
            self.watch_inbox();
        }
        settled
    }

    /// Waits for small messages to be sent.
    pub(super) fn flush(&self) {
        self.wait_while(|| self.sending.get() > 0);
    }

    /// Runs the ring while `condition` holds; false if it still does after [`DRAIN_LIMIT`].
    fn wait_while(&self, condition: impl Fn() -> bool) -> bool {
        let end = Instant::now() + DRAIN_LIMIT;
        self.must_not_block.set(true);
        while condition() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            self.wait(Some(left));
        }
        true
    }

    /// Completes the messages that reported no error.
    fn complete_sent_now(&self) {
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
            let limit = Timespec::from(limit.min(LONGEST_WAIT));
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
        if let Some(sent) = slot.operation.sent_in_part(result) {
            slot.operation.work = Work::Rest(sent);
            let entry = slot.operation.entry().user_data(key as u64);
            drop(operations);
            // SAFETY: as in `submit`.
            unsafe { self.push(&entry) };
            return;
        }
        if slot.operation.is_message() {
            self.sending.set(self.sending.get() - 1);
        }
        let (result, accepted) = match (&slot.operation.work, result) {
            (_, ..0) => (Err(io::Error::from_raw_os_error(-result)), None),
            (Work::Accept, descriptor) => {
                // SAFETY: the kernel has just opened it for this operation, and nobody else knows it.
                let accepted = unsafe { OwnedFd::from_raw_fd(descriptor) };
                (Ok(0), Some(accepted))
            }
            (Work::Send(from) | Work::Rest(from), count) => (Ok(from + count as usize), None),
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
        // SAFETY: it points to no memory, and the ring owns the descriptor.
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
        if self.wait_while(|| !self.operations.borrow().is_empty()) {
            drop(self.operations.take());
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
            Work::Send(at) | Work::Rest(at) => {
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

    fn is_message(&self) -> bool {
        matches!(self.work, Work::SendNow | Work::Rest(_))
    }

    /// Bytes sent, if the socket took only part of the message.
    fn sent_in_part(&self, result: i32) -> Option<usize> {
        let Work::SendNow = self.work else {
            return None;
        };
        let sent = if result == -libc::EAGAIN { 0 } else { result };
        let sent = usize::try_from(sent).ok()?;
        (sent < self.bytes.len()).then_some(sent)
    }
}

/// Length of one operation, capped at [`MOST_AT_ONCE`].
fn length(bytes: &[u8]) -> u32 {
    bytes.len().min(MOST_AT_ONCE) as u32
}

/// A queued operation. Dropping it cancels the operation, unless it is a small message.
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
            self.ring.must_not_block.set(true);
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
        let is_message = slot.operation.is_message();
        if let Work::SendNow = slot.operation.work {
            self.ring.must_not_block.set(true); // Its descriptor is closed once the message is sent.
        }
        drop(operations);
        if !is_message {
            self.ring.cancel(key);
        }
    }
}
