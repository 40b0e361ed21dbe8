//! The measuring loop: one round of one workload under one runtime.
//!
//! The only place where time is stamped: two clock reads around [`Workload::operate`] and one histogram record, the same
//! for every runtime. A round is prepare, open, warm-up, measurement, close, finish; operations in flight when a phase
//! ends are completed and counted. How sessions run side by side is the runtime's business (`run_sessions`), what comes
//! of the numbers is that of `reports`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::load::Stop;
use crate::os;
use crate::protocol::{WorkerPlan, WorkerResult};
use crate::record::{Cost, Measurement};
use crate::recording::Recording;
use crate::runtime::{Flow, Runtime, RuntimeConfig, Session, StartError};
use crate::runtimes::{SelectError, Visitor, with_runtime};
use crate::traffic::TrafficCounter;
use crate::workload::{Env, Failure, Totals, Workload};

/// Operations of the warm-up are numbered from here, so that those of the measurement start from 0 under every runtime
/// and get the same draws, however far its warm-up came.
pub const FIRST_WARMUP_OP: u64 = 1 << 48;

/// Histograms per round at the most; sessions beyond that share one. Each takes 220 KiB, so one for each of thousands
/// of sessions would dominate the memory that is measured.
const MOST_RECORDINGS: usize = 64;

/// Runs the round that `plan` describes, with workload `W` under whichever runtime it names.
pub fn run_round<W: Workload>(plan: &WorkerPlan) -> WorkerResult {
    let worker_threads = NonZeroU32::new(plan.worker_threads).unwrap_or(NonZeroU32::MIN);
    let config = RuntimeConfig { worker_threads };
    let round = Round::<'_, W> {
        plan,
        workload: std::marker::PhantomData,
    };
    match with_runtime(&plan.runtime, config, round) {
        Ok(Ok(measurement)) => WorkerResult::Ok {
            measurement: Box::new(measurement),
        },
        Ok(Err(error)) => failed(error.to_string()),
        Err(SelectError::Start(StartError::Unsupported(reason))) => {
            WorkerResult::Unsupported { reason }
        }
        Err(error) => failed(error.to_string()),
    }
}

fn failed(reason: String) -> WorkerResult {
    WorkerResult::Failed { reason, hint: None }
}

/// Why a round gave no measurement.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error("the parameters do not fit the workload: {0}")]
    Params(String),
    #[error("setting up failed: {0}")]
    Prepare(#[source] Failure),
    #[error("opening session {index} failed: {failure}")]
    Open { index: u32, failure: Failure },
    #[error("a session {0}")]
    Session(#[source] crate::runtime::TaskError),
    #[error("checking and cleaning up failed: {0}")]
    Finish(#[source] Failure),
}

struct Round<'a, W> {
    plan: &'a WorkerPlan,
    workload: std::marker::PhantomData<W>,
}

impl<W: Workload> Visitor for Round<'_, W> {
    type Output = Result<Measurement, RoundError>;

    fn visit<R: Runtime>(self, runtime: R) -> Self::Output {
        let workload = make_workload::<W>(self.plan)?;
        let shared = Arc::new(Shared {
            workload,
            env: environment::<R, W>(runtime.clone(), self.plan),
        });
        runtime.block_on(measure(shared, self.plan))
    }
}

fn make_workload<W: Workload>(plan: &WorkerPlan) -> Result<W, RoundError> {
    let params = serde_json::from_value(plan.params.clone())
        .map_err(|error| RoundError::Params(error.to_string()))?;
    W::new(params, Duration::from_nanos(plan.unit_ns))
        .map_err(|error| RoundError::Params(error.to_string()))
}

fn environment<R: Runtime, W: Workload>(runtime: R, plan: &WorkerPlan) -> Env<R> {
    let counter = |name: &&str| ((*name).to_owned(), TrafficCounter::default());
    Env {
        runtime,
        seed: plan.seed,
        concurrency: plan.load.concurrency().get(),
        targets: plan.targets.clone(),
        work_dir: plan.work_dir.clone(),
        traffic: W::ABOUT.targets.iter().map(counter).collect(),
    }
}

/// What all sessions of a round share.
struct Shared<R, W> {
    workload: W,
    env: Env<R>,
}

async fn measure<R: Runtime, W: Workload>(
    shared: Arc<Shared<R, W>>,
    plan: &WorkerPlan,
) -> Result<Measurement, RoundError> {
    let Shared { workload, env } = &*shared;
    workload.prepare(env).await.map_err(RoundError::Prepare)?;
    let sessions = open_sessions(&shared, plan).await?;

    let (sessions, warmup) = run_phase(env, sessions, plan.warmup, FIRST_WARMUP_OP).await?;
    let before = os::usage();
    let (sessions, measured) = run_phase(env, sessions, plan.stop, 0).await?;
    let cost = cost_since(before, measured.threads);

    let totals = Totals {
        sessions: u32::try_from(sessions.len()).unwrap_or(u32::MAX),
        succeeded: warmup.recording.succeeded() + measured.recording.succeeded(),
        failed: warmup.recording.failed() + measured.recording.failed(),
    };
    for session in sessions {
        workload.close(env, session.state).await;
    }
    let broken = workload
        .finish(env, totals)
        .await
        .map_err(RoundError::Finish)?;
    Ok(measurement(env, totals, warmup, measured, cost, broken))
}

async fn open_sessions<R: Runtime, W: Workload>(
    shared: &Arc<Shared<R, W>>,
    plan: &WorkerPlan,
) -> Result<Vec<SessionLoop<R, W>>, RoundError> {
    let count = shared.env.runtime.sessions(plan.load.concurrency()).get();
    let recordings: Vec<_> = (0..MOST_RECORDINGS.min(count as usize))
        .map(|_| Arc::new(Mutex::new(Recording::new())))
        .collect();
    let mut sessions = Vec::with_capacity(count as usize);
    for index in 0..count {
        let state = shared.workload.open(&shared.env, index).await;
        sessions.push(SessionLoop {
            shared: Arc::clone(shared),
            state: state.map_err(|failure| RoundError::Open { index, failure })?,
            recording: Arc::clone(&recordings[index as usize % recordings.len()]),
            index: u64::from(index),
            stride: u64::from(count),
            next_op: 0,
            goal: Goal::Ops(0),
            halfway: None,
            activity: Activity::default(),
            threads: None,
        });
    }
    Ok(sessions)
}

/// When a session has done its part of a phase.
#[derive(Clone, Copy, Debug)]
enum Goal {
    /// At this instant; but one operation at least.
    Until(Instant),
    /// After this many more operations.
    Ops(u64),
}

/// When a session was at work in a phase.
#[derive(Clone, Copy, Debug, Default)]
struct Activity {
    /// Start of its first operation.
    first_start: Option<Instant>,
    /// End of its last one.
    last_end: Option<Instant>,
    /// Operations that succeeded.
    succeeded: u64,
}

impl Activity {
    /// From the first start to the last end.
    fn duration(&self) -> Duration {
        match (self.first_start, self.last_end) {
            (Some(start), Some(end)) => end - start,
            _ => Duration::ZERO,
        }
    }

    /// Successful operations per second from the phase's `start` to the end of its own last one. From the phase's start,
    /// since a session that had to wait for its turn has been slow, not fast; to its own end, since a session that is
    /// done while others finish a long operation has not been slow.
    fn rate_hz(&self, start: Instant) -> f64 {
        let active = self.last_end.map_or(Duration::ZERO, |end| end - start);
        if active.is_zero() {
            0.0
        } else {
            self.succeeded as f64 / active.as_secs_f64()
        }
    }
}

/// One session with all that measuring it needs: a step is one operation.
struct SessionLoop<R: Runtime, W: Workload> {
    shared: Arc<Shared<R, W>>,
    state: W::Session<R>,
    /// Locked once per operation, and shared by nobody else up to `MOST_RECORDINGS` sessions.
    recording: Arc<Mutex<Recording>>,
    index: u64,
    /// Distance between the numbers of its operations: the number of sessions.
    stride: u64,
    next_op: u64,
    goal: Goal,
    /// When to look at the number of threads: only set in the first session.
    halfway: Option<Instant>,
    activity: Activity,
    threads: Option<u64>,
}

impl<R: Runtime, W: Workload> Session for SessionLoop<R, W> {
    async fn step(&mut self) -> Flow {
        if let Goal::Ops(0) = self.goal {
            return Flow::Finished;
        }
        let Shared { workload, env } = &*self.shared;
        let op = self.next_op;

        let start = Instant::now();
        let result = workload.operate(env, &mut self.state, op).await;
        let end = Instant::now();

        let service_ns = u64::try_from((end - start).as_nanos()).unwrap_or(u64::MAX);
        self.activity.first_start.get_or_insert(start);
        self.activity.last_end = Some(end);
        self.activity.succeeded += u64::from(result.is_ok());
        self.recording
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .record(op, service_ns, result);
        self.next_op += self.stride;

        if self.halfway.is_some_and(|halfway| end >= halfway) {
            self.halfway = None;
            self.threads = os::thread_count();
        }
        match &mut self.goal {
            Goal::Until(instant) if end >= *instant => Flow::Finished,
            Goal::Until(_) => Flow::Continue,
            Goal::Ops(left) => {
                *left -= 1;
                if *left == 0 {
                    Flow::Finished
                } else {
                    Flow::Continue
                }
            }
        }
    }
}

/// What came of one phase.
struct Phase {
    recording: Recording,
    elapsed: Duration,
    /// Time for which sessions were at work, summed.
    session_time: Duration,
    throughput_ops_s: f64,
    threads: Option<u64>,
}

/// Runs all sessions through one phase whose operations are numbered from `first_op`.
async fn run_phase<R: Runtime, W: Workload>(
    env: &Env<R>,
    mut sessions: Vec<SessionLoop<R, W>>,
    stop: Stop,
    first_op: u64,
) -> Result<(Vec<SessionLoop<R, W>>, Phase), RoundError> {
    let now = Instant::now();
    for session in &mut sessions {
        session.next_op = first_op + session.index;
        session.activity = Activity::default();
        session.threads = None;
        session.goal = goal(stop, now, session.index, session.stride);
    }
    if let Some(first) = sessions.first_mut() {
        first.halfway = Some(halfway(stop, now));
    }
    let sessions = env
        .runtime
        .run_sessions(sessions)
        .await
        .map_err(RoundError::Session)?;
    let phase = conclude(&sessions);
    Ok((sessions, phase))
}

fn goal(stop: Stop, now: Instant, index: u64, sessions: u64) -> Goal {
    match stop {
        Stop::DurationNs(duration_ns) => Goal::Until(now + Duration::from_nanos(duration_ns.get())),
        Stop::Ops(ops) => {
            let remainder = u64::from(index < ops.get() % sessions);
            Goal::Ops(ops.get() / sessions + remainder)
        }
    }
}

/// The moment at which all sessions are surely running: for a phase of N operations, after the first one.
fn halfway(stop: Stop, now: Instant) -> Instant {
    match stop {
        Stop::DurationNs(duration_ns) => now + Duration::from_nanos(duration_ns.get() / 2),
        Stop::Ops(_) => now,
    }
}

/// Sums up a phase, and empties the recordings for the next one.
fn conclude<R: Runtime, W: Workload>(sessions: &[SessionLoop<R, W>]) -> Phase {
    let mut recording = Recording::new();
    // Later sessions share the recordings of the first ones.
    for session in sessions.iter().take(MOST_RECORDINGS) {
        let mut shard = session
            .recording
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        recording.merge(&shard);
        shard.clear();
    }
    let activities = || sessions.iter().map(|session| session.activity);
    let first_start = activities()
        .filter_map(|activity| activity.first_start)
        .min();
    let last_end = activities().filter_map(|activity| activity.last_end).max();
    Phase {
        recording,
        elapsed: Activity {
            first_start,
            last_end,
            succeeded: 0,
        }
        .duration(),
        session_time: activities().map(|activity| activity.duration()).sum(),
        throughput_ops_s: first_start.map_or(0.0, |start| {
            activities().map(|activity| activity.rate_hz(start)).sum()
        }),
        threads: sessions.iter().find_map(|session| session.threads),
    }
}

fn cost_since(before: os::Usage, threads: Option<u64>) -> Cost {
    let after = os::usage();
    let spent = |field: fn(&os::Usage) -> Option<u64>| field(&after)?.checked_sub(field(&before)?);
    Cost {
        cpu_user_ns: spent(|usage| usage.cpu_user_ns),
        cpu_system_ns: spent(|usage| usage.cpu_system_ns),
        voluntary_switches: spent(|usage| usage.voluntary_switches),
        involuntary_switches: spent(|usage| usage.involuntary_switches),
        minor_faults: spent(|usage| usage.minor_faults),
        major_faults: spent(|usage| usage.major_faults),
        instructions: None,
        syscalls_per_op: None,
        peak_rss_bytes: os::peak_rss_bytes(),
        threads,
    }
}

fn measurement<R: Runtime>(
    env: &Env<R>,
    totals: Totals,
    warmup: Phase,
    measured: Phase,
    cost: Cost,
    broken: Vec<String>,
) -> Measurement {
    let sessions = NonZeroU32::new(totals.sessions).unwrap_or(NonZeroU32::MIN);
    let mut violations = warmup.recording.violations().to_vec();
    violations.extend_from_slice(measured.recording.violations());
    violations.extend(broken);
    Measurement {
        sessions: totals.sessions,
        worker_threads: env.runtime.worker_threads(sessions),
        runtime_facts: env.runtime.facts(),
        ops: measured.recording.succeeded(),
        warmup_ops: warmup.recording.succeeded() + warmup.recording.failed(),
        warmup_errors: warmup.recording.failure_counts(),
        elapsed_ns: u64::try_from(measured.elapsed.as_nanos()).unwrap_or(u64::MAX),
        session_ns: u64::try_from(measured.session_time.as_nanos()).unwrap_or(u64::MAX),
        throughput_ops_s: measured.throughput_ops_s,
        traffic: env
            .traffic
            .iter()
            .map(|(name, counter)| (name.clone(), counter.snapshot()))
            .collect(),
        cost,
        violations,
        errors: measured.recording.failures(),
        service: measured.recording.into_service(),
        open: None,
        floor: None,
        observed: BTreeMap::new(),
        gauges: BTreeMap::new(),
    }
}
