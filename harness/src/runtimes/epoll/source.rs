//! A socket as the event loop knows it: registered once, edge-triggered, with the readiness that was last reported.
//!
//! A call that moved fewer bytes than it could has found the socket's end, so the readiness is taken back without another
//! call that would say so. Data that arrive afterwards are a new edge. The end of the stream is no edge of its own if it came
//! with the data, so a hang-up keeps the socket ready.

use std::cell::{Cell, RefCell};
use std::io;
use std::task::{Context, Poll, Waker};

use rustix::event::epoll::EventFlags;

/// The readiness of a socket, and the tasks that wait for it.
#[derive(Default)]
pub(super) struct Source {
    pub(super) reading: Direction,
    pub(super) writing: Direction,
}

/// One direction of a socket.
#[derive(Default)]
pub(super) struct Direction {
    ready: Cell<bool>,
    /// The peer has hung up, or the socket has failed: no call will ever wait again.
    hung_up: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Source {
    /// The flags of the one registration.
    pub(super) const INTEREST: EventFlags = EventFlags::IN
        .union(EventFlags::OUT)
        .union(EventFlags::RDHUP)
        .union(EventFlags::ET);

    /// Notes an event, and wakes whoever waited for it.
    pub(super) fn notify(&self, flags: EventFlags) {
        let failed = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        let ended = failed || flags.contains(EventFlags::RDHUP);
        self.reading.notify(flags.contains(EventFlags::IN), ended);
        self.writing.notify(flags.contains(EventFlags::OUT), failed);
    }
}

impl Direction {
    fn notify(&self, ready: bool, hung_up: bool) {
        if hung_up {
            self.hung_up.set(true);
        }
        if ready || hung_up {
            self.ready.set(true);
            if let Some(waker) = self.waker.take() {
                waker.wake();
            }
        }
    }

    /// Runs `call`, which moves at most `room` bytes, once the socket is ready for it.
    pub(super) fn poll_moving(
        &self,
        context: &mut Context<'_>,
        room: usize,
        call: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let moved = self.poll_call(context, call);
        if let Poll::Ready(Ok(count)) = moved
            && count < room
        {
            self.exhaust();
        }
        moved
    }

    /// Runs `call` once the socket is ready for it, until it succeeds, fails or would block.
    pub(super) fn poll_call<T>(
        &self,
        context: &mut Context<'_>,
        mut call: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        while self.ready.get() {
            match call() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.ready.set(false); // Even after a hang-up: a call that would block has the last word.
                }
                done => return Poll::Ready(done),
            }
        }
        self.wait(context);
        Poll::Pending
    }

    /// Nothing more to move at present, unless the peer has hung up.
    fn exhaust(&self) {
        self.ready.set(self.hung_up.get());
    }

    fn wait(&self, context: &mut Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(context.waker()))
        {
            *waker = Some(context.waker().clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Polls a call that moves `counts` bytes in turn; returns the numbers of bytes and of calls.
    fn moved(source: &Source, room: usize, counts: &[usize]) -> (Vec<usize>, usize) {
        let calls = Cell::new(0);
        let mut call = || {
            calls.set(calls.get() + 1);
            counts
                .get(calls.get() - 1)
                .copied()
                .ok_or_else(|| io::ErrorKind::WouldBlock.into())
        };
        let mut context = Context::from_waker(Waker::noop());
        let mut moved = Vec::new();
        while let Poll::Ready(Ok(count)) = source.reading.poll_moving(&mut context, room, &mut call)
        {
            moved.push(count);
            if count == 0 {
                break;
            }
        }
        (moved, calls.get())
    }

    #[test]
    fn a_short_read_saves_the_call_that_would_block() {
        let source = Source::default();
        assert_eq!(moved(&source, 10, &[3]), (vec![], 0), "not ready yet");
        source.notify(EventFlags::IN);
        assert_eq!(moved(&source, 10, &[3]), (vec![3], 1));
        source.notify(EventFlags::IN);
        assert_eq!(
            moved(&source, 10, &[10]),
            (vec![10], 2),
            "a full read tells nothing"
        );
    }

    #[test]
    fn the_end_that_came_with_the_last_data_is_read() {
        let source = Source::default();
        source.notify(EventFlags::IN | EventFlags::RDHUP);
        assert_eq!(moved(&source, 10, &[3, 0]), (vec![3, 0], 2));
    }
}
