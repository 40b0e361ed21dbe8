//! Arrivals between the pacer and the sessions: released by the pacer, taken by the sessions, in order.
//!
//! Both sides walk through the same immutable schedule, so the backlog is two numbers and not a list: memory stays flat
//! however far the sessions fall behind, and nothing is ever dropped. A session without an arrival leaves its waker;
//! how it waits (parked thread, pending task) is up to its runtime. There is a single lock, held for a few dozen ns;
//! its cost is part of an operation's lag, never of its service time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use photofinish_record::latency::{Latencies, LatencyRecorder};
use photofinish_record::nanoseconds;
use photofinish_record::schedule::{DueTimes, Schedule};

/// One scheduled operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Its number in the whole schedule, from 0.
    pub(crate) index: u64,
    pub(crate) due: Instant,
}

/// The queue between pacer and sessions: two numbers, regardless of the backlog.
#[derive(Debug)]
pub(crate) struct ArrivalQueue {
    start: Instant,
    state: Mutex<State>,
    /// The arrival that each session is working on, as ns after the start plus one; 0 for none.
    in_flight: Vec<AtomicU64>,
    wakes: Wakes,
}

/// The side that wakes sessions when several arrivals are released together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wakes {
    /// The pacer wakes a session for each: it has a CPU to itself, and the first session works meanwhile.
    FromPacer,
    /// The pacer wakes one session, and each session that takes an arrival wakes the next. Within a runtime a wake is a
    /// push to its queue; from outside it is a system call, on a CPU that the sessions need.
    FromSessions,
}

#[derive(Debug)]
struct State {
    /// The sessions' position in the schedule.
    due_times: DueTimes,
    released: u64,
    taken: u64,
    /// Sessions waiting for an arrival, longest wait first.
    waiting: VecDeque<usize>,
    /// Each session's waker, while it waits.
    wakers: Vec<Option<Waker>>,
    stage: Stage,
}

impl State {
    /// The waker of the session that has waited longest, which no longer waits.
    fn longest_waiting(&mut self) -> Option<Waker> {
        let session = self.waiting.pop_front()?;
        self.wakers[session].take()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// More arrivals may be released.
    Open,
    /// No more arrivals will be released.
    Ended,
    /// Arrivals that have not been taken stay in the queue.
    Cut,
}

/// The part of a schedule that was left over when its round ended.
#[derive(Clone, Debug)]
pub(crate) struct Leftover {
    /// Started but not ended.
    pub(crate) unfinished: u64,
    /// Never started.
    pub(crate) unsent: u64,
    /// Time from due until now, of both.
    pub(crate) overdue: Latencies,
}

impl ArrivalQueue {
    /// A queue for `sessions` that walk through `schedule` from `start`.
    pub(crate) fn new(schedule: &Schedule, start: Instant, sessions: usize, wakes: Wakes) -> Self {
        Self {
            start,
            state: Mutex::new(State {
                due_times: schedule.due_times(),
                released: 0,
                taken: 0,
                waiting: VecDeque::with_capacity(sessions),
                wakers: vec![None; sessions],
                stage: Stage::Open,
            }),
            in_flight: (0..sessions).map(|_| AtomicU64::new(0)).collect(),
            wakes,
        }
    }

    pub(crate) fn start(&self) -> Instant {
        self.start
    }

    /// Takes the next arrival for `session`, which is in flight from then on; `None` when there will be no more.
    pub(crate) fn poll_take(
        &self,
        session: usize,
        context: &mut Context<'_>,
    ) -> Poll<Option<Arrival>> {
        let mut state = self.lock();
        if state.stage == Stage::Cut {
            return Poll::Ready(None);
        }
        if state.taken < state.released {
            let due = state
                .due_times
                .next()
                .expect("what was released is scheduled");
            let index = state.due_times.number(state.taken);
            state.taken += 1;
            let more = state.taken < state.released && self.wakes == Wakes::FromSessions;
            let next = if more { state.longest_waiting() } else { None };
            drop(state);
            self.in_flight[session].store(nanoseconds(due) + 1, Ordering::Relaxed);
            if let Some(next) = next {
                next.wake();
            }
            let due = self.start + due;
            return Poll::Ready(Some(Arrival { index, due }));
        }
        if state.stage == Stage::Ended {
            return Poll::Ready(None);
        }
        if state.wakers[session]
            .replace(context.waker().clone())
            .is_none()
        {
            state.waiting.push_back(session);
        }
        Poll::Pending
    }

    /// Marks the arrival of `session` as done.
    pub(crate) fn done(&self, session: usize) {
        self.in_flight[session].store(0, Ordering::Relaxed);
    }

    /// Lets the sessions take `count` more arrivals.
    pub(crate) fn release(&self, count: u64) {
        self.lock().released += count;
        let woken = match self.wakes {
            Wakes::FromPacer => count,
            Wakes::FromSessions => count.min(1),
        };
        for _ in 0..woken {
            // Woken one by one and outside the lock: the first session is working while the next one is being woken.
            let Some(waker) = self.longest_waiting() else {
                return;
            };
            waker.wake();
        }
    }

    /// Ends the releases. Sessions that find nothing left are done.
    pub(crate) fn end(&self) {
        self.close(Stage::Ended);
    }

    /// Prevents any more arrivals from being taken.
    pub(crate) fn cut(&self) {
        self.close(Stage::Cut);
    }

    fn close(&self, stage: Stage) {
        self.lock().stage = stage;
        while let Some(waker) = self.longest_waiting() {
            waker.wake();
        }
    }

    /// Number of arrivals taken so far.
    pub(crate) fn taken(&self) -> u64 {
        self.lock().taken
    }

    /// The arrivals left at `now`, after the queue was cut or all sessions are done.
    pub(crate) fn leftover(&self, now: Instant) -> Leftover {
        let mut overdue = LatencyRecorder::default();
        let mut waited = |due: Duration| {
            let waited = now.saturating_duration_since(self.start + due);
            overdue.record_ns(nanoseconds(waited));
        };
        let mut unfinished = 0;
        for due in &self.in_flight {
            let due_ns_plus_one = due.load(Ordering::Relaxed);
            if let Some(due_ns) = due_ns_plus_one.checked_sub(1) {
                waited(Duration::from_nanos(due_ns));
                unfinished += 1;
            }
        }
        let mut unsent = 0;
        for due in self.lock().due_times.clone() {
            waited(due);
            unsent += 1;
        }
        Leftover {
            unfinished,
            unsent,
            overdue: overdue.latencies(),
        }
    }

    fn longest_waiting(&self) -> Option<Waker> {
        self.lock().longest_waiting()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use photofinish_record::load::{Arrivals, RateHz, Stop};
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;
    use std::task::Wake;

    #[derive(Default)]
    struct Counter(AtomicU32);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn queue(sessions: usize) -> ArrivalQueue {
        let rate = RateHz::new(10.0).expect("a rate");
        let stop = Stop::after(Duration::from_secs(1));
        let schedule = Schedule::steady(Arrivals::Constant, rate, stop, 1);
        ArrivalQueue::new(&schedule, Instant::now(), sessions, Wakes::FromPacer)
    }

    fn take(queue: &ArrivalQueue, session: usize) -> Poll<Option<u64>> {
        let mut context = Context::from_waker(Waker::noop());
        let taken = queue.poll_take(session, &mut context);
        taken.map(|arrival| arrival.map(|arrival| arrival.index))
    }

    #[test]
    fn released_arrivals_are_taken_in_order_with_their_due_times() {
        let queue = queue(2);
        queue.release(2);
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(Some(first)) = queue.poll_take(0, &mut context) else {
            panic!("nothing was released");
        };
        assert_eq!((first.index, first.due), (0, queue.start()));
        let Poll::Ready(Some(second)) = queue.poll_take(1, &mut context) else {
            panic!("one was released");
        };
        assert_eq!(second.due, queue.start() + Duration::from_millis(100));
        assert_eq!(take(&queue, 0), Poll::Pending);
    }

    #[test]
    fn each_release_wakes_the_session_that_has_waited_longest() {
        let queue = queue(2);
        let wakes = [Arc::new(Counter::default()), Arc::new(Counter::default())];
        let wakers = wakes.clone().map(Waker::from);
        let wait = |session: usize| {
            let mut context = Context::from_waker(&wakers[session]);
            assert!(queue.poll_take(session, &mut context).is_pending());
        };
        // Polled twice without being woken: it still has only one place in the queue.
        wait(1);
        wait(0);
        wait(1);
        let woken = || wakes.each_ref().map(|wakes| wakes.0.load(Ordering::SeqCst));
        queue.release(1);
        assert_eq!(woken(), [0, 1]);
        queue.release(1);
        assert_eq!(woken(), [1, 1]);
        queue.release(1);
        assert_eq!(woken(), [1, 1]);
    }

    #[test]
    fn sessions_wake_each_other_while_arrivals_are_left() {
        let queue = ArrivalQueue {
            wakes: Wakes::FromSessions,
            ..queue(3)
        };
        let wakes = [0, 1, 2].map(|_| Arc::new(Counter::default()));
        let wakers = wakes.clone().map(Waker::from);
        let poll = |session: usize| {
            let mut context = Context::from_waker(&wakers[session]);
            queue.poll_take(session, &mut context).is_ready()
        };
        for session in [2, 0, 1] {
            assert!(!poll(session));
        }
        let woken = || wakes.each_ref().map(|wakes| wakes.0.load(Ordering::SeqCst));
        queue.release(2);
        assert_eq!(woken(), [0, 0, 1]);
        assert!(poll(2));
        assert_eq!(woken(), [1, 0, 1]);
        assert!(poll(0));
        assert_eq!(woken(), [1, 0, 1], "nothing is left for another session");
        queue.release(1);
        assert_eq!(woken(), [1, 1, 1]);
    }

    #[test]
    fn the_backlog_is_served_after_the_end_but_not_after_the_cutoff() {
        let queue = queue(1);
        queue.release(2);
        queue.end();
        assert_eq!(take(&queue, 0), Poll::Ready(Some(0)));
        queue.cut();
        assert_eq!(take(&queue, 0), Poll::Ready(None));
        assert_eq!(queue.taken(), 1);
    }

    #[test]
    fn waiters_are_woken_at_the_end() {
        let queue = queue(1);
        let wakes = Arc::new(Counter::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut context = Context::from_waker(&waker);
        assert!(queue.poll_take(0, &mut context).is_pending());
        queue.end();
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        assert_eq!(take(&queue, 0), Poll::Ready(None));
    }

    #[test]
    fn unsent_arrivals_are_counted_with_their_waiting_time() {
        let queue = queue(2);
        queue.release(10);
        assert_eq!(take(&queue, 0), Poll::Ready(Some(0)));
        assert_eq!(take(&queue, 1), Poll::Ready(Some(1)));
        queue.done(0);
        queue.cut();
        let leftover = queue.leftover(queue.start() + Duration::from_secs(2));
        assert_eq!((leftover.unfinished, leftover.unsent), (1, 8));
        assert_eq!(leftover.overdue.count(), 9);
        let longest_ns = leftover.overdue.quantile_ns(1.0).expect("nine");
        // Arrival 1 was due at 100 ms, arrival 9 at 900 ms.
        assert!(
            (1_899_000_000..1_902_000_000).contains(&longest_ns),
            "{longest_ns}"
        );
        let shortest_ns = leftover.overdue.quantile_ns(0.0).expect("nine");
        assert!(
            (1_099_000_000..1_102_000_000).contains(&shortest_ns),
            "{shortest_ns}"
        );
    }
}
