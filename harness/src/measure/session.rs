//! One session under measurement: a step is one operation.
//!
//! The only place where time is stamped: two clock reads around [`Workload::operate`] and one histogram record, the same
//! for every runtime, and a second record if the operation is a part as well. Under closed load a step is the next
//! operation; under open load it waits for the next arrival first. The bookkeeping around the operation ([`SessionClock`])
//! does not know the workload and is compiled once. Phases begin and end in `phase`; `erased` hides the workload's type
//! from it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use super::recordings::{Activity, Recordings, SessionSlot, Stripe};

use crate::arrivals::{Arrival, ArrivalQueue};
use crate::os;
use crate::parts::PartRecorder;
use crate::recording::{ArrivalNs, FIRST_WARMUP_OP};
use crate::runtime::{Flow, Runtime, Session};
use crate::workload::{Env, Failure, Workload};

use photofinish_record::nanoseconds;
use photofinish_record::shard::Shard;

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

/// The bookkeeping of one session: numbers, goal, times.
pub(super) struct SessionClock {
    /// Locked once per operation. Sessions share a recording only if there are more of them than recordings.
    place: SessionSlot,
    part: PartRecorder,
    /// Its index among the sessions of this process.
    index: usize,
    /// Its number among the sessions of all shards.
    pub(super) number: u64,
    /// Distance between the numbers of its operations under closed load: the number of sessions of all shards.
    pub(super) stride: u64,
    /// Number of its next operation; under open load, of the phase's first one.
    next_op: u64,
    goal: Goal,
    /// Time at which to count threads: set only in the first session.
    pub(super) halfway: Option<Instant>,
    pub(super) threads: Option<u64>,
}

impl SessionClock {
    /// The clock of session `index` of `shard`, with nothing to do yet; all shards have `all` sessions.
    pub(super) fn new(recordings: &Recordings, index: u32, shard: Shard, all: NonZeroU32) -> Self {
        let number = shard.number(index.into());
        Self {
            place: recordings.place(index),
            part: recordings.part_recorder(number),
            index: index as usize,
            number,
            stride: u64::from(all.get()),
            next_op: 0,
            goal: Goal::Ops(0),
            halfway: None,
            threads: None,
        }
    }

    /// Begins a phase whose operations are numbered from `first_op`.
    pub(super) fn begin(&mut self, goal: Goal, first_op: u64) {
        self.next_op = match goal {
            Goal::Arrivals(_) => first_op,
            Goal::Until(_) | Goal::Ops(_) => first_op + self.number,
        };
        self.goal = goal;
        self.halfway = None;
        self.place.set(|activity| *activity = Activity::default());
        self.threads = None;
    }

    /// Notes that the session has returned from its phase.
    pub(super) fn returned(&self) {
        self.place.set(|activity| activity.returned = true);
    }

    /// Continues without an operation, because its feed has no more rows: a closed phase ends, a warm-up arrival is
    /// skipped.
    #[cold]
    fn without_row(&self) -> Flow {
        let Goal::Arrivals(queue) = &self.goal else {
            return Flow::Finished;
        };
        queue.done(self.index);
        Flow::Continue
    }

    /// Records an operation that ran, and returns whether another one follows.
    fn ended(&mut self, op: u64, arrival: Option<Arrival>, timed: Timed) -> Flow {
        if timed.is_rows_end() && (arrival.is_none() || op >= FIRST_WARMUP_OP) {
            return self.without_row();
        }
        let Timed { start, end, result } = timed;
        let service_ns = nanoseconds(end - start);
        let mut stripe = self.place.lock();
        // Under the stripe's lock, so that a drain sees an operation and its part together.
        let failure = result.as_ref().err().map(|failure| failure.kind);
        self.part.record_whole(service_ns, failure);
        let Stripe {
            recording,
            activities,
        } = &mut *stripe;
        let activity = &mut activities[self.place.slot];
        activity.first_start.get_or_insert(start);
        activity.last_end = Some(end);
        let succeeded = result.is_ok();
        activity.succeeded += u64::from(succeeded);
        let finished = match (&mut self.goal, arrival) {
            (Goal::Arrivals(queue), Some(arrival)) => {
                let lag_ns = nanoseconds(start.saturating_duration_since(arrival.due));
                recording.record_interval(end, lag_ns.saturating_add(service_ns), succeeded);
                recording.record_arrival(op, ArrivalNs { lag_ns, service_ns }, result);
                // Under the same lock, so that a reader holding it sees an operation either as recorded or as in
                // flight.
                queue.done(self.index);
                false
            }
            (goal, _) => {
                recording.record_interval(end, service_ns, succeeded);
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
        drop(stripe);
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

impl Timed {
    /// True if there was no operation: the workload's data ran out.
    fn is_rows_end(&self) -> bool {
        matches!(&self.result, Err(failure) if failure.kind == Failure::ROWS_END)
    }
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
                let (queue, session) = (Arc::clone(queue), clock.index);
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
