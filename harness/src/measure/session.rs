//! One session under measurement: a step is one operation.
//!
//! The only place where time is stamped: two clock reads around [`Workload::operate`] and one histogram record, the same
//! for every runtime. Under closed load a step is the next operation; under open load it waits for the next arrival
//! first. The bookkeeping around the operation ([`SessionClock`]) does not know the workload and is compiled once. Phases
//! begin and end in `phase`; `erased` hides the workload's type from it.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Context;
use std::time::{Duration, Instant};

use crate::arrivals::{Arrival, ArrivalQueue};
use crate::os;
use crate::recording::{ArrivalNs, Recording};
use crate::runtime::{Flow, Runtime, Session};
use crate::workload::{Env, Failure, Workload};

use photofinish_record::nanoseconds;

/// The condition that ends a session's part of a phase.
#[derive(Clone, Debug)]
pub(super) enum Goal {
    /// At this instant, but after at least one operation.
    Until(Instant),
    /// After this many more operations.
    Ops(u64),
    /// After the last arrival.
    Arrivals(Arc<ArrivalQueue>),
}

/// A session's time at work in a phase.
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

    /// Successful operations per second from the phase's `start` to the end of this session's last one. It counts from
    /// the phase's start because a session that had to wait for its turn was slow, not fast; and to its own end because
    /// a session that is done while others finish a long operation was not slow.
    pub(super) fn rate_hz(&self, start: Instant) -> f64 {
        let active = self.last_end.map_or(Duration::ZERO, |end| end - start);
        if active.is_zero() {
            0.0
        } else {
            self.succeeded as f64 / active.as_secs_f64()
        }
    }
}

/// The bookkeeping of one session: numbers, goal, times.
pub(super) struct SessionClock {
    /// Locked once per operation. Sessions share one only if there are more of them than recordings.
    recording: Arc<Mutex<Recording>>,
    pub(super) index: u64,
    /// Distance between the numbers of its operations under closed load, which is the number of sessions.
    pub(super) stride: u64,
    /// Number of its next operation; under open load, of the phase's first one.
    next_op: u64,
    goal: Goal,
    /// Time at which to count threads: set only in the first session.
    pub(super) halfway: Option<Instant>,
    pub(super) activity: Activity,
    pub(super) threads: Option<u64>,
}

impl SessionClock {
    /// The clock of session `index` of `count`, with nothing to do yet.
    pub(super) fn new(recording: Arc<Mutex<Recording>>, index: u32, count: NonZeroU32) -> Self {
        Self {
            recording,
            index: u64::from(index),
            stride: u64::from(count.get()),
            next_op: 0,
            goal: Goal::Ops(0),
            halfway: None,
            activity: Activity::default(),
            threads: None,
        }
    }

    /// Begins a phase whose operations are numbered from `first_op`.
    pub(super) fn begin(&mut self, goal: Goal, first_op: u64) {
        self.next_op = match goal {
            Goal::Arrivals(_) => first_op,
            Goal::Until(_) | Goal::Ops(_) => first_op + self.index,
        };
        self.goal = goal;
        self.halfway = None;
        self.activity = Activity::default();
        self.threads = None;
    }

    /// Records an operation that ran, and returns whether another one follows.
    fn ended(&mut self, op: u64, arrival: Option<Arrival>, timed: Timed) -> Flow {
        let Timed { start, end, result } = timed;
        self.activity.first_start.get_or_insert(start);
        self.activity.last_end = Some(end);
        self.activity.succeeded += u64::from(result.is_ok());
        let service_ns = nanoseconds(end - start);
        let mut recording = self
            .recording
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let finished = match (&mut self.goal, arrival) {
            (Goal::Arrivals(queue), Some(arrival)) => {
                let lag_ns = nanoseconds(start.saturating_duration_since(arrival.due));
                recording.record_arrival(op, ArrivalNs { lag_ns, service_ns }, result);
                // Under the same lock, so that a reader holding it sees an operation either as recorded or as in
                // flight.
                queue.done(self.index as usize);
                false
            }
            (goal, _) => {
                recording.record(op, service_ns, result);
                self.next_op += self.stride;
                match goal {
                    Goal::Ops(left) => {
                        *left -= 1;
                        *left == 0
                    }
                    Goal::Until(instant) => end >= *instant,
                    Goal::Arrivals(_) => unreachable!("an open phase runs arrivals only"),
                }
            }
        };
        drop(recording);
        if self.halfway.is_some_and(|halfway| end >= halfway) {
            self.halfway = None;
            // The supervisor's own thread does not belong to the runtime.
            self.threads = os::thread_count().map(|threads| threads.saturating_sub(1));
        }
        if finished {
            Flow::Finished
        } else {
            Flow::Continue
        }
    }
}

/// One operation: its times and its result.
struct Timed {
    start: Instant,
    end: Instant,
    result: Result<(), Failure>,
}

/// Everything shared by the sessions of a round.
pub(super) struct Shared<R: Runtime, W: Workload> {
    pub(super) workload: W,
    pub(super) env: Env<R, W::Shared<R>>,
}

/// One session with its workload.
pub(super) struct SessionLoop<R: Runtime, W: Workload> {
    pub(super) shared: Arc<Shared<R, W>>,
    pub(super) state: W::Session<R>,
    pub(super) clock: SessionClock,
}

impl<R: Runtime, W: Workload> Session for SessionLoop<R, W> {
    #[inline]
    async fn step(&mut self) -> Flow {
        let Shared { workload, env } = &*self.shared;
        let clock = &mut self.clock;
        let arrival = match &clock.goal {
            Goal::Ops(0) => return Flow::Finished,
            Goal::Ops(_) | Goal::Until(_) => None,
            Goal::Arrivals(queue) => {
                let (queue, session) = (Arc::clone(queue), clock.index as usize);
                let take = |context: &mut Context<'_>| queue.poll_take(session, context);
                match env.runtime.wait_for(take).await {
                    Some(arrival) => Some(arrival),
                    None => return Flow::Finished,
                }
            }
        };
        let op = clock.next_op + arrival.map_or(0, |arrival| arrival.index);
        let start = Instant::now();
        let result = workload.operate(env, &mut self.state, op).await;
        let end = Instant::now();
        clock.ended(op, arrival, Timed { start, end, result })
    }
}
