//! One session with all that measuring it needs: a step is one operation.
//!
//! The only place where time is stamped: two clock reads around [`Workload::operate`] and one histogram record, the same
//! for every runtime. Under closed load a step is the next operation; under open load it waits for the next arrival
//! first. When a phase begins and what it comes to is the business of `phase`.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Context;
use std::time::{Duration, Instant};

use super::nanoseconds;
use crate::arrivals::ArrivalQueue;
use crate::os;
use crate::recording::{ArrivalNs, Recording};
use crate::runtime::{Flow, Runtime, Session};
use crate::workload::{Env, Failure, Workload};

/// What all sessions of a round share.
pub(super) struct Shared<R, W> {
    pub(super) workload: W,
    pub(super) env: Env<R>,
}

/// When a session has done its part of a phase.
#[derive(Clone, Debug)]
pub(super) enum Goal {
    /// At this instant; but one operation at least.
    Until(Instant),
    /// After this many more operations.
    Ops(u64),
    /// When there are no more arrivals.
    Arrivals(Arc<ArrivalQueue>),
}

/// When a session was at work in a phase.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Activity {
    /// Start of its first operation.
    pub(super) first_start: Option<Instant>,
    /// End of its last one.
    pub(super) last_end: Option<Instant>,
    /// Operations that succeeded.
    pub(super) succeeded: u64,
}

impl Activity {
    /// From the first start to the last end.
    pub(super) fn duration(&self) -> Duration {
        match (self.first_start, self.last_end) {
            (Some(start), Some(end)) => end - start,
            _ => Duration::ZERO,
        }
    }

    /// Successful operations per second from the phase's `start` to the end of its own last one. From the phase's start,
    /// since a session that had to wait for its turn has been slow, not fast; to its own end, since a session that is
    /// done while others finish a long operation has not been slow.
    pub(super) fn rate_hz(&self, start: Instant) -> f64 {
        let active = self.last_end.map_or(Duration::ZERO, |end| end - start);
        if active.is_zero() {
            0.0
        } else {
            self.succeeded as f64 / active.as_secs_f64()
        }
    }
}

/// One session.
pub(super) struct SessionLoop<R: Runtime, W: Workload> {
    shared: Arc<Shared<R, W>>,
    pub(super) state: W::Session<R>,
    /// Locked once per operation, and shared by nobody else up to the number of recordings.
    recording: Arc<Mutex<Recording>>,
    pub(super) index: u64,
    /// Distance between the numbers of its operations under closed load: the number of sessions.
    pub(super) stride: u64,
    /// Its next operation's number; under open load the number of the phase's first one.
    next_op: u64,
    goal: Goal,
    /// When to look at the number of threads: only set in the first session.
    pub(super) halfway: Option<Instant>,
    pub(super) activity: Activity,
    pub(super) threads: Option<u64>,
    /// Whether nothing but this session wants a turn.
    alone: bool,
}

impl<R: Runtime, W: Workload> SessionLoop<R, W> {
    /// Session number `index` of `count`, with nothing to do yet.
    pub(super) fn new(
        shared: &Arc<Shared<R, W>>,
        state: W::Session<R>,
        recording: Arc<Mutex<Recording>>,
        index: u32,
        count: NonZeroU32,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            state,
            recording,
            index: u64::from(index),
            stride: u64::from(count.get()),
            next_op: 0,
            goal: Goal::Ops(0),
            halfway: None,
            activity: Activity::default(),
            threads: None,
            alone: false,
        }
    }

    /// Makes it ready for a phase whose operations are numbered from `first_op`.
    pub(super) fn begin(&mut self, goal: Goal, first_op: u64, alone: bool) {
        self.next_op = match goal {
            Goal::Arrivals(_) => first_op,
            Goal::Until(_) | Goal::Ops(_) => first_op + self.index,
        };
        self.goal = goal;
        self.halfway = None;
        self.activity = Activity::default();
        self.threads = None;
        self.alone = alone;
    }

    /// Operation `op`, timed.
    #[inline]
    async fn timed(&mut self, op: u64) -> Timed {
        let Shared { workload, env } = &*self.shared;
        let start = Instant::now();
        let result = workload.operate(env, &mut self.state, op).await;
        let end = Instant::now();
        self.activity.first_start.get_or_insert(start);
        self.activity.last_end = Some(end);
        self.activity.succeeded += u64::from(result.is_ok());
        Timed { start, end, result }
    }

    /// One operation of a closed load.
    #[inline]
    async fn next_of_its_own(&mut self) -> Flow {
        if let Goal::Ops(0) = self.goal {
            return Flow::Finished;
        }
        let op = self.next_op;
        let timed = self.timed(op).await;
        let service_ns = nanoseconds(timed.end - timed.start);
        self.recording
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .record(op, service_ns, timed.result);
        self.next_op += self.stride;
        self.count_threads(timed.end);
        match &mut self.goal {
            Goal::Until(instant) if timed.end >= *instant => Flow::Finished,
            Goal::Ops(left) => {
                *left -= 1;
                if *left == 0 {
                    Flow::Finished
                } else {
                    Flow::Continue
                }
            }
            Goal::Until(_) | Goal::Arrivals(_) => Flow::Continue,
        }
    }

    /// One operation of an open load: the arrival's, once there is one.
    async fn next_arrival(&mut self, queue: Arc<ArrivalQueue>) -> Flow {
        let session = self.index as usize;
        let take = |context: &mut Context<'_>| queue.poll_take(session, context);
        let Some(arrival) = self.shared.env.runtime.wait_for(take).await else {
            return Flow::Finished;
        };
        let op = self.next_op + arrival.index;
        let timed = self.timed(op).await;
        let times = ArrivalNs {
            lag_ns: nanoseconds(timed.start.saturating_duration_since(arrival.due)),
            service_ns: nanoseconds(timed.end - timed.start),
        };
        {
            let mut recording = self
                .recording
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            recording.record_arrival(op, times, timed.result);
            // Under the same lock, so that whoever holds it sees an operation as recorded or as in flight.
            queue.done(session);
        }
        self.count_threads(timed.end);
        Flow::Continue
    }

    #[inline]
    fn count_threads(&mut self, now: Instant) {
        if self.halfway.is_some_and(|halfway| now >= halfway) {
            self.halfway = None;
            // The supervisor's own is none of the runtime's.
            self.threads = os::thread_count().map(|threads| threads.saturating_sub(1));
        }
    }
}

/// What came of one operation, and when.
struct Timed {
    start: Instant,
    end: Instant,
    result: Result<(), Failure>,
}

impl<R: Runtime, W: Workload> Session for SessionLoop<R, W> {
    #[inline]
    async fn step(&mut self) -> Flow {
        if let Goal::Arrivals(queue) = &self.goal {
            let queue = Arc::clone(queue);
            return self.next_arrival(queue).await;
        }
        self.next_of_its_own().await
    }

    fn is_alone(&self) -> bool {
        self.alone
    }
}
