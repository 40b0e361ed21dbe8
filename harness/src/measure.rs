//! The measuring loop: one round of one workload under one runtime.
//!
//! A round is prepare, open, warm-up, overhead, measurement, close, finish; operations in flight when a phase ends are
//! completed and counted. It runs on its own thread, supervised by the calling thread (`supervisor`), which paces open
//! loads and reports what there is if an operation never ends. Time is stamped in one place (`session`); `outcome`
//! holds the result of a phase, `ledger` that of a round. Runtimes decide how sessions run concurrently
//! (`run_sessions`).
//!
//! Code that is generic over runtime and workload is compiled more than a hundred times, so only the loop around `operate` is
//! generic over both. A round is generic over the runtime alone, and `erased` hides the workload from it.

mod arrival_pipe;
mod arrival_reader;
mod arrival_record;
mod common_start;
mod erased;
mod floor;
mod ledger;
mod limits;
mod outcome;
mod part_clock;
mod phase;
mod probe;
mod recordings;
mod session;
mod supervisor;
mod unfinished;

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::allocations;
use crate::meeting::MeetingError;
use crate::observed::Observed;
use crate::os;
use crate::parts::Parts;
use crate::runtime::{BoxFuture, Elapsed, Runtime, RuntimeConfig, StartError};
use crate::runtimes::{SelectError, Visitor, with_any_runtime, with_runtime};
use crate::traffic::TrafficCounter;
use crate::workload::{Env, Failure, RoundEnv, Workload, read_params};
use photofinish_record::load::Load;
use photofinish_record::protocol::{WorkerPlan, WorkerResult};
use photofinish_record::shard::Shard;

pub use self::arrival_pipe::{ArrivalPipe, PacedPipe, PipePacer};
pub use self::limits::longest_round;
pub use self::part_clock::PartStart;
pub use self::probe::PROBE_LAG;
pub use crate::recording::FIRST_WARMUP_OP;

use self::common_start::Start;
use self::erased::{AnySession, AnyUnprepared, AnyWorkload, Unprepared, finish, overdue, prepare};
use self::ledger::{Ending, Ledger, Reported, Warmup, snapshots};
use self::outcome::Phase;
use self::phase::{PhasePlan, run_phase};
use self::recordings::{Recordings, stripes_for};
use self::session::SessionClock;
use self::supervisor::{Step, Supervisor, supervised};
use self::unfinished::SetUp;

/// Runs the round that `plan` describes: workload `W` under the runtime named in the plan.
///
/// If operations never end, the threads and tasks that wait for them are left behind: a process runs one round.
pub fn run_round<W: Workload>(plan: &WorkerPlan) -> WorkerResult {
    let on_its_thread = plan.clone();
    supervised(
        plan,
        Box::new(move |supervisor| run_supervised::<W>(&on_its_thread, &supervisor)),
    )
}

fn run_supervised<W: Workload>(plan: &WorkerPlan, supervisor: &Supervisor) -> WorkerResult {
    let workload = match make_workload::<W>(plan) {
        Ok(workload) => workload,
        Err(error) => return error.into(),
    };
    let round = Round {
        frame: Frame::new(plan, supervisor, W::ABOUT.targets, workload.parts()),
        workload,
    };
    let config = runtime_config(plan);
    if_started(if W::STATIC_DISPATCH {
        with_runtime(&plan.runtime, config, round)
    } else {
        with_any_runtime(&plan.runtime, config, round)
    })
}

fn runtime_config(plan: &WorkerPlan) -> RuntimeConfig {
    let worker_threads = NonZeroU32::new(plan.worker_threads).unwrap_or(NonZeroU32::MIN);
    RuntimeConfig { worker_threads }
}

fn if_started(result: Result<WorkerResult, SelectError>) -> WorkerResult {
    match result {
        Ok(result) => result,
        Err(SelectError::Start(StartError::Unsupported(reason))) => {
            WorkerResult::Unsupported { reason }
        }
        Err(SelectError::Start(StartError::System(error))) => WorkerResult::failed(
            format!("cannot start the runtime: {error}"),
            Some(os::RAISE_THREAD_LIMIT.to_owned()),
        ),
        Err(error) => failed(error.to_string()),
    }
}

fn failed(reason: String) -> WorkerResult {
    WorkerResult::failed(reason, None)
}

/// Reasons a round gave no measurement.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error("the parameters do not fit the workload: {0}")]
    Params(String),
    #[error("setting up failed: {0}")]
    Prepare(#[source] Failure),
    /// With the number of sessions that are open.
    #[error("opening session {index} failed{}: {failure}", so_far(*.index, *.count))]
    Open {
        index: usize,
        count: NonZeroU32,
        failure: Failure,
    },
    #[error("a session ended: {0}")]
    Session(#[source] Failure),
    #[error("its load has fewer sessions ({all}) than there are shards ({})", .shard.count())]
    TooFewSessions { shard: Shard, all: NonZeroU32 },
    #[error(transparent)]
    Meeting(#[from] MeetingError),
    #[error("the FIFO of its arrivals cannot be read: {0}")]
    Arrivals(#[source] io::Error),
}

fn so_far(index: usize, count: NonZeroU32) -> String {
    match index {
        0 => String::new(),
        open => format!(" ({open} of {count} are open)"),
    }
}

impl RoundError {
    /// The failure of the system under test, unless the tool's own part failed.
    fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Prepare(failure) | Self::Open { failure, .. } | Self::Session(failure) => {
                Some(failure)
            }
            Self::Params(_)
            | Self::TooFewSessions { .. }
            | Self::Meeting(_)
            | Self::Arrivals(_) => None,
        }
    }
}

impl From<RoundError> for WorkerResult {
    fn from(error: RoundError) -> Self {
        let reason = error.to_string();
        match error {
            RoundError::TooFewSessions { .. } => return Self::Unsupported { reason },
            RoundError::Meeting(MeetingError::Late { .. }) => {
                let hint = "raise --start-margin or set --start-at later, and check that the machines' clocks agree";
                return Self::failed(reason, Some(hint.to_owned()));
            }
            _ => {}
        }
        let is_prepare = matches!(error, RoundError::Prepare(_));
        match error.failure() {
            Some(failure) if failure.kind == Failure::WRONG_CONTENT => Self::Wrong { reason },
            failure => Self::Failed {
                reason,
                hint: failure.and_then(|failure| failure.hint.as_deref().map(str::to_owned)),
                is_silent: is_prepare
                    && failure.is_some_and(|failure| failure.kind == Failure::TIMEOUT),
            },
        }
    }
}

/// A round of a workload, before its runtime has started.
struct Round<'a, W> {
    frame: Frame<'a>,
    workload: W,
}

impl<W: Workload> Visitor for Round<'_, W> {
    type Output = WorkerResult;

    fn visit<R: Runtime>(self, runtime: R) -> WorkerResult {
        let Self { frame, workload } = self;
        frame.run(
            runtime,
            Box::new(|env| Box::new(Unprepared::new(workload, env))),
        )
    }
}

/// Makes the round's workload from its environment.
type FromEnv<'a, R> = Box<dyn FnOnce(Env<R>) -> Box<dyn AnyUnprepared> + 'a>;

/// What a round needs besides its workload and its runtime.
struct Frame<'a> {
    plan: &'a WorkerPlan,
    supervisor: &'a Supervisor,
    counters: os::Counters,
    targets: &'static [&'static str],
    /// The names of the workload's parts.
    parts: Vec<String>,
}

impl<'a> Frame<'a> {
    fn new(
        plan: &'a WorkerPlan,
        supervisor: &'a Supervisor,
        targets: &'static [&'static str],
        parts: Vec<String>,
    ) -> Self {
        Self {
            plan,
            supervisor,
            // Opened on this thread, before the runtime starts its own threads: those are counted and the pacer is not.
            counters: os::Counters::open(),
            targets,
            parts,
        }
    }

    /// The workload's environment, and the parts of it that the loop shares.
    fn env_and_context<R: Runtime>(&self, runtime: &R) -> Result<(Env<R>, Context<R>), RoundError> {
        let sessions = Sessions::of(runtime, self.plan)?;
        let parts = Parts::new(self.parts.clone(), stripes_for(sessions.own))
            .map_err(|error| RoundError::Params(error.to_string()))?;
        let env = Env::from(environment(runtime.clone(), self.plan, self.targets, parts));
        let context = Context {
            runtime: runtime.clone(),
            sessions,
            observed: env.observed.clone(),
            parts: env.parts.clone(),
            traffic: env.traffic.clone(),
        };
        Ok((env, context))
    }

    fn run<R: Runtime>(self, runtime: R, workload: FromEnv<'_, R>) -> WorkerResult {
        let (env, context) = match self.env_and_context(&runtime) {
            Ok(both) => both,
            Err(error) => return error.into(),
        };
        let workload = workload(env);
        let measuring = measure(context, workload, self.plan, self.supervisor, self.counters);
        match runtime.block_on(measuring) {
            Ok(reported) => reported.into(),
            Err(error) => error.into(),
        }
    }
}

fn make_workload<W: Workload>(plan: &WorkerPlan) -> Result<W, RoundError> {
    let params =
        read_params::<W>(&plan.params).map_err(|error| RoundError::Params(error.to_string()))?;
    W::new(params, Duration::from_nanos(plan.unit_ns))
        .map_err(|error| RoundError::Params(error.to_string()))
}

/// The environment of the round that `plan` describes, with traffic counters for `targets`.
pub fn environment<R>(
    runtime: R,
    plan: &WorkerPlan,
    targets: &[&str],
    parts: Parts,
) -> RoundEnv<R> {
    let counter = |name: &&str| ((*name).to_owned(), TrafficCounter::default());
    RoundEnv {
        runtime,
        seed: plan.seed,
        concurrency: plan.load.concurrency().get(),
        targets: plan.targets.clone(),
        work_dir: plan.work_dir.clone(),
        directory: plan.directory.clone(),
        run: plan.run.clone(),
        round: plan.round,
        warmup: plan.warmup,
        traffic: targets.iter().map(counter).collect(),
        memo: Default::default(),
        observed: Observed::default(),
        parts,
    }
}

/// The sessions of a round.
#[derive(Clone, Copy, Debug)]
struct Sessions {
    shard: Shard,
    /// Those of this shard.
    own: NonZeroU32,
    /// Those of all shards.
    all: NonZeroU32,
}

impl Sessions {
    fn of<R: Runtime>(runtime: &R, plan: &WorkerPlan) -> Result<Self, RoundError> {
        let (shard, all) = (plan.shard(), runtime.sessions(plan.load.concurrency()));
        let enough = all >= shard.count();
        let own = shard.sessions(all).filter(|_| enough);
        let own = own.ok_or(RoundError::TooFewSessions { shard, all })?;
        Ok(Self { shard, own, all })
    }
}

/// The parts of a workload's environment that the measuring loop shares with it.
struct Context<R> {
    runtime: R,
    sessions: Sessions,
    observed: Observed,
    parts: Parts,
    traffic: BTreeMap<String, TrafficCounter>,
}

/// Measures one round of any workload.
async fn measure<R: Runtime>(
    context: Context<R>,
    workload: Box<dyn AnyUnprepared>,
    plan: &WorkerPlan,
    supervisor: &Supervisor,
    counters: os::Counters,
) -> Result<Reported, RoundError> {
    let own = context.sessions.own;
    let recordings = Recordings::for_sessions(own, plan, context.parts.clone());
    let limit = limits::PREPARE.saturating_add(limits::ABANDON);
    supervisor.watch(Step::task("setting up", limit));
    let begin = Instant::now();
    let prepared = prepare(&context.runtime, workload).await;
    let workload = prepared.map_err(RoundError::Prepare)?;
    let set_up = SetUp::prepared(begin.elapsed(), &snapshots(&context.traffic));
    let runtime = context.runtime.clone();
    let measured = measure_prepared(
        context, set_up, recordings, &workload, plan, supervisor, counters,
    );
    let measured = measured.await;
    if measured.is_err() {
        abandon(&runtime, &workload, supervisor).await;
    }
    measured
}

/// Cleans up after a failed round.
async fn abandon<R: Runtime>(
    runtime: &R,
    workload: &Arc<dyn AnyWorkload>,
    supervisor: &Supervisor,
) {
    supervisor.watch(Step::task("cleaning up", limits::ABANDON));
    let _ = runtime.timeout(limits::ABANDON, workload.abandon()).await;
}

async fn measure_prepared<R: Runtime>(
    context: Context<R>,
    set_up: SetUp,
    recordings: Recordings,
    workload: &Arc<dyn AnyWorkload>,
    plan: &WorkerPlan,
    supervisor: &Supervisor,
    mut counters: os::Counters,
) -> Result<Reported, RoundError> {
    let Context {
        runtime,
        sessions: counts,
        observed,
        traffic,
        ..
    } = context;
    let count = counts.own;
    let before = snapshots(&traffic);
    let limit = limits::opening(count);
    supervisor.watch(Step::task("opening sessions", limit));
    let mut sessions = Vec::new();
    let opening = open_all(workload, &recordings, counts, &mut sessions);
    let opened = runtime.timeout(limit, opening).await;
    if let Err(failure) = opened.unwrap_or_else(|Elapsed| Err(overdue(limit))) {
        let index = sessions.len();
        let error = RoundError::Open {
            index,
            count,
            failure,
        };
        return Err(error);
    }

    let set_up = set_up.opened(&snapshots(&traffic));
    let mut ledger = Ledger::new(&runtime, &observed, traffic, set_up, recordings, count);
    let phase = PhasePlan::warmup(plan);
    counters.start();
    let (sessions, warmup) = run_phase(&runtime, sessions, &phase, &ledger, supervisor).await?;
    ledger.warmup = Warmup::of(&warmup.recording, counters.stop());
    // After closing the counters, which would make each of its system calls more expensive.
    supervisor.watch(Step::task("measuring the loop", limits::ABANDON));
    ledger.overhead = Some(floor::measure(&runtime, &ledger.recordings, count).await?);
    observed.clear();
    let start = wait_for_start(&runtime, plan, count, supervisor).await?;
    let spending = Spending::begin();
    let probe = probe::start(&runtime, &observed, plan);
    let phase = PhasePlan::measured(plan, start.map(|start| start.instant));
    let (sessions, measured) = run_phase(&runtime, sessions, &phase, &ledger, supervisor).await?;
    ledger.start = start;
    let (spent, allocations) = spending.end(measured.pacer_cost());
    let mut ending = Ending {
        spent,
        allocations,
        ..Ending::default()
    };
    supervisor.watch(last_step(&ledger, &measured, &ending));
    probe::stop(probe).await;
    ending.warnings.extend(farewell(&runtime, sessions).await);
    let totals = ledger.totals(&measured.recording, &before);
    ending.broken = finish(&runtime, workload, &totals).await;
    Ok(ledger.reported(measured, ending))
}

/// Waits for the start that other shards share, if any.
async fn wait_for_start<R: Runtime>(
    runtime: &R,
    plan: &WorkerPlan,
    sessions: NonZeroU32,
    supervisor: &Supervisor,
) -> Result<Option<Start>, RoundError> {
    let limit = common_start::limit(plan).saturating_add(limits::ABANDON);
    supervisor.watch(Step::task("waiting for the other shards", limit));
    let lead = match plan.load {
        Load::Open { .. } => phase::lead(sessions.get() as usize),
        Load::Closed { .. } => Duration::ZERO,
    };
    common_start::wait(runtime, plan, lead).await
}

/// Opens all sessions of this shard, one after another.
async fn open_all(
    workload: &Arc<dyn AnyWorkload>,
    recordings: &Recordings,
    counts: Sessions,
    sessions: &mut Vec<AnySession>,
) -> Result<(), Failure> {
    let Sessions { shard, own, all } = counts;
    for index in 0..own.get() {
        let clock = SessionClock::new(recordings, index, shard, all);
        let number = u32::try_from(clock.number).expect("less than the number of all sessions");
        sessions.push(Arc::clone(workload).open(number, clock).await?);
    }
    Ok(())
}

/// The steps after the measurement, which counts even if they never finish.
fn last_step(ledger: &Ledger, measured: &Phase, ending: &Ending) -> Step {
    let limits = [
        limits::FAREWELL,
        limits::FINISH,
        limits::ABANDON,
        limits::MARGIN,
    ];
    let (ledger, measured, mut ending) = (ledger.clone(), measured.clone(), ending.clone());
    Step {
        limit: limits.into_iter().sum(),
        extension: None,
        given_up: Box::new(move || {
            ending.broken = vec!["closing, checking and cleaning up did not finish".to_owned()];
            ledger.reported(measured, ending).into()
        }),
    }
}

/// Closes all sessions concurrently, as far as the runtime can. Returns a warning if some did not close in time.
async fn farewell<R: Runtime>(runtime: &R, sessions: Vec<AnySession>) -> Option<String> {
    let (due, count) = (Instant::now() + limits::FAREWELL, sessions.len());
    let closing = sessions
        .into_iter()
        .map(|mut session| -> BoxFuture<'static, bool> {
            let runtime = runtime.clone();
            Box::pin(async move {
                let left = due.saturating_duration_since(Instant::now());
                runtime.timeout(left, session.close()).await.is_ok()
            })
        });
    let closed = runtime.run_sessions(closing.collect()).await;
    let late = match closed {
        Ok(closed) => closed.iter().filter(|closed| !**closed).count(),
        Err(error) => return Some(format!("closing the sessions failed: one {error}")),
    };
    (late > 0).then(|| {
        format!(
            "{late} of {count} sessions were not closed properly: the server did not complete the close within {} s",
            limits::FAREWELL.as_secs()
        )
    })
}

/// The cost of the process so far, at the start of the measurement.
struct Spending {
    usage: os::Usage,
    allocations: Option<u64>,
}

impl Spending {
    fn begin() -> Self {
        let usage = os::usage();
        let allocations = allocations::counted();
        Self { usage, allocations }
    }

    /// The cost since then, without the pacer's; and the number of allocations, if they are counted.
    fn end(self, pacer_cost: os::Usage) -> (os::Usage, Option<u64>) {
        let spent = os::usage().since(self.usage).without(pacer_cost);
        let allocations = allocations::counted().zip(self.allocations);
        (spent, allocations.map(|(after, before)| after - before))
    }
}
