//! One phase of a round: all sessions, from a common start to the phase's end.
//!
//! A closed phase tells each session when to stop; an open one hands the schedule to the supervisor, which paces it,
//! and the sessions take arrivals until there are no more. Recordings are emptied at the end, for the next phase.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::arrival_reader::ArrivalReader;
use super::erased::AnySession;
use super::ledger::{Ledger, mean_operation};
use super::limits::{self, ClosedLimit};
use super::outcome::{Ends, Phase, open_phase};
use super::recordings::Recordings;
use super::session::Goal;
use super::supervisor::{Conduct, Extension, Order, Step, Supervisor};
use super::unfinished::Stuck;
use super::{FIRST_WARMUP_OP, RoundError};
use crate::arrivals::ArrivalQueue;
use crate::intervals::Ruler;
use crate::runtime::Runtime;
use photofinish_record::load::{Load, Stage, Stop};
use photofinish_record::protocol::{PipedArrivals, WorkerPlan};
use photofinish_record::schedule::Schedule;

/// Lead time per session before an open phase starts, for the session to be started and to wait for its first arrival.
const LEAD_PER_SESSION: Duration = Duration::from_micros(20);
/// Minimum lead.
const LEAD: Duration = Duration::from_millis(5);

/// Keeps the arrivals of the warm-up apart from those of the measurement.
const WARMUP_SALT: u64 = 0x7761_726d_2d75_7000;

#[derive(Clone, Debug)]
pub(super) struct PhasePlan {
    /// End of a closed phase.
    pub(super) stop: Stop,
    /// Due times of the arrivals of an open phase.
    schedule: Option<Schedule>,
    /// Number of its first operation.
    first_op: u64,
    /// True if the sessions share their threads with a probe.
    lag_probe: bool,
    /// True for the measured phase.
    measured: bool,
    /// Length of one unit of delay, in ns.
    unit_ns: u64,
    /// Its start, if other shards share it.
    start: Option<Instant>,
    /// The FIFO of its arrivals, if the orchestrator paces them.
    piped: Option<PipedArrivals>,
}

impl PhasePlan {
    /// The phase before the measurement. Under open load it has the rate with which the measurement starts.
    pub(super) fn warmup(plan: &WorkerPlan) -> Self {
        let stage = match (plan.stages.first(), plan.warmup) {
            (Some(&Stage { from, .. }), Stop::DurationNs(duration_ns)) => Some(Stage {
                duration_ns,
                from,
                to: from,
            }),
            _ => None,
        };
        Self {
            stop: plan.warmup,
            schedule: schedule(plan, stage.as_slice(), plan.warmup, plan.seed ^ WARMUP_SALT),
            first_op: FIRST_WARMUP_OP,
            lag_probe: plan.lag_probe,
            measured: false,
            unit_ns: plan.unit_ns,
            start: None,
            piped: None,
        }
    }

    /// The measurement, from `start` on if other shards share it.
    pub(super) fn measured(plan: &WorkerPlan, start: Option<Instant>) -> Self {
        Self {
            stop: plan.stop,
            schedule: schedule(plan, &plan.stages, plan.stop, plan.seed),
            first_op: 0,
            lag_probe: plan.lag_probe,
            measured: true,
            unit_ns: plan.unit_ns,
            start,
            piped: plan.piped.clone(),
        }
    }

    /// A short closed phase that measures only the loop itself.
    pub(super) fn floor(stop: Stop) -> Self {
        Self {
            stop,
            schedule: None,
            first_op: 0,
            lag_probe: false,
            measured: false,
            unit_ns: 0,
            start: None,
            piped: None,
        }
    }
}

/// The schedule of an open load, with a constant rate until `stop` if there are no `stages`; `None` for a closed load.
pub(super) fn schedule(
    plan: &WorkerPlan,
    stages: &[Stage],
    stop: Stop,
    seed: u64,
) -> Option<Schedule> {
    let Load::Open {
        arrivals, rate_hz, ..
    } = plan.load
    else {
        return None;
    };
    let schedule = if stages.is_empty() {
        Schedule::steady(arrivals, rate_hz, stop, seed)
    } else {
        Schedule::staged(arrivals, rate_hz, stages, seed)
    };
    Some(schedule.share(plan.shard()))
}

/// Time before the start of an open phase at which its sessions have to be started.
pub(super) fn lead(sessions: usize) -> Duration {
    let lead = LEAD_PER_SESSION.saturating_mul(u32::try_from(sessions).unwrap_or(u32::MAX));
    lead.max(LEAD)
}

/// Runs all sessions through one phase.
pub(super) async fn run_phase<R: Runtime>(
    runtime: &R,
    sessions: Vec<AnySession>,
    plan: &PhasePlan,
    ledger: &Ledger,
    supervisor: &Supervisor,
) -> Result<(Vec<AnySession>, Phase), RoundError> {
    let Some(open) = OpenPhase::start(plan, sessions.len(), ledger, supervisor)? else {
        supervisor.watch(closed_step(plan, ledger));
        let (sessions, ends) = run_closed(runtime, sessions, plan, &ledger.recordings).await?;
        return Ok((sessions, ends.phase(ledger.recordings.drain())));
    };
    match run(runtime, sessions, plan, &ledger.recordings, open.course()).await {
        Ok((sessions, ends)) => Ok((sessions, open.phase(ends, ledger))),
        Err(error) => {
            open.pacing.give_up();
            Err(error)
        }
    }
}

/// Runs all sessions through a closed phase.
pub(super) async fn run_closed<R: Runtime>(
    runtime: &R,
    sessions: Vec<AnySession>,
    plan: &PhasePlan,
    recordings: &Recordings,
) -> Result<(Vec<AnySession>, Ends), RoundError> {
    let course = Course::closed(plan.stop, Instant::now());
    run(runtime, sessions, plan, recordings, course).await
}

/// The supervision of a closed phase. If it is ended, the measured phase counts as far as it came.
fn closed_step(plan: &PhasePlan, ledger: &Ledger) -> Step {
    let (recordings, served) = (ledger.recordings.clone(), ledger.clone());
    let (ledger, measured, start) = (ledger.clone(), plan.measured, Instant::now());
    let (limit, extension): (_, Extension) = match limits::closed(plan.stop, plan.unit_ns) {
        ClosedLimit::After { starved, rest } => {
            let mut rest = Some(rest);
            // Sessions that serve wait for their clients as long as these like.
            let starving = move || !measured && served.has_responses() && are_starved(&recordings);
            let extension = move || rest.take().filter(|_| !starving());
            (starved, Box::new(extension))
        }
        ClosedLimit::Stalled(limit) => {
            let mut before = 0;
            let extension = move || {
                let ended = recordings.ended();
                (mem::replace(&mut before, ended) < ended).then_some(limit)
            };
            (limit, Box::new(extension))
        }
    };
    Step {
        limit,
        extension: Some(extension),
        given_up: Box::new(move || {
            if measured {
                ledger.given_up(start)
            } else {
                ledger.given_up_warmup(start.elapsed())
            }
        }),
    }
}

/// True if some sessions have returned, and the others would have had their turn by now if the server served all
/// sessions.
fn are_starved(recordings: &Recordings) -> bool {
    let activities = recordings.activities();
    let operation = mean_operation(&activities, recordings.ended());
    let turn = |operation: Duration| operation.mul_f64(activities.len() as f64);
    Stuck::of(&activities).starve()
        && operation.is_some_and(|operation| turn(operation) < limits::STARVED)
}

async fn run<R: Runtime>(
    runtime: &R,
    mut sessions: Vec<AnySession>,
    plan: &PhasePlan,
    recordings: &Recordings,
    course: Course,
) -> Result<(Vec<AnySession>, Ends), RoundError> {
    recordings.begin_intervals(course.ruler);
    let alone = sessions.len() == 1 && !plan.lag_probe;
    for session in &mut sessions {
        let clock = session.clock();
        clock.begin(course.goals.of(clock.number, clock.stride), plan.first_op);
    }
    if let Some(first) = sessions.first_mut() {
        first.clock().halfway = Some(course.halfway);
    }
    let steps_per_turn = runtime.steps_per_turn(alone);
    let phases = sessions
        .into_iter()
        .map(|session| session.run(steps_per_turn));
    let mut sessions = runtime
        .run_sessions(phases.collect())
        .await
        .map_err(|error| RoundError::Session(error.into()))?;
    let threads = sessions
        .iter_mut()
        .find_map(|session| session.clock().threads);
    Ok((sessions, Ends::of(&recordings.activities(), threads)))
}

/// The sessions' goals in a phase.
struct Course {
    goals: Goals,
    /// Time to count threads.
    halfway: Instant,
    ruler: Ruler,
}

enum Goals {
    Closed { stop: Stop, start: Instant },
    Arrivals(Arc<ArrivalQueue>),
}

impl Course {
    fn closed(stop: Stop, start: Instant) -> Self {
        Self {
            goals: Goals::Closed { stop, start },
            halfway: halfway(stop, start),
            ruler: Ruler::closed(start, stop),
        }
    }
}

impl Goals {
    /// The goal of session `number` of the `sessions` of all shards.
    fn of(&self, number: u64, sessions: u64) -> Goal {
        match self {
            Self::Arrivals(queue) => Goal::Arrivals(Arc::clone(queue)),
            Self::Closed { stop, start } => match stop {
                Stop::DurationNs(duration_ns) => {
                    Goal::Until(*start + Duration::from_nanos(duration_ns.get()))
                }
                Stop::Ops(ops) => {
                    let remainder = u64::from(number < ops.get() % sessions);
                    Goal::Ops(ops.get() / sessions + remainder)
                }
            },
        }
    }
}

/// An open phase whose schedule the supervisor keeps.
struct OpenPhase {
    queue: Arc<ArrivalQueue>,
    halfway: Instant,
    ruler: Ruler,
    pacing: Conduct,
}

impl OpenPhase {
    /// Hands over the schedule of an open phase; `None` for a closed one.
    fn start(
        plan: &PhasePlan,
        sessions: usize,
        ledger: &Ledger,
        supervisor: &Supervisor,
    ) -> Result<Option<Self>, RoundError> {
        let Some(schedule) = &plan.schedule else {
            return Ok(None);
        };
        // Some schedules have to be walked to find their length, which must not use up the lead.
        let length = schedule.length();
        let reader = plan.piped.as_ref().map(ArrivalReader::open).transpose();
        let reader = reader.map_err(RoundError::Arrivals)?;
        let given = reader.as_ref().map(|reader| reader.start).or(plan.start);
        let start = given.unwrap_or_else(|| Instant::now() + lead(sessions));
        let queue = Arc::new(ArrivalQueue::new(
            schedule,
            start,
            sessions,
            supervisor.wakes,
        ));
        let pacing = supervisor.pace(Order {
            schedule: schedule.clone(),
            length,
            queue: Arc::clone(&queue),
            ledger: ledger.clone(),
            measured: plan.measured,
            reader,
        });
        Ok(Some(Self {
            queue,
            halfway: start + length / 2,
            ruler: Ruler::of(start, Some(length)),
            pacing,
        }))
    }

    fn course(&self) -> Course {
        Course {
            goals: Goals::Arrivals(Arc::clone(&self.queue)),
            halfway: self.halfway,
            ruler: self.ruler,
        }
    }

    /// The outcome, once all sessions are done.
    fn phase(self, ends: Ends, ledger: &Ledger) -> Phase {
        let paced = self.pacing.wait();
        open_phase(ends, ledger.recordings.drain(), paced)
    }
}

/// A time at which all sessions are running; for a phase of N operations, the end of the first one.
fn halfway(stop: Stop, now: Instant) -> Instant {
    match stop {
        Stop::DurationNs(duration_ns) => now + Duration::from_nanos(duration_ns.get() / 2),
        Stop::Ops(_) => now,
    }
}
